"""Delineation of images larger than memory, with the result of `delineation.delineate`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_flim.delineation.arc_features import BandRanges
from napari_flim.delineation.delineate import delineate, numbers_kept
from napari_flim.delineation.delineation_settings import DelineationSettings
from napari_flim.delineation.inputs import checked_saliency, checked_spacing
from napari_flim.delineation.measure import SALIENCY_NAME, intensity_names, object_table
from napari_flim.delineation.object_sums import ObjectSums, joined_sums, object_sums
from napari_flim.engine.image import computed
from napari_flim.errors import DelineationError, FlimWarning, MemoryBudgetError
from napari_flim.inference.block_memory import block_size, solves_for_all, whole_bytes
from napari_flim.inference.budget import SAFETY, in_words, working_memory
from napari_flim.inference.crowded_growth import grow_crowd
from napari_flim.inference.mapping import Checkpoint, Mapper, one_by_one
from napari_flim.inference.object_groups import (
    find_groups,
    members_of,
    packed,
    voxels_in,
    window_of,
)
from napari_flim.inference.scratch import Readable, Scratch, Store, Writable
from napari_flim.inference.stages import Stages
from napari_flim.inference.streamed_growth import (
    Features,
    GroupedObjects,
    Grown,
    Land,
    Ranges,
    grow_window,
    ranges_in,
)
from napari_flim.inference.streamed_objects import FoundObjects, find_objects, world_sizes
from napari_flim.inference.tiles import Tile, tiles
from napari_flim.progress import Job

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, eq=False)
class BlockObjects:
    """Objects whose labels have been written.

    Attributes
    ----------
    classes : tuple of int
        Class of objects 1, 2, ..
    sizes : (n,) float64 array
        Area or volume in world units.
    spacing : tuple of float
        World units per voxel.
    sums : ObjectSums
        What `table` is made of.
    bands : tuple of str
        Names of what was averaged.
    """

    classes: tuple[int, ...]
    sizes: NDArray[np.float64]
    spacing: tuple[float, ...]
    sums: ObjectSums
    bands: tuple[str, ...]

    def table(self, unit: str = '') -> pandas.DataFrame:
        """The table of `napari_flim.delineation.measure.measure`.

        Parameters
        ----------
        unit : str
            World unit, such as ``'µm'``, for the names of columns.
        """
        return object_table(self.sums, self.classes, self.spacing, unit, self.bands)


@dataclass(frozen=True, eq=False)
class BlockPlan:
    """Size of the tiles and bytes of a run, kept so that it goes on with the same."""

    size: NDArray[np.int64]
    working: int


def delineate_blocks(
    saliency: Readable,
    features: Features,
    learned: Features | None,
    out: Writable,
    settings: DelineationSettings | None = None,
    *,
    spacing: Sequence[float] | None = None,
    classes: Sequence[int] | None = None,
    image: Readable | None = None,
    memory: int | None = None,
    size: Sequence[int] | None = None,
    mapper: Mapper = one_by_one,
    checkpoint: Checkpoint | None = None,
    scratch: Path | None = None,
) -> Job[BlockObjects]:
    """Write the objects of an image; a generator of progress that can be closed midway.

    Labels are those of `napari_flim.delineation.delineate.delineate`, in the same order. What is
    decided by connected components is found in tiles and joined at their seams. Objects that share
    a surrounding without outer seeds grow together in a window that holds all of it. The result
    may differ

    * where such a window does not fit into memory: blocks with a halo grow instead, with a warning;
    * with the mean ``'label'``, which holds the outer seeds of a window instead of all, with a
      warning;
    * with relaxation, between objects of two windows that a single voxel parts.

    Parameters
    ----------
    saliency : (L, \\*S) array of numpy, zarr or dask, in [0, 1]
        One map for each class.
    features : callable
        From a box to the image as block 1 reads it there: (C, \\*box), on a scale of about [0, 1].
        Called for each voxel once or twice.
    learned : callable, optional
        From a box to the channels of block 1 at image size: (n_F, \\*box).
    out : (\\*S) int32 array of numpy or zarr, or a writer
        Written by ``out[box] = labels``: 0 background, 1.. ids without gaps.
    settings : DelineationSettings, optional
    spacing : sequence of float, optional
        World units per voxel along each axis; 1 by default.
    classes : sequence of int, optional
        Numbers of the object classes, from 2; 2, 3, .. by default.
    image : (C, \\*S) array, optional
        What the table averages over objects beside saliency.
    memory : int, optional
        Budget in bytes for the whole process; by default a quarter of the free memory is used.
        What fits is delineated in one piece.
    size : sequence of int, optional
        Even sizes of tiles, for other tiles than the budget gives.
    mapper : callable
        Who does the work; then functions and arrays must be such that they can be pickled, and
        ``scratch`` a folder that all can reach.
    checkpoint : Checkpoint, optional
        What is finished already is not done again; ``scratch`` and ``out`` then hold it.
    scratch : Path, optional
        Folder for compressed arrays between stages; a temporary one by default.

    Returns
    -------
    BlockObjects

    Raises
    ------
    DelineationError
        When shapes do not fit or values are not finite.
    MemoryBudgetError
        When the budget is too small; also for smoothing and random walks, which need the image in
        one piece.

    Warns
    -----
    FlimWarning
        Where the result may differ from that in one piece, as said above.

    Examples
    --------
    >>> from napari_flim.progress import finish
    >>> image = np.zeros((1, 12, 12), np.float32); image[:, 3:8, 3:9] = 1
    >>> saliency = image.copy(); saliency[:, 3] = 0
    >>> labels = np.zeros((12, 12), np.int32)
    >>> job = delineate_blocks(saliency, lambda box: image[:, *box], None, labels)
    >>> finish(job).sizes, int((labels == 1).sum())
    (array([30.]), 30)
    """
    settings = settings or DelineationSettings()
    land = _land(saliency, features, learned, settings, spacing, classes)
    shape = tuple(saliency.shape[1:])
    channels = _channels(land)
    working = working_memory(memory)
    needed = whole_bytes(shape, len(land.numbers), channels, settings)
    if size is None and needed <= SAFETY * working:
        return (yield from _in_one_piece(land, shape, out, image))
    if solves_for_all(settings):
        raise MemoryBudgetError(
            f'{_name(settings)} needs the image in one piece, {in_words(int(needed / SAFETY))}, '
            f'but the budget leaves {in_words(working)}; choose another method, or give more '
            'memory.'
        )
    if checkpoint is not None and scratch is None:
        raise DelineationError(
            'A checkpoint came without a scratch folder; name the folder that holds what is '
            'finished.'
        )
    _warn_of_labels(settings)
    if size is None:
        chunks = getattr(out, 'chunks', None)
        size = block_size(shape, len(land.numbers), channels, working, chunks)
    plan = _kept_plan(size, working, shape, checkpoint)
    with _folder(scratch) as folder:
        stages = Stages(_expected(land, len(shape)), mapper, checkpoint)
        arrays = Scratch(folder, shape)
        return (yield from _in_blocks(land, out, image, plan, arrays, stages))


def _land(
    saliency: Readable,
    features: Features,
    learned: Features | None,
    settings: DelineationSettings,
    spacing: Sequence[float] | None,
    classes: Sequence[int] | None,
) -> Land:
    """What was given, as far as the first voxel tells whether it fits."""
    numbers = tuple(range(2, 2 + saliency.shape[0])) if classes is None else tuple(classes)
    first = computed(saliency[slice(None), *[slice(0, 1)] * (len(saliency.shape) - 1)])
    _, numbers = checked_saliency(first, numbers)
    units = checked_spacing(spacing, len(saliency.shape) - 1)
    used = learned if settings.compares_learned else None
    return Land(saliency, numbers, features, used, settings, units)


def _channels(land: Land) -> int:
    """How many channels are compared."""
    first = (slice(0, 1),) * len(land.spacing)
    own = int(land.features(first).shape[0])
    return own if land.learned is None else own + int(land.learned(first).shape[0])


def _name(settings: DelineationSettings) -> str:
    return 'Smoothing of saliency' if settings.smoothing else 'The method random_walker'


def _warn_of_labels(settings: DelineationSettings) -> None:
    if settings.method == 'dynamic_trees' and settings.mean == 'label':
        warnings.warn(
            "With the mean 'label', objects of an image larger than memory are compared with the "
            "background near them; choose the mean 'root' for the result of one piece.",
            FlimWarning,
            stacklevel=2,
        )


def _kept_plan(
    size: Sequence[int], working: int, shape: Sequence[int], checkpoint: Checkpoint | None
) -> BlockPlan:
    """What was planned, or what the run that goes on was begun with."""
    if len(size) != len(shape) or any(length < 2 or length % 2 for length in size):
        raise DelineationError(
            f'Tiles of size {tuple(size)} were asked for; expected {len(shape)} even numbers.'
        )
    plan = BlockPlan(np.array(size), working)
    if checkpoint is None:
        return plan
    before = checkpoint.finished('planning blocks', BlockPlan)
    if not before:
        checkpoint.save('planning blocks', 0, plan)
    return before.get(0, plan)


@contextmanager
def _folder(scratch: Path | None) -> Iterator[Path]:
    """The folder for scratch arrays; removed afterwards unless it was given."""
    if scratch is not None:
        scratch.mkdir(parents=True, exist_ok=True)
        yield scratch
        return
    with TemporaryDirectory(prefix='napari-flim-') as folder:
        yield Path(folder)


def _expected(land: Land, ndim: int) -> int:
    """How many stages there are at most."""
    classes = len(land.numbers)
    return 14 * classes + (2 << ndim) + 10


def _in_one_piece(
    land: Land, shape: tuple[int, ...], out: Writable, image: Readable | None
) -> Job[BlockObjects]:
    box = tuple(slice(0, length) for length in shape)
    learned = None if land.learned is None else land.learned(box)
    objects = yield from delineate(
        land.features(box),
        land.maps(box),
        land.settings,
        learned=learned,
        spacing=land.spacing,
        classes=land.numbers,
    )
    out[box] = objects.labels
    tile = Tile(0, box, box, box)
    return _objects(objects.classes, [_sums(objects.labels, land, image, tile)], land, image)


def _in_blocks(
    land: Land,
    out: Writable,
    image: Readable | None,
    plan: BlockPlan,
    scratch: Scratch,
    stages: Stages,
) -> Job[BlockObjects]:
    shape, settings, size = scratch.shape, land.settings, tuple(plan.size.tolist())
    plain = tiles(shape, size, (0,) * len(shape), (1,) * len(shape))
    found = yield from find_objects(
        land.saliency, land.numbers, settings.seeds, land.spacing, size, scratch, stages
    )
    grown, voxels = found.regions, found.voxels
    if len(voxels) and (settings.method != 'none' or settings.relaxation):
        ranges = yield from _find_ranges(land, plain, stages)
        grown = scratch.array('grown', np.int32, [length // 2 for length in size])
        voxels = yield from _grow(
            replace(land, ranges=ranges), found, grown, size, plan.working, stages
        )
    sizes = world_sizes(voxels, land.spacing)
    number = numbers_kept(sizes, np.zeros(len(sizes), dtype=bool), settings)
    work = partial(_write_tile, land, image, grown, number, out)
    chunks = getattr(out, 'chunks', None) or (1,) * len(shape)
    alone = any(length % chunk for length, chunk in zip(size, chunks, strict=True))
    parts = yield from stages.run('writing objects', work, plain, ObjectSums, alone=alone)
    classes = tuple(found.classes[number[1:] > 0].tolist())
    return _objects(classes, parts, land, image)


def _find_ranges(
    land: Land, plain: Sequence[Tile], stages: Stages
) -> Job[tuple[BandRanges, BandRanges] | None]:
    """Over what the compared channels run, if that matters."""
    if land.learned is None:
        return None
    work = partial(ranges_in, land.features, land.learned)
    parts = yield from stages.run('looking at the channels', work, plain, Ranges)
    first, *rest = (part.pair for part in parts)
    for bands, maps in rest:
        first = first[0].joined(bands), first[1].joined(maps)
    return first


def _grow(
    land: Land,
    found: FoundObjects,
    grown: Store,
    size: tuple[int, ...],
    working: int,
    stages: Stages,
) -> Job[NDArray[np.int64]]:
    """Let all objects grow; their voxels."""
    shape = grown.shape
    groups = yield from find_groups(
        found, land.settings.seeds, land.spacing, shape, size, working, stages
    )
    objects = GroupedObjects(found.regions, found.classes, groups.reach)
    members = members_of(groups)
    every = np.arange(len(members))
    rounds, large = packed(every, members, groups.low, groups.high, shape, size)
    work = partial(grow_window, land, objects, grown)
    parts: list[Grown] = []
    for number, windows in enumerate(rounds, start=1):
        name = f'growing objects, round {number}'
        parts += yield from stages.run(name, work, windows, Grown)
    own = [
        window_of(number, np.array([group]), members, groups.low, groups.high, shape)
        for number, group in enumerate(large)
    ]
    fits = np.array([voxels_in(window.read) <= prod(size) for window in own], dtype=bool)
    single = [window for window, fit in zip(own, fits, strict=True) if fit]
    parts += yield from stages.run('growing large objects', work, single, Grown, alone=True)
    if not fits.all():
        ids = np.sort(np.concatenate([members[group] for group in large[~fits]]))
        warnings.warn(
            f'{len(ids)} objects grow in parts of the image that overlap, since what surrounds '
            'them does not fit into the memory budget in one piece; borders between neighbours '
            'may differ a little from those of one piece. Give more memory or a smaller dilation.',
            FlimWarning,
            stacklevel=2,
        )
        parts += yield from grow_crowd(land, found, groups.reach, ids, grown, size, stages)
    voxels = np.zeros(len(found.voxels), dtype=np.int64)
    for part in parts:
        voxels[part.objects - 1] += part.voxels
    return voxels


def _write_tile(
    land: Land,
    image: Readable | None,
    grown: Store,
    number: NDArray[np.int32],
    out: Writable,
    tile: Tile,
) -> ObjectSums:
    labels = number[grown[tile.core]]
    out[tile.core] = labels
    return _sums(labels, land, image, tile)


def _sums(labels: NDArray[np.int32], land: Land, image: Readable | None, tile: Tile) -> ObjectSums:
    """What the table needs of the core of a tile."""
    origin = [side.start for side in tile.core]
    count = len(_bands(image))
    if not labels.any():
        return object_sums(labels, [labels] * count, origin)
    bands: list[NDArray[Any]] = []
    if image is not None:
        bands.extend(computed(image[slice(None), *tile.core]))
    bands.append(land.maps(tile.core).max(axis=0))
    return object_sums(labels, bands, origin)


def _bands(image: Readable | None) -> tuple[str, ...]:
    """Names of what is averaged."""
    return (*(() if image is None else intensity_names(image.shape[0])), SALIENCY_NAME)


def _objects(
    classes: tuple[int, ...], parts: Sequence[ObjectSums], land: Land, image: Readable | None
) -> BlockObjects:
    sums = joined_sums(parts)
    sizes = world_sizes(sums.voxels, land.spacing)
    return BlockObjects(classes, sizes, land.spacing, sums, _bands(image))
