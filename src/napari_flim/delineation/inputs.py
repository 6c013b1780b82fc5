"""What delineation is given, checked once: saliency, features, markers, voxel size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_flim.errors import DelineationError

BACKGROUND = 1
FIRST_OBJECT = 2


def checked_saliency(
    saliency: ArrayLike, classes: Sequence[int] | None = None
) -> tuple[NDArray[np.floating], tuple[int, ...]]:
    """Saliency as one map for each class, with the numbers of the classes.

    Parameters
    ----------
    saliency : (\\*S) or (L, \\*S) array
        Without classes one map, of class 2; with classes one map for each of them.
    classes : sequence of int, optional
        Numbers from 2, all different.

    Returns
    -------
    maps : (L, \\*S) float array
    classes : tuple of int

    Raises
    ------
    DelineationError
        When there are no voxels, values that are not finite, or other classes than maps.
    """
    given = np.asarray(saliency)
    if given.dtype.kind not in 'buif':
        raise DelineationError(f'The saliency is {given.dtype}; expected real numbers.')
    maps = given if given.dtype.kind == 'f' else given.astype(np.float32)
    if classes is None:
        maps, classes = maps[None], (FIRST_OBJECT,)
    numbers = tuple(int(number) for number in classes)
    if maps.ndim not in (3, 4) or not maps.size:
        raise DelineationError(
            f'The saliency has shape {given.shape}; expected voxels in (y, x) or (z, y, x), with '
            'an axis of classes before them when classes are named.'
        )
    if len(maps) != len(numbers):
        raise DelineationError(
            f'{len(maps)} saliency maps came with {len(numbers)} classes; give one map each.'
        )
    if min(numbers) < FIRST_OBJECT or len(set(numbers)) < len(numbers):
        raise DelineationError(
            f'The classes are {numbers}; expected different numbers from {FIRST_OBJECT}.'
        )
    check_finite(maps, 'saliency')
    return maps, numbers


def stacked(features: ArrayLike, ndim: int) -> NDArray[Any]:
    """Features of an image with an axis of channels first: (C, \\*S).

    Raises
    ------
    DelineationError
        When there are other axes or no real numbers.
    """
    given = np.asarray(features)
    if given.dtype.kind not in 'buif':
        raise DelineationError(f'The image is {given.dtype}; expected real numbers.')
    if given.ndim not in (ndim, ndim + 1) or not given.size:
        raise DelineationError(
            f'The image has shape {given.shape}; expected {ndim} spatial axes, with an axis of '
            'channels before them if there are several.'
        )
    return given[None] if given.ndim == ndim else given


def checked_stack(features: ArrayLike, ndim: int) -> NDArray[np.float32]:
    """`stacked` features in float32, all of them finite.

    Raises
    ------
    DelineationError
        When there are other axes, no real numbers, or values that are not finite.
    """
    values = stacked(features, ndim).astype(np.float32, copy=False)
    check_finite(values, 'image')
    return values


def checked_features(features: ArrayLike, shape: Sequence[int]) -> NDArray[np.float32]:
    """Features of an image of the given spatial shape, see `checked_stack`.

    Raises
    ------
    DelineationError
        When the shape differs or a value is not finite.
    """
    values = checked_stack(features, len(shape))
    if values.shape[1:] != tuple(shape):
        raise DelineationError(
            f'The image has shape {np.shape(features)}, the saliency {tuple(shape)}; expected the '
            'shape of the saliency, or channels before it. Give both on the grid of the same image.'
        )
    return values


def checked_markers(markers: ArrayLike | None, shape: Sequence[int]) -> NDArray[np.integer[Any]]:
    """Markers of an image: 0 unmarked, 1 background, 2.. object classes; all 0 without any.

    Raises
    ------
    DelineationError
        When the shape differs or values are no class numbers.
    """
    if markers is None:
        return np.zeros(shape, dtype=np.uint8)
    given = checked_labels(markers, 'markers')
    if given.shape != tuple(shape):
        raise DelineationError(
            f'The markers have shape {given.shape}, the saliency {tuple(shape)}; they must be '
            'equal. Paint the markers on the image that the saliency belongs to.'
        )
    return given


def checked_labels(labels: ArrayLike, name: str = 'label image') -> NDArray[np.integer[Any]]:
    """An array of whole numbers from 0, or a `DelineationError`."""
    given = np.asarray(labels)
    if given.dtype.kind not in 'bui':
        raise DelineationError(
            f'The {name} holds {given.dtype} values; expected whole numbers from 0.'
        )
    if given.size and given.min() < 0:
        raise DelineationError(f'The {name} holds {given.min()}; expected whole numbers from 0.')
    return given.astype(np.uint8) if given.dtype == bool else given


def checked_spacing(spacing: Sequence[float] | None, ndim: int) -> tuple[float, ...]:
    """World units per voxel along each axis; 1 by default.

    Raises
    ------
    DelineationError
        When the number of axes differs or a size is not above 0.
    """
    sizes = (1.0,) * ndim if spacing is None else tuple(float(size) for size in spacing)
    if len(sizes) != ndim or not all(0 < size < np.inf for size in sizes):
        raise DelineationError(
            f'The voxel size is {sizes}; expected {ndim} numbers above 0, one for each axis.'
        )
    return sizes


def check_finite(values: NDArray[Any], name: str) -> None:
    """Raise `DelineationError` where values are not finite."""
    if values.dtype.kind == 'f' and not np.isfinite(values).all():
        wrong = int((~np.isfinite(values)).sum())
        raise DelineationError(
            f'{wrong} values of the {name} are not finite; replace them, for example by 0.'
        )


def is_number(value: object) -> bool:
    """Whether a setting is a real number; true and false are none.

    Examples
    --------
    >>> is_number(2), is_number(True), is_number('2')
    (True, False, False)
    """
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def check_flag(name: str, value: object) -> None:
    """Raise `DelineationError` unless a setting is true or false."""
    if not isinstance(value, bool):
        raise DelineationError(f'{name} is {value!r}; expected a choice of true or false.')


def check_length(name: str, value: Any) -> None:
    """Raise `DelineationError` unless a setting is a length in world units, from 0."""
    if not is_number(value) or not 0 <= value < np.inf:
        raise DelineationError(f'{name} is {value!r}; expected a length in world units, from 0 up.')
