"""Adaptive decoders: from the activation channels of one block to saliency.

Every decoder weights the channels anew for each image, or each voxel, and sums them:
``S(p) = ReLU(sum_i w_i(p) A_i(p))``. One registry, one signature: ``decode``.

Channels are divided by their maximum (decoders per voxel) or stretched from minimum to maximum
(decoders per channel) at the resolution of the block; a dead channel gets weight 0. Formulas and
their sources: docs/methods.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.filters import threshold_otsu

from napari_flim.engine.pooling import pool
from napari_flim.engine.thresholds import otsu_of_values
from napari_flim.errors import DecoderError

SMALLEST_VARIANCE = 1e-7


@dataclass(frozen=True, slots=True)
class DecoderSettings:
    """Which decoder turns the channels of which block into saliency.

    Attributes
    ----------
    name : str
        A name from `DECODERS`.
    block : int
        Block number from 1; 0 stands for the last.
    ratio : float
        Weight of the background mean in ``label_balanced``.
    band : float
        Width, in deviations, of the band around Otsu's threshold in ``original``, ``tristate`` and
        ``hybrid``.
    weights : tuple of float
        One for each channel, for ``manual``.
    by_sum : bool
        Compare sums of channels in ``mean``, as the lecture prints it, instead of means; the class
        with more kernels then tends to win.
    full_disk : bool
        Divide by the whole disk in ``probability`` also at the border, as LibIFT does, instead of
        by the voxels inside the image.

    Raises
    ------
    DecoderError
        When there is no such decoder; the message lists them.
    """

    name: str = 'mean'
    block: int = 0
    ratio: float = 1.0
    band: float = 1.0
    weights: tuple[float, ...] = ()
    by_sum: bool = False
    full_disk: bool = False

    def __post_init__(self) -> None:
        if self.name not in DECODERS:
            raise DecoderError(
                f'There is no decoder {self.name!r}; choose one of {", ".join(DECODERS)}.'
            )
        whole = isinstance(self.block, int | np.integer) and not isinstance(self.block, bool)
        if not whole or self.block < 0:
            raise DecoderError(
                f'Block {self.block!r} was asked for; give a number from 1, or 0 for the last.'
            )
        object.__setattr__(self, 'block', int(self.block))
        for name in ('by_sum', 'full_disk'):
            if not isinstance(getattr(self, name), bool):
                raise DecoderError(f'{name} is {getattr(self, name)!r}; expected true or false.')
        for name in ('ratio', 'band'):
            object.__setattr__(self, name, _finite(name, getattr(self, name)))
        object.__setattr__(self, 'weights', tuple(_finite('weights', w) for w in self.weights))
        if self.name == 'manual' and not self.weights:
            raise DecoderError('The decoder manual has no weights; give one for each kernel.')


@dataclass(frozen=True, eq=False)
class Decoded:
    """What a decoder made of the channels of a block.

    Attributes
    ----------
    saliency : (L, \\*S) float32 tensor
        One map for each object class, not negative, at the resolution of the block.
    weights : (L, K) or (L, K, \\*S) tensor, or None
        The weights of the channels; None where a closed form never makes them.
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
        When a decoder that needs labels finds a class without kernels, or when the weights given
        do not match the channels.

    Examples
    --------
    >>> channels = torch.tensor([[[0.0, 4.0]], [[2.0, 0.0]]])
    >>> decode(channels, np.array([2, 1]), DecoderSettings('label'), [2]).saliency
    tensor([[[0., 1.]]])
    """
    if len(activations) != len(classes):
        raise DecoderError(f'{len(activations)} channels came with {len(classes)} classes.')
    check_decoder(settings, classes, object_classes)
    decoder = DECODERS[settings.name]
    scaled = scale_channels(activations, decoder.stretched)
    maps, weights = [], []
    for number in object_classes:
        is_object = torch.from_numpy(np.asarray(classes) == number)
        decoded = decoder.function(scaled, is_object.to(activations.device), settings)
        maps.append(decoded.saliency)
        weights.append(decoded.weights)
    kept = [w for w in weights if w is not None]
    return Decoded(torch.cat(maps), torch.stack(kept) if kept else None)


def check_decoder(
    settings: DecoderSettings, classes: NDArray[np.integer], object_classes: Sequence[int]
) -> None:
    """Raise `DecoderError` unless the decoder can work with kernels of these classes.

    Parameters
    ----------
    settings : DecoderSettings
    classes : (K,) int array
        Class of each kernel of the decoded block.
    object_classes : sequence of int
    """
    if settings.name == 'manual' and len(settings.weights) != len(classes):
        raise DecoderError(
            f'{len(settings.weights)} weights were given for {len(classes)} channels; '
            'give one weight for each kernel of the decoded block.'
        )
    if not DECODERS[settings.name].needs_labels:
        if len(object_classes) > 1:
            raise DecoderError(
                f'The decoder {settings.name!r} cannot tell the object classes '
                f'{list(object_classes)} apart; use mean, probability, label, label_balanced or '
                'hybrid, or mark one class of objects.'
            )
        return
    for number in object_classes:
        share = (np.asarray(classes) == number).mean()
        if share in (0, 1):
            raise DecoderError(
                f'The decoder {settings.name!r} compares kernels of the object with others, but '
                f'{"every" if share else "no"} kernel of this block belongs to class {number}. '
                'Keep kernels of both, or use the decoder tristate.'
            )


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
    own = channels[is_object].sum(dim=0, keepdim=True)
    other = channels[~is_object].sum(dim=0, keepdim=True)
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
    return _weighted(channels, torch.where(is_object, 1.0, -1.0))


def _label_balanced(
    channels: torch.Tensor, is_object: torch.Tensor, settings: DecoderSettings
) -> Decoded:
    """Mean of the object's channels minus ``ratio`` times the mean of the others."""
    own, other = is_object.sum(), (~is_object).sum()
    return _weighted(channels, torch.where(is_object, 1.0 / own, -settings.ratio / other))


