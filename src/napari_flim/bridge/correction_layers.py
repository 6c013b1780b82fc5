"""The layers on which the user corrects objects: made once, then the user's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels
from napari.utils import CyclicLabelColormap
from psygnal import Signal

from napari_flim.bridge.layer_axes import marker_axes, marker_shape
from napari_flim.bridge.layer_grids import grid_of
from napari_flim.bridge.layer_items import LayerItems
from napari_flim.bridge.layer_views import section_of
from napari_flim.bridge.marker_layers import (
    BRUSHES_ACROSS,
    LEAST_BRUSH,
    LINK,
    dirty_planes,
    link_of,
    read_strokes,
)
from napari_flim.engine.image import SPATIAL
from napari_flim.session.running import Debouncer
from napari_flim.session.sources import Strokes

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.utils.events import Event
    from numpy.typing import NDArray

    from napari_flim.session.classes import Colour
    from napari_flim.session.items import Item
    from napari_flim.session.session import Session

CORRECTIONS = 'corrections'
LARGEST = int(np.iinfo(np.int32).max)
MOST_COLOURS = 2**16 - 1
"""More than napari can hold; the colours start again then."""


class CorrectionLayers:
    """The layers of corrections of one viewer.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
    session : Session
    items : LayerItems
    debounce : callable
        Makes a `Debouncer` of a function that is called when the brush rests.
    """

    painted = Signal(str, dict)
    """The strokes of an item, by place along T, are other ones now."""

    def __init__(
        self,
        viewer: ViewerModel,
        session: Session,
        items: LayerItems,
        debounce: Callable[[Callable[[], None]], Debouncer],
    ) -> None:
        self._viewer = viewer
        self._session = session
        self._items = items
        # By item: planes that may have changed, None for all of them; and the section drawn last.
        self._changed: dict[str, set[int] | None] = {}
        self._sections: dict[str, tuple[float | None, ...]] = {}
        self.debouncer = debounce(self._on_brush_rested)

    def find(self, key: str | None) -> Labels | None:
        """The layer of an item, if there is one."""
        for layer in self._viewer.layers:
            link = link_of(layer)
            mine = (link.get('role'), link.get('item')) == (CORRECTIONS, key)
            if mine and isinstance(layer, Labels):
                return layer
        return None

    def take_brush(self, key: str, label: int) -> None:
        """Paint a label on the layer of an item, which is made if there is none."""
        layer = self.show(key)
        if layer is None:
            return
        layer.selected_label = label
        layer.visible = True
        self._viewer.layers.selection.active = layer
        # A layer leaves the mode of painting when another one becomes active.
        layer.mode = 'paint'

    def colour(self, key: str, of_objects: NDArray[np.float32], background: Colour) -> None:
        """Give strokes the colours of what they stand for.

        Parameters
        ----------
        key : str
        of_objects : (n, 4) float array
            Colour of the objects 1, 2, ..
        background : tuple of float
        """
        layer = self.find(key)
        if layer is None:
            return
        first = [(0.0, 0.0, 0.0, 0.0), (*background, 1.0)]
        colours = np.concatenate([first, of_objects])[: MOST_COLOURS + 1].astype(np.float32)
        now = layer.colormap
        if not isinstance(now, CyclicLabelColormap) or not np.array_equal(now.colors, colours):
            layer.colormap = CyclicLabelColormap(
                colors=colours,
                controls=np.linspace(0, 1, len(colours) + 1),
                interpolation='zero',
                name='corrections',
            )

    def show(self, key: str) -> Labels | None:
        """The layer of an item; if there is none, a new one with all strokes known.

        What the user works on stays active.
        """
        there = self.find(key)
        if there is not None:
            return there
        item, image = self._session.item(key), self._items.image_layer(key)
        if item is None or image is None:
            return None
        axes = item.source.axes
        layer = Labels(
            np.zeros(marker_shape(image, axes), np.int32),
            name=f'{item.source.name} corrections',
            metadata={LINK: {'role': CORRECTIONS, 'item': key}},
            **grid_of(image, axes),
        )
        for frame, strokes in _strokes_of(item).items():
            place = (frame,) if 'T' in axes else ()
            layer.data[(*place, *strokes.coordinates.T)] = strokes.labels
        layer.n_edit_dimensions = 2
        space = [
            n
            for n, letter in zip(layer.data.shape, marker_axes(axes), strict=True)
            if letter in SPATIAL
        ]
        layer.brush_size = max(LEAST_BRUSH, round(min(space[-2:]) / BRUSHES_ACROSS))
        active = self._viewer.layers.selection.active
        self._viewer.add_layer(layer)
        self._viewer.layers.selection.active = active
        self._sections[key] = section_of(self._viewer, layer)
        layer.events.paint.connect(self._on_painted)
        layer.events.set_data.connect(self._on_drawn)
        layer.events.data.connect(self._on_data_changed)
        layer.events.visible.connect(self._on_data_changed)
        return layer

    def _on_painted(self, event: Event) -> None:
        self._note(event.source, dirty_planes(event.source, event))

    def _on_drawn(self, event: Event) -> None:
        """Undo and redo draw the section that was drawn before; a slider draws another one."""
        layer = event.source
        key, section = link_of(layer)['item'], section_of(self._viewer, layer)
        if self._sections.get(key) == section:
            self._note(layer, None)
        self._sections[key] = section

    def _on_data_changed(self, event: Event) -> None:
        """Also when the layer is shown: what is undone while it is hidden is not drawn."""
        self._note(event.source, None)

    def _note(self, layer: Labels, planes: set[int] | None) -> None:
        """Remember that planes of a layer may have changed, and read them when the brush rests."""
        key = link_of(layer)['item']
        before = self._changed.get(key, set())
        self._changed[key] = None if planes is None or before is None else before | planes
        self.debouncer.call()

    def _on_brush_rested(self) -> None:
        changed, self._changed = self._changed, {}
        for key, planes in changed.items():
            item, layer = self._session.item(key), self.find(key)
            if item is None or layer is None:
                continue
            before, axes = _strokes_of(item), marker_axes(item.source.axes)
            now = read_strokes(layer, axes, planes, before, LARGEST)
            if _digests(before) != _digests(now):
                self.painted.emit(key, now)


def _strokes_of(item: Item) -> dict[int, Strokes]:
    """Strokes of correction on every image of an item."""
    pairs = item.corrections.items()
    return {frame: one.strokes for frame, one in pairs if one.strokes is not None}


def _digests(strokes: dict[int, Strokes]) -> dict[int, str]:
    return {frame: one.digest for frame, one in strokes.items()}
