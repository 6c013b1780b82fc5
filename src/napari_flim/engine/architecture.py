"""Block and Architecture: what an encoder should look like, before anything is learned.

An architecture has no rank: a number stands for every axis, a tuple names the axes in the order
(z, y, x) or (y, x). The same architecture therefore serves images and volumes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from napari_flim.errors import ArchitectureError

Pooling = Literal['none', 'max', 'average', 'min']
Activation = Literal['relu', 'none']
Kind = Literal['regular', 'separable']
PerAxis = int | tuple[int, ...]

LARGEST_WINDOW = 99
LARGEST_CHANNELS = 4096


@dataclass(frozen=True, slots=True)
class Block:
    """One block: marker-based normalisation, convolution, activation, pooling.

    Attributes
    ----------
    kernel_size : int or tuple of int
        Odd number of taps along each axis.
    dilation : int or tuple of int
        Distance in voxels between neighbouring taps.
    extra_dilations : tuple of int
        Further dilations at which the same kernels are applied; the outputs are summed
        (multi-dilation block with shared weights, arXiv 2504.11112).
    kernels_per_marker : int
        Candidates taken from each marker.
    kernels_per_image : int
        Largest number of candidates that one image may contribute.
    channels : int
        Largest number of kernels the block keeps; every marked class keeps at least one.
    pooling : {'none', 'max', 'average', 'min'}
    pool_size : int or tuple of int
        Odd pooling window along each axis.
    stride : int or tuple of int
        Step of the pooling window; with ``pooling='none'`` nothing is subsampled.
    activation : {'relu', 'none'}
    kind : {'regular', 'separable'}
        A separable block splits every kernel into one kernel per channel and a weighting of the
        channels (arXiv 2504.11112).

    Raises
    ------
    ArchitectureError
        When a value is not allowed; the message names the field, the value and what is allowed.
    """

    kernel_size: PerAxis = 3
    dilation: PerAxis = 1
    extra_dilations: tuple[int, ...] = ()
    kernels_per_marker: int = 5
    kernels_per_image: int = 10_000
    channels: int = 16
    pooling: Pooling = 'max'
    pool_size: PerAxis = 3
    stride: PerAxis = 1
    activation: Activation = 'relu'
    kind: Kind = 'regular'

    def __post_init__(self) -> None:
        for name in ('kernel_size', 'pool_size'):
            self._check_axes(name, odd=True)
        for name in ('dilation', 'stride'):
            self._check_axes(name, odd=False)
        dilations: object = self.extra_dilations
        if not isinstance(dilations, tuple):
            raise ArchitectureError(
                f'extra_dilations is {dilations!r}; expected several numbers, such as (2, 3).'
            )
        for dilation in dilations:
            _check_whole('extra_dilations', dilation, LARGEST_WINDOW)
        _check_whole('kernels_per_marker', self.kernels_per_marker, LARGEST_CHANNELS)
        _check_whole('kernels_per_image', self.kernels_per_image, 10_000_000)
        _check_whole('channels', self.channels, LARGEST_CHANNELS)
        for name, allowed in (('pooling', Pooling), ('activation', Activation), ('kind', Kind)):
            value = getattr(self, name)
            if value not in get_args(allowed):
                raise ArchitectureError(
                    f'{name} is {value!r}; allowed: {", ".join(get_args(allowed))}.'
                )

    def _check_axes(self, name: str, *, odd: bool) -> None:
        value = getattr(self, name)
        if isinstance(value, list):
            object.__setattr__(self, name, tuple(value))
            value = tuple(value)
        values = value if isinstance(value, tuple) else (value,)
        if isinstance(value, tuple) and len(value) not in (2, 3):
            raise ArchitectureError(
                f'{name} is {value!r}; give one number, or one for each axis: (y, x) or (z, y, x).'
            )
        for number in values:
            _check_whole(name, number, LARGEST_WINDOW)
            if odd and number % 2 == 0:
                raise ArchitectureError(
                    f'{name} is {value!r}; only odd sizes have a centre: '
                    f'use {number - 1} or {number + 1} instead of {number}.'
                )

    def axes(self, name: str, ndim: int) -> tuple[int, ...]:
        """Value of a field along each of the last ``ndim`` axes.

        Examples
        --------
        >>> Block(kernel_size=(1, 3, 3)).axes('kernel_size', 2)
        (3, 3)
        >>> Block(dilation=2).axes('dilation', 3)
        (2, 2, 2)
        """
        value: PerAxis = getattr(self, name)
        if isinstance(value, int):
            return (value,) * ndim
        if len(value) < ndim:
            raise ArchitectureError(
                f'{name} is {value!r}, but the images have {ndim} axes; '
                'give three numbers (z, y, x) for volumes.'
            )
        return value[-ndim:]

    def strides(self, ndim: int) -> tuple[int, ...]:
        """Subsampling along each axis: the stride, or 1 when the block does not pool."""
        return (1,) * ndim if self.pooling == 'none' else self.axes('stride', ndim)

    def reach(self, ndim: int) -> tuple[int, ...]:
        """How many input voxels to each side an output voxel depends on, along each axis."""
        kernel, dilation = self.axes('kernel_size', ndim), self.axes('dilation', ndim)
        widest = [max((d, *self.extra_dilations)) for d in dilation]
        pool = (1,) * ndim if self.pooling == 'none' else self.axes('pool_size', ndim)
        return tuple(d * (k // 2) + p // 2 for k, d, p in zip(kernel, widest, pool, strict=True))


@dataclass(frozen=True, slots=True)
class Architecture:
    """The blocks of an encoder, first to last.

    Attributes
    ----------
    blocks : tuple of Block
    epsilon : float
        Added to every standard deviation of the marker-based normalisation (LIDS
        ``stdev_factor``).
    intrinsic_atrous : bool
        LIDS ``apply_intrinsic_atrous``; read only by the ``libift`` way of learning.

    Examples
    --------
    >>> architecture = Architecture((Block(stride=2), Block(dilation=2)))
    >>> architecture.receptive_field(2)
    (17, 17)
    >>> architecture.output_shapes((401, 400))
    [(201, 200), (201, 200)]
    """

    blocks: tuple[Block, ...]
    epsilon: float = 0.01
    intrinsic_atrous: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, 'blocks', tuple(self.blocks))
        if not self.blocks:
            raise ArchitectureError('The architecture has no block; give at least one.')
        if not (isinstance(self.epsilon, int | float) and 0 <= self.epsilon < math.inf):
            raise ArchitectureError(
                f'epsilon is {self.epsilon!r}; expected a number from 0 up, such as 0.01.'
            )

    def __len__(self) -> int:
        return len(self.blocks)

    def strides(self, ndim: int) -> list[tuple[int, ...]]:
        """Accumulated stride of every block's output, in input voxels."""
        accumulated = (1,) * ndim
        result = []
        for block in self.blocks:
            steps = block.strides(ndim)
            accumulated = tuple(a * s for a, s in zip(accumulated, steps, strict=True))
            result.append(accumulated)
        return result

    def halo(self, ndim: int, block: int | None = None) -> tuple[int, ...]:
        """Input voxels to each side on which a voxel of a block depends, along each axis.

        Parameters
        ----------
        ndim : int
            2 or 3.
        block : int, optional
            Block number, from 1; the last one by default.
        """
        count = len(self.blocks) if block is None else self.check_block(block)
        reach, accumulated = (0,) * ndim, (1,) * ndim
        for spec in self.blocks[:count]:
            own = spec.reach(ndim)
            reach = tuple(r + a * o for r, a, o in zip(reach, accumulated, own, strict=True))
            steps = spec.strides(ndim)
            accumulated = tuple(a * s for a, s in zip(accumulated, steps, strict=True))
        return reach

    def receptive_field(self, ndim: int, block: int | None = None) -> tuple[int, ...]:
        """Width in input voxels that a voxel of a block sees, along each axis."""
        return tuple(2 * h + 1 for h in self.halo(ndim, block))

    def output_shapes(self, shape: Sequence[int]) -> list[tuple[int, ...]]:
        """Spatial shape of every block's output for an image of the given shape."""
        current, result = tuple(shape), []
        for block in self.blocks:
            steps = block.strides(len(current))
            current = tuple(-(-n // s) for n, s in zip(current, steps, strict=True))
            result.append(current)
        return result

    def check_block(self, block: int) -> int:
        """Return the block number if it exists, else raise `ArchitectureError`."""
        if not 1 <= block <= len(self.blocks):
            raise ArchitectureError(
                f'Block {block} was asked for; this architecture has blocks 1 to {len(self)}.'
            )
        return block


def architecture_to_dict(architecture: Architecture) -> dict[str, Any]:
    """Architecture as plain numbers, strings and lists, ready for JSON."""
    return {
        'epsilon': architecture.epsilon,
        'intrinsic_atrous': architecture.intrinsic_atrous,
        'blocks': [
            {field.name: _plain(getattr(block, field.name)) for field in fields(Block)}
            for block in architecture.blocks
        ],
    }


def architecture_from_dict(content: dict[str, Any]) -> Architecture:
    """Inverse of `architecture_to_dict`.

    Raises
    ------
    ArchitectureError
        Names the block, the field, the value given and the values allowed.
    """
    if not isinstance(content.get('blocks'), list):
        raise ArchitectureError('The architecture has no list of blocks.')
    blocks = tuple(
        read_block(number, block) for number, block in enumerate(content['blocks'], start=1)
    )
    epsilon, atrous = content.get('epsilon', 0.01), content.get('intrinsic_atrous', False)
    return Architecture(blocks, epsilon=epsilon, intrinsic_atrous=atrous is True)


def read_block(number: int, content: dict[str, Any]) -> Block:
    """One block from named values, with the block's number in every error."""
    known = {field.name for field in fields(Block)}
    if not isinstance(content, dict):
        raise ArchitectureError(f'Block {number}: expected named values, got {content!r}.')
    unknown = sorted(set(content) - known)
    if unknown:
        raise ArchitectureError(
            f'Block {number}: unknown field {unknown[0]!r}; allowed: {", ".join(sorted(known))}.'
        )
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in content.items()}
    try:
        return Block(**values)
    except ArchitectureError as error:
        raise ArchitectureError(f'Block {number}: {error}') from error


def _check_whole(name: str, value: object, largest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= largest:
        raise ArchitectureError(
            f'{name} is {value!r}; expected a whole number from 1 to {largest}.'
        )


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


PRESETS: dict[str, Architecture] = {
    'small': Architecture(tuple(Block(dilation=d, channels=16, pool_size=3) for d in (1, 2, 3))),
    'wide': Architecture(
        (
            Block(dilation=3, channels=12, pooling='max', pool_size=3),
            Block(dilation=5, channels=10, pooling='average', pool_size=3),
            Block(dilation=7, channels=8, pooling='max', pool_size=5),
            Block(dilation=7, channels=8, pooling='max', pool_size=5),
        )
    ),
    'deep': Architecture(
        tuple(
            Block(kernels_per_marker=3, channels=64, pooling='average', stride=s)
            for s in (2, 2, 1, 1)
        )
    ),
    'flyweight': Architecture(
        tuple(
            Block(channels=16, extra_dilations=(2, 3), kind='separable', stride=s)
            for s in (1, 2, 1)
        )
    ),
}
"""Ready architectures. ``small`` suits most images; ``wide`` is the published demo for parasite
eggs; ``deep`` subsamples, for large objects; ``flyweight`` is separable and multi-dilation."""


def preset(name: str) -> Architecture:
    """Architecture of a preset.

    Raises
    ------
    ArchitectureError
        When there is no such preset; the message lists them.
    """
    if name not in PRESETS:
        raise ArchitectureError(
            f'There is no architecture preset {name!r}; choose {", ".join(PRESETS)}, '
            'or give the path of an arch.json file.'
        )
    return PRESETS[name]


def with_channels(architecture: Architecture, channels: Sequence[int]) -> Architecture:
    """The same architecture with the number of channels that was really learned."""
    blocks = zip(architecture.blocks, channels, strict=True)
    return replace(architecture, blocks=tuple(replace(block, channels=n) for block, n in blocks))
