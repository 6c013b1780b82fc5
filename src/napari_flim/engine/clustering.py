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
TIE = 1e-4
"""Squared distances that differ by a smaller share are equal: only rounding tells them apart, as
for the two points of a group of two, and that depends on the machine and the size of the image."""
LARGEST_BATCH = 1_000_000
"""Points times groups times starts that are computed together: 8 MB."""

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


def kmeans(
    points: Floats, groups: int, rng: np.random.Generator, starts: int = 1
) -> tuple[Floats, Indices]:
    """Euclidean k-means, started by k-means++; the best of several starts.

    Stops after 100 iterations, or when no centre moves more than 1e-3. A group that runs empty
    takes the point farthest from its centre. Starts are computed together, which takes a fraction
    of the time of one after the other.

    Parameters
    ----------
    points : (n, d) array
    groups : int
        At most n.
    rng : numpy Generator
    starts : int
        The start with the smallest sum of squared distances wins, the first of equal ones.

    Returns
    -------
    centres : (groups, d) array
    assignment : (n,) int array
    """
    first = _spread(points, groups, rng, starts)
    together = max(1, LARGEST_BATCH // (groups * len(points)))
    centres = np.concatenate(
        [_lloyd(points, points[first[i : i + together]]) for i in range(0, starts, together)]
    )
    if starts == 1:
        return centres[0], nearest(points, centres[0])
    # The squared distances sum up to a constant less twice the closeness of the nearest centres.
    kept = [float(_closeness(points, one).max(axis=0).sum()) for one in centres]
    best = centres[int(np.argmax(kept))]
    return best, nearest(points, best)


def _lloyd(points: Floats, centres: Floats) -> Floats:
    """Centres (starts, groups, d) moved until they rest."""
    centres = centres.copy()
    groups = centres.shape[1]
    numbers = np.arange(groups)[:, None]
    moving = np.arange(len(centres))
    for _ in range(LARGEST_ITERATIONS):
        before = centres[moving]
        assignment = _closeness(points, before).argmax(axis=1)
        members = (assignment[:, None] == numbers).astype(np.float64)
        counts = members.sum(axis=2)
        sums = (members.reshape(-1, len(points)) @ points).reshape(before.shape)
        moved = sums / np.maximum(counts, 1)[:, :, None]
        for start in np.flatnonzero((counts == 0).any(axis=1)):
            empty = counts[start] == 0
            away = ((points - moved[start, assignment[start]]) ** 2).sum(axis=1)
            moved[start, empty] = points[np.argsort(-away, kind='stable')[: int(empty.sum())]]
        centres[moving] = moved
        step = moved - before
        lengths = np.einsum('skd,skd->sk', step, step).max(axis=1)
        moving = moving[lengths > SMALLEST_MOVE**2]
        if not len(moving):
            break
    return centres


def nearest(points: Floats, centres: Floats) -> Indices:
    """For every point, the nearest centre (the first on ties)."""
    nearest_centre: Indices = _closeness(points, centres).argmax(axis=0)
    return nearest_centre


def _closeness(points: Floats, centres: Floats) -> Floats:
    """Half the squared length of a point less half its squared distance from each centre.

    (\\*S, groups, d) centres give (\\*S, groups, n). The length of the point is the same for every
    centre, so it is left out.
    """
    half_lengths = np.einsum('...kd,...kd->...k', centres, centres) / 2
    products = centres.reshape(-1, centres.shape[-1]) @ points.T
    closeness: Floats = products.reshape(*centres.shape[:-1], len(points)) - half_lengths[..., None]
    return closeness


def _spread(points: Floats, groups: int, rng: np.random.Generator, starts: int) -> Indices:
    """k-means++: each start is drawn in proportion to its squared distance from the others.

    Returns (starts, groups) indices of points.
    """
    draws = [(rng.integers(len(points)), rng.random(groups - 1)) for _ in range(starts)]
    shares = np.stack([share for _, share in draws])
    norms = np.einsum('nd,nd->n', points, points)
    rows = np.arange(starts)
    chosen = np.empty((starts, groups), dtype=np.int64)
    chosen[:, 0] = [point for point, _ in draws]
    distance = np.full((starts, len(points)), np.inf)
    for group in range(1, groups):
        last = chosen[:, group - 1]
        away = norms - 2 * (points[last] @ points.T) + norms[last, None]
        np.minimum(distance, np.maximum(away, 0, out=away), out=distance)
        distance[rows, last] = 0
        cumulated = distance.cumsum(axis=1)
        total = cumulated[:, -1]
        drawn = (cumulated <= (shares[:, group - 1] * total)[:, None]).sum(axis=1)
        chosen[:, group] = np.minimum(drawn, len(points) - 1)
        for start in np.flatnonzero(total <= 0):
            remaining = np.setdiff1d(np.arange(len(points)), chosen[start, :group])
            chosen[start, group] = remaining[0]
    return chosen


def medoids(points: Floats, centres: Floats, assignment: Indices) -> Indices:
    """For every group, the point of that group nearest to its centre (lowest index on ties)."""
    result = []
    for group, centre in enumerate(centres):
        members = np.flatnonzero(assignment == group)
        if len(members):
            away = ((points[members] - centre) ** 2).sum(axis=1)
            result.append(int(members[_first_smallest(away)]))
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
    lengths = np.einsum('nd,nd->n', points, points)
    away = lengths - 2 * _closeness(points, centres)
    return centres, np.array([_first_smallest(row) for row in away], dtype=np.int64)


def _first_smallest(squares: Floats) -> int:
    """Index of the smallest squared distance, the lowest on ties."""
    smallest = max(float(squares.min()), 0.0)
    return int((squares <= smallest * (1 + TIE) + 1e-12).argmax())


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
