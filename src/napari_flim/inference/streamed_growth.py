"""Objects grow in windows, each group of them in one, as they would in the whole image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_flim.delineation.arc_features import BandRanges, band_ranges
from napari_flim.delineation.candidates import Candidates
from napari_flim.delineation.delineate import grown_from_seeds
from napari_flim.delineation.delineation_settings import DelineationSettings
from napari_flim.delineation.inputs import checked_features, checked_saliency, checked_stack
from napari_flim.delineation.seeds import inner_seeds, planted
from napari_flim.engine.image import Box, computed
from napari_flim.inference.object_groups import Window, near_distance
from napari_flim.inference.scratch import Readable, Store
from napari_flim.inference.tiles import Tile
from napari_flim.progress import finish

Features = Callable[[Box], NDArray[Any]]
"""From a part of the image to what is known of its voxels: (n, \\*box)."""


@dataclass(frozen=True, eq=False)
class Land:
    """What objects grow on, and how; can be pickled.

    Attributes
    ----------
    saliency : (L, \\*S) array
    numbers : tuple of int
        Class of every map.
    features, learned : callable
        From a box to (C, \\*box) and (n_F, \\*box); ``learned`` may be none.
    settings : DelineationSettings
    spacing : tuple of float
        World units per voxel.
    ranges : pair of BandRanges, optional
        Of features and learned channels over the whole image.
    """

    saliency: Readable
    numbers: tuple[int, ...]
    features: Features
    learned: Features | None
    settings: DelineationSettings
    spacing: tuple[float, ...]
    ranges: tuple[BandRanges, BandRanges] | None = None

    def maps(self, box: Box) -> NDArray[np.floating[Any]]:
        """Saliency of a part, checked."""
        part = computed(self.saliency[slice(None), *box])
        return checked_saliency(part, self.numbers)[0]


@dataclass(frozen=True, eq=False)
class GroupedObjects:
    """Objects before they grow.

    Attributes
    ----------
    regions : (\\*S) int32 array
        0 background, 1.. ids.
    classes : (n,) int64 array
        Class of each.
    reach : float
        World distance that outer seeds keep from them.
    """

    regions: Store
    classes: NDArray[np.int64]
    reach: float


@dataclass(frozen=True, eq=False)
class Grown:
    """Voxels of the objects that have grown in a window.

    Attributes
    ----------
    objects, voxels : (k,) int64 array
    """

    objects: NDArray[np.int64]
    voxels: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Ranges:
    """Ranges of the features and the learned channels of a tile, see `BandRanges`."""

    lowest: NDArray[np.float32]
    highest: NDArray[np.float32]
    learned_lowest: NDArray[np.float32]
    learned_highest: NDArray[np.float32]

    @property
    def pair(self) -> tuple[BandRanges, BandRanges]:
        """Of both."""
        return (
            BandRanges(self.lowest, self.highest),
            BandRanges(self.learned_lowest, self.learned_highest),
        )


def ranges_in(features: Features, learned: Features, tile: Tile) -> Ranges:
    """Ranges of features and learned channels in the core of a tile."""
    ndim = len(tile.core)
    one = band_ranges(checked_stack(features(tile.core), ndim))
    two = band_ranges(checked_stack(learned(tile.core), ndim))
    return Ranges(one.lowest, one.highest, two.lowest, two.highest)


def grow_window(land: Land, objects: GroupedObjects, grown: Store, window: Window) -> Grown:
    """Let the objects of a window grow, write their ids into its core, and count their voxels."""
    ids = window.objects
    found = candidates_in(objects, ids, window.read)
    maps = land.maps(window.read)
    inner = inner_seeds(found, maps, land.numbers, land.settings.seeds, land.spacing)
    labels = grow_part(land, objects.reach, found, inner, maps, window)
    write_grown(grown, window.core, ids, labels)
    return Grown(ids, np.bincount(labels.ravel(), minlength=len(ids) + 1)[1:])


def candidates_in(objects: GroupedObjects, ids: NDArray[np.int64], box: Box) -> Candidates:
    """Some of the objects in a part of the image, numbered from 1 in the order of their ids."""
    number = np.zeros(len(objects.classes) + 1, dtype=np.int32)
    number[ids] = np.arange(1, len(ids) + 1)
    regions = number[objects.regions[box]]
    nothing = np.zeros(regions.shape, dtype=np.int32)
    return Candidates(
        regions,
        nothing,
        regions > 0,
        nothing > 0,
        tuple(objects.classes[ids - 1].tolist()),
        (False,) * len(ids),
    )


def grow_part(
    land: Land,
    reach: float,
    found: Candidates,
    inner: NDArray[np.int32],
    maps: NDArray[np.floating[Any]],
    tile: Tile,
) -> NDArray[np.int32]:
    """Objects as they grow in a part of the image, in its core, numbered as its candidates.

    Parameters
    ----------
    land : Land
    reach : float
        World distance that outer seeds keep from objects.
    found : Candidates
        Where the part is read.
    inner : (\\*read) int32 array
        Inner seeds.
    maps : (L, \\*read) array
    tile : Tile
        The part.
    """
    outer = near_distance(found.regions, reach, land.spacing) > reach
    seeds = planted(found, inner, outer, np.zeros(inner.shape, dtype=np.uint8))
    features = checked_features(land.features(tile.read), inner.shape)
    compares = land.learned is not None and land.settings.compares_learned
    learned = land.learned(tile.read) if compares and land.learned is not None else None
    job = grown_from_seeds(seeds, maps, features, learned, land.settings, land.spacing, land.ranges)
    return finish(job)[tile.inside]


def write_grown(grown: Store, core: Box, ids: NDArray[np.int64], labels: NDArray[np.int32]) -> None:
    """Write objects into a part, and nothing where others are."""
    before = np.asarray(grown[core])
    after = np.concatenate([[0], ids]).astype(np.int32)[labels]
    mine = np.isin(before, ids)
    grown[core] = np.where((after > 0) | mine, after, before)
