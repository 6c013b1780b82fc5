"""Items of the session and the layers they stand for; the only place that hears napari's events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from psygnal import Signal

from napari_flim.bridge.layer_axes import finest, image_source, marker_axes
from napari_flim.bridge.marker_layers import (
    class_colormap,
    dirty_planes,
    find_markers,
    fits,
    link_of,
    new_marker_layer,
    read_strokes,
)
from napari_flim.errors import FlimError, ImageError, MarkerError
from napari_flim.session.items import Item
from napari_flim.session.saving import AbsentArray
from napari_flim.session.session import Message, Session

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer
    from napari.utils.events import Event

    from napari_flim.session.running import Debouncer
    from napari_flim.session.sources import ImageSource

IMAGE_EVENTS = ('data', 'name', 'scale', 'translate', 'rotate', 'shear', 'affine', 'units')
MARKER_EVENTS = ('set_data', 'data', 'name')
LARGEST_BLANK_CHECK = 2**26


@dataclass(eq=False)
class Pair:
    """The layers of one item, and what may have changed in them since they were read.

    Attributes
    ----------
    image : napari.layers.Image, optional
        None once it is closed.
    markers : napari.layers.Labels, optional
    image_changed : bool
    markers_changed : bool
    planes : set of int, optional
        Planes of the markers that may have changed; None for all.
    """

    image: Image | None
    markers: Labels | None
    image_changed: bool = False
    markers_changed: bool = False
    planes: set[int] | None = None


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
    """

    layers_changed = Signal()
    """Layers were added to the viewer or removed from it."""

    brush_changed = Signal()
    """Another label was chosen for painting."""

    moved = Signal(str)
    """The image of an item, given by its key, may lie elsewhere in the world."""

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
        self.debouncer = debounce(self.settle)
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
            if markers is not None or self._closed_twin(source) is not None:
                self.add(layer, markers)
        active = self._viewer.layers.selection.active
        free = self.free_images()
        if not self._session.items and free:
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
        twin = self._closed_twin(source)
        if twin is not None:
            if axes is None:
                source = image_source(image, twin.source.axes)
            markers = markers or self.marker_layer(twin.source.key)
            self.remove(twin.source.key)
        if markers is None:
            markers = self._free_markers(image, source.axes)
        self._pairs[source.key] = Pair(image, None)
        for name in IMAGE_EVENTS:
            getattr(image.events, name).connect(self._on_image_changed)
        same = twin is not None and twin.source.axes == source.axes
        self._session.put_item(Item(source, twin.strokes if twin and same else {}))
        if self._session.current is None:
            self._session.current = source.key
        self.set_markers(source.key, markers)
        return source.key

    def _closed_twin(self, source: ImageSource) -> Item | None:
        """The item of an image that was closed and is open again."""
        for item in self._session.items:
            before = item.source
            same = (before.name, before.data.shape) == (source.name, source.data.shape)
            # Many images are called "Image": only one from the same place, or one that an opened
            # session waits for by its name, is the same.
            origin = (before.path, before.sample) == (source.path, source.sample)
            known = source.path is not None or source.sample is not None
            awaited = isinstance(before.data, AbsentArray)
            found = before.data is source.data or (origin and known) or awaited
            if same and found and not item.opened:
                return item
        return None

    def _free_markers(self, image: Image, axes: str) -> Labels | None:
        """Markers of an image, among the layers that no open item uses."""
        used = [pair.markers for pair in self._pairs.values() if pair.image is not None]
        return find_markers(
            image, axes, [layer for layer in self._viewer.layers if layer not in used]
        )

    def remove(self, key: str) -> None:
        """Forget an item; its layers stay."""
        pair = self._pairs.pop(key, None)
        if pair is not None and pair.image is not None:
            for name in IMAGE_EVENTS:
                getattr(pair.image.events, name).disconnect(self._on_image_changed)
        self._listen_to_markers(None if pair is None else pair.markers, False)
        self._session.remove_item(key)
        self.debouncer.call()

    def set_markers(self, key: str, markers: Labels | None, *, recolour: bool = False) -> None:
        """Use another marker layer for an item, or none; show it in the colours of the classes."""
        pair = self._pairs[key]
        self._listen_to_markers(pair.markers, False)
        pair.markers, pair.markers_changed, pair.planes = markers, True, None
        self._listen_to_markers(markers, True)
        if markers is not None and recolour:
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
        self._session.put_item(replace(item, source=source, strokes={}))
        markers = pair.markers
        if markers is None or not fits(markers, pair.image, axes):
            markers = self._free_markers(pair.image, axes)
        self.set_markers(key, markers)

    def new_markers(self, key: str) -> Labels | None:
        """Add a marker layer for an item, with the strokes of a deleted one, and select it."""
        item, image = self._session.item(key), self.image_layer(key)
        if item is None or image is None:
            return None
        layer = new_marker_layer(image, item.source.axes, self._session.classes)
        for frame, strokes in item.strokes.items():
            place = (frame,) if 'T' in item.source.axes else ()
            layer.data[(*place, *strokes.coordinates.T)] = strokes.labels
        self._viewer.add_layer(layer)
        self._viewer.layers.selection.active = layer
        self.set_markers(key, layer)
        return layer

    def painting_label(self) -> int | None:
        """The label that the brush paints on the current item."""
        markers = self.marker_layer(self._session.current)
        return None if markers is None else int(markers.selected_label)

    def paint_class(self, label: int) -> None:
        """Choose a class and the brush on the marker layer of the current item."""
        markers = self.marker_layer(self._session.current)
        if markers is not None:
            markers.selected_label = label
            markers.visible = True
            self._viewer.layers.selection.active = markers
            # A layer leaves the mode of painting when another one becomes active.
            markers.mode = 'paint'

    def show_only(self, key: str) -> None:
        """Show the layers of one item, hide those of the others."""
        for layer in self._viewer.layers:
            item = self.item_of(layer)
            if item is not None:
                layer.visible = item == key
        self._session.current = key

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
            changed = _with_image(item, pair.image)
            pair.image_changed = False
            if changed is not item:
                pair.markers_changed, pair.planes = True, None
                self._session.put_item(changed)
            self.moved.emit(key)
        item = self._session.item(key)
        if not pair.markers_changed or item is None:
            return
        unfitting = self._unlink_unfitting(pair, item)
        changed = _with_strokes(item, pair)
        pair.planes, pair.markers_changed = set(), False
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
        self._listen_to_markers(markers, False)
        pair.markers = None
        return str(markers.name)

    def _listen_to_markers(self, markers: Labels | None, listen: bool) -> None:
        if markers is None:
            return
        for name in MARKER_EVENTS:
            event = getattr(markers.events, name)
            (event.connect if listen else event.disconnect)(self._on_markers_changed)
        paint, label = markers.events.paint, markers.events.selected_label
        (paint.connect if listen else paint.disconnect)(self._on_markers_painted)
        (label.connect if listen else label.disconnect)(self._on_brush_changed)
        self.brush_changed.emit()

    def _on_brush_changed(self, event: Event) -> None:
        self.brush_changed.emit()

    def _on_markers_painted(self, event: Event) -> None:
        self._note_markers(event.source, dirty_planes(event.source, event))

    def _on_markers_changed(self, event: Event) -> None:
        self._note_markers(event.source, None)

    def _note_markers(self, layer: Labels, planes: set[int] | None) -> None:
        """Remember that a marker layer may have changed; read it when the brush rests."""
        for pair in self._pairs.values():
            if pair.markers is layer:
                fresh = not pair.markers_changed
                before = set() if fresh else pair.planes
                known = before is not None and planes is not None
                pair.planes = before | planes if known else None  # type: ignore[operator]
                pair.markers_changed = True
                self.debouncer.call()

    def _on_image_changed(self, event: Event) -> None:
        for pair in self._pairs.values():
            if pair.image is event.source:
                pair.image_changed = True
                self.debouncer.call()

    def _on_layers_inserted(self, event: Event) -> None:
        layer: Any = event.value
        if link_of(layer).get('layer') is not None:
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
            if fits(layer, image, item.source.axes) and _is_blank(layer)
        ]
        for item in [*named, *blank][:1]:
            self.set_markers(item.source.key, layer)

    def _on_layers_removed(self, event: Event) -> None:
        for key, pair in self._pairs.items():
            item = self._session.item(key)
            if pair.image is event.value and item is not None:
                pair.image = None
                self._session.put_item(replace(item, opened=False))
                self.debouncer.call()
            if pair.markers is event.value:
                self._listen_to_markers(pair.markers, False)
                pair.markers, pair.markers_changed = None, True
                self.debouncer.call()
        self.layers_changed.emit()


