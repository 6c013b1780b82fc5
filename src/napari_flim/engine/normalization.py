"""Marker-based normalisation: how the expert's markers centre and scale what a block reads.

Mean and deviation are measured at marker voxels only, so that a patch is described by how it
differs from what the expert pointed at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_flim.errors import LearningError


@dataclass(frozen=True, eq=False)
class Normalization:
    """Mean and deviation with which a block normalises its input, channel by channel.

    Attributes
    ----------
    mean, std : (C,) float32 arrays
        ``std`` already includes the architecture's epsilon and is never zero.
        The mean is also what lies outside the image, so padding is neutral.
    """

    mean: NDArray[np.float32]
    std: NDArray[np.float32]


def marker_statistics(
    values: NDArray[np.floating],
    epsilon: float,
    weights: NDArray[np.floating] | None = None,
) -> Normalization:
    """Weighted mean and population deviation over marker voxels, deviation plus epsilon.

    Parameters
    ----------
    values : (M, C) array
        Channel values (or patch elements) at the marker voxels.
    epsilon : float
        Added to every deviation.
    weights : (M,) array, optional
        Weight of each voxel; equal by default.

    Examples
    --------
    >>> statistics = marker_statistics(np.array([[0.0], [2.0]]), epsilon=0.01)
    >>> statistics.mean, statistics.std
    (array([1.], dtype=float32), array([1.01], dtype=float32))
    """
    values = np.asarray(values, dtype=np.float64)
    if not len(values):
        raise LearningError(
            'No marker voxel lies inside the images; paint at least one marker on an image.'
        )
    mean = np.average(values, axis=0, weights=weights)
    std = np.sqrt(np.average((values - mean) ** 2, axis=0, weights=weights)) + epsilon
    std = np.where(std > 0, std, 1.0)
    return Normalization(mean.astype(np.float32), std.astype(np.float32))


def object_oversampling(classes: NDArray[np.integer], share: float) -> NDArray[np.float64]:
    """Voxel weights that give all objects together the wanted share of the statistics.

    Parameters
    ----------
    classes : (M,) int array
        1 background, 2.. objects.
    share : float
        Wanted share of object voxels, between 0 and 1 (VISAPP24, 10.5220/0012385900003660).
    """
    if not 0 < share < 1:
        raise LearningError(f'The object share is {share!r}; expected a number between 0 and 1.')
    objects = classes > 1
    counts = objects.sum(), (~objects).sum()
    if not all(counts):
        return np.ones(len(classes))
    weights: NDArray[np.float64] = np.where(objects, share / counts[0], (1 - share) / counts[1])
    return weights
