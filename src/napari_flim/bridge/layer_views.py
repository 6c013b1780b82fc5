"""Where the viewer cuts a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_flim.bridge.layer_axes import finest

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer


def in_view(viewer: ViewerModel, layer: Image, axes: str) -> tuple[int, int | None]:
    """Place along T, and plane of a volume unless it is shown in 3D, that the viewer shows."""
    point = np.asarray(viewer.dims.point[-layer.ndim :])
    shape = finest(layer).shape[: layer.ndim]
    voxel = np.clip(np.round(layer.world_to_data(point)), 0, np.array(shape) - 1).astype(int)
    frame = int(voxel[axes.index('T')]) if 'T' in axes else 0
    flat = 'Z' in axes and viewer.dims.ndisplay == 2
    return frame, int(voxel[axes.index('Z')]) if flat else None


def section_of(viewer: ViewerModel, layer: Layer) -> tuple[float | None, ...]:
    """World position along each axis of a layer; None for those that the viewer displays."""
    dims = viewer.dims
    first = dims.ndim - layer.ndim
    return tuple(
        None if axis in dims.displayed else float(dims.point[axis])
        for axis in range(first, dims.ndim)
    )
