"""The operations of a convolutional network, once, for images and volumes alike.

Features are (C, \\*S) tensors: channels, then (z, y, x) or (y, x).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from napari_flim.engine.architecture import Activation

STRIP_BYTES = 2 * 2**20
"""Size of a strip of channels that stays in the processor's cache."""

SMALLEST_STRIP = 16
"""Rows; of lower strips too much would be read twice."""

WIDEST_MARGIN = 1
"""Voxels outside an image that torch is left to imagine. Of more, oneDNN makes matrix products on
a processor: up to twice as slow, and in bits that depend on the number of threads."""


def convolve(
    features: torch.Tensor,
    kernels: torch.Tensor,
    bias: torch.Tensor | None = None,
    dilation: Sequence[int] | int = 1,
    centre: torch.Tensor | None = None,
) -> torch.Tensor:
    """Inner product of every patch with every kernel, plus bias; zero outside the image.

    The kernel is not flipped (what networks and the lecture call convolution). On a processor a
    large image is taken strip by strip, which gives the same numbers in less time: what is needed
    beside the result stays in the cache, and is not fresh memory for every call. (Strips of a
    volume would take longer.)

    Parameters
    ----------
    features : (C, \\*S) tensor
    kernels : (K, C, \\*k) tensor
        Odd sizes.
    bias : (K,) tensor, optional
    dilation : int or sequence of int
        Distance between taps along each axis.
    centre : (C, 1..) tensor, optional
        Subtracted from the features first, and so also what lies outside the image.

    Returns
    -------
    (K, \\*S) tensor

    Examples
    --------
    >>> image = torch.tensor([[[3.0, 2, 2, 5], [2, 2, 5, 1], [2, 3, 5, 0], [0, 4, 4, 1]]])
    >>> kernel = torch.tensor([[[[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]]])
    >>> convolve(image, kernel)[0, 0]
    tensor([ 6.,  1.,  5., -9.])
    """
    ndim = features.ndim - 1
    steps = (dilation,) * ndim if isinstance(dilation, int) else tuple(dilation)
    rows = features.shape[1]
    size = max(kernels.shape[:2]) * features[0].numel() * features.element_size()
    count = min(size // STRIP_BYTES, rows // SMALLEST_STRIP)
    if count <= 1 or ndim == 3 or features.is_cuda:
        return _answer_rows(features, kernels, bias, steps, centre, 0, rows)
    result = features.new_empty(len(kernels), *features.shape[1:])
    for strip in range(count):
        first, last = strip * rows // count, (strip + 1) * rows // count
        part = _answer_rows(features, kernels, bias, steps, centre, first, last)
        result[:, first:last] = part
    return result


def _answer_rows(
    features: torch.Tensor,
    kernels: torch.Tensor,
    bias: torch.Tensor | None,
    steps: Sequence[int],
    centre: torch.Tensor | None,
    first: int,
    last: int,
) -> torch.Tensor:
    """Rows ``first`` to ``last`` of what `convolve` returns."""
    padding = [d * (k // 2) for d, k in zip(steps, kernels.shape[2:], strict=True)]
    lower, upper = max(0, first - padding[0]), min(features.shape[1], last + padding[0])
    part = features[:, lower:upper]
    if centre is not None:
        part = part - centre
    above, below = lower - first + padding[0], last + padding[0] - upper
    native = (F.conv2d, F.conv3d)[part.ndim - 3]
    if part.ndim == 3 and max(padding) > WIDEST_MARGIN and not part.is_cuda:
        part = F.pad(part, (padding[1], padding[1], above, below))
        padding, above = [0, 0], 0
    elif above != below:
        part = F.pad(part, (0, 0) * (part.ndim - 2) + (above, below))
        above = 0
    return native(part[None], kernels, bias, padding=(above, *padding[1:]), dilation=steps)[0]


def activate(features: torch.Tensor, activation: Activation = 'relu') -> torch.Tensor:
    """Apply the activation function in place and return the same tensor."""
    return features.clamp_(min=0) if activation == 'relu' else features


def transposed_convolution(
    features: torch.Tensor, kernels: torch.Tensor, stride: int = 1, padding: int = 0
) -> torch.Tensor:
    """Stamp every kernel, weighted by its voxel, ``stride`` voxels apart, and cut ``padding`` off.

    Parameters
    ----------
    features : (C, \\*S) tensor
    kernels : (C, K, \\*k) tensor
    stride, padding : int
        The result has ``(n - 1) * stride + k - 2 * padding`` voxels along an axis.
    """
    native = (F.conv_transpose2d, F.conv_transpose3d)[features.ndim - 3]
    return native(features[None], kernels, stride=stride, padding=padding)[0]


def flatten(features: torch.Tensor) -> torch.Tensor:
    """All values as one vector, channel after channel, x fastest."""
    return features.flatten()


def resample(features: torch.Tensor, stride: Sequence[int], shape: Sequence[int]) -> torch.Tensor:
    """Bring a subsampled map back to image size, linearly, at the true position of its voxels.

    Voxel i of the map lies at image voxel ``i * stride``; beyond the last one its value is held.

    Parameters
    ----------
    features : (C, \\*S') tensor
    stride : sequence of int
        Accumulated stride of the map along each axis.
    shape : sequence of int
        Spatial shape of the image.

    Returns
    -------
    (C, \\*shape) tensor

    Examples
    --------
    >>> resample(torch.tensor([[[0.0, 2.0, 4.0]]]), (1, 2), (1, 6))
    tensor([[[0., 1., 2., 3., 4., 4.]]])
    """
    for axis, (step, size) in enumerate(zip(stride, shape, strict=True), start=1):
        if step == 1 and features.shape[axis] == size:
            continue
        last = features.shape[axis] - 1
        position = torch.arange(size, device=features.device, dtype=features.dtype) / step
        lower = position.floor().long().clamp(max=last)
        upper = (lower + 1).clamp(max=last)
        weight = (position - lower).clamp(max=1.0)
        weight = weight.reshape((-1,) + (1,) * (features.ndim - 1 - axis))
        features = torch.lerp(
            features.index_select(axis, lower), features.index_select(axis, upper), weight
        )
    return features
