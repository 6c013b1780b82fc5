"""Crops: the parts of an image around markers, all that learning has to read of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from napari_flim.engine.image import Box

WHOLE = 0.4
"""Crops that hold a larger share of an image are not worth it: it is then read whole."""
OVERHEAD = 4096
"""Voxels whose computation takes about as long as what every crop costs beside its voxels."""
MOST_CELLS = 1000
"""Boxes that are compared with each other before they become crops."""


@dataclass(frozen=True)
class Crop:
    """One part of an image.

    Attributes
    ----------
    core : tuple of slice
        Holds marker voxels, whose surroundings are read completely.
    read : tuple of slice
        The core with its halo, as far as the image goes.
    """

    core: Box
    read: Box

    def cells(self, stride: Sequence[int], shape: Sequence[int]) -> Box:
        """The cells of a subsampled map that voxels of the core go to.

        As in `napari_flim.engine.markers.MarkerSet.on_grid`.

        Parameters
        ----------
        stride : sequence of int
            Accumulated stride of the map.
        shape : sequence of int
            Shape of the map.

        Examples
        --------
        >>> Crop((slice(5, 8),), (slice(0, 12),)).cells((4,), (3,))
        (slice(1, 3, None),)
        """
        return tuple(
            slice(_cell(own.start, step, length), _cell(own.stop - 1, step, length) + 1)
            for own, step, length in zip(self.core, stride, shape, strict=True)
        )


def whole_image(shape: Sequence[int]) -> tuple[Crop, ...]:
    """All of an image as its only crop."""
    everything = tuple(slice(0, length) for length in shape)
    return (Crop(everything, everything),)


def marker_crops(
    voxels: NDArray[np.integer],
    shape: Sequence[int],
    halo: Sequence[int],
    alignment: Sequence[int],
) -> tuple[Crop, ...]:
    """Crops around marker voxels: every voxel lies in the core of one of them.

    Long markers are covered piece by piece. Two crops become one where the box around both costs
    no more than they do; others may overlap.

    Parameters
    ----------
    voxels : (M, ndim) int array
        Without any, the first voxel of the image counts, so that something is known of it.
    shape : sequence of int
        Spatial shape of the image.
    halo : sequence of int
        Voxels to read to each side of a core.
    alignment : sequence of int
        Reading starts at multiples of it.

    Returns
    -------
    tuple of Crop
        `whole_image` where crops would hold more than 40 % of it.

    Examples
    --------
    >>> [crop] = marker_crops(np.array([[50, 60], [52, 60]]), (900, 900), (5, 5), (4, 4))
    >>> crop.core, crop.read
    ((slice(50, 53, None), slice(60, 61, None)), (slice(44, 58, None), slice(52, 66, None)))
    """
    size, around, step = np.array(shape), np.array(halo), np.array(alignment)
    if not len(voxels):
        voxels = np.zeros((1, len(size)), dtype=np.int64)

    def read(cores: NDArray[np.int64]) -> NDArray[np.int64]:
        lowest = np.maximum(cores[..., 0, :] - around, 0) // step * step
        return np.stack([lowest, np.minimum(cores[..., 1, :] + around, size)], axis=-2)

    def cost(cores: NDArray[np.int64]) -> NDArray[np.float64]:
        boxes = read(cores).astype(np.float64)
        voxels: NDArray[np.float64] = (boxes[..., 1, :] - boxes[..., 0, :]).prod(axis=-1)
        return voxels + OVERHEAD

    kept = np.empty((0, 2, len(size)), dtype=np.int64)
    for core in _pieces(voxels, size, around):
        while len(kept):
            joined = np.stack(
                [np.minimum(kept[:, 0], core[0]), np.maximum(kept[:, 1], core[1])], axis=1
            )
            saved = cost(kept) + cost(core) - cost(joined)
            best = int(saved.argmax())
            if saved[best] < 0:
                break
            core, kept = joined[best], np.delete(kept, best, axis=0)
        kept = np.concatenate([kept, core[None]])
    if cost(kept).sum() > WHOLE * prod(shape):
        return whole_image(shape)
    return tuple(Crop(_box(core), _box(part)) for core, part in zip(kept, read(kept), strict=True))


def _pieces(
    voxels: NDArray[np.integer], size: NDArray[np.int64], halo: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Boxes (n, 2, ndim) around the voxels in each cell of a coarse grid, in raster order."""
    # About twice the halo is where a long marker costs least; smaller crops never pay.
    side = np.maximum(2 * halo, int(OVERHEAD ** (1 / len(size))))
    while True:
        counts = tuple(-(-size // side))
        cells = np.ravel_multi_index(tuple((voxels // side).T), counts)
        order = np.argsort(cells, kind='stable')
        first = np.flatnonzero(np.diff(cells[order], prepend=-1))
        if len(first) <= MOST_CELLS:
            break
        side = side * 2
    ordered = voxels[order]
    lowest = np.minimum.reduceat(ordered, first)
    return np.stack([lowest, np.maximum.reduceat(ordered, first) + 1], axis=1).astype(np.int64)


def _cell(voxel: int, step: int, length: int) -> int:
    return min((2 * voxel + step) // (2 * step), length - 1)


def _box(limits: NDArray[np.int64]) -> Box:
    return tuple(slice(int(start), int(stop)) for start, stop in limits.T)
