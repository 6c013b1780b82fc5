"""Writing label images and saliency maps in several formats, tables as CSV; reading labels back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_flim.engine.image import SPATIAL, Image
from napari_flim.engine.placement import Placement
from napari_flim.errors import FileError
from napari_flim.io.atomic import write_atomically
from napari_flim.io.images import read_image
from napari_flim.io.nifti_writing import write_nifti
from napari_flim.io.ome_zarr_writing import OmeVersion, write_ome_zarr
from napari_flim.io.tiff_writing import write_tiff

if TYPE_CHECKING:
    import pandas

RESULT_FORMATS = {'tif': '.tif', 'ome-zarr': '.ome.zarr', 'nii.gz': '.nii.gz'}
"""Endings of results by the names of their formats."""
ENDINGS = {
    '.tif': 'tif',
    '.tiff': 'tif',
    '.zarr': 'ome-zarr',
    '.nii': 'nii.gz',
    '.nii.gz': 'nii.gz',
}

Grid = Image | Sequence[float]
"""The image whose voxels a result has, or only its voxel size along each spatial axis."""


def write_labels(
    path: Path | str, labels: NDArray[Any], grid: Grid, version: OmeVersion = '0.5'
) -> None:
    """Write a label image, in the smallest unsigned type that holds it.

    Parameters
    ----------
    path : path
        Its ending chooses the format: .tif, .ome.zarr, .nii.gz or .nii.
    labels : (\\*S) array of integers or bool
    grid : Image or sequence of float
        The image of the labels, whose voxel size, unit, origin and orientation are written as
        far as the format can hold them; or only the voxel size along each axis (z, y, x).
    version : {'0.5', '0.4'}
        Of OME-Zarr.

    Raises
    ------
    FileError
        For values that are not whole numbers from 0 to 2**32 - 1, a grid of another rank, or a
        file that cannot be written.
    """
    if labels.dtype.kind not in 'bui' or (labels.size and labels.min() < 0):
        raise FileError(
            f'Labels of type {labels.dtype} cannot be written to {path}; '
            'expected whole numbers from 0 up.'
        )
    dtype = label_type(int(labels.max()) if labels.size else 0)
    _write(path, labels.astype(dtype), SPATIAL[-labels.ndim :], grid, version)


def write_saliency(
    path: Path | str, saliency: NDArray[Any], grid: Grid, version: OmeVersion = '0.5'
) -> None:
    """Write a saliency map, or one for each class, as float32.

    Parameters
    ----------
    path : path
        Its ending chooses the format: .tif, .ome.zarr, .nii.gz or .nii.
    saliency : (\\*S) or (classes, \\*S) array of float
        Usually between 0 and 1.
    grid : Image or sequence of float
        As for `write_labels`; its rank tells a class axis from a z axis.
    version : {'0.5', '0.4'}
        Of OME-Zarr.

    Raises
    ------
    FileError
        For a grid of another rank, or a file that cannot be written.
    """
    ndim = len(placed(grid)[0])
    axes = 'C' * (saliency.ndim > ndim) + SPATIAL[-ndim:]
    _write(path, saliency.astype(np.float32), axes, grid, version)


def label_type(largest: int) -> type[np.unsignedinteger[Any]]:
    """The smallest type that holds labels up to the largest.

    Raises
    ------
    FileError
        From 2**32 up.
    """
    for dtype in (np.uint8, np.uint16, np.uint32):
        if largest <= np.iinfo(dtype).max:
            return dtype
    raise FileError(f'Label {largest} does not fit into a label image; renumber the labels.')


def result_format(path: Path | str) -> str:
    """The format of a result by the ending of its path; a key of `RESULT_FORMATS`.

    Raises
    ------
    FileError
        When results are not written with that ending.
    """
    for ending, name in ENDINGS.items():
        if str(path).lower().endswith(ending):
            return name
    raise FileError(
        f'{path} should end in {" or ".join(RESULT_FORMATS.values())}, which chooses the format.'
    )


def placed(grid: Grid) -> tuple[tuple[float, ...], Placement]:
    """Voxel size and placement of a grid."""
    if isinstance(grid, Image):
        return grid.spacing, grid.placement or Placement()
    return tuple(float(size) for size in grid), Placement()


def _write(
    path: Path | str, array: NDArray[Any], axes: str, grid: Grid, version: OmeVersion
) -> None:
    spacing, placement = placed(grid)
    name = result_format(path)
    if name == 'tif':
        write_tiff(path, array, axes, spacing, placement)
    elif name == 'ome-zarr':
        write_ome_zarr(path, array, axes, spacing, placement, version)
    else:
        write_nifti(path, array, axes, spacing, placement)


def write_table(path: Path | str, table: pandas.DataFrame) -> None:
    """Write a table as CSV in UTF-8, with up to nine digits; the same bytes on every system.

    Raises
    ------
    FileError
        When the file cannot be written.
    """
    text = table.to_csv(index=False, float_format='%.9g', lineterminator='\n')
    write_atomically(path, lambda temporary: temporary.write_bytes(text.encode('utf-8')))


def read_labels(path: Path | str) -> NDArray[Any]:
    """Read a label image or mask whole: tif, png, npy, nii, nii.gz or zarr.

    Numbers are returned as stored (a mask of 0 and 255 stays one); an RGB picture with equal
    channels counts as grey; whole numbers stored as floats become integers.

    Returns
    -------
    (\\*S) array of integers

    Raises
    ------
    FileError
        When the file cannot be read or does not hold one whole number for each voxel.
    """
    image = read_image(path, indices=True).in_memory()
    labels: NDArray[Any] = image.data[0]
    if (image.data != labels).any():
        raise FileError(
            f'{path} is a picture with {image.channels} channels, not a label image; '
            'expected one whole number for each voxel.'
        )
    if labels.dtype.kind == 'f':
        whole = np.isfinite(labels).all() and (labels == np.floor(labels)).all()
        if not whole or np.abs(labels).max() > np.iinfo(np.int32).max:
            raise FileError(
                f'{path} holds fractions, not labels; expected a whole number for each voxel.'
            )
        labels = labels.astype(np.int32)
    return labels.astype(np.uint8) if labels.dtype.kind == 'b' else labels
