"""Models and sessions to and from files, for one viewer; whatever fails is said, not raised.

Files are read and written by jobs, one after the other, in the order in which they were asked for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_flim.bridge.reopening import Reopened, check_units
from napari_flim.errors import FlimError, LearningError
from napari_flim.io.session_file import SavedSession, read_session, write_session
from napari_flim.progress import Job, Progress
from napari_flim.session.classes import with_labels
from napari_flim.session.history import History, State
from napari_flim.session.items import digest_of
from napari_flim.session.kernel_edits import KernelEdits, edited_model
from napari_flim.session.learned import Learned
from napari_flim.session.marked_sizes import (
    SizesRequest,
    measured_range,
    sizes_request,
    with_sizes,
)
from napari_flim.session.planning import changes_by
from napari_flim.session.recognising import Digests, compared, recognised
from napari_flim.session.restoring import CheckedSession, checked
from napari_flim.session.saved_model import strokes_digest, with_origins
from napari_flim.session.saving import copy_of, is_unchanged
from napari_flim.session.script import ScriptInputs, as_python
from napari_flim.session.session import Message, Session
from napari_flim.session.settings import Settings
from napari_flim.session.words import count_words

if TYPE_CHECKING:
    from napari_flim.bridge.controller import Controller
    from napari_flim.model import FlimModel
    from napari_flim.session.running import Runner


def nothing() -> None:
    """What is done after a file was opened unless something else is asked for."""


@dataclass(frozen=True, eq=False)
class Task:
    """Something to be done with a file.

    Attributes
    ----------
    words : str
        What it is, as in "Stopped saving a.flim".
    job : generator of Progress
    done : callable
        Takes the result, in the thread of the window.
    """

    words: str
    job: Job[Any]
    done: Callable[[Any], None]


class Files:
    """Saves and opens models and sessions.

    Parameters
    ----------
    controller : Controller
    make_runner : callable
        Makes a `Runner`.

    Attributes
    ----------
    digests : mapping
        What is known of the voxels of open images; see
        `napari_flim.session.recognising.recognised`.
    """

    def __init__(self, controller: Controller, make_runner: Callable[[], Runner]) -> None:
        self._controller = controller
        self._session = controller.session
        self._runner = make_runner()
        self._comparing = make_runner()
        self._tasks: deque[Task] = deque()
        self._work: Progress | None = None
        self.digests: Digests = {}

    def save_model(self, path: Path | str) -> None:
        """Save the model as it is seen, with kernels off left out."""
        name, session = Path(path).name, self._session
        if session.learned is None:
            text = 'Nothing is learned yet, so there is no model: press Learn first.'
            session.message = Message(text, error=True)
            return

        def done(kernels: int) -> None:
            session.message = Message(f'Saved {name}: {count_words(kernels, "kernel")}.')

        job = _save_model(Path(path), session.learned.model, session.state, sizes_request(session))
        self._ask(Task(f'saving {name}', job, done))

    def open_model(self, path: Path | str, then: Callable[[], object] = nothing) -> None:
        """Use a model from a file, as one change that undo takes back.

        Parameters
        ----------
        path : path
        then : callable
            Called once the model is open; not if that fails.
        """
        name = Path(path).name

        def done(model: FlimModel) -> None:
            self._use_model(model, name)
            then()

        self._ask(Task(f'opening {name}', _open_model(Path(path)), done))

    def save_session(self, path: Path | str) -> None:
        """Save images by name, strokes, classes, settings and model, all as they are now."""
        name, session = Path(path).name, self._session
        self._controller.items.debouncer.flush()
        copied = copy_of(session)

        def done(digests: Digests) -> None:
            self.digests = digests
            unchanged = is_unchanged(session, copied)
            if unchanged:
                session.unsaved = False
            later = '' if unchanged else ' What changed meanwhile is not in it.'
            session.message = Message(f'Saved {name}.{later}')

        job = _save_session(Path(path), copied, self.digests)
        self._ask(Task(f'saving {name}', job, done))

    def open_session(self, path: Path | str, then: Callable[[], object] = nothing) -> None:
        """Go on with a saved session in place of the present one.

        Layers of the present session stay open; what is not saved of it is kept by its recovery
        file.

        Parameters
        ----------
        path : path
        then : callable
            Called once the session is open; not if that fails.
        """
        name = Path(path).name

        def done(opened: CheckedSession) -> None:
            self._restore(opened, f'Opened {name}.')
            self._session.unsaved = False
            then()

        job = _checked(f'opening {name}', partial(read_session, path))
        self._ask(Task(f'opening {name}', job, done))

    def recover(self, saved: SavedSession, words: str, then: Callable[[], object]) -> None:
        """Go on with a session that was read already, and that is saved nowhere else.

        Parameters
        ----------
        saved : SavedSession
        words : str
            What it holds.
        then : callable
            Called once the session is open; not if that fails.
        """

        def done(opened: CheckedSession) -> None:
            self._restore(opened, f'Recovered {words}.')
            self._session.unsaved = True
            then()

        def read() -> SavedSession:
            return saved

        self._ask(Task('recovering', _checked('recovering', read), done))

    def cancel(self) -> None:
        """Stop what is being done with files, and forget what waits."""
        while self._tasks:
            self._tasks.popleft().job.close()
        self._runner.cancel()

    def _ask(self, task: Task) -> None:
        self._tasks.append(task)
        self._go_on()

    def _go_on(self) -> None:
        """Start what waits longest, unless something is being done."""
        if not self._tasks or self._runner.busy:
            return
        task = self._tasks.popleft()
        self._on_job_progressed(Progress(task.words, 0, 1))
        self._runner.submit(
            task.job,
            done=partial(self._on_job_done, task),
            failed=self._on_job_failed,
            progressed=self._on_job_progressed,
            stopped=partial(self._on_job_stopped, task),
        )

    def _on_job_done(self, task: Task, result: object) -> None:
        self._end_work()
        try:
            task.done(result)
        except FlimError as error:
            self._session.message = Message(str(error), error=True)
        self._go_on()

    def _on_job_failed(self, error: Exception) -> None:
        self._end_work()
        self._session.message = Message(str(error), error=True)
        self._go_on()

    def _on_job_stopped(self, task: Task) -> None:
        self._end_work()
        self._session.message = Message(f'Stopped {task.words}.')
        self._go_on()

    def _on_job_progressed(self, step: Progress) -> None:
        self._work = self._session.work = step

    def _end_work(self) -> None:
        """Take away our progress; what is shown may be that of learning."""
        if self._session.work == self._work:
            self._session.work = None

    def _use_model(self, model: FlimModel, name: str) -> None:
        session = self._session
        self._controller.learner.cancel()
        by_hand = {(model.decoded_block, kernel): w for kernel, w in model.decoder.overrides}
        settings = Settings(
            architecture=model.architecture,
            transform=replace(model.transform, ranges=None),
            fixed_ranges=model.transform.ranges is not None,
            decoder=replace(model.decoder, overrides=()),
            options=session.settings.options,
            delineation=model.delineation,
            sizes_from='chosen',
        )
        session.classes = with_labels(session.classes, model.object_classes)
        state = State(settings, Learned(model, settings), KernelEdits(weights=by_hand))
        session.change(f'opening {name}', state)
        session.message = Message(f'Opened {name}; it reads {model.reads()}.')

    def _restore(self, opened: CheckedSession, said: str) -> None:
        """Put a saved session in the place of the present one; voxels are compared afterwards."""
        session = self._session
        reopened = restore(self._controller, opened)
        learned, digest = session.learned, strokes_digest(opened.saved, session)
        session.message = _opened_with(said, reopened.warnings)

        def done(found: tuple[tuple[str, ...], Digests]) -> None:
            names, self.digests = found
            others = [f'{one} has other voxels than when the session was saved.' for one in names]
            warnings = [*reopened.warnings, *others]
            if others:
                session.message = _opened_with(said, warnings)
            if learned is not None and session.learned is learned and not warnings:
                session.state = replace(session.state, learned=replace(learned, digest=digest))

        self._comparing.submit(
            compared(reopened.pairs()), done=done, failed=self._on_comparing_failed
        )

    def _on_comparing_failed(self, error: Exception) -> None:
        self._session.message = Message(str(error), error=True)


def copy_script(controller: Controller) -> str:
    """A Python script that learns the model again, as it is seen.

    Raises
    ------
    LearningError
        When nothing is learned from the strokes as they are now.
    """
    session = controller.session
    learned, states = session.learned, session.block_states()
    images = session.training_images()
    # Blocks that keep edits are not stale, though other strokes would give others.
    painted = learned is not None and learned.digest not in ('', digest_of(images))
    if learned is None or painted or {'stale', 'missing'} & set(states):
        raise LearningError(
            'The model is not learned from the strokes and settings as they are now, so no script '
            'can repeat it: press Learn first.'
        )
    if not learned.digest:
        raise LearningError(
            'The model was opened from a file, so the strokes it was learned from are not known: '
            'press Learn first to learn one from the strokes here.'
        )
    settings = session.settings
    seen = edited_model(learned.model, session.edits, settings.decoder)
    return as_python(
        ScriptInputs(
            frames=tuple((one.source, one.frame, one.strokes) for one in images),
            architecture=settings.architecture,
            preset=settings.preset,
            transform=settings.transform,
            fixed_ranges=settings.fixed_ranges,
            decoder=seen.decoder,
            options=settings.options,
            delineation=settings.delineation,
            changes=(*learned.changes, *changes_by(session.edits, len(seen.blocks))),
            sizes_due=sizes_request(session) is not None,
        )
    )


def restore(controller: Controller, opened: CheckedSession) -> Reopened:
    """Put a saved session in the place of the present one, its model as an opened one.

    Returns
    -------
    Reopened
        The layers and items that were opened, and what is not as it was, in words.
    """
    session = controller.session
    if controller.recovery is not None:
        controller.recovery.set_aside()
    controller.learner.cancel()
    session.live = False
    session.classes = opened.classes
    try:
        reopened = Reopened(controller, opened.saved, opened.view.opened)
        session.history = History()
        learned = opened.learned
        if learned is not None:
            learned = with_origins(learned, opened.saved, reopened.keys)
        session.state = State(opened.settings, learned, opened.edits)
        current = opened.view.current
        session.current = None if current is None else reopened.keys[current]
        markers = controller.items.marker_layer(session.current)
        if markers is not None:
            controller.viewer.layers.selection.active = markers
    finally:
        session.live = opened.view.live
    return reopened


def _opened_with(said: str, warnings: Sequence[str]) -> Message:
    return Message(' '.join([said, *warnings]), error=bool(warnings))


def _save_model(path: Path, model: FlimModel, state: State, due: SizesRequest | None) -> Job[int]:
    """Save a model with the edits of its kernels; the number of kernels that are left."""
    yield Progress(f'saving {path.name}', 0, 1)
    seen = yield from model_as_seen(model, state, due)
    seen.save(path)
    return sum(len(block.bank) for block in seen.blocks)


def model_as_seen(model: FlimModel, state: State, due: SizesRequest | None) -> Job[FlimModel]:
    """A model as it is shown: with the edits of its kernels, and sizes that follow marked objects.

    Parameters
    ----------
    model : FlimModel
        As it was learned.
    state : State
        Settings and edits.
    due : SizesRequest, optional
        Marked objects that are to be measured first.
    """
    settings = state.settings
    if due is not None:
        settings = with_sizes(settings, (yield from measured_range(due)).sizes)
    seen = edited_model(model, state.edits, settings.decoder)
    return replace(seen, delineation=settings.delineation)


def _open_model(path: Path) -> Job[FlimModel]:
    yield Progress(f'opening {path.name}', 0, 1)
    # torch takes a second or two when it is imported first.
    from napari_flim.model_loading import load_model

    return load_model(path)


def _save_session(path: Path, session: Session, known: Digests) -> Job[Digests]:
    """Save a session that nobody changes; what is known of its images then."""
    saved, digests = yield from recognised(session, known)
    write_session(path, saved)
    return digests


def _checked(words: str, read: Callable[[], SavedSession]) -> Job[CheckedSession]:
    yield Progress(words, 0, 1)
    saved = read()
    check_units(saved)
    return checked(saved)