def _with_image(item: Item, layer: Image) -> Item:
    """The item with the source as its layer is now; the same object if nothing changed."""
    try:
        source = image_source(layer, item.source.axes)
    except ImageError:
        source = image_source(layer)
    same = source.data is item.source.data
    source = replace(source, revision=item.source.revision + (not same))
    same_place = (source.spacing, source.unit) == (item.source.spacing, item.source.unit)
    if same and source.name == item.source.name and same_place:
        return item
    fitting = (source.frames, source.shape) == (item.source.frames, item.source.shape)
    return replace(item, source=source, strokes=item.strokes if fitting else {})


def _with_strokes(item: Item, pair: Pair) -> Item:
    """The item with what is painted on its markers now; the same object if nothing changed."""
    if pair.markers is None:
        return item if item.markers is None else replace(item, markers=None)
    known = item.strokes if item.markers is not None else None
    strokes = read_strokes(pair.markers, marker_axes(item.source.axes), pair.planes, known)
    before = {frame: one.digest for frame, one in item.strokes.items()}
    after = {frame: one.digest for frame, one in strokes.items()}
    if before == after and item.markers == pair.markers.name:
        return item
    return replace(item, strokes=strokes, markers=pair.markers.name)


def _is_blank(layer: Labels) -> bool:
    """Whether nothing is painted; layers too large to look at count as painted."""
    data = layer.data
    small = isinstance(data, np.ndarray) and data.size <= LARGEST_BLANK_CHECK
    return small and not data.any()


def in_view(viewer: ViewerModel, layer: Image, axes: str) -> tuple[int, int | None]:
    """Place along T, and plane of a volume unless it is shown in 3D, that the viewer shows."""
    point = np.asarray(viewer.dims.point[-layer.ndim :])
    shape = finest(layer).shape[: layer.ndim]
    voxel = np.clip(np.round(layer.world_to_data(point)), 0, np.array(shape) - 1).astype(int)
    frame = int(voxel[axes.index('T')]) if 'T' in axes else 0
    flat = 'Z' in axes and viewer.dims.ndisplay == 2
    return frame, int(voxel[axes.index('Z')]) if flat else None
