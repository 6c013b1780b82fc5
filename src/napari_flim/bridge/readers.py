"""Files that napari opens with the plugin: LIDS seeds as a marker layer, models and sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image

from napari_flim.bridge.layer_axes import image_source, possible_axes
from napari_flim.bridge.layer_grids import Grid, grid_of
from napari_flim.bridge.marker_layers import LINK, MARKERS, class_colormap, link_of
from napari_flim.bridge.reading import LayerData, NoLayer, Paths, each_of
from napari_flim.engine.markers import LARGEST_LABEL
from napari_flim.errors import FileError, ImageError, MarkerError
from napari_flim.io.images import stem
from napari_flim.io.seeds import read_seeds, seeds_to_markers
from napari_flim.session.classes import FIRST_CLASSES, with_labels

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_flim.bridge.controller import Controller

SEEDS = '-seeds.txt'
NO_LAYER: list[NoLayer] = [(None,)]


def seeds_reader(path: Paths) -> Callable[[Paths], list[LayerData]]:
    """What napari reads a seed file with."""
    return read_seeds_layers


def model_reader(path: Paths) -> Callable[[Paths], list[NoLayer]]:
    """What napari reads a model with."""
    return read_model


def session_reader(path: Paths) -> Callable[[Paths], list[NoLayer]]:
    """What napari reads a session with."""
    return read_session


def read_seeds_layers(paths: Paths) -> list[LayerData]:
    """A marker layer for each seed file, over the image of the current viewer that it fits.

    Parameters
    ----------
    paths : str or sequence of str

    Returns
    -------
    list of tuple
        Voxels, options and ``'labels'`` of each layer.

    Raises
    ------
    FlimError
        When a file is damaged, or holds more classes than a marker layer.
    """
    from napari import current_viewer

    viewer = current_viewer()
    layers: list[Layer] = [] if viewer is None else list(viewer.layers)
    active = None if viewer is None else viewer.layers.selection.active
    return [seeds_layer(path, layers, active) for path in each_of(paths)]


def seeds_layer(path: str, layers: Iterable[Layer], active: Layer | None) -> LayerData:
    """Seeds as markers of the image that they fit; of their own size if there is none.

    Parameters
    ----------
    path : str
    layers : iterable of napari.layers.Layer
        Where to look for the image.
    active : napari.layers.Layer, optional
        The layer that the user works on.
    """
    seeds = read_seeds(path)
    name = Path(path).name.removesuffix(SEEDS)
    place = _place_of(name, seeds.size, layers, active)
    try:
        markers = seeds_to_markers(seeds, seeds.size if place is None else place.shape)
    except MarkerError as error:
        raise MarkerError(f'{path}: {error}') from error
    if len(markers) and markers.classes.max() > LARGEST_LABEL:
        raise MarkerError(
            f'{path} holds the label {markers.classes.max() - 1}; '
            f'a marker layer has room for {LARGEST_LABEL - 1}. Use smaller numbers in the file.'
        )
    voxels = np.zeros(markers.shape, dtype=np.uint8)
    voxels[tuple(markers.coordinates.T)] = markers.classes
    classes = with_labels(FIRST_CLASSES, list(markers.class_counts))
    options: dict[str, Any] = {'name': f'{name} markers', 'colormap': class_colormap(classes)}
    if place is not None:
        link = {'role': MARKERS, 'item': str(place.image.unique_id)}
        options |= {'metadata': {LINK: link}, **place.grid}
    return voxels, options, 'labels'


@dataclass(frozen=True, eq=False)
class Place:
    """An image that markers can lie over, read in one way.

    Attributes
    ----------
    image : napari.layers.Image
    shape : tuple of int
        Of the markers.
    grid : dict
        Spatial attributes of the markers.
    """

    image: Image
    shape: tuple[int, ...]
    grid: Grid


def _place_of(
    name: str, size: tuple[int, ...], layers: Iterable[Layer], active: Layer | None
) -> Place | None:
    """The image that seeds were drawn on.

    The image called after the file comes first, then those of the size of the seeds, then those of
    other sizes; of several, the active one is taken. Stacks are left out: a seed file has no
    number of the image.
    """
    images = [one for one in layers if isinstance(one, Image) and not link_of(one)]
    places = [place for image in images for place in _readings(image, len(size))]
    called = [place for place in places if name in _names(place.image)]
    same = [place for place in places if place.shape == size]
    for found in (
        [place for place in called if place in same],
        called,
        same,
        places,
    ):
        preferred = [place for place in found if place.image is active]
        if preferred:
            return preferred[0]
        if len({place.image for place in found}) == 1:
            return found[0]
    return None


def _readings(image: Image, ndim: int) -> list[Place]:
    """Every reading of an image as one image of this rank, the most likely first."""
    try:
        readings = possible_axes(image)
    except ImageError:
        return []
    sources = [image_source(image, axes) for axes in readings if 'T' not in axes]
    return [
        Place(image, source.shape, grid_of(image, source.axes))
        for source in sources
        if source.ndim == ndim
    ]


def _names(image: Image) -> set[str]:
    path = image.source.path
    return {image.name} if path is None else {image.name, stem(path)}


def read_model(paths: Paths) -> list[NoLayer]:
    """Open a model in the Train dock, which is shown once it is open; adds no layer.

    What is wrong with the file is told by a dock, or by napari if there is none.

    Raises
    ------
    FileError
        When several files are given, or no napari window is open.
    """
    path, controller, show_dock = _opening(paths)
    controller.files.open_model(path, then=show_dock)
    return NO_LAYER


def read_session(paths: Paths) -> list[NoLayer]:
    """Open a session in the Train dock; see `read_model`."""
    path, controller, show_dock = _opening(paths)
    controller.files.open_session(path, then=show_dock)
    return NO_LAYER


def _opening(paths: Paths) -> tuple[str, Controller, Callable[[], object]]:
    """The one file to open, who opens it, and what shows the dock."""
    from napari import current_viewer

    from napari_flim.bridge.commands import open_dock
    from napari_flim.bridge.controller import CONTROLLERS

    each = each_of(paths)
    if len(each) != 1:
        raise FileError(
            f'{len(each)} files were given; a viewer holds one model. Open one of them.'
        )
    viewer = current_viewer()
    if viewer is None:
        raise FileError(
            f'{each[0]} needs a napari window to open in. Open it there, '
            'or load a model with napari_flim.FlimModel.load.'
        )
    return each[0], CONTROLLERS.of(viewer), partial(open_dock, viewer, 'Train')
