"""Channel values at single voxels, read from the surroundings of these alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from napari_flim.engine.crops import marker_crops
from napari_flim.engine.feature_sizes import multiscale_halo
from napari_flim.engine.image import Box, Image
from napari_flim.engine.input_features import input_features
from napari_flim.engine.multiscale import multiscale_features
from napari_flim.engine.operations import resample
from napari_flim.engine.preprocessing import InputTransform
from napari_flim.inference.applying import Applying


def input_values(
    transform: InputTransform,
    image: Image,
    voxels: NDArray[np.integer],
    scales: Sequence[float],
) -> NDArray[np.float32]:
    """Multi-scale features of the input: (M, C) float32.

    Parameters
    ----------
    transform : InputTransform
        With its kind decided.
    image : Image
    voxels : (M, ndim) int array
    scales : sequence of float
        In voxels of the finest axis.
    """
    statistics = transform.statistics(image)
    reach = zip(transform.halo(image.spacing), multiscale_halo(scales, image.spacing), strict=True)

    def read(box: Box) -> torch.Tensor:
        features = input_features(transform, image.crop(box), statistics)
        return multiscale_features(transform.single_scale(features), scales, image.spacing)

    return _gathered(voxels, image.shape, [a + b for a, b in reach], (1,) * image.ndim, read)


def block_values(applying: Applying, voxels: NDArray[np.integer]) -> NDArray[np.float32]:
    """Channels of every block up to the decoded one, at image size: (M, C) float32."""
    image = applying.image
    strides = applying.architecture.strides(image.ndim)

    def read(box: Box) -> torch.Tensor:
        shape = [part.stop - part.start for part in box]
        channels = zip(applying.all_channels(box), strides, strict=True)
        return torch.cat([resample(one, stride, shape) for one, stride in channels])

    return _gathered(voxels, image.shape, applying.halo, applying.stride, read)


def saliency_values(maps: NDArray[np.float32], voxels: NDArray[np.integer]) -> NDArray[np.float32]:
    """Saliency (L, \\*S) at voxels: (M, L)."""
    return maps[(slice(None), *voxels.T)].T


def _gathered(
    voxels: NDArray[np.integer],
    shape: Sequence[int],
    halo: Sequence[int],
    alignment: Sequence[int],
    read: Callable[[Box], torch.Tensor],
) -> NDArray[np.float32]:
    parts, places = [], []
    for crop in marker_crops(voxels, shape, halo, alignment):
        lowest = [part.start for part in crop.core]
        highest = [part.stop for part in crop.core]
        inside = np.flatnonzero(((voxels >= lowest) & (voxels < highest)).all(axis=1))
        within = voxels[inside] - [part.start for part in crop.read]
        channels: NDArray[np.float32] = read(crop.read).numpy(force=True)
        parts.append(channels[(slice(None), *within.T)].T)
        places.append(inside)
    # Crops may overlap; a voxel in several of them has the same values in each.
    _, first = np.unique(np.concatenate(places), return_index=True)
    return np.concatenate(parts)[first]
