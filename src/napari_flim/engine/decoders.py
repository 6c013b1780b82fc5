"""Adaptive decoders: from the activation channels of one block to saliency.

Every decoder weights the channels anew for each image, or each voxel, and sums them:
``S(p) = ReLU(sum_i w_i(p) A_i(p))``. One signature: ``decode``.

Channels are divided by their maximum (decoders per voxel) or stretched from minimum to maximum
(decoders per channel) at the resolution of the block; a dead channel gets weight 0. Formulas and
their sources: docs/methods.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.filters import threshold_otsu

from napari_flim.engine.decoder_settings import (
    DECODERS,
    LEFT_OUT,
    DecoderSettings,
    check_decoder,
    counted_classes,
)
from napari_flim.engine.operations import STRIP_BYTES
from napari_flim.engine.pooling import pool
from napari_flim.engine.thresholds import otsu_of_values
from napari_flim.errors import DecoderError

SMALLEST_VARIANCE = 1e-7


@dataclass(frozen=True, eq=False)
class Decoded:
    """What a decoder made of the channels of a block.

    Attributes
    ----------
    saliency : (L, \\*S) float32 tensor
        One map for each object class, not negative, at the resolution of the block.
    weights : (L, K) or (L, K, \\*S) tensor, or None
        The weights of the channels, 0 for those left out; None where a closed form never makes
        them.
    """

    saliency: torch.Tensor
    weights: torch.Tensor | None = field(default=None)


@torch.inference_mode()
def decode(
    activations: torch.Tensor,
    classes: NDArray[np.integer],
    settings: DecoderSettings,
    object_classes: Sequence[int],
) -> Decoded:
    """Saliency of every object class.

    Parameters
    ----------
    activations : (K, \\*S) tensor
        Channels of one block; negative values count as 0.
    classes : (K,) int array
        Class of each kernel: 1 background, 2.. objects, 0 unknown.
    settings : DecoderSettings
    object_classes : sequence of int
        For each of them, its kernels are the object and all others the background.

    Raises
    ------
    DecoderError
        See `check_decoder`; or when channels and classes do not match.

    Examples
    --------
    >>> channels = torch.tensor([[[0.0, 4.0]], [[2.0, 0.0]]])
    >>> decode(channels, np.array([2, 1]), DecoderSettings('label'), [2]).saliency
    tensor([[[0., 1.]]])
    """
    if len(activations) != len(classes):
        raise DecoderError(f'{len(activations)} channels came with {len(classes)} classes.')
    check_decoder(settings, classes, object_classes)
    counted = counted_classes(settings, classes, object_classes)
    kept = np.flatnonzero(counted != LEFT_OUT)
    if len(kept) < len(counted):
        activations, settings = activations[kept], settings.of_kernels(kept.tolist())
    scaled = scale_channels(activations, DECODERS[settings.name].stretched)
    maps, weights = [], []
    for number in object_classes:
        is_object = torch.from_numpy(counted[kept] == number)
        decoded = FUNCTIONS[settings.name](scaled, is_object.to(activations.device), settings)
        maps.append(decoded.saliency)
        if decoded.weights is not None:
            weights.append(_of_all(decoded.weights, kept, len(counted)))
    return Decoded(torch.cat(maps), torch.stack(weights) if weights else None)


def _of_all(weights: torch.Tensor, kept: NDArray[np.intp], count: int) -> torch.Tensor:
    """Weights of all kernels: 0 for those that were left out."""
    if len(kept) == count:
        return weights
    spread = weights.new_zeros(count, *weights.shape[1:])
    spread[kept] = weights
    return spread


def scale_channels(activations: torch.Tensor, stretched: bool) -> torch.Tensor:
    """Channels in [0, 1]: divided by their maximum, or stretched from minimum to maximum."""
    positive = activations.clamp(min=0)
    flat = positive.flatten(1)
    shape = (-1,) + (1,) * (activations.ndim - 1)
    lowest = flat.amin(dim=1).reshape(shape) if stretched else 0.0
    span = flat.amax(dim=1).reshape(shape) - lowest
    return positive.sub_(lowest).div_(torch.where(span > 0, span, 1.0))


def _mean_per_voxel(
    channels: torch.Tensor, is_object: torch.Tensor, settings: DecoderSettings
) -> Decoded:
    """``mb``: where the object's channels are higher in the mean over a disk, their sum.

    Closed form: where the object wins, every background channel has weight 0 and every object
    channel 1; elsewhere the sum is not positive.
    """
    own, other = _sum_over(channels, is_object), _sum_over(channels, ~is_object)
    if settings.by_sum:
        return Decoded(own * (_disk_sum(own - other) > 0))
    difference = own / is_object.sum() - other / (~is_object).sum()
    return Decoded(own * (_disk_sum(difference) > 0))


def _probability(
    channels: torch.Tensor, is_object: torch.Tensor, settings: DecoderSettings
) -> Decoded:
    """``pb``: a channel counts where its value is likelier under its own class.

    Mean and variance over a disk follow from two sums for each class. Comparing squared distances
    over variances has the sign of comparing the Gaussians, and cannot underflow.
    """
    exact = channels.double()
    inside = _disk_sum(torch.ones_like(exact[:1]))
    disk = float(3 ** (channels.ndim - 1)) if settings.full_disk else inside
    distances = []
    for member in (is_object, ~is_object):
        count = int(member.sum())
        total = _disk_sum(exact[member].sum(dim=0, keepdim=True))
        squares = _disk_sum((exact[member] ** 2).sum(dim=0, keepdim=True))
        mean = total / (count * disk)
        spread = squares - 2 * mean * total + count * inside * mean**2
        variance = spread / (count * disk)
        variance = torch.where(variance <= SMALLEST_VARIANCE, 1.0, variance)
        distances.append((exact - mean) ** 2 / variance)
    to_object, to_other = distances
    sign = torch.where(is_object, 1.0, -1.0).double().reshape((-1,) + (1,) * (channels.ndim - 1))
    nearer = torch.where(sign > 0, to_object < to_other, to_other < to_object)
    weights = sign * nearer
    saliency = (weights * exact).sum(dim=0, keepdim=True).clamp_(min=0)
    return Decoded(saliency.float(), weights.to(torch.int8))


def _label(channels: torch.Tensor, is_object: torch.Tensor, settings: DecoderSettings) -> Decoded:
    """``lm``: +1 for kernels of the object, -1 for the others."""
    return _weighted(channels, torch.where(is_object, 1.0, -1.0), settings)


def _label_balanced(
    channels: torch.Tensor, is_object: torch.Tensor, settings: DecoderSettings
) -> Decoded:
    """Mean of the object's channels minus ``ratio`` times the mean of the others."""
    own, other = is_object.sum(), (~is_object).sum()
    weights = torch.where(is_object, 1.0 / own, -settings.ratio / other)
    return _weighted(channels, weights, settings)


