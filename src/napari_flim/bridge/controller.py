"""Controller: everything of one viewer, put together once and shared by its docks."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from napari.utils.notifications import show_warning

from napari_flim.bridge.applier import Applier
from napari_flim.bridge.batch import Batch
from napari_flim.bridge.channel_layers import ChannelLayers
from napari_flim.bridge.chooser import Chooser
from napari_flim.bridge.correction_layers import CorrectionLayers
from napari_flim.bridge.delineator import Delineator
from napari_flim.bridge.files import Files
from napari_flim.bridge.kernel_gallery import KernelGallery
from napari_flim.bridge.layer_items import LayerItems
from napari_flim.bridge.learner import Learner
from napari_flim.bridge.marker_layers import class_colormap, link_of
from napari_flim.bridge.object_brush import ObjectBrush
from napari_flim.bridge.object_choice import ObjectChoice
from napari_flim.bridge.object_layers import ObjectLayers
from napari_flim.bridge.object_table import ObjectTable
from napari_flim.bridge.preferences import Preferences, read_preferences
from napari_flim.bridge.recovery import Recovery, recovery_folder
from napari_flim.bridge.result_layers import ResultLayers
from napari_flim.bridge.saliency_layers import SaliencyLayers
from napari_flim.bridge.seed_layers import SeedLayers
from napari_flim.bridge.warm_up import WarmUp
from napari_flim.session.running import Debouncer
from napari_flim.session.session import Session

if TYPE_CHECKING:
    from pathlib import Path

    from napari.components import ViewerModel
    from napari.layers import Layer
    from qtpy.QtCore import QObject

    from napari_flim.session.running import Runner

SCROLL_DELAY_MS = 80

MakeDebouncer = Callable[[Callable[[], None], Callable[[], int]], Debouncer]
"""Takes a function, and another that gives the milliseconds of pause after which it is called."""


class Controller:
    """Session, layers and jobs of one viewer.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
    make_runner : callable
        Makes a `Runner`.
    make_debouncer : callable
        Makes a `Debouncer`; see `MakeDebouncer`.
    preferences : callable
        Gives the `Preferences` as they are now.
    copies : pathlib.Path, optional
        Folder for the copies that outlive a crash; without it none are kept.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        make_runner: Callable[[], Runner],
        make_debouncer: MakeDebouncer,
        preferences: Callable[[], Preferences] = read_preferences,
        copies: Path | None = None,
    ) -> None:
        self.viewer = viewer
        self.preferences = preferences
        self.docks = 0
        self._worked_on: Layer | None = None
        self.session = Session()
        self.results = ResultLayers(viewer.layers)

        def when_brush_rests(settle: Callable[[], None]) -> Debouncer:
            return make_debouncer(settle, lambda: preferences().live_delay_ms)

        self.items = LayerItems(
            viewer,
            self.session,
            when_brush_rests,
            lambda: self.learner.follow(),
        )
        self.saliency = SaliencyLayers(self.session, self.items, self.results)
        one_at_a_time = make_runner()
        self.applier = Applier(
            viewer, self.session, self.items, self.saliency, one_at_a_time, preferences
        )
        self.learner = Learner(self.session, self.applier, one_at_a_time, preferences)
        self.chooser = Chooser(self.session, self.learner, self.applier, one_at_a_time, preferences)
        self.channels = ChannelLayers(
            self.session, self.items, self.results, self.applier, make_runner, preferences
        )
        self.gallery = KernelGallery(
            viewer, self.session, self.items, self.applier, make_runner(), preferences
        )
        self.objects = ObjectLayers(self.session, self.items, self.results)
        self.corrections = CorrectionLayers(viewer, self.session, self.items, when_brush_rests)
        self.delineator = Delineator(
            self.session,
            self.items,
            self.applier,
            self.objects,
            self.corrections,
            make_runner,
            preferences,
        )
        self.brush = ObjectBrush(self.delineator, self.corrections)
        self.seeds = SeedLayers(
            self.session,
            self.items,
            self.results,
            self.applier,
            self.delineator,
            make_runner(),
            preferences,
        )
        self.table = ObjectTable(self.delineator, make_runner)
        self.choice = ObjectChoice(
            viewer, self.items, self.delineator, self.objects, self.corrections, make_runner()
        )
        self.files = Files(self, make_runner)
        self.batch = Batch(viewer, self.session, self.results, make_runner, preferences)
        self.recovery = (
            None if copies is None else Recovery(self, copies, make_runner, make_debouncer)
        )
        self.warm_up = WarmUp(self.session, make_runner(), make_debouncer)
        self._scrolled = make_debouncer(self._on_view_moved, lambda: SCROLL_DELAY_MS)
        self._connect()
        self.items.find()

    def _connect(self) -> None:
        self.viewer.dims.events.current_step.connect(self._on_dims_changed)
        self.viewer.dims.events.ndisplay.connect(self._on_dims_changed)
        self.viewer.layers.selection.events.active.connect(self._on_active_changed)
        session = self.session.events
        session['classes'].connect(self._on_classes_changed, max_args=0)
        session['state'].connect(self._on_settings_changed, max_args=0)
        session['live'].connect(self._on_settings_changed, max_args=0)
        session['message'].connect(self._on_message_changed, max_args=0)

    def rest(self) -> None:
        """Stop all work; it goes on with the next stroke or click."""
        if self.recovery is not None:
            self.recovery.keep_now()
        for pending in (
            self.items.debouncer,
            self.corrections.debouncer,
            self._scrolled,
            self.warm_up.debouncer,
        ):
            pending.cancel()
        for working in (self.learner, self.channels, self.delineator):
            working.cancel()
        self.gallery.watch(False)

    def cancel(self) -> None:
        """Stop what the user waits for: learning, applying, and what is done with files."""
        self.files.cancel()
        self.learner.cancel()

    def dock_opened(self) -> None:
        """A dock was opened: the user is about to learn."""
        self.docks += 1
        self.warm_up.expect()

    def dock_closed(self) -> None:
        """A dock was closed; without any, all work but that with files and runs over them stops."""
        self.docks -= 1
        if not self.docks:
            self.rest()

    def _on_message_changed(self) -> None:
        """Let napari say what went wrong where no dock does."""
        message = self.session.message
        if message.error and not self.docks:
            show_warning(message.text)

    def _on_settings_changed(self) -> None:
        """Live learning follows settings as it follows strokes."""
        self.items.debouncer.call()

    def _on_classes_changed(self) -> None:
        colours = class_colormap(self.session.classes)
        for item in self.session.items:
            markers = self.items.marker_layer(item.source.key)
            if markers is not None:
                markers.colormap = colours
        self.saliency.recolour()
        self.delineator.recolour()

    def _on_dims_changed(self, event: object = None) -> None:
        self._scrolled.call()

    def _on_view_moved(self) -> None:
        self.applier.show_rest()
        self.gallery.draw()
        self.channels.refresh()
        self.seeds.refresh()
        self.delineator.view_moved()

    def _on_active_changed(self, event: object = None) -> None:
        """Follow the layer that the user works on; our own come and go without him."""
        if self.results.adding:
            return
        active = self.viewer.layers.selection.active
        if active is None:
            self._worked_on = None
        if active is None or active is self._worked_on or 'layer' in link_of(active):
            return
        self._worked_on = active
        key = self.items.item_of(active)
        if key is not None:
            self.session.current = key


