"""Outlines: a picture of an image with the borders of its objects, to look through quickly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_flim.engine.image import Image
from napari_flim.inference.scratch import Readable
from napari_flim.io.atomic import write_atomically

LARGEST_SIDE = 4096
"""Pixels; larger images are drawn smaller, every n-th pixel of them."""
BAND, PLANES = 1024, 64
"""Rows of a plane, and planes of a volume, that are read at once of what is not in memory."""
COLOUR = (255, 255, 0)
SHOWN = (0.5, 99.5)
"""Percentiles that are drawn black and white, where values are not colours already."""


def write_outlines(path: Path, image: Image, labels: Readable) -> None:
    """Write a PNG of an image with the outlines of its objects.

    Of a volume it shows the plane with most voxels of objects, the middle one if there are none:
    a projection would put outlines over what does not belong to them.

    Parameters
    ----------
    path : path
        Ends in .png.
    image : Image
    labels : (\\*S) array of integers
        In memory, or read in parts: 0 background, 1.. objects.

    Raises
    ------
    FileError
        When the file cannot be written.
    """
    import imageio.v3 as imageio

    picture = outlined(image, labels)
    write_atomically(path, lambda temporary: imageio.imwrite(temporary, picture, plugin='pillow'))


def outlined(image: Image, labels: Readable) -> NDArray[np.uint8]:
    """What `write_outlines` writes: (Y, X, 3)."""
    from skimage.segmentation import find_boundaries

    plane = () if image.ndim == 2 else (_fullest(labels),)
    step = -(-max(image.shape[-2:]) // LARGEST_SIDE)
    pixels, numbers = [], []
    for start in range(0, image.shape[-2], BAND // step * step or step):
        rows = slice(start, min(start + (BAND // step * step or step), image.shape[-2]))
        box = (*(slice(z, z + 1) for z in plane), rows, slice(0, image.shape[-1]))
        values = image.crop(box).data[..., ::step, ::step]
        pixels.append(values.reshape(len(values), *values.shape[-2:]))
        numbers.append(np.asarray(labels[(*plane, rows)])[::step, ::step])
    picture = _colours(np.concatenate(pixels, axis=1), image.rgb)
    picture[find_boundaries(np.concatenate(numbers), mode='inner')] = COLOUR
    return picture


def _fullest(labels: Readable) -> int:
    """Number of the plane with most voxels of objects."""
    depth = labels.shape[0]
    counts = np.concatenate(
        [(labels[z : z + PLANES] > 0).sum(axis=(1, 2)) for z in range(0, depth, PLANES)]
    )
    return int(counts.argmax()) if counts.any() else depth // 2


def _colours(channels: NDArray[Any], rgb: bool) -> NDArray[np.uint8]:
    """(C, Y, X) as (Y, X, 3); channels that are no colours become the grey of their mean."""
    if rgb and channels.dtype == np.uint8:
        return np.moveaxis(channels, 0, -1).copy()
    values = channels.astype(np.float32)
    if not rgb:
        values = values.mean(axis=0, keepdims=True)
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, SHOWN) if finite.size else (0.0, 0.0)
    span = high - low if high > low else 1.0
    grey = np.nan_to_num((values - low) / span, nan=0.0, posinf=1.0, neginf=0.0).clip(0, 1)
    bytes_ = np.broadcast_to((255 * grey).astype(np.uint8), (3, *grey.shape[1:]))
    return np.moveaxis(bytes_, 0, -1).copy()
