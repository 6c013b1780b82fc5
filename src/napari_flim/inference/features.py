"""Channels of several blocks, and of the input, as one stack of image size."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from napari_flim.engine.encoder import Encoder
from napari_flim.engine.operations import resample


def feature_stack(
    encoder: Encoder,
    features: torch.Tensor,
    blocks: Sequence[int],
    *,
    include_input: bool = False,
) -> torch.Tensor:
    """Activation channels of the named blocks, brought to image size and stacked.

    Every pooled voxel is put back where it came from, so channels of different blocks describe
    the same place.

    Parameters
    ----------
    encoder : Encoder
    features : (C, \\*S) tensor
        What block 1 reads.
    blocks : sequence of int
        Block numbers from 1.
    include_input : bool
        Put ``features`` in front.

    Returns
    -------
    (channels, \\*S) tensor
    """
    shape = features.shape[1:]
    strides = encoder.architecture.strides(encoder.ndim)
    ordered = sorted(set(blocks))
    maps = encoder.activations(features, ordered)
    resampled = [
        resample(channels, strides[block - 1], shape)
        for block, channels in zip(ordered, maps, strict=True)
    ]
    return torch.cat([features, *resampled] if include_input else resampled)
