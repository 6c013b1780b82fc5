"""Writing label images and saliency maps as TIFF, tables as CSV; reading label images back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_flim.engine.image import SPATIAL
from napari_flim.errors import FileError
from napari_flim.io.atomic import write_atomically
from napari_flim.io.images import read_image
from napari_flim.io.tiff import write_tiff

if TYPE_CHECKING:
    import pandas


def write_labels(path: Path | str, labels: NDArray[Any], spacing: Sequence[float]) -> None:
    """Write a label image as compressed TIFF, in the smallest unsigned type that holds it.

    Parameters
    ----------
    path : path
        Ends in .tif or .tiff.
    labels : (\\*S) array of integers or bool
    spacing : sequence of float
        Voxel size along each axis (z, y, x) or (y, x).

    Raises
    ------
    FileError
        For values that are not whole numbers from 0 to 2**32 - 1, a spacing of another rank, or a
        file that cannot be written.
    """
    if labels.dtype.kind not in 'bui' or (labels.size and labels.min() < 0):
        raise FileError(
            f'Labels of type {labels.dtype} cannot be written to {path}; '
            'expected whole numbers from 0 up.'
        )
    largest = int(labels.max()) if labels.size else 0
    fitting = [t for t in (np.uint8, np.uint16, np.uint32) if largest <= np.iinfo(t).max]
    if not fitting:
        raise FileError(f'Label {largest} does not fit into a label image; renumber the labels.')
    write_tiff(path, labels.astype(fitting[0]), SPATIAL[-labels.ndim :], spacing)


def write_saliency(path: Path | str, saliency: NDArray[Any], spacing: Sequence[float]) -> None:
    """Write a saliency map, or one for each class, as compressed float32 TIFF.

    Parameters
    ----------
    path : path
        Ends in .tif or .tiff.
    saliency : (\\*S) or (classes, \\*S) array of float
        Usually between 0 and 1.
    spacing : sequence of float
        Voxel size along each spatial axis; its length tells a class axis from a z axis.

    Raises
    ------
    FileError
        For a spacing of another rank, or a file that cannot be written.
    """
    axes = 'C' * (saliency.ndim > len(spacing)) + SPATIAL[-len(spacing) :]
    write_tiff(path, saliency.astype(np.float32), axes, spacing)


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
    """Read a label image or mask: tif, png, npy, nii or nii.gz.

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
    image = read_image(path, indices=True)
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
