"""BatchRun: the state of a run over files, with signals; every dock that is open shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

from psygnal import Signal

from napari_flim.batch import (
    Advanced,
    BatchPlan,
    Done,
    Event,
    Failed,
    FileTask,
    Skipped,
    Started,
    Summary,
)
from napari_flim.session.batch_files import FileRow, FileState, rows_planned

Phase = Literal['idle', 'preparing', 'running', 'paused', 'stopping']


class BatchRun:
    """Files, what has become of each, and how far the run is.

    Attributes
    ----------
    phase : {'idle', 'preparing', 'running', 'paused', 'stopping'}
    rows : list of FileRow
        Read only; changed by the methods.
    summary : Summary, optional
        Of the run that has ended last; None when it was stopped.
    plan : BatchPlan, optional
        Of the run that goes on, or was the last.

    Examples
    --------
    >>> from pathlib import Path
    >>> run, task = BatchRun(), FileTask(0, Path('a.tif'), 'a', 10, 0)
    >>> run.show([FileRow(task.source)])
    >>> run.apply(Done(task, 7, 0.5, ('a_labels.tif',), '', ''))
    >>> run.rows[0].objects, run.count('done')
    (7, 1)
    """

    changed = Signal()
    """Phase, numbers, or what is said of files are others now."""

    replaced = Signal()
    """There are other rows."""

    def __init__(self) -> None:
        self.phase: Phase = 'idle'
        self.rows: list[FileRow] = []
        self.summary: Summary | None = None
        self.plan: BatchPlan | None = None
        self._place: dict[str, int] = {}
        self._tasks: dict[str, FileTask] = {}
        self._counts: Counter[FileState] = Counter()

    @property
    def active(self) -> bool:
        """Whether a run is being prepared or goes on."""
        return self.phase != 'idle'

    def count(self, state: FileState) -> int:
        """Files in a state."""
        return self._counts[state]

    @property
    def ended(self) -> int:
        """Files that nothing will be done with any more."""
        return len(self.rows) - self.count('waiting') - self.count('running')

    @property
    def share(self) -> float:
        """How much of the run is done, from 0 to 1."""
        running = sum(row.share for row in self.rows_in('running'))
        return (self.ended + running) / max(1, len(self.rows))

    def rows_in(self, state: FileState) -> list[FileRow]:
        """Rows in a state, in their order; found without looking at all when there are none."""
        return [row for row in self.rows if row.state == state] if self._counts[state] else []

    def task_of(self, row: FileRow) -> FileTask | None:
        """What the run knows a file as; None for files of an earlier part of it."""
        return self._tasks.get(str(row.source))

    def enter(self, phase: Phase) -> None:
        """Go on to another phase; files that were under way wait again when there is no run."""
        self.phase = phase
        if phase == 'idle':
            for place, row in enumerate(self.rows):
                if row.state == 'running':
                    self._put(place, replace(row, state='waiting', stage='', share=0.0))
        self.changed.emit()

    def show(self, rows: Iterable[FileRow]) -> None:
        """Show other files."""
        self.rows = list(rows)
        self._place = {str(row.source): place for place, row in enumerate(self.rows)}
        self._counts = Counter(row.state for row in self.rows)
        self.replaced.emit()
        self.changed.emit()

    def begin(self, plan: BatchPlan) -> None:
        """A run begins: all that it will do waits."""
        self.plan, self.summary = plan, None
        self._tasks = {str(task.source): task for task in plan.tasks}
        self.show(rows_planned(plan, self.rows))

    def apply(self, event: Event) -> None:
        """Take in what the run tells; say `changed` when all of it is taken in."""
        if isinstance(event, Summary):
            self.summary = event
            return
        place = self._place[str(event.task.source)]
        row = self.rows[place]
        match event:
            case Started():
                row = FileRow(row.source, 'running', size=row.size)
            case Advanced(_, step):
                share = max(row.share, step.done / max(1, step.total))
                row = replace(row, state='running', stage=step.stage, share=share)
            case Done(_, objects, seconds, results, message):
                row = FileRow(row.source, 'done', objects, seconds, message, results, size=row.size)
            case Failed(_, reason, seconds):
                row = FileRow(row.source, 'failed', seconds=seconds, note=reason, size=row.size)
            case Skipped():
                row = FileRow(row.source, 'skipped', size=row.size)
        self._put(place, row)

    def wait_again(self, row: FileRow) -> None:
        """A file that had ended is to be taken once more."""
        place = self._place[str(row.source)]
        self._put(place, FileRow(row.source, size=row.size))
        self.changed.emit()

    def _put(self, place: int, row: FileRow) -> None:
        self._counts[self.rows[place].state] -= 1
        self._counts[row.state] += 1
        self.rows[place] = row
