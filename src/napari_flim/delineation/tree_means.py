"""What trees and paths have taken in, compiled: voxels join an average, and leave it.

Importing this module imports numba.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_flim.delineation.forest_queue import bare, inlined


@inlined
def join_tree(
    values: NDArray[np.float32],
    sums: NDArray[np.float64],
    sizes: NDArray[np.int64],
    voxel: int,
    tree: int,
    joins: bool,
    reference: NDArray[np.float64],
) -> None:
    """Let a voxel join the mean of its tree, unless it has, and write that mean."""
    if joins:
        sizes[tree] += 1
    for c in range(reference.size):
        if joins:
            sums[tree, c] += values[voxel, c]
        reference[c] = sums[tree, c] / sizes[tree]


@inlined
def follow_path(
    values: NDArray[np.float32],
    paths: NDArray[np.float32],
    voxel: int,
    before: int,
    alpha: float,
    joins: bool,
    reference: NDArray[np.float64],
) -> None:
    """Average a voxel with the path before it, unless that is done, and write the average."""
    for c in range(reference.size):
        if joins and before < 0:
            paths[voxel, c] = values[voxel, c]
        elif joins:
            paths[voxel, c] = (1 - alpha) * values[voxel, c] + alpha * paths[before, c]
        reference[c] = paths[voxel, c]


@bare
def leave_tree(
    values: NDArray[np.float32],
    sums: NDArray[np.float64],
    sizes: NDArray[np.int64],
    voxel: int,
    tree: int,
) -> None:
    """Take a voxel out of the mean of its tree."""
    sizes[tree] -= 1
    for c in range(values.shape[1]):
        sums[tree, c] -= values[voxel, c]
