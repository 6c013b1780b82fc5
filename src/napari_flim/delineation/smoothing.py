"""Saliency smoothed by two cellular automata that grow along similar voxels.

Salvagnini et al., arXiv 2504.11406. Each automaton repeats, in the Moore neighbourhood,
``strength(p) <- max(strength(p), g(p, q) strength(q))`` with ``g = exp(-beta d(p, q))`` until
nothing changes. That fixed point is the best product of g along a path, so one shortest-path run
finds it: a voxel starts at the cost ``-ln strength``, an arc costs ``beta d``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from napari_flim.delineation.inputs import (
    checked_features,
    checked_saliency,
    checked_spacing,
)
from napari_flim.delineation.neighbours import neighbourhood
from napari_flim.delineation.shifts import feature_distance, shifted

BETA = 1.0
OBJECT_BETA = 0.6
"""How fast the foreground fades between similar voxels: slower than the background."""
SIMILAR = 0.2
"""Distance of features below which voxels are similar: .20 in LabNorm2."""
REACH = 10
"""Smallest voxel sizes by which saliency is widened before its complement is background."""
FAINT = 1e-8
"""Keeps logarithms finite."""


def smoothed_saliency(
    saliency: ArrayLike,
    features: ArrayLike,
    *,
    reach: float | None = None,
    spacing: Sequence[float] | None = None,
) -> NDArray[np.float32]:
    """Saliency that follows the borders of the image.

    The foreground starts from the saliency S, the background from 1 - S widened by ``reach``; both
    grow to their fixed points f and b. With e = 1e-8, the result is
    ``ln(b + e) / (ln(b + e) + ln(f + e))``, each logarithm at most 0; 0.5 where both are 0.

    Parameters
    ----------
    saliency : (\\*S) float array in [0, 1]
        Of one class.
    features : (\\*S) or (C, \\*S) float array
        On a scale of about [0, 1], as block 1 reads them.
    reach : float, optional
        World units; 10 of the smallest voxel size by default.
    spacing : sequence of float, optional
        World units per voxel; 1 by default.

    Returns
    -------
    (\\*S) float32 array in [0, 1]
        All 0 when nothing is salient.

    Raises
    ------
    DelineationError
        When shapes do not fit or values are not finite.
    """
    one = checked_saliency(saliency)[0][0].astype(np.float64)
    values = checked_features(features, one.shape)
    units = checked_spacing(spacing, one.ndim)
    if not one.any():
        return np.zeros(one.shape, dtype=np.float32)
    around = _ellipsoid(REACH * min(units) if reach is None else reach, units)
    wide = ndimage.maximum_filter(one, footprint=around, mode='nearest')
    foreground = fixed_point(one, values, object_automaton=True)
    background = fixed_point(1 - wide, values)
    with_object, without = (_distance(strength) for strength in (foreground, background))
    total = with_object + without
    undecided = np.full(one.shape, 0.5)
    return np.divide(without, total, out=undecided, where=total > 0).astype(np.float32)


def fixed_point(
    strength: NDArray[np.floating],
    features: NDArray[np.float32],
    *,
    object_automaton: bool = False,
) -> NDArray[np.float64]:
    """Where an automaton comes to rest.

    Parameters
    ----------
    strength : (\\*S) float array in [0, 1]
        At the start.
    features : (C, \\*S) float array
    object_automaton : bool
        Whether beta is 0.6 instead of 1 between voxels less than 0.2 apart. So does the foreground
        fade; every voxel that passes on its strength is object, so no label is asked for.
    """
    size = strength.size
    start = np.flatnonzero(strength.ravel() > 0)
    if not start.size:
        return np.zeros(strength.shape)
    sources, targets = [np.full(start.size, size)], [start]
    weights = [-np.log(strength.ravel()[start])]
    for source, target, distance in _arcs(features):
        similar = object_automaton & (distance < SIMILAR)
        weights.append(distance * np.where(similar, OBJECT_BETA, BETA))
        sources.append(source)
        targets.append(target)
    ends = (np.concatenate(sources), np.concatenate(targets))
    # Shortest paths need to tell an arc of weight 0 from none; this one changes nothing above 1e-9.
    lengths = np.maximum(np.concatenate(weights), 1e-15)
    graph = coo_array((lengths, ends), shape=(size + 1, size + 1)).tocsr()
    costs = dijkstra(graph, indices=size)[:size]
    return np.asarray(np.exp(-costs)).reshape(strength.shape)


def _arcs(
    features: NDArray[np.float32],
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]]:
    """Arcs of the Moore neighbourhood, one direction at a time, with their feature distance."""
    shape = features.shape[1:]
    index = np.arange(math.prod(shape)).reshape(shape)
    for offset in neighbourhood(len(shape), 8 if len(shape) == 2 else 26).offsets:
        here, there = shifted(shape, offset)
        distance = feature_distance(features, here, there)
        yield index[here].ravel(), index[there].ravel(), distance.ravel()


def _distance(strength: NDArray[np.float64]) -> NDArray[np.float64]:
    """``-ln(strength + e)``, from 0."""
    return np.maximum(-np.log(strength + FAINT), 0.0)


def _ellipsoid(radius: float, spacing: Sequence[float]) -> NDArray[np.bool_]:
    """The voxels within a world distance of the one in the middle."""
    reach = [int(radius / unit) for unit in spacing]
    grid = np.ogrid[tuple(slice(-r, r + 1) for r in reach)]
    squares = sum((axis * unit) ** 2 for axis, unit in zip(grid, spacing, strict=True))
    return np.asarray(squares <= radius**2)
