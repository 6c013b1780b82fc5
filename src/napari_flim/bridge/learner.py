"""Learning and applying for one viewer: what to run next, and where its results are shown."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal

from napari_flim.bridge.layer_grids import grid_of, move_to
from napari_flim.bridge.layer_items import LayerItems, in_view
from napari_flim.bridge.marker_layers import link_of
from napari_flim.bridge.preferences import (
    Preferences,
    memory_budget,
    on_device,
)
from napari_flim.bridge.result_layers import ResultLayers, saliency_colormap
from napari_flim.errors import FlimError
from napari_flim.progress import Job, Progress
from napari_flim.session.classes import class_named
from napari_flim.session.history import State
from napari_flim.session.items import digest_of
from napari_flim.session.jobs import (
    Applied,
    LearnRequest,
    Target,
    apply,
    learn,
)
from napari_flim.session.kernel_edits import KernelEdits, edited_model
from napari_flim.session.learned import Learned
from napari_flim.session.planning import edits_after, plan_all, plan_block, wants_live
from napari_flim.session.problems import problems
from napari_flim.session.session import LIVE_LEARNING, Message, Session

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels

    from napari_flim.model import FlimModel
    from napari_flim.session.running import Runner

SALIENCY = 'saliency'
Outcome = tuple[Learned, 'FlimModel', Applied | None]


class Learner:
    """Learns when asked or when the brush rests, and keeps saliency layers true.

    What is in view comes first, then the whole volume, then the other items.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
    session : Session
    items : LayerItems
    results : ResultLayers
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
        results: ResultLayers,
        runner: Runner,
        preferences: Callable[[], Preferences],
    ) -> None:
        self._viewer = viewer
        self._session = session
        self._items = items
        self._results = results
        self._runner = runner
        self._preferences = preferences
        self._learning = False
        self._request: LearnRequest | None = None
        self._shown: FlimModel | None = None
        self._fresh: set[tuple[object, ...]] = set()
        self._asked: set[str] = set()
        self.known: tuple[Applied, ...] = ()
        session.events['state'].connect(self.refresh, max_args=0)
        session.events['current'].connect(self.show_rest, max_args=0)
        session.events['live'].connect(self._on_live_changed, max_args=0)
        items.moved.connect(self._on_image_moved)

    def problems(self) -> tuple[str, ...]:
        """Why learning cannot start."""
        return problems(self._session, memory_budget(self._preferences()))

    def learn_all(self) -> None:
        """Learn every block that keeps no edits."""
        self._ask(plan_all, 'learning', live=False)

    def learn_block(self, number: int) -> None:
        """Learn one block anew."""
        self._ask(partial(plan_block, number=number), f'learning block {number}', live=False)

    def follow(self) -> None:
        """After painting: learn again if Live is on and something changed.

        What was asked for before is not asked for again: it is being learned, or was stopped,
        failed or taken back.
        """
        session = self._session
        if not session.live or self.problems() or not wants_live(session, session.block_states()):
            return
        if self._request is None or not _asks_same(plan_all(session), self._request):
            self._ask(plan_all, LIVE_LEARNING, live=True)

    def cancel(self) -> None:
        """Stop what is being done; earlier results stay."""
        self._runner.cancel()

    def refresh(self) -> None:
        """Apply the model to what is in view, if it, its edits or its decoder changed."""
        if self._session.learned is None:
            self._forget()
        model = self._model()
        if model is None or self._learning or _same(model, self._shown):
            return
        self._shown = model
        self._fresh = set()
        self.show_rest()

    def show_rest(self) -> None:
        """Apply to the next thing that has no saliency of the model yet, what is in view first."""
        if self._learning or self._shown is None:
            return
        target = self._next_target()
        if target is None:
            return
        model, known = self._shown, self.known

        def job(device: str) -> Job[Applied]:
            return apply(model, target, device, known)

        self._runner.submit(
            on_device(self._preferences(), job),
            done=self._on_job_applied,
            failed=self._on_job_failed,
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
        for item in items:
            content = item.source.content
            self._fresh = {place for place in self._fresh if place[0] != content}
        self.show_rest()
        model = self._shown
        if model is None:
            return []
        return [item.source.name for item in items if not readable(model, Target(item.source))]

    def recolour(self) -> None:
        """Give every saliency layer the colour that its class has now."""
        for item in self._session.items:
            for one in self._session.classes:
                layer = self._results.find(f'{SALIENCY} {one.label}', item.source.key)
                if layer is not None:
                    layer.colormap = saliency_colormap(one.colour)

    def _ask(self, plan: Callable[[Session], LearnRequest], name: str, *, live: bool) -> None:
        """Submit a plan as a job."""
        session = self._session
        found = self.problems()
        if found:
            session.message = Message(found[0], error=True)
            return
        try:
            request = plan(session)
        except FlimError as error:
            session.message = Message(str(error), error=not live)
            return
        before = session.state
        edits = KernelEdits()
        if before.learned is not None:
            edits = edits_after(before.edits, before.learned, len(request.start))
        self._learning, self._request = True, request
        target, known = self.target_in_view(), self.known
        decoder = session.settings.decoder

        def job(device: str) -> Job[Outcome]:
            learned = yield from learn(request)
            model = edited_model(learned.model, edits, decoder)
            if target is None or not readable(model, target):
                return learned, model, None
            return learned, model, (yield from apply(model, target, device, known))

        def learned(outcome: Outcome) -> None:
            now = session.state
            if (now.learned, now.edits) == (before.learned, before.edits):
                self._on_job_learned(outcome, edits, name, live)
            else:
                self._on_job_outdated(plan, name, live)

        self._runner.submit(
            on_device(self._preferences(), job),
            done=learned,
            failed=self._on_learning_failed,
            progressed=self._on_job_progressed,
            stopped=self._on_learning_stopped,
        )

    def _model(self) -> FlimModel | None:
        """The model with its edits; None if there is none, or if the edits leave nothing."""
        session = self._session
        if session.learned is None:
            return None
        try:
            return edited_model(session.learned.model, session.edits, session.settings.decoder)
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
        view = self.target_in_view()
        if view is None or self._shown is None:
            return None
        wanted = [view, replace(view, plane=None)]
        for item in self._session.items:
            key = item.source.key
            layer = self._items.layer_of(item.source)
            asked = item.included or key in self._asked
            if layer is not None and asked and key != view.source.key:
                frame, _ = in_view(self._viewer, layer, item.source.axes)
                wanted.append(Target(item.source, frame))
        for target in wanted:
            whole = replace(target, plane=None)
            done = {target.place, whole.place} & self._fresh
            if not done and readable(self._shown, target):
                return target
        return None

    def _on_job_learned(self, outcome: Outcome, edits: KernelEdits, name: str, live: bool) -> None:
        learned, self._shown, applied = outcome
        session = self._session
        session.work = None
        session.message = Message()
        self._fresh = set()
        session.change(name, State(session.settings, learned, edits), repeats=live)
        self._learning = False
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
        self, plan: Callable[[Session], LearnRequest], name: str, live: bool
    ) -> None:
        """Kernels were changed, or learning taken back, meanwhile; this is not written over."""
        self._learning = False
        self._session.work = None
        self.refresh()
        if live:
            self.follow()
        else:
            self._ask(plan, name, live=False)

    def _on_job_failed(self, error: Exception) -> None:
        self._session.work = None
        self._session.message = Message(str(error), error=True)

    def _on_learning_failed(self, error: Exception) -> None:
        self._learning = False
        self._on_job_failed(error)
        self.refresh()
        self.show_rest()

    def _on_live_changed(self) -> None:
        """Switched on again, learning may be asked for what was stopped or taken back."""
        if not self._learning:
            self._request = None

    def _on_image_moved(self, key: str) -> None:
        """Saliency lies over its image, wherever that goes; what no longer fits is taken away."""
        item, layer = self._session.item(key), self._items.image_layer(key)
        if item is None or layer is None:
            return
        grid = grid_of(layer, item.source.axes)
        for shown in self._saliency_layers(key):
            if shown.ndim == len(grid['scale']):
                move_to(shown, grid)
            else:
                self._results.remove(link_of(shown)['role'], key)

    def _saliency_layers(self, key: str) -> list[Image | Labels]:
        found = self._results.of_item(key)
        return [layer for layer in found if link_of(layer)['role'].startswith(SALIENCY)]

    def _forget(self) -> None:
        """Nothing is learned any more: take away the saliency of what was."""
        self._shown, self._fresh, self.known = None, set(), ()
        for item in self._session.items:
            for layer in self._saliency_layers(item.source.key):
                self._results.remove(link_of(layer)['role'], item.source.key)

    def _on_job_progressed(self, step: Progress) -> None:
        self._session.work = step

    def _on_job_stopped(self) -> None:
        if not self._runner.busy:
            self._session.work = None

    def _on_learning_stopped(self) -> None:
        if not self._runner.busy:
            self._learning = False
            self._session.work = None
            self._session.message = Message('Stopped; the earlier result stays.')
            # The decoder may have been changed meanwhile.
            self.refresh()

    def _show(self, applied: Applied) -> None:
        """Put saliency into layers over its image."""
        target = applied.target
        key = target.source.key
        layer = self._items.layer_of(target.source)
        if layer is None:
            return
        self._fresh.add(target.place)
        roles = [f'{SALIENCY} {number}' for number in applied.object_classes]
        for old in self._saliency_layers(key):
            if link_of(old)['role'] not in roles:
                self._results.remove(link_of(old)['role'], key)
        axes = target.source.axes
        grid = grid_of(layer, axes)
        stacked = 'T' in axes
        shape = (target.source.frames,) * stacked + target.source.shape
        region = (slice(target.frame, target.frame + 1),) * stacked
        if target.plane is not None:
            region += (slice(target.plane, target.plane + 1),)
        several = len(applied.object_classes) > 1
        for role, number, map_ in zip(roles, applied.object_classes, applied.saliency, strict=True):
            marked = class_named(self._session.classes, number)
            name = f'{target.source.name} saliency' + f' {marked.name}' * several
            self._results.show_image(
                role,
                key,
                name,
                map_[np.newaxis] if stacked else map_,
                grid,
                colormap=saliency_colormap(marked.colour),
                blending='translucent',
                region=region or None,
                shape=shape,
            )
        if key == self._session.current:
            self.remember(applied)
            self.applied.emit(applied)

    def remember(self, applied: Applied) -> None:
        """Keep a result of what is in view, so that its blocks need not be computed again.

        Two are kept: with the edits of the expert and without.
        """
        same = [one for one in self.known if one.target.place == applied.target.place]
        others = [one for one in same if one.blocks != applied.blocks]
        small = applied.nbytes <= memory_budget(self._preferences()) // 4
        self.known = (*others[-1:], applied) if small else ()


def readable(model: FlimModel, target: Target) -> bool:
    """Whether the model can be applied to a target; a grey image will do for a model of RGB."""
    source = target.source
    if source.ndim != model.ndim:
        return False
    same = (source.rgb, source.channels) == (model.rgb, model.channels)
    return same or (model.rgb and source.channels == 1)


def _same(model: FlimModel, other: FlimModel | None) -> bool:
    if other is None or len(model.blocks) != len(other.blocks):
        return False
    pairs = zip(model.blocks, other.blocks, strict=True)
    blocks = all(mine is theirs for mine, theirs in pairs)
    return blocks and (model.decoder, model.transform) == (other.decoder, other.transform)


def _asks_same(one: LearnRequest, other: LearnRequest) -> bool:
    """Whether two requests lead to the same blocks."""
    settings = replace(one.settings, decoder=other.settings.decoder)
    mine = (digest_of(one.images), settings, one.last_block, one.kept, one.changes)
    theirs = (digest_of(other.images), other.settings, other.last_block, other.kept, other.changes)
    return mine == theirs
