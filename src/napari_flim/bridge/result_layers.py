"""Our own layers: made once, then updated in place, so that the user's settings of them stay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from napari.layers import Image, Labels

from napari_flim.bridge.layer_grids import Grid, move_to
from napari_flim.bridge.marker_layers import LINK, MARKERS, link_of

if TYPE_CHECKING:
    from napari.components import LayerList
    from napari.layers import Layer
    from napari.utils import Colormap, DirectLabelColormap
    from napari.utils.events import Event

    from napari_flim.session.classes import Colour

Region = tuple[slice, ...]
Kind = TypeVar('Kind', Image, Labels)


def saliency_colormap(colour: Colour) -> Colormap:
    """From transparent to opaque in the colour of a class; meant for translucent blending.

    Additive blending would be lost on bright images.
    """
    from napari.utils import Colormap

    return Colormap([(*colour, 0.0), (*colour, 1.0)], name='saliency')


class ResultLayers:
    """The result layers of one viewer.

    A layer is known by its role and item in its metadata, never by its name. It is ours as long as
    it is the very layer we made: a copy that the user keeps of it is the user's.

    Parameters
    ----------
    layers : napari.components.LayerList

    Attributes
    ----------
    adding : bool
        A layer of ours is being added, so that what is selected meanwhile is not the user's choice.
    """

    def __init__(self, layers: LayerList) -> None:
        # A plugin may be given a proxy, whose layers would be proxies too.
        self._layers = getattr(layers, '__wrapped__', layers)
        self.adding = False

    def show_image(
        self,
        role: str,
        item: str,
        name: str,
        data: Any,
        grid: Grid,
        *,
        colormap: str | Colormap = 'gray',
        contrast_limits: tuple[float, float] = (0.0, 1.0),
        blending: str = 'additive',
        opacity: float = 0.7,
        region: Region | None = None,
        shape: tuple[int, ...] | None = None,
        emptied: bool = False,
    ) -> Image:
        """Show an array as image, in the layer of this role and item; make it if there is none.

        Parameters
        ----------
        role, item : str
            What the layer shows, and the key of the image it belongs to.
        name, colormap, contrast_limits, blending, opacity
            Of a new layer; an existing one keeps its own.
        data : array
            Copied if it is a numpy array; kept as it is, unread, if it is dask or zarr.
        grid : dict
            Spatial attributes, see `grid_of`.
        region : tuple of slice, optional
            Where ``data`` lies in the layer; the rest is left as it is.
        shape : tuple of int, optional
            Shape of the whole layer; needed with ``region``.
        emptied : bool
            Put zeros into the rest of the layer, which takes neither time nor memory.
        """
        whole = _Voxels(data, region, shape, emptied)
        look = {
            'name': name,
            'colormap': colormap,
            'contrast_limits': contrast_limits,
            'blending': blending,
            'opacity': opacity,
        }
        return self._shown(Image, role, item, whole, look, grid)

    def show_labels(
        self,
        role: str,
        item: str,
        name: str,
        data: Any,
        grid: Grid,
        *,
        colormap: DirectLabelColormap | None,
        opacity: float = 0.5,
        region: Region | None = None,
        shape: tuple[int, ...] | None = None,
        emptied: bool = False,
    ) -> Labels:
        """Show an integer array as labels.

        A layer that the user paints on is the user's from then on: it is not written any more,
        and the next array comes in a new layer.

        Parameters
        ----------
        role, item, name, data, grid, opacity, region, shape, emptied
            See `show_image`.
        colormap : napari.utils.DirectLabelColormap, optional
            Of a new layer: `class_colormap` for classes; None for a colour of each label, such as
            for objects.
        """
        whole = _Voxels(data, region, shape, emptied)
        look = {'name': name, 'colormap': colormap, 'opacity': opacity}
        layer = self._shown(Labels, role, item, whole, look, grid)
        # Connected once, however often it is shown.
        layer.events.paint.connect(self._on_result_painted)
        return layer

    def all(self) -> list[Image | Labels]:
        """Every layer of ours, from below."""
        return [layer for layer in self._layers if _is_ours(layer)]

    def of_item(self, item: str) -> list[Image | Labels]:
        """Our layers that belong to one image, from below."""
        return [layer for layer in self.all() if link_of(layer)['item'] == item]

    def find(self, role: str, item: str) -> Image | Labels | None:
        """Our layer of this role and item, or None."""
        found = (layer for layer in self.of_item(item) if link_of(layer)['role'] == role)
        return next(found, None)

    def remove(self, role: str, item: str) -> None:
        """Take our layer of this role and item out of the viewer, if there is one."""
        layer = self.find(role, item)
        if layer is not None:
            self._layers.remove(layer)

    def _shown(
        self,
        kind: type[Kind],
        role: str,
        item: str,
        voxels: _Voxels,
        look: dict[str, Any],
        grid: Grid,
    ) -> Kind:
        """The layer of a role and item with these voxels, on this grid."""
        layer = self._existing(kind, role, item)
        if layer is None:
            return self._added(
                kind(voxels.whole(), metadata={LINK: {'role': role, 'item': item}}, **look, **grid),
                item,
            )
        voxels.write_to(layer)
        move_to(layer, grid)
        return layer

    def _on_result_painted(self, event: Event) -> None:
        """Without the identity of the layer in its link it is the user's, like a copy of ours."""
        link = {name: value for name, value in link_of(event.source).items() if name != 'layer'}
        event.source.metadata[LINK] = link

    def _existing(self, kind: type[Kind], role: str, item: str) -> Kind | None:
        for layer in self.of_item(item):
            if isinstance(layer, kind) and link_of(layer)['role'] == role:
                return layer
        return None

    def _added(self, layer: Kind, item: str) -> Kind:
        """The layer, put into the viewer; what was selected stays selected."""
        layer.metadata[LINK]['layer'] = str(layer.unique_id)
        selected = set(self._layers.selection)
        self.adding = True
        try:
            self._layers.insert(self._place(item), layer)
            self._layers.selection = selected
        finally:
            self.adding = False
        return layer

    def _place(self, item: str) -> int:
        """Directly below the markers of the image, so that strokes stay visible.

        Without markers of ours, above the image and its other results; else on top.
        """
        place = len(self._layers)
        for index, layer in enumerate(self._layers):
            link = link_of(layer)
            if link.get('role') == MARKERS and link.get('item') == item:
                return index
            if str(layer.unique_id) == item or (_is_ours(layer) and link['item'] == item):
                place = index + 1
        return place


