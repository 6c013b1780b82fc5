"""Layers of a saved session, opened again where they can be found."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import pint
from napari.layers import Image, Labels

from napari_flim.bridge.layer_axes import finest, image_source, marker_axes, possible_axes
from napari_flim.bridge.marker_layers import (
    LINK,
    MARKERS,
    class_colormap,
    link_of,
    new_marker_layer,
    read_strokes,
    write_strokes,
)
from napari_flim.bridge.preferences import PLUGIN, memory_budget
from napari_flim.engine.image import SPATIAL
from napari_flim.errors import FileError, ImageError, MarkerError
from napari_flim.io.images import SUFFIXES
from napari_flim.samples import SAMPLES
from napari_flim.session.saved_images import (
    absent_item,
    corrections_of_image,
    marker_shape_of,
    spacing_of,
    strokes_of,
)

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_flim.bridge.controller import Controller
    from napari_flim.io.session_file import SavedImage, SavedSession
    from napari_flim.session.sources import ImageSource

logger = logging.getLogger(__name__)


UNIT = re.compile(r'([^\W\d⁰¹²³⁴-⁹]|°)+')
"""What may name a unit, such as ``µm``: no arithmetic, which could overflow or take for ever."""

LEAST_SCALE, GREATEST_SCALE = 1e-15, 1e15
LONGEST_REASON = 160


def check_units(saved: SavedSession) -> None:
    """Check that napari can place the images of a session, before any layer is changed.

    Raises
    ------
    FileError
        For a unit that napari does not know, and for a scale that its canvas cannot draw.
    """
    for image in saved.images:
        for scale, unit in zip(image.scale, image.units, strict=True):
            if not _is_unit(unit):
                raise FileError(
                    f'The image {image.name!r} in this session file has the unit {unit!r}, which '
                    'napari does not know. Use a file that napari-flim saved.'
                )
            if not LEAST_SCALE <= abs(scale) <= GREATEST_SCALE:
                raise FileError(
                    f'The image {image.name!r} in this session file has a voxel of {scale:g} '
                    f'{unit}; expected {LEAST_SCALE:g} to {GREATEST_SCALE:g}. Use a file that '
                    'napari-flim saved.'
                )


def _is_unit(name: str) -> bool:
    """Whether napari takes a name as that of a unit in which a voxel can be measured."""
    if not UNIT.fullmatch(name):
        return False
    try:
        unit = pint.application_registry.parse_expression(name).units
        return bool(np.isfinite((1.0 * unit).m_as(unit)))
    except (AttributeError, TypeError, ValueError, ArithmeticError):
        return False


@dataclass(eq=False)
class Reopened:
    """The layers and items of a saved session, opened again where they can be found.

    An open layer is taken for an image by its file, name and shape; whether it has the same voxels
    is found out later, since reading them may be slow.

    Attributes
    ----------
    controller : Controller
    saved : SavedSession
    opened : tuple of int
        Images whose layers are to be open.
    keys : list of str
        Of the items, in the order of the saved images.
    warnings : list of str
    """

    controller: Controller
    saved: SavedSession
    opened: tuple[int, ...]

    def __post_init__(self) -> None:
        self.viewer, self.items = self.controller.viewer, self.controller.items
        self.session = self.controller.session
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

    def pairs(self) -> list[tuple[SavedImage, ImageSource]]:
        """Every saved image that is open, with the source it was found in."""
        items = map(self.session.item, self.keys)
        return [
            (image, item.source)
            for image, item in zip(self.saved.images, items, strict=True)
            if item is not None and item.opened
        ]

    def _layer(self, image: SavedImage, taken: list[Image | None]) -> Image | None:
        """The layer of an image: one that is open, else one that is opened now, if possible."""
        fitting = [
            layer
            for layer in self.viewer.layers
            if isinstance(layer, Image) and layer not in taken and not link_of(layer)
            if _is_of(layer, image)
        ]
        # The same file under another name is likelier the image than another one of its name.
        fitting.sort(key=lambda layer: (layer.source.path != image.path, layer.name != image.name))
        reason = 'was not found'
        try:
            layer = next(iter(fitting), None) or self._opened_now(image)
        except FileError as error:
            layer, reason = None, f'cannot be opened ({error})'
        if layer is None:
            self.warnings.append(
                f'{image.name} {reason}, so open it yourself: its markers are here and will '
                'be used.'
            )
        elif not np.allclose(image_source(layer, image.axes).spacing, spacing_of(image)):
            self.warnings.append(
                f'{image.name} has another voxel size than when the session was saved.'
            )
        return layer

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
        """Layers that napari makes of the sample or file of an image; none without either.

        Raises
        ------
        FileError
            When napari cannot open the file.
        """
        try:
            if image.sample in SAMPLES:
                return list(self.viewer.open_sample(PLUGIN, image.sample))
            # A session may come from a stranger, and napari runs the scripts it is told to open.
            if image.path is None or not image.path.lower().endswith(SUFFIXES):
                return []
            return list(self.viewer.open(image.path)) if Path(image.path).is_file() else []
        except Exception as error:
            # Readers are plugins; whatever is wrong with one, the strokes must come back.
            logger.exception('%s cannot be opened', image.name)
            reason = ' '.join(str(error).split())[:LONGEST_REASON].rstrip('.')
            raise FileError(reason or type(error).__name__) from error

    def _item(self, image: SavedImage, layer: Image | None) -> str:
        """Make the item of an open image; its key, or a new one for an image that is not open."""
        return f'absent {uuid4()}' if layer is None else self.items.add(layer, axes=image.axes)

    def _mark(self, image: SavedImage, layer: Image, key: str) -> None:
        """Give the item of an open image its strokes: in a layer, unless they were in none."""
        markers = self._same_markers(image) if image.marker_name else None
        if image.marker_name and markers is None:
            markers = self._new_markers(image, layer)
        self.items.set_markers(key, markers)
        item = self.session.item(key)
        if item is not None:
            self.session.put_item(
                replace(
                    item,
                    strokes=strokes_of(image),
                    included=image.included,
                    corrections=corrections_of_image(image),
                )
            )

    def _new_markers(self, image: SavedImage, layer: Image) -> Labels | None:
        """A marker layer with the strokes of a saved one; None if there is no memory for it."""
        classes = self.session.classes
        try:
            markers = new_marker_layer(layer, image.axes, classes, image.marker_name)
        except MarkerError as error:
            self.warnings.append(f'{image.name} has its strokes, but no layer of them: {error}')
            return None
        write_strokes(markers, image.axes, strokes_of(image))
        self.viewer.add_layer(markers)
        markers.mode = 'paint'
        return markers

    def _show_orphans(self, image: SavedImage, key: str) -> None:
        """Show strokes whose image was not found; they are linked to it once it is opened."""
        shape = marker_shape_of(image)
        room = memory_budget(self.controller.preferences())
        if self._same_markers(image) is not None or math.prod(shape) > room:
            return
        axes = image.axes.replace('S', '')
        kept = [place for place, letter in enumerate(axes) if letter != 'C']
        markers = Labels(
            np.zeros(shape, dtype=np.uint8),
            name=image.marker_name or f'{image.name} markers',
            colormap=class_colormap(self.session.classes),
            scale=[image.scale[place] for place in kept],
            units=[image.units[place] for place in kept],
            metadata={LINK: {'role': MARKERS, 'item': key}},
        )
        write_strokes(markers, image.axes, strokes_of(image))
        self.viewer.add_layer(markers)

    def _same_markers(self, image: SavedImage) -> Labels | None:
        """An open marker layer with the name and exactly the strokes of a saved one."""
        wanted = {frame: one.digest for frame, one in strokes_of(image).items()}
        for layer in self.viewer.layers:
            fitting = isinstance(layer, Labels) and not layer.multiscale
            if not fitting or layer.name != image.marker_name:
                continue
            if tuple(layer.data.shape) != marker_shape_of(image):
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


def _with(values: Sequence[Any], place: int, value: Any) -> list[Any]:
    changed = list(values)
    changed[place] = value
    return changed