def _original(
    channels: torch.Tensor, is_object: torch.Tensor, settings: DecoderSettings
) -> Decoded:
    """The first published rule: a low mean makes a channel object, a high mean background."""
    low, high = _by_mean(channels, settings.band)
    return _weighted(channels, low.float() - high.float(), settings)


def _tristate(
    channels: torch.Tensor, is_object: torch.Tensor, settings: DecoderSettings
) -> Decoded:
    """``ts``: `_original`, if the share of voxels above the channel's own threshold agrees."""
    return _weighted(channels, _tristate_weights(channels, settings.band), settings)


def _hybrid(channels: torch.Tensor, is_object: torch.Tensor, settings: DecoderSettings) -> Decoded:
    """``lt``: 0 for kernels of the background, the tri-state weight for those of the object."""
    return _weighted(channels, _tristate_weights(channels, settings.band) * is_object, settings)


def _attention(
    channels: torch.Tensor, is_object: torch.Tensor, settings: DecoderSettings
) -> Decoded:
    """``at``: channels unlike the common picture are object, channels like it are background."""
    flat = channels.flatten(1).double()
    alive = flat.amax(dim=1) > 0
    if not alive.any():
        return _weighted(channels, torch.zeros(len(channels), device=channels.device), settings)
    common = _minmax(flat.amax(dim=0)) + _minmax(flat.mean(dim=0))
    lengths = flat.norm(dim=1) * common.norm()
    cosine = (flat @ common) / torch.where(lengths > 0, lengths, 1.0)
    centre, deviation = cosine[alive].mean(), cosine[alive].std(correction=0)
    low = (cosine < centre - deviation / 2) & alive
    high = (cosine > centre + deviation / 2) & alive
    return _weighted(channels, low.float() - high.float(), settings)


