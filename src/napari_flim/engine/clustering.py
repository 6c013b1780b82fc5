"""k-means, medoids and consensus: from the patches of a marker to a few kernels.

Markers are small (hundreds of patches), so plain numpy in float64 is both faster than a general
library and the same on any number of threads. The stopping rule and the medoids are those of the
published learner (see `LearningOptions` in ``learning.py``).
"""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

LARGEST_ITERATIONS = 100
SMALLEST_MOVE = 1e-3
SMALLEST_NORM = 1e-3

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


def kmeans(
    points: Floats, groups: int, rng: np.random.Generator, starts: int = 1
) -> tuple[Floats, Indices]:
    """Euclidean k-means, started by k-means++; the best of several starts.

    Stops after 100 iterations, or when no centre moves more than 1e-3. A group that runs empty
    takes the point farthest from its centre.

    Parameters
    ----------
    points : (n, d) array
    groups : int
        At most n.
    rng : numpy Generator
    starts : int
        The start with the smallest sum of squared distances wins.

    Returns
    -------
    centres : (groups, d) array
    assignment : (n,) int array
    """
    best, smallest = None, np.inf
    for _ in range(starts):
        centres, assignment = _lloyd(points, groups, rng)
        spread = float(((points - centres[assignment]) ** 2).sum()) if starts > 1 else 0.0
        if best is None or spread < smallest:
            best, smallest = (centres, assignment), spread
    assert best is not None
    return best


def _lloyd(points: Floats, groups: int, rng: np.random.Generator) -> tuple[Floats, Indices]:
    centres = points[_spread(points, groups, rng)]
    numbers = np.arange(groups)[:, None]
    for _ in range(LARGEST_ITERATIONS):
        assignment = nearest(points, centres)
        counts = np.bincount(assignment, minlength=groups)
        members = (assignment == numbers).astype(np.float64)
        moved = (members @ points) / np.maximum(counts, 1)[:, None]
        if not counts.all():
            away = ((points - moved[assignment]) ** 2).sum(axis=1)
            farthest = np.argsort(-away, kind='stable')[: int((counts == 0).sum())]
            moved[counts == 0] = points[farthest]
        step = moved - centres
        centres = moved
        if np.einsum('kd,kd->k', step, step).max() <= SMALLEST_MOVE**2:
            break
    return centres, nearest(points, centres)


def nearest(points: Floats, centres: Floats) -> Indices:
    """For every point, the nearest centre (the first on ties)."""
    # The squared length of the point is the same for every centre, so it is left out.
    half_lengths = np.einsum('kd,kd->k', centres, centres) / 2
    closeness = centres @ points.T - half_lengths[:, None]
    nearest_centre: Indices = closeness.argmax(axis=0)
    return nearest_centre


def _spread(points: Floats, groups: int, rng: np.random.Generator) -> Indices:
    """k-means++: each start is drawn in proportion to its squared distance from the others."""
    norms = np.einsum('nd,nd->n', points, points)
    chosen = [int(rng.integers(len(points)))]
    distance = np.full(len(points), np.inf)
    for _ in range(1, groups):
        last = points[chosen[-1]]
        away = points @ last
        np.subtract(norms, np.multiply(away, 2, out=away), out=away)
        away += last @ last
        np.minimum(distance, np.maximum(away, 0, out=away), out=distance)
        distance[chosen[-1]] = 0
        cumulated = distance.cumsum()
        if cumulated[-1] <= 0:
            remaining = np.setdiff1d(np.arange(len(points)), chosen)
            chosen.append(int(remaining[0]))
            continue
        drawn = cumulated.searchsorted(rng.random() * cumulated[-1], side='right')
        chosen.append(min(int(drawn), len(points) - 1))
    return np.array(chosen, dtype=np.int64)


def medoids(points: Floats, centres: Floats, assignment: Indices) -> Indices:
    """For every group, the point of that group nearest to its centre (lowest index on ties)."""
    result = []
    for group, centre in enumerate(centres):
        members = np.flatnonzero(assignment == group)
        if len(members):
            away = ((points[members] - centre) ** 2).sum(axis=1)
            result.append(int(members[away.argmin()]))
    return np.array(sorted(set(result)), dtype=np.int64)


def representatives(
    points: Floats,
    groups: int,
    rng: np.random.Generator,
    kind: Literal['centroid', 'medoid'] = 'medoid',
    starts: int = 1,
) -> tuple[Floats, Indices]:
    """A few points, or means of points, that stand for all.

    Parameters
    ----------
    points : (n, d) array
    groups : int
        Number wanted; with n <= groups every point stands for itself.
    rng : numpy Generator
    kind : {'centroid', 'medoid'}
        The centre, or the point nearest to it.
    starts : int
        See `kmeans`.

    Returns
    -------
    vectors : (g, d) array
    indices : (g,) int array
        The point each vector is, or is nearest to.
    """
    if len(points) <= groups:
        return points, np.arange(len(points))
    # Thousands of tiny products: a second thread gains nothing, waits for busy processors, and
    # could change the last bit.
    with _thread_pools().limit(limits=1, user_api='blas'):
        centres, assignment = kmeans(points, groups, rng, starts)
    if kind == 'medoid':
        chosen = medoids(points, centres, assignment)
        return points[chosen], chosen
    return centres, nearest(centres, points)


@cache
def _thread_pools() -> ThreadpoolController:
    """Looking for the libraries of the process takes milliseconds, so it is done once."""
    return ThreadpoolController()


def unit_norm(vectors: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Vectors of length 1, and which of them were long enough (over 1e-3) to have a direction."""
    lengths = np.sqrt((vectors**2).sum(axis=1))
    usable = lengths > SMALLEST_NORM
    return vectors / np.where(usable, lengths, 1.0)[:, None], usable


def share_slots(counts: Indices, slots: int) -> Indices:
    """Slots for every class in proportion to its candidates, at least one for each that has any.

    Examples
    --------
    >>> share_slots(np.array([90, 10, 0]), 4)
    array([3, 1, 0])
    """
    present = counts > 0
    slots = max(slots, int(present.sum()))
    result = np.where(present, 1, 0)
    while result.sum() < slots and (result < counts).any():
        wanted = np.where(result < counts, counts / (2 * result + 1), -1.0)
        result[int(wanted.argmax())] += 1
    return result


def principal_axes(vectors: Floats, wanted: int, epsilon: float) -> Floats:
    """Principal axes of the candidates: rows of Vt of the centred, scaled candidates.

    Each axis points where the third moment of the candidates along it is not negative, since a
    ReLU keeps only one side.
    """
    spread = vectors.std(axis=0) + epsilon
    scaled = (vectors - vectors.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    with _thread_pools().limit(limits=1, user_api='blas'):
        _, values, axes = np.linalg.svd(scaled, full_matrices=False)
    rank = int((values > values[0] * 1e-10).sum()) if values[0] > 0 else 1
    axes = axes[: min(wanted, rank)]
    skew = ((vectors @ axes.T) ** 3).sum(axis=0)
    return axes * np.where(skew < 0, -1.0, 1.0)[:, None]
