"""Every way in which objects grow from their seeds, by name, with one signature."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_flim.delineation.delineation_settings import DelineationSettings
from napari_flim.delineation.inputs import BACKGROUND
from napari_flim.delineation.random_walker import random_walk_job
from napari_flim.delineation.seeds import Seeds
from napari_flim.progress import Job

Method: TypeAlias = Callable[
    [NDArray[np.float32], Seeds, DelineationSettings, Sequence[float]], Job[NDArray[np.int32]]
]
"""From features (C, \\*S), seeds, settings and voxel size to ids (\\*S), 0 background."""


def dynamic_trees(
    features: NDArray[np.float32],
    seeds: Seeds,
    settings: DelineationSettings,
    spacing: Sequence[float],
) -> Job[NDArray[np.int32]]:
    """Grow to voxels that are like those taken in so far."""
    from napari_flim.delineation.forest import dynamic_trees_job

    # A mean for each label holds all of its seeds, also those that no voxel without seed touches.
    forest = yield from dynamic_trees_job(
        features,
        seeds.labels,
        mean=settings.mean,
        alpha=settings.alpha,
        mask=None if settings.mean == 'label' else seeds.mask,
        neighbours=settings.neighbours,
        spacing=spacing,
    )
    return _ids(forest.labels, seeds)


def watershed(
    features: NDArray[np.float32],
    seeds: Seeds,
    settings: DelineationSettings,
    spacing: Sequence[float],
) -> Job[NDArray[np.int32]]:
    """Grow along the smallest differences between neighbours."""
    from napari_flim.delineation.forest import watershed_job

    forest = yield from watershed_job(
        features, seeds.labels, mask=seeds.mask, neighbours=settings.neighbours, spacing=spacing
    )
    return _ids(forest.labels, seeds)


def random_walker(
    features: NDArray[np.float32],
    seeds: Seeds,
    settings: DelineationSettings,
    spacing: Sequence[float],
) -> Job[NDArray[np.int32]]:
    """Give each voxel to the seeds that a walk from it reaches first."""
    reached = yield from random_walk_job(
        features, seeds.labels, beta=settings.beta, mask=seeds.mask, spacing=spacing
    )
    return _ids(reached, seeds)


def none(
    features: NDArray[np.float32],
    seeds: Seeds,
    settings: DelineationSettings,
    spacing: Sequence[float],
) -> Job[NDArray[np.int32]]:
    """Leave the objects as threshold and markers show them."""
    yield from ()
    return seeds.regions


METHODS: dict[str, Method] = {
    'dynamic_trees': dynamic_trees,
    'watershed': watershed,
    'random_walker': random_walker,
    'none': none,
}


def _ids(reached: NDArray[np.int32], seeds: Seeds) -> NDArray[np.int32]:
    """Ids of objects, from labels of seeds within the mask and the seeds outside it."""
    labels = np.where(seeds.mask, reached, seeds.labels)
    return np.asarray(np.maximum(labels - BACKGROUND, 0), dtype=np.int32)
