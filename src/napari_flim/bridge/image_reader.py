"""Images that napari itself does not open, NIfTI and LIDS scenes, as layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from napari_flim.bridge.reading import LayerData, Paths, each_of
from napari_flim.engine.image import SPATIAL, Image
from napari_flim.engine.placement import Placement
from napari_flim.io.images import read_images, stem

NAMES = {'C': 'channel', 'T': 'time', 'Z': 'z', 'Y': 'y', 'X': 'x'}


def image_reader(path: Paths) -> Callable[[Paths], list[LayerData]]:
    """What napari reads an image with."""
    return read_image_layers


def read_image_layers(paths: Paths) -> list[LayerData]:
    """A layer for each file, in stored voxel order.

    Parameters
    ----------
    paths : str or sequence of str

    Returns
    -------
    list of tuple
        Voxels, options and ``'image'`` of each layer; the axes are (c, t, z, y, x) as far as the
        file has them.

    Raises
    ------
    FlimError
        When a file is damaged, or its axes cannot be told.
    """
    return [_layer(path) for path in each_of(paths)]


def _layer(path: str) -> LayerData:
    images = read_images(path)
    first, letters = images[0], SPATIAL[-images[0].ndim :]
    voxels = _stacked(images)
    if first.rgb:
        voxels = np.moveaxis(voxels, 0, -1)
    elif first.channels == 1:
        voxels = voxels[0]
    else:
        letters = 'C' + 'T' * (len(images) > 1) + letters
    if len(images) > 1 and 'T' not in letters:
        letters = 'T' + letters
    front = len(letters) - first.ndim
    placement = first.placement or Placement()
    options = {
        'name': stem(path),
        'rgb': first.rgb,
        'scale': (1.0,) * front + first.spacing,
        'translate': (0.0,) * front + _origin(placement, first.ndim),
        'units': ('pixel',) * front + (placement.unit or 'pixel',) * first.ndim,
        'axis_labels': tuple(NAMES[letter] for letter in letters),
    }
    return voxels, options, 'image'


def _stacked(images: Sequence[Image]) -> Any:
    """All images as (C, T, ...), or one as (C, ...); those on disk stay unread."""
    if len(images) == 1:
        return images[0].data
    if not images[0].lazy:
        return np.stack([one.data for one in images], axis=1)
    import dask.array

    return dask.array.stack([one.data for one in images], axis=1)


def _origin(placement: Placement, ndim: int) -> tuple[float, ...]:
    """Where the first voxel lies, as far as that can be said without turning the image.

    Painting needs planes along the axes of the voxels, so that an image that is mirrored or turned
    in the patient begins at the origin.
    """
    if placement.affine is None:
        return placement.origin or (0.0,) * ndim
    matrix = np.array(placement.affine)
    part = matrix[:3, :3]
    if not np.array_equal(part, np.diag(np.abs(np.diag(part)))):
        return (0.0,) * ndim
    return tuple(float(value) for value in matrix[2::-1, 3])[-ndim:]
