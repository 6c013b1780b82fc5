"""Objects so close together that no window holds all that grow together: in blocks with a halo.

Seeds are the same as in the whole image, since the depth of every object is measured before. What
a block cannot see is what grows beyond its halo, so borders between objects may differ there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from napari_flim.delineation.seeds import (
    cores,
    depth_in_objects,
    greatest_depths,
    kept_distance,
    most_salient,
)
from napari_flim.inference.object_groups import Window, packed
from napari_flim.inference.scratch import Store
from napari_flim.inference.stages import Stages
from napari_flim.inference.streamed_growth import (
    GroupedObjects,
    Grown,
    Land,
    candidates_in,
    grow_part,
    write_grown,
)
from napari_flim.inference.streamed_objects import FoundObjects
from napari_flim.inference.tiles import Tile, tiles
from napari_flim.progress import Job


@dataclass(frozen=True, eq=False)
class Depths:
    """How deep some objects are.

    Attributes
    ----------
    objects : (k,) int64 array
    deepest : (k,) float64 array
        Greatest world distance to the border.
    seeds : (k,) int64 array
        Flat index, in the image, of the voxel that is the seed of an object without a core; -1
        for the others.
    """

    objects: NDArray[np.int64]
    deepest: NDArray[np.float64]
    seeds: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Crowd:
    """The objects that grow in blocks, and what their seeds are; can be pickled.

    Attributes
    ----------
    member : (n + 1,) bool array
        For 0 and every object.
    kept : (n,) float64 array
        World distance that inner seeds keep from the border of each object.
    seeds : (n,) int64 array
        See `Depths`.
    """

    member: NDArray[np.bool_]
    kept: NDArray[np.float64]
    seeds: NDArray[np.int64]


def grow_crowd(
    land: Land,
    found: FoundObjects,
    reach: float,
    ids: NDArray[np.int64],
    grown: Store,
    size: Sequence[int],
    stages: Stages,
) -> Job[list[Grown]]:
    """Let objects grow in blocks of half the size of a tile, with a quarter of it around them.

    Parameters
    ----------
    land : Land
    found : FoundObjects
    reach : float
        World distance that outer seeds keep from objects.
    ids : (k,) int64 array
        The objects that grow.
    grown : (\\*S) int32 array
        Where they are written.
    size : sequence of int
        Of tiles.
    stages : Stages
    """
    shape = grown.shape
    objects = GroupedObjects(found.regions, found.classes, reach)
    parts: list[Depths] = []
    members = [np.array([number]) for number in range(1, len(found.voxels) + 1)]
    rounds, large = packed(ids - 1, members, found.low, found.high, shape, size)
    for number, windows in enumerate(rounds, start=1):
        work = partial(_measure, land, objects, shape)
        name = f'measuring the depth of objects, round {number}'
        parts += yield from stages.run(name, work, windows, Depths)
    halo = [length // 4 for length in size]
    blocks = tiles(shape, [length // 2 for length in size], halo, (1,) * len(shape))
    if large.size:
        member = _flags(large + 1, len(found.voxels))
        measuring = partial(_measure_part, land, objects, member, halo)
        parts += yield from stages.run('measuring large objects', measuring, blocks, Depths)
    crowd = _crowd(ids, parts, land, len(found.voxels))
    growing = partial(_grow_block, land, objects, crowd, grown)
    return (yield from stages.run('growing crowded objects', growing, blocks, Grown))


def _measure(land: Land, objects: GroupedObjects, shape: tuple[int, ...], window: Window) -> Depths:
    """Depths of whole objects."""
    ids = window.objects
    found = candidates_in(objects, ids, window.read)
    depth = depth_in_objects(found, land.spacing)
    local = np.arange(1, len(ids) + 1)
    deepest = greatest_depths(depth, found.regions, len(ids))
    inner = cores(found, depth, kept_distance(deepest, land.settings.seeds, land.spacing))
    without = local[np.bincount(inner.ravel(), minlength=len(ids) + 1)[1:] == 0]
    seeds = np.full(len(ids), -1, dtype=np.int64)
    if without.size:
        voxels = most_salient(found, land.maps(window.read), land.numbers, without)
        start = [side.start for side in window.read]
        places = np.stack(np.unravel_index(voxels, depth.shape), axis=1) + start
        seeds[without - 1] = np.ravel_multi_index(tuple(places.T), shape)
    return Depths(ids, deepest, seeds)


def _measure_part(
    land: Land,
    objects: GroupedObjects,
    member: NDArray[np.bool_],
    halo: Sequence[int],
    tile: Tile,
) -> Depths:
    """Depths in a part of objects that fit into no window, as far as the halo shows them."""
    ids = _present(objects, member, tile)
    found = candidates_in(objects, ids, tile.read)
    seen = min(margin * unit for margin, unit in zip(halo, land.spacing, strict=True))
    depth = np.minimum(depth_in_objects(found, land.spacing), seen)[tile.inside]
    deepest = greatest_depths(depth, found.regions[tile.inside], len(ids))
    return Depths(ids, deepest, np.full(len(ids), -1, dtype=np.int64))


def _crowd(ids: NDArray[np.int64], parts: Sequence[Depths], land: Land, count: int) -> Crowd:
    deepest = np.zeros(count)
    seeds = np.full(count, -1, dtype=np.int64)
    for part in parts:
        at = part.objects - 1
        deepest[at] = np.maximum(deepest[at], part.deepest)
        seeds[at] = part.seeds
    kept = np.asarray(kept_distance(deepest, land.settings.seeds, land.spacing), dtype=np.float64)
    return Crowd(_flags(ids, count), kept, seeds)


def _flags(ids: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    flags = np.zeros(count + 1, dtype=bool)
    flags[ids] = True
    return flags


def _present(objects: GroupedObjects, member: NDArray[np.bool_], tile: Tile) -> NDArray[np.int64]:
    """Which of some objects a tile shows, halo included."""
    there = np.flatnonzero(np.bincount(np.asarray(objects.regions[tile.read]).ravel()))
    return there[member[there]].astype(np.int64)


def _grow_block(
    land: Land, objects: GroupedObjects, crowd: Crowd, grown: Store, tile: Tile
) -> Grown:
    ids = _present(objects, crowd.member, tile)
    if not ids.size:
        return Grown(ids, ids)
    found = candidates_in(objects, ids, tile.read)
    depth = depth_in_objects(found, land.spacing)
    inner = cores(found, depth, crowd.kept[ids - 1])
    _plant(inner, crowd.seeds[ids - 1], grown.shape, tile)
    labels = grow_part(land, objects.reach, found, inner, land.maps(tile.read), tile)
    write_grown(grown, tile.core, ids, labels)
    return Grown(ids, np.bincount(labels.ravel(), minlength=len(ids) + 1)[1:])


def _plant(
    inner: NDArray[np.int32], seeds: NDArray[np.int64], shape: tuple[int, ...], tile: Tile
) -> None:
    """Write the seeds of objects without a core that lie in a tile."""
    single = np.flatnonzero(seeds >= 0)
    places = np.stack(np.unravel_index(seeds[single], shape), axis=1)
    start = [side.start for side in tile.read]
    inside = ((places >= start) & (places < np.add(start, inner.shape))).all(axis=1)
    inner[tuple((places[inside] - start).T)] = single[inside] + 1
