"""Objects as a layer over their image, the outline of those that are chosen, and clicks on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from napari.layers import Labels
from napari.utils import CyclicLabelColormap
from napari.utils.colormaps import label_colormap
from numpy.typing import NDArray
from psygnal import Signal

from napari_flim.bridge.layer_grids import Grid, grid_of, move_to, shifted
from napari_flim.bridge.layer_items import LayerItems
from napari_flim.bridge.result_layers import ResultLayers
from napari_flim.session.classes import class_named
from napari_flim.session.delineating import Draft
from napari_flim.session.outline import Outline
from napari_flim.session.session import Session

if TYPE_CHECKING:
    from napari.utils.events import Event

OBJECTS, CHOSEN = 'objects', 'chosen objects'
Colouring = Literal['object', 'class']
COLOURS = 49
MOST_COLOURS = 2**16 - 1
"""More than napari can hold; the colours start again then."""
STILL_PIXELS = 4
"""A click may move the mouse by so much."""
WHITE = (1.0, 1.0, 1.0, 1.0)


class ObjectLayers:
    """The layers of objects of one viewer.

    Parameters
    ----------
    session : Session
    items : LayerItems
    results : ResultLayers

    Attributes
    ----------
    colouring : {'object', 'class'}
        Whether each object has a colour of its own, or that of its class.
    listening : bool
        Whether clicks on objects choose them.
    """

    clicked = Signal(int, bool)
    """An object (0 for none) was clicked; whether it is chosen in addition to others."""

    def __init__(self, session: Session, items: LayerItems, results: ResultLayers) -> None:
        self._session = session
        self._items = items
        self._results = results
        self.colouring: Colouring = 'object'
        self.listening = False
        items.moved.connect(self._on_image_moved)
        items.closed.connect(self.remove)

    def find(self, key: str | None) -> Labels | None:
        """The layer of an item, if it shows objects."""
        layer = self._results.find(OBJECTS, key or '')
        return layer if isinstance(layer, Labels) else None

    def show(self, draft: Draft) -> bool:
        """Show objects over their image; whether that is open and holds the same voxels."""
        target = draft.material.target
        source = target.source
        image = self._items.layer_of(source)
        if image is None:
            return False
        stacked = target.stacked
        shown = self.find(source.key)
        layer = self._results.show_labels(
            OBJECTS,
            source.key,
            f'{source.name} objects',
            draft.labels[np.newaxis] if stacked else draft.labels,
            grid_of(image, source.axes),
            colormap=None,
            region=(slice(target.frame, target.frame + 1),) if stacked else None,
            shape=(source.frames,) * stacked + source.shape,
        )
        if layer is not shown:
            layer.mouse_drag_callbacks.append(self._on_pressed)
        if self.colouring == 'class':
            _colour(layer, self.colours(draft))
        return True

    def recolour(self, draft: Draft) -> None:
        """Give objects the colours they have now."""
        layer = self.find(draft.material.target.source.key)
        if layer is not None:
            _colour(layer, None if self.colouring == 'object' else self.colours(draft))

    def colours(self, draft: Draft) -> NDArray[np.float32]:
        """Red, green, blue and alpha of the objects 1, 2, .. and one more."""
        count = min(draft.next_id(), MOST_COLOURS)
        layer = self.find(draft.material.target.source.key)
        if self.colouring == 'object':
            shown = label_colormap(COLOURS) if layer is None else layer.colormap
            return np.asarray(shown.map(np.arange(1, count + 1)), np.float32)
        of_objects, first = draft.classes, draft.material.classes[0]
        numbers = [of_objects.get(number, first) for number in range(1, count + 1)]
        known = self._session.classes
        colours = {number: (*class_named(known, number).colour, 1.0) for number in set(numbers)}
        return np.array([colours[number] for number in numbers], np.float32)

    def outline(self, line: Outline) -> None:
        """Show a line around some objects."""
        target = line.draft.material.target
        image = self._items.layer_of(target.source)
        if image is None:
            return
        part, first = line.voxels, list(line.first)
        if target.stacked:
            part, first = part[np.newaxis], [target.frame, *first]
        layer = self._results.show_labels(
            CHOSEN,
            target.source.key,
            f'{target.source.name} chosen objects',
            part,
            shifted(grid_of(image, target.source.axes), first),
            colormap=None,
            opacity=1.0,
        )
        _colour(layer, np.array([WHITE], np.float32))

    def remove_outline(self, key: str) -> None:
        """Take the line around objects of an item away."""
        self._results.remove(CHOSEN, key)

    def remove(self, key: str) -> None:
        """Take away the layers of an item."""
        for role in (OBJECTS, CHOSEN):
            self._results.remove(role, key)

    def _on_pressed(self, layer: Labels, event: Event) -> Iterator[None]:
        """A press that does not become a drag is a click."""
        mode = str(getattr(layer.mode, 'value', layer.mode))
        if not self.listening or mode not in ('pan_zoom', 'pick') or event.button != 1:
            return
        first, trembled = np.asarray(event.pos), 0.0
        yield
        while event.type == 'mouse_move':
            trembled = max(trembled, float(np.abs(np.asarray(event.pos) - first).max()))
            yield
        if trembled > STILL_PIXELS:
            return
        value = layer.get_value(
            event.position,
            view_direction=event.view_direction,
            dims_displayed=list(event.dims_displayed),
            world=True,
        )
        self.clicked.emit(int(value or 0), 'Shift' in event.modifiers)

    def _on_image_moved(self, key: str) -> None:
        item, image, layer = self._session.item(key), self._items.image_layer(key), self.find(key)
        self._results.remove(CHOSEN, key)
        if item is None or image is None or layer is None:
            return
        grid: Grid = grid_of(image, item.source.axes)
        if layer.ndim == len(grid['scale']) and self._items.layer_of(item.source) is not None:
            move_to(layer, grid)
        else:
            self.remove(key)


def _colour(layer: Labels, colours: NDArray[np.float32] | None) -> None:
    """Give labels 1, 2, .. these colours, or each label one of napari's."""
    wanted = label_colormap(COLOURS) if colours is None else _cyclic(colours)
    now = layer.colormap
    if not isinstance(now, CyclicLabelColormap) or not np.array_equal(now.colors, wanted.colors):
        layer.colormap = wanted


def _cyclic(colours: NDArray[Any]) -> CyclicLabelColormap:
    """The colours of labels 1, 2, .. in this order, without any shuffling."""
    every = np.concatenate([np.zeros((1, 4)), colours]).astype(np.float32)
    return CyclicLabelColormap(
        colors=every,
        controls=np.linspace(0, 1, len(every) + 1),
        interpolation='zero',
        name='objects',
    )
