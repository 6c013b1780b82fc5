"""Seeds pulled out and planted, compiled: trees beside freed voxels compete for them.

Importing this module imports numba.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_flim.delineation.forest_queue import bare, compiled, enqueue, with_room
from napari_flim.delineation.forest_state import (
    FINAL,
    FRONTIER,
    OUTSIDE,
    ROOT,
    SETTLED,
    WAITING,
    Arcs,
    Means,
    Queue,
    Voxels,
)
from napari_flim.delineation.tree_means import leave_tree
from napari_flim.delineation.voxel_grid import exists, is_inside


@bare
def free(arcs: Arcs, voxels: Voxels, means: Means, voxel: int) -> None:
    """Take a voxel from its tree."""
    if means.numbers.size > 0 and voxels[voxel].state != WAITING:
        tree = means.numbers[voxels[voxel].root]
        leave_tree(arcs.values, means.sums, means.sizes, voxel, tree)
    voxels[voxel].cost = np.inf
    voxels[voxel].root = -1
    voxels[voxel].predecessor = -1
    voxels[voxel].state = WAITING


@bare
def release_below(
    arcs: Arcs, voxels: Voxels, means: Means, queue: Queue, first: int, last: int
) -> int:
    """Free all voxels whose path runs through one of a list, and add them to the list.

    Parameters
    ----------
    arcs, voxels, means
        The forest.
    queue : Queue
        Its ``released`` holds the list.
    first, last : int
        The part of the list whose dependants are looked for.

    Returns
    -------
    int
        Length of the list.
    """
    shape, reach, steps, jumps = arcs.shape, arcs.reach, arcs.steps, arcs.jumps
    released = queue.released
    place = first
    while place < last:
        voxel = released[place]
        place += 1
        inside = is_inside(shape, reach, voxel)
        for k in range(jumps.size):
            if not inside and not exists(shape, steps, voxel, k):
                continue
            other = voxel + jumps[k]
            if voxels[other].predecessor == voxel:
                free(arcs, voxels, means, other)
                released[last] = other
                last += 1
    return last


@bare
def ask_around(arcs: Arcs, voxels: Voxels, queue: Queue, first: int, last: int) -> None:
    """Let the trees beside freed voxels make their offers; there must be room in the queue."""
    shape, reach, steps, jumps = arcs.shape, arcs.reach, arcs.steps, arcs.jumps
    for place in range(first, last):
        voxel = queue.released[place]
        inside = is_inside(shape, reach, voxel)
        for k in range(jumps.size):
            if not inside and not exists(shape, steps, voxel, k):
                continue
            other = voxel + jumps[k]
            if voxels[other].state == SETTLED:
                voxels[other].state = FRONTIER
                enqueue(queue, other, voxels[other].cost)
            elif voxels[other].state == FINAL:
                enqueue(queue, other, voxels[other].cost)


@compiled
def replant(
    arcs: Arcs,
    voxels: Voxels,
    means: Means,
    queue: Queue,
    changed: NDArray[np.int64],
    labels: NDArray[np.int32],
    numbers: NDArray[np.int32],
) -> Queue:
    """Pull out seeds and plant others; then the queue holds what has to grow.

    Parameters
    ----------
    arcs, voxels, means, queue
        The forest.
    changed : (M,) int64 array
        Voxels whose seeds changed.
    labels : (M,) int32 array
        Their new labels; 0 where there is no seed any more.
    numbers : (M,) int32 array
        The mean of each new tree.
    """
    # Typed, since for a plain 0 another variant would be compiled.
    first = last = int(np.int64(0))
    for place in range(changed.size):
        seed = changed[place]
        if voxels[seed].root == seed:
            free(arcs, voxels, means, seed)
            queue.released[last] = seed
            last = release_below(arcs, voxels, means, queue, last, last + 1)
    queue = with_room(queue, changed.size)
    for place in range(changed.size):
        seed = changed[place]
        if labels[place] == 0 or voxels[seed].state == OUTSIDE:
            continue
        if arcs.rule >= ROOT and voxels[seed].state == SETTLED:
            free(arcs, voxels, means, seed)
            queue.released[last] = seed
            last = release_below(arcs, voxels, means, queue, last, last + 1)
        voxels[seed].cost = 0
        voxels[seed].root = seed
        voxels[seed].predecessor = -1
        voxels[seed].state = WAITING
        if means.numbers.size > 0:
            means.numbers[seed] = numbers[place]
        enqueue(queue, seed, voxels[seed].cost)
    queue = with_room(queue, arcs.jumps.size * last)
    ask_around(arcs, voxels, queue, first, last)
    return queue
