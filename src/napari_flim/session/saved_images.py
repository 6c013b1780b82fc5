"""Items as plain data that a file can hold, and the way back, also of images that are not open."""

from __future__ import annotations

from dataclasses import dataclass

from napari_flim.engine.image import SPATIAL
from napari_flim.io.session_file import SavedImage
from napari_flim.session.corrections import Corrections
from napari_flim.session.items import Item
from napari_flim.session.saving_corrections import corrections_of, saved_corrections
from napari_flim.session.sources import ImageSource, Strokes


@dataclass(frozen=True)
class AbsentArray:
    """What is known of an image that is not open: everything but its voxels.

    Attributes
    ----------
    shape : tuple of int
    dtype : str
    digest : str
        See `napari_flim.io.image_digest.image_digest`.
    """

    shape: tuple[int, ...]
    dtype: str
    digest: str


def saved_image(item: Item) -> SavedImage:
    """An item without its voxels and what they are recognised by."""
    source = item.source
    spatial = dict(zip((a for a in source.axes if a in SPATIAL), source.spacing, strict=True))
    axes = source.axes.replace('S', '')
    sizes = dict(zip(source.axes, map(int, source.data.shape), strict=True))
    return SavedImage(
        name=source.name,
        path=source.path,
        sample=source.sample,
        shape=tuple(sizes.values()),
        dtype=str(source.data.dtype),
        axes=source.axes,
        scale=tuple(float(spatial.get(letter, 1.0)) for letter in axes),
        units=tuple(source.unit if letter in SPATIAL else 'pixel' for letter in axes),
        digest='',
        included=item.included,
        marker_name=item.markers or '',
        strokes={n: (one.coordinates, one.labels) for n, one in item.strokes.items()},
        marker_shape=tuple(sizes[letter] for letter in source.axes if letter not in 'CS'),
        corrections=saved_corrections(item.corrections, source.shape),
    )


def strokes_of(image: SavedImage) -> dict[int, Strokes]:
    """The strokes of a saved image."""
    shape = _space(image)
    return {frame: Strokes(*one, shape) for frame, one in image.strokes.items()}


def corrections_of_image(image: SavedImage) -> dict[int, Corrections]:
    """What was decided about the objects of a saved image."""
    return corrections_of(image.corrections, _space(image))


def marker_shape_of(image: SavedImage) -> tuple[int, ...]:
    """Shape of the marker layer of a saved image."""
    pairs = zip(image.axes, image.shape, strict=True)
    return tuple(size for letter, size in pairs if letter not in 'CS')


def spacing_of(image: SavedImage) -> tuple[float, ...]:
    """Voxel size of a saved image along its spatial axes."""
    axes = image.axes.replace('S', '')
    return tuple(s for s, letter in zip(image.scale, axes, strict=True) if letter in SPATIAL)


def absent_item(image: SavedImage, key: str) -> Item:
    """The item of an image that is not open; it keeps the strokes until the image is."""
    source = ImageSource(
        key=key,
        name=image.name,
        data=AbsentArray(image.shape, image.dtype, image.digest),
        axes=image.axes,
        spacing=spacing_of(image),
        unit=image.units[image.axes.replace('S', '').index('X')],
        path=image.path,
        sample=image.sample,
    )
    return Item(
        source,
        strokes_of(image),
        None,
        image.included,
        opened=False,
        corrections=corrections_of_image(image),
    )


def _space(image: SavedImage) -> tuple[int, ...]:
    sizes = dict(zip(image.axes, image.shape, strict=True))
    return tuple(sizes[letter] for letter in image.axes if letter in SPATIAL)
