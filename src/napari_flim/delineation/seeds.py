"""From saliency and markers to seeds: what is surely an object, and what is surely none.

After LibIFT's ``iftSMansoniDelineation``: threshold, components away from the border and of
plausible size, inner seeds by erosion, outer seeds by dilation. Here each object keeps its own
seeds, and what the user has marked comes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from napari_flim.delineation.area_range import equivalent_diameter, object_sizes
from napari_flim.delineation.candidates import Candidates, found_candidates
from napari_flim.delineation.inputs import (
    BACKGROUND,
    checked_markers,
    checked_saliency,
    checked_spacing,
)
from napari_flim.delineation.seed_settings import SeedSettings

CORE = {2: 0.25, 3: 0.3}
"""Inner seeds keep that share of the depth of an object from its border, by rank. Saliency is wider
than an object by some voxels where the encoder has averaged, and a wrong inner seed spreads."""
BAND = {2: 0.25, 3: 0.05}
"""Outer seeds keep that share of the median diameter from objects: farther away than saliency errs,
nearer than most neighbours that look alike. In volumes these are near on more sides."""
FREE_LAYERS = {2: 5, 3: 1}
"""Outer seeds stay at least that many of the smallest voxel size away from objects."""


@dataclass(frozen=True, eq=False)
class Seeds:
    """From where objects grow.

    Attributes
    ----------
    labels : (\\*S) int32 array
        0 none, 1 outer seeds (background), id + 1 inner seeds of object id.
    mask : (\\*S) bool array
        What a forest has to visit: voxels without a seed, and their neighbours.
    regions : (\\*S) int32 array
        The objects before they grow, as threshold and markers show them: 0 background, 1.. ids.
    classes : tuple of int
        Class of objects 1, 2, ..
    marked : tuple of bool
        Whether the user has marked object 1, 2, ..: it then stays, whatever its size.

    All arrays are read-only.
    """

    labels: NDArray[np.int32]
    mask: NDArray[np.bool_]
    regions: NDArray[np.int32]
    classes: tuple[int, ...]
    marked: tuple[bool, ...]

    def __post_init__(self) -> None:
        for array in (self.labels, self.mask, self.regions):
            array.flags.writeable = False


def seeds_from_saliency(
    saliency: ArrayLike,
    settings: SeedSettings | None = None,
    *,
    spacing: Sequence[float] | None = None,
    classes: Sequence[int] | None = None,
    markers: ArrayLike | None = None,
) -> Seeds:
    """Inner seeds of every object, and outer seeds around them.

    Inner seeds are the voxels of an object that are farther from its border than the erosion;
    where that leaves none, its most salient voxel. Outer seeds are farther from every object than
    the dilation; where no voxel is that far, farther than half the greatest distance there is. An
    object that only a marker shows may lie to any side of it, so twice the distance is kept.

    Parameters
    ----------
    saliency : (\\*S) or (L, \\*S) float array in [0, 1]
        One map, of class 2; with ``classes`` one map for each of them.
    settings : SeedSettings, optional
    spacing : sequence of float, optional
        World units per voxel along each axis; 1 by default.
    classes : sequence of int, optional
        Numbers of the object classes, from 2.
    markers : (\\*S) int array, optional
        0 unmarked, 1 background, 2.. object classes. All of them are seeds; what object markers
        mean for objects: `napari_flim.delineation.candidates`.

    Returns
    -------
    Seeds

    Raises
    ------
    DelineationError
        When shapes do not fit or values are not finite.

    Examples
    --------
    >>> saliency = np.zeros((1, 17)); saliency[0, 8:11] = 1
    >>> seeds_from_saliency(saliency, SeedSettings(smallest=0)).labels
    array([[1, 1, 1, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1]], dtype=int32)
    """
    settings = settings or SeedSettings()
    maps, numbers = checked_saliency(saliency, classes)
    shape = maps.shape[1:]
    units = checked_spacing(spacing, len(shape))
    marks = checked_markers(markers, shape)
    found = found_candidates(maps, numbers, marks, settings, units)
    outer = _outer(found, settings, units)
    return planted(found, inner_seeds(found, maps, numbers, settings, units), outer, marks)


def planted(
    found: Candidates,
    inner: NDArray[np.int32],
    outer: NDArray[np.bool_],
    marks: NDArray[np.integer[Any]],
) -> Seeds:
    """Seeds of candidates.

    Parameters
    ----------
    found : Candidates
    inner : (\\*S) int32 array
        Ids of objects where they surely are.
    outer : (\\*S) bool array
        Where there surely is none.
    marks : (\\*S) int array
        1 where the user has marked background.
    """
    labels = np.zeros(inner.shape, dtype=np.int32)
    labels[outer] = BACKGROUND
    labels[inner > 0] = inner[inner > 0] + 1
    labels[marks == BACKGROUND] = BACKGROUND
    mask = ndimage.binary_dilation(labels == 0, np.ones((3,) * inner.ndim))
    return Seeds(labels, mask, found.regions, found.classes, found.marked)


def inner_seeds(
    found: Candidates,
    maps: NDArray[np.floating],
    numbers: Sequence[int],
    settings: SeedSettings,
    spacing: Sequence[float],
) -> NDArray[np.int32]:
    """Ids of objects where they surely are."""
    depth = depth_in_objects(found, spacing)
    ids = np.arange(1, len(found.classes) + 1)
    deepest = greatest_depths(depth, found.regions, len(ids))
    inner = cores(found, depth, kept_distance(deepest, settings, spacing))
    without = ids[np.bincount(inner.ravel(), minlength=len(ids) + 1)[1:] == 0]
    voxels = most_salient(found, maps, numbers, without)
    inner.flat[voxels] = without
    return inner


def greatest_depths(
    depth: NDArray[np.float64], regions: NDArray[np.int32], count: int
) -> NDArray[np.float64]:
    """The greatest depth of objects 1, 2, ..; 0 for those that are not there."""
    deepest = np.zeros(count + 1)
    inside = regions > 0
    np.maximum.at(deepest, regions[inside], depth[inside])
    return deepest[1:]


def kept_distance(
    deepest: NDArray[np.floating], settings: SeedSettings, spacing: Sequence[float]
) -> NDArray[np.floating]:
    """Distance that inner seeds keep from the border, for objects of a greatest depth."""
    if settings.erosion is not None:
        return np.full(len(deepest), settings.erosion)
    return np.asarray(np.maximum(CORE[len(spacing)] * deepest, min(spacing)))


def cores(
    found: Candidates, depth: NDArray[np.float64], distance: NDArray[np.floating]
) -> NDArray[np.int32]:
    """Ids of objects where they are marked, or deeper than a distance for each object."""
    deep = depth > np.concatenate([[0.0], distance])[found.regions]
    inner: NDArray[np.int32] = np.where(found.keeps_core & deep, found.regions, 0).astype(np.int32)
    inner[found.strokes > 0] = found.strokes[found.strokes > 0]
    return inner


def most_salient(
    found: Candidates,
    maps: NDArray[np.floating],
    numbers: Sequence[int],
    ids: NDArray[np.integer],
) -> NDArray[np.intp]:
    """Flat index of the first among the most salient voxels of some objects, by id."""
    if not len(ids):
        return np.empty(0, dtype=np.intp)
    index = np.array([numbers.index(n) if n in numbers else 0 for n in found.classes])
    voxels = np.flatnonzero(np.isin(found.regions, ids))
    owners = found.regions.ravel()[voxels]
    values = maps.reshape(len(maps), -1)[index[owners - 1], voxels]
    order = np.lexsort((voxels, -values, owners))
    first = order[np.unique(owners[order], return_index=True)[1]]
    return voxels[first]


def depth_in_objects(found: Candidates, spacing: Sequence[float]) -> NDArray[np.float64]:
    """World distance of the voxels of objects to everything that is not of their class."""
    classes = np.array((0, *found.classes))[found.regions]
    depth = np.zeros(classes.shape)
    for number in set(found.classes):
        own = classes == number
        depth[own] = distance_from(~own, spacing)[own]
    return depth


def _outer(
    found: Candidates, settings: SeedSettings, spacing: Sequence[float]
) -> NDArray[np.bool_]:
    """Voxels that are far from every object."""
    if not found.classes:
        return np.ones(found.regions.shape, dtype=bool)
    distance = distance_from(found.regions > 0, spacing)
    if found.lonely.any():
        distance = np.minimum(distance, distance_from(found.lonely, spacing) / 2)
    wanted = wanted_reach(_typical_sizes(found, settings, spacing), settings, spacing)
    return np.asarray(distance > possible_reach(wanted, float(distance.max())))


def wanted_reach(
    sizes: NDArray[np.float64], settings: SeedSettings, spacing: Sequence[float]
) -> float:
    """World distance that outer seeds are to keep from objects of such sizes."""
    if settings.dilation is not None:
        return settings.dilation
    ndim = len(spacing)
    typical = equivalent_diameter(float(np.median(sizes)), ndim)
    return max(BAND[ndim] * typical, FREE_LAYERS[ndim] * min(spacing))


def possible_reach(wanted: float, farthest: float) -> float:
    """The distance that leaves outer seeds, when no voxel is farther from objects than one."""
    return wanted if wanted < farthest else farthest / 2


def _typical_sizes(
    found: Candidates, settings: SeedSettings, spacing: Sequence[float]
) -> NDArray[np.float64]:
    """World sizes of the objects.

    Objects that only a marker shows do not count unless there are no others and no range of sizes.
    """
    shown = np.where(found.lonely, 0, found.regions)
    sizes = object_sizes(shown, spacing)
    if sizes.any():
        return sizes[sizes > 0]
    limits = settings.sizes
    if limits is not None and limits.smallest and limits.largest:
        return np.sqrt([limits.smallest * limits.largest])
    return object_sizes(found.regions, spacing)


def distance_from(mask: NDArray[np.bool_], spacing: Sequence[float]) -> NDArray[np.float64]:
    """World distance of every voxel to a mask; infinite where the mask is empty."""
    if not mask.any():
        return np.full(mask.shape, np.inf)
    distance: NDArray[np.float64] = ndimage.distance_transform_edt(~mask, sampling=spacing)
    return distance
