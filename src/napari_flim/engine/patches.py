"""Patches around marker voxels, gathered there and nowhere else."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from napari_flim.engine.feature_normalization import normalize
from napari_flim.engine.normalization import Normalization


def tap_offsets(kernel_size: Sequence[int], dilation: Sequence[int]) -> NDArray[np.int64]:
    """Positions of the taps around the centre, in raster order (x fastest).

    Examples
    --------
    >>> tap_offsets((1, 3), (1, 2)).tolist()
    [[0, -2], [0, 0], [0, 2]]
    """
    ranges = [
        [d * (i - k // 2) for i in range(k)] for k, d in zip(kernel_size, dilation, strict=True)
    ]
    return np.array(list(itertools.product(*ranges)), dtype=np.int64)


def gather_patches(
    features: torch.Tensor,
    coordinates: NDArray[np.integer],
    kernel_size: Sequence[int],
    dilation: Sequence[int],
    normalization: Normalization | None = None,
) -> torch.Tensor:
    """Patches centred on the given voxels, 0 outside the image.

    On normalised features 0 is the marker mean, so the border is as neutral while learning as it
    is while applying.

    Parameters
    ----------
    features : (C, \\*S) tensor
    coordinates : (M, ndim) int array
    kernel_size, dilation : sequence of int
        Along each axis.
    normalization : Normalization, optional
        Applied to the gathered values only, never to the whole image.

    Returns
    -------
    (M, P) tensor
        P = taps * C, taps in raster order, channels fastest.
    """
    shape = features.shape[1:]
    positions = coordinates[:, None, :] + tap_offsets(kernel_size, dilation)[None]
    inside = ((positions >= 0) & (positions < np.array(shape))).all(axis=2)
    clipped = np.clip(positions, 0, np.array(shape) - 1)
    flat = torch.from_numpy(np.ravel_multi_index(tuple(np.moveaxis(clipped, 2, 0)), shape))
    values = features.reshape(len(features), -1)[:, flat.to(features.device)]
    if normalization is not None:
        values = normalize(values, normalization)
    values = values * torch.from_numpy(inside).to(features.device)
    return values.permute(1, 2, 0).flatten(1)


def patches_to_kernels(
    patches: NDArray[np.floating], kernel_size: Sequence[int]
) -> NDArray[np.float32]:
    """Patch vectors (K, P), channels fastest, as kernels (K, C, \\*k)."""
    taps = int(np.prod(kernel_size))
    tap_major = patches.reshape(len(patches), *kernel_size, patches.shape[1] // taps)
    return np.ascontiguousarray(np.moveaxis(tap_major, -1, 1), dtype=np.float32)
