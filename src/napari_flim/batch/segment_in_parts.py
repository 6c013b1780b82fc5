"""One image that is larger than memory: its results are written part by part.

What is finished is kept in hidden folders beside the results until all of them are written, so
that a run which was killed goes on at the last finished tile.
"""

from __future__ import annotations

import shutil
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np

from napari_flim.batch.outlines import write_outlines
from napari_flim.batch.outputs import ResultPaths
from napari_flim.delineation.delineation_settings import DelineationSettings
from napari_flim.delineation.inputs import BACKGROUND
from napari_flim.engine.image import Box, Image
from napari_flim.inference.applying import Applying
from napari_flim.inference.mapping import Mapper, one_by_one
from napari_flim.inference.segment_large import Segmented, segment_large
from napari_flim.io.atomic import make_folder
from napari_flim.io.checkpoints import FolderCheckpoint
from napari_flim.io.images import stem
from napari_flim.io.ome_zarr_writing import boxes
from napari_flim.io.result_writer import ResultWriter, create_result, scratch_of
from napari_flim.io.results import label_type, write_table
from napari_flim.progress import Job, Progress

CHUNK = {2: 512, 3: 64}
"""Side of the chunks of results, by rank."""


def segment_in_parts(
    applying: Applying,
    settings: DelineationSettings,
    paths: ResultPaths,
    memory: int | None = None,
    mapper: Mapper = one_by_one,
) -> Job[tuple[int, list[Path]]]:
    """Find the objects of an image and write what is wanted of them.

    Parameters
    ----------
    applying : Applying
        The model, and the image.
    settings : DelineationSettings
    paths : ResultPaths
    memory : int, optional
        Bytes that this process may take; a quarter of the free memory by default.
    mapper : callable
        Who does the work for the tiles.

    Yields
    ------
    Progress

    Returns
    -------
    int
        Number of objects.
    list of Path
        What was written.

    Raises
    ------
    FileError
        When a result cannot be written.
    MemoryBudgetError
        When the budget is too small.
    """
    first = next(path for path in astuple(paths) if path is not None)
    work = first.with_name(f'.{stem(first)}.work.partial')
    labels = paths.labels or work / 'labels.ome.zarr'
    if not scratch_of(labels).exists():
        # What a checkpoint calls finished was written there.
        shutil.rmtree(work, ignore_errors=True)
    make_folder(work)
    writer = _label_writer(labels, applying.image)
    try:
        found = yield from segment_large(
            applying,
            settings,
            writer,
            scratch=work / 'arrays',
            memory=memory,
            mapper=mapper,
            checkpoint=FolderCheckpoint(work / 'finished'),
        )
    except MemoryError:
        # The next attempt takes smaller tiles.
        shutil.rmtree(work, ignore_errors=True)
        raise
    files = yield from _write_all(applying.image, found, writer, paths)
    shutil.rmtree(work, ignore_errors=True)
    return len(found.objects.classes), files


def _label_writer(path: Path, image: Image) -> ResultWriter:
    chunks = [min(CHUNK[image.ndim], length) for length in image.shape]
    return create_result(path, image.shape, np.uint32, image, chunks=chunks, resume=True)


def _write_all(
    image: Image, found: Segmented, writer: ResultWriter, paths: ResultPaths
) -> Job[list[Path]]:
    """Everything that is wanted; the labels last, since the others are made of them."""
    yield Progress('writing results', 1, 1)
    files: list[Path] = []
    classes = found.objects.classes
    if paths.classes is not None and found.saliency.shape[0] > 1:
        numbers = np.array((BACKGROUND, *classes), dtype=np.uint8)
        with create_result(paths.classes, image.shape, np.uint8, image) as result:
            for box in boxes(writer.shape, writer.chunks):
                result[box] = numbers[writer[box]]
            result.finish()
        files.append(paths.classes)
    if paths.saliency is not None:
        _write_saliency(paths.saliency, image, found)
        files.append(paths.saliency)
    if paths.table is not None:
        write_table(paths.table, found.objects.table())
        files.append(paths.table)
    if paths.outlines is not None:
        write_outlines(paths.outlines, image, writer)
        files.append(paths.outlines)
    if paths.labels is not None:
        writer.finish(label_type(len(classes)))
        files.insert(0, paths.labels)
    else:
        writer.close()
    return files


def _write_saliency(path: Path, image: Image, found: Segmented) -> None:
    several = found.saliency.shape[0] > 1
    shape = found.saliency.shape if several else image.shape
    with create_result(path, shape, np.float32, image) as result:
        for tile in found.tiles:
            part: Any = found.saliency[(slice(None), *tile.core)]
            box: Box = (slice(None), *tile.core) if several else tile.core
            result[box] = part if several else part[0]
        result.finish()
