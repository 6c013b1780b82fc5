"""The layers of one item, and the item as they show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_flim.bridge.layer_axes import finest, image_source, marker_axes, marker_shape
from napari_flim.bridge.layer_grids import Grid, grid_of
from napari_flim.bridge.marker_layers import read_strokes
from napari_flim.errors import ImageError
from napari_flim.session.items import Item
from napari_flim.session.saved_images import AbsentArray

if TYPE_CHECKING:
    from napari.layers import Image, Labels

    from napari_flim.session.sources import ImageSource

LARGEST_BLANK_CHECK = 2**26
"""Voxels that are looked at to see whether a layer is blank."""


@dataclass(eq=False)
class Pair:
    """The layers of one item, and what may have changed in them since they were read.

    Attributes
    ----------
    image : napari.layers.Image, optional
        None once it is closed.
    left : tuple of (tuple of int, dict), optional
        Shape and spatial attributes of markers, once the image is closed.
    markers : napari.layers.Labels, optional
    image_changed : bool
    markers_changed : bool
    planes : set of int, optional
        Planes of the markers that may have changed; None for all.
    section : tuple
        Where the viewer cut the markers when they were drawn last, see `section_of`.
    undone : int
        Strokes that were taken back when the markers were drawn last.
    """

    image: Image | None
    markers: Labels | None
    image_changed: bool = False
    markers_changed: bool = False
    planes: set[int] | None = None
    left: tuple[tuple[int, ...], Grid] | None = None
    section: tuple[float | None, ...] = ()
    undone: int = 0

    def note_markers(self, planes: set[int] | None) -> None:
        """Note that planes of the markers may have changed; None for all."""
        before = self.planes if self.markers_changed else set()
        self.planes = None if before is None or planes is None else before | planes
        self.markers_changed = True


def with_image(item: Item, layer: Image) -> Item:
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
    if not fitting:
        return replace(item, source=source, strokes={}, corrections={})
    return replace(item, source=source)


def with_strokes(item: Item, pair: Pair) -> Item:
    """The item with what is painted on its markers now; the same object if nothing changed."""
    if pair.markers is None:
        return item if item.markers is None else replace(item, markers=None, problem='')
    known = item.strokes if item.markers is not None else None
    strokes = read_strokes(pair.markers, marker_axes(item.source.axes), pair.planes, known)
    before = {frame: one.digest for frame, one in item.strokes.items()}
    after = {frame: one.digest for frame, one in strokes.items()}
    if before == after and (item.markers, item.problem) == (pair.markers.name, ''):
        return item
    return replace(item, strokes=strokes, markers=pair.markers.name, problem='')


def place_of_markers(image: Image, axes: str) -> tuple[tuple[int, ...], Grid] | None:
    """Shape and spatial attributes; None if the image got others since it was read."""
    if finest(image).ndim != len(axes):
        return None
    return marker_shape(image, axes), grid_of(image, axes)


def is_blank(layer: Labels) -> bool:
    """Whether nothing is painted; layers too large to look at count as painted."""
    data = layer.data
    small = isinstance(data, np.ndarray) and data.size <= LARGEST_BLANK_CHECK
    return small and not data.any()


def closed_twin(items: Sequence[Item], source: ImageSource) -> Item | None:
    """The item of an image that was closed and is open again."""
    for item in items:
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
