"""Where an image ends, compiled: which neighbours of a flat index exist.

Importing this module imports numba.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_flim.delineation.forest_queue import bare


@bare
def is_inside(shape: NDArray[np.int64], reach: NDArray[np.int64], voxel: int) -> bool:
    """Whether all neighbours of a voxel exist."""
    row = voxel // shape[2]
    x = voxel - row * shape[2]
    z = row // shape[1]
    y = row - z * shape[1]
    return bool(
        reach[2] <= x < shape[2] - reach[2]
        and reach[1] <= y < shape[1] - reach[1]
        and reach[0] <= z < shape[0] - reach[0]
    )


@bare
def exists(shape: NDArray[np.int64], steps: NDArray[np.int64], voxel: int, k: int) -> bool:
    """Whether a voxel has the neighbour of arc k within the image."""
    row = voxel // shape[2]
    x = voxel - row * shape[2] + steps[k, 2]
    z = row // shape[1]
    y = row - z * shape[1] + steps[k, 1]
    z += steps[k, 0]
    return bool(0 <= x < shape[2] and 0 <= y < shape[1] and 0 <= z < shape[0])
