"""The rule ``component_otsu`` tile by tile: every salient component is cut again.

The threshold is Otsu's within the component.
Components within a tile are cut there; those that reach its seams are counted together first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_flim.delineation.saliency_thresholds import (
    BINS,
    otsu_counts,
    otsu_threshold,
    tightened,
)
from napari_flim.engine.image import Box
from napari_flim.inference.connected_tiles import (
    Components,
    KnownTile,
    find_components,
    known_tiles,
)
from napari_flim.inference.stages import Stages
from napari_flim.inference.streamed_thresholds import Counts, Ends, OneMap
from napari_flim.inference.tile_components import Finding
from napari_flim.inference.tiles import Tile
from napari_flim.progress import Job


@dataclass(frozen=True)
class Salient:
    """Where one map lies above a threshold; can be pickled."""

    one: OneMap
    cut: float

    def __call__(self, box: Box) -> NDArray[np.bool_]:
        """A part of the mask."""
        return np.asarray(self.one(box) > self.cut)


def component_cuts(
    salient: Salient, tiles: Sequence[Tile], shape: tuple[int, ...], scale: float, stages: Stages
) -> Job[list[KnownTile]]:
    """The tiles with two numbers for each component that reaches a seam.

    Returns
    -------
    list of KnownTile
        Verdicts: (k, 2) array, the threshold of a component and its highest saliency. The first
        is infinite below nothing: a component of constant saliency stays whole.
    """
    name = f'components of class {salient.one.number}'
    finding = Finding(salient, shape, len(shape))
    reports, found = yield from find_components(f'finding {name}', finding, tiles, stages)
    blank = np.zeros((len(found.facts), 0))
    known = known_tiles(tiles, reports, found, blank)
    parts = yield from stages.run(
        f'looking at {name}', partial(_component_ends, finding, salient.one), known, Ends
    )
    ends = _joined_ends(parts, found)
    known = known_tiles(tiles, reports, found, np.stack([ends.lowest, ends.highest], axis=1))
    counted = yield from stages.run(
        f'counting {name}', partial(_component_counts, finding, salient.one), known, Counts
    )
    counts = np.zeros((len(found.facts), BINS), dtype=np.int64)
    for part, owner in zip(counted, found.owners, strict=True):
        np.add.at(counts, owner, part.counts)
    cuts = [
        min(otsu_threshold(own, low, high) * scale, float(high)) if low < high else -np.inf
        for own, low, high in zip(counts, ends.lowest, ends.highest, strict=True)
    ]
    verdicts = np.stack([np.array(cuts, dtype=ends.highest.dtype), ends.highest], axis=1)
    return known_tiles(tiles, reports, found, verdicts)


def tightened_tile(salient: Salient, shape: tuple[int, ...], scale: float, tile: KnownTile) -> Any:
    """What is left of the salient voxels of a tile: (\\*core) bool."""
    labels, _ = Finding(salient, shape, len(shape)).found(tile)
    values = salient.one(tile.core)
    shared = np.isin(labels, tile.labels)
    kept = tightened((labels > 0) & ~shared, values, scale)
    number = np.zeros(int(labels.max()) + 1, dtype=np.intp)
    number[tile.labels] = np.arange(len(tile.labels))
    own = number[labels[shared]]
    cuts, highest = tile.verdicts[own].T
    kept[shared] = (values[shared] > cuts) | (values[shared] == highest)
    return kept


def _component_ends(finding: Finding, one: OneMap, tile: KnownTile) -> Ends:
    labels, _ = finding.found(tile)
    values = one(tile.core)
    if not len(tile.labels):
        return Ends(values[:0].ravel(), values[:0].ravel())
    return Ends(
        np.asarray(ndimage.minimum(values, labels, tile.labels), dtype=values.dtype),
        np.asarray(ndimage.maximum(values, labels, tile.labels), dtype=values.dtype),
    )


def _joined_ends(parts: Sequence[Ends], found: Components) -> Ends:
    dtype = parts[0].lowest.dtype
    lowest = np.full(len(found.facts), np.inf, dtype=dtype)
    highest = np.full(len(found.facts), -np.inf, dtype=dtype)
    for part, owner in zip(parts, found.owners, strict=True):
        np.minimum.at(lowest, owner, part.lowest)
        np.maximum.at(highest, owner, part.highest)
    return Ends(lowest, highest)


def _component_counts(finding: Finding, one: OneMap, tile: KnownTile) -> Counts:
    """Saliency of the components that reach a seam, in bins between the ends of each: (k, 256)."""
    labels, facts = finding.found(tile)
    values = one(tile.core)
    start = [side.start for side in tile.core]
    counts = np.zeros((len(tile.labels), BINS), dtype=np.int64)
    for row, (own, (lowest, highest)) in enumerate(zip(tile.labels, tile.verdicts, strict=True)):
        if lowest < highest:
            low, high = facts.low[own - 1] - start, facts.high[own - 1] - start
            box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
            counts[row] = otsu_counts(values[box][labels[box] == own], lowest, highest)
    return Counts(counts)
