"""Where the maps of an image lie in the world, exactly, whatever its rotation, shear and units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_flim.bridge.layer_axes import marker_axes
from napari_flim.engine.image import SPATIAL

if TYPE_CHECKING:
    from napari.layers import Image, Layer

Grid = dict[str, Any]
"""The seven spatial attributes of a layer: scale, translate, rotate, shear, affine, units, labels.

Results have all of them: beside an image in µm, a layer without unit takes the unit of the scale
bar away.
"""


def grid_of(layer: Image, axes: str, *, stride: Sequence[int] | None = None) -> Grid:
    """Spatial attributes of a map on the marker axes of an image.

    Pooling with an odd window keeps voxel i of a map exactly at image voxel ``i * stride``. The
    linear part of a layer is rotation, shear, then scale, so this stride multiplies the scale and
    changes nothing else.

    Parameters
    ----------
    layer : napari.layers.Image
    axes : str
        One letter for each axis of the image, channels first if it has any.
    stride : sequence of int, optional
        Accumulated stride along each spatial axis; 1 by default.

    Returns
    -------
    dict
        Keyword arguments of a layer of the shape of the map.
    """
    letters = marker_axes(axes)
    steps = np.ones(len(letters))
    if stride is not None:
        steps[[letter in SPATIAL for letter in letters]] = stride
    kept = list(range(layer.ndim))[-len(letters) :]
    return {
        'scale': layer.scale[kept] * steps,
        'translate': layer.translate[kept],
        'rotate': layer.rotate[np.ix_(kept, kept)],
        'shear': _as_matrix(layer.shear, layer.ndim)[np.ix_(kept, kept)],
        'affine': layer.affine.set_slice(kept),
        'units': tuple(layer.units[axis] for axis in kept),
        'axis_labels': tuple(layer.axis_labels[axis] for axis in kept),
    }


def channel_grid(layer: Image, axes: str, stride: Sequence[int]) -> Grid:
    """Spatial attributes of an array of one map for each kernel, (K, \\*map).

    Parameters
    ----------
    layer, axes, stride
        See `grid_of`.

    Returns
    -------
    dict
        Keyword arguments of a layer; its first axis is called kernel and counts pixels, the only
        unit that leaves the viewer its own.
    """
    grid = grid_of(layer, axes, stride=stride)
    return {
        'scale': np.insert(grid['scale'], 0, 1.0),
        'translate': np.insert(grid['translate'], 0, 0.0),
        'rotate': _with_first_axis(grid['rotate']),
        'shear': _with_first_axis(grid['shear']),
        'affine': grid['affine'].expand_dims([0]),
        'units': ('pixel', *grid['units']),
        'axis_labels': ('kernel', *grid['axis_labels']),
    }


def at_frame(grid: Grid, axis: int, frame: int) -> Grid:
    """The grid of one image of a stack: its axis of images begins there."""
    translate = np.array(grid['translate'], dtype=np.float64)
    translate[axis] += frame * np.asarray(grid['scale'])[axis]
    return {**grid, 'translate': translate}


def shifted(grid: Grid, voxel: Sequence[int]) -> Grid:
    """The grid of a part that begins at a voxel.

    Parameters
    ----------
    grid : dict
        Of the whole, see `grid_of`.
    voxel : sequence of int
        One index for each axis.
    """
    step = np.asarray(grid['scale'], dtype=np.float64) * voxel
    translate = grid['translate'] + grid['rotate'] @ grid['shear'] @ step
    return {**grid, 'translate': translate}


def world_of(layer: Image, axes: str, voxel: Sequence[float]) -> tuple[float, ...]:
    """World coordinates of a voxel given on the marker axes of an image.

    Returns
    -------
    tuple of float
        One for each axis of the layer; along channels, the place of the first one.
    """
    place = dict(zip(marker_axes(axes), voxel, strict=True))
    position = [place.get(letter, 0) for letter in axes if letter != 'S']
    return tuple(float(value) for value in layer.data_to_world(position))


def move_to(layer: Layer, grid: Grid) -> None:
    """Give a layer the spatial attributes that differ; each one that is set redraws the layer."""
    for name, value in grid.items():
        current = getattr(layer, name)
        if name == 'shear':
            same = np.array_equal(_as_matrix(current, layer.ndim), value)
        elif name in ('units', 'axis_labels'):
            same = tuple(map(str, current)) == tuple(map(str, value))
        else:
            same = np.array_equal(current, value)
        if not same:
            setattr(layer, name, value)


def _as_matrix(shear: Any, ndim: int) -> NDArray[np.float64]:
    """Shear as a matrix; napari gives an upper triangle as a list."""
    values = np.asarray(shear, dtype=np.float64)
    if values.ndim == 2:
        return values
    matrix = np.eye(ndim)
    matrix[np.triu_indices(ndim, k=1)] = values
    return matrix


def _with_first_axis(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    larger = np.eye(len(matrix) + 1)
    larger[1:, 1:] = matrix
    return larger
