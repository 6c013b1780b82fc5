"""What workers do for a run over files: carry a model, run a plan, try a file."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event as Flag
from typing import TYPE_CHECKING

from napari_flim.batch import (
    Advanced,
    BatchPlan,
    CarriedModel,
    Done,
    Event,
    Failed,
    Orders,
    Preview,
    Skipped,
    Summary,
    carried,
    plan,
    preview,
    run,
)
from napari_flim.batch.plan import Earlier
from napari_flim.errors import BatchError
from napari_flim.progress import Job, Progress
from napari_flim.session.batch_choices import BatchChoices

if TYPE_CHECKING:
    from napari_flim.model import FlimModel

CURRENT = 'current model'
LOOK_SECONDS = 0.1
"""How often a run that is paused looks whether it was stopped."""

Inbox = deque[BatchPlan | Event]
"""What a run tells, from the thread that does it to the one that shows it."""


class Pause:
    """Holds a run between two steps; used from any thread."""

    def __init__(self) -> None:
        self._free = Flag()
        self._free.set()

    @property
    def held(self) -> bool:
        """Whether the run is to rest."""
        return not self._free.is_set()

    def hold(self) -> None:
        """Let it rest."""
        self._free.clear()

    def release(self) -> None:
        """Let it go on."""
        self._free.set()

    def wait(self, seconds: float) -> None:
        """Wait until it may go on, at most so long."""
        self._free.wait(seconds)


@dataclass(frozen=True, eq=False)
class RunRequest:
    """A run that was asked for.

    Attributes
    ----------
    model : generator of Progress
        Gives the `CarriedModel`.
    choices : BatchChoices
    earlier : {'refuse', 'resume', 'overwrite'}
        What to do with an earlier run; refuse where none was found.
    memory : callable
        Gives the bytes that this process may take, when the run starts.
    left_alone : frozenset of Path
        Files that are not taken, though they are not done.
    inbox : deque
    orders : Orders
    pause : Pause
    """

    model: Job[CarriedModel]
    choices: BatchChoices
    earlier: Earlier
    memory: Callable[[], int]
    left_alone: frozenset[Path] = frozenset()
    inbox: Inbox = field(default_factory=deque)
    orders: Orders = field(default_factory=Orders)
    pause: Pause = field(default_factory=Pause)


def running(request: RunRequest) -> Job[Summary]:
    """Plan a run and carry it out; whatever it tells is put into the inbox.

    Raises
    ------
    FlimError
        When the run cannot be planned, or its folder cannot be written.
    """
    choices = request.choices
    yield Progress('reading the model', 0, 1)
    model = yield from request.model
    assert choices.folder is not None, 'there is an input'
    yield Progress('looking for images', 0, 1)
    planned = plan(
        model,
        choices.inputs,
        choices.folder,
        choices.outputs(),
        axes=choices.axes or None,
        pattern=choices.pattern or None,
        memory=request.memory(),
        earlier=request.earlier,
    )
    for task in planned.tasks:
        if task.source in request.left_alone:
            request.orders.skip(task)
    request.inbox.append(planned)
    yield Progress('segmenting', 0, len(planned.tasks))
    return (yield from _followed(request, planned))


def _followed(request: RunRequest, planned: BatchPlan) -> Job[Summary]:
    ended, total = 0, len(planned.tasks)
    with closing(run(planned, orders=request.orders)) as events:
        for event in events:
            request.inbox.append(event)
            if isinstance(event, Summary):
                return event
            ended += isinstance(event, Done | Failed | Skipped)
            stage = event.progress.stage if isinstance(event, Advanced) else 'segmenting'
            yield Progress(stage, ended, total)
            while request.pause.held:
                request.pause.wait(LOOK_SECONDS)
                yield Progress('paused', ended, total)
    raise AssertionError('a run ends with its summary')


def carried_file(path: Path) -> Job[CarriedModel]:
    """A model from a file.

    Raises
    ------
    FlimError
        When it cannot be read.
    """
    yield Progress(f'opening {path.name}', 0, 1)
    if not path.exists():
        raise BatchError(f'The model {path} does not exist; choose another one.')
    # torch takes a second or two when it is imported first.
    from napari_flim.model_loading import load_model

    return carried(load_model(path), path)


def carried_current(seen: Job[FlimModel]) -> Job[CarriedModel]:
    """The model of the session, as a file of it would be.

    Parameters
    ----------
    seen : generator of Progress
        Gives the model.
    """
    return carried((yield from seen), name=CURRENT)


def tried(model: Job[CarriedModel], file: Path, axes: str | None) -> Job[Preview]:
    """What a run would find in a file; the model is read before the time is taken."""
    yield Progress('reading the model', 0, 1)
    known = yield from model
    yield Progress('starting the engine', 0, 1)
    _ = known.model
    return (yield from preview(known, file, axes))


def drained(inbox: Inbox) -> Iterator[BatchPlan | Event]:
    """What has come so far, each taken out; of steps of one file in a row only the last."""
    while inbox:
        told = inbox.popleft()
        match told, inbox[0] if inbox else None:
            case Advanced(task), Advanced(following) if task == following:
                continue
        yield told
