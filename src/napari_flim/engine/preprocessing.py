"""InputTransform: what an image becomes before the first block sees it.

A transform is plain data, is stored in the model, and works on any part of an image once the
statistics of the whole image are known.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from napari_flim.engine.feature_sizes import multiscale_channels, multiscale_halo
from napari_flim.engine.full_scale import full_scale, normalization_value
from napari_flim.engine.image import Image
from napari_flim.engine.image_sample import highest_value, sampled_values
from napari_flim.engine.percentiles import exact_percentiles
from napari_flim.errors import FlimWarning, ImageError

if TYPE_CHECKING:
    import torch

Kind = Literal['auto', 'lab', 'scaled', 'multiscale', 'window', 'libift']
KINDS_TO_SCALE: tuple[Kind, ...] = ('auto', 'lab')
"""Kinds whose multi-scale features are those of ``multiscale``, also in colour."""
Ranges = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class InputTransform:
    """How voxel values become the features that block 1 reads.

    Attributes
    ----------
    kind : {'auto', 'lab', 'scaled', 'multiscale', 'window', 'libift'}
        ``lab``: RGB as normalised CIE Lab. ``scaled``: every channel brought to about [0, 1] by
        robust percentiles. ``multiscale``: either of these, with Gaussian, gradient and Hessian
        features. ``window``: one fixed intensity range clipped to [0, 1], for CT. ``libift``: Lab
        also for grey images, as LibIFT sees them. ``auto``: ``lab`` for RGB, else ``scaled``.
    channels : tuple of int
        Channels to use, from 0; empty for all.
    window : tuple of float
        Lowest and highest intensity of ``window``.
    scales : tuple of float
        Scales of ``multiscale``, in voxels of the finest axis.
    percentiles : tuple of float
        What ``scaled`` brings to 0 and to 1.
    ranges : tuple of (low, high), optional
        Fixed ranges, one for each used channel, in place of every image's own percentiles.
    """

    kind: Kind = 'auto'
    channels: tuple[int, ...] = ()
    window: tuple[float, float] = (0.0, 1.0)
    scales: tuple[float, ...] = (1.0, 2.0, 4.0)
    percentiles: tuple[float, float] = (0.1, 99.9)
    ranges: Ranges | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ImageError(
                f'There is no input {self.kind!r}; choose one of {", ".join(get_args(Kind))}.'
            )
        self._set('channels', tuple(_whole('channels', c) for c in self.channels))
        for name in ('window', 'percentiles'):
            self._set(name, _range(name, getattr(self, name)))
        self._set('scales', tuple(_number('scales', s) for s in self.scales))
        if self.ranges is not None:
            self._set('ranges', tuple(_range('ranges', pair) for pair in self.ranges))
        low, high = self.window
        if low >= high:
            raise ImageError(
                f'The window {low}, {high} is empty; give a low and a higher intensity, '
                'such as window:-100,300.'
            )
        low, high = self.percentiles
        if not 0 <= low < high <= 100:
            raise ImageError(f'Percentiles {low}, {high} were given; expected two from 0 to 100.')
        if not self.scales or not all(0 < s < 100 for s in self.scales):
            raise ImageError(f'Scales {self.scales} were given; expected voxels between 0 and 100.')

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def resolved(self, images: Sequence[Image], *, fixed: bool = False) -> InputTransform:
        """This transform with everything decided that depends on the training images.

        Parameters
        ----------
        images : sequence of Image
        fixed : bool
            Fix the ranges of ``scaled`` to those of all training images together.
        """
        first = images[0]
        for image in images:
            if (image.ndim, image.rgb, image.channels) != (first.ndim, first.rgb, first.channels):
                raise ImageError(
                    f'{image.name} is read as {image.describe()}, but {first.name} as '
                    f'{first.describe()}; all images of a model need the same axes and channels.'
                )
        self.select(first)
        transform = self
        if self.kind == 'auto':
            transform = replace(self, kind='lab' if first.rgb else 'scaled')
        if fixed:
            measured = [transform.statistics(image) for image in images]
            ranges = tuple(
                (min(r[c][0] for r in measured), max(r[c][1] for r in measured))
                for c in range(len(measured[0]))
            )
            transform = replace(transform, ranges=ranges)
        return transform

    def features(self, channels: int, ndim: int) -> int:
        """Number of channels that block 1 reads."""
        used = len(self.channels) or channels
        if self.kind == 'libift':
            return 3
        return used * (multiscale_channels(ndim, self.scales) if self.kind == 'multiscale' else 1)

    def single_scale(self, features: torch.Tensor) -> torch.Tensor:
        """The channels among what block 1 reads that are the input itself: (C, \\*S)."""
        if self.kind != 'multiscale':
            return features
        return features[:: multiscale_channels(features.ndim - 1, self.scales)]

    def halo(self, spacing: Sequence[float]) -> tuple[int, ...]:
        """Voxels to each side that a feature depends on, along each axis."""
        if self.kind == 'multiscale':
            return multiscale_halo(self.scales, spacing)
        return (0,) * len(spacing)

    def statistics(self, image: Image) -> Ranges:
        """What must be known of the whole image before any part of it is transformed.

        Returns
        -------
        tuple of (low, high)
            For each used channel the intensities that become 0 and 1. Percentiles of large images
            are those of a sample, see `napari_flim.engine.image_sample`; lazy ones are not read
            whole, and only once.
        """
        if not image.lazy:
            return self._statistics(image)
        if self not in image.measured:
            image.measured[self] = self._statistics(image)
        known: Ranges = image.measured[self]
        return known

    def _statistics(self, image: Image) -> Ranges:
        data = self.select(image)
        if self.ranges is not None:
            if len(self.ranges) != len(data):
                raise ImageError(
                    f'{len(self.ranges)} intensity ranges were given for {len(data)} channels of '
                    f'{image.name}; give one for each used channel.'
                )
            return self.ranges
        if self.kind == 'window':
            return (self.window,) * len(data)
        if self.is_coloured(image):
            return ((0.0, float(full_scale(data))),) * len(data)
        if self.kind == 'libift':
            highest = highest_value(data)
            full = 1.0 if highest <= 1 and data.dtype.kind in 'bf' else normalization_value(highest)
            return ((0.0, float(full)),)
        return tuple(
            _robust_range(sampled_values(channel), self.percentiles, image.name) for channel in data
        )

    def is_coloured(self, image: Image) -> bool:
        return image.rgb and not self.channels and self.kind in ('lab', 'multiscale', 'libift')

    def select(self, image: Image) -> NDArray[Any]:
        """The used channels; also the place where an unsuitable image is refused."""
        if self.channels and self.kind in ('lab', 'libift'):
            raise ImageError(
                f'The input {self.kind} converts colours and cannot use channels {self.channels} '
                'alone; use scaled, multiscale or window.'
            )
        if self.channels:
            if max(self.channels) >= image.channels or min(self.channels) < 0:
                raise ImageError(
                    f'Channels {self.channels} were chosen, but {image.name} has channels '
                    f'0 to {image.channels - 1}.'
                )
            return image.data[list(self.channels)]
        if self.kind == 'lab' and not image.rgb:
            raise ImageError(
                f'{image.name} is not RGB ({image.describe()}), so it has no Lab colour; '
                'use the input scaled, multiscale or window, or read it with axes "YXS".'
            )
        if self.kind == 'libift' and not image.rgb and image.channels != 1:
            raise ImageError(
                f'{image.name} has {image.channels} channels; LibIFT reads RGB or grey images. '
                'Choose one channel.'
            )
        return image.data


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise ImageError(f'{name} holds {value!r}; expected numbers.')
    if not math.isfinite(value):
        raise ImageError(f'{name} holds {value!r}; expected finite numbers.')
    return float(value)


def _whole(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        raise ImageError(f'{name} holds {value!r}; expected whole numbers from 0 up.')
    return int(value)


def _range(name: str, value: object) -> tuple[float, float]:
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise ImageError(f'{name} holds {value!r}; expected pairs of numbers.')
    return _number(name, value[0]), _number(name, value[1])


def parse_input(text: str) -> tuple[InputTransform, bool]:
    """An input named on the command line or in Python.

    Parameters
    ----------
    text : str
        ``auto``, ``lab``, ``scaled``, ``scaled:fixed``, ``multiscale``, ``multiscale:fixed``,
        ``window:LO,HI`` or ``libift``.

    Returns
    -------
    transform : InputTransform
    fixed : bool
        Whether ranges are to be fixed from the training images.

    Examples
    --------
    >>> transform, fixed = parse_input('window:-100,300')
    >>> transform.kind, transform.window, fixed
    ('window', (-100.0, 300.0), False)
    """
    name, _, rest = text.partition(':')
    if name == 'window':
        try:
            low, high = (float(part) for part in rest.split(','))
        except ValueError:
            raise ImageError(
                f'The input {text!r} has no window; write window:LOW,HIGH, as in window:-100,300.'
            ) from None
        return InputTransform('window', window=(low, high)), False
    allowed = ('', 'fixed') if name in ('scaled', 'multiscale') else ('',)
    if name not in get_args(Kind) or rest not in allowed:
        names = 'auto, lab, scaled, scaled:fixed, multiscale, multiscale:fixed, libift'
        raise ImageError(f'There is no input {text!r}; choose {names} or window:LOW,HIGH.')
    return InputTransform(name), rest == 'fixed'  # type: ignore[arg-type]


def not_finite_words(data: NDArray[Any], name: str) -> str:
    """A warning of voxels that are not finite numbers; empty if there are none.

    Examples
    --------
    >>> not_finite_words(np.array([1.0, np.nan, np.inf]), 'cells')
    'cells holds 2 voxels that are not finite numbers; they are read as dark.'
    """
    count = data.size - np.count_nonzero(np.isfinite(data)) if data.dtype.kind == 'f' else 0
    if not count:
        return ''
    return f'{name} holds {count} voxels that are not finite numbers; they are read as dark.'


def _robust_range(
    channel: NDArray[Any], percentiles: tuple[float, float], name: str
) -> tuple[float, float]:
    finite = channel
    warning = not_finite_words(channel, name)
    if warning:
        warnings.warn(warning, FlimWarning, stacklevel=4)
        finite = channel[np.isfinite(channel)]
    if not finite.size:
        return 0.0, 1.0
    if channel.dtype.kind == 'b':
        return 0.0, 1.0
    low, high = exact_percentiles(finite, percentiles)
    if low == high:
        low, high = finite.min(), finite.max()
    return float(low), float(high)
