"""Adaptive decoders: from the activation channels of one block to saliency.

Every decoder weights the channels anew for each image, or each voxel, and sums them:
``S(p) = ReLU(sum_i w_i(p) A_i(p))``. One signature: ``decode``. A part of an image is decoded like
the whole when what must be known of the whole is given.

Channels are divided by their maximum (decoders per voxel) or stretched from minimum to maximum
(decoders per channel) at the resolution of the block; a dead channel gets weight 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from napari_flim.engine.channel_statistics import (
    ChannelContents,
    ChannelRanges,
    channel_contents,
    channel_ranges,
)
from napari_flim.engine.decoder_functions import (
    FUNCTIONS,
    Decoded,
    Whole,
)
from napari_flim.engine.decoder_settings import (
    DECODERS,
    LEFT_OUT,
    DecoderSettings,
    check_decoder,
    counted_classes,
)
from napari_flim.errors import DecoderError


@torch.inference_mode()
def decode(
    activations: torch.Tensor,
    classes: NDArray[np.integer],
    settings: DecoderSettings,
    object_classes: Sequence[int],
    *,
    ranges: ChannelRanges | None = None,
    contents: ChannelContents | None = None,
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
    ranges : ChannelRanges, optional
        Of the whole image, when the activations are those of a part of it.
    contents : ChannelContents, optional
        The same, as `measure_contents` counts them, for decoders that need them.

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
        settings = settings.of_kernels(kept.tolist())
    scaled, alive = _scaled(activations, kept, settings.name, ranges)
    if contents is None and needs_contents(settings.name):
        contents = _contents(scaled, settings.name)
    whole = Whole(alive, contents)
    maps, weights = [], []
    for number in object_classes:
        is_object = torch.from_numpy(counted[kept] == number).to(activations.device)
        decoded = FUNCTIONS[settings.name](scaled, is_object, settings, whole)
        maps.append(decoded.saliency)
        if decoded.weights is not None:
            weights.append(_of_all(decoded.weights, kept, len(counted)))
    return Decoded(torch.cat(maps), torch.stack(weights) if weights else None)


def needs_contents(name: str) -> bool:
    """Whether a decoder must know more of the whole image than the ranges of its channels."""
    return DECODERS[name].contents is not None


@torch.inference_mode()
def measure_contents(
    activations: torch.Tensor,
    classes: NDArray[np.integer],
    settings: DecoderSettings,
    object_classes: Sequence[int],
    ranges: ChannelRanges,
) -> ChannelContents:
    """What a part of an image adds to the contents that `decode` needs of the whole.

    Parameters
    ----------
    activations : (K, \\*S) tensor
        Of the part.
    classes, settings, object_classes
        As for `decode`.
    ranges : ChannelRanges
        Of the whole image.
    """
    counted = counted_classes(settings, classes, object_classes)
    scaled, _ = _scaled(activations, np.flatnonzero(counted != LEFT_OUT), settings.name, ranges)
    return _contents(scaled, settings.name)


def _contents(scaled: torch.Tensor, name: str) -> ChannelContents:
    counted = DECODERS[name].contents
    return channel_contents(
        scaled, histogram=counted == 'histogram', likeness=counted == 'likeness'
    )


def _of_all(weights: torch.Tensor, kept: NDArray[np.intp], count: int) -> torch.Tensor:
    """Weights of all kernels: 0 for those that were left out."""
    if len(kept) == count:
        return weights
    spread = weights.new_zeros(count, *weights.shape[1:])
    spread[kept] = weights
    return spread


def _scaled(
    activations: torch.Tensor, kept: NDArray[np.intp], name: str, ranges: ChannelRanges | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The channels that count, scaled, and which of them are not dead."""
    ranges = ranges or channel_ranges(activations)
    ranges = ChannelRanges(ranges.lowest[kept], ranges.highest[kept])
    stretched = DECODERS[name].stretched
    if len(kept) < len(activations):
        activations = activations[kept]
    alive = torch.from_numpy(ranges.highest > (ranges.lowest if stretched else 0))
    return scale_channels(activations, stretched, ranges), alive.to(activations.device)


def scale_channels(
    activations: torch.Tensor, stretched: bool, ranges: ChannelRanges
) -> torch.Tensor:
    """Channels in [0, 1]: divided by their maximum, or stretched from minimum to maximum."""
    shape = (-1,) + (1,) * (activations.ndim - 1)
    lowest = ranges.lowest if stretched else np.zeros_like(ranges.lowest)
    span = np.where(ranges.highest > lowest, ranges.highest - lowest, np.float32(1))
    first, width = (torch.from_numpy(a).to(activations).reshape(shape) for a in (lowest, span))
    return activations.clamp(min=0).sub_(first).div_(width)
