"""Layers of files of a run: an image as the user would open it, its results as layers of ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image

from napari_flim.bridge.layer_grids import grid_of
from napari_flim.bridge.result_layers import ResultLayers, saliency_colormap
from napari_flim.session.batch_results import Shown
from napari_flim.session.classes import COLOURS
from napari_flim.session.session import Session

if TYPE_CHECKING:
    from napari.components import ViewerModel

OBJECTS, SALIENCY = 'objects of a file', 'saliency of a file'
NAMES = {'C': 'channel', 'T': 'time', 'Z': 'z', 'Y': 'y', 'X': 'x'}


class BatchLayers:
    """Shows files of a run, one after the other.

    The image is the user's: it can be painted on and learned from. What was opened here before is
    hidden, not removed.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
    session : Session
    results : ResultLayers
    """

    def __init__(self, viewer: ViewerModel, session: Session, results: ResultLayers) -> None:
        self._viewer = viewer
        self._session = session
        self._results = results
        self._images: dict[Path, str] = {}

    def show(self, shown: Shown) -> None:
        """Show an image with its results over it; what is open already is brought up to date."""
        image = self._image(shown)
        key = str(image.unique_id)
        self._hide_others(key)
        image.visible = True
        grid = grid_of(image, shown.axes)
        name = shown.source.name
        for number, voxels in enumerate(shown.saliency):
            layer = self._results.show_image(
                f'{SALIENCY} {number}',
                key,
                f'{name} saliency' + f' {number + 1}' * (len(shown.saliency) > 1),
                voxels,
                grid,
                colormap=saliency_colormap(self._colour(number)),
                blending='translucent',
            )
            layer.visible = not shown.labels
        if shown.labels:
            self._show_objects(shown, key, grid)

    def _show_objects(self, shown: Shown, key: str, grid: dict[str, Any]) -> None:
        levels = shown.labels
        if len(levels) > 1:
            # Levels cannot be written into a layer in place.
            self._results.remove(OBJECTS, key)
        layer = self._results.show_labels(
            OBJECTS,
            key,
            f'{shown.source.name} objects',
            levels if len(levels) > 1 else levels[0],
            grid,
            colormap=None,
        )
        layer.visible = True

    def _image(self, shown: Shown) -> Image:
        """The layer of a file, the one that is open or a new one in view."""
        opened = self._find(shown.source)
        if opened is not None:
            return opened
        letters = shown.axes.removesuffix('S')
        front = len(letters) - len(shown.spacing)
        layer = Image(
            shown.image if len(shown.image) > 1 else shown.image[0],
            name=shown.source.name,
            rgb='S' in shown.axes,
            scale=(1.0,) * front + shown.spacing,
            translate=(0.0,) * front + shown.origin,
            units=('pixel',) * front + (shown.unit or 'pixel',) * len(shown.spacing),
            axis_labels=tuple(NAMES[letter] for letter in letters),
        )
        self._viewer.add_layer(layer)
        self._viewer.reset_view()
        self._images[shown.source] = str(layer.unique_id)
        return layer

    def _find(self, source: Path) -> Image | None:
        key = self._images.get(source)
        for layer in self._viewer.layers:
            if isinstance(layer, Image) and str(layer.unique_id) == key:
                return layer
        return None

    def _hide_others(self, key: str) -> None:
        """Hide other files that were opened here, with their results."""
        others = set(self._images.values()) - {key}
        for layer in self._viewer.layers:
            if str(layer.unique_id) in others:
                layer.visible = False
        for other in others:
            for result in self._results.of_item(other):
                result.visible = False

    def _colour(self, number: int) -> tuple[float, float, float]:
        """Colour of an object class: that of the session, or the usual one."""
        objects = [one for one in self._session.classes if one.role == 'object']
        if number < len(objects):
            return objects[number].colour
        return COLOURS[(number + 1) % len(COLOURS)]
