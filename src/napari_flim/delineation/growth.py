"""The image foresting transform, compiled: voxels leave the queue and make offers to neighbours.

Falcão, Stolfi and Lotufo, 10.1109/TPAMI.2004.1261076; dynamic weights: Bragantini et al.,
10.1007/978-3-030-13469-3_52. Importing this module imports numba.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from napari_flim.delineation.forest_queue import (
    compiled,
    has_room,
    open_bucket,
    pop,
    push,
    with_room,
)
from napari_flim.delineation.forest_state import (
    DETACHED,
    FINAL,
    FRONTIER,
    NODE,
    OUTSIDE,
    PATH,
    ROOT,
    SETTLED,
    STATIC,
    WAITING,
    Arcs,
    Means,
    Queue,
    Voxels,
)
from napari_flim.delineation.replanting import ask_around, release_below
from napari_flim.delineation.tree_means import follow_path, join_tree, leave_tree
from napari_flim.delineation.voxel_grid import exists, is_inside


@compiled
def grow(arcs: Arcs, voxels: Voxels, means: Means, queue: Queue, budget: int) -> tuple[Queue, int]:
    """Take voxels from the queue until it is empty or the budget is spent.

    Returns
    -------
    queue : Queue
        Perhaps in larger arrays.
    popped : int
        Voxels taken; fewer than the budget when nobody waits any more.
    """
    neighbours = len(arcs.jumps)
    popped = 0
    while popped < budget:
        queue = with_room(queue, neighbours)
        taken = _take(arcs, voxels, means, queue, budget - popped)
        popped += taken
        detached = queue.counts[DETACHED]
        if detached > 0:
            queue.counts[DETACHED] = 0
            # Typed, since for a plain 0 another variant would be compiled.
            released = release_below(arcs, voxels, means, queue, int(np.int64(0)), detached)
            queue = with_room(queue, neighbours * (released + 1))
            ask_around(arcs, voxels, queue, detached, released)
        elif taken == 0:
            break
    return queue, popped


@compiled
def _take(arcs: Arcs, voxels: Voxels, means: Means, queue: Queue, budget: int) -> int:
    """Take voxels until none is left, the budget is spent, room is short or voxels are detached."""
    values, jumps, factors = arcs.values, arcs.jumps, arcs.factors
    shape, reach, steps, rule = arcs.shape, arcs.reach, arcs.steps, arcs.rule
    labels, costs, states = voxels.labels, voxels.costs, voxels.states
    roots, predecessors = voxels.roots, voxels.predecessors
    numbers, sums, sizes, paths = means.numbers, means.sums, means.sizes, means.paths
    heap, records, heads, plateau = queue.heap, queue.records, queue.heads, queue.plateau
    counts, released = queue.counts, queue.released
    reference = np.zeros(values.shape[1])
    dynamic = rule >= ROOT
    # A voxel that has joined a mean in this run stays there, so that every run comes to an end.
    closed = FINAL if dynamic else OUTSIDE
    for popped in range(budget):
        if counts[DETACHED] > 0 or not has_room(heap, plateau, counts, jumps.size):
            return popped
        voxel = pop(heap, plateau, counts, costs)
        if voxel < 0:
            if not open_bucket(heap, records, heads, counts, costs):
                return popped
            voxel = pop(heap, plateau, counts, costs)
        cost, root = costs[voxel], roots[voxel]
        joins = states[voxel] == WAITING
        if rule == STATIC:
            _compare_with_own(values, voxel, reference)
        elif rule == PATH:
            before = predecessors[voxel]
            follow_path(values, paths, voxel, before, arcs.alpha, joins, reference)
        elif rule != NODE:
            join_tree(values, sums, sizes, voxel, numbers[root], joins, reference)
        states[voxel] = SETTLED if states[voxel] == FRONTIER else FINAL
        inside = is_inside(shape, reach, voxel)
        for k in range(jumps.size):
            if not inside and not exists(shape, steps, voxel, k):
                continue
            other = voxel + jumps[k]
            orphan = not dynamic and predecessors[other] == voxel and roots[other] != root
            if (costs[other] <= cost and not orphan) or states[other] >= closed:
                continue
            weight = np.float32(_distance(values, reference, other) * factors[k])
            offer = max(cost, weight)
            if offer >= costs[other] and not orphan:
                continue
            if dynamic and states[other] != WAITING:
                if numbers.size > 0:
                    leave_tree(values, sums, sizes, other, numbers[roots[other]])
                released[counts[DETACHED]] = other
                counts[DETACHED] += 1
            costs[other] = offer
            labels[other] = labels[voxel]
            roots[other] = root
            predecessors[other] = voxel
            states[other] = WAITING
            push(heap, records, heads, plateau, counts, other, offer)
    return budget


@compiled
def _compare_with_own(
    values: NDArray[np.float32], voxel: int, reference: NDArray[np.float64]
) -> None:
    for c in range(reference.size):
        reference[c] = values[voxel, c]


@compiled
def _distance(values: NDArray[np.float32], reference: NDArray[np.float64], other: int) -> float:
    total = 0.0
    for c in range(reference.size):
        difference = reference[c] - values[other, c]
        total += difference * difference
    return math.sqrt(total)
