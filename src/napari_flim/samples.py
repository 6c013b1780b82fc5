"""Sample images with markers: two bundled with scikit-image, one volume generated here.

`SAMPLES` gives arrays; `coins`, `tissue` and `beads` give the layers that napari opens from
File > Open Sample.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

LayerData = tuple[NDArray[Any], dict[str, Any], str]

MARKER_COLOURS: dict[int | None, tuple[float, ...]] = {
    None: (0.6, 0.6, 0.6, 1.0),
    0: (0.0, 0.0, 0.0, 0.0),
    1: (0.35, 0.55, 0.75, 1.0),
    2: (1.0, 0.55, 0.0, 1.0),
}
"""Red, green, blue and opacity of unmarked voxels, the background, the object, and other labels.

Those of the first classes of a session, which knows the samples and cannot be asked here.
"""


@dataclass(frozen=True, eq=False)
class Sample:
    """An image, its markers, and how to learn from them.

    Attributes
    ----------
    name : str
    image : array
        (Y, X), (Y, X, 3) or (Z, Y, X).
    markers : (\\*S) uint8 array
        0 unmarked, 1 background, 2 object.
    architecture : str
        Preset that suits the sample.
    spacing : tuple of float
        Voxel size in micrometres.
    calibrated : bool
        Whether the voxel size is known; else it is 1.
    """

    name: str
    image: NDArray[Any]
    markers: NDArray[np.uint8]
    architecture: str
    spacing: tuple[float, ...]
    calibrated: bool = False


def paint_disks(
    shape: Sequence[int],
    disks: dict[int, Sequence[tuple[int, ...]]],
    radius: int,
    spacing: Sequence[float],
) -> NDArray[np.uint8]:
    """Markers made of disks or balls around given voxels.

    Parameters
    ----------
    shape : sequence of int
    disks : dict of int to sequence of voxels
        Centres for each class.
    radius : int
        In units of the finest axis.
    spacing : sequence of float

    Examples
    --------
    >>> int(paint_disks((9, 9), {2: [(4, 4)]}, 1, (1, 1)).sum())
    10
    """
    markers = np.zeros(tuple(shape), dtype=np.uint8)
    grid = np.indices(markers.shape)
    steps = np.array(spacing) / min(spacing)
    for number, centres in disks.items():
        for centre in centres:
            distance = np.linalg.norm((grid.T - np.array(centre)) * steps, axis=-1).T
            markers[distance <= radius] = number
    return markers


def load_coins() -> Sample:
    """Greek coins, 2D grey; three coins and four places between coins are marked."""
    from skimage.data import coins as picture

    image = picture()
    objects = [(55, 44), (122, 206), (192, 272), (262, 170)]
    background = [(86, 130), (155, 250), (225, 130), (20, 250), (290, 75)]
    markers = paint_disks(image.shape, {1: background, 2: objects}, 7, (1, 1))
    return Sample('coins', image, markers, 'flyweight', (1.0, 1.0))


def load_tissue() -> Sample:
    """Immunohistochemistry of a colon, 2D colour; the brown glands are the object."""
    from skimage.data import immunohistochemistry

    image = immunohistochemistry()
    objects = [(110, 200), (400, 315), (420, 100), (150, 400)]
    background = [(300, 220), (230, 480), (400, 470), (390, 20), (450, 205)]
    markers = paint_disks(image.shape[:2], {1: background, 2: objects}, 9, (1, 1))
    return Sample('tissue', image, markers, 'small', (1.0, 1.0))


def load_beads() -> Sample:
    """Fluorescent beads, a generated volume with coarser planes; the same on every call."""
    spacing = (2.0, 1.0, 1.0)
    shape = (40, 96, 96)
    rng = np.random.default_rng(7)
    lattice = [(z, y, x) for z in (7, 20, 33) for y in (16, 48, 80) for x in (16, 48, 80)]
    centres = [
        tuple(int(c) for c in np.array(point) + rng.integers(-2, 3, size=3)) for point in lattice
    ]
    beads = paint_disks(shape, {1: centres}, 7, spacing) > 0
    smooth = ndimage.gaussian_filter(beads.astype(float), sigma=(0.7, 1.4, 1.4))
    shading = np.linspace(0.8, 1.0, shape[2])
    noisy = 200 + 900 * smooth * shading + rng.normal(0, 70, size=shape)
    image = np.clip(noisy, 0, 4095).astype(np.uint16)
    gaps = [(13, 32, 32), (26, 64, 64), (20, 32, 64), (7, 64, 32)]
    markers = paint_disks(shape, {1: gaps, 2: centres[::13]}, 4, spacing)
    return Sample('beads', image, markers, 'small', spacing, calibrated=True)


SAMPLES: dict[str, Callable[[], Sample]] = {
    'coins': load_coins,
    'tissue': load_tissue,
    'beads': load_beads,
}
"""Loaders of all samples by name."""


def coins() -> list[LayerData]:
    """Layers of the coins."""
    return _layers(load_coins())


def tissue() -> list[LayerData]:
    """Layers of the tissue."""
    return _layers(load_tissue())


def beads() -> list[LayerData]:
    """Layers of the beads."""
    return _layers(load_beads())


def _layers(sample: Sample) -> list[LayerData]:
    """Image and markers as napari takes them; the status bar names the class of a stroke."""
    unit = 'um' if sample.calibrated else 'pixel'
    grid: dict[str, Any] = {
        'scale': sample.spacing,
        'units': (unit,) * len(sample.spacing),
        'axis_labels': tuple('zyx'[-len(sample.spacing) :]),
    }
    rgb = sample.image.ndim > len(sample.spacing)
    look = {
        'colormap': dict(MARKER_COLOURS),
        'features': {'index': [1, 2], 'class': ['background', 'object']},
    }
    return [
        (sample.image, {'name': sample.name, 'rgb': rgb, **grid}, 'image'),
        (sample.markers.copy(), {'name': f'{sample.name} markers', **look, **grid}, 'labels'),
    ]
