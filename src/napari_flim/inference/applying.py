"""An encoder applied to parts of one image, each read with the halo that it needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray

from napari_flim.engine.architecture import Architecture
from napari_flim.engine.decoder_settings import DecoderSettings
from napari_flim.engine.encoder import Encoder
from napari_flim.engine.image import Box, Image
from napari_flim.engine.input_features import input_features
from napari_flim.engine.kernels import LearnedBlock
from napari_flim.engine.linear_decoder import LinearDecoder
from napari_flim.engine.operations import resample
from napari_flim.engine.preprocessing import InputTransform, Ranges
from napari_flim.errors import DecoderError
from napari_flim.inference.tiles import Tile

SLAB = 2**19
"""Voxels whose channels of block 1 are computed at once for delineation."""


@dataclass(frozen=True, eq=False)
class Applying:
    """What is applied, and to which image; can be sent to another process.

    Attributes
    ----------
    image : Image
        In memory or lazy.
    transform : InputTransform
    intensities : tuple of (low, high)
        `InputTransform.statistics` of the image.
    blocks : tuple of LearnedBlock
    decoder : DecoderSettings
    decoded_block : int
        From 1.
    object_classes : tuple of int
    linear : LinearDecoder, optional
        What decodes in place of an adaptive decoder; it reads the decoded block and earlier ones.
    """

    image: Image
    transform: InputTransform
    intensities: Ranges
    blocks: tuple[LearnedBlock, ...]
    decoder: DecoderSettings
    decoded_block: int
    object_classes: tuple[int, ...]
    linear: LinearDecoder | None = None

    @cached_property
    def encoder(self) -> Encoder:
        """The blocks up to the decoded one as a torch module."""
        return Encoder(self.blocks[: self.decoded_block])

    @property
    def architecture(self) -> Architecture:
        """Of these blocks."""
        return self.encoder.architecture

    @property
    def stride(self) -> tuple[int, ...]:
        """Accumulated stride of the decoded block."""
        return self.architecture.strides(self.image.ndim)[-1]

    @property
    def halo(self) -> tuple[int, ...]:
        """Voxels to each side on which the saliency of a voxel depends.

        Beside what the channels depend on, a decoder averages over a disk, and saliency is
        interpolated between two voxels of the decoded block.
        """
        around = self._reach(self.decoded_block)
        channels = [h + 2 * s for h, s in zip(around, self.stride, strict=True)]
        if self.linear is None:
            return tuple(channels)
        read = self.linear.halo(self.image.spacing)
        return tuple(max(pair) for pair in zip(channels, read, strict=True))

    def features(self, box: Box) -> NDArray[np.float32]:
        """What block 1 reads of a part of the image: (C, \\*box) float32."""
        around = self.transform.halo(self.image.spacing)
        tile = self._around(box, around, (1,) * self.image.ndim)
        return _array(self._read(tile.read)[(slice(None), *tile.inside)])

    def learned(self, box: Box) -> NDArray[np.float32]:
        """Channels of block 1 at image size: (K, \\*box) float32."""
        shape = [part.stop - part.start for part in box]
        result = np.empty((len(self.blocks[0].bank), *shape), dtype=np.float32)
        # Slab by slab, since encoding takes several times the memory of what it gives.
        rows = max(1, SLAB // prod(shape[1:]))
        for start in range(0, shape[0], rows):
            first = box[0].start + start
            slab = slice(first, min(first + rows, box[0].stop))
            result[:, start : start + rows] = self._learned((slab, *box[1:]))
        return result

    def _learned(self, box: Box) -> NDArray[np.float32]:
        stride = self.architecture.strides(self.image.ndim)[0]
        around = [h + s for h, s in zip(self._reach(1), stride, strict=True)]
        tile = self._around(box, around, stride)
        features = self._read(tile.read)
        channels = resample(self.encoder.activations(features, [1])[0], stride, features.shape[1:])
        return _array(channels[(slice(None), *tile.inside)])

    def channels(self, tile: Tile) -> torch.Tensor:
        """Channels of the decoded block for all that a tile reads: (K, \\*S')."""
        return self.encoder.activations(self._read(tile.read), [self.decoded_block])[0]

    def probabilities(self, tile: Tile) -> torch.Tensor:
        """What the linear decoder makes of all that a tile reads: (L, \\*S) in [0, 1]."""
        if self.linear is None:
            raise DecoderError('There is no linear decoder; learn the model with decoder="linear".')
        features, blocks = self._read(tile.read), self.linear.blocks
        return self.linear.saliency(
            self.transform.single_scale(features),
            self.encoder.activations(features, blocks) if blocks else [],
            [self.architecture.strides(self.image.ndim)[block - 1] for block in blocks],
            self.image.spacing,
            self.object_classes,
        )

    def all_channels(self, box: Box) -> list[torch.Tensor]:
        """Channels of every block up to the decoded one, of a part read without a halo."""
        return self.encoder.activations(self._read(box), range(1, self.decoded_block + 1))

    def _read(self, box: Box) -> torch.Tensor:
        return input_features(self.transform, self.image.crop(box), self.intensities)

    def _reach(self, block: int) -> tuple[int, ...]:
        own = self.architecture.halo(self.image.ndim, block)
        read = self.transform.halo(self.image.spacing)
        return tuple(a + b for a, b in zip(own, read, strict=True))

    def _around(self, box: Box, halo: Sequence[int], stride: Sequence[int]) -> Tile:
        """A part of the image as a tile, reading from a multiple of the stride."""
        read, inside = [], []
        for own, margin, step, length in zip(box, halo, stride, self.image.shape, strict=True):
            first = max(0, own.start - margin) // step * step
            read.append(slice(first, min(length, own.stop + margin)))
            inside.append(slice(own.start - first, own.stop - first))
        return Tile(0, box, tuple(read), tuple(inside))


def _array(tensor: torch.Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.contiguous().numpy(force=True)
    return array
