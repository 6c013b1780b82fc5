"""Measures of objects, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_flim.delineation.delineate import Objects
from napari_flim.delineation.inputs import check_finite, checked_spacing
from napari_flim.delineation.object_sums import ObjectSums, object_sums
from napari_flim.errors import DelineationError

if TYPE_CHECKING:
    import pandas

SALIENCY_NAME = 'mean_saliency'
"""Name of the column for saliency."""


def measure(
    objects: Objects,
    *,
    spacing: Sequence[float] | None = None,
    image: ArrayLike | None = None,
    saliency: ArrayLike | None = None,
    unit: str = '',
) -> pandas.DataFrame:
    """Size, place and brightness of every object.

    Parameters
    ----------
    objects : Objects
    spacing : sequence of float, optional
        World units per voxel along each axis; 1 by default.
    image : (\\*S) or (C, \\*S) array, optional
    saliency : (\\*S) or (L, \\*S) array, optional
        One map, or one for each class: the largest counts.
    unit : str
        World unit, such as ``'µm'``, for the names of columns.

    Returns
    -------
    pandas.DataFrame
        One row for each object, by label. Columns, in this order; axes are ``z`` (in volumes),
        ``y``, ``x``:

        ``label``, ``class``
            Whole numbers.
        ``area`` or ``volume``
            In world units squared or cubed; with a unit, ``area (µm²)`` or ``volume (µm³)``.
        ``centroid_z``, ``centroid_y``, ``centroid_x``
            In world units from the first voxel of the image; with a unit, ``centroid_y (µm)``.
        ``first_z``, .., ``last_z``, ..
            Bounding box in voxels; the last voxel belongs to the object.
        ``mean_intensity``
            With an image, over its finite voxels, NaN where there are none; ``mean_intensity_1``,
            .. when the image has several channels.
        ``mean_saliency``
            With saliency.

    Raises
    ------
    DelineationError
        When shapes do not fit, or saliency is not finite.

    Examples
    --------
    >>> labels = np.array([[0, 1, 1], [0, 0, 0]], np.int32)
    >>> print(measure(Objects(labels, (2,)), spacing=(2, 0.5), unit='µm').T.to_string(header=False))
    label            1.00
    class            2.00
    area (µm²)       2.00
    centroid_y (µm)  0.00
    centroid_x (µm)  0.75
    first_y          0.00
    first_x          1.00
    last_y           0.00
    last_x           2.00
    """
    labels = objects.labels
    units = checked_spacing(spacing, labels.ndim)
    bands = _intensities(labels.shape, image, saliency)
    sums = object_sums(labels, list(bands.values()))
    return object_table(sums, objects.classes, units, unit, tuple(bands))


def object_table(
    sums: ObjectSums,
    classes: Sequence[int],
    spacing: Sequence[float],
    unit: str = '',
    bands: Sequence[str] = (),
) -> pandas.DataFrame:
    """The table of `measure`, from sums over objects.

    Parameters
    ----------
    sums : ObjectSums
    classes : sequence of int
        Class of objects 1, 2, ..
    spacing : sequence of float
        World units per voxel.
    unit : str
        World unit, for the names of columns.
    bands : sequence of str
        Names of the columns for what was averaged.
    """
    # Imported here: it takes longer than most delineations.
    import pandas

    ndim = len(spacing)
    axes = 'zyx'[-ndim:]
    size = 'area' if ndim == 2 else 'volume'
    power = '²' if ndim == 2 else '³'
    columns: dict[str, Any] = {
        'label': sums.ids,
        'class': np.array(classes, dtype=int)[sums.ids - 1],
        _with_unit(size, unit and unit + power): sums.voxels * float(np.prod(spacing)),
    }
    for axis, name in enumerate(axes):
        centre = sums.places[:, axis] / sums.voxels * spacing[axis]
        columns[_with_unit(f'centroid_{name}', unit)] = centre
    for axis, name in enumerate(axes):
        columns[f'first_{name}'] = sums.first[:, axis]
    for axis, name in enumerate(axes):
        columns[f'last_{name}'] = sums.last[:, axis]
    columns.update(zip(bands, sums.means(), strict=True))
    return pandas.DataFrame(columns)


def intensity_names(channels: int) -> tuple[str, ...]:
    """Names of the columns for the brightness in each channel.

    Examples
    --------
    >>> intensity_names(1), intensity_names(2)
    (('mean_intensity',), ('mean_intensity_1', 'mean_intensity_2'))
    """
    if channels == 1:
        return ('mean_intensity',)
    return tuple(f'mean_intensity_{number}' for number in range(1, channels + 1))


def _with_unit(name: str, unit: str) -> str:
    return f'{name} ({unit})' if unit else name


def _intensities(
    shape: tuple[int, ...], image: ArrayLike | None, saliency: ArrayLike | None
) -> dict[str, NDArray[Any]]:
    """What is averaged over objects, by the names of its columns."""
    bands: dict[str, NDArray[Any]] = {}
    if image is not None:
        channels = _on_grid(image, shape, 'image')
        bands.update(zip(intensity_names(len(channels)), channels, strict=True))
    if saliency is not None:
        maps = _on_grid(saliency, shape, 'saliency')
        check_finite(maps, 'saliency')
        bands[SALIENCY_NAME] = maps.max(axis=0)
    return bands


def _on_grid(values: ArrayLike, shape: tuple[int, ...], name: str) -> NDArray[Any]:
    """Values of the objects' shape, with an axis before it."""
    given = np.asarray(values)
    bands = given[None] if given.shape == shape else given
    if bands.shape[1:] != shape or not len(bands):
        raise DelineationError(
            f'The {name} has shape {given.shape}, the objects {shape}; expected that shape, or '
            'one more axis before it. Measure objects on the image they were found in.'
        )
    return bands
