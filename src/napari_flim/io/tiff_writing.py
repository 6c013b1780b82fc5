"""Writing TIFF files that Fiji, QuPath and napari open with axes, voxel size and unit."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_flim.engine.placement import Placement
from napari_flim.errors import FileError
from napari_flim.io.atomic import write_atomically
from napari_flim.io.units import SHORT

TILE = 512
"""Side of the tiles of a file that is written tile by tile."""
CLASSIC = 2**32 - 2**25
"""Bytes that surely fit into a TIFF that is no BigTIFF."""


def write_tiff(
    path: Path | str,
    array: NDArray[Any],
    axes: str,
    spacing: Sequence[float],
    placement: Placement | None = None,
) -> None:
    """Write a compressed TIFF that Fiji, napari and `read_tiff` read back in the same shape.

    Parameters
    ----------
    path : path
        Ends in .tif or .tiff.
    array : array of uint8, uint16, uint32 or float32
    axes : str
        One letter for each axis: YX or ZYX, with C before for channels.
    spacing : sequence of float
        Voxel size along each spatial axis.
    placement : Placement, optional
        Unit and origin; a TIFF has no place for an orientation.

    Raises
    ------
    FileError
        When array, axes and spacing do not fit together, or the file cannot be written.
    """
    import tifffile

    options = _layout(path, array, axes, spacing, placement or Placement())
    write_atomically(
        path,
        lambda temporary: tifffile.imwrite(
            temporary,
            array,
            photometric='minisblack',
            compression='zlib',
            **options,
        ),
    )


def write_tiled_tiff(
    path: Path | str,
    array: Any,
    axes: str,
    spacing: Sequence[float],
    placement: Placement | None = None,
) -> None:
    """Write a compressed TIFF tile by tile, of which only a row of tiles is in memory.

    The metadata are those of OME, which readers of large images know; see `write_tiff`.

    Parameters
    ----------
    array : array
        Anything that has shape and dtype and can be sliced.
    """
    import tifffile

    _check(path, array, axes, spacing)
    placement = placement or Placement()
    spatial = axes.lstrip('C')
    metadata: dict[str, Any] = {'axes': axes}
    for letter, size in zip(spatial, spacing, strict=True):
        metadata[f'PhysicalSize{letter}'] = float(size)
        metadata[f'PhysicalSize{letter}Unit'] = SHORT.get(placement.unit, 'pixel')
    ome = 1 not in array.shape
    write_atomically(
        path,
        lambda temporary: tifffile.imwrite(
            temporary,
            _tiles(array),
            shape=array.shape,
            dtype=array.dtype,
            tile=(TILE, TILE),
            photometric='minisblack',
            compression='zlib',
            bigtiff=array.dtype.itemsize * _padded(array.shape) > CLASSIC,
            ome=ome,
            metadata=metadata if ome else _own(axes, spacing, placement),
        ),
    )


def _tiles(array: Any) -> Iterator[NDArray[Any]]:
    """Tiles of all pages in the order of the file; those at the edges may be smaller."""
    height, width = array.shape[-2:]
    for page in itertools.product(*(range(size) for size in array.shape[:-2])):
        for top in range(0, height, TILE):
            row = np.asarray(array[(*page, slice(top, top + TILE))])
            for left in range(0, width, TILE):
                tile = row[:, left : left + TILE]
                missing = [(0, TILE - size) for size in tile.shape]
                yield np.pad(tile, missing)


def _padded(shape: Sequence[int]) -> int:
    """Voxels of all tiles."""
    count = 1
    for size in shape[:-2]:
        count *= size
    for size in shape[-2:]:
        count *= -(-size // TILE) * TILE
    return count


def _layout(
    path: Path | str, array: Any, axes: str, spacing: Sequence[float], placement: Placement
) -> dict[str, Any]:
    """Options of tifffile for a file that is written at once."""
    _check(path, array, axes, spacing)
    sizes = dict(zip(axes.lstrip('C'), map(float, spacing), strict=True))
    # ImageJ's layout is what Fiji opens with all axes and voxel sizes, but it has no 32-bit
    # integers, wants z before c, drops axes of length 1 and ends at 4 GB; tifffile's own layout
    # keeps all.
    odd = array.dtype == np.uint32 or axes == 'CZYX' or 1 in array.shape
    large = array.nbytes > CLASSIC
    if odd or large:
        return {'metadata': _own(axes, spacing, placement), 'bigtiff': large}
    metadata: dict[str, Any] = {'axes': axes}
    options: dict[str, Any] = {'imagej': True, 'metadata': metadata}
    if placement.unit or any(size != 1 for size in sizes.values()):
        options['resolution'] = (1 / sizes['X'], 1 / sizes['Y'])
        metadata['unit'] = SHORT.get(placement.unit, 'unit').replace('µ', 'u')
        metadata['spacing'] = sizes.get('Z', 1.0)
    for letter, origin in zip(sizes, placement.origin, strict=False):
        metadata[f'{letter.lower()}origin'] = repr(-origin / sizes[letter])
    return options


def _own(axes: str, spacing: Sequence[float], placement: Placement) -> dict[str, Any]:
    """Metadata of tifffile's own layout."""
    metadata: dict[str, Any] = {'axes': axes, 'spacing': [float(size) for size in spacing]}
    if placement.unit:
        metadata['unit'] = placement.unit
    if placement.origin:
        metadata['origin'] = [*placement.origin]
    return metadata


def _check(path: Path | str, array: Any, axes: str, spacing: Sequence[float]) -> None:
    if not str(path).lower().endswith(('.tif', '.tiff')):
        raise FileError(f'{path} should end in .tif for a result that is written as TIFF.')
    if len(axes) != array.ndim or len(spacing) != len(axes.lstrip('C')) or 0 in array.shape:
        raise FileError(
            f'An array of shape {array.shape} with voxel size {tuple(spacing)} cannot be written '
            f'to {path}; expected one voxel size for each of two or three spatial axes.'
        )
