"""Marker-based normalisation, and the linear and batch normalisations of the lecture.

Marker-based normalisation measures mean and deviation at marker voxels only, so that a patch is
described by how it differs from what the expert pointed at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
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

    def apply(self, features: torch.Tensor) -> torch.Tensor:
        """Normalise (C, \\*S) features."""
        shape = (-1,) + (1,) * (features.ndim - 1)
        mean = torch.from_numpy(self.mean).to(features.device).reshape(shape)
        std = torch.from_numpy(self.std).to(features.device).reshape(shape)
        return (features - mean) / std


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


def linear_normalization(
    images: Sequence[torch.Tensor],
    over: Literal['image', 'set', 'set_pixelwise'] = 'image',
) -> list[torch.Tensor]:
    """Stretch every channel to [0, 1]; a constant channel becomes 0.

    Parameters
    ----------
    images : sequence of (C, \\*S) tensors
    over : {'image', 'set', 'set_pixelwise'}
        Extremes are taken over each image, over all voxels of all images, or over the images at
        each voxel (as the lecture prints it; needs equal shapes).
    """
    if over == 'image':
        return [_stretch(x, *_extremes(x.flatten(1), x.ndim)) for x in images]
    if over == 'set':
        together = torch.cat([x.flatten(1) for x in images], dim=1)
        return [_stretch(x, *_extremes(together, x.ndim)) for x in images]
    stacked = torch.stack(list(images))
    return [_stretch(x, stacked.amin(0), stacked.amax(0)) for x in images]


def _extremes(values: torch.Tensor, ndim: int) -> tuple[torch.Tensor, torch.Tensor]:
    shape = (-1,) + (1,) * (ndim - 1)
    return values.amin(1).reshape(shape), values.amax(1).reshape(shape)


def _stretch(x: torch.Tensor, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    span = high - low
    return torch.where(span > 0, (x - low) / torch.where(span > 0, span, 1.0), 0.0)


def batch_normalization(
    images: torch.Tensor,
    over: Literal['voxel', 'channel'] = 'voxel',
    *,
    gamma: float = 1.0,
    beta: float = 0.0,
    epsilon: float = 0.0,
) -> torch.Tensor:
    """Centre and scale a set of images.

    Parameters
    ----------
    images : (B, C, \\*S) tensor
    over : {'voxel', 'channel'}
        ``voxel``: statistics over the images at each voxel, variance divided by n - 1 (the
        lecture). ``channel``: over images and voxels, variance divided by n (torch's BatchNorm).
    gamma, beta : float
        Scale and shift of the result.
    epsilon : float
        Added to the variance.
    """
    if over == 'voxel':
        mean, variance = images.mean(0, keepdim=True), images.var(0, correction=1, keepdim=True)
    else:
        axes = (0, *range(2, images.ndim))
        mean = images.mean(axes, keepdim=True)
        variance = images.var(axes, correction=0, keepdim=True)
    return gamma * (images - mean) / torch.sqrt(variance + epsilon) + beta
