"""Edits of objects: delete, keep, merge, split. Each returns a new label image.

In all of them objects that are not named keep their ids, so ids may have gaps afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from skimage.measure import label
from skimage.morphology import h_maxima
from skimage.segmentation import watershed

from napari_flim.delineation.inputs import checked_labels, checked_spacing
from napari_flim.errors import DelineationError

NECK = 0.15
"""By what share of the greatest depth an object must narrow between two parts."""


def delete_objects(labels: ArrayLike, ids: Iterable[int]) -> NDArray[np.int32]:
    """The objects without some of them.

    Parameters
    ----------
    labels : (\\*S) int array
        0 background, 1.. objects.
    ids : iterable of int

    Raises
    ------
    DelineationError
        When there is no object of such an id.

    Examples
    --------
    >>> delete_objects(np.array([[1, 2, 3]]), [2])
    array([[1, 0, 3]], dtype=int32)
    """
    given, chosen = _checked(labels, ids)
    return np.where(np.isin(given, chosen), 0, given)


def keep_objects(labels: ArrayLike, ids: Iterable[int]) -> NDArray[np.int32]:
    """Some of the objects and no others; see `delete_objects`."""
    given, chosen = _checked(labels, ids)
    return np.where(np.isin(given, chosen), given, 0)


def merge_objects(labels: ArrayLike, ids: Iterable[int]) -> NDArray[np.int32]:
    """Objects made one, with the smallest of their ids; see `delete_objects`.

    Examples
    --------
    >>> merge_objects(np.array([[1, 2, 3]]), [3, 2])
    array([[1, 2, 2]], dtype=int32)
    """
    given, chosen = _checked(labels, ids)
    if not chosen.size:
        return given
    return np.where(np.isin(given, chosen), chosen.min(), given)


def split_object(
    labels: ArrayLike,
    number: int,
    seeds: ArrayLike | None = None,
    spacing: Sequence[float] | None = None,
) -> NDArray[np.int32]:
    """One object made several, by a watershed of the distance to its border.

    Parameters
    ----------
    labels : (\\*S) int array
        0 background, 1.. objects.
    number : int
        The object.
    seeds : (\\*S) int array, optional
        Where the parts start: every connected region of one value above 0 within the object is a
        part. By default the parts start where the distance to the border is greatest, in each
        bulge that a neck separates from deeper ones: on the way to them the distance to the border
        falls by at least 0.15 of the greatest, and half a voxel.
    spacing : sequence of float, optional
        World units per voxel; 1 by default.

    Returns
    -------
    (\\*S) int32 array
        The first part, by seeds in raster order, keeps the id; the others follow the largest id.

    Raises
    ------
    DelineationError
        When there is no such object, or not at least two seeds in it.
    """
    given, _ = _checked(labels, [number])
    units = checked_spacing(spacing, given.ndim)
    box = ndimage.find_objects((given == number).astype(np.uint8))[0]
    own = np.pad(given[box] == number, 1)
    depth = ndimage.distance_transform_edt(own, sampling=units)
    if seeds is None:
        starts = _bulges(depth, units)
    else:
        painted = checked_labels(seeds, 'seeds')
        if painted.shape != given.shape:
            raise DelineationError(
                f'The seeds have shape {painted.shape}, the label image {given.shape}; they must '
                'be equal.'
            )
        starts = label(np.where(own, np.pad(painted[box], 1), 0), connectivity=given.ndim)
    count = int(starts.max())
    if count < 2:
        raise DelineationError(
            f'Object {number} has {count} place{"s" * (count != 1)} to start a part '
            'from; expected two or more. Paint a seed in each part.'
        )
    parts = watershed(-depth, starts, connectivity=given.ndim, mask=own)
    inner = parts[(slice(1, -1),) * given.ndim]
    result = given.copy()
    later = inner > 1
    result[box][later] = int(given.max()) + inner[later] - 1
    return result


def _bulges(depth: NDArray[np.float64], spacing: Sequence[float]) -> NDArray[np.integer[Any]]:
    """Maxima of the distance to the border that a neck separates, numbered from 1."""
    neck = max(NECK * depth.max(), min(spacing) / 2)
    return np.asarray(label(h_maxima(depth, neck), connectivity=depth.ndim))


def _checked(
    labels: ArrayLike, ids: Iterable[int]
) -> tuple[NDArray[np.int32], NDArray[np.integer[Any]]]:
    """A copy of the labels, and ids that occur in them."""
    given = checked_labels(labels).astype(np.int32)
    chosen = np.array(sorted({int(number) for number in ids}), dtype=np.int32)
    unknown = chosen[(chosen < 1) | ~np.isin(chosen, given)]
    if unknown.size:
        raise DelineationError(
            f'There is no object {unknown[0]}; the label image holds {_shown(given)}.'
        )
    return given, chosen


def _shown(labels: NDArray[np.int32]) -> str:
    known = np.unique(labels[labels > 0])
    if not known.size:
        return 'no object'
    more = ', ...' if known.size > 8 else ''
    return f'objects {", ".join(map(str, known[:8]))}{more}'