class Controllers:
    """The controllers of all viewers; a viewer that is gone takes its own with it."""

    def __init__(self) -> None:
        self._known: weakref.WeakKeyDictionary[ViewerModel, Controller] = (
            weakref.WeakKeyDictionary()
        )

    def of(self, viewer: ViewerModel, dock: QObject | None = None) -> Controller:
        """The controller of a viewer, made when it is asked for first.

        Parameters
        ----------
        viewer : napari.Viewer
        dock : QObject, optional
            Who asks; when the last dock is destroyed, all work stops.
        """
        from qtpy.QtCore import QCoreApplication, QObject

        from napari_flim.bridge.workers import WorkerRunner

        # What a plugin gets is often a proxy, which would vanish as a key at once.
        viewer = getattr(viewer, '__wrapped__', viewer)
        controller = self._known.get(viewer)
        if controller is None:
            # Everything ends with the program or with the viewer, which a proxy keeps alive no
            # longer; the collector may let go of it at any time, in any thread.
            owner = QObject(QCoreApplication.instance())
            weakref.finalize(viewer, _release, owner).atexit = False
            is_open = partial(_exists, weakref.ref(viewer))
            controller = Controller(
                weakref.proxy(viewer),
                partial(WorkerRunner, owner, is_open),
                partial(_make_debouncer, owner, is_open),
                copies=recovery_folder(),
            )
            self._known[viewer] = controller
        if dock is not None:
            controller.dock_opened()
            dock.destroyed.connect(partial(_on_dock_destroyed, weakref.ref(controller)))
        return controller


def _exists(reference: weakref.ref[ViewerModel]) -> bool:
    return reference() is not None


def _make_debouncer(
    owner: QObject,
    wanted: Callable[[], bool],
    function: Callable[[], None],
    delay_ms: Callable[[], int],
) -> Debouncer:
    from napari_flim.bridge.workers import QtDebouncer

    return QtDebouncer(function, delay_ms=delay_ms, parent=owner, wanted=wanted)


def _release(owner: QObject) -> None:
    """Let go of what belonged to a viewer, unless Qt itself has ended before."""
    from qtpy.compat import isalive

    if isalive(owner):
        owner.deleteLater()


def _on_dock_destroyed(reference: weakref.ref[Controller], _dock: QObject | None = None) -> None:
    controller = reference()
    if controller is not None:
        controller.dock_closed()


CONTROLLERS = Controllers()
"""One for the process: the docks of a viewer find each other through it."""
