"""Sizes of marked objects in an image that is too large to be looked at as a whole.

Only windows around object markers are encoded. What decoders and thresholds must know of the image,
they take from these windows together, which hold the objects that were shown and what is around
them; so sizes are close to those in the whole image, and a range of sizes is many times wider.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_flim.delineation.area_range import object_sizes
from napari_flim.delineation.inputs import FIRST_OBJECT
from napari_flim.delineation.objects import class_map, separate_objects
from napari_flim.delineation.seed_settings import SeedSettings
from napari_flim.engine.image import Box
from napari_flim.engine.markers import MarkerSet
from napari_flim.inference.applying import Applying
from napari_flim.inference.streamed_saliency import stream_saliency
from napari_flim.inference.tiles import Tile
from napari_flim.progress import Job

SIDE = {2: 512, 3: 64}
"""Voxels of a window along each axis, by rank."""
MOST = 10
"""Object markers, evenly chosen, that are looked at in one image."""


@dataclass(frozen=True)
class MarkedSizes:
    """What was measured.

    Attributes
    ----------
    sizes : tuple of float
        Area or volume in world units.
    cut : int
        Objects that reach beyond their window, and so were not measured.
    """

    sizes: tuple[float, ...]
    cut: int

    def words(self, name: str) -> str:
        """What was not measured of an image of this name; empty if nothing.

        Examples
        --------
        >>> MarkedSizes((31.0,), cut=1).words('slide')  # doctest: +ELLIPSIS
        '1 of 2 marked objects of slide are too large for a look at their surroundings alone and...'
        """
        if not self.cut:
            return ''
        return (
            f'{self.cut} of {self.cut + len(self.sizes)} marked objects of {name} are too large '
            'for a look at their surroundings alone and were not measured'
        )


def sizes_in_windows(
    applying: Applying, markers: MarkerSet, settings: SeedSettings
) -> Job[MarkedSizes]:
    """Sizes of the objects in the saliency that hold a voxel of an object marker.

    Parameters
    ----------
    applying : Applying
        The model, and the image.
    markers : MarkerSet
    settings : SeedSettings
        How saliency is cut into objects; limits of size and border have no part in it.

    Yields
    ------
    Progress

    Raises
    ------
    DecoderError
        When the decoder cannot work with the kernels.
    """
    windows = _windows(applying, markers)
    if not windows:
        return MarkedSizes((), 0)
    raw = _Parts((len(applying.object_classes), *applying.image.shape))
    saliency = yield from stream_saliency(applying, raw, [window.tile for window in windows])
    maps = [saliency[(slice(None), *window.tile.core)] for window in windows]
    found, spacing = _objects(maps, applying, settings), applying.image.spacing
    sizes: list[float] = []
    beyond = 0
    for window, regions in zip(windows, found, strict=True):
        shown = np.unique(regions[tuple(window.marked.T)])
        shown = shown[shown > 0]
        whole = shown[~np.isin(shown, _touching(regions, window, applying.image.shape))]
        sizes += object_sizes(regions, spacing)[whole - 1].tolist()
        beyond += len(shown) - len(whole)
    return MarkedSizes(tuple(sizes), beyond)


@dataclass(frozen=True, eq=False)
class _Window:
    """A window, and the voxels of its marker within it: (M, ndim) int array."""

    tile: Tile
    marked: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Parts:
    """Some parts of an array, kept in memory."""

    shape: tuple[int, ...]
    parts: dict[str, NDArray[np.float32]] = field(default_factory=dict)

    def __getitem__(self, index: Any) -> NDArray[np.float32]:
        return self.parts[str(index)]

    def __setitem__(self, index: Any, value: NDArray[np.float32]) -> None:
        self.parts[str(index)] = value


def _windows(applying: Applying, markers: MarkerSet) -> list[_Window]:
    """Windows of one shape around object markers, as tiles."""
    objects = np.unique(markers.markers[markers.classes >= FIRST_OBJECT])
    chosen = objects[np.linspace(0, len(objects) - 1, min(MOST, len(objects))).round().astype(int)]
    windows = []
    for number, marker in enumerate(chosen.tolist()):
        voxels = markers.coordinates[markers.markers == marker]
        middle = (voxels.min(axis=0) + voxels.max(axis=0) + 1) // 2
        core, read, inside = [], [], []
        axes = zip(middle, applying.image.shape, applying.halo, applying.stride, strict=True)
        for place, length, halo, step in axes:
            side = min(SIDE[markers.ndim], length)
            start = min(max(0, int(place) - side // 2), length - side) // step * step
            first = max(0, start - halo) // step * step
            core.append(slice(start, start + side))
            read.append(slice(first, min(length, start + side + halo)))
            inside.append(slice(start - first, start - first + side))
        box = tuple(core)
        within = voxels - [part.start for part in box]
        held = ((within >= 0) & (within < [part.stop - part.start for part in box])).all(axis=1)
        windows.append(_Window(Tile(number, box, tuple(read), tuple(inside)), within[held]))
    return windows


def _objects(
    maps: Sequence[NDArray[np.float32]], applying: Applying, settings: SeedSettings
) -> list[NDArray[np.int32]]:
    """Objects in each window, as the thresholds of all windows together show them."""
    spacing = applying.image.spacing
    gap = 1 + ceil(2 * max(settings.opening, settings.closing) / spacing[0])
    empty = np.zeros((len(maps[0]), gap, *maps[0].shape[2:]), dtype=np.float32)
    length = maps[0].shape[1]
    row = np.concatenate([part for one in maps for part in (one, empty)], axis=1)
    unlimited = replace(settings, sizes=None, border=None)
    regions = separate_objects(class_map(row, applying.object_classes, unlimited, spacing))
    starts = range(0, len(regions), length + gap)
    return [regions[start : start + length] for start in starts]


def _touching(
    regions: NDArray[np.int32], window: _Window, shape: Sequence[int]
) -> NDArray[np.int32]:
    """Objects at the sides of a window beyond which the image goes on."""
    box: Box = window.tile.core
    sides = [np.zeros(0, dtype=np.int32)]
    for axis, (part, length) in enumerate(zip(box, shape, strict=True)):
        if part.start > 0:
            sides.append(regions.take(0, axis=axis).ravel())
        if part.stop < length:
            sides.append(regions.take(-1, axis=axis).ravel())
    return np.unique(np.concatenate(sides))
