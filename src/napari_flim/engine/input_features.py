"""What block 1 reads: the voxels of an image as features, as its input transform says."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_flim.engine.colour import heat_lab, lab_norm2
from napari_flim.engine.image import Image
from napari_flim.engine.multiscale import multiscale_features
from napari_flim.engine.preprocessing import InputTransform, Ranges
from napari_flim.errors import ImageError

LARGEST = 1e15
"""Scaled intensities are kept below this, so that later sums of squares stay finite in float32."""


def input_features(
    transform: InputTransform, image: Image, statistics: Ranges | None = None
) -> torch.Tensor:
    """Features of an image, or of a part of it.

    Parameters
    ----------
    transform : InputTransform
        With its kind decided; see `InputTransform.resolved`.
    image : Image
    statistics : tuple of (low, high), optional
        `InputTransform.statistics` of the whole image, when ``image`` is only a part.

    Returns
    -------
    (C, \\*S) float32 tensor
        Voxels that are not finite numbers become 0.

    Raises
    ------
    ImageError
        When the channels are not those the transform needs.
    """
    if transform.kind == 'auto':
        raise ImageError('The input is still "auto"; call resolved() with the images first.')
    ranges = statistics or transform.statistics(image)
    data = transform.select(image)
    if transform.is_coloured(image):
        features = _lab(data, ranges[0][1])
    elif transform.kind == 'libift':
        full = ranges[0][1]
        grey = torch.from_numpy(_dark_where_unknown(data[0]).astype(np.float64))
        features = heat_lab(grey * 255, 255) if full == 1 else heat_lab(grey, int(full))
    else:
        features = torch.from_numpy(_scale(data, ranges))
        if transform.kind == 'window':
            features.clamp_(0, 1)
    if transform.kind == 'multiscale':
        features = multiscale_features(features, transform.scales, image.spacing)
    return features


def _scale(data: NDArray[Any], ranges: Ranges) -> NDArray[np.float32]:
    """(value - low) / (high - low), in float64 where float32 would be too coarse."""
    dtype = np.float32 if data.dtype.itemsize <= 2 and data.dtype.kind in 'bui' else np.float64
    result = np.empty(data.shape, dtype=np.float32)
    for channel, (low, high) in enumerate(ranges):
        span = high - low if high > low else 1.0
        scaled = (data[channel].astype(dtype) - dtype(low)) / dtype(span)
        if data.dtype.kind == 'f':
            scaled = np.where(np.isfinite(scaled), scaled, 0.0).clip(-LARGEST, LARGEST)
        result[channel] = scaled
    return result


def _lab(data: NDArray[Any], full: float) -> torch.Tensor:
    if full in (255.0, 4095.0, 65535.0):
        values = _dark_where_unknown(data)
        exact = values if values.dtype == np.uint8 else values.astype(np.float32)
        return lab_norm2(torch.from_numpy(np.ascontiguousarray(exact)), int(full))
    unit = np.clip(_dark_where_unknown(data).astype(np.float32) / np.float32(full), 0, 1)
    return lab_norm2(torch.from_numpy(unit * 255), 255)


def _dark_where_unknown(data: NDArray[Any]) -> NDArray[Any]:
    return np.where(np.isfinite(data), data, 0) if data.dtype.kind == 'f' else data
