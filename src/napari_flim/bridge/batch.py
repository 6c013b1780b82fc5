"""Batch: runs over files for one viewer; they go on when the dock is closed."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from psygnal import Signal

from napari_flim.batch import BatchPlan, CarriedModel, Done, Failed, Preview, Summary
from napari_flim.bridge.batch_layers import BatchLayers
from napari_flim.bridge.files import model_as_seen
from napari_flim.bridge.preferences import Preferences, memory_budget, on_device
from napari_flim.errors import BatchError
from napari_flim.progress import Job, Progress
from napari_flim.session.batch_choices import BatchChoices
from napari_flim.session.batch_files import FileRow
from napari_flim.session.batch_found import Found, looking
from napari_flim.session.batch_jobs import (
    RunRequest,
    carried_current,
    carried_file,
    drained,
    running,
    tried,
)
from napari_flim.session.batch_results import Shown, opening, shown_preview
from napari_flim.session.batch_run import BatchRun
from napari_flim.session.batch_words import ended_words, preview_words, stopped_words
from napari_flim.session.marked_sizes import sizes_request
from napari_flim.session.session import Message, Session

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_flim.bridge.result_layers import ResultLayers
    from napari_flim.session.running import Runner

NO_MODEL = (
    'Nothing is learned yet: open Train, paint a little of the object and of the background, and '
    'press Learn; or choose a .flim file as model.'
)
NO_INPUT = 'Choose the folder with the images, or some files.'
MIDDLE_GENERATION = 1


class Batch:
    """Looks for files, tries one, segments all, and opens results.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
    session : Session
    results : ResultLayers
    make_runner : callable
        Makes a `Runner`.
    preferences : callable
        Gives the `Preferences` as they are now.

    Attributes
    ----------
    choices : BatchChoices
    found : Found, optional
        Files as they were found; None before that, and where there are none.
    run : BatchRun
    preview : Preview, optional
        What the first file gave with these choices.
    look_problem : str
        Why no files were found.
    message : Message
        What happened last.
    work : Progress, optional
        What is being done beside a run: looking, trying, opening.
    """

    changed = Signal()
    """Choices, files, message or work are others now."""

    def __init__(
        self,
        viewer: ViewerModel,
        session: Session,
        results: ResultLayers,
        make_runner: Callable[[], Runner],
        preferences: Callable[[], Preferences],
    ) -> None:
        self._session = session
        self._preferences = preferences
        self._layers = BatchLayers(viewer, session, results)
        self._looking, self._working, self._running = (make_runner() for _ in range(3))
        self._request: RunRequest | None = None
        self.choices = BatchChoices()
        self.found: Found | None = None
        self.run = BatchRun()
        self.preview: Preview | None = None
        self.look_problem = ''
        self.message = Message()
        self.work: Progress | None = None

    def choose(self, **changes: Any) -> None:
        """Take other choices; files are looked for again if they depend on them.

        Parameters
        ----------
        **changes
            Fields of `BatchChoices`.
        """
        before, self.choices = self.choices, replace(self.choices, **changes)
        if self.choices == before:
            return
        self.message = Message()
        if {'model', 'inputs', 'pattern', 'axes'} & changes.keys():
            self.preview = None
        if self.choices.sources() != before.sources():
            self.choices = replace(self.choices, earlier='resume')
            self.look()
        self.changed.emit()

    def look(self, known: Found | None = None) -> None:
        """Look for files, unless a run goes on: then it is done when that has ended.

        Parameters
        ----------
        known : Found, optional
            What was found with the same choices before.
        """
        if self.run.active:
            return
        self.found, self.look_problem = None, ''
        if not self.choices.inputs:
            self._looking.cancel()
            self.run.show([])
            return
        self._looking.submit(
            looking(self.choices, known),
            done=self._on_found,
            failed=self._on_look_failed,
            progressed=self._on_worked,
            stopped=self._end_work,
        )

    def problems(self) -> tuple[str, ...]:
        """Why a run cannot start, or the first file be tried; empty when it can."""
        if self.choices.model is None and self._session.learned is None:
            return (NO_MODEL,)
        if not self.choices.inputs:
            return (NO_INPUT,)
        try:
            self.choices.outputs()
        except BatchError as error:
            return (str(error),)
        if self.found is None:
            return (self.look_problem or 'Looking at the files ...',)
        return (self.found.problem,) if self.found.problem else ()

    def try_first(self) -> None:
        """Find the objects of the first file and show them."""
        if self.problems() or self.found is None or self.run.active:
            return
        first = self.found.tasks[0].source
        job = self._prepared(tried(self._carried(), first, self.choices.axes or None))
        self.message = Message()
        self._do(job, partial(self._on_tried, first))

    def start(self) -> None:
        """Segment the files, as chosen."""
        if not self.problems() and not self.run.active:
            self._start(self.choices)

    def pause(self) -> None:
        """Let the run rest after its present step."""
        if self._request is not None and self.run.phase == 'running':
            self._request.pause.hold()
            self.run.enter('paused')

    def go_on(self) -> None:
        """End a pause."""
        if self._request is not None and self.run.phase == 'paused':
            self._request.pause.release()
            self.run.enter('running')

    def cancel(self) -> None:
        """Stop the run after its present step, or what is done beside one; nothing done is lost."""
        self._working.cancel()
        if self._request is not None and self.run.active:
            self.run.enter('stopping')
            self._request.pause.release()
            self._running.cancel()

    def skip(self, rows: Sequence[FileRow]) -> None:
        """Leave files out that still wait."""
        for row in rows:
            task = self.run.task_of(row)
            if self._request is not None and task is not None and row.state == 'waiting':
                self._request.orders.skip(task)

    def retry_problem(self) -> str:
        """Why the files that have failed cannot be tried again; empty when they can."""
        if not self.run.count('failed'):
            return 'No file has failed'
        if self.run.phase in ('preparing', 'stopping'):
            return 'Wait a moment'
        if not self.run.active and self.problems():
            return self.problems()[0]
        if not self.run.active and self.run.count('waiting'):
            return 'Press Resume: it takes the files that have failed too'
        return ''

    def retry_failed(self) -> None:
        """Try again what has failed: after the other files, or at once when the run has ended."""
        if self.retry_problem():
            return
        if not self.run.active:
            skipped = frozenset(row.source for row in self.run.rows_in('skipped'))
            self._start(replace(self.choices, earlier='resume'), skipped)
            return
        for row in self.run.rows_in('failed'):
            task = self.run.task_of(row)
            if self._request is not None and task is not None:
                self._request.orders.retry(task)
                self.run.wait_again(row)

    def open_result(self, row: FileRow) -> None:
        """Show the image and the objects of a file that is done."""
        folder = self.folder
        if row.state == 'done' and folder is not None:
            job = opening(row, folder, self.choices.axes or None)
            self._do(job, self._on_opened)

    @property
    def folder(self) -> Path | None:
        """Where results of the files that are shown lie."""
        if self.run.active and self.run.plan is not None:
            return self.run.plan.out
        return self.choices.folder

    def _carried(self) -> Job[CarriedModel]:
        """The chosen model, as it is now."""
        learned, session = self._session.learned, self._session
        if self.choices.model is not None:
            return carried_file(self.choices.model)
        assert learned is not None, 'it is a problem otherwise'
        return carried_current(model_as_seen(learned.model, session.state, sizes_request(session)))

    def _prepared(self, job: Job[Any]) -> Job[Any]:
        """A job with threads as preferred; runs compute on the processor, as the command line."""

        def on_processor(_device: str) -> Job[Any]:
            return job

        return on_device(replace(self._preferences(), device='cpu'), on_processor)

    def _memory(self) -> int:
        """Bytes that this process may take in all: what it holds, and what the work may take."""
        chosen = self.choices.memory_gb
        preferences = self._preferences()
        if chosen is not None:
            preferences = replace(preferences, memory_gb=chosen)
        return int(psutil.Process().memory_info().rss) + memory_budget(preferences)

    def _start(self, choices: BatchChoices, left_alone: frozenset[Path] = frozenset()) -> None:
        self._working.cancel()
        known = self.found is not None and self.found.earlier is not None
        self._request = request = RunRequest(
            self._carried(),
            choices,
            choices.earlier if known else 'refuse',
            self._memory,
            left_alone,
        )
        self.message = Message()
        self.run.enter('preparing')
        self._running.submit(
            self._prepared(running(request)),
            done=self._on_run_ended,
            failed=self._on_run_failed,
            progressed=self._on_run_progressed,
            stopped=self._on_run_stopped,
        )
        self.changed.emit()

    def _take_in(self) -> None:
        """Take in what the run has told."""
        if self._request is None:
            return
        ended = 0
        for told in drained(self._request.inbox):
            if isinstance(told, BatchPlan):
                self.run.begin(told)
                if self.run.phase == 'preparing':
                    self.run.enter('running')
                self._say_plan(told)
            else:
                self.run.apply(told)
                ended += isinstance(told, Done | Failed)
        if ended:
            # While jobs run only what is young is collected, and a run may last for days.
            gc.collect(MIDDLE_GENERATION)
        self.run.changed.emit()

    def _say_plan(self, planned: BatchPlan) -> None:
        if planned.notes:
            self.message = Message(' '.join(planned.notes))
            self.changed.emit()

    def _on_run_progressed(self, _step: Progress) -> None:
        self._take_in()

    def _on_run_ended(self, _summary: Summary) -> None:
        self._take_in()
        asked_late = self.run.rows_in('waiting')
        self._end_run(Message(ended_words(self.run)))
        if asked_late:
            # They were to be tried again when the run had just taken its last file.
            skipped = frozenset(row.source for row in self.run.rows_in('skipped'))
            self._start(replace(self.choices, earlier='resume'), skipped)

    def _on_run_failed(self, error: Exception) -> None:
        self._take_in()
        self._end_run(Message(str(error), error=True))

    def _on_run_stopped(self) -> None:
        self._take_in()
        planned = self.run.plan is not None and bool(self.run.rows)
        self._end_run(Message(stopped_words(self.run) if planned else 'Stopped.'))

    def _end_run(self, message: Message) -> None:
        self._request = None
        self.message = message
        self.choices = replace(self.choices, earlier='resume')
        self.run.enter('idle')
        self.look(self.found)
        self.changed.emit()

    def _do(self, job: Job[Any], done: Callable[[Any], None]) -> None:
        self._working.submit(
            job,
            done=done,
            failed=self._on_work_failed,
            progressed=self._on_worked,
            stopped=self._end_work,
        )

    def _on_worked(self, step: Progress) -> None:
        self.work = step
        self.changed.emit()

    def _end_work(self) -> None:
        self.work = None
        self.changed.emit()

    def _on_work_failed(self, error: Exception) -> None:
        self.message = Message(str(error), error=True)
        self._end_work()

    def _on_look_failed(self, error: Exception) -> None:
        self.look_problem = str(error)
        self.run.show([])
        self._end_work()

    def _on_found(self, found: Found) -> None:
        self.found = found
        self.run.show(found.rows)
        self._end_work()

    def _on_tried(self, source: Path, preview: Preview) -> None:
        self.preview = preview
        self.message = Message(preview_words(preview))
        self._layers.show(shown_preview(source, preview))
        self._end_work()

    def _on_opened(self, shown: Shown) -> None:
        self.message = Message()
        self._layers.show(shown)
        self._end_work()
