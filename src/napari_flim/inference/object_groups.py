"""Which objects have to grow together: those whose surroundings without outer seeds are connected.

Outer seeds part the image into groups of objects that know nothing of each other. Groups are
packed into windows, each as large as a tile at most, so that every voxel is read a few times only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from math import ceil, prod

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_flim.delineation.seed_settings import SeedSettings
from napari_flim.delineation.seeds import distance_from, possible_reach, wanted_reach
from napari_flim.engine.image import Box
from napari_flim.inference.block_memory import band_size
from napari_flim.inference.connected_tiles import joined
from napari_flim.inference.scratch import Store
from napari_flim.inference.stages import Stages
from napari_flim.inference.streamed_objects import FoundObjects
from napari_flim.inference.tile_components import Finding, Report
from napari_flim.inference.tiles import Tile, tiles
from napari_flim.progress import Job


@dataclass(frozen=True)
class Bands:
    """The objects and what lies within a world distance of them; can be pickled.

    Attributes
    ----------
    regions : (\\*S) int32 array
    shape : tuple of int
    spacing : tuple of float
    reach : float
        In world units.
    """

    regions: Store
    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    reach: float

    @property
    def halo(self) -> tuple[int, ...]:
        """Voxels to each side that have to be seen."""
        return tuple(
            min(ceil(self.reach / unit) + 1, length)
            for unit, length in zip(self.spacing, self.shape, strict=True)
        )

    def __call__(self, box: Box) -> NDArray[np.bool_]:
        """A part of the mask."""
        return np.asarray(self.distance(box) <= self.reach)

    def distance(self, box: Box) -> NDArray[np.float64]:
        """World distance to the nearest object, exact up to the reach; larger beyond."""
        read = widened(box, self.halo, self.shape)
        distance = near_distance(np.asarray(self.regions[read]), self.reach, self.spacing)
        return distance[within(box, read)]


def near_distance(
    regions: NDArray[np.int32], reach: float, spacing: Sequence[float]
) -> NDArray[np.float64]:
    """World distance to the nearest object, exact up to a reach; larger, or infinite, beyond.

    It is measured around each object, unless that is more work.
    """
    halo = [ceil(min(reach / u, n)) + 1 for u, n in zip(spacing, regions.shape, strict=True)]
    ids = np.flatnonzero(np.bincount(regions.ravel()))
    ids = ids[ids > 0]
    number = np.zeros(int(ids.max(initial=0)) + 1, dtype=np.int32)
    number[ids] = np.arange(1, len(ids) + 1)
    boxes = [widened(box, halo, regions.shape) for box in ndimage.find_objects(number[regions])]
    distance = np.full(regions.shape, np.inf)
    if sum(voxels_in(box) for box in boxes) > regions.size:
        return distance_from(regions > 0, spacing)
    for box in boxes:
        distance[box] = np.minimum(distance[box], distance_from(regions[box] > 0, spacing))
    return distance


@dataclass(frozen=True, eq=False)
class BandReport(Report):
    """A report on bands, and

    Attributes
    ----------
    objects : (m,) int64 array
        Ids in the tile.
    bands : (m,) int64 array
        Which reported component each lies in, from 0.
    """

    objects: NDArray[np.int64]
    bands: NDArray[np.int64]


@dataclass(frozen=True)
class Farthest:
    """The largest distance in a tile."""

    distance: float


@dataclass(frozen=True, eq=False)
class Groups:
    """Objects that grow together.

    Attributes
    ----------
    of_object : (n,) int64 array
        The group, from 0, of every object.
    low, high : (g, ndim) int64 array
        Bounding boxes of the groups with their bands.
    reach : float
        World distance that outer seeds keep from objects.
    """

    of_object: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    reach: float


@dataclass(frozen=True)
class Window(Tile):
    """A part of the image in which some objects grow, whole with their surroundings.

    Attributes
    ----------
    objects : (k,) int64 array
        Their ids, ascending.
    """

    objects: NDArray[np.int64]


def find_groups(
    found: FoundObjects,
    settings: SeedSettings,
    spacing: Sequence[float],
    shape: tuple[int, ...],
    size: Sequence[int],
    working: int,
    stages: Stages,
) -> Job[Groups]:
    """The groups of objects that grow together.

    Parameters
    ----------
    found : FoundObjects
        At least one.
    settings : SeedSettings
    spacing : sequence of float
    shape : tuple of int
        Of the image.
    size : sequence of int
        Of tiles.
    working : int
        Bytes that work may take.
    stages : Stages
    """
    units = tuple(spacing)
    reach = wanted_reach(found.sizes(units), settings, units)
    bands = Bands(found.regions, shape, units, reach)
    part = band_size(size, bands.halo, working)
    plain = tiles(shape, part, (0,) * len(shape), (1,) * len(shape))
    groups = yield from _grouped('finding neighbours', bands, len(found.voxels), plain, stages)
    if groups is None:
        measured = yield from stages.run(
            'looking for background', partial(_farthest, bands), plain, Farthest
        )
        reach = possible_reach(reach, max(part.distance for part in measured))
        bands = Bands(found.regions, shape, units, reach)
        name = 'finding neighbours again'
        groups = yield from _grouped(name, bands, len(found.voxels), plain, stages)
        if groups is None:
            groups = Groups(
                np.zeros(len(found.voxels), dtype=np.int64),
                np.zeros((1, len(shape)), dtype=np.int64),
                np.array([shape]),
                reach,
            )
    return groups


def _grouped(
    stage: str, bands: Bands, count: int, plain: Sequence[Tile], stages: Stages
) -> Job[Groups | None]:
    """The groups, unless their bands leave no voxel of the image."""
    finding = Finding(bands, bands.shape, len(bands.shape), everything=True)
    work = partial(_report_bands, finding, bands.regions)
    reports = yield from stages.run(stage, work, plain, BandReport)
    components = joined(plain, reports, bands.shape, finding.connectivity)
    if components.facts.voxels.sum() == prod(bands.shape):
        return None
    of_object = np.zeros(count, dtype=np.int64)
    for report, owner in zip(reports, components.owners, strict=True):
        of_object[report.objects - 1] = owner[report.bands]
    return Groups(of_object, components.facts.low, components.facts.high, bands.reach)


def _report_bands(finding: Finding, regions: Store, tile: Tile) -> BandReport:
    labels, facts = finding.found(tile)
    report = finding.reported(tile, labels, facts)
    ids = np.asarray(regions[tile.core])
    inside = ids > 0
    band_of = np.zeros(int(ids.max()) + 1, dtype=np.int64)
    band_of[ids[inside]] = labels[inside]
    objects = np.flatnonzero(band_of)
    return BandReport(**vars(report), objects=objects, bands=band_of[objects] - 1)


def _farthest(bands: Bands, tile: Tile) -> Farthest:
    return Farthest(float(bands.distance(tile.core).max()))


def packed(
    ids: NDArray[np.int64],
    members: Sequence[NDArray[np.int64]],
    low: NDArray[np.int64],
    high: NDArray[np.int64],
    shape: Sequence[int],
    size: Sequence[int],
) -> tuple[list[list[Window]], NDArray[np.int64]]:
    """Boxes packed into windows no larger than a tile, and those that fit into none.

    Windows of one list lie in different cells of a grid of tiles, which is shifted by half a tile
    for every other list.

    Parameters
    ----------
    ids : (k,) int64 array
        The boxes to pack.
    members : sequence of int64 array
        Objects of every box.
    low, high : (g, ndim) int64 array
        All boxes.
    shape, size : sequence of int
        Of the image and of tiles; sizes are even.
    """
    rounds = []
    for shift in product(*((0, length // 2) for length in size)):
        first = (low[ids] + shift) // size
        fits = (first == (high[ids] - 1 + shift) // size).all(axis=1)
        cells, cell_of = np.unique(first[fits], axis=0, return_inverse=True)
        order = np.argsort(cell_of.ravel(), kind='stable')
        ends = np.cumsum(np.bincount(cell_of.ravel(), minlength=len(cells)))[:-1]
        inside = [ids[fits][own] for own in np.split(order, ends)] if len(cells) else []
        rounds.append(
            [window_of(number, own, members, low, high, shape) for number, own in enumerate(inside)]
        )
        ids = ids[~fits]
    return [windows for windows in rounds if windows], ids


def window_of(
    number: int,
    boxes: NDArray[np.int64],
    members: Sequence[NDArray[np.int64]],
    low: NDArray[np.int64],
    high: NDArray[np.int64],
    shape: Sequence[int],
) -> Window:
    """The window of some boxes, read with one voxel around it."""
    first, last = low[boxes].min(axis=0).tolist(), high[boxes].max(axis=0).tolist()
    core = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
    read = widened(core, (1,) * len(shape), shape)
    objects = np.sort(np.concatenate([members[box] for box in boxes]))
    return Window(number, core, read, within(core, read), objects)


def members_of(groups: Groups) -> list[NDArray[np.int64]]:
    """Ids of the objects of every group."""
    order = np.argsort(groups.of_object, kind='stable')
    ends = np.cumsum(np.bincount(groups.of_object, minlength=len(groups.low)))[:-1]
    return list(np.split(order + 1, ends))


def voxels_in(box: Box) -> int:
    """Number of voxels of a box."""
    return prod(side.stop - side.start for side in box)


def widened(box: Box, halo: Sequence[int], shape: Sequence[int]) -> Box:
    """A box with a halo, as far as the image goes."""
    return tuple(
        slice(max(side.start - margin, 0), min(side.stop + margin, length))
        for side, margin, length in zip(box, halo, shape, strict=True)
    )


def within(box: Box, read: Box) -> Box:
    """Where a box lies in another one."""
    return tuple(
        slice(side.start - around.start, side.stop - around.start)
        for side, around in zip(box, read, strict=True)
    )
