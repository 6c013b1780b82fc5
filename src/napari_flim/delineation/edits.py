"""Objects that fall into parts where they are narrow."""

from __future__ import annotations

from collections.abc import Sequence
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


def split_object(
    labels: ArrayLike, number: int, spacing: Sequence[float] | None = None
) -> NDArray[np.int32]:
    """The parts of an object, by a watershed of the distance to its border.

    Parts start where the distance to the border is greatest, in each bulge that a neck separates
    from deeper ones: on the way to them the distance to the border falls by at least 0.15 of the
    greatest, and half a voxel.

    Parameters
    ----------
    labels : (\\*S) int array
        0 background, 1.. objects.
    number : int
        The object.
    spacing : sequence of float, optional
        World units per voxel; 1 by default.

    Returns
    -------
    (\\*S) int32 array
        0 outside the object, 1.. parts of it.

    Raises
    ------
    DelineationError
        When there is no such object, or it has no neck.
    """
    own = checked_labels(labels) == number
    if number < 1 or not own.any():
        raise DelineationError(
            f'There is no object {number} in the label image; choose one that it holds.'
        )
    units = checked_spacing(spacing, own.ndim)
    box = ndimage.find_objects(own.astype(np.uint8))[0]
    inside = np.pad(own[box], 1)
    depth = ndimage.distance_transform_edt(inside, sampling=units)
    starts = _bulges(depth, units)
    count = int(starts.max())
    if count < 2:
        raise DelineationError(
            f'Object {number} has {count} place{"s" * (count != 1)} to start a part from; expected '
            'two or more with a neck between them. Paint New object over a part instead.'
        )
    parts = watershed(-depth, starts, connectivity=own.ndim, mask=inside)
    result = np.zeros(own.shape, np.int32)
    result[box] = parts[(slice(1, -1),) * own.ndim]
    return result


def _bulges(depth: NDArray[np.float64], spacing: Sequence[float]) -> NDArray[np.integer[Any]]:
    """Maxima of the distance to the border that a neck separates, numbered from 1."""
    neck = max(NECK * depth.max(), min(spacing) / 2)
    return np.asarray(label(h_maxima(depth, neck), connectivity=depth.ndim))