def _original(
    channels: torch.Tensor, is_object: torch.Tensor, settings: DecoderSettings
) -> Decoded:
    """The first published rule: a low mean makes a channel object, a high mean background."""
    low, high = _by_mean(channels, settings.band)
    return _weighted(channels, low.float() - high.float())


def _tristate(
    channels: torch.Tensor, is_object: torch.Tensor, settings: DecoderSettings
) -> Decoded:
    """``ts``: `_original`, if the share of voxels above the channel's own threshold agrees."""
    return _weighted(channels, _tristate_weights(channels, settings.band))


def _hybrid(channels: torch.Tensor, is_object: torch.Tensor, settings: DecoderSettings) -> Decoded:
    """``lt``: 0 for kernels of the background, the tri-state weight for those of the object."""
    return _weighted(channels, _tristate_weights(channels, settings.band) * is_object)


def _attention(
    channels: torch.Tensor, is_object: torch.Tensor, settings: DecoderSettings
) -> Decoded:
    """``at``: channels unlike the common picture are object, channels like it are background."""
    flat = channels.flatten(1).double()
    alive = flat.amax(dim=1) > 0
    if not alive.any():
        return _weighted(channels, torch.zeros(len(channels), device=channels.device))
    common = _minmax(flat.amax(dim=0)) + _minmax(flat.mean(dim=0))
    lengths = flat.norm(dim=1) * common.norm()
    cosine = (flat @ common) / torch.where(lengths > 0, lengths, 1.0)
    centre, deviation = cosine[alive].mean(), cosine[alive].std(correction=0)
    low = (cosine < centre - deviation / 2) & alive
    high = (cosine > centre + deviation / 2) & alive
    return _weighted(channels, low.float() - high.float())


def _manual(channels: torch.Tensor, is_object: torch.Tensor, settings: DecoderSettings) -> Decoded:
    """The weights of the settings."""
    return _weighted(channels, torch.tensor(settings.weights, device=channels.device))


def _weighted(channels: torch.Tensor, weights: torch.Tensor) -> Decoded:
    alive = channels.flatten(1).amax(dim=1) > 0
    weights = weights.to(channels.dtype) * alive
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


def _disk_sum(maps: torch.Tensor) -> torch.Tensor:
    """Sum over the disk of radius root 2 (9 pixels) or ball of radius root 3 (27 voxels)."""
    ndim = maps.ndim - 1
    return pool(maps, (3,) * ndim, (1,) * ndim, 'average') * float(3**ndim)


def _finite(name: str, value: object) -> float:
    if not isinstance(value, int | float | np.number) or not math.isfinite(value):
        raise DecoderError(f'{name} is {value!r}; expected a finite number.')
    return float(value)


def _minmax(values: torch.Tensor) -> torch.Tensor:
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else torch.zeros_like(values)


@dataclass(frozen=True, slots=True)
class Decoder:
    """An entry of the registry.

    Attributes
    ----------
    function : callable
        Takes scaled channels, a mask of the object's kernels and the settings.
    needs_labels : bool
        Whether the classes of the kernels matter.
    stretched : bool
        Whether channels are stretched from their minimum instead of divided by their maximum.
    description : str
        One line for users.
    """

    function: Callable[[torch.Tensor, torch.Tensor, Any], Decoded]
    needs_labels: bool
    stretched: bool
    description: str


DECODERS: dict[str, Decoder] = {
    'mean': Decoder(
        _mean_per_voxel, True, False, 'per voxel: object channels where they are higher around it'
    ),
    'probability': Decoder(
        _probability, True, False, 'per voxel: channels likelier under their own class'
    ),
    'label': Decoder(_label, True, True, 'object channels minus background channels'),
    'label_balanced': Decoder(
        _label_balanced, True, True, 'mean object channel minus mean background channel'
    ),
    'hybrid': Decoder(_hybrid, True, True, 'tri-state weights for object kernels only'),
    'tristate': Decoder(_tristate, False, True, 'by channel mean and share of bright voxels'),
    'original': Decoder(_original, False, True, 'by channel mean: low is object, high background'),
    'attention': Decoder(_attention, False, True, 'by likeness to the common picture'),
    'manual': Decoder(_manual, False, True, 'weights set by hand'),
}
"""Every decoder by name."""
