"""Encoder: learned blocks, ready to turn features into activations."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from napari_flim.engine.architecture import Architecture
from napari_flim.engine.kernels import LearnedBlock
from napari_flim.engine.operations import activate, convolve
from napari_flim.engine.pooling import pool
from napari_flim.errors import ArchitectureError, ImageError


class BlockModule(nn.Module):
    """One block as a module: subtract the marker mean, convolve, activate, pool.

    The deviation is folded into the kernels. The mean is subtracted from the features rather than
    folded into the bias, because then the zeros outside the image *are* the marker mean, as they
    were while learning.

    Parameters
    ----------
    block : LearnedBlock
    """

    mean: torch.Tensor
    kernels: torch.Tensor
    bias: torch.Tensor

    def __init__(self, block: LearnedBlock) -> None:
        super().__init__()
        ndim = block.bank.ndim
        spatial = (1,) * ndim
        self.spec = block.spec
        self.ndim = ndim
        std = torch.from_numpy(block.normalization.std).reshape(1, -1, *spatial)
        weights = torch.from_numpy(block.bank.weights.copy())
        self.register_buffer(
            'mean', torch.from_numpy(block.normalization.mean.copy()).reshape(-1, *spatial)
        )
        self.register_buffer('kernels', weights / std)
        self.register_buffer('bias', torch.from_numpy(block.bank.bias.copy()))

    def forward(self, features: torch.Tensor, overwrite: bool = False) -> torch.Tensor:
        """Activations (K, \\*S') of features (C, \\*S); ``overwrite`` may destroy the features."""
        centre = None if overwrite else self.mean
        if overwrite:
            features.sub_(self.mean)
        summed_activations = self.spec.kind == 'regular'

        def answer(dilation: tuple[int, ...]) -> torch.Tensor:
            result = convolve(features, self.kernels, self.bias, dilation, centre)
            return activate(result, self.spec.activation) if summed_activations else result

        result = answer(self.spec.axes('dilation', self.ndim))
        for dilation in self.spec.extra_dilations:
            result += answer((dilation,) * self.ndim)
        if not summed_activations:
            result = activate(result, self.spec.activation)
        return pool(
            result,
            self.spec.axes('pool_size', self.ndim),
            self.spec.axes('stride', self.ndim),
            self.spec.pooling,
            overwrite=True,
        )


class Encoder(nn.Module):
    """Blocks in sequence.

    Parameters
    ----------
    blocks : sequence of LearnedBlock

    Raises
    ------
    ArchitectureError
        When a block does not accept the channels of the one before it.
    """

    def __init__(self, blocks: Sequence[LearnedBlock]) -> None:
        super().__init__()
        for number, (first, second) in enumerate(pairwise(blocks), start=2):
            if second.bank.weights.shape[1] != len(first.bank):
                raise ArchitectureError(
                    f'Block {number} reads {second.bank.weights.shape[1]} channels, but block '
                    f'{number - 1} has {len(first.bank)} kernels; relearn from block {number} on.'
                )
        self.architecture = Architecture(tuple(block.spec for block in blocks))
        self.channels = blocks[0].bank.weights.shape[1]
        self.ndim = blocks[0].bank.ndim
        self.blocks = nn.ModuleList(BlockModule(block) for block in blocks)

    def check_features(self, features: torch.Tensor) -> None:
        """Raise `ImageError` unless block 1 can read these features."""
        if features.ndim != self.ndim + 1 or features.shape[0] != self.channels:
            raise ImageError(
                f'Features of shape {tuple(features.shape)} were given; this encoder reads '
                f'{self.channels} channels with {self.ndim} spatial axes.'
            )

    @torch.inference_mode()
    def activations(self, features: torch.Tensor, blocks: Sequence[int]) -> list[torch.Tensor]:
        """Activations of the named blocks.

        Parameters
        ----------
        features : (C, \\*S) tensor
            What the input transform made of an image; left as it is.
        blocks : sequence of int
            Block numbers from 1, at least one.

        Returns
        -------
        list of (K, \\*S') tensors
            In the order of ``blocks``.
        """
        if not len(blocks):
            raise ArchitectureError('No block was asked for; name at least one.')
        self.check_features(features)
        last = max(self.architecture.check_block(block) for block in blocks)
        kept: dict[int, torch.Tensor] = {}
        wanted = features
        for number, module in enumerate(self.blocks, start=1):
            mine = number > 1 and number - 1 not in blocks
            wanted = module(wanted, overwrite=mine)
            if number in blocks:
                kept[number] = wanted
            if number == last:
                break
        return [kept[number] for number in blocks]
