"""From the channels of the decoded block to saliency of every object class."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from napari_flim.engine.channel_statistics import ChannelContents, ChannelRanges
from napari_flim.engine.decoder_settings import DecoderSettings, counted_classes
from napari_flim.engine.decoders import decode
from napari_flim.engine.kernels import LearnedBlock
from napari_flim.engine.operations import resample


@torch.inference_mode()
def class_maps(
    channels: torch.Tensor,
    block: LearnedBlock,
    decoder: DecoderSettings,
    object_classes: Sequence[int],
    stride: Sequence[int],
    shape: Sequence[int],
    *,
    ranges: ChannelRanges | None = None,
    contents: ChannelContents | None = None,
) -> torch.Tensor:
    """What is salient of every object class, before it is stretched to [0, 1].

    Each map is divided by the number of kernels of its class, so that classes compare.

    Parameters
    ----------
    channels : (K, \\*S') tensor
        Of an image or a part of it; left as they are.
    block : LearnedBlock
        The decoded block.
    decoder : DecoderSettings
    object_classes : sequence of int
    stride : sequence of int
        Accumulated stride of the block.
    shape : sequence of int
        Spatial shape of the image or part.
    ranges, contents
        Of the whole image, for a part of it; see `napari_flim.engine.decoders.decode`.

    Returns
    -------
    (L, \\*shape) float32 tensor, not negative

    Raises
    ------
    DecoderError
        When the decoder cannot work with these kernels.
    """
    classes = block.bank.classes
    maps = decode(
        channels, classes, decoder, object_classes, ranges=ranges, contents=contents
    ).saliency
    if len(maps) > 1:
        counted = counted_classes(decoder, classes, object_classes)
        counts = [int((counted == number).sum()) for number in object_classes]
        spatial = (1,) * (maps.ndim - 1)
        maps = maps / torch.tensor(counts, device=maps.device).reshape(-1, *spatial)
    return resample(maps, stride, shape)


def stretched(maps: torch.Tensor, lowest: float, highest: float) -> torch.Tensor:
    """Maps in [0, 1], for the lowest and the highest value of the whole image."""
    return (maps - lowest) / (highest - lowest) if highest > lowest else torch.zeros_like(maps)