def _manual(channels: torch.Tensor, is_object: torch.Tensor, settings: DecoderSettings) -> Decoded:
    """The weights of the settings."""
    return _weighted(channels, torch.tensor(settings.weights, device=channels.device), settings)


def _weighted(
    channels: torch.Tensor, automatic: torch.Tensor, settings: DecoderSettings
) -> Decoded:
    """The sum of the channels with one weight each; a weight set by hand comes first."""
    alive = channels.flatten(1).amax(dim=1) > 0
    weights = automatic.to(channels.dtype)
    if not DECODERS[settings.name].needs_labels:
        for kernel, weight in settings.overrides:
            weights[kernel] = weight
    weights = weights * alive
    saliency = torch.tensordot(weights, channels, dims=1)[None]
    return Decoded(saliency.clamp_(min=0), weights)


def _by_mean(channels: torch.Tensor, band: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Which channels have a clearly low, and which a clearly high, mean."""
    flat = channels.flatten(1)
    alive = flat.amax(dim=1) > 0
    means = flat.mean(dim=1, dtype=torch.float64)
    if not alive.any():
        return alive, alive
    threshold = otsu_of_values(means[alive].numpy(force=True))
    width = band * means[alive].std(correction=0)
    return (means <= threshold - width) & alive, (means >= threshold + width) & alive


def _tristate_weights(channels: torch.Tensor, band: float) -> torch.Tensor:
    low, high = _by_mean(channels, band)
    weights = torch.zeros(len(channels), device=channels.device)
    for index in torch.nonzero(low | high).flatten().tolist():
        values = channels[index].flatten().numpy(force=True)
        share = float((values > threshold_otsu(values)).mean())
        if high[index] and share > 0.2:
            weights[index] = -1.0
        elif low[index] and share < 0.1:
            weights[index] = 1.0
    return weights


def _sum_over(channels: torch.Tensor, member: torch.Tensor) -> torch.Tensor:
    """Sum of the chosen channels (1, \\*S), some rows at a time, which stay in the cache."""
    rows = channels.shape[1]
    step = max(1, STRIP_BYTES * rows // max(1, channels.numel() * channels.element_size()))
    parts = [channels[:, first : first + step] for first in range(0, rows, step)]
    return torch.cat([part[member].sum(dim=0, keepdim=True) for part in parts], dim=1)


def _disk_sum(maps: torch.Tensor) -> torch.Tensor:
    """Sum over the disk of radius root 2 (9 pixels) or ball of radius root 3 (27 voxels)."""
    ndim = maps.ndim - 1
    return pool(maps, (3,) * ndim, (1,) * ndim, 'average') * float(3**ndim)


def _minmax(values: torch.Tensor) -> torch.Tensor:
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else torch.zeros_like(values)


FUNCTIONS: dict[str, Callable[[torch.Tensor, torch.Tensor, DecoderSettings], Decoded]] = {
    'mean': _mean_per_voxel,
    'probability': _probability,
    'label': _label,
    'label_balanced': _label_balanced,
    'hybrid': _hybrid,
    'tristate': _tristate,
    'original': _original,
    'attention': _attention,
    'manual': _manual,
}
"""For every name of `DECODERS` what it computes of scaled channels, a mask of the object's kernels
and the settings."""
