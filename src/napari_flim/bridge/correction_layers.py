"""The layers on which the user corrects objects: made once, then the user's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.utils import CyclicLabelColormap
from psygnal import Signal

from napari_flim.bridge.layer_axes import marker_axes, marker_shape
from napari_flim.bridge.layer_grids import grid_of, move_to
from napari_flim.bridge.layer_items import LayerItems
from napari_flim.bridge.layer_views import section_of
from napari_flim.bridge.marker_layers import (
    BRUSHES_ACROSS,
    LEAST_BRUSH,
    LINK,
    dirty_planes,
    fits,
    link_of,
    read_strokes,
    replayed_planes,
    strokes_undone,
    take_brush,
    write_strokes,
)
from napari_flim.bridge.object_layers import MOST_COLOURS
from napari_flim.engine.image import SPATIAL
from napari_flim.errors import FlimError, MarkerError
from napari_flim.io.saved_corrections import LARGEST
from napari_flim.session.running import Debouncer
from napari_flim.session.session import Message
from napari_flim.session.sources import Strokes

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.utils.events import Event
    from numpy.typing import NDArray

    from napari_flim.session.classes import Colour
    from napari_flim.session.items import Item
    from napari_flim.session.session import Session

CORRECTIONS = 'corrections'


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

    stroke_ended = Signal(str, int)
    """A stroke was painted on the layer of an item with this label."""

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
        # By item: strokes on its layer that were taken back when it was drawn last.
        self._undone: dict[str, int] = {}
        # By item: why its layer could not be read.
        self._problems: dict[str, str] = {}
        self.debouncer = debounce(self._on_brush_rested)
        items.moved.connect(self._on_image_moved)
        items.replaced.connect(self._on_item_replaced)
        items.forgotten.connect(self._on_item_forgotten)

    def find(self, key: str | None) -> Labels | None:
        """The layer of an item, if there is one."""
        return next(iter(self._linked(key)), None)

    def _linked(self, key: str | None) -> list[Labels]:
        """The layer of an item, and copies that the user made of it."""
        wanted = {'role': CORRECTIONS, 'item': key}.items()
        return [
            layer
            for layer in self._viewer.layers
            if isinstance(layer, Labels) and wanted <= link_of(layer).items()
        ]

    def take_brush(self, key: str, label: int) -> None:
        """Paint a label on the layer of an item, which is made if there is none."""
        layer = self.show(key)
        if layer is not None:
            take_brush(self._viewer, layer, label)

    def choose_label(self, key: str, label: int) -> None:
        """Let the brush, if it is taken, paint another label on the layer of an item."""
        layer = self.find(key)
        if layer is not None:
            layer.selected_label = label

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
            metadata={LINK: {'role': CORRECTIONS, 'item': key, 'axes': marker_axes(axes)}},
            **grid_of(image, axes),
        )
        write_strokes(layer, axes, _strokes_of(item))
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
        self._listen(layer, True)
        return layer

    def _listen(self, layer: Labels, listen: bool) -> None:
        for event, heard in (
            (layer.events.paint, self._on_painted),
            (layer.events.set_data, self._on_drawn),
            (layer.events.data, self._on_data_changed),
            (layer.events.visible, self._on_data_changed),
        ):
            (event.connect if listen else event.disconnect)(heard)

    def _on_image_moved(self, key: str) -> None:
        """The layer lies over its image; one that does not fit any more is only the user's."""
        item, image = self._session.item(key), self._items.image_layer(key)
        if item is None or image is None:
            return
        axes = item.source.axes
        for layer in self._linked(key):
            if fits(layer, image, axes) and link_of(layer).get('axes') == marker_axes(axes):
                move_to(layer, grid_of(image, axes))
            else:
                self._let_go(layer, key)

    def _on_item_forgotten(self, key: str) -> None:
        """What its labels mean is forgotten too, should its image become an item again."""
        for layer in self._linked(key):
            self._let_go(layer, key)

    def _let_go(self, layer: Labels, key: str) -> None:
        """Leave a layer to the user."""
        self._listen(layer, False)
        layer.metadata.pop(LINK)
        self._changed.pop(key, None)
        self._problems.pop(key, None)

    def _on_item_replaced(self, old: str, new: str) -> None:
        """What is painted on the layer of an image is of that image, also opened again."""
        for layer in self._linked(old):
            layer.metadata[LINK] = {**link_of(layer), 'item': new}
        tables: tuple[dict[str, Any], ...] = (
            self._changed,
            self._sections,
            self._undone,
            self._problems,
        )
        for known in tables:
            if old in known:
                known[new] = known.pop(old)
        self._on_image_moved(new)

    def _on_painted(self, event: Event) -> None:
        self._undone[link_of(event.source)['item']] = strokes_undone(event.source)
        self._note(event.source, dirty_planes(event.source, event))
        if event.source.mode != 'erase':
            self.stroke_ended.emit(link_of(event.source)['item'], int(event.source.selected_label))

    def _on_drawn(self, event: Event) -> None:
        """Undo and redo draw the section that was drawn before; a slider draws another one."""
        layer = event.source
        key, section = link_of(layer)['item'], section_of(self._viewer, layer)
        if self._sections.get(key) == section:
            self._note(layer, replayed_planes(layer, self._undone.get(key, 0)))
        self._sections[key], self._undone[key] = section, strokes_undone(layer)

    def _on_data_changed(self, event: Event) -> None:
        """Also when the layer is shown: what is undone while it is hidden is not drawn."""
        self._note(event.source, None)

    def _note(self, layer: Labels, planes: set[int] | None) -> None:
        """Remember that planes of a layer may have changed, and read them when the brush rests."""
        self._remember(link_of(layer)['item'], planes)
        self.debouncer.call()

    def _remember(self, key: str, planes: set[int] | None) -> None:
        before = self._changed.get(key, set())
        self._changed[key] = None if planes is None or before is None else before | planes

    def _on_brush_rested(self) -> None:
        """Read again what may have changed; what cannot be read is tried again later."""
        changed, self._changed = self._changed, {}
        for key, planes in changed.items():
            try:
                self._read_again(key, planes)
            except FlimError as error:
                self._remember(key, planes)
                self._problems[key] = str(error)
                self._session.message = Message(str(error), error=True)

    def _read_again(self, key: str, planes: set[int] | None) -> None:
        """Say which strokes of an item are other ones now.

        Raises
        ------
        FlimError
            When its layer cannot be read as it is now.
        """
        item, layer = self._session.item(key), self.find(key)
        if item is None or layer is None:
            return
        before, axes = _strokes_of(item), marker_axes(item.source.axes)
        try:
            now = read_strokes(layer, axes, planes, before, LARGEST)
        except MarkerError as error:
            lowest, highest = int(layer.data.min()), int(layer.data.max())
            raise MarkerError(
                f'{layer.name} holds the label {lowest if lowest < 0 else highest}; 1 is '
                f'background, and objects have labels 2 to {LARGEST}. Undo the stroke, or paint '
                'these voxels again with another label.'
            ) from error
        if self._session.message.text == self._problems.pop(key, None):
            self._session.message = Message()
        if _digests(before) != _digests(now):
            self.painted.emit(key, now)


def _strokes_of(item: Item) -> dict[int, Strokes]:
    """Strokes of correction on every image of an item."""
    pairs = item.corrections.items()
    return {frame: one.strokes for frame, one in pairs if one.strokes is not None}


def _digests(strokes: dict[int, Strokes]) -> dict[int, str]:
    return {frame: one.digest for frame, one in strokes.items()}
