"""The objects that the user has chosen, in the picture or in the table."""

from __future__ import annotations

from collections.abc import Collection
from itertools import product
from math import prod
from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal

from napari_flim.bridge.correction_layers import CorrectionLayers
from napari_flim.bridge.delineator import Delineator, Place, place_of
from napari_flim.bridge.layer_grids import world_of
from napari_flim.bridge.layer_items import LayerItems
from napari_flim.bridge.object_layers import ObjectLayers
from napari_flim.session.outline import outline_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_flim.session.delineating import Draft
    from napari_flim.session.jobs import Target
    from napari_flim.session.running import Runner

MOST_LOOKED_AT = 10**5
"""Voxels, of an object that the viewer is moved to; others are skipped."""


class ObjectChoice:
    """Which objects are chosen; they have an outline, and the brush paints the only one.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
    items : LayerItems
    delineator : Delineator
    layers : ObjectLayers
    corrections : CorrectionLayers
    runner : Runner
        Its own, so that a line is drawn while objects are corrected.

    Attributes
    ----------
    ids : tuple of int
        Ascending.
    """

    changed = Signal()
    """`ids` are other ones."""

    def __init__(
        self,
        viewer: ViewerModel,
        items: LayerItems,
        delineator: Delineator,
        layers: ObjectLayers,
        corrections: CorrectionLayers,
        runner: Runner,
    ) -> None:
        self._viewer = viewer
        self._items = items
        self._delineator = delineator
        self._layers = layers
        self._corrections = corrections
        self._runner = runner
        self._outlined: Draft | None = None
        self.ids: tuple[int, ...] = ()
        layers.clicked.connect(self._on_object_clicked)
        delineator.changed.connect(self._on_objects_changed)
        delineator.found.connect(self._on_objects_found)

    def choose(self, ids: Collection[int], *, look: bool = False) -> None:
        """Choose some objects and no others.

        Parameters
        ----------
        ids : collection of int
        look : bool
            Move the viewer to the first one.
        """
        chosen, draft = tuple(sorted(set(ids))), self._delineator.draft
        if look and chosen and draft is not None:
            self._look_at(draft, chosen[0])
        if chosen == self.ids:
            return
        self.ids = chosen
        self._outline(draft)
        if len(chosen) == 1 and draft is not None:
            key = draft.material.target.source.key
            layer, strokes = self._layers.find(key), self._corrections.find(key)
            if layer is not None:
                layer.selected_label = chosen[0]
            if strokes is not None:
                strokes.selected_label = chosen[0] + 1
        self.changed.emit()

    def _outline(self, draft: Draft | None) -> None:
        self._outlined = draft
        if draft is None:
            self._runner.cancel()
        elif any(number in draft.boxes for number in self.ids):
            self._runner.submit(
                outline_of(draft, self.ids),
                done=self._layers.outline,
                failed=self._on_drawing_failed,
            )
        else:
            self._take_away(draft)

    def _take_away(self, draft: Draft) -> None:
        self._runner.cancel()
        self._layers.remove_outline(draft.material.target.source.key)

    def _on_drawing_failed(self, error: Exception) -> None:
        self._delineator.say(str(error))

    def _look_at(self, draft: Draft, number: int) -> None:
        """Bring the middle of an object to the middle of the view, unless it is all in view."""
        target = draft.material.target
        image = self._items.layer_of(target.source)
        box = draft.boxes.get(number)
        if image is None or box is None:
            return
        nearest = _middle_voxel(draft.labels[box], number)
        place = [part.start + int(step) for part, step in zip(box, nearest, strict=True)]
        place = [target.frame, *place] if target.stacked else place
        world = world_of(image, target.source.axes, place)
        dims = self._viewer.dims
        first = dims.ndim - len(world)
        lowest, highest = _ends(image, target, box)
        for axis, value in enumerate(world, start=first):
            seen = lowest[axis - first] <= dims.point[axis] <= highest[axis - first]
            if axis not in dims.displayed and not seen:
                dims.set_point(axis, value)
        shown = [axis - first for axis in dims.displayed if axis >= first]
        camera, centre = self._viewer.scene.camera, [world[axis] for axis in shown]
        if len(centre) == 3:
            camera.center = tuple(centre)
            return
        half = np.asarray(self._viewer.canvas.size) / camera.zoom / 2
        middle = np.asarray(camera.center[-2:])
        inside = (lowest[shown] >= middle - half) & (highest[shown] <= middle + half)
        if not inside.all():
            camera.center = (0.0, *centre)

    def _on_object_clicked(self, number: int, more: bool) -> None:
        if more:
            self.choose(set(self.ids) ^ {number} if number else self.ids)
        else:
            self.choose({number} if number else ())

    def _on_objects_found(self, key: str) -> None:
        """Let the next click choose an object: with the brush it would paint."""
        layer = self._layers.find(key)
        if layer is not None and self._layers.listening:
            self._viewer.layers.selection.active = layer

    def _on_objects_changed(self) -> None:
        """Objects that are gone are no longer chosen; the outline follows the others."""
        draft = self._delineator.draft
        if draft is self._outlined:
            return
        former, there = self._outlined, {} if draft is None else draft.boxes
        if former is not None and (draft is None or _place(former) != _place(draft)):
            # Numbers mean other objects in another image.
            self._take_away(former)
            there = {}
        left = tuple(number for number in self.ids if number in there)
        if former is not None and draft is not None and there:
            left = tuple(sorted({*left, *_parts_of(former, self.ids, draft)}))
        same, self.ids = left == self.ids, left
        self._outline(draft)
        if not same:
            self.changed.emit()


def _place(draft: Draft) -> Place:
    return place_of(draft.material.target)


def _parts_of(former: Draft, ids: Collection[int], draft: Draft) -> list[int]:
    """Objects that an edit, not the brush, has made where some others were."""
    if not ids or draft.corrections.strokes is not former.corrections.strokes:
        return []
    new = draft.boxes.keys() - former.boxes.keys()
    return [number for number in new if _was_in(former.labels, ids, draft, number)]


def _was_in(labels: NDArray[np.int32], ids: Collection[int], draft: Draft, number: int) -> bool:
    """Whether most of an object was part of some others."""
    box = draft.boxes[number]
    before = labels[box][draft.labels[box] == number]
    return bool(2 * np.isin(before, list(ids)).sum() > before.size)


def _ends(
    image: Image, target: Target, box: tuple[slice, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least and greatest world coordinates of the middles of voxels in a box."""
    spans = [(part.start, part.stop - 1) for part in box]
    if target.stacked:
        spans.insert(0, (target.frame, target.frame))
    corners = [world_of(image, target.source.axes, corner) for corner in product(*spans)]
    return np.min(corners, axis=0), np.max(corners, axis=0)


def _middle_voxel(labels: NDArray[np.int32], number: int) -> NDArray[np.int64]:
    """The voxel of an object that is nearest to its middle, about so."""
    step = 1
    while prod(-(-length // step) for length in labels.shape) > MOST_LOOKED_AT:
        step += 1
    voxels = np.argwhere(labels[(slice(None, None, step),) * labels.ndim] == number) * step
    if not len(voxels):
        # A thin object may lie between the steps.
        voxels = np.argwhere(labels == number)
    # A bent object need not hold its own middle.
    nearest: NDArray[np.int64] = voxels[((voxels - voxels.mean(axis=0)) ** 2).sum(axis=1).argmin()]
    return nearest
