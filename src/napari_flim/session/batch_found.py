"""Found: the files that a run would take, what they hold, and what an earlier run has left."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from napari_flim.batch import FileTask
from napari_flim.batch.report import EarlierRun, read_earlier_run
from napari_flim.batch.tasks import find_tasks
from napari_flim.engine.image import Image, check_axes
from napari_flim.errors import BatchError, FlimError, FlimWarning
from napari_flim.io.images import read_images
from napari_flim.progress import Job, Progress
from napari_flim.session.batch_choices import BatchChoices
from napari_flim.session.batch_files import FileRow, rows_found

LOOKED_AT = 12
"""Files that are always looked into."""
LOOKING_SECONDS = 3.0
"""More are looked into for so long."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What one file holds.

    Attributes
    ----------
    shape : tuple of int
        Spatial shape of its first image.
    rgb : bool
    channels : int
    images : int
        More than one in a stack.
    """

    shape: tuple[int, ...]
    rgb: bool
    channels: int
    images: int


@dataclass(frozen=True, eq=False)
class Found:
    """What was found.

    Attributes
    ----------
    tasks : tuple of FileTask
    left_out : int
        Results of earlier runs among the images.
    kinds : tuple of Kind
        Of the files that were looked into.
    unreadable : tuple of str
        Names of those of them that cannot be read.
    earlier : EarlierRun, optional
        In the folder for results.
    rows : tuple of FileRow
        The files as that run has left them.
    problem : str
        Why results cannot go to that folder.
    """

    tasks: tuple[FileTask, ...]
    left_out: int
    kinds: tuple[Kind, ...]
    unreadable: tuple[str, ...]
    earlier: EarlierRun | None
    rows: tuple[FileRow, ...] = ()
    problem: str = ''

    @property
    def looked_at(self) -> int:
        """How many files were looked into."""
        return len(self.kinds) + len(self.unreadable)

    @cached_property
    def left(self) -> int:
        """Files that the earlier run has not finished."""
        return sum(row.state != 'done' for row in self.rows)


def looking(choices: BatchChoices, known: Found | None = None) -> Job[Found]:
    """Look for files, and into some of them.

    Parameters
    ----------
    choices : BatchChoices
    known : Found, optional
        With the same axes; its files are not looked into again if they are the same.

    Raises
    ------
    FlimError
        When there are no files that can be segmented, or the axes describe no image.
    """
    yield Progress('looking for images', 0, 1)
    axes, folder = choices.axes or None, choices.folder
    check_axes(axes)
    assert folder is not None, 'there is an input'
    tasks, left_out = find_tasks(choices.inputs, folder, choices.pattern or None)
    earlier, problem = None, ''
    try:
        earlier = read_earlier_run(folder)
    except BatchError as error:
        problem = str(error)
    if known is not None and known.tasks == tuple(tasks):
        rows = tuple(rows_found(tasks, earlier))
        return replace(known, left_out=len(left_out), earlier=earlier, rows=rows, problem=problem)
    kinds: list[Kind] = []
    unreadable: list[str] = []
    end = time.monotonic() + LOOKING_SECONDS
    for number, task in enumerate(tasks):
        if number >= LOOKED_AT and time.monotonic() > end:
            break
        yield Progress('looking at the images', number, len(tasks))
        kind = _kind(task.source, axes)
        if kind is None:
            unreadable.append(task.source.name)
        else:
            kinds.append(kind)
    return Found(
        tuple(tasks),
        len(left_out),
        tuple(kinds),
        tuple(unreadable),
        earlier,
        tuple(rows_found(tasks, earlier)),
        problem,
    )


def _kind(file: Path, axes: str | None) -> Kind | None:
    try:
        with warnings.catch_warnings():
            # Said of each file again when it is segmented.
            warnings.simplefilter('ignore', FlimWarning)
            images = read_images(file, axes)
    except FlimError:
        return None
    return _kind_of(images)


def _kind_of(images: Sequence[Image]) -> Kind:
    first = images[0]
    return Kind(first.shape, first.rgb, first.channels, len(images))
