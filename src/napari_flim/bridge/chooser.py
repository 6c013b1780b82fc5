"""Choosing an encoder and a decoder for one viewer, and learning with what was chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_flim.bridge.applier import Applier
from napari_flim.bridge.learner import Learner
from napari_flim.bridge.preferences import Preferences, memory_budget, on_device
from napari_flim.progress import Job, Progress
from napari_flim.session.choosing import ChoiceRequest, Chosen, choose, with_choice
from napari_flim.session.session import Message, Session

if TYPE_CHECKING:
    from napari_flim.choosing import Choice
    from napari_flim.session.running import Runner

CHANGE = 'choosing encoder and decoder'


class Chooser:
    """Chooses when asked; painting with Live on, or learning, takes its place.

    Parameters
    ----------
    session : Session
    learner : Learner
        Learns what was chosen, and cancels choosing as it cancels learning.
    applier : Applier
        Held while something is chosen.
    runner : Runner
        The one that learns and applies.
    preferences : callable
        Gives the `Preferences` as they are now.

    Attributes
    ----------
    chosen : Chosen, optional
        What was chosen last.
    """

    ended = Signal()
    """Something was chosen."""

    def __init__(
        self,
        session: Session,
        learner: Learner,
        applier: Applier,
        runner: Runner,
        preferences: Callable[[], Preferences],
    ) -> None:
        self._session = session
        self._learner = learner
        self._applier = applier
        self._runner = runner
        self._preferences = preferences
        self.chosen: Chosen | None = None

    def choose(self) -> None:
        """Try candidates on markers left out, take the best, and learn it from all markers."""
        session = self._session
        problems = self._learner.problems()
        if problems:
            session.message = Message(problems[0], error=True)
            return
        request = ChoiceRequest.of(session, memory_budget(self._preferences()))
        self._applier.held = True
        session.message = Message()
        session.work = Progress('choosing', 0, 1)

        def job(_device: str) -> Job[Choice]:
            return choose(request)

        self._runner.submit(
            on_device(self._preferences(), job),
            done=partial(self._on_job_chosen, request),
            failed=self._on_job_failed,
            progressed=self._on_job_progressed,
            stopped=self._applier.after_stop,
        )

    def _on_job_chosen(self, request: ChoiceRequest, choice: Choice) -> None:
        """Take the winner; one undo takes back the settings and what is learned with them."""
        session = self._session
        if request.still_holds(session):
            self.chosen = Chosen(choice, request.digest)
            settings = with_choice(session.settings, choice)
            # The applier stays held: the model before need not know the decoder that was chosen.
            session.change(CHANGE, replace(session.state, settings=settings))
            self.ended.emit()
            self._learner.finish_change()
        else:
            session.message = Message(
                'Something was changed meanwhile, so nothing was chosen; press "Choose for me" '
                'again.'
            )
        # Releases the applier, unless what was chosen is being learned.
        self._applier.after_stop()

    def _on_job_failed(self, error: Exception) -> None:
        self._applier.after_stop()
        self._session.message = Message(str(error), error=True)

    def _on_job_progressed(self, step: Progress) -> None:
        self._session.work = step
