"""The learned model applied to what is in view and to the rest, and shown as saliency."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_flim.bridge.layer_items import LayerItems
from napari_flim.bridge.layer_views import in_view
from napari_flim.bridge.preferences import Preferences, memory_budget, on_device
from napari_flim.bridge.saliency_layers import SaliencyLayers
from napari_flim.errors import FlimError
from napari_flim.progress import Job, Progress
from napari_flim.session.history import State
from napari_flim.session.jobs import Applied, Target, apply, readable
from napari_flim.session.kernel_edits import seen_model
from napari_flim.session.marked_sizes import (
    MeasuredRange,
    SizesRequest,
    measured_range,
    put_sizes,
    sizes_request,
)
from napari_flim.session.problems import memory_problem, too_large_words
from napari_flim.session.session import Message, Session

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_flim.model import FlimModel
    from napari_flim.session.running import Runner
    from napari_flim.session.sources import ImageSource

KEPT_SHARE = 0.25
"""Part of the memory budget that one kept result may take."""


class Applier:
    """Keeps saliency layers true to what was learned.

    What is in view comes first, then the whole volume, then the other items, and sizes of marked
    objects at last.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
    session : Session
    items : LayerItems
    layers : SaliencyLayers
    runner : Runner
        The one that learns: while it does, nothing is applied.
    preferences : callable
        Gives the `Preferences` as they are now.

    Attributes
    ----------
    known : tuple of Applied
        Results of what is in view, whose blocks need not be computed again.
    held : bool
        Whether learning goes on, with a model to come that makes this one out of date.
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
        self._shown: FlimModel | None = None
        # Places of each item whose saliency is that of the model shown.
        self._fresh: defaultdict[str, set[tuple[object, ...]]] = defaultdict(set)
        self._asked: set[str] = set()
        self._measured: State | None = None
        self.known: tuple[Applied, ...] = ()
        self.held = False
        session.events['state'].connect(self.refresh, max_args=0)
        session.events['current'].connect(self.show_rest, max_args=0)
        items.closed.connect(self._on_item_closed)

    @property
    def shown(self) -> FlimModel | None:
        """The model, with its edits, whose saliency is shown."""
        return self._shown

    def target_in_view(self) -> Target | None:
        """The current item as the viewer shows it."""
        session = self._session
        item = session.item(session.current)
        layer = None if item is None else self._items.layer_of(item.source)
        if item is None or layer is None:
            return None
        frame, plane = in_view(self._viewer, layer, item.source.axes)
        return Target(item.source, frame, plane)

    def memory_problem(self, model: FlimModel, target: Target) -> str:
        """Why a model is not applied to a target for lack of memory; empty if it may be."""
        return memory_problem(model, target.source, memory_budget(self._preferences()))

    def too_large_words(self, source: ImageSource) -> str:
        """Why no saliency of an image is shown for lack of memory; empty if it may be."""
        specs = self._shown or self._session.settings
        return too_large_words(specs, source, memory_budget(self._preferences()))

    def refresh(self) -> None:
        """Apply the model to what is in view, if it, its edits or its decoder changed."""
        if self._session.learned is None:
            self._forget()
        model = self._model()
        if model is None or self.held:
            return
        if _same(model, self._shown):
            # Sizes of marked objects may be due.
            if not self._runner.busy:
                self.show_rest()
            return
        self.adopt(model)
        self.show_rest()

    def adopt(self, model: FlimModel) -> None:
        """Take another model for the one shown; no saliency is that of it yet."""
        self._shown = model
        self._fresh.clear()

    def show_rest(self) -> None:
        """Apply to the next thing that has no saliency of the model yet, what is in view first."""
        if self.held or self._shown is None:
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
            stopped=self.after_stop,
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

    def show(self, applied: Applied) -> None:
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

    def after_stop(self) -> None:
        """After a job was stopped: one that was to follow it may have been dropped before."""
        if not self._runner.busy:
            self._session.work = None
            if self.held:
                self.held = False
                # Kernels or the decoder may have been changed meanwhile.
                self.refresh()

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
            self._session.message = Message(problem)
        return not problem

    def _measure(self) -> None:
        """Measure marked objects if that is due and not being done."""
        request, known = sizes_request(self._session), self.known
        if request is None or (self._measured is self._session.state and self._runner.busy):
            return
        self._measured = request.state
        self._session.work = Progress('measuring marked objects', 0, 1)

        budget = memory_budget(self._preferences())

        def job(device: str) -> Job[MeasuredRange]:
            return measured_range(request, device, known, budget)

        self._runner.submit(
            on_device(self._preferences(), job),
            done=partial(self._on_sizes_measured, request),
            failed=partial(self._on_measuring_failed, request),
            progressed=self._on_job_progressed,
            stopped=self.after_stop,
        )

    def _on_job_applied(self, applied: Applied) -> None:
        self._session.work = None
        self.show(applied)
        self.show_rest()

    def _on_target_failed(self, target: Target, error: Exception) -> None:
        """Say so, and go on with the others; this one is tried again with another model."""
        self._fresh[target.source.key].add(target.place)
        self._on_job_failed(error)
        self.show_rest()

    def _on_sizes_measured(self, request: SizesRequest, measured: MeasuredRange) -> None:
        self._session.work = None
        if measured.warning:
            self._session.message = Message(measured.warning)
        put_sizes(self._session, request, measured.sizes)

    def _on_measuring_failed(self, request: SizesRequest, error: Exception) -> None:
        """Say so; the range stays as it is until something is learned again."""
        self._on_job_failed(error)
        put_sizes(self._session, request, request.state.settings.delineation.seeds.sizes)

    def _on_job_failed(self, error: Exception) -> None:
        self._session.work = None
        self._session.message = Message(str(error), error=True)

    def _on_job_progressed(self, step: Progress) -> None:
        self._session.work = step

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
        if not self.held:
            self._runner.cancel()


def _same(model: FlimModel, other: FlimModel | None) -> bool:
    if other is None or len(model.blocks) != len(other.blocks):
        return False
    pairs = zip(model.blocks, other.blocks, strict=True)
    blocks = all(mine is theirs for mine, theirs in pairs)
    mine, theirs = ((one.decoder, one.transform, one.linear) for one in (model, other))
    return blocks and mine == theirs
