"""What every adaptive decoder computes of scaled channels, and what it must know of the image.

Formulas and their sources: docs/methods.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.filters import threshold_otsu

from napari_flim.engine.channel_statistics import BINS, ChannelContents
from napari_flim.engine.decoder_settings import DECODERS, DecoderSettings
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


@dataclass(frozen=True, eq=False)
class Whole:
    """What is known of the scaled channels of the whole image.

    Attributes
    ----------
    alive : (K,) bool tensor
        Channels that are not constant.
    contents : ChannelContents, optional
    """

    alive: torch.Tensor
    contents: ChannelContents | None

    @property
    def counted(self) -> ChannelContents:
        """The contents; a `DecoderError` where they were not given for a part of an image."""
        if self.contents is None:
            raise DecoderError('The decoder was given no contents; call measure_contents first.')
        return self.contents


def _mean_per_voxel(
    channels: torch.Tensor, is_object: torch.Tensor, settings: DecoderSettings, whole: Whole
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
    channels: torch.Tensor, is_object: torch.Tensor, settings: DecoderSettings, whole: Whole
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


def _label(
    channels: torch.Tensor, is_object: torch.Tensor, settings: DecoderSettings, whole: Whole
) -> Decoded:
    """``lm``: +1 for kernels of the object, -1 for the others."""
    return _weighted(channels, torch.where(is_object, 1.0, -1.0), settings, whole)


def _label_balanced(
    channels: torch.Tensor, is_object: torch.Tensor, settings: DecoderSettings, whole: Whole
) -> Decoded:
    """Mean of the object's channels minus ``ratio`` times the mean of the others."""
    own, other = is_object.sum(), (~is_object).sum()
    weights = torch.where(is_object, 1.0 / own, -settings.ratio / other)
    return _weighted(channels, weights, settings, whole)


def _original(
    channels: torch.Tensor, is_object: torch.Tensor, settings: DecoderSettings, whole: Whole
) -> Decoded:
    """The first published rule: a low mean makes a channel object, a high mean background."""
    low, high = _by_mean(whole, settings.band)
    return _weighted(channels, low.float() - high.float(), settings, whole)


def _tristate(
    channels: torch.Tensor, is_object: torch.Tensor, settings: DecoderSettings, whole: Whole
) -> Decoded:
    """``ts``: `_original`, if the share of voxels above the channel's own threshold agrees."""
    return _weighted(channels, _tristate_weights(whole, settings.band), settings, whole)


def _hybrid(
    channels: torch.Tensor, is_object: torch.Tensor, settings: DecoderSettings, whole: Whole
) -> Decoded:
    """``lt``: 0 for kernels of the background, the tri-state weight for those of the object."""
    weights = _tristate_weights(whole, settings.band) * is_object
    return _weighted(channels, weights, settings, whole)


def _attention(
    channels: torch.Tensor, is_object: torch.Tensor, settings: DecoderSettings, whole: Whole
) -> Decoded:
    """``at``: channels unlike the common picture are object, channels like it are background."""
    alive = whole.alive
    if not alive.any():
        return _weighted(
            channels, torch.zeros(len(channels), device=channels.device), settings, whole
        )
    cosine = torch.from_numpy(_likeness(whole.counted)).to(channels.device)
    centre, deviation = cosine[alive].mean(), cosine[alive].std(correction=0)
    low = (cosine < centre - deviation / 2) & alive
    high = (cosine > centre + deviation / 2) & alive
    return _weighted(channels, low.float() - high.float(), settings, whole)


def _likeness(contents: ChannelContents) -> NDArray[np.float64]:
    """Cosine of every channel with the common picture.

    The common picture is the maximum over the channels plus their mean, each stretched to [0, 1];
    all inner products follow from those of the channels, the maximum and the mean.
    """
    lowest, highest, total = contents.common.T
    span = np.where(highest > lowest, highest - lowest, np.inf)
    scale, offset = 1 / span, (-lowest / span).sum()
    products = contents.likeness
    with_channels = products[:-2, -2:] @ scale + offset * contents.sums
    squared = scale @ products[-2:, -2:] @ scale + 2 * offset * (scale @ total)
    squared += contents.voxels * offset**2
    lengths = np.sqrt(np.diag(products)[:-2] * max(squared, 0.0))
    return np.asarray(with_channels / np.where(lengths > 0, lengths, 1.0))


def _manual(
    channels: torch.Tensor, is_object: torch.Tensor, settings: DecoderSettings, whole: Whole
) -> Decoded:
    """The weights of the settings."""
    weights = torch.tensor(settings.weights, device=channels.device)
    return _weighted(channels, weights, settings, whole)


def _weighted(
    channels: torch.Tensor, automatic: torch.Tensor, settings: DecoderSettings, whole: Whole
) -> Decoded:
    """The sum of the channels with one weight each; a weight set by hand comes first."""
    weights = automatic.to(channels.dtype)
    if not DECODERS[settings.name].needs_labels:
        for kernel, weight in settings.overrides:
            weights[kernel] = weight
    weights = weights * whole.alive
    saliency = torch.tensordot(weights, channels, dims=1)[None]
    return Decoded(saliency.clamp_(min=0), weights)


def _by_mean(whole: Whole, band: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Which channels have a clearly low, and which a clearly high, mean."""
    alive = whole.alive
    if not alive.any():
        return alive, alive
    means = torch.from_numpy(whole.counted.sums / whole.counted.voxels).to(alive.device)
    threshold = otsu_of_values(means[alive].numpy(force=True))
    width = band * means[alive].std(correction=0)
    return (means <= threshold - width) & alive, (means >= threshold + width) & alive


def _tristate_weights(whole: Whole, band: float) -> torch.Tensor:
    low, high = _by_mean(whole, band)
    weights = torch.zeros(len(low), device=low.device)
    centres = (np.arange(BINS) + 0.5) / BINS
    for index in torch.nonzero(low | high).flatten().tolist():
        threshold = threshold_otsu(hist=(whole.counted.histogram[index], centres))
        above = whole.counted.above[index, int(threshold * BINS)]
        share = above / whole.counted.voxels
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


FUNCTIONS: dict[str, Callable[[torch.Tensor, torch.Tensor, DecoderSettings, Whole], Decoded]] = {
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
"""For every name of `DECODERS` what it computes of scaled channels, a mask of the object's kernels,
the settings and what is known of the whole image."""
