"""Marker layers: making and finding them, painting on them, reading their strokes quickly."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_flim.bridge.layer_axes import finest, marker_shape
from napari_flim.bridge.layer_grids import Grid, grid_of
from napari_flim.bridge.sparse_markers import blank_labels, painted_planes
from napari_flim.engine.markers import LARGEST_LABEL
from napari_flim.errors import MarkerError
from napari_flim.session.classes import Classes
from napari_flim.session.sources import Strokes

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels, Layer
    from napari.utils import DirectLabelColormap
    from napari.utils.events import Event

LINK = 'napari_flim'
"""Key of a layer's metadata; holds the role of the layer and the item, the image it belongs to."""

MARKERS = 'markers'

UNKNOWN_COLOUR = (0.6, 0.6, 0.6)
"""Of labels that no class has, so that strokes with them can be seen."""

LEAST_BRUSH = 3
BRUSHES_ACROSS = 40
"""Of a new layer: so many brushes side by side cover the shorter side of the image."""
LARGEST_BRUSH = 50
"""Larger images are painted zoomed in."""

SLAB_BYTES = 1 << 24
"""Markers scanned at once."""

Marked = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Coordinates (M, axes) in raster order and labels (M,)."""


def new_marker_layer(
    image_layer: Image, axes: str, classes: Classes, name: str | None = None
) -> Labels:
    """An empty marker layer that lies over an image, with the label of its first object class.

    The brush paints on the visible slice, for volumes too: a ball would mark voxels in slices that
    the user has not looked at.

    Parameters
    ----------
    image_layer : napari.layers.Image
    axes : str
        One letter for each axis of the image.
    classes : tuple of MarkedClass
    name : str, optional
        By default the name of the image and ``markers``.

    Returns
    -------
    napari.layers.Labels
        uint8, not yet in a viewer: napari shows the mode of a layer only if it is set afterwards.
    """
    shape, grid = marker_shape(image_layer, axes), grid_of(image_layer, axes)
    name = f'{image_layer.name} markers' if name is None else name
    return blank_markers(shape, grid, classes, name, str(image_layer.unique_id))


def blank_markers(
    shape: tuple[int, ...], grid: Grid, classes: Classes, name: str, item: str
) -> Labels:
    """As `new_marker_layer`, for an image that need not be open any more.

    Parameters
    ----------
    shape : tuple of int
        One voxel for each of the image.
    grid : dict
        Spatial attributes, see `grid_of`.
    classes : tuple of MarkedClass
    name : str
    item : str
        Key of the image.

    Raises
    ------
    MarkerError
        When there is not enough memory; see `napari_flim.bridge.sparse_markers.blank_labels`.
    """
    from napari.layers import Labels

    layer = Labels(
        blank_labels(shape),
        name=name,
        colormap=class_colormap(classes),
        metadata={LINK: {'role': MARKERS, 'item': item}},
        **grid,
    )
    layer.n_edit_dimensions = 2
    layer.selected_label = next(one.label for one in classes if one.role == 'object')
    size = round(min(shape[-2:]) / BRUSHES_ACROSS)
    layer.brush_size = min(max(LEAST_BRUSH, size), LARGEST_BRUSH)
    return layer


def class_colormap(classes: Classes) -> DirectLabelColormap:
    """Each class in its colour, unmarked transparent, and labels without class grey."""
    from napari.utils import DirectLabelColormap

    colours: dict[int | None, Any] = {one.label: one.colour for one in classes}
    return DirectLabelColormap(color_dict={None: UNKNOWN_COLOUR, 0: 'transparent', **colours})


def link_of(layer: Layer) -> Mapping[str, Any]:
    """Role and item of a layer; empty if the layer is not ours."""
    link = layer.metadata.get(LINK)
    return link if isinstance(link, Mapping) else {}


def fits(marker_layer: Labels, image_layer: Image, axes: str) -> bool:
    """Whether the markers have one voxel for each of the image."""
    if finest(image_layer).ndim != len(axes):
        return False
    shape = marker_shape(image_layer, axes)
    return not marker_layer.multiscale and tuple(marker_layer.data.shape) == shape


def find_markers(image_layer: Image, axes: str, layers: Iterable[Layer]) -> Labels | None:
    """The marker layer of an image, or None.

    A layer made for the image comes first, then one that fits and is called after it:
    ``<image> markers``, ``<image>-seeds`` and the like. Results, and markers made for another
    open image, are never taken.
    """
    from napari.layers import Labels

    layers = list(layers)
    open_items = {str(layer.unique_id) for layer in layers}
    fitting = [
        layer for layer in layers if isinstance(layer, Labels) and fits(layer, image_layer, axes)
    ]
    made_for_it = {'role': MARKERS, 'item': str(image_layer.unique_id)}
    for layer in fitting:
        if made_for_it.items() <= link_of(layer).items():
            return layer
    free = [layer for layer in fitting if _is_free(layer, open_items)]
    # napari numbers layers of one name: the markers of "cells [2]" may be "cells markers [2]".
    number = ''.join(re.findall(r' \[\d+\]$', image_layer.name))
    stem = image_layer.name.removesuffix(number)
    for pattern in (
        re.escape(f'{image_layer.name} markers'),
        rf'{re.escape(stem)}[ _-]?(markers?|seeds?|scribbles?){re.escape(number)}',
    ):
        for layer in free:
            if re.fullmatch(pattern, layer.name, re.IGNORECASE):
                return layer
    return None


def _is_free(layer: Labels, open_items: set[str]) -> bool:
    link = link_of(layer)
    return not link or (link.get('role') == MARKERS and link.get('item') not in open_items)


def take_brush(viewer: ViewerModel, layer: Labels, label: int) -> None:
    """Let the user paint a label on a layer."""
    layer.selected_label = label
    layer.visible = True
    viewer.layers.selection.active = layer
    # A layer leaves the mode of painting when another one becomes active.
    layer.mode = 'paint'


def write_strokes(layer: Labels, axes: str, strokes: Mapping[int, Strokes]) -> None:
    """Paint strokes into a layer that nobody hears yet.

    Parameters
    ----------
    layer : napari.layers.Labels
    axes : str
        One letter for each axis of the image.
    strokes : mapping of int to Strokes
        Along T, or 0 without T.
    """
    for frame, one in strokes.items():
        place = (frame,) if 'T' in axes else ()
        layer.data[(*place, *one.coordinates.T)] = one.labels


def read_strokes(
    layer: Labels,
    axes_of_markers: str,
    planes: Iterable[int] | None = None,
    known: Mapping[int, Strokes] | None = None,
    largest: int = LARGEST_LABEL,
) -> dict[int, Strokes]:
    """What is painted on each image of a layer.

    Parameters
    ----------
    layer : napari.layers.Labels
        numpy, dask or zarr.
    axes_of_markers : str
        One letter for each axis of the layer, T first if there are several images.
    planes : iterable of int, optional
        Indices along the first axis that may have changed; others are taken from ``known``.
    known : mapping of int to Strokes, optional
        What was read before; without it every plane is read.
    largest : int
        Largest label that there may be.

    Returns
    -------
    dict of int to Strokes
        Along T, or 0 without T; images without any stroke are absent.

    Raises
    ------
    MarkerError
        For other labels than 1 to the largest.
    """
    data = layer.data
    length, shape = int(data.shape[0]), tuple(int(n) for n in data.shape)
    if planes is None or known is None:
        painted = painted_planes(data)
        changed, kept = set(range(length)) if painted is None else painted, {}
    else:
        changed, kept = set(planes) & set(range(length)), dict(known)
    coordinates, labels = _marked(data, sorted(changed))
    _check_labels(labels, layer.name, largest)
    if 'T' in axes_of_markers:
        found = {frame: strokes for frame, strokes in kept.items() if frame not in changed}
        frames, starts = np.unique(coordinates[:, 0], return_index=True)
        stops = [*starts[1:], len(labels)]
        for frame, start, stop in zip(frames.tolist(), starts, stops, strict=False):
            found[frame] = Strokes(coordinates[start:stop, 1:], labels[start:stop], shape[1:])
        return dict(sorted(found.items()))
    if kept:
        coordinates, labels = _merged((coordinates, labels), kept[0], changed)
    return {0: Strokes(coordinates, labels, shape)} if len(labels) else {}


def dirty_planes(layer: Labels, event: Event) -> set[int] | None:
    """Indices along the first axis that a paint event may have changed; None for all of them.

    The payload of the event is private to napari and has changed before, so it is a hint only:
    whatever is not understood means everything.
    """
    return _planes_of(layer, getattr(event, 'value', None))


def is_painted_on(layer: Labels) -> bool:
    """Whether a stroke is being painted, which a paint event will end; a hint only."""
    return bool(getattr(layer, '_staged_history', ()))


def strokes_undone(layer: Labels) -> int:
    """How many strokes were taken back and can be made again."""
    return len(getattr(layer, '_redo_history', ()))


def replayed_planes(layer: Labels, undone_before: int) -> set[int] | None:
    """Indices along the first axis that undo or redo may have changed; None for all of them.

    A hint only, as `dirty_planes`.

    Parameters
    ----------
    layer : napari.layers.Labels
    undone_before : int
        What `strokes_undone` was before.
    """
    steps = strokes_undone(layer) - undone_before
    moved = getattr(layer, '_redo_history' if steps > 0 else '_undo_history', None)
    if not steps or moved is None or len(moved) < abs(steps):
        # Something else was written: a script may have filled the array and asked for a refresh.
        return None
    return _planes_of(layer, [edit for item in list(moved)[-abs(steps) :] for edit in item])


def _planes_of(layer: Labels, edits: object) -> set[int] | None:
    if not isinstance(edits, list):
        return None
    planes: set[int] = set()
    for edit in edits:
        box = getattr(edit, 'slice_key', None)
        if not isinstance(box, tuple) or len(box) != layer.ndim or not isinstance(box[0], slice):
            return None
        planes.update(range(*box[0].indices(layer.data.shape[0])))
    return planes


def _merged(read: Marked, before: Strokes, changed: set[int]) -> Marked:
    """What was just read of one image, and the earlier strokes on planes that did not change."""
    old = ~np.isin(before.coordinates[:, 0], sorted(changed))
    coordinates = np.concatenate([read[0], before.coordinates[old]])
    labels = np.concatenate([read[1], before.labels[old]])
    order = np.argsort(coordinates[:, 0], kind='stable')
    return coordinates[order], labels[order]


def _check_labels(labels: NDArray[np.int64], name: str, largest: int) -> None:
    if len(labels) and not 1 <= labels.min() <= labels.max() <= largest:
        wrong = labels.min() if labels.min() < 1 else labels.max()
        raise MarkerError(
            f'{name} holds the label {wrong}; it may hold labels 1 to {largest}. '
            'If the layer is a segmentation, choose another one or make a new marker layer; '
            'else paint these voxels again with another label.'
        )


def _marked(data: Any, planes: list[int]) -> Marked:
    """Marked voxels on the given planes of the first axis, a slab at a time."""
    voxels: list[NDArray[np.int64]] = [np.zeros((0, len(data.shape)), dtype=np.int64)]
    labels: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
    for start, stop in _slabs(data, planes):
        slab = np.ascontiguousarray(data[start:stop])
        places = _nonzero(slab.reshape(-1))
        found = np.stack(np.unravel_index(places, slab.shape), axis=1).astype(np.int64)
        found[:, 0] += start
        voxels.append(found)
        labels.append(slab.reshape(-1)[places].astype(np.int64))
    return np.concatenate(voxels), np.concatenate(labels)


def _slabs(data: Any, planes: list[int]) -> Iterator[tuple[int, int]]:
    """Runs of neighbouring planes, none longer than a chunk or `SLAB_BYTES`."""
    chunks = getattr(data, 'chunks', None)
    if chunks:
        step = int(np.max(chunks[0]))
    else:
        plane_bytes = np.dtype(data.dtype).itemsize * int(np.prod(data.shape[1:]))
        step = max(1, SLAB_BYTES // max(1, plane_bytes))

    def run(place_and_plane: tuple[int, int]) -> tuple[int, int]:
        place, plane = place_and_plane
        return plane - place, plane // step

    for _, pairs in itertools.groupby(enumerate(planes), run):
        members = [plane for _, plane in pairs]
        yield members[0], members[-1] + 1


def _nonzero(values: NDArray[Any]) -> NDArray[np.int64]:
    """Like `numpy.flatnonzero`, ten times as fast where little is marked.

    Eight bytes are looked at together, and only words that are not zero voxel by voxel.
    """
    in_word = 8 // values.itemsize
    whole = len(values) // in_word * in_word
    words = np.flatnonzero(values[:whole].view(np.uint64))
    if len(words) * in_word > len(values) // 4:
        return np.asarray(np.flatnonzero(values))
    inside = (words[:, None] * in_word + np.arange(in_word)).reshape(-1)
    places = np.concatenate([inside, np.arange(whole, len(values))])
    return np.asarray(places[values[places] != 0])
