"""Learning for one viewer: when it is asked for, when the brush rests, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from napari_flim.bridge.applier import Applier
from napari_flim.bridge.preferences import Preferences, memory_budget, on_device
from napari_flim.errors import FlimError
from napari_flim.progress import Job, Progress
from napari_flim.session.history import State
from napari_flim.session.items import digest_of
from napari_flim.session.jobs import Applied, LearnRequest, Target, learn_and_apply
from napari_flim.session.kernel_edits import KernelEdits, seen_model
from napari_flim.session.learned import Learned
from napari_flim.session.marked_sizes import sizes_due
from napari_flim.session.planning import (
    change_to_finish,
    edits_after,
    plan_all,
    plan_block,
    plan_live,
    wants_live,
)
from napari_flim.session.problems import learned_whole, memory_problem, problems
from napari_flim.session.session import LIVE_LEARNING, Message, Session

if TYPE_CHECKING:
    from napari_flim.model import FlimModel
    from napari_flim.session.running import Runner

Outcome = tuple[Learned, 'FlimModel', Applied | None]
Plan = Callable[[Session], LearnRequest]
Reason = Literal['button', 'change', 'live']
"""Who asks for learning: the user by a button, a change that learning is part of, or painting."""


class Learner:
    """Learns when asked or when the brush rests.

    Parameters
    ----------
    session : Session
    applier : Applier
        Shows what was learned; it is held while something is learned.
    runner : Runner
        The same that applies, so that learning takes its place.
    preferences : callable
        Gives the `Preferences` as they are now.
    """

    def __init__(
        self,
        session: Session,
        applier: Applier,
        runner: Runner,
        preferences: Callable[[], Preferences],
    ) -> None:
        self._session = session
        self._applier = applier
        self._runner = runner
        self._preferences = preferences
        self._request: LearnRequest | None = None
        session.events['live'].connect(self._on_live_changed, max_args=0)

    def problems(self) -> tuple[str, ...]:
        """Why learning cannot start."""
        return problems(self._session, memory_budget(self._preferences()))

    def learn_all(self) -> None:
        """Learn every block that keeps no edits."""
        self._ask(plan_all, 'learning', 'button')

    def learn_block(self, number: int) -> None:
        """Learn one block anew."""
        self._ask(partial(plan_block, number=number), f'learning block {number}', 'button')

    def finish_change(self) -> None:
        """Learn what depends on the latest change; one undo takes back both."""
        self._ask(plan_all, self._session.history.done[-1].name, 'change')

    def follow(self) -> None:
        """After painting: learn again if Live is on and something changed, else apply.

        What was asked for before is not asked for again: it is being learned, or was stopped,
        failed or taken back.
        """
        session = self._session
        wanted = session.live and wants_live(session, session.block_states())
        if not wanted or self.problems() or self._asked_before():
            self._applier.show_rest()
        else:
            self._ask(plan_live, LIVE_LEARNING, 'live')

    def cancel(self) -> None:
        """Stop what is being learned or applied; earlier results stay."""
        if self._applier.held:
            self._session.message = Message('Stopped; the earlier result stays.')
        self._runner.cancel()

    def _asked_before(self) -> bool:
        return self._request is not None and _asks_same(plan_live(self._session), self._request)

    def _ask(self, plan: Plan, name: str, reason: Reason) -> None:
        """Submit a plan as a job."""
        session = self._session
        found = self.problems()
        if found:
            session.message = Message(found[0], error=True)
            return
        try:
            request = self._within_memory(plan(session))
        except FlimError as error:
            session.message = Message(str(error), error=reason != 'live')
            return
        before = session.state
        edits = KernelEdits()
        if before.learned is not None:
            edits = edits_after(before.edits, before.learned, len(request.start))
        target, known = self._target(request), self._applier.known
        self._applier.held, self._request = True, request
        session.work = Progress('learning', 0, 1)
        decoder = session.settings.decoder

        def seen(model: FlimModel) -> FlimModel:
            return seen_model(model, edits, decoder)

        def job(device: str) -> Job[Outcome]:
            return learn_and_apply(request, target, seen, device, known)

        def learned(outcome: Outcome) -> None:
            now = session.state
            if (now.learned, now.edits) == (before.learned, before.edits):
                self._on_job_learned(outcome, edits, name, reason)
            else:
                self._on_job_outdated(plan, name, reason)

        self._runner.submit(
            on_device(self._preferences(), job),
            done=learned,
            failed=self._on_job_failed,
            progressed=self._on_job_progressed,
            stopped=self._applier.after_stop,
        )

    def _within_memory(self, request: LearnRequest) -> LearnRequest:
        """The request, reading whole images only if all of them fit into the budget."""
        sources = [image.source for image in request.images]
        budget = memory_budget(self._preferences())
        return replace(request, whole=learned_whole(request.settings, sources, budget))

    def _target(self, request: LearnRequest) -> Target | None:
        """What to apply to at once; None if that, or all that is learned from, is too large."""
        target, budget = self._applier.target_in_view(), memory_budget(self._preferences())
        if target is None or memory_problem(request.settings, target.source, budget):
            return None
        return target if request.whole else None

    def _on_job_learned(
        self, outcome: Outcome, edits: KernelEdits, name: str, reason: Reason
    ) -> None:
        learned, model, applied = outcome
        session = self._session
        self._applier.adopt(model)
        session.work = None
        if reason == 'live':
            name = change_to_finish(session) or name
        elif reason == 'change' and session.history.done[-1].name != name:
            name = f'learning after {name}'
        state = State(sizes_due(session.settings), learned, edits)
        session.change(name, state, repeats=reason != 'button')
        self._applier.held = False
        session.message = Message(learned.warning)
        if applied is not None:
            self._applier.show(applied)
        # The decoder may have been changed meanwhile.
        self._applier.refresh()
        self._applier.show_rest()

    def _on_job_outdated(self, plan: Plan, name: str, reason: Reason) -> None:
        """Kernels were changed, or learning taken back, meanwhile; this is not written over."""
        self._applier.held = False
        self._session.work = None
        self._applier.refresh()
        done = [change.name for change in self._session.history.done]
        if reason == 'live':
            self.follow()
        elif reason == 'button' or name in done:
            self._ask(plan, name, reason)

    def _on_job_failed(self, error: Exception) -> None:
        self._applier.held = False
        self._session.work = None
        self._session.message = Message(str(error), error=True)
        self._applier.refresh()
        self._applier.show_rest()

    def _on_job_progressed(self, step: Progress) -> None:
        self._session.work = step

    def _on_live_changed(self) -> None:
        """Switched on again, learning may be asked for what was stopped or taken back."""
        if not self._applier.held:
            self._request = None


def _asks_same(one: LearnRequest, other: LearnRequest) -> bool:
    """Whether two requests lead to the same blocks."""
    later = other.settings
    settings = replace(
        one.settings,
        decoder=later.decoder,
        delineation=later.delineation,
        sizes_from=later.sizes_from,
    )
    mine = (digest_of(one.images), settings, one.last_block, one.kept, one.changes)
    theirs = (digest_of(other.images), other.settings, other.last_block, other.kept, other.changes)
    return mine == theirs
