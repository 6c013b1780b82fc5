"""The places kernels came from, as pictures and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_flim.engine.image import Image
from napari_flim.engine.image_sample import ALL, sampled_values
from napari_flim.session.learned import Learned
from napari_flim.session.sources import ImageSource

PERCENTILES = (1, 99)


def kernel_patches(
    learned: Learned, block: int, sources: Mapping[str, ImageSource]
) -> list[tuple[NDArray[np.uint8] | None, str]]:
    """What a block sees around the voxel that each kernel came from, and that place in words.

    Parameters
    ----------
    learned : Learned
    block : int
        From 1.
    sources : mapping of str to ImageSource
        Open images by key.

    Returns
    -------
    list of (patch, words)
        The patch is (Y, X, 3) uint8, or None where the image is not open or has changed; the
        words are empty where the origin is not known.
    """
    model = learned.model
    bank = model.blocks[block - 1].bank
    halo = model.architecture.halo(model.ndim, block)
    planes: dict[tuple[int, int], _Plane | None] = {}
    found: list[tuple[NDArray[np.uint8] | None, str]] = []
    for index, marker, voxel in zip(bank.images, bank.markers, bank.voxels, strict=True):
        if not 0 <= index < len(learned.origins):
            found.append((None, ''))
            continue
        origin = learned.origins[index]
        place = ', '.join(str(v) for v in voxel)
        words = f'marker {marker + 1} of {origin.name}, voxel ({place})'
        key = int(index), int(voxel[0]) if model.ndim == 3 else 0
        if key not in planes:
            source = sources.get(origin.item)
            planes[key] = None if source is None else _plane(source, origin.frame, voxel)
        plane = planes[key]
        found.append((None if plane is None else plane.patch(voxel[-2:], halo[-2:]), words))
    return found


@dataclass(frozen=True, eq=False)
class _Plane:
    """A plane of an image, unread if it is large, and what becomes black and white of it."""

    image: Image
    limits: tuple[float, float]

    def patch(self, centre: NDArray[np.integer], reach: Sequence[int]) -> NDArray[np.uint8]:
        first = np.maximum(centre - reach, 0)
        box = [slice(a, c + r + 1) for a, c, r in zip(first, centre, reach, strict=True)]
        return cut_patch(
            plane_picture(self.image.crop(tuple(box)), self.limits), centre - first, reach
        )


def _plane(source: ImageSource, frame: int, voxel: NDArray[np.integer]) -> _Plane | None:
    """The plane that holds a voxel, or None if its image has changed and holds it no more.

    Nothing but this plane is read, and of a large one only a sample for its contrast.
    """
    known = source.ndim == len(voxel) and frame < source.frames
    if not known or not (voxel < np.array(source.shape)).all():
        return None
    image = source.frame(frame)
    if image.ndim == 3:
        image = replace(image, data=image.data[:, int(voxel[0])], spacing=image.spacing[1:])
    image = image if prod(image.shape) > ALL else image.in_memory()
    return _Plane(image, contrast(image))


def contrast(image: Image) -> tuple[float, float]:
    """Intensities that become black and white in `plane_picture`."""
    if image.data.dtype == np.uint8:
        return 0.0, 255.0
    values = [sampled_values(channel).reshape(-1) for channel in _shown(image)]
    low, high = np.nanpercentile(np.concatenate(values), PERCENTILES)
    return float(low), float(high)


def plane_picture(image: Image, limits: tuple[float, float]) -> NDArray[np.uint8]:
    """An image of two axes as (Y, X, 3) uint8.

    Three channels become red, green and blue; of any other number the first is shown in grey.
    """
    low, high = limits
    data = _shown(image)
    shares = np.clip((data.astype(np.float32) - low) / max(high - low, 1e-12), 0, 1)
    pixels = (np.nan_to_num(shares) * 255).round().astype(np.uint8)
    colours: NDArray[np.uint8] = np.moveaxis(np.broadcast_to(pixels, (3, *data.shape[1:])), 0, -1)
    return colours


def _shown(image: Image) -> NDArray[Any]:
    return image.data if image.channels == 3 else image.data[:1]


def cut_patch(
    picture: NDArray[np.uint8], centre: Sequence[int] | NDArray[np.integer], reach: Sequence[int]
) -> NDArray[np.uint8]:
    """Pixels around a place, black outside the picture.

    Parameters
    ----------
    picture : (Y, X, 3) uint8 array
    centre, reach : two of int
        (y, x), and how far the patch reaches from there to both sides.

    Examples
    --------
    >>> cut_patch(np.full((4, 4, 3), 9, np.uint8), (0, 3), (1, 1))[..., 0]
    array([[0, 0, 0],
           [9, 9, 0],
           [9, 9, 0]], dtype=uint8)
    """
    patch = np.zeros((*(2 * far + 1 for far in reach), 3), dtype=np.uint8)
    inside, outside = [], []
    for at, far, size in zip(centre, reach, picture.shape, strict=False):
        first, last = max(at - far, 0), min(at + far + 1, size)
        outside.append(slice(first, last))
        inside.append(slice(first - at + far, last - at + far))
    patch[tuple(inside)] = picture[tuple(outside)]
    return patch
