"""Our own layers: made once, then updated in place, so that the user's settings of them stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from napari.layers import Image, Labels

from napari_flim.bridge.layer_grids import Grid, move_to
from napari_flim.bridge.marker_layers import LINK, MARKERS, link_of

if TYPE_CHECKING:
    from napari.components import LayerList
    from napari.layers import Layer
    from napari.utils import Colormap, DirectLabelColormap

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
    """

    def __init__(self, layers: LayerList) -> None:
        # A plugin may be given a proxy, whose layers would be proxies too.
        self._layers = getattr(layers, '__wrapped__', layers)

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
        visible: bool = True,
        region: Region | None = None,
        shape: tuple[int, ...] | None = None,
    ) -> Image:
        """Show an array as image, in the layer of this role and item; make it if there is none.

        Parameters
        ----------
        role, item : str
            What the layer shows, and the key of the image it belongs to.
        name, colormap, contrast_limits, blending, opacity, visible
            Of a new layer; an existing one keeps its own.
        data : array
            Copied if it is a numpy array; kept as it is, unread, if it is dask or zarr.
        grid : dict
            Spatial attributes, see `grid_of`.
        region : tuple of slice, optional
            Where ``data`` lies in the layer; the rest is left as it is.
        shape : tuple of int, optional
            Shape of the whole layer; needed with ``region``.
        """
        look = {
            'colormap': colormap,
            'contrast_limits': contrast_limits,
            'blending': blending,
            'opacity': opacity,
            'visible': visible,
        }
        layer = self._existing(Image, role, item)
        if layer is None:
            whole = _whole(data, region, shape)
            layer = Image(whole, name=name, metadata=_link(role, item), **look, **grid)
            return self._added(layer, item)
        return _updated(layer, data, grid, region, shape)

    def show_labels(
        self,
        role: str,
        item: str,
        name: str,
        data: Any,
        grid: Grid,
        *,
        colormap: DirectLabelColormap | None = None,
        opacity: float = 0.5,
        visible: bool = True,
        region: Region | None = None,
        shape: tuple[int, ...] | None = None,
    ) -> Labels:
        """Show an integer array as labels; see `show_image`.

        Parameters
        ----------
        role, item, name, data, grid, opacity, visible, region, shape
            See `show_image`.
        colormap : napari.utils.DirectLabelColormap, optional
            Of a new layer, such as `class_colormap`; by default a colour for each label.
        """
        look = {'colormap': colormap, 'opacity': opacity, 'visible': visible}
        layer = self._existing(Labels, role, item)
        if layer is None:
            whole = _whole(data, region, shape)
            layer = Labels(whole, name=name, metadata=_link(role, item), **look, **grid)
            return self._added(layer, item)
        return _updated(layer, data, grid, region, shape)

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

    def _existing(self, kind: type[Kind], role: str, item: str) -> Kind | None:
        for layer in self.of_item(item):
            if isinstance(layer, kind) and link_of(layer)['role'] == role:
                return layer
        return None

    def _added(self, layer: Kind, item: str) -> Kind:
        """The layer, put into the viewer; what was selected stays selected."""
        layer.metadata[LINK]['layer'] = str(layer.unique_id)
        selected = set(self._layers.selection)
        self._layers.insert(self._place(item), layer)
        self._layers.selection = selected
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


def _link(role: str, item: str) -> dict[str, dict[str, str]]:
    return {LINK: {'role': role, 'item': item}}


def _is_ours(layer: Layer) -> bool:
    return link_of(layer).get('layer') == str(layer.unique_id)


def _whole(data: Any, region: Region | None, shape: tuple[int, ...] | None) -> Any:
    """The array of a new layer; a copy, since the layer is written to later."""
    if region is None:
        return data.copy() if isinstance(data, np.ndarray) else data
    whole = np.zeros(data.shape if shape is None else shape, dtype=data.dtype)
    whole[region] = data
    return whole


def _updated(
    layer: Kind, data: Any, grid: Grid, region: Region | None, shape: tuple[int, ...] | None
) -> Kind:
    """The same layer with new voxels, written in place when they fit."""
    current = layer.data
    wanted = tuple(data.shape) if region is None or shape is None else shape
    fitting = (
        isinstance(current, np.ndarray)
        and isinstance(data, np.ndarray)
        and current.shape == wanted
        and current.dtype == data.dtype
    )
    if fitting:
        current[... if region is None else region] = data
        layer.refresh(extent=False, thumbnail=False, highlight=False)
    else:
        layer.data = _whole(data, region, shape)
    move_to(layer, grid)
    return layer
