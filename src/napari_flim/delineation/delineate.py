"""Delineation from end to end: saliency, seeds, growth, objects of plausible size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_flim.delineation.arc_features import growth_features
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
    compared = growth_features(features, learned, settings)
    grown = yield from part_of(METHODS[settings.method](compared, seeds, settings, units), steps)
    if settings.relaxation:
        # No method reports more steps than there are voxels.
        yield Progress('relaxing borders', steps + grown.size, steps + grown.size)
        grown = relaxed_labels(grown, maps.max(axis=0), features, seeds.labels > 0)
    return _plausible(grown, seeds, settings, units)


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
    kept = sizes > 0
    if settings.seeds.sizes is not None:
        kept &= settings.seeds.sizes.contains(sizes) | np.array(seeds.marked)
    number = np.concatenate([[0], np.where(kept, np.cumsum(kept), 0)]).astype(np.int32)
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
