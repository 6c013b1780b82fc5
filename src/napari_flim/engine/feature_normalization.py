"""Normalising features: marker-based, and the linear and batch normalisations of the lecture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

from napari_flim.engine.normalization import Normalization


def normalize(features: torch.Tensor, normalization: Normalization) -> torch.Tensor:
    """Centre and scale every channel of (C, \\*S) features by what was measured on markers."""
    shape = (-1,) + (1,) * (features.ndim - 1)
    mean = torch.from_numpy(normalization.mean).to(features.device).reshape(shape)
    std = torch.from_numpy(normalization.std).to(features.device).reshape(shape)
    return (features - mean) / std


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