def _is_ours(layer: Layer) -> bool:
    return link_of(layer).get('layer') == str(layer.unique_id)


@dataclass(frozen=True, eq=False)
class _Voxels:
    """What is written into a layer; see `ResultLayers.show_image`."""

    data: Any
    region: Region | None
    shape: tuple[int, ...] | None
    emptied: bool

    def whole(self) -> Any:
        """The array of a new layer; a copy, since the layer is written to later."""
        if self.region is None:
            return self.data.copy() if isinstance(self.data, np.ndarray) else self.data
        # Pages of zeros take no memory until they are written.
        whole = np.zeros(self.data.shape if self.shape is None else self.shape, self.data.dtype)
        whole[self.region] = self.data
        return whole

    def write_to(self, layer: Image | Labels) -> None:
        """Put the voxels into a layer, in place when they fit."""
        if self.emptied or not self._fits(layer.data):
            layer.data = self.whole()
            return
        layer.data[... if self.region is None else self.region] = self.data
        layer.refresh(extent=False, thumbnail=False, highlight=False)

    def _fits(self, current: Any) -> bool:
        wanted = self.data.shape if self.region is None or self.shape is None else self.shape
        return (
            isinstance(current, np.ndarray)
            and isinstance(self.data, np.ndarray)
            and current.shape == tuple(wanted)
            and current.dtype == self.data.dtype
        )
