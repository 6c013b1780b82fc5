"""Connected components of one tile, and what other tiles have to know of them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import label

from napari_flim.delineation.candidates import frame
from napari_flim.engine.image import Box
from napari_flim.inference.tiles import Tile


@dataclass(frozen=True, eq=False)
class Facts:
    """What is known of n components.

    Attributes
    ----------
    voxels : (n,) int64 array
    first : (n,) int64 array
        Flat index, in the image, of their first voxel in C order.
    low, high : (n, ndim) int64 array
        Bounding boxes in the image; ``high`` is the first voxel behind.
    kinds : (n,) int64 array
        What they consist of.
    in_frame : (n,) bool array
        Whether they have a voxel in the frame of the image.
    """

    voxels: NDArray[np.int64]
    first: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    kinds: NDArray[np.int64]
    in_frame: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.voxels)

    def chosen(self, index: NDArray[Any]) -> Facts:
        """The facts of some of the components."""
        return Facts(
            self.voxels[index],
            self.first[index],
            self.low[index],
            self.high[index],
            self.kinds[index],
            self.in_frame[index],
        )


@dataclass(frozen=True)
class Finding:
    """How the components of a tile are found; can be pickled.

    Attributes
    ----------
    kinds : callable
        From a box to what its voxels are: (\\*S) int or bool array, 0 or false for nothing.
    shape : tuple of int
        Of the image.
    connectivity : int
        By how many axes neighbours may differ.
    width : int
        Of the frame of the image, in voxels.
    frame_in_z : bool
        Whether the first and last slices of a volume belong to the frame.
    everything : bool
        Whether components that reach no seam are reported, too.
    """

    kinds: Callable[[Box], NDArray[Any]]
    shape: tuple[int, ...]
    connectivity: int
    width: int = 1
    frame_in_z: bool = True
    everything: bool = False

    def found(self, tile: Tile) -> tuple[NDArray[np.int32], Facts]:
        """Components of the core of a tile, from 1, and what is known of them there."""
        kinds = self.kinds(tile.core)
        labels = _labelled(kinds, self.connectivity)
        count = int(labels.max())
        if not count:
            ndim = len(self.shape)
            none = np.zeros(0, dtype=np.int64)
            places = np.zeros((0, ndim), dtype=np.int64)
            return labels, Facts(none, none, places, places, none, none.astype(bool))
        boxes = ndimage.find_objects(labels)
        start = np.array([side.start for side in tile.core])
        ends = np.array([[(side.start, side.stop) for side in box] for box in boxes])
        places = np.array([_first_voxel(labels, n, box) for n, box in enumerate(boxes, start=1)])
        touched = np.zeros(count + 1, dtype=bool)
        touched[labels[frame(self.shape, self.width, self.frame_in_z, tile.core)]] = True
        return labels, Facts(
            np.bincount(labels.ravel(), minlength=count + 1)[1:],
            np.ravel_multi_index(tuple((places + start).T), self.shape).astype(np.int64),
            ends[..., 0] + start,
            ends[..., 1] + start,
            kinds[tuple(places.T)].astype(np.int64),
            touched[1:],
        )

    def report(self, tile: Tile) -> Report:
        """What other tiles have to know of the components of one."""
        return self.reported(tile, *self.found(tile))

    def reported(self, tile: Tile, labels: NDArray[np.int32], facts: Facts) -> Report:
        """The report on components that were found."""
        seams = [labels[place].ravel() for place in seam_places(tile, self.shape)]
        there = np.concatenate([np.zeros(0, dtype=np.int32), *seams])
        own = np.arange(1, len(facts) + 1) if self.everything else np.unique(there[there > 0])
        number = np.zeros(len(facts) + 1, dtype=np.int32)
        number[own] = np.arange(1, len(own) + 1)
        packed = np.frombuffer(zlib.compress(number[there].tobytes(), 1), dtype=np.uint8)
        return Report(**vars(facts.chosen(own - 1)), labels=own.astype(np.int64), seams=packed)


@dataclass(frozen=True, eq=False)
class Report(Facts):
    """What a tile tells of its components; their facts hold for that tile alone.

    Attributes
    ----------
    labels : (n,) int64 array
        Their numbers within the tile.
    seams : (m,) uint8 array
        Which of them, from 1, lies at every voxel of the seams, compressed.
    """

    labels: NDArray[np.int64]
    seams: NDArray[np.uint8]


def _first_voxel(labels: NDArray[np.int32], number: int, box: Box) -> tuple[int, ...]:
    """The first voxel, in C order, of a component with that bounding box."""
    layer = labels[(box[0].start, *box[1:])] == number
    place = np.unravel_index(int(layer.argmax()), layer.shape)
    return (box[0].start, *(int(at) + side.start for at, side in zip(place, box[1:], strict=True)))


def _labelled(kinds: NDArray[Any], connectivity: int) -> NDArray[np.int32]:
    """Components of equal kinds, from 1."""
    if kinds.dtype == bool:
        around = ndimage.generate_binary_structure(kinds.ndim, connectivity)
        return np.asarray(ndimage.label(kinds, around)[0], dtype=np.int32)
    if not kinds.any():
        return np.zeros(kinds.shape, dtype=np.int32)
    return np.asarray(label(kinds, background=0, connectivity=connectivity), dtype=np.int32)


def seam_places(tile: Tile, shape: Sequence[int]) -> Iterator[tuple[slice | int, ...]]:
    """Where a tile meets others, within its core: first and last layer along every axis."""
    whole: tuple[slice | int, ...] = (slice(None),) * len(shape)
    for axis, (side, length) in enumerate(zip(tile.core, shape, strict=True)):
        if side.start > 0:
            yield (*whole[:axis], 0, *whole[axis + 1 :])
        if side.stop < length:
            yield (*whole[:axis], -1, *whole[axis + 1 :])
