"""Gaussian, gradient and Hessian features at several scales, in 2D and 3D.

On a grey image the first block sees little but intensity; these channels show it edges, ridges and
blobs as well. Scales are in voxels of the finest axis; coarser axes are smoothed and differentiated
accordingly, so that a sphere in the world stays a sphere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F

from napari_flim.engine.feature_sizes import gaussian_radius


def multiscale_features(
    channels: torch.Tensor, scales: Sequence[float], spacing: Sequence[float]
) -> torch.Tensor:
    """Every channel, then for each scale its Gaussian, gradient magnitude and Hessian eigenvalues.

    Derivatives are multiplied by the scale (twice for second ones), so that features of different
    scales are comparable. Beyond the border the image is continued by its border voxels.

    Parameters
    ----------
    channels : (C, \\*S) float tensor
    scales : sequence of float
        Standard deviations in voxels of the finest axis.
    spacing : sequence of float
        Voxel size along each axis, in any unit.

    Returns
    -------
    (C * (1 + scales * (2 + ndim)), \\*S) tensor
        All features of the first channel, then of the second, and so on; eigenvalues in
        descending order.

    Examples
    --------
    >>> multiscale_features(torch.zeros(1, 8, 9), (1.0, 2.0), (1.0, 1.0)).shape
    torch.Size([9, 8, 9])
    """
    steps = [step / min(spacing) for step in spacing]
    features = [channels]
    for scale in scales:
        smooth = channels
        for axis, step in enumerate(steps, start=1):
            smooth = _smooth(smooth, axis, scale / step)
        gradient = [_difference(smooth, axis, step) for axis, step in enumerate(steps, start=1)]
        magnitude = scale * torch.sqrt(torch.stack([g**2 for g in gradient]).sum(dim=0))
        second = {
            (i, j): scale**2 * _difference(gradient[i], j + 1, steps[j])
            for i in range(len(steps))
            for j in range(i, len(steps))
        }
        features += [smooth, magnitude, *_eigenvalues(second, len(steps))]
    stacked = torch.stack(features, dim=1)
    return stacked.reshape(-1, *channels.shape[1:])


def _smooth(x: torch.Tensor, axis: int, sigma: float) -> torch.Tensor:
    radius = gaussian_radius(sigma)
    position = torch.arange(-radius, radius + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (position / sigma) ** 2)
    weights = (weights / weights.sum()).to(x)
    lines = x.movedim(axis, -1)
    shape = lines.shape
    padded = F.pad(lines.reshape(-1, 1, shape[-1]), (radius, radius), mode='replicate')
    return F.conv1d(padded, weights[None, None]).reshape(shape).movedim(-1, axis)


def _difference(x: torch.Tensor, axis: int, step: float) -> torch.Tensor:
    """Central difference per finest voxel; one-sided at the border."""
    length = x.shape[axis]
    if length == 1:
        return torch.zeros_like(x)
    upper = x.index_select(axis, _clamped(length, 1, x.device))
    lower = x.index_select(axis, _clamped(length, -1, x.device))
    spans = torch.full((length,), 2.0, device=x.device)
    spans[0] = spans[-1] = 1.0
    shape = [1] * x.ndim
    shape[axis] = length
    return (upper - lower) / (spans * step).reshape(shape)


def _clamped(length: int, shift: int, device: torch.device) -> torch.Tensor:
    return (torch.arange(length, device=device) + shift).clamp(0, length - 1)


def _eigenvalues(second: dict[tuple[int, int], torch.Tensor], ndim: int) -> list[torch.Tensor]:
    """Eigenvalues of symmetric 2x2 or 3x3 matrices, descending, in closed form."""
    if ndim == 2:
        half = (second[0, 0] + second[1, 1]) / 2
        root = torch.sqrt(((second[0, 0] - second[1, 1]) / 2) ** 2 + second[0, 1] ** 2)
        return [half + root, half - root]
    # The trigonometric solution of the characteristic cubic (Smith, 1961, 10.1145/355578.366316).
    mean = (second[0, 0] + second[1, 1] + second[2, 2]) / 3
    a, b, c = (second[i, i] - mean for i in range(3))
    d, e, f = second[0, 1], second[0, 2], second[1, 2]
    size = torch.sqrt((a * a + b * b + c * c + 2 * (d * d + e * e + f * f)) / 6)
    determinant = a * (b * c - f * f) - d * (d * c - f * e) + e * (d * f - b * e)
    cosine = determinant / (2 * size**3).clamp_min(1e-30)
    angle = torch.acos(cosine.clamp(-1, 1)) / 3
    highest = mean + 2 * size * torch.cos(angle)
    lowest = mean + 2 * size * torch.cos(angle + 2 * math.pi / 3)
    return [highest, 3 * mean - highest - lowest, lowest]
