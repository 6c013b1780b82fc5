"""The random walker: each voxel goes to the seeds that a walk from it reaches first.

Grady, 10.1109/TPAMI.2006.233, as solved by scikit-image.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from skimage.segmentation import random_walker

from napari_flim.delineation.inputs import checked_features, checked_labels, checked_spacing
from napari_flim.errors import DelineationError
from napari_flim.progress import Job, Progress

BETA = 25.0
"""Arcs weigh exp(-beta g^2) / 1.1 for a difference g of 0.2 deviations, less for larger ones."""


def random_walk_job(
    features: ArrayLike,
    seeds: ArrayLike,
    *,
    beta: float = BETA,
    mask: ArrayLike | None = None,
    spacing: Sequence[float] | None = None,
) -> Job[NDArray[np.int32]]:
    """Labels of highest probability; a generator that can be closed between parts of the mask.

    The weight of an arc is ``exp(-beta g^2 / (10 sqrt(C)))``, with g the feature difference per
    world unit, in standard deviations of the features within the mask. Parts of the mask that do
    not touch are solved one by one, each with its own seeds only.

    Parameters
    ----------
    features : (\\*S) or (C, \\*S) array
    seeds : (\\*S) int array
        Labels above 0; 0 is no seed.
    beta : float
        From 0: how much differences hinder a walk.
    mask : (\\*S) bool array, optional
        Voxels that are walked on; all by default.
    spacing : sequence of float, optional
        World units per voxel; 1 by default. Only its ratio matters.

    Returns
    -------
    (\\*S) int32 array
        0 outside the mask and where no seed can be reached.

    Raises
    ------
    DelineationError
        When shapes do not fit or values are not finite.
    """
    labels = checked_labels(seeds, 'seeds').astype(np.int32)
    values = checked_features(features, labels.shape).astype(np.float64)
    units = np.array(checked_spacing(spacing, labels.ndim))
    walked = np.ones(labels.shape, bool) if mask is None else np.asarray(mask, dtype=bool)
    if walked.shape != labels.shape:
        raise DelineationError(
            f'The mask has shape {walked.shape}, the seeds {labels.shape}; they must be equal.'
        )
    deviation = values[:, walked].std() if walked.any() else 0.0
    if deviation > 0:
        values /= deviation
    parts = ndimage.label(walked)[0]
    boxes = ndimage.find_objects(parts)
    result = np.where(walked, labels, 0).astype(np.int32)
    for number, box in enumerate(boxes, start=1):
        yield Progress('letting walkers find seeds', number - 1, len(boxes))
        own = parts[box] == number
        crop = np.where(own, values[:, *box], 0)
        result[box][own] = _walked(crop, result[box], own, beta, units / units.min())[own]
    return result


def _walked(
    features: NDArray[np.float64],
    seeds: NDArray[np.int32],
    own: NDArray[np.bool_],
    beta: float,
    spacing: NDArray[np.float64],
) -> NDArray[np.int32]:
    """Labels in one connected part of the mask."""
    known = np.unique(seeds[own & (seeds > 0)])
    if not known.size or not (own & (seeds == 0)).any():
        return seeds
    if known.size == 1:
        return np.full(seeds.shape, known[0], dtype=np.int32)
    numbered = np.where(own, 0, -1)
    seeded = own & (seeds > 0)
    numbered[seeded] = np.searchsorted(known, seeds[seeded]) + 1
    # scikit-image divides beta by the deviation of the crop, which has been done for the whole
    # image; and it cannot divide by that of constant features, where no weight but 1 occurs.
    strength = beta * features.std()
    if strength == 0:
        features = np.broadcast_to(np.arange(seeds.size, dtype=float), (1, seeds.size))
        features = features.reshape(1, *seeds.shape)
    found = random_walker(
        np.moveaxis(features, 0, -1),
        numbered,
        beta=strength,
        mode='cg_j',
        tol=1e-4,
        channel_axis=-1,
        spacing=spacing,
        # Rounding may leave [0, 1] by more than that; only the largest value counts.
        prob_tol=np.inf,
    )
    names = np.concatenate([[0], known]).astype(np.int32)
    return np.asarray(names[np.maximum(found, 0)])
