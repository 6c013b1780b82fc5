"""Which voxels are joined by an arc, and how far apart they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from napari_flim.errors import DelineationError

SQUARED_REACH = {2: {4: 1, 8: 2}, 3: {6: 1, 18: 2, 26: 3}}
"""For each rank, the numbers of neighbours and the largest squared distance in voxels."""


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """The arcs that leave a voxel, nearest first and in raster order among equals.

    Attributes
    ----------
    offsets : (K, ndim) int64 array
        Steps in voxels, one row for each neighbour.
    lengths : (K,) float64 array
        Length of every arc in the world, divided by the smallest spacing; all 1 without spacing.
    """

    offsets: NDArray[np.int64]
    lengths: NDArray[np.float64]


def neighbourhood(
    ndim: int, neighbours: int | None = None, spacing: Sequence[float] | None = None
) -> Neighbourhood:
    """The neighbours of a voxel.

    Parameters
    ----------
    ndim : int
        2 or 3.
    neighbours : int, optional
        4 (default) or 8 in two dimensions; 6 (default), 18 or 26 in three.
    spacing : sequence of float, optional
        World units per voxel along each axis; above 0. Without it all arcs count as equally long,
        diagonal ones too.

    Returns
    -------
    Neighbourhood

    Raises
    ------
    DelineationError
        For another rank, another number of neighbours, or an impossible spacing.

    Examples
    --------
    >>> neighbourhood(2).offsets.tolist()
    [[-1, 0], [0, -1], [0, 1], [1, 0]]
    >>> neighbourhood(2, spacing=(3.0, 1.5)).lengths.tolist()
    [2.0, 1.0, 1.0, 2.0]
    """
    if ndim not in SQUARED_REACH:
        raise DelineationError(
            f'The seeds have {ndim} axes; expected 2 (Y, X) or 3 (Z, Y, X). '
            'Delineate one image or one volume at a time.'
        )
    reaches = SQUARED_REACH[ndim]
    number = min(reaches) if neighbours is None else neighbours
    if number not in reaches:
        raise DelineationError(
            f'{neighbours!r} neighbours were asked for in {ndim} dimensions; choose one of '
            f'{", ".join(map(str, reaches))}.'
        )
    cube = np.array(list(product((-1, 0, 1), repeat=ndim)), dtype=np.int64)
    squared = (cube**2).sum(axis=1)
    order = np.argsort(squared, kind='stable')
    offsets = cube[order[(squared[order] > 0) & (squared[order] <= reaches[number])]]
    if spacing is None:
        return Neighbourhood(offsets, np.ones(len(offsets)))
    units = _checked_spacing(spacing, ndim)
    lengths: NDArray[np.float64] = np.linalg.norm(offsets * (units / units.min()), axis=1)
    return Neighbourhood(offsets, lengths)


def _checked_spacing(spacing: Sequence[float], ndim: int) -> NDArray[np.float64]:
    units = np.asarray(spacing, dtype=np.float64)
    if units.shape != (ndim,) or not np.isfinite(units).all() or units.min() <= 0:
        raise DelineationError(
            f'The spacing is {tuple(spacing)!r}; expected {ndim} numbers above 0, '
            'one for each axis of the seeds.'
        )
    return units
