"""Saliency as layers: one for each object class of an item, over its image, in its colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_flim.bridge.layer_grids import grid_of, move_to
from napari_flim.bridge.layer_items import LayerItems
from napari_flim.bridge.marker_layers import link_of
from napari_flim.bridge.result_layers import ResultLayers, saliency_colormap
from napari_flim.session.classes import class_named
from napari_flim.session.jobs import Applied
from napari_flim.session.session import Session

if TYPE_CHECKING:
    from napari.layers import Image, Labels

SALIENCY = 'saliency'


class SaliencyLayers:
    """The saliency layers of one viewer.

    Parameters
    ----------
    session : Session
    items : LayerItems
    results : ResultLayers
    """

    def __init__(self, session: Session, items: LayerItems, results: ResultLayers) -> None:
        self._session = session
        self._items = items
        self._results = results
        # Images of a stack that its layers hold saliency of.
        self._frames: dict[str, set[int]] = {}
        items.moved.connect(self._on_image_moved)
        items.closed.connect(self.remove)

    def of_item(self, key: str | None) -> list[Image | Labels]:
        """Saliency layers of an item."""
        found = self._results.of_item(key or '')
        return [layer for layer in found if link_of(layer)['role'].startswith(SALIENCY)]

    def show(self, applied: Applied, *, anew: bool) -> bool:
        """Show saliency over its image.

        Parameters
        ----------
        applied : Applied
        anew : bool
            Nothing of this model is shown on the image yet: other images of a stack are emptied,
            for what they show is of an earlier model.

        Returns
        -------
        bool
            Whether it is shown: the image is open and holds the same voxels.
        """
        target = applied.target
        key, axes = target.source.key, target.source.axes
        layer = self._items.layer_of(target.source)
        if layer is None:
            return False
        roles = [f'{SALIENCY} {number}' for number in applied.object_classes]
        for old in self.of_item(key):
            if link_of(old)['role'] not in roles:
                self._results.remove(link_of(old)['role'], key)
        grid = grid_of(layer, axes)
        stacked = target.stacked
        shape = (target.source.frames,) * stacked + target.source.shape
        region = (slice(target.frame, target.frame + 1),) * stacked
        if target.plane is not None:
            region += (slice(target.plane, target.plane + 1),)
        others = self._frames.get(key, set()) - {target.frame}
        emptied = stacked and anew and bool(others)
        self._frames[key] = {target.frame} | (set() if emptied else others)
        several = len(applied.object_classes) > 1
        for role, number, map_ in zip(roles, applied.object_classes, applied.saliency, strict=True):
            marked = class_named(self._session.classes, number)
            self._results.show_image(
                role,
                key,
                f'{target.source.name} saliency' + f' {marked.name}' * several,
                map_[np.newaxis] if stacked else map_,
                grid,
                colormap=saliency_colormap(marked.colour),
                blending='translucent',
                region=region or None,
                shape=shape,
                emptied=emptied,
            )
        return True

    def recolour(self) -> None:
        """Give every layer the colour that its class has now."""
        for item in self._session.items:
            for one in self._session.classes:
                layer = self._results.find(f'{SALIENCY} {one.label}', item.source.key)
                if layer is not None:
                    layer.colormap = saliency_colormap(one.colour)

    def remove_all(self) -> None:
        """Take every layer away, because nothing is learned any more."""
        for key in {link_of(layer)['item'] for layer in self._results.all()}:
            self.remove(key)

    def remove(self, key: str) -> None:
        """Take away the layers of an item, such as one whose image was closed."""
        self._frames.pop(key, None)
        for layer in self.of_item(key):
            self._results.remove(link_of(layer)['role'], key)

    def _on_image_moved(self, key: str) -> None:
        """Saliency lies over its image, wherever that goes; what no longer fits is taken away."""
        item, layer = self._session.item(key), self._items.image_layer(key)
        if item is None or layer is None:
            return
        grid = grid_of(layer, item.source.axes)
        for shown in self.of_item(key):
            if shown.ndim == len(grid['scale']):
                move_to(shown, grid)
            else:
                self._results.remove(link_of(shown)['role'], key)
