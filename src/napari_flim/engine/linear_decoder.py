"""LinearDecoder: probabilities of the classes as a linear model of several blocks and the input.

Unlike adaptive decoders it is learned from the markers, by ridge-penalised logistic regression
(``decoder_fitting.py``), and weighs the channels alike in every image. Nothing must be known of the
whole image, and every weight says how much one channel speaks for a class.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from napari_flim.engine.feature_sizes import multiscale_channels, multiscale_halo
from napari_flim.engine.markers import BACKGROUND
from napari_flim.engine.multiscale import multiscale_features
from napari_flim.engine.operations import resample
from napari_flim.errors import DecoderError

SCALES = (1.0, 2.0, 4.0, 8.0)
"""Scales at which the input is read, in voxels of the finest axis."""


@dataclass(frozen=True, slots=True)
class LinearDecoder:
    """What was learned.

    The channels are, in this order, the multi-scale features of the input, and the channels of the
    blocks at image size.

    Attributes
    ----------
    classes : tuple of int
        1 for the background, then the classes of objects, ascending.
    blocks : tuple of int
        Numbers, from 1, of the blocks that are read, ascending.
    counts : tuple of int
        Kernels of each of these blocks.
    scales : tuple of float
        At which the input is read, see `napari_flim.engine.multiscale`; empty if it is not.
    weights : tuple of tuple of float
        For every class how much one unit of every channel adds to its logarithmic odds.
    bias : tuple of float
        For every class.
    means, deviations : tuple of float
        Of every channel on the markers. A weight times a deviation tells how much a channel counts.

    Raises
    ------
    DecoderError
        When the numbers do not fit together.
    """

    classes: tuple[int, ...]
    blocks: tuple[int, ...]
    counts: tuple[int, ...]
    scales: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...]
    bias: tuple[float, ...]
    means: tuple[float, ...]
    deviations: tuple[float, ...]

    def __post_init__(self) -> None:
        lengths = {len(self.classes), len(self.weights), len(self.bias)}
        channels = {len(self.means), len(self.deviations), *(len(row) for row in self.weights)}
        numbers = np.array([*np.ravel(self.weights), *self.bias, *self.means], dtype=np.float64)
        fits = len(lengths) == len(channels) == 1 and len(self.blocks) == len(self.counts)
        sound = np.isfinite(numbers).all() and all(0 < one < np.inf for one in self.deviations)
        if not (fits and sound and len(self.classes) >= 2 and self.inputs >= 0):
            raise DecoderError(
                f'A linear decoder of {len(self.classes)} classes and {len(self.blocks)} blocks '
                f'has {len(self.weights)} rows of weights, {len(self.bias)} biases and '
                f'{sorted(channels)} channels; learn the model again.'
            )

    @property
    def inputs(self) -> int:
        """How many channels come from the input."""
        return len(self.means) - sum(self.counts)

    def halo(self, spacing: Sequence[float]) -> tuple[int, ...]:
        """Voxels to each side on which the features of the input depend, along each axis."""
        return multiscale_halo(self.scales, spacing) if self.scales else (0,) * len(spacing)

    def columns(self, block: int) -> range:
        """Places of the channels of a block; none if it is not read."""
        if block not in self.blocks:
            return range(0)
        place = self.blocks.index(block)
        first = self.inputs + sum(self.counts[:place])
        return range(first, first + self.counts[place])

    def contributions(self, block: int) -> NDArray[np.float64]:
        """How much a deviation of every channel of a block speaks for objects: (K,) float64.

        The difference of the logarithmic odds, of the object it speaks for most, to the background.
        """
        own = list(self.columns(block))
        rows = np.array(self.weights)[:, own] * np.array(self.deviations)[own]
        strongest: NDArray[np.float64] = (rows[1:] - rows[0]).max(axis=0)
        return strongest

    def without(self, block: int, kernels: Iterable[int]) -> LinearDecoder:
        """This decoder for blocks without some kernels: their channels stay at their means.

        Parameters
        ----------
        block : int
        kernels : iterable of int
            From 0.
        """
        own = self.columns(block)
        gone = {own[kernel] for kernel in kernels} if own else set()
        kept = [place for place in range(len(self.means)) if place not in gone]
        counts = [
            n - len(gone) * (b == block) for b, n in zip(self.blocks, self.counts, strict=True)
        ]
        return replace(
            self,
            counts=tuple(counts),
            weights=tuple(tuple(row[place] for place in kept) for row in self.weights),
            bias=tuple(
                bias + sum(row[place] * self.means[place] for place in gone)
                for bias, row in zip(self.bias, self.weights, strict=True)
            ),
            means=tuple(self.means[place] for place in kept),
            deviations=tuple(self.deviations[place] for place in kept),
        )

    def muted(self, block: int, kernels: Iterable[int]) -> LinearDecoder:
        """This decoder without weights for some kernels of a block, which keep their channels."""
        return self.with_weights(block, [(kernel, 0.0) for kernel in kernels])

    def with_weights(self, block: int, by_hand: Sequence[tuple[int, float]]) -> LinearDecoder:
        """This decoder with weights for single kernels that an expert set.

        Parameters
        ----------
        block : int
        by_hand : sequence of (int, float)
            Kernels, from 0, and how much a deviation of their channel adds to the logarithmic odds
            of every object against the background.
        """
        own = self.columns(block)
        if not own or not by_hand:
            return self
        rows, bias = [list(row) for row in self.weights], list(self.bias)
        for kernel, weight in by_hand:
            if kernel >= len(own):
                raise DecoderError(
                    f'Kernel {kernel} was given a weight by hand, but block {block} has '
                    f'{len(own)} kernels, 0 to {len(own) - 1}; remove this weight.'
                )
            place = own[kernel]
            for index, number in enumerate(self.classes):
                new = 0.0 if number == BACKGROUND else weight / self.deviations[place]
                bias[index] += (rows[index][place] - new) * self.means[place]
                rows[index][place] = new
        return replace(self, weights=tuple(map(tuple, rows)), bias=tuple(bias))

    @torch.inference_mode()
    def saliency(
        self,
        base: torch.Tensor,
        activations: Sequence[torch.Tensor],
        strides: Sequence[Sequence[int]],
        spacing: Sequence[float],
        object_classes: Sequence[int],
    ) -> torch.Tensor:
        """How probable every class of objects is at every voxel.

        Parameters
        ----------
        base : (C, \\*S) float32 tensor
            The input at a single scale.
        activations : sequence of (K, \\*S') tensors
            Of `blocks`.
        strides : sequence of sequence of int
            Accumulated stride of each of them.
        spacing : sequence of float
            Voxel size along each axis.
        object_classes : sequence of int

        Returns
        -------
        (L, \\*S) float32 tensor
            In [0, 1]; 0 for a class that was not marked.

        Raises
        ------
        DecoderError
            When there are more or fewer channels than weights.
        """
        found = torch.softmax(self._odds(base, activations, strides, spacing), dim=0)
        absent = torch.zeros_like(found[0])
        known = dict(zip(self.classes, found, strict=True))
        return torch.stack([known.get(number, absent) for number in object_classes])

    def _odds(
        self,
        base: torch.Tensor,
        activations: Sequence[torch.Tensor],
        strides: Sequence[Sequence[int]],
        spacing: Sequence[float],
    ) -> torch.Tensor:
        shape = tuple(base.shape[1:])
        weights = torch.tensor(self.weights, dtype=torch.float32, device=base.device)
        bias = torch.tensor(self.bias, dtype=torch.float32, device=base.device)
        odds = bias.reshape(-1, *(1,) * len(shape)).expand(-1, *shape).clone()
        given = (input_channels(len(base), len(shape), self.scales), *map(len, activations))
        if given != (self.inputs, *self.counts):
            raise DecoderError(
                f'The linear decoder was learned for {(self.inputs, *self.counts)} channels of '
                f'input and blocks, but there are {given}; learn the model again.'
            )
        first = 0
        for channel in base if self.scales else ():
            odds += torch.tensordot(weights[:, first : first + 1], channel[None], dims=1)
            first += 1
            # Scale by scale: all features together would be the largest array of all.
            for scale in self.scales:
                features = multiscale_features(channel[None], (scale,), spacing)[1:]
                rows = weights[:, first : first + len(features)]
                odds += torch.tensordot(rows, features, dims=1)
                first += len(features)
        for channels, stride in zip(activations, strides, strict=True):
            rows = weights[:, first : first + len(channels)]
            # Interpolation is linear, so it may come after the sum: far fewer maps are resampled.
            odds += resample(torch.tensordot(rows, channels, dims=1), stride, shape)
            first += len(channels)
        return odds


def input_channels(channels: int, ndim: int, scales: Sequence[float]) -> int:
    """How many channels are read of an input of so many channels."""
    return channels * multiscale_channels(ndim, scales) if scales else 0
