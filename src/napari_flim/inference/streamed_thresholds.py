"""Thresholds of saliency that is seen tile by tile, equal to those of the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_flim.delineation.inputs import checked_saliency
from napari_flim.delineation.objects import ObjectSettings
from napari_flim.delineation.saliency_thresholds import (
    interpolated,
    otsu_counts,
    otsu_threshold,
    percentile_ranks,
)
from napari_flim.engine.image import Box, computed
from napari_flim.inference.scratch import Readable
from napari_flim.inference.stages import Stages
from napari_flim.inference.tiles import Tile
from napari_flim.progress import Job

DIGIT = 16
"""Bits of a number that one look at the image decides."""


@dataclass(frozen=True)
class OneMap:
    """Saliency of one class; can be pickled.

    Attributes
    ----------
    saliency : (L, \\*S) array
    index : int
        Which of its maps.
    number : int
        Of the class.
    """

    saliency: Readable
    index: int
    number: int

    def __call__(self, box: Box) -> NDArray[np.floating[Any]]:
        """A part of the map, checked."""
        maps = checked_saliency(computed(self.saliency[self.index, *box]))[0]
        return np.asarray(maps[0])


@dataclass(frozen=True, eq=False)
class Ends:
    """Lowest and highest value: arrays of one length, of the type of the saliency."""

    lowest: NDArray[np.floating[Any]]
    highest: NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Counts:
    """How often something occurs."""

    counts: NDArray[np.int64]


def streamed_cut(
    one: OneMap, tiles: Sequence[Tile], settings: ObjectSettings, stages: Stages
) -> Job[float]:
    """Saliency above which a voxel is salient; infinite for a constant map.

    Parameters
    ----------
    one : OneMap
    tiles : sequence of Tile
    settings : ObjectSettings
        With the rule ``'component_otsu'`` this is the first of two thresholds.
    stages : Stages

    Raises
    ------
    DelineationError
        When a value is not finite.
    """
    name = f'saliency of class {one.number}'
    parts = yield from stages.run(f'looking at the {name}', partial(_ends, one), tiles, Ends)
    lowest = np.min([part.lowest[0] for part in parts])
    highest = np.max([part.highest[0] for part in parts])
    if lowest == highest:
        return float('inf')
    if settings.threshold is not None:
        return settings.threshold
    if settings.rule == 'percentile':
        found = yield from _percentile(one, tiles, settings.percentile, stages)
    else:
        counting = partial(_otsu_counts, one, lowest, highest)
        counted = yield from stages.run(f'counting the {name}', counting, tiles, Counts)
        found = otsu_threshold(np.sum([part.counts for part in counted], axis=0), lowest, highest)
    return found * settings.scale


def _ends(one: OneMap, tile: Tile) -> Ends:
    values = one(tile.core)
    return Ends(values.min(keepdims=True).ravel(), values.max(keepdims=True).ravel())


def _otsu_counts(one: OneMap, lowest: np.floating, highest: np.floating, tile: Tile) -> Counts:
    return Counts(otsu_counts(one(tile.core), lowest, highest))


def _percentile(
    one: OneMap, tiles: Sequence[Tile], percentile: float, stages: Stages
) -> Job[float]:
    """A percentile, by the digits of the two values it lies between."""
    size = sum(int(np.prod([side.stop - side.start for side in tile.core])) for tile in tiles)
    *ranks, share = percentile_ranks(size, percentile)
    dtype = one(tuple(slice(side.start, side.start + 1) for side in tiles[0].core)).dtype
    bits = 8 * dtype.itemsize
    known = [0, 0]
    for left in range(bits - DIGIT, -1, -DIGIT):
        name = f'ordering the saliency of class {one.number}, digit {(bits - left) // DIGIT}'
        counting = partial(_digit_counts, one, tuple(known), left)
        parts = yield from stages.run(name, counting, tiles, Counts)
        for which, row in enumerate(np.sum([part.counts for part in parts], axis=0)):
            at_most = np.cumsum(row)
            digit = int(np.searchsorted(at_most, ranks[which], side='right'))
            ranks[which] -= int(at_most[digit - 1]) if digit else 0
            known[which] = known[which] << DIGIT | digit
    lower, upper = _from_keys(np.array(known, dtype=f'u{dtype.itemsize}'), dtype)
    return interpolated(lower, upper, share)


def _digit_counts(one: OneMap, known: tuple[int, ...], left: int, tile: Tile) -> Counts:
    """How often each next digit follows the digits known of two values: (2, 65536)."""
    keys = _keys(one(tile.core).ravel())
    digits = (keys >> np.array(left, keys.dtype)).astype(np.uint64)
    before, last = digits >> np.uint64(DIGIT), digits & np.uint64(2**DIGIT - 1)
    rows = [
        np.bincount(last[before == value].astype(np.intp), minlength=2**DIGIT) for value in known
    ]
    return Counts(np.array(rows, dtype=np.int64))


def _keys(values: NDArray[np.floating[Any]]) -> NDArray[np.unsignedinteger[Any]]:
    """Whole numbers in the order of real ones.

    Examples
    --------
    >>> np.argsort(_keys(np.array([0.5, -2.0, 1.0, -1.0])))
    array([1, 3, 0, 2])
    """
    bits = np.ascontiguousarray(values).view(f'u{values.dtype.itemsize}')
    sign = np.array(1 << (8 * values.dtype.itemsize - 1), dtype=bits.dtype)
    return np.where(bits & sign, ~bits, bits | sign)


def _from_keys(
    keys: NDArray[np.unsignedinteger[Any]], dtype: np.dtype[Any]
) -> NDArray[np.floating[Any]]:
    """The real numbers of `_keys`."""
    sign = np.array(1 << (8 * dtype.itemsize - 1), dtype=keys.dtype)
    return np.where(keys & sign, keys ^ sign, ~keys).view(dtype)
