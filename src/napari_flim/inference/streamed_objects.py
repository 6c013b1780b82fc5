"""From saliency to numbered objects, tile by tile, equal to `delineation.candidates` of the whole.

Threshold, opening and closing look no farther than a halo. Holes, specks and objects are connected
components: they are found in tiles and joined at the seams. What one stage has made lies in
scratch arrays until the next has read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_flim.delineation.candidates import is_plausible
from napari_flim.delineation.inputs import checked_saliency
from napari_flim.delineation.objects import smoothed_mask
from napari_flim.delineation.seed_settings import SeedSettings
from napari_flim.engine.image import Box, computed
from napari_flim.inference.component_cuts import Salient, component_cuts, tightened_tile
from napari_flim.inference.connected_tiles import (
    KnownTile,
    decided,
    find_components,
    known_tiles,
)
from napari_flim.inference.scratch import Readable, Scratch, Store
from napari_flim.inference.stages import Stages
from napari_flim.inference.streamed_thresholds import OneMap, streamed_cut
from napari_flim.inference.tile_components import Facts, Finding
from napari_flim.inference.tiles import Tile, tiles
from napari_flim.progress import Job


@dataclass(frozen=True, eq=False)
class FoundObjects:
    """Objects before they grow, numbered by their first voxel in C order.

    Attributes
    ----------
    regions : (\\*S) int32 array on disk
        0 background, 1.. ids.
    classes : (n,) int64 array
        Class of each object.
    voxels : (n,) int64 array
    low, high : (n, ndim) int64 array
        Bounding boxes; ``high`` is the first voxel behind.
    """

    regions: Store
    classes: NDArray[np.int64]
    voxels: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]

    def sizes(self, spacing: Sequence[float]) -> NDArray[np.float64]:
        """Area or volume of every object in world units."""
        return world_sizes(self.voxels, spacing)


@dataclass(frozen=True)
class Written:
    """That a tile has been written."""

    number: int


@dataclass(frozen=True)
class Plane:
    """A part of the planes of a scratch array, as a mask; can be pickled."""

    planes: Store
    index: int

    def __call__(self, box: Box) -> NDArray[np.bool_]:
        """A part of the mask."""
        return np.asarray(self.planes[(self.index, *box)], dtype=bool)


@dataclass(frozen=True)
class Outside:
    """What does not belong to a mask; can be pickled."""

    mask: Plane

    def __call__(self, box: Box) -> NDArray[np.bool_]:
        """A part of the complement."""
        return ~self.mask(box)


@dataclass(frozen=True)
class NotOfClass:
    """What does not belong to a class, counted from 1; can be pickled."""

    classes: Store
    number: int

    def __call__(self, box: Box) -> NDArray[np.bool_]:
        """A part of the complement."""
        return np.asarray(self.classes[box] != self.number)


@dataclass(frozen=True)
class Classes:
    """Classes of voxels, as a mask where there is one only; can be pickled."""

    classes: Store
    several: bool

    def __call__(self, box: Box) -> NDArray[Any]:
        """A part of the classes."""
        part: NDArray[Any] = np.asarray(self.classes[box])
        return part if self.several else part > 0


def find_objects(
    saliency: Readable,
    numbers: Sequence[int],
    settings: SeedSettings,
    spacing: Sequence[float],
    size: Sequence[int],
    scratch: Scratch,
    stages: Stages,
) -> Job[FoundObjects]:
    """The objects of an image before they grow.

    Parameters
    ----------
    saliency : (L, \\*S) array
    numbers : sequence of int
        The classes.
    settings : SeedSettings
    spacing : sequence of float
        World units per voxel.
    size : sequence of int
        Of tiles.
    scratch : Scratch
    stages : Stages
    """
    shape, ndim = scratch.shape, len(spacing)
    plain = tiles(shape, size, (0,) * ndim, (1,) * ndim)
    salient = scratch.array('salient', bool, size, len(numbers))
    for index, number in enumerate(numbers):
        one = OneMap(saliency, index, number)
        yield from _find_salient(one, plain, settings, shape, salient, stages)
    own = yield from _smooth(saliency, salient, settings, spacing, size, scratch, stages)
    classes = scratch.array('classes', np.uint16, size)
    for index, number in enumerate(numbers):
        yield from _clean(own, index, number, plain, settings, size, scratch, stages)
    if settings.fill_holes and (len(numbers) > 1 or settings.opening):
        # Otherwise all holes are filled already: no voxel of another class or no speck is in one.
        for index, number in enumerate(numbers, start=1):
            classes = yield from _fill_again(classes, index, number, plain, size, scratch, stages)
    return (yield from _number(classes, numbers, plain, settings, spacing, size, scratch, stages))


def world_sizes(voxels: NDArray[np.int64], spacing: Sequence[float]) -> NDArray[np.float64]:
    """Area or volume of so many voxels."""
    return voxels.astype(np.float64) * prod(spacing)


def _find_salient(
    one: OneMap,
    plain: Sequence[Tile],
    settings: SeedSettings,
    shape: tuple[int, ...],
    salient: Store,
    stages: Stages,
) -> Job[None]:
    """Write where a map is salient."""
    cut = yield from streamed_cut(one, plain, settings, stages)
    above = Salient(one, cut)
    name = f'cutting saliency of class {one.number}'
    if settings.threshold is None and settings.rule == 'component_otsu':
        known = yield from component_cuts(above, plain, shape, settings.scale, stages)
        work = partial(_write_tightened, above, settings.scale, shape, salient)
        yield from stages.run(name, work, known, Written)
    else:
        yield from stages.run(name, partial(_write_salient, above, salient), plain, Written)


def _write_salient(above: Salient, salient: Store, tile: Tile) -> Written:
    salient[(above.one.index, *tile.core)] = above(tile.core)
    return Written(tile.number)


def _write_tightened(
    above: Salient, scale: float, shape: tuple[int, ...], salient: Store, tile: KnownTile
) -> Written:
    salient[(above.one.index, *tile.core)] = tightened_tile(above, shape, scale, tile)
    return Written(tile.number)


def _smooth(
    saliency: Readable,
    salient: Store,
    settings: SeedSettings,
    spacing: Sequence[float],
    size: Sequence[int],
    scratch: Scratch,
    stages: Stages,
) -> Job[Store]:
    """Planes of the voxels of every class, opened and closed; the last plane: of any class."""
    reach = 2 * (settings.opening + settings.closing)
    halo = [ceil(reach / unit) + 2 for unit in spacing] if reach else [0] * len(spacing)
    own = scratch.array('own', bool, size, salient.shape[0] + 1)
    work = partial(_write_own, saliency, salient, own, settings, tuple(spacing))
    wide = tiles(scratch.shape, size, halo, (1,) * len(spacing))
    yield from stages.run('telling classes apart', work, wide, Written)
    return own


def _write_own(
    saliency: Readable,
    salient: Store,
    own: Store,
    settings: SeedSettings,
    spacing: tuple[float, ...],
    tile: Tile,
) -> Written:
    masks = np.asarray(salient[(slice(None), *tile.read)], dtype=bool)
    claimed: NDArray[np.bool_] = np.asarray(masks.any(axis=0))
    if len(masks) > 1 and claimed.any():
        maps, _ = checked_saliency(
            computed(saliency[slice(None), *tile.read]), range(2, 2 + len(masks))
        )
        strongest = np.where(masks, maps, -1.0).argmax(axis=0)
        masks = np.stack([claimed & (strongest == index) for index in range(len(masks))])
    free = np.logical_not(claimed)
    planes = [smoothed_mask(mask, free, settings, spacing) for mask in masks]
    own[(slice(None), *tile.core)] = np.stack([plane[tile.inside] for plane in (*planes, claimed)])
    return Written(tile.number)


def _clean(
    own: Store,
    index: int,
    number: int,
    plain: Sequence[Tile],
    settings: SeedSettings,
    size: Sequence[int],
    scratch: Scratch,
    stages: Stages,
) -> Job[None]:
    """Write a class where its mask is, with its holes and without specks."""
    shape, ndim = scratch.shape, len(scratch.shape)
    mask = Plane(own, index)
    if settings.fill_holes:
        finding = Finding(Outside(mask), shape, 1)
        reports, found = yield from find_components(
            f'finding holes of class {number}', finding, plain, stages
        )
        filled = scratch.array('filled', bool, size, own.shape[0] - 1)
        known = known_tiles(plain, reports, found, _holes(found.facts))
        work = partial(_write_filled, finding, own, index, filled)
        yield from stages.run(f'filling holes of class {number}', work, known, Written)
        mask = Plane(filled, index)
    classes = scratch.array('classes', np.uint16, size)
    finding = Finding(mask, shape, ndim)
    rule = partial(_large, settings.smallest)
    known = [
        KnownTile(**vars(tile), labels=np.zeros(0, int), verdicts=np.zeros(0, bool))
        for tile in plain
    ]
    if settings.smallest > 1:
        reports, found = yield from find_components(
            f'finding specks of class {number}', finding, plain, stages
        )
        known = known_tiles(plain, reports, found, rule(found.facts))
    work = partial(_write_class, finding, rule, index + 1, classes)
    yield from stages.run(f'removing specks of class {number}', work, known, Written)


def _holes(facts: Facts) -> NDArray[np.bool_]:
    """Which parts of the outside do not reach the border of the image."""
    return ~facts.in_frame


def _large(smallest: int, facts: Facts) -> NDArray[np.bool_]:
    return facts.voxels >= smallest


def _write_filled(
    finding: Finding, own: Store, index: int, filled: Store, tile: KnownTile
) -> Written:
    free = ~np.asarray(own[(own.shape[0] - 1, *tile.core)], dtype=bool)
    mask = ~finding.kinds(tile.core)
    filled[(index, *tile.core)] = mask | (decided(finding, tile, _holes) & free)
    return Written(tile.number)


def _write_class(
    finding: Finding,
    rule: Any,
    number: int,
    classes: Store,
    tile: KnownTile,
) -> Written:
    kept = decided(finding, tile, rule)
    classes[tile.core] = np.where(kept, np.uint16(number), classes[tile.core])
    return Written(tile.number)


def _fill_again(
    classes: Store,
    index: int,
    number: int,
    plain: Sequence[Tile],
    size: Sequence[int],
    scratch: Scratch,
    stages: Stages,
) -> Job[Store]:
    """The classes with the holes that removed specks have left in one of them filled."""
    finding = Finding(NotOfClass(classes, index), scratch.shape, 1)
    reports, found = yield from find_components(
        f'finding more holes of class {number}', finding, plain, stages
    )
    known = known_tiles(plain, reports, found, _holes(found.facts))
    filled = scratch.array(f'classes_{index}', np.uint16, size)
    work = partial(_write_filled_class, finding, classes, index, filled)
    yield from stages.run(f'filling more holes of class {number}', work, known, Written)
    return filled


def _write_filled_class(
    finding: Finding, classes: Store, number: int, filled: Store, tile: KnownTile
) -> Written:
    before = np.asarray(classes[tile.core])
    holes = decided(finding, tile, _holes) & (before == 0)
    filled[tile.core] = np.where(holes, np.uint16(number), before)
    return Written(tile.number)


def _number(
    classes: Store,
    numbers: Sequence[int],
    plain: Sequence[Tile],
    settings: SeedSettings,
    spacing: Sequence[float],
    size: Sequence[int],
    scratch: Scratch,
    stages: Stages,
) -> Job[FoundObjects]:
    """Write the ids of plausible objects."""
    finding = Finding(
        Classes(classes, len(numbers) > 1),
        scratch.shape,
        len(spacing),
        settings.border or 1,
        settings.border_in_z,
        everything=True,
    )
    reports, found = yield from find_components('finding objects', finding, plain, stages)
    facts = found.facts
    world = world_sizes(facts.voxels, spacing)
    kept = is_plausible(world, facts.in_frame, settings)
    ids = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    regions = scratch.array('regions', np.int32, size)
    known = known_tiles(plain, reports, found, ids)
    yield from stages.run(
        'numbering objects', partial(_write_ids, finding, regions), known, Written
    )
    facts = facts.chosen(kept)
    return FoundObjects(
        regions, np.asarray(numbers)[facts.kinds - 1], facts.voxels, facts.low, facts.high
    )


def _write_ids(finding: Finding, regions: Store, tile: KnownTile) -> Written:
    regions[tile.core] = decided(finding, tile, _no_id)
    return Written(tile.number)


def _no_id(facts: Facts) -> NDArray[np.int32]:
    return np.zeros(len(facts), dtype=np.int32)
