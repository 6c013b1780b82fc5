"""Pooling of features in 2D and 3D, as separable running windows.

Maximum, minimum and sum over a box separate into one pass along each axis. On a processor, taking
them over shifted views of the array is 10 to 20 times faster than torch's own pooling at stride 1
and gives the same numbers (docs/benchmarks.md); on a graphics card torch's own pooling is used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F

from napari_flim.engine.architecture import Pooling
from napari_flim.errors import ArchitectureError

CHUNK_BYTES = 8 * 2**20
"""Channels are pooled in groups of about this size, which stay in the processor's cache."""

_COMBINE: dict[str, Callable[..., torch.Tensor]] = {
    'max': torch.maximum,
    'min': torch.minimum,
    'average': torch.add,
}


def pool(
    features: torch.Tensor,
    size: Sequence[int],
    stride: Sequence[int],
    kind: Pooling = 'max',
    *,
    padded: bool = True,
    over_valid: bool = False,
    overwrite: bool = False,
) -> torch.Tensor:
    """Pool every channel over a window.

    Parameters
    ----------
    features : (C, \\*S) tensor
    size, stride : sequence of int
        Window and step along each axis.
    kind : {'none', 'max', 'average', 'min'}
        Voxels outside the image never win a maximum or minimum.
    padded : bool
        Centre the windows on voxels 0, s, 2s, ..., giving ``ceil(n / s)`` voxels (odd windows
        only); otherwise use only windows inside the image, ``floor((n - w) / s) + 1`` of them.
    over_valid : bool
        Divide an average by the voxels inside the image (the lecture) instead of by the size of
        the window (torch, LibIFT).
    overwrite : bool
        Let the result take the memory of ``features`` where shapes allow.

    Returns
    -------
    (C, \\*S') tensor

    Examples
    --------
    >>> pool(torch.tensor([[1.0, 5.0, 2.0, 0.0]])[None], (1, 3), (1, 1))
    tensor([[[5., 5., 5., 2.]]])
    """
    if kind == 'none':
        return features
    margins = [w // 2 if padded else 0 for w in size]
    if padded and any(w % 2 == 0 for w in size):
        raise ArchitectureError(
            f'A pooling window of {tuple(size)} has no centre; use odd sizes, or padded=False.'
        )
    shape = [
        (n + 2 * p - w) // s + 1
        for n, p, w, s in zip(features.shape[1:], margins, size, stride, strict=True)
    ]
    if min(shape) < 1:
        raise ArchitectureError(
            f'A window of {tuple(size)} does not fit into {tuple(features.shape[1:])} voxels.'
        )
    if features.is_cuda and kind == 'max':
        native = (F.max_pool2d, F.max_pool3d)[features.ndim - 3]
        return native(features[None], tuple(size), tuple(stride), tuple(margins))[0]
    result = _pool_in_groups(features, size, stride, margins, shape, kind, overwrite)
    if kind == 'average':
        result /= _voxels_in_window(features, size, stride, margins, shape, over_valid)
    return result


def _pool_in_groups(
    features: torch.Tensor,
    size: Sequence[int],
    stride: Sequence[int],
    margins: Sequence[int],
    shape: Sequence[int],
    kind: Pooling,
    overwrite: bool,
) -> torch.Tensor:
    same = tuple(shape) == tuple(features.shape[1:])
    result = features if overwrite and same else features.new_empty(len(features), *shape)
    channel_bytes = max(1, features[0].numel() * features.element_size())
    group = min(len(features), max(1, CHUNK_BYTES // channel_bytes))
    order = sorted(range(len(size)), key=lambda axis: -stride[axis])
    # Buffers are made once: fresh memory for every step would cost more than the pooling itself.
    buffers, partial = [], list(features.shape[1:])
    for axis in order[:-1]:
        partial[axis] = shape[axis]
        buffers.append(features.new_empty(group, *partial))
    for first in range(0, len(features), group):
        part = features[first : first + group]
        targets = [buffer[: len(part)] for buffer in buffers] + [result[first : first + group]]
        for axis, target in zip(order, targets, strict=True):
            _pool_axis(part, target, axis + 1, size[axis], stride[axis], margins[axis], kind)
            part = target
    return result


def _pool_axis(
    source: torch.Tensor,
    target: torch.Tensor,
    axis: int,
    window: int,
    step: int,
    margin: int,
    kind: Pooling,
) -> None:
    """Combine ``window`` shifted views along one axis; tap 0 always lies inside the image."""
    length, count = source.shape[axis], target.shape[axis]
    target.copy_(_every(source, axis, 0, step, count))
    for tap in range(-margin, window - margin):
        first = max(0, -(tap // step))
        last = min(count - 1, (length - 1 - tap) // step)
        if tap == 0 or last < first:
            continue
        part = target.narrow(axis, first, last - first + 1)
        shifted = _every(source, axis, first * step + tap, step, last - first + 1)
        _COMBINE[kind](part, shifted, out=part)


def _every(x: torch.Tensor, axis: int, start: int, step: int, count: int) -> torch.Tensor:
    index: list[slice] = [slice(None)] * x.ndim
    index[axis] = slice(start, start + (count - 1) * step + 1, step)
    return x[tuple(index)]


def _voxels_in_window(
    features: torch.Tensor,
    size: Sequence[int],
    stride: Sequence[int],
    margins: Sequence[int],
    shape: Sequence[int],
    over_valid: bool,
) -> torch.Tensor | float:
    if not over_valid:
        total = 1
        for w in size:
            total *= w
        return float(total)
    ones = torch.ones(1, *features.shape[1:], dtype=features.dtype, device=features.device)
    return _pool_in_groups(ones, size, stride, margins, shape, 'average', overwrite=False)
