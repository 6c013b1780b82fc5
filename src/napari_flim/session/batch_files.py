"""FileRow: one file of a run and what has become of it; the rows of a folder and of a plan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from napari_flim.batch import BatchPlan, FileTask
from napari_flim.batch.report import EarlierRun, Row

FileState = Literal['waiting', 'running', 'done', 'failed', 'skipped']


@dataclass(frozen=True, slots=True)
class FileRow:
    """What is shown of a file.

    Attributes
    ----------
    source : Path
    state : {'waiting', 'running', 'done', 'failed', 'skipped'}
    objects : int, optional
        How many were found.
    seconds : float, optional
    note : str
        Why it has failed; else what the user should know.
    results : tuple of str
        Names of files in the folder of the run.
    stage : str
        What is being done with it.
    share : float
        How much of it is done, from 0 to 1.
    size : int
        Bytes.
    """

    source: Path
    state: FileState = 'waiting'
    objects: int | None = None
    seconds: float | None = None
    note: str = ''
    results: tuple[str, ...] = ()
    stage: str = ''
    share: float = 0.0
    size: int = 0


def rows_found(tasks: Iterable[FileTask], earlier: EarlierRun | None) -> list[FileRow]:
    """Rows of the files that were found, as an earlier run has left them."""
    known = {} if earlier is None else {row.file: row for row in earlier.rows}
    found = [(task, known.get(str(task.source))) for task in tasks]
    return [_waiting(task) if row is None else _left(row, task.size) for task, row in found]


def rows_planned(plan: BatchPlan, shown: Sequence[FileRow]) -> list[FileRow]:
    """Rows when a run begins, in the order in which they are shown already."""
    kept = {row.file: _left(row) for row in plan.kept}
    new = kept | {str(task.source): _waiting(task) for task in plan.tasks}
    order = dict.fromkeys([str(row.source) for row in shown if str(row.source) in new])
    return [new[file] for file in dict.fromkeys([*order, *new])]


def _waiting(task: FileTask) -> FileRow:
    return FileRow(task.source, size=task.size)


def _left(row: Row, size: int = 0) -> FileRow:
    """What a report says of a file."""
    states: dict[str, FileState] = {'done': 'done', 'failed': 'failed', 'skipped': 'skipped'}
    return FileRow(
        Path(row.file),
        states.get(row.status, 'waiting'),
        row.objects,
        row.seconds,
        row.message,
        row.results,
        size=size,
    )
