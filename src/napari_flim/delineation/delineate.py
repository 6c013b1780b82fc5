"""Delineation from end to end: saliency, seeds, growth, objects of plausible size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_flim.delineation.arc_features import BandRanges, growth_features
from napari_flim.delineation.area_range import object_sizes
from napari_flim.delineation.delineation_settings import DelineationSettings
from napari_flim.delineation.inputs import (
    BACKGROUND,
    checked_features,
    checked_saliency,
    checked_spacing,
)
from napari_flim.delineation.methods import METHODS
from napari_flim.delineation.relaxation import relaxed_labels
from napari_flim.delineation.seeds import Seeds, seeds_from_saliency
from napari_flim.delineation.smoothing import smoothed_saliency
from napari_flim.errors import DelineationError
from napari_flim.progress import Job, Progress, part_of


@dataclass(frozen=True, eq=False)
class Objects:
    """Objects of an image.

    Attributes
    ----------
    labels : (\\*S) int32 array
        0 background, 1.. ids. `delineate` leaves none out; objects that were deleted or merged do.
    classes : tuple of int
        Class of objects 1, 2, .. up to the largest id, also of ids that do not occur.
    seeds : Seeds, optional
        From what they have grown, with the same ids.
    """

    labels: NDArray[np.int32]
    classes: tuple[int, ...]
    seeds: Seeds | None = None

    def __post_init__(self) -> None:
        largest = int(self.labels.max(initial=0))
        if largest != len(self.classes):
            raise DelineationError(
                f'The largest object is {largest}, and {len(self.classes)} classes are named; '
                'expected objects 1, 2, .. with one class each.'
            )
        self.labels.flags.writeable = False

    def class_map(self) -> NDArray[np.int32]:
        """Class of every voxel: (\\*S), 1 background, 2.. objects."""
        return np.array((BACKGROUND, *self.classes), dtype=np.int32)[self.labels]


def delineate(
    image_features: ArrayLike,
    saliency: ArrayLike,
    settings: DelineationSettings | None = None,
    *,
    learned: ArrayLike | None = None,
    spacing: Sequence[float] | None = None,
    classes: Sequence[int] | None = None,
    markers: ArrayLike | None = None,
) -> Job[Objects]:
    """Objects of an image; a generator of progress that can be closed midway.

    Parameters
    ----------
    image_features : (\\*S) or (C, \\*S) array
        What objects differ in, on a scale of about [0, 1]: the image as block 1 reads it.
    saliency : (\\*S) or (L, \\*S) array in [0, 1]
        One map, of class 2; with ``classes`` one map for each of them.
    settings : DelineationSettings, optional
    learned : (n_F, \\*S) array, optional
        Channels of block 1 at image size, which forests compare beside the image.
    spacing : sequence of float, optional
        World units per voxel along each axis; 1 by default.
    classes : sequence of int, optional
        Numbers of the object classes, from 2.
    markers : (\\*S) int array, optional
        0 unmarked, 1 background, 2.. object classes; see
        `napari_flim.delineation.seeds.seeds_from_saliency`.

    Returns
    -------
    Objects
        Objects that have grown out of the range of sizes are left out, unless the user has marked
        them. Their seeds are background then.

    Raises
    ------
    DelineationError
        When shapes do not fit or values are not finite.

    Examples
    --------
    >>> from napari_flim.progress import finish
    >>> image = np.zeros((12, 12)); image[3:8, 3:9] = 1
    >>> saliency = image.copy(); saliency[3] = 0
    >>> int((finish(delineate(image, saliency)).labels == 1).sum())
    30
    """
    settings = settings or DelineationSettings()
    maps, numbers = checked_saliency(saliency, classes)
    features = checked_features(image_features, maps.shape[1:])
    units = checked_spacing(spacing, maps.ndim - 1)
    steps = settings.smoothing * len(maps) + 1
    if settings.smoothing:
        maps = yield from _smoothed(maps, features, units, steps)
    yield Progress('making seeds', steps - 1, steps)
    seeds = seeds_from_saliency(
        maps, settings.seeds, spacing=units, classes=numbers, markers=markers
    )
    if not seeds.classes:
        return Objects(seeds.regions, (), seeds)
    job = grown_from_seeds(seeds, maps, features, learned, settings, units)
    grown = yield from part_of(job, steps)
    return _plausible(grown, seeds, settings, units)


def grown_from_seeds(
    seeds: Seeds,
    maps: NDArray[np.floating[Any]],
    features: NDArray[np.float32],
    learned: ArrayLike | None,
    settings: DelineationSettings,
    spacing: Sequence[float],
    ranges: tuple[BandRanges, BandRanges] | None = None,
) -> Job[NDArray[np.int32]]:
    """Ids of objects (\\*S) as they grow from seeds, whatever their size.

    Parameters
    ----------
    seeds : Seeds
    maps : (L, \\*S) float array
        Saliency of every class.
    features : (C, \\*S) float32 array
    learned : (n_F, \\*S) array, optional
    settings : DelineationSettings
    spacing : sequence of float
        World units per voxel.
    ranges : pair of BandRanges, optional
        Of features and learned channels in a whole image, when these are a part of it.
    """
    compared = growth_features(features, learned, settings, ranges)
    grown = yield from METHODS[settings.method](compared, seeds, settings, spacing)
    if settings.relaxation:
        # No method reports more steps than there are voxels.
        yield Progress('relaxing borders', grown.size, grown.size)
        grown = relaxed_labels(grown, maps.max(axis=0), features, seeds.labels > 0)
    return grown


def _smoothed(
    maps: NDArray[np.floating[Any]],
    features: NDArray[np.float32],
    spacing: Sequence[float],
    steps: int,
) -> Job[NDArray[np.floating[Any]]]:
    done = []
    for number, one in enumerate(maps):
        yield Progress('smoothing saliency', number, steps)
        done.append(smoothed_saliency(one, features, spacing=spacing))
    return np.stack(done)


def _plausible(
    grown: NDArray[np.int32],
    seeds: Seeds,
    settings: DelineationSettings,
    spacing: Sequence[float],
) -> Objects:
    """The objects of plausible size, numbered without gaps."""
    sizes = np.zeros(len(seeds.classes))
    known = object_sizes(grown, spacing)
    sizes[: len(known)] = known
    number = numbers_kept(sizes, np.array(seeds.marked), settings)
    kept = number[1:] > 0
    of_seed = np.concatenate([[0], np.where(number == 0, BACKGROUND, number + 1)]).astype(np.int32)
    chosen = np.flatnonzero(kept)
    classes = tuple(seeds.classes[index] for index in chosen)
    remaining = replace(
        seeds,
        labels=of_seed[seeds.labels],
        regions=number[seeds.regions],
        classes=classes,
        marked=tuple(seeds.marked[index] for index in chosen),
    )
    return Objects(number[grown], classes, remaining)


def numbers_kept(
    sizes: NDArray[np.float64], marked: NDArray[np.bool_], settings: DelineationSettings
) -> NDArray[np.int32]:
    """The number of each grown object when those of implausible size are left out.

    Parameters
    ----------
    sizes : (n,) float array
        Area or volume of objects 1, 2, .. in world units; 0 for those that are not there.
    marked : (n,) bool array
        Objects that stay whatever their size.
    settings : DelineationSettings

    Returns
    -------
    (n + 1,) int32 array
        For 0 and every object; 0 for those left out.

    Examples
    --------
    >>> numbers_kept(np.array([4.0, 0.0, 3.0]), np.zeros(3, bool), DelineationSettings())
    array([0, 1, 0, 2], dtype=int32)
    """
    kept = sizes > 0
    if settings.seeds.sizes is not None:
        kept &= settings.seeds.sizes.contains(sizes) | marked
    return np.concatenate([[0], np.where(kept, np.cumsum(kept), 0)]).astype(np.int32)
