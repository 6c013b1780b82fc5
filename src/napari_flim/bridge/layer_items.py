"""Items of the session and their layers, which come and go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels
from psygnal import Signal

from napari_flim.bridge.layer_axes import finest, image_source
from napari_flim.bridge.layer_pairs import (
    Pair,
    closed_twin,
    is_blank,
    place_of_markers,
    with_image,
    with_strokes,
)
from napari_flim.bridge.layer_views import section_of
from napari_flim.bridge.layer_watch import LayerWatch
from napari_flim.bridge.marker_layers import (
    MARKERS,
    blank_markers,
    class_colormap,
    find_markers,
    fits,
    link_of,
    new_marker_layer,
    take_brush,
    write_strokes,
)
from napari_flim.errors import FlimError, ImageError, MarkerError
from napari_flim.session.items import Item
from napari_flim.session.session import Message, Session

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer
    from napari.utils.events import Event

    from napari_flim.session.running import Debouncer
    from napari_flim.session.sources import ImageSource


class LayerItems:
    """Keeps the items of a session true to the layers of a viewer.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
    session : Session
    debounce : callable
        Makes a `Debouncer` of a function; `settle` is called through it when the brush rests.
    settled : callable
        Called after every `settle`.

    Attributes
    ----------
    watch : LayerWatch
        Hears the layers of the items.
    """

    layers_changed = Signal()
    """Layers were added to the viewer or removed from it."""

    moved = Signal(str)
    """The image of an item, given by its key, may lie elsewhere in the world."""

    replaced = Signal(str, str)
    """An item goes on under another key, since its image was closed and opened again: old, new."""

    forgotten = Signal(str)
    """An item, given by its key, is no more; its layers may stay, and become another item."""

    closed = Signal(str)
    """The image of an item, given by its key, is open no longer, or the item was forgotten.

    Emitted in a pause, since layers must not be removed while napari adds or removes one.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        session: Session,
        debounce: Callable[[Callable[[], None]], Debouncer],
        settled: Callable[[], None],
    ) -> None:
        self._viewer = viewer
        self._session = session
        self._settled = settled
        self._pairs: dict[str, Pair] = {}
        self._gone: set[str] = set()
        self.debouncer = debounce(self._on_brush_rested)
        self.watch = LayerWatch(viewer, self._pairs, self.debouncer.call)
        viewer.layers.events.inserted.connect(self._on_layers_inserted)
        viewer.layers.events.removed.connect(self._on_layers_removed)

    def image_layer(self, key: str | None) -> Image | None:
        """The open image layer of an item."""
        pair = self._pairs.get(key or '')
        return None if pair is None else pair.image

    def layer_of(self, source: ImageSource) -> Image | None:
        """The layer that holds just these voxels; None if it is closed or got others."""
        layer = self.image_layer(source.key)
        return layer if layer is not None and finest(layer) is source.data else None

    def marker_layer(self, key: str | None) -> Labels | None:
        """The open marker layer of an item."""
        pair = self._pairs.get(key or '')
        return None if pair is None else pair.markers

    def item_of(self, layer: Layer | None) -> str | None:
        """Key of the item that a layer belongs to, as image, markers or result."""
        for key, pair in self._pairs.items():
            if layer is not None and layer in (pair.image, pair.markers):
                return key
        item = None if layer is None else link_of(layer).get('item')
        return item if item in self._pairs else None

    def free_images(self) -> list[Image]:
        """Image layers of the user that are no items yet."""
        used = [pair.image for pair in self._pairs.values()]
        return [
            layer
            for layer in self._viewer.layers
            if isinstance(layer, Image) and layer not in used and not link_of(layer)
        ]

    def fitting_markers(self, key: str) -> list[Labels]:
        """Labels layers that have one voxel for each of an item's image."""
        image, item = self.image_layer(key), self._session.item(key)
        if image is None or item is None:
            return []
        return [
            layer
            for layer in self._viewer.layers
            if isinstance(layer, Labels) and fits(layer, image, item.source.axes)
        ]

    def find(self) -> None:
        """Make items of open images that have markers or were items before; else of that in view.

        Images whose axes are not understood are left for the user to add.
        """
        for layer in self.free_images():
            try:
                source = image_source(layer)
            except ImageError:
                continue
            markers = self._free_markers(layer, source.axes)
            if markers is not None or closed_twin(self._session.items, source) is not None:
                self.add(layer, markers)
        active = self._viewer.layers.selection.active
        free = self.free_images()
        if free and not any(item.opened for item in self._session.items):
            try:
                self.add(active if active in free else free[-1])
            except ImageError as error:
                self._session.message = Message(str(error), error=True)

    def add(self, image: Image, markers: Labels | None = None, axes: str | None = None) -> str:
        """Make an item of an image layer.

        Parameters
        ----------
        image : napari.layers.Image
        markers : napari.layers.Labels, optional
            By default the one that `find_markers` finds.
        axes : str, optional
            One letter for each axis of the image.

        Returns
        -------
        str
            Key of the item.

        Raises
        ------
        ImageError
            When the axes cannot be understood.
        """
        source = image_source(image, axes)
        twin = closed_twin(self._session.items, source)
        if twin is not None:
            if axes is None:
                source = image_source(image, twin.source.axes)
            markers = markers or self.marker_layer(twin.source.key)
            self._leave(twin.source.key)
        if markers is None:
            markers = self._free_markers(image, source.axes)
        self._pairs[source.key] = Pair(image, None)
        self.watch.hear_image(image, True)
        same = twin is not None and twin.source.axes == source.axes
        kept = twin if twin is not None and same else Item(source)
        self._session.put_item(Item(source, kept.strokes, corrections=kept.corrections))
        if self._session.current is None:
            self._session.current = source.key
        if twin is not None:
            self.replaced.emit(twin.source.key, source.key)
        self.set_markers(source.key, markers)
        return source.key

    def _free_markers(self, image: Image, axes: str) -> Labels | None:
        """Markers of an image, among the layers that no open item uses."""
        used = [pair.markers for pair in self._pairs.values() if pair.image is not None]
        return find_markers(
            image, axes, [layer for layer in self._viewer.layers if layer not in used]
        )

    def remove(self, key: str) -> None:
        """Forget an item; its layers stay."""
        self._leave(key)
        self.forgotten.emit(key)

    def _leave(self, key: str) -> None:
        pair = self._pairs.pop(key, None)
        if pair is not None and pair.image is not None:
            self.watch.hear_image(pair.image, False)
        if pair is not None and pair.markers is not None:
            self.watch.hear_markers(pair.markers, False)
        self._session.remove_item(key)
        self._gone.add(key)
        self.debouncer.call()

    def set_markers(self, key: str, markers: Labels | None, *, recolour: bool = False) -> None:
        """Use another marker layer for an item, or none; show it in the colours of the classes."""
        pair = self._pairs[key]
        if pair.markers is not None:
            self.watch.hear_markers(pair.markers, False)
        pair.markers, pair.markers_changed, pair.planes = markers, True, None
        pair.section = ()
        if markers is not None:
            pair.section = section_of(self._viewer, markers)
            self.watch.hear_markers(markers, True)
            if recolour:
                markers.colormap = class_colormap(self._session.classes)
        self.settle()

    def set_axes(self, key: str, axes: str) -> None:
        """Read the image of an item in another way; markers that no longer fit are unlinked.

        Raises
        ------
        ImageError
            When the image cannot have these axes.
        """
        item, pair = self._session.item(key), self._pairs[key]
        if item is None or pair.image is None:
            return
        source = replace(image_source(pair.image, axes), revision=item.source.revision)
        self._session.put_item(replace(item, source=source, strokes={}, corrections={}))
        markers = pair.markers
        if markers is None or not fits(markers, pair.image, axes):
            markers = self._free_markers(pair.image, axes)
        self.set_markers(key, markers)
        self.moved.emit(key)

    def new_markers(self, key: str) -> Labels | None:
        """Add a marker layer for an item, with the strokes of a deleted one, and select it."""
        item = self._session.item(key)
        if item is None or not self.can_have_markers(key):
            return None
        try:
            layer = self._blank_markers(item)
        except MarkerError as error:
            self._session.message = Message(str(error), error=True)
            return None
        write_strokes(layer, item.source.axes, item.strokes)
        self._viewer.add_layer(layer)
        self._viewer.layers.selection.active = layer
        layer.mode = 'paint'
        self.set_markers(key, layer)
        return layer

    def can_have_markers(self, key: str) -> bool:
        """Whether it is known where markers of an item lie: its image is open, or was."""
        pair = self._pairs.get(key)
        return pair is not None and (pair.image or pair.left) is not None

    def _blank_markers(self, item: Item) -> Labels:
        source, classes = item.source, self._session.classes
        pair = self._pairs[source.key]
        if pair.left is None:
            return new_marker_layer(pair.image, source.axes, classes)
        return blank_markers(*pair.left, classes, f'{source.name} markers', source.key)

    def painting_label(self) -> int | None:
        """The label that the brush paints on the current item."""
        markers = self.marker_layer(self._session.current)
        return None if markers is None else int(markers.selected_label)

    def paint_class(self, label: int) -> None:
        """Choose a class and the brush on the marker layer of the current item."""
        markers = self.marker_layer(self._session.current)
        if markers is not None:
            take_brush(self._viewer, markers, label)

    def show_only(self, key: str) -> None:
        """Show the layers of one item, hide those of the others."""
        for layer in self._viewer.layers:
            item = self.item_of(layer)
            if item is not None:
                layer.visible = item == key
        self._session.current = key

    def _on_brush_rested(self) -> None:
        gone, self._gone = self._gone, set()
        for key in gone:
            if self.image_layer(key) is None:
                self.closed.emit(key)
        self._session.leave_closed()
        self.settle()

    def settle(self) -> None:
        """Read again what may have changed, and say so."""
        for key, pair in list(self._pairs.items()):
            try:
                self._read_again(key, pair)
            except FlimError as error:
                self._session.message = Message(str(error), error=True)
        self._settled()

    def _read_again(self, key: str, pair: Pair) -> None:
        """Bring an item up to date with its layers; what cannot be read is tried again later.

        Raises
        ------
        FlimError
            When the image or its markers cannot be read as they are now.
        """
        item = self._session.item(key)
        if pair.image_changed and pair.image is not None and item is not None:
            changed = with_image(item, pair.image)
            pair.image_changed = False
            if changed is not item:
                pair.markers_changed, pair.planes = True, None
                self._session.put_item(changed)
            self.moved.emit(key)
        item = self._session.item(key)
        if not pair.markers_changed or item is None:
            return
        unfitting = self._unlink_unfitting(pair, item)
        try:
            changed = with_strokes(item, pair)
        except MarkerError as error:
            name = None if pair.markers is None else pair.markers.name
            if (item.problem, item.markers) != (str(error), name):
                self._session.put_item(replace(item, problem=str(error), markers=name))
            raise
        pair.planes, pair.markers_changed = set(), False
        if item.problem and self._session.message.text == item.problem:
            self._session.message = Message()
        if changed is not item:
            self._session.put_item(changed)
        if unfitting is not None:
            raise MarkerError(
                f'{unfitting} has another shape than {item.source.name} now; press "New markers" '
                'or choose other markers for this image.'
            )

    def _unlink_unfitting(self, pair: Pair, item: Item) -> str | None:
        """Let go of markers that lost the shape of their image; the name of the layer."""
        markers, image = pair.markers, pair.image
        if markers is None or image is None or fits(markers, image, item.source.axes):
            return None
        self.watch.hear_markers(markers, False)
        pair.markers = None
        return str(markers.name)

    def _on_layers_inserted(self, event: Event) -> None:
        layer: Any = event.value
        if link_of(layer).get('role', MARKERS) != MARKERS:
            return
        if isinstance(layer, Labels):
            self._adopt_markers(layer)
        self.find()
        self.layers_changed.emit()

    def _adopt_markers(self, layer: Labels) -> None:
        """Use new labels for an item without markers: by name, or an empty layer that fits."""
        made_for = link_of(layer).get('item')
        keys = [made_for] if made_for in self._pairs else list(self._pairs)
        keys.sort(key=lambda key: key != self._session.current)
        waiting = []
        for key in keys:
            item, pair = self._session.item(key), self._pairs[key]
            if item is not None and pair.image is not None and pair.markers is None:
                waiting.append((item, pair.image))
        named = [item for item, image in waiting if find_markers(image, item.source.axes, [layer])]
        blank = [
            item
            for item, image in waiting
            if fits(layer, image, item.source.axes) and is_blank(layer)
        ]
        for item in [*named, *blank][:1]:
            self.set_markers(item.source.key, layer)

    def _on_layers_removed(self, event: Event) -> None:
        for key, pair in self._pairs.items():
            item = self._session.item(key)
            if pair.image is event.value and item is not None:
                # The layer itself would keep its viewer alive.
                pair.left = place_of_markers(pair.image, item.source.axes)
                pair.image = None
                self._session.put_item(replace(item, opened=False))
                self._gone.add(key)
                self.debouncer.call()
            if pair.markers is event.value:
                self.watch.hear_markers(pair.markers, False)
                pair.markers, pair.markers_changed = None, True
                self.debouncer.call()
        self.layers_changed.emit()
