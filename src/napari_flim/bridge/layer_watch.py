"""What may have changed in image and marker layers; the only place that hears their events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_flim.bridge.layer_pairs import Pair
from napari_flim.bridge.layer_views import section_of
from napari_flim.bridge.marker_layers import (
    dirty_planes,
    is_painted_on,
    replayed_planes,
    strokes_undone,
)

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels
    from napari.utils.events import Event

IMAGE_EVENTS = ('data', 'name', 'scale', 'translate', 'rotate', 'shear', 'affine', 'units')
MARKER_EVENTS = ('data', 'name')


class LayerWatch:
    """Hears image and marker layers, and notes in their pairs what may have changed.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
    pairs : mapping of str to Pair
        The layers of every item, which may come and go.
    noted : callable
        Called after every note.
    """

    brush_changed = Signal()
    """Another label was chosen for painting, or other markers are heard."""

    def __init__(
        self, viewer: ViewerModel, pairs: Mapping[str, Pair], noted: Callable[[], None]
    ) -> None:
        self._viewer = viewer
        self._pairs = pairs
        self._noted = noted

    def hear_image(self, image: Image, hear: bool) -> None:
        """Begin or cease to hear an image layer."""
        for name in IMAGE_EVENTS:
            event = getattr(image.events, name)
            (event.connect if hear else event.disconnect)(self._on_image_changed)

    def hear_markers(self, markers: Labels, hear: bool) -> None:
        """Begin or cease to hear a marker layer."""
        for name in MARKER_EVENTS:
            event = getattr(markers.events, name)
            (event.connect if hear else event.disconnect)(self._on_markers_changed)
        for event, heard in (
            (markers.events.set_data, self._on_markers_drawn),
            (markers.events.visible, self._on_markers_shown),
            (markers.events.paint, self._on_markers_painted),
            (markers.events.selected_label, self._on_brush_changed),
        ):
            (event.connect if hear else event.disconnect)(heard)
        self._remember_undone(markers)
        self.brush_changed.emit()

    def _on_brush_changed(self, event: Event) -> None:
        self.brush_changed.emit()

    def _on_image_changed(self, event: Event) -> None:
        for pair in self._pairs.values():
            if pair.image is event.source:
                pair.image_changed = True
                self._noted()

    def _on_markers_painted(self, event: Event) -> None:
        self._remember_undone(event.source)
        self._note(event.source, dirty_planes(event.source, event))

    def _on_markers_drawn(self, event: Event) -> None:
        """Undo, redo and refresh draw the section that was drawn before; a slider another one.

        Only what may have changed, or has come into view, is read again: the whole of a large
        layer would take a second at every step. Layers too large for the graphics card are drawn
        at every move of the brush, which the end of the stroke makes known anyway.
        """
        layer, section = event.source, section_of(self._viewer, event.source)
        pairs = [pair for pair in self._pairs.values() if pair.markers is layer]
        if not pairs or is_painted_on(layer):
            return
        other = any(pair.section != section for pair in pairs)
        planes = None if other else replayed_planes(layer, pairs[0].undone)
        for pair in pairs:
            pair.section = section
        self._remember_undone(layer)
        if other and section[0] is not None:
            place = layer.world_to_data(self._viewer.dims.point[-layer.ndim :])
            planes = {min(max(round(place[0]), 0), layer.data.shape[0] - 1)}
        self._note(layer, planes)

    def _on_markers_shown(self, event: Event) -> None:
        """What is undone while a layer is hidden is not drawn."""
        if event.source.visible:
            self._remember_undone(event.source)
            self._note(event.source, None)

    def _on_markers_changed(self, event: Event) -> None:
        self._note(event.source, None)

    def _remember_undone(self, markers: Labels) -> None:
        for pair in self._pairs.values():
            if pair.markers is markers:
                pair.undone = strokes_undone(markers)

    def _note(self, markers: Labels, planes: set[int] | None) -> None:
        for pair in self._pairs.values():
            if pair.markers is markers:
                pair.note_markers(planes)
                self._noted()
