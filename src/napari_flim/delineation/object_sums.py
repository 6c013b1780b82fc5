"""Sums over objects: voxels, places and brightness. Those of the parts of an image add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


@dataclass(frozen=True, eq=False)
class ObjectSums:
    """Sums over k objects with n bands.

    Attributes
    ----------
    ids : (k,) int64 array
        The objects, ascending.
    voxels : (k,) int64 array
    places : (k, ndim) float64 array
        Sums of voxel coordinates.
    first, last : (k, ndim) int64 array
        Bounding boxes in voxels; the last voxel belongs to the object.
    finite : (n, k) int64 array
        Voxels whose value is finite, in each band.
    totals : (n, k) float64 array
        Sums of those values.
    """

    ids: NDArray[np.int64]
    voxels: NDArray[np.int64]
    places: NDArray[np.float64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    finite: NDArray[np.int64]
    totals: NDArray[np.float64]

    def means(self) -> NDArray[np.float64]:
        """Mean of the finite values: (n, k); NaN where there are none."""
        means = np.full(self.totals.shape, np.nan)
        np.divide(self.totals, self.finite, out=means, where=self.finite > 0)
        return means


def object_sums(
    labels: NDArray[np.integer[Any]],
    bands: Sequence[NDArray[Any]] = (),
    origin: Sequence[int] | None = None,
) -> ObjectSums:
    """Sums over the objects of an image, or of a part of it.

    Parameters
    ----------
    labels : (\\*S) int array
        0 background, 1.. objects.
    bands : sequence of (\\*S) array
        What is averaged over objects.
    origin : sequence of int, optional
        The voxel of the whole image with which the part begins.

    Examples
    --------
    >>> sums = object_sums(np.array([[0, 3, 3]]), [np.array([[1.0, 2.0, 4.0]])], (10, 0))
    >>> sums.ids.tolist(), sums.first.tolist(), sums.last.tolist(), sums.means().tolist()
    ([3], [[10, 1]], [[10, 2]], [[3.0]])
    """
    inside = labels > 0
    own = labels[inside]
    counts = np.bincount(own)
    ids = np.flatnonzero(counts)
    shift = np.zeros(labels.ndim, np.int64) if origin is None else np.asarray(origin, np.int64)
    number = np.zeros(len(counts), dtype=np.int32)
    number[ids] = np.arange(len(ids))
    places = np.zeros((len(ids), labels.ndim))
    for axis, coordinate in enumerate(np.nonzero(inside)):
        places[:, axis] = np.bincount(number[own], coordinate + shift[axis], len(ids))
    numbered = np.zeros(labels.shape, dtype=np.int32)
    numbered[inside] = number[own] + 1
    boxes = ndimage.find_objects(numbered) if ids.size else []
    ends = np.array([[(side.start, side.stop - 1) for side in box] for box in boxes], np.int64)
    ends = ends.reshape(len(ids), labels.ndim, 2)
    finite = np.zeros((len(bands), len(ids)), dtype=np.int64)
    totals = np.zeros((len(bands), len(ids)))
    for index, band in enumerate(bands):
        values = band[inside].astype(np.float64)
        usable = np.isfinite(values)
        owners = number[own[usable]]
        finite[index] = np.bincount(owners, minlength=len(ids))
        totals[index] = np.bincount(owners, values[usable], len(ids))
    return ObjectSums(
        ids, counts[ids], places, ends[..., 0] + shift, ends[..., 1] + shift, finite, totals
    )


def joined_sums(parts: Sequence[ObjectSums]) -> ObjectSums:
    """Sums over an image from those over its parts, at least one."""
    ids, place = np.unique(np.concatenate([part.ids for part in parts]), return_inverse=True)
    bands, ndim = len(parts[0].totals), parts[0].places.shape[1]
    largest = np.iinfo(np.int64).max
    whole = ObjectSums(
        ids,
        np.zeros(len(ids), dtype=np.int64),
        np.zeros((len(ids), ndim)),
        np.full((len(ids), ndim), largest),
        np.full((len(ids), ndim), -1, dtype=np.int64),
        np.zeros((bands, len(ids)), dtype=np.int64),
        np.zeros((bands, len(ids))),
    )
    start = 0
    for part in parts:
        at = place[start : start + len(part.ids)]
        start += len(part.ids)
        whole.voxels[at] += part.voxels
        whole.places[at] += part.places
        whole.first[at] = np.minimum(whole.first[at], part.first)
        whole.last[at] = np.maximum(whole.last[at], part.last)
        whole.finite[:, at] += part.finite
        whole.totals[:, at] += part.totals
    return whole
