"""What seeds would be, shown while the user looks for settings; and the saliency in numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal

from napari_flim.bridge.applier import Applier
from napari_flim.bridge.delineator import Delineator
from napari_flim.bridge.layer_grids import grid_of, move_to
from napari_flim.bridge.layer_items import LayerItems
from napari_flim.bridge.marker_layers import class_colormap
from napari_flim.bridge.preferences import Preferences, on_device
from napari_flim.bridge.result_layers import ResultLayers
from napari_flim.delineation.seed_settings import SeedSettings
from napari_flim.progress import Job
from napari_flim.session.drafting import material_of
from napari_flim.session.items import as_learned
from napari_flim.session.seed_preview import SeedPreview, seed_preview
from napari_flim.session.session import Session
from napari_flim.session.sources import Strokes

if TYPE_CHECKING:
    from napari_flim.model import FlimModel
    from napari_flim.session.jobs import Target
    from napari_flim.session.running import Runner

SEEDS = 'seeds'
Wanted = tuple[object, ...]


class SeedLayers:
    """Seeds of what is in view, kept true while a dock looks at them.

    Parameters
    ----------
    session : Session
    items : LayerItems
    results : ResultLayers
    applier : Applier
    delineator : Delineator
    runner : Runner
        Its own, so that a preview never delays objects.
    preferences : callable
        Gives the `Preferences` as they are now.

    Attributes
    ----------
    preview : SeedPreview, optional
        What was found last.
    shown : bool
        Whether seeds are shown as a layer: while settings are being looked for, not over objects.
    """

    found = Signal()
    """`preview` is another one."""

    def __init__(
        self,
        session: Session,
        items: LayerItems,
        results: ResultLayers,
        applier: Applier,
        delineator: Delineator,
        runner: Runner,
        preferences: Callable[[], Preferences],
    ) -> None:
        self._session = session
        self._items = items
        self._results = results
        self._applier = applier
        self._delineator = delineator
        self._runner = runner
        self._preferences = preferences
        self._watched = False
        self._wanted: Wanted = ()
        self.preview: SeedPreview | None = None
        self.shown = True
        self._covered = False
        applier.applied.connect(self._on_something_changed, max_args=0)
        for name in ('state', 'current', 'items'):
            session.events[name].connect(self._on_something_changed, max_args=0)
        session.events['classes'].connect(self._on_classes_changed, max_args=0)
        items.moved.connect(self._on_image_moved)
        items.closed.connect(self._on_item_closed)

    def watch(self, watched: bool) -> None:
        """A dock looks at seeds, or no longer does; their layer goes then."""
        self._watched = watched
        if watched:
            self.refresh()
        else:
            self._runner.cancel()
            self._wanted = ()
            self._take_away()

    def show(self, shown: bool) -> None:
        """Show seeds as a layer, or take it away."""
        self.shown, self._covered = shown, False
        if not shown:
            self._take_away()
        elif self.preview is not None and self._watched:
            self._put(self.preview)
        self.found.emit()

    def make_room(self) -> None:
        """Take the layer away for objects; other settings bring it back."""
        if self.shown:
            self.show(False)
            self._covered = True

    def refresh(self, threshold: float | None = None) -> None:
        """Make seeds if anything they depend on changed.

        Parameters
        ----------
        threshold : float, optional
            In place of that of the settings, while it is being dragged.
        """
        target, model = self._delineator.target(), self._applier.shown
        if not self._watched or target is None or model is None or self._delineator.problems():
            return
        settings = self._session.settings.delineation.seeds
        if threshold is not None:
            settings = replace(settings, threshold=threshold)
        item = self._session.item(target.source.key)
        strokes = None if item is None else item.strokes.get(target.frame)
        digest = '' if strokes is None else strokes.digest
        wanted = (model, target.place, settings, digest, self._session.classes)
        if wanted == self._wanted:
            return
        self._wanted = wanted
        before = self.preview
        if self._covered and before is not None and before.settings != settings:
            self.shown, self._covered = True, False
        marks = None if strokes is None else as_learned(strokes, self._session.classes)
        self._submit(model, target, settings, marks)

    def _submit(
        self, model: FlimModel, target: Target, settings: SeedSettings, marks: Strokes | None
    ) -> None:
        known, before = self._applier.known, self._delineator.material

        def job(device: str) -> Job[SeedPreview]:
            given = yield from material_of(model, target, device, known, before)
            return (yield from seed_preview(given, settings, marks))

        self._runner.submit(
            on_device(self._preferences(), job),
            done=self._on_job_done,
            failed=self._on_job_failed,
        )

    def _on_job_done(self, preview: SeedPreview) -> None:
        self.preview = preview
        self._delineator.material = preview.material
        if self.shown and self._watched:
            self._put(preview)
        self.found.emit()

    def _on_job_failed(self, error: Exception) -> None:
        self._delineator.say(str(error))

    def _put(self, preview: SeedPreview) -> None:
        target = preview.material.target
        image = self._items.layer_of(target.source)
        if image is None:
            return
        stacked = target.stacked
        self._results.show_labels(
            SEEDS,
            target.source.key,
            f'{target.source.name} seeds',
            preview.kinds[np.newaxis] if stacked else preview.kinds,
            grid_of(image, target.source.axes),
            colormap=class_colormap(self._session.classes),
            region=(slice(target.frame, target.frame + 1),) if stacked else None,
            shape=(target.source.frames,) * stacked + target.source.shape,
            emptied=stacked,
        )

    def _take_away(self) -> None:
        for item in self._session.items:
            self._results.remove(SEEDS, item.source.key)

    def _on_something_changed(self) -> None:
        self.refresh()

    def _on_classes_changed(self) -> None:
        for item in self._session.items:
            layer = self._results.find(SEEDS, item.source.key)
            if layer is not None:
                layer.colormap = class_colormap(self._session.classes)

    def _on_image_moved(self, key: str) -> None:
        item, image = self._session.item(key), self._items.image_layer(key)
        layer = self._results.find(SEEDS, key)
        if item is None or image is None or layer is None:
            return
        grid = grid_of(image, item.source.axes)
        if layer.ndim == len(grid['scale']):
            move_to(layer, grid)
        else:
            self._results.remove(SEEDS, key)

    def _on_item_closed(self, key: str) -> None:
        self._results.remove(SEEDS, key)
        if self.preview is not None and self.preview.material.target.source.key == key:
            self.preview, self._wanted = None, ()
            self.found.emit()
