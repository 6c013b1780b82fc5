"""One file of a run, on whatever worker: read, segment, write, and say how it went."""

from __future__ import annotations

import time
import warnings
from collections.abc import Generator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import napari_flim
from napari_flim.batch.carried_model import CarriedModel
from napari_flim.batch.events import Advanced, Done, Failed, Started
from napari_flim.batch.outputs import Outputs, result_paths
from napari_flim.batch.tasks import FileTask
from napari_flim.errors import BatchError, FlimError, FlimWarning
from napari_flim.inference.mapping import Mapper, one_by_one
from napari_flim.io.images import read_images
from napari_flim.progress import Job, Progress, Result, retold

if TYPE_CHECKING:
    from napari_flim.batch.segment_image import Written

OUT_OF_MEMORY = ('not enough memory', 'out of memory', "can't allocate memory")
"""What torch says, as a RuntimeError, when memory is short."""


@dataclass(frozen=True, eq=False)
class FileWork:
    """What a worker must know, the same for all files; sent to it once.

    Attributes
    ----------
    model : CarriedModel
    out : Path
    outputs : Outputs
    axes : str, optional
    memory : int, optional
        Bytes for one worker.
    stems : frozenset of str
        Of all files of the run, so that images of a stack take no other's name.
    debug : bool
        Whether errors end the run, with their traceback.
    version : str
        Of napari-flim, where the run was started.
    """

    model: CarriedModel
    out: Path
    outputs: Outputs
    axes: str | None
    memory: int | None
    stems: frozenset[str]
    debug: bool = False
    version: str = napari_flim.__version__


FileEvents = Generator[Started | Advanced | Done | Failed, None, None]


def segment_file(work: FileWork, task: FileTask, mapper: Mapper = one_by_one) -> FileEvents:
    """Segment a file; the last event is `Done` or `Failed`.

    A file for which memory is short is tried once more with half the budget. The tiles of an image
    that is larger than memory go through the mapper.
    """
    start = time.perf_counter()
    yield Started(task)
    noted: list[str] = []
    advanced = partial(Advanced, task)
    try:
        try:
            found = yield from retold(_noting(_segmented(work, task, mapper), noted), advanced)
        except (FlimError, RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            smaller = replace(work, memory=_half(work.memory))
            found = yield from retold(_noting(_segmented(smaller, task, mapper), noted), advanced)
    except Exception as error:
        # Whatever it is, one file of a thousand must not end the run.
        if work.debug:
            raise
        yield Failed(task, reason_of(error), time.perf_counter() - start)
        return
    objects, results, read_as = found
    message = ' '.join(dict.fromkeys(noted))
    yield Done(task, objects, time.perf_counter() - start, results, message, read_as)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, or what has caused it, is a lack of memory."""
    cause: BaseException | None = error
    while cause is not None:
        of_torch = isinstance(cause, RuntimeError) and any(
            words in str(cause).lower() for words in OUT_OF_MEMORY
        )
        if isinstance(cause, MemoryError) or of_torch:
            return True
        cause = cause.__cause__
    return False


def reason_of(error: BaseException) -> str:
    """Why a file has failed, for the user."""
    text = ' '.join(str(error).split())
    if is_out_of_memory(error):
        return (
            f'Memory was too short, also with half the budget ({text or type(error).__name__}); '
            'use fewer workers, or a smaller image.'
        )
    if isinstance(error, FlimError):
        return text
    return f'{type(error).__name__}: {text or "no reason was given"}.'.replace('..', '.')


def _noting(job: Job[Result], noted: list[str]) -> Job[Result]:
    """The same job; its `FlimWarning` are appended to ``noted`` instead of shown."""
    while True:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always', FlimWarning)
            try:
                step: Progress | StopIteration = next(job)
            except StopIteration as end:
                step = end
        for one in caught:
            if issubclass(one.category, FlimWarning):
                noted.append(str(one.message))
            else:
                warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
        if isinstance(step, StopIteration):
            result: Result = step.value
            return result
        yield step


def _segmented(
    work: FileWork, task: FileTask, mapper: Mapper
) -> Job[tuple[int, tuple[str, ...], str]]:
    """Number of objects, names of results, and what was read."""
    # Imported here: it takes torch along, and plans are made without.
    from napari_flim.batch.segment_image import segment_image

    yield Progress('reading', 0, 1)
    images = read_images(task.source, work.axes)
    several = len(images) > 1
    names = [task.stem + f'-{n:03d}' * several for n in range(len(images))]
    taken = sorted(work.stems & set(names)) if several else []
    if taken:
        raise BatchError(
            f'{task.source.name} is a stack of {len(images)} images, whose results would be called '
            f'like those of the file {taken[0]} of this run; rename one of them.'
        )
    written: list[Written] = []
    for number, (name, image) in enumerate(zip(names, images, strict=True), start=1):
        paths = result_paths(work.out, name, work.outputs)
        job = segment_image(work.model.model, image, paths, work.memory, mapper)
        written.append((yield from retold(job, partial(_numbered, number, len(images)))))
    read_as = images[0].describe()
    if several:
        read_as = f'a stack of {len(images)}, each of them {read_as}'
    files = tuple(file.name for one in written for file in one.files)
    return sum(one.objects for one in written), files, read_as


def _numbered(number: int, count: int, step: Progress) -> Progress:
    """Progress with the image of a stack that it is about."""
    return replace(step, stage=f'{step.stage}, image {number} of {count}') if count > 1 else step


def _half(memory: int | None) -> int:
    """Half of a budget; without one, half of what is used by default."""
    import psutil

    from napari_flim.inference.budget import SHARE_OF_FREE

    if memory is not None:
        return memory // 2
    free = psutil.virtual_memory().available
    return int(psutil.Process().memory_info().rss + free // SHARE_OF_FREE // 2)
