"""What decoders must know of the channels of a whole image; statistics of its parts add up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

BINS = 256
"""Bins of the histogram of a channel, as scikit-image's Otsu takes them."""


@dataclass(frozen=True, eq=False)
class ChannelRanges:
    """Lowest and highest value of every channel, where negative values count as 0.

    Attributes
    ----------
    lowest, highest : (K,) float32 array
    """

    lowest: NDArray[np.float32]
    highest: NDArray[np.float32]

    def joined(self, other: ChannelRanges) -> ChannelRanges:
        """The ranges of both parts together."""
        return ChannelRanges(
            np.minimum(self.lowest, other.lowest), np.maximum(self.highest, other.highest)
        )


@dataclass(frozen=True, eq=False)
class ChannelContents:
    """Sums over the voxels of scaled channels.

    Attributes
    ----------
    voxels : int
        Voxels of each channel.
    sums : (K,) float64 array
        Sum of each channel.
    histogram : (K, 256) int64 array
        Voxels in bins of equal width from 0 to 1; the last one holds 1.
    above : (K, 256) int64 array
        Voxels above the centre of each bin.
    likeness : (K + 2, K + 2) float64 array
        Inner products of the channels, of their maximum and of their mean at each voxel.
    common : (2, 3) float64 array
        Lowest value, highest value and sum of that maximum and of that mean.

    Only what the decoder needs is counted; the other arrays are empty.
    """

    voxels: int
    sums: NDArray[np.float64]
    histogram: NDArray[np.int64]
    above: NDArray[np.int64]
    likeness: NDArray[np.float64]
    common: NDArray[np.float64]

    def joined(self, other: ChannelContents) -> ChannelContents:
        """The contents of both parts together."""
        common = self.common + other.common
        if common.size:
            common[:, 0] = np.minimum(self.common[:, 0], other.common[:, 0])
            common[:, 1] = np.maximum(self.common[:, 1], other.common[:, 1])
        return ChannelContents(
            self.voxels + other.voxels,
            self.sums + other.sums,
            self.histogram + other.histogram,
            self.above + other.above,
            self.likeness + other.likeness,
            common,
        )


def channel_ranges(activations: torch.Tensor) -> ChannelRanges:
    """Ranges of channels.

    Parameters
    ----------
    activations : (K, \\*S) tensor

    Examples
    --------
    >>> channel_ranges(torch.tensor([[-1.0, 4.0]])).lowest
    array([0.], dtype=float32)
    """
    flat = activations.flatten(1)
    limits = torch.stack(torch.aminmax(flat, dim=1)).clamp_(min=0).numpy(force=True)
    return ChannelRanges(*limits)


def channel_contents(
    scaled: torch.Tensor, *, histogram: bool = False, likeness: bool = False
) -> ChannelContents:
    """Contents of scaled channels.

    Parameters
    ----------
    scaled : (K, \\*S) tensor in [0, 1]
    histogram : bool
        Whether to count histograms.
    likeness : bool
        Whether to compare channels with what they have in common.
    """
    flat = scaled.flatten(1)
    sums = flat.sum(dim=1, dtype=torch.float64).numpy(force=True)
    counts = above = np.zeros((0, BINS), dtype=np.int64)
    products, common = np.zeros((0, 0)), np.zeros((0, 3))
    if histogram:
        counted = [_counts(channel) for channel in flat]
        counts = np.stack([pair[0] for pair in counted])
        above = np.stack([pair[1] for pair in counted])
    if likeness:
        exact = flat.double()
        shared = torch.stack([exact.amax(dim=0), exact.mean(dim=0)])
        exact = torch.cat([exact, shared])
        products = (exact @ exact.T).numpy(force=True)
        limits = [shared.amin(dim=1), shared.amax(dim=1), shared.sum(dim=1)]
        common = torch.stack(limits, dim=1).numpy(force=True)
    return ChannelContents(flat.shape[1], sums, counts, above, products, common)


def _counts(channel: torch.Tensor) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Histogram, and voxels above the centre of each bin; both exact, since widths are 2**-n."""
    index = (channel * BINS).long().clamp_(max=BINS - 1)
    histogram = torch.bincount(index, minlength=BINS).numpy(force=True)
    halves = torch.bincount((channel * (2 * BINS)).ceil().long(), minlength=2 * BINS + 1)
    beyond = halves.flip(0).cumsum(0).flip(0)
    return histogram, beyond[2::2].numpy(force=True)
