"""A napari window with images, their markers, and what a model made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari.components import ViewerModel


@dataclass(frozen=True, eq=False)
class Shown:
    """One image with its results, all on the same voxels.

    Attributes
    ----------
    name : str
    image : array
        (\\*S) or (\\*S, 3).
    rgb : bool
    spacing : tuple of float
    markers, objects : (\\*S) int arrays
    saliency : (\\*S) float array
    """

    name: str
    image: NDArray[Any]
    rgb: bool
    spacing: tuple[float, ...]
    markers: NDArray[Any]
    saliency: NDArray[Any]
    objects: NDArray[Any]


CLASS_COLOURS = {1: (0.35, 0.55, 0.75), 2: (1.0, 0.55, 0.0)}
"""Red, green and blue of the background and the object, in [0, 1]."""


def add_layers(viewer: ViewerModel, shown: Shown) -> None:
    """Add image, saliency, objects and markers, in this order from below."""
    from napari.utils.colormaps import DirectLabelColormap

    spatial: dict[str, Any] = {'scale': shown.spacing}
    viewer.add_image(shown.image, name=shown.name, rgb=shown.rgb, **spatial)
    viewer.add_image(
        shown.saliency,
        name=f'{shown.name} saliency',
        colormap='inferno',
        blending='additive',
        opacity=0.6,
        contrast_limits=(0, 1),
        **spatial,
    )
    viewer.add_labels(shown.objects, name=f'{shown.name} objects', opacity=0.5, **spatial)
    drawn: dict[int | None, Any] = dict(CLASS_COLOURS.items())
    drawn[None] = 'transparent'
    colours = DirectLabelColormap(color_dict=drawn)
    viewer.add_labels(shown.markers, name=f'{shown.name} markers', colormap=colours, **spatial)


def show(shown: Shown) -> None:
    """Open a napari window and wait until it is closed."""
    import napari

    viewer = napari.Viewer(title='napari-flim demo')
    add_layers(viewer, shown)
    viewer.reset_view()
    napari.run()
