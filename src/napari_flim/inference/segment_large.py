"""Saliency and objects of an image that is larger than memory, from end to end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_flim.delineation.delineation_settings import DelineationSettings
from napari_flim.engine.architecture import Architecture
from napari_flim.engine.image import Image
from napari_flim.engine.preprocessing import InputTransform
from napari_flim.inference.applying import Applying
from napari_flim.inference.block_memory import whole_bytes
from napari_flim.inference.budget import SAFETY, plan_tiles, working_memory
from napari_flim.inference.delineate_blocks import BlockObjects, delineate_blocks
from napari_flim.inference.mapping import Checkpoint, Mapper, one_by_one
from napari_flim.inference.memory import applying_bytes
from napari_flim.inference.scratch import Scratch, Writable
from napari_flim.inference.streamed_saliency import StreamedSaliency, stream_saliency
from napari_flim.inference.tiles import Tile, tiles
from napari_flim.progress import Job, finish, share_of


@dataclass(frozen=True, eq=False)
class Segmented:
    """What was found in an image; its labels have been written.

    Attributes
    ----------
    objects : BlockObjects
    saliency : StreamedSaliency
        Readable as long as the scratch folder is there.
    tiles : list of Tile
        In which the saliency was computed.
    """

    objects: BlockObjects
    saliency: StreamedSaliency
    tiles: list[Tile]


@dataclass(frozen=True, eq=False)
class TileSize:
    """Size of the tiles of a run, kept so that it goes on with the same."""

    size: NDArray[np.int64]


def fits_in_one_piece(
    image: Image,
    transform: InputTransform,
    architecture: Architecture,
    maps: int,
    settings: DelineationSettings,
    memory: int | None = None,
    *,
    linear: bool = False,
) -> bool:
    """Whether an image can be segmented without tiles; no voxel of it is looked at.

    Parameters
    ----------
    image : Image
    transform : InputTransform
    architecture : Architecture
        Up to the decoded block.
    maps : int
        Maps of saliency, one for each object class.
    settings : DelineationSettings
    memory : int, optional
        Budget in bytes for the whole process; by default a quarter of the free memory is used.
    linear : bool
        Whether a linear decoder decodes.

    Raises
    ------
    MemoryBudgetError
        When the process already holds more.
    """
    features = transform.features(image.channels, image.ndim)
    compared = features + architecture.blocks[0].channels * settings.compares_learned
    needed = max(
        applying_bytes(architecture, image.shape, features, linear=linear),
        whole_bytes(image.shape, maps, compared, settings),
    )
    voxels = image.nbytes * image.lazy
    return voxels + needed <= SAFETY * working_memory(memory)


def saliency_in_tiles(applying: Applying) -> NDArray[np.float32]:
    """Saliency of a lazy image as an array in memory: (L, \\*S) float32 in [0, 1].

    Parameters
    ----------
    applying : Applying

    Raises
    ------
    MemoryBudgetError
        When a quarter of the free memory is too small for a tile.
    """
    plan = _plan(applying, None, None)
    maps = np.empty((len(applying.object_classes), *applying.image.shape), dtype=np.float32)
    saliency = finish(stream_saliency(applying, maps, plan))
    for tile in plan:
        place = (slice(None), *tile.core)
        maps[place] = saliency[place]
    return maps


def segment_large(
    applying: Applying,
    settings: DelineationSettings,
    labels: Writable,
    *,
    scratch: Path,
    memory: int | None = None,
    mapper: Mapper = one_by_one,
    checkpoint: Checkpoint | None = None,
) -> Job[Segmented]:
    """Write the objects of an image that need not fit into memory.

    Parameters
    ----------
    applying : Applying
        The model, and the image.
    settings : DelineationSettings
    labels : (\\*S) array or writer
        Where labels are written: 0 background, 1.. ids without gaps.
    scratch : Path
        Folder for arrays between stages; with a checkpoint, the one it was begun with.
    memory : int, optional
        Budget in bytes for the whole process; by default a quarter of the free memory is used.
    mapper : callable
        Who does the work.
    checkpoint : Checkpoint, optional
        What is finished already is not done again.

    Yields
    ------
    Progress

    Returns
    -------
    Segmented

    Raises
    ------
    DecoderError, DelineationError
        When the decoder cannot work with the kernels, or the settings not with the image.
    MemoryBudgetError
        When the budget is too small.
    """
    image = applying.image
    plan = _plan(applying, memory, checkpoint)
    core = [part.stop - part.start for part in plan[0].core]
    raw = Scratch(scratch, image.shape).array(
        'saliency', np.float32, core, len(applying.object_classes)
    )
    streaming = stream_saliency(applying, raw, plan, mapper=mapper, checkpoint=checkpoint)
    saliency = yield from share_of(streaming, 0, 2)
    delineating = delineate_blocks(
        saliency,
        applying.features,
        applying.learned if settings.compares_learned else None,
        labels,
        settings,
        spacing=image.spacing,
        classes=applying.object_classes,
        image=image.data,
        memory=memory,
        mapper=mapper,
        checkpoint=checkpoint,
        scratch=scratch,
    )
    objects = yield from share_of(delineating, 1, 2)
    return Segmented(objects, saliency, plan)


def _plan(applying: Applying, memory: int | None, checkpoint: Checkpoint | None) -> list[Tile]:
    """The tiles that the budget allows, or those of the run that goes on."""
    image, stage = applying.image, 'choosing tiles for saliency'
    before = {} if checkpoint is None else checkpoint.finished(stage, TileSize)
    if before:
        size = before[0].size.tolist()
        return tiles(image.shape, size, applying.halo, applying.stride)
    features = applying.transform.features(image.channels, image.ndim)
    plan = plan_tiles(
        applying.architecture,
        image.shape,
        features,
        applying.halo,
        working_memory(memory),
        linear=applying.linear is not None,
    )
    if checkpoint is not None:
        size = [part.stop - part.start for part in plan[0].core]
        checkpoint.save(stage, 0, TileSize(np.array(size)))
    return plan
