"""What the axes of an image layer mean: its possible readings, and the source they give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from napari_flim.bridge.preferences import PLUGIN
from napari_flim.engine.image import SPATIAL
from napari_flim.errors import ImageError
from napari_flim.session.sources import ImageSource

if TYPE_CHECKING:
    from napari.layers import Image, Layer

NAMES = {
    **dict.fromkeys(('t', 'time', 'frame', 'frames'), 'T'),
    **dict.fromkeys(('c', 'ch', 'channel', 'channels'), 'C'),
    **dict.fromkeys(('z', 'plane', 'depth', 'slice'), 'Z'),
    **dict.fromkeys(('y', 'row', 'rows'), 'Y'),
    **dict.fromkeys(('x', 'col', 'column', 'columns'), 'X'),
}
"""Axis labels that name an axis, in lower case."""

# napari aligns layers at their last axis and markers have no channels, so C comes first or nowhere.
READINGS = {
    2: ('YX',),
    3: ('ZYX', 'TYX', 'CYX'),
    4: ('TZYX', 'CZYX', 'CTYX'),
    5: ('CTZYX',),
}
"""Letters for each number of axes, the usual one first."""


def possible_axes(layer: Image) -> tuple[str, ...]:
    """Every reading of the layer's axes that can be learned from, the most likely one first.

    Axis labels that are real names count most. Without them leading axes are T then Z, and a
    single plane in front is an image, not a volume.

    Returns
    -------
    tuple of str
        One letter for each axis of the finest data, as in `ImageSource.axes`.

    Raises
    ------
    ImageError
        For one axis, and for five and more that axis labels do not explain.

    Examples
    --------
    >>> import numpy as np
    >>> from napari.layers import Image
    >>> possible_axes(Image(np.zeros((20, 64, 64))))
    ('ZYX', 'TYX', 'CYX')
    >>> possible_axes(Image(np.zeros((20, 64, 64)), axis_labels=('time', 'y', 'x')))
    ('TYX', 'ZYX', 'CYX')
    """
    names = [NAMES.get(label.lower()) for label in layer.axis_labels]
    readings = _readings(layer)
    if layer.ndim == 5:
        readings = [axes for axes in readings if list(axes[:5]) == names]
    if not readings:
        raise ImageError(
            f'{layer.name} has shape {tuple(finest(layer).shape)}; expected an image, a volume, '
            'or one stack of them. Take out axes of length 1 (np.squeeze), open one position or '
            'channel at a time, or name five axes c, t, z, y, x in the axis labels of the layer.'
        )
    shape = finest(layer).shape

    def doubt(axes: str) -> tuple[int, bool]:
        named_otherwise = sum(
            name is not None and name != letter for letter, name in zip(axes, names, strict=False)
        )
        flat = 'Z' in axes and set(shape[: axes.index('Z') + 1]) == {1}
        return named_otherwise, flat

    return tuple(sorted(readings, key=doubt))


def default_axes(layer: Image) -> str:
    """The most likely of `possible_axes`."""
    return possible_axes(layer)[0]


def marker_axes(axes: str) -> str:
    """Axes of the markers of an image: its own without channels and samples.

    Examples
    --------
    >>> marker_axes('CZYX'), marker_axes('TYXS')
    ('ZYX', 'TYX')
    """
    return axes.translate({ord('C'): None, ord('S'): None})


def marker_shape(layer: Image, axes: str) -> tuple[int, ...]:
    """Shape of the markers of an image."""
    sizes = dict(zip(axes, finest(layer).shape, strict=True))
    return tuple(int(sizes[letter]) for letter in marker_axes(axes))


def finest(layer: Image) -> Any:
    """The array of a layer; the finest one of a multiscale layer."""
    return layer.data[0] if layer.multiscale else layer.data


def image_source(layer: Image, axes: str | None = None) -> ImageSource:
    """What the session needs to know of an image layer; no voxel is read.

    Parameters
    ----------
    layer : napari.layers.Image
    axes : str, optional
        One letter for each axis; `default_axes` if not given.

    Raises
    ------
    ImageError
        When the layer cannot have these axes.
    """
    if axes is None:
        axes = default_axes(layer)
    elif axes not in _readings(layer):
        choices = ', '.join(_readings(layer)) or 'none at all'
        raise ImageError(
            f'{layer.name} of shape {tuple(finest(layer).shape)} cannot have axes {axes!r}; '
            f'choose one of: {choices}.'
        )
    sample = layer.source.sample
    return ImageSource(
        key=str(layer.unique_id),
        name=layer.name,
        data=finest(layer),
        axes=axes,
        spacing=_spacing(layer, axes),
        unit=short_unit(layer),
        path=layer.source.path,
        sample=sample[1] if sample is not None and sample[0] == PLUGIN else None,
    )


def short_unit(layer: Layer) -> str:
    """Unit of the last axis, short: ``µm``, ``nm``, ``pixel``."""
    return f'{layer.units[-1]:~P}' or 'pixel'


def _readings(layer: Image) -> Sequence[str]:
    readings = READINGS.get(layer.ndim, ())
    return [axes + 'S' for axes in readings if 'C' not in axes] if layer.rgb else readings


def _spacing(layer: Image, axes: str) -> tuple[float, ...]:
    """Voxel size along the spatial axes, all in the unit of the last one where they convert."""
    unit = layer.units[-1]
    sizes = []
    for letter, size, own in zip(axes, layer.scale, layer.units, strict=False):
        if letter in SPATIAL:
            known = own.is_compatible_with(unit)
            sizes.append(abs(float((size * own).m_as(unit) if known else size)))
    return tuple(sizes)
