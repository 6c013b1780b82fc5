"""Tiles: parts of an image that are read with a halo and answer for what lies inside it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from napari_flim.engine.image import Box


@dataclass(frozen=True)
class Tile:
    """One part of an image.

    Attributes
    ----------
    number : int
        From 0, in C order.
    core : tuple of slice
        What this tile answers for; the cores of all tiles cover the image once.
    read : tuple of slice
        The core with its halo, as far as the image goes.
    inside : tuple of slice
        Where the core lies within ``read``.
    """

    number: int
    core: Box
    read: Box
    inside: Box

    def on_grid(self, stride: Sequence[int]) -> tuple[Box, Box]:
        """The core on a subsampled grid, and where it lies within what was read.

        Parameters
        ----------
        stride : sequence of int
            Accumulated stride of the grid; the alignment of the tiles is a multiple of it.

        Examples
        --------
        >>> first, second = tiles((10,), (4,), (3,), (2,))[:2]
        >>> second.on_grid((2,))
        ((slice(2, 4, None),), (slice(2, 4, None),))
        """
        core, inside = [], []
        for own, read, step in zip(self.core, self.read, stride, strict=True):
            first, last = own.start // step, -(-own.stop // step)
            origin = read.start // step
            core.append(slice(first, last))
            inside.append(slice(first - origin, last - origin))
        return tuple(core), tuple(inside)


def tiles(
    shape: Sequence[int], size: Sequence[int], halo: Sequence[int], alignment: Sequence[int]
) -> list[Tile]:
    """Tiles of an image, first to last in C order.

    Parameters
    ----------
    shape : sequence of int
        Spatial shape of the image.
    size : sequence of int
        Largest size of a core; made smaller to be a multiple of the alignment, but not smaller
        than one.
    halo : sequence of int
        Voxels to read to each side of a core; rounded up so that reading starts aligned.
    alignment : sequence of int
        Cores and what is read start at multiples of it.

    Examples
    --------
    >>> [tile.core[0].indices(9)[:2] for tile in tiles((9,), (4,), (1,), (2,))]
    [(0, 4), (4, 8), (8, 9)]
    >>> tiles((9,), (4,), (1,), (2,))[1].read
    (slice(2, 9, None),)
    """
    axes = [
        _along(length, max(step, most // step * step), -(-margin // step) * step)
        for length, most, margin, step in zip(shape, size, halo, alignment, strict=True)
    ]
    return [
        Tile(number, *(tuple(parts) for parts in zip(*places, strict=True)))
        for number, places in enumerate(itertools.product(*axes))
    ]


def _along(length: int, size: int, margin: int) -> list[tuple[slice, slice, slice]]:
    """Core, read and inside along one axis."""
    places = []
    for start in range(0, length, size):
        stop = min(start + size, length)
        first, last = max(0, start - margin), min(stop + margin, length)
        places.append((slice(start, stop), slice(first, last), slice(start - first, stop - first)))
    return places
