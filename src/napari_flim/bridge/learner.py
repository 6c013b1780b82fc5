"""Learning and applying for one viewer: what to run next, and where its results are shown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from psygnal import Signal

from napari_flim.bridge.layer_items import LayerItems
from napari_flim.bridge.layer_views import in_view
from napari_flim.bridge.preferences import (
    Preferences,
    memory_budget,
    on_device,
)
from napari_flim.bridge.saliency_layers import SaliencyLayers
from napari_flim.errors import FlimError
from napari_flim.progress import Job, Progress
from napari_flim.session.history import State
from napari_flim.session.items import digest_of
from napari_flim.session.jobs import (
    Applied,
    LearnRequest,
    Target,
    apply,
    learn_and_apply,
    readable,
)
from napari_flim.session.kernel_edits import KernelEdits, seen_model
from napari_flim.session.learned import Learned
from napari_flim.session.marked_sizes import (
    SizesRequest,
    measured_range,
    put_sizes,
    sizes_due,
    sizes_request,
)
from napari_flim.session.planning import (
    change_to_finish,
    edits_after,
    plan_all,
    plan_block,
    plan_live,
    wants_live,
)
from napari_flim.session.problems import memory_problem, problems
from napari_flim.session.session import LIVE_LEARNING, Message, Session

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_flim.delineation.area_range import AreaRange
    from napari_flim.model import FlimModel
    from napari_flim.session.running import Runner

Outcome = tuple[Learned, 'FlimModel', Applied | None]
Reason = Literal['button', 'change', 'live']
"""Who asks for learning: the user by a button, a change that learning is part of, or painting."""

KEPT_SHARE = 0.25
"""Part of the memory budget that one kept result may take."""


class Learner:
    """Learns when asked or when the brush rests, and keeps saliency layers true.

    What is in view comes first, then the whole volume, then the other items, and sizes of marked
    objects at last.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
    session : Session
    items : LayerItems
    layers : SaliencyLayers
    runner : Runner
    preferences : callable
        Gives the `Preferences` as they are now.
    """

    applied = Signal(Applied)
    """What is in view was applied anew."""

    def __init__(
        self,
        viewer: ViewerModel,
        session: Session,
        items: LayerItems,
        layers: SaliencyLayers,
        runner: Runner,
        preferences: Callable[[], Preferences],
    ) -> None:
        self._viewer = viewer
        self._session = session
        self._items = items
        self._layers = layers
        self._runner = runner
        self._preferences = preferences
        self._learning = False
        self._request: LearnRequest | None = None
        self._shown: FlimModel | None = None
        # Places of each item whose saliency is that of the model shown.
        self._fresh: defaultdict[str, set[tuple[object, ...]]] = defaultdict(set)
        self._asked: set[str] = set()
        self._measured: State | None = None
        self.known: tuple[Applied, ...] = ()
        session.events['state'].connect(self.refresh, max_args=0)
        session.events['current'].connect(self.show_rest, max_args=0)
        session.events['live'].connect(self._on_live_changed, max_args=0)
        items.closed.connect(self._on_item_closed)

    @property
    def shown(self) -> FlimModel | None:
        """The model, with its edits, whose saliency is shown."""
        return self._shown

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
            self.show_rest()
        else:
            self._ask(plan_live, LIVE_LEARNING, 'live')

    def _asked_before(self) -> bool:
        return self._request is not None and _asks_same(plan_live(self._session), self._request)

    def cancel(self) -> None:
        """Stop what is being done; earlier results stay."""
        if self._learning:
            self._session.message = Message('Stopped; the earlier result stays.')
        self._runner.cancel()

    def refresh(self) -> None:
        """Apply the model to what is in view, if it, its edits or its decoder changed."""
        if self._session.learned is None:
            self._forget()
        model = self._model()
        if model is None or self._learning:
            return
        if _same(model, self._shown):
            # Sizes of marked objects may be due.
            if not self._runner.busy:
                self.show_rest()
            return
        self._shown = model
        self._fresh.clear()
        self.show_rest()

    def show_rest(self) -> None:
        """Apply to the next thing that has no saliency of the model yet, what is in view first."""
        if self._learning or self._shown is None:
            return
        target = self._next_target()
        if target is None:
            self._measure()
            return
        self._measured = None
        model, known = self._shown, self.known
        self._session.work = Progress('applying the model', 0, 1)

        def job(device: str) -> Job[Applied]:
            return apply(model, target, device, known)

        self._runner.submit(
            on_device(self._preferences(), job),
            done=self._on_job_applied,
            failed=partial(self._on_target_failed, target),
            progressed=self._on_job_progressed,
            stopped=self._on_job_stopped,
        )

    def _measure(self) -> None:
        """Measure marked objects if that is due and not being done."""
        request, known = sizes_request(self._session), self.known
        if request is None or (self._measured is self._session.state and self._runner.busy):
            return
        self._measured = request.state
        self._session.work = Progress('measuring marked objects', 0, 1)

        def job(device: str) -> Job[AreaRange | None]:
            return measured_range(request, device, known)

        self._runner.submit(
            on_device(self._preferences(), job),
            done=partial(self._on_sizes_measured, request),
            failed=partial(self._on_measuring_failed, request),
            progressed=self._on_job_progressed,
            stopped=self._on_job_stopped,
        )

    def apply_to(self, keys: Collection[str]) -> list[str]:
        """Show saliency of these items, ticked or not; again if it was shown before.

        Parameters
        ----------
        keys : collection of str

        Returns
        -------
        list of str
            Names of those that the model cannot read.
        """
        self._asked.update(keys)
        items = [item for item in self._session.items if item.source.key in keys]
        for key in keys:
            self._fresh.pop(key, None)
        self.show_rest()
        model = self._shown
        if model is None:
            return []
        return [item.source.name for item in items if not readable(model, Target(item.source))]

    def _ask(self, plan: Callable[[Session], LearnRequest], name: str, reason: Reason) -> None:
        """Submit a plan as a job."""
        session = self._session
        found = self.problems()
        if found:
            session.message = Message(found[0], error=True)
            return
        try:
            request = plan(session)
        except FlimError as error:
            session.message = Message(str(error), error=reason != 'live')
            return
        before = session.state
        edits = KernelEdits()
        if before.learned is not None:
            edits = edits_after(before.edits, before.learned, len(request.start))
        self._learning, self._request = True, request
        session.work = Progress('learning', 0, 1)
        target, known = self.target_in_view(), self.known
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
            failed=self._on_learning_failed,
            progressed=self._on_job_progressed,
            stopped=self._on_job_stopped,
        )

    def _model(self) -> FlimModel | None:
        """The model with its edits; None if there is none, or if the edits leave nothing."""
        session = self._session
        if session.learned is None:
            return None
        try:
            return seen_model(session.learned.model, session.edits, session.settings.decoder)
        except FlimError as error:
            session.message = Message(str(error), error=True)
            return None

    def target_in_view(self) -> Target | None:
        """The current item as the viewer shows it."""
        session = self._session
        item = session.item(session.current)
        layer = None if item is None else self._items.layer_of(item.source)
        if item is None or layer is None:
            return None
        frame, plane = in_view(self._viewer, layer, item.source.axes)
        return Target(item.source, frame, plane)

    def _next_target(self) -> Target | None:
        """What to apply to next: the view, its whole volume, other items as they are in view."""
        model, view = self._shown, self.target_in_view()
        if model is None:
            return None
        wanted = [] if view is None else [view, replace(view, plane=None)]
        for item in self._session.items:
            key = item.source.key
            layer = self._items.layer_of(item.source)
            asked = item.included or key in self._asked
            if layer is not None and asked and (view is None or key != view.source.key):
                frame, _ = in_view(self._viewer, layer, item.source.axes)
                wanted.append(Target(item.source, frame))
        for target in wanted:
            whole = replace(target, plane=None)
            done = {target.place, whole.place} & self._fresh[target.source.key]
            if not done and readable(model, target) and self._fits_memory(model, target):
                return target
        return None

    def _fits_memory(self, model: FlimModel, target: Target) -> bool:
        """Whether a target may be held in memory; says so once if it may not."""
        problem = self.memory_problem(model, target)
        if problem:
            self._fresh[target.source.key].add(target.place)
            self._session.message = Message(problem, error=True)
        return not problem

    def memory_problem(self, model: FlimModel, target: Target) -> str:
        """Why a model is not applied to a target for lack of memory; empty if it may be."""
        return memory_problem(model, target.source, memory_budget(self._preferences()))

    def _on_job_learned(
        self, outcome: Outcome, edits: KernelEdits, name: str, reason: Reason
    ) -> None:
        learned, self._shown, applied = outcome
        session = self._session
        session.work = None
        self._fresh.clear()
        if reason == 'live':
            name = change_to_finish(session) or name
        elif reason == 'change' and session.history.done[-1].name != name:
            name = f'learning after {name}'
        state = State(sizes_due(session.settings), learned, edits)
        session.change(name, state, repeats=reason != 'button')
        self._learning = False
        session.message = Message(learned.warning)
        if applied is not None:
            self._show(applied)
        # The decoder may have been changed meanwhile.
        self.refresh()
        self.show_rest()

    def _on_job_applied(self, applied: Applied) -> None:
        self._session.work = None
        self._show(applied)
        self.show_rest()

    def _on_job_outdated(
        self, plan: Callable[[Session], LearnRequest], name: str, reason: Reason
    ) -> None:
        """Kernels were changed, or learning taken back, meanwhile; this is not written over."""
        self._learning = False
        self._session.work = None
        self.refresh()
        done = [change.name for change in self._session.history.done]
        if reason == 'live':
            self.follow()
        elif reason == 'button' or name in done:
            self._ask(plan, name, reason)

    def _on_job_failed(self, error: Exception) -> None:
        self._session.work = None
        self._session.message = Message(str(error), error=True)

    def _on_sizes_measured(self, request: SizesRequest, sizes: AreaRange | None) -> None:
        self._session.work = None
        put_sizes(self._session, request, sizes)

    def _on_measuring_failed(self, request: SizesRequest, error: Exception) -> None:
        """Say so; the range stays as it is until something is learned again."""
        self._on_job_failed(error)
        put_sizes(self._session, request, request.state.settings.delineation.seeds.sizes)

    def _on_target_failed(self, target: Target, error: Exception) -> None:
        """Say so, and go on with the others; this one is tried again with another model."""
        self._fresh[target.source.key].add(target.place)
        self._on_job_failed(error)
        self.show_rest()

    def _on_learning_failed(self, error: Exception) -> None:
        self._learning = False
        self._on_job_failed(error)
        self.refresh()
        self.show_rest()

    def _on_live_changed(self) -> None:
        """Switched on again, learning may be asked for what was stopped or taken back."""
        if not self._learning:
            self._request = None

    def _on_item_closed(self, key: str) -> None:
        """Its saliency goes too; the image may come back with other voxels."""
        self._fresh.pop(key, None)
        self._asked.discard(key)
        self.known = tuple(one for one in self.known if one.target.source.key != key)

    def _forget(self) -> None:
        """Nothing is learned any more: take away the saliency of what was."""
        self._shown, self.known = None, ()
        self._fresh.clear()
        self._layers.remove_all()
        if not self._learning:
            self._runner.cancel()

    def _on_job_progressed(self, step: Progress) -> None:
        self._session.work = step

    def _on_job_stopped(self) -> None:
        """After a job was stopped: one that was to follow it may have been dropped before."""
        if not self._runner.busy:
            self._session.work = None
            if self._learning:
                self._learning = False
                # Kernels or the decoder may have been changed meanwhile.
                self.refresh()

    def _show(self, applied: Applied) -> None:
        """Show a result, and keep it if it is of what is in view."""
        key = applied.target.source.key
        if self._layers.show(applied, anew=not self._fresh[key]):
            self._fresh[key].add(applied.target.place)
            if applied.warning:
                self._session.message = Message(applied.warning)
            if key == self._session.current:
                self.remember(applied)
                self.applied.emit(applied)

    def remember(self, applied: Applied) -> None:
        """Keep a result of what is in view, so that its blocks need not be computed again.

        Two are kept: with the edits of the expert and without.
        """
        same = [one for one in self.known if one.target.place == applied.target.place]
        others = [one for one in same if one.blocks != applied.blocks]
        small = applied.nbytes <= KEPT_SHARE * memory_budget(self._preferences())
        self.known = (*others[-1:], applied) if small else ()


def _same(model: FlimModel, other: FlimModel | None) -> bool:
    if other is None or len(model.blocks) != len(other.blocks):
        return False
    pairs = zip(model.blocks, other.blocks, strict=True)
    blocks = all(mine is theirs for mine, theirs in pairs)
    return blocks and (model.decoder, model.transform) == (other.decoder, other.transform)


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
