"""Layers of a saved session, opened again where they can be found."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
from napari.layers import Image, Labels

from napari_flim.bridge.layer_axes import finest, image_source, marker_axes, possible_axes
from napari_flim.bridge.marker_layers import (
    LINK,
    MARKERS,
    class_colormap,
    link_of,
    new_marker_layer,
    read_strokes,
)
from napari_flim.engine.image import SPATIAL
from napari_flim.errors import ImageError, MarkerError
from napari_flim.io.images import SUFFIXES
from napari_flim.samples import SAMPLES
from napari_flim.session.saving import absent_item, digest_of_voxels, spacing_of, strokes_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_flim.bridge.layer_items import LayerItems
    from napari_flim.io.session_file import SavedImage, SavedSession
    from napari_flim.session.session import Session

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Reopened:
    """The layers and items of a saved session, opened again where they can be found.

    Attributes
    ----------
    viewer : napari.components.ViewerModel
    session : Session
    items : LayerItems
    saved : SavedSession
    opened : tuple of int
        Images whose layers are to be open.
    keys : list of str
        Of the items, in the order of the saved images.
    warnings : list of str
    """

    viewer: ViewerModel
    session: Session
    items: LayerItems
    saved: SavedSession
    opened: tuple[int, ...]

    def __post_init__(self) -> None:
        self.warnings: list[str] = []
        layers: list[Image | None] = []
        for number, image in enumerate(self.saved.images):
            layers.append(self._layer(image, layers) if number in self.opened else None)
        for item in self.session.items:
            self.items.remove(item.source.key)
        # Markers come last: napari tells of each new layer, and images with markers become items.
        self.keys = [self._item(*pair) for pair in zip(self.saved.images, layers, strict=True)]
        for image, layer, key in zip(self.saved.images, layers, self.keys, strict=True):
            if layer is not None:
                self._mark(image, layer, key)
        for number, image in enumerate(self.saved.images):
            if layers[number] is None:
                self.session.put_item(absent_item(image, self.keys[number]))
                if number in self.opened and image.strokes:
                    self._show_orphans(image, self.keys[number])
        found = (self.session.item(key) for key in self.keys)
        self.session.items = tuple(item for item in found if item is not None)

    def _layer(self, image: SavedImage, taken: list[Image | None]) -> Image | None:
        """The layer of an image: one that is open, else one that is opened now, if possible."""
        fitting = [
            layer
            for layer in self.viewer.layers
            if isinstance(layer, Image) and layer not in taken and not link_of(layer)
            if _is_of(layer, image)
        ]
        same = [layer for layer in fitting if self._has_same_voxels(layer, image)]
        layer = next(iter([*same, *fitting]), None) or self._opened_now(image)
        if layer is None:
            self.warnings.append(
                f'{image.name} was not found, so open it yourself: its markers are here and will '
                'be used.'
            )
        elif layer not in same and not self._has_same_voxels(layer, image):
            self.warnings.append(f'{image.name} has other voxels than when the session was saved.')
        elif not np.allclose(image_source(layer, image.axes).spacing, spacing_of(image)):
            self.warnings.append(
                f'{image.name} has another voxel size than when the session was saved.'
            )
        return layer

    def _has_same_voxels(self, layer: Image, image: SavedImage) -> bool:
        return image.digest in ('', digest_of_voxels(image_source(layer, image.axes)))

    def _opened_now(self, image: SavedImage) -> Image | None:
        """The layer that napari makes of the sample or file of an image, named as it was."""
        layers = self._read(image)
        fitting = [layer for layer in layers if isinstance(layer, Image) and _reads(layer, image)]
        for layer in layers:
            if layer not in fitting[:1]:
                self.viewer.layers.remove(layer)
        for layer in fitting[:1]:
            layer.name = image.name
            for place, letter in enumerate(image.axes.replace('S', '')):
                if letter in SPATIAL:
                    layer.scale = _with(layer.scale, place, image.scale[place])
                    layer.units = tuple(_with(layer.units, place, image.units[place]))
            return layer
        return None

    def _read(self, image: SavedImage) -> list[Layer]:
        """Layers that napari makes of the sample or file of an image; none if it cannot."""
        try:
            if image.sample in SAMPLES:
                return list(self.viewer.open_sample('napari-flim', image.sample))
            # A session may come from a stranger, and napari runs the scripts it is told to open.
            if image.path is None or not image.path.lower().endswith(SUFFIXES):
                return []
            return list(self.viewer.open(image.path)) if Path(image.path).is_file() else []
        except Exception:
            # Readers are plugins; whatever is wrong with one, the strokes must come back.
            logger.exception('%s cannot be opened', image.name)
            return []

    def _item(self, image: SavedImage, layer: Image | None) -> str:
        """Make the item of an open image; its key, or a new one for an image that is not open."""
        return f'absent {uuid4()}' if layer is None else self.items.add(layer, axes=image.axes)

    def _mark(self, image: SavedImage, layer: Image, key: str) -> None:
        """Give the item of an open image its strokes: in a layer, unless they were in none."""
        markers = self._same_markers(image) if image.marker_name else None
        if image.marker_name and markers is None:
            markers = new_marker_layer(layer, image.axes, self.session.classes, image.marker_name)
            _fill(markers, image)
            self.viewer.add_layer(markers)
        self.items.set_markers(key, markers)
        item = self.session.item(key)
        if item is not None:
            self.session.put_item(replace(item, strokes=strokes_of(image), included=image.included))

    def _show_orphans(self, image: SavedImage, key: str) -> None:
        """Show strokes whose image was not found; they are linked to it once it is opened."""
        if self._same_markers(image) is not None:
            return
        axes = image.axes.replace('S', '')
        kept = [place for place, letter in enumerate(axes) if letter != 'C']
        markers = Labels(
            np.zeros(image.marker_shape, dtype=np.uint8),
            name=image.marker_name or f'{image.name} markers',
            colormap=class_colormap(self.session.classes),
            scale=[image.scale[place] for place in kept],
            units=[image.units[place] for place in kept],
            metadata={LINK: {'role': MARKERS, 'item': key}},
        )
        _fill(markers, image)
        self.viewer.add_layer(markers)

    def _same_markers(self, image: SavedImage) -> Labels | None:
        """An open marker layer with the name and exactly the strokes of a saved one."""
        wanted = {frame: one.digest for frame, one in strokes_of(image).items()}
        for layer in self.viewer.layers:
            fitting = isinstance(layer, Labels) and not layer.multiscale
            if not fitting or layer.name != image.marker_name:
                continue
            if tuple(layer.data.shape) != image.marker_shape:
                continue
            try:
                strokes = read_strokes(layer, marker_axes(image.axes))
            except MarkerError:
                continue
            if {frame: one.digest for frame, one in strokes.items()} == wanted:
                return layer
        return None


def _reads(layer: Image, image: SavedImage) -> bool:
    """Whether a layer has the shape of a saved image and can be read along the same axes."""
    if tuple(finest(layer).shape) != image.shape:
        return False
    try:
        return image.axes in possible_axes(layer)
    except ImageError:
        return False


def _is_of(layer: Image, image: SavedImage) -> bool:
    """Whether a layer may be a saved image: by its shape, and by its name or file."""
    path = layer.source.path
    named = layer.name == image.name or (path is not None and path == image.path)
    return named and _reads(layer, image)


def _fill(markers: Labels, image: SavedImage) -> None:
    """Paint saved strokes into a new layer."""
    for frame, strokes in strokes_of(image).items():
        place = (frame,) if 'T' in image.axes else ()
        markers.data[(*place, *strokes.coordinates.T)] = strokes.labels


def _with(values: Sequence[Any], place: int, value: Any) -> list[Any]:
    changed = list(values)
    changed[place] = value
    return changed
