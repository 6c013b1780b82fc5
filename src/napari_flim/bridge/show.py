"""A napari window with images, their markers, and what a model made of them."""

from __future__ import annotations

from collections.abc import Sequence
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


def add_layers(viewer: ViewerModel, shown: Shown, *, visible: bool = True) -> None:
    """Add image, saliency, objects and markers, in this order from below."""
    spatial: dict[str, Any] = {'scale': shown.spacing, 'visible': visible}
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
    viewer.add_labels(shown.markers, name=f'{shown.name} markers', **spatial)


def show(results: Sequence[Shown]) -> None:
    """Open a napari window and wait until it is closed; the first result is visible."""
    import napari

    viewer = napari.Viewer(title='napari-flim demo')
    for index, shown in enumerate(results):
        add_layers(viewer, shown, visible=index == 0)
    napari.run()
