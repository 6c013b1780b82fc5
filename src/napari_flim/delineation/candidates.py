"""Candidates: the objects that saliency and markers show, before they grow.

Markers and components of the saliency are matched. A marker belongs to the components it lies on,
or else to those it touches. Then

* a component without markers is an object if its size is plausible and the border does not cut it;
* a component with one marker belongs to the object of that marker, which has the marker's class;
* a component with several markers falls apart: each marker is an object of its own;
* a marker without a component is an object of its own.

Voxels that are marked as background belong to no component.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_flim.delineation.area_range import AreaRange, object_sizes
from napari_flim.delineation.inputs import BACKGROUND
from napari_flim.delineation.objects import class_map, separate_objects
from napari_flim.delineation.seed_settings import SeedSettings


@dataclass(frozen=True, eq=False)
class Candidates:
    """Objects before they grow, numbered by their first voxel in raster order.

    Attributes
    ----------
    regions : (\\*S) int32 array
        0 background, 1.. ids.
    strokes : (\\*S) int32 array
        Ids where the user has marked them.
    keeps_core : (\\*S) bool array
        Where the erosion of a region gives seeds: not in components that fall apart.
    lonely : (\\*S) bool array
        Markers without a component.
    classes : tuple of int
        Class of objects 1, 2, ..
    marked : tuple of bool
        Whether the user has marked object 1, 2, ..
    """

    regions: NDArray[np.int32]
    strokes: NDArray[np.int32]
    keeps_core: NDArray[np.bool_]
    lonely: NDArray[np.bool_]
    classes: tuple[int, ...]
    marked: tuple[bool, ...]


def found_candidates(
    maps: NDArray[np.floating],
    numbers: Sequence[int],
    marks: NDArray[np.integer[Any]],
    settings: SeedSettings,
    spacing: Sequence[float],
) -> Candidates:
    """The objects that saliency and markers show.

    Parameters
    ----------
    maps : (L, \\*S) float array
        Saliency of every class.
    numbers : sequence of int
        The classes.
    marks : (\\*S) int array
        0 unmarked, 1 background, 2.. objects.
    settings : SeedSettings
    spacing : sequence of float
        World units per voxel.
    """
    classes = class_map(maps, numbers, settings, spacing)
    classes[marks == BACKGROUND] = BACKGROUND
    parts = separate_objects(classes)
    strokes = separate_objects(np.where(marks == 0, BACKGROUND, marks))
    touching = matches(strokes, parts)
    parts[~_plausible(parts, touching[:, 1], settings, spacing)[parts]] = 0
    count = int(parts.max())
    markers_of = np.bincount(touching[:, 1], minlength=count + 1)
    owner = np.arange(count + 1)
    owner[touching[:, 1]] = count + touching[:, 0]
    regions = owner[parts].astype(np.int32)
    for part in np.flatnonzero(markers_of > 1).tolist():
        _divide(regions, parts, strokes, part, touching[touching[:, 1] == part, 0], count)
    stroked = strokes > 0
    regions[stroked] = count + strokes[stroked]
    class_of = np.zeros(count + int(strokes.max()) + 1, dtype=int)
    class_of[parts] = classes
    class_of[count + strokes[stroked]] = marks[stroked]
    ids, keys = numbered_in_raster_order(regions)
    return Candidates(
        ids,
        np.where(stroked, ids, 0).astype(np.int32),
        (markers_of < 2)[parts] & (parts > 0),
        np.isin(strokes, np.setdiff1d(np.arange(1, strokes.max() + 1), touching[:, 0])),
        tuple(class_of[keys].tolist()),
        tuple((keys > count).tolist()),
    )


def matches(strokes: NDArray[np.int32], parts: NDArray[np.int32]) -> NDArray[np.intp]:
    """Pairs (stroke, component): those that overlap; for other strokes those that touch.

    Returns
    -------
    (n, 2) int array
        Sorted, each pair once.
    """
    places = np.argwhere(strokes > 0)
    own = strokes[strokes > 0]
    pairs = np.column_stack([own, parts[strokes > 0]]).astype(np.intp)
    overlapping = pairs[pairs[:, 1] > 0]
    alone = ~np.isin(own, overlapping[:, 0])
    places, own = places[alone], own[alone]
    found = [overlapping]
    for step in product((-1, 0, 1), repeat=strokes.ndim):
        there = places + step
        inside = ((there >= 0) & (there < strokes.shape)).all(axis=1)
        beside = parts[tuple(there[inside].T)]
        found.append(np.column_stack([own[inside], beside])[beside > 0].astype(np.intp))
    return np.unique(np.concatenate(found), axis=0).reshape(-1, 2)


def _plausible(
    parts: NDArray[np.int32],
    marked: NDArray[np.intp],
    settings: SeedSettings,
    spacing: Sequence[float],
) -> NDArray[np.bool_]:
    """For 0 and every component, whether it is an object."""
    cut = np.zeros(int(parts.max()) + 1, dtype=bool)
    if settings.border is not None:
        cut[np.unique(parts[frame(parts.shape, settings.border, settings.border_in_z)])] = True
    kept = np.concatenate([[True], is_plausible(object_sizes(parts, spacing), cut[1:], settings)])
    kept[marked] = True
    kept[0] = True
    return kept


def is_plausible(
    sizes: NDArray[np.float64], cut: NDArray[np.bool_], settings: SeedSettings
) -> NDArray[np.bool_]:
    """Which components are objects, by their world sizes and whether they lie in the frame."""
    plausible = (settings.sizes or AreaRange()).contains(sizes)
    return plausible if settings.border is None else plausible & ~cut


def frame(
    shape: Sequence[int], width: int, in_z: bool, box: Sequence[slice] | None = None
) -> NDArray[np.bool_]:
    """The voxels along the border of an image; those of the z faces of a volume only if wanted.

    Parameters
    ----------
    shape : sequence of int
    width : int
        In voxels, from 1.
    in_z : bool
    box : sequence of slice, optional
        Only this part of the image.

    Examples
    --------
    >>> frame((4, 4), 1, False, (slice(0, 2), slice(1, 4)))
    array([[ True,  True,  True],
           [False, False,  True]])
    """
    part = tuple(slice(0, length) for length in shape) if box is None else tuple(box)
    inside = tuple(
        slice(None)
        if len(shape) == 3 and axis == 0 and not in_z
        else slice(max(width - own.start, 0), max(length - width - own.start, 0))
        for axis, (length, own) in enumerate(zip(shape, part, strict=True))
    )
    border = np.ones([own.stop - own.start for own in part], dtype=bool)
    border[inside] = False
    return border


def _divide(
    regions: NDArray[np.int32],
    parts: NDArray[np.int32],
    strokes: NDArray[np.int32],
    part: int,
    markers: NDArray[np.intp],
    count: int,
) -> None:
    """Give every voxel of a component to the nearest of its markers, in place."""
    whole = parts == part
    box = ndimage.find_objects((whole | np.isin(strokes, markers)).astype(np.uint8))[0]
    near = np.where(np.isin(strokes[box], markers), strokes[box], 0)
    nearest = ndimage.distance_transform_edt(near == 0, return_distances=False, return_indices=True)
    regions[box][whole[box]] = count + near[tuple(nearest)][whole[box]]


def numbered_in_raster_order(
    labels: NDArray[np.int32],
) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
    """Labels numbered from 1 in the order of their first voxels.

    Returns
    -------
    numbered : (\\*S) int32 array
    old : (n,) int array
        What each number was before.
    """
    flat = labels.ravel()
    places = np.flatnonzero(flat)
    first = np.full(int(labels.max(initial=0)) + 1, -1, dtype=np.intp)
    first[flat[places[::-1]]] = places[::-1]
    old = np.flatnonzero(first >= 0)
    old = old[np.argsort(first[old])]
    new = np.zeros(len(first), dtype=np.int32)
    new[old] = np.arange(1, len(old) + 1)
    return new[labels], old
