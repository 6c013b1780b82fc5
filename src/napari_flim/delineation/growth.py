"""The image foresting transform, compiled: voxels leave the queue and make offers to neighbours.

Falcão, Stolfi and Lotufo, 10.1109/TPAMI.2004.1261076; dynamic weights: Bragantini et al.,
10.1007/978-3-030-13469-3_52. Importing this module imports numba.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from napari_flim.delineation.forest_queue import (
    bare,
    compiled,
    has_room,
    inlined,
    open_bucket,
    pop,
    push,
    with_room,
)
from napari_flim.delineation.forest_state import (
    BUCKET,
    DETACHED,
    ENTRIES,
    FINAL,
    FIRST,
    FRONTIER,
    HEAPED,
    LAST,
    LEVEL,
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
    reference = np.zeros(arcs.values.shape[1])
    popped = 0
    while popped < budget:
        queue = with_room(queue, neighbours)
        taken = _take(arcs, voxels, means, queue, reference, budget - popped)
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


@bare
def _take(
    arcs: Arcs,
    voxels: Voxels,
    means: Means,
    queue: Queue,
    reference: NDArray[np.float64],
    budget: int,
) -> int:
    """Take voxels until none is left, the budget is spent, room is short or voxels are detached.

    ``reference`` is room for the features with which a voxel compares its neighbours.
    """
    values, jumps, factors = arcs.values, arcs.jumps, arcs.factors
    shape, reach, steps, rule = arcs.shape, arcs.reach, arcs.steps, arcs.rule
    numbers, sums, sizes, paths = means.numbers, means.sums, means.sizes, means.paths
    heap, records, heads, plateau = queue.heap, queue.records, queue.heads, queue.plateau
    counts, released = queue.counts, queue.released
    entries, level, bucket = counts[ENTRIES], counts[LEVEL], counts[BUCKET]
    heaped, first, last = counts[HEAPED], counts[FIRST], counts[LAST]
    dynamic = rule >= ROOT
    # A voxel that has joined a mean in this run stays there, so that every run comes to an end.
    closed = FINAL if dynamic else OUTSIDE
    popped = detached = 0
    while popped < budget and detached == 0:
        if not has_room(records, plateau, entries, last, jumps.size):
            break
        voxel, level, heaped, first, last = pop(
            heap, records, plateau, voxels, level, heaped, first, last
        )
        if voxel < 0:
            bucket, heaped = open_bucket(heap, records, heads, voxels, bucket)
            if heaped == 0:
                break
            continue
        popped += 1
        here = voxels[voxel]
        cost, root = here.cost, here.root
        joins = here.state == WAITING
        if rule == STATIC:
            _compare_with_own(values, voxel, reference)
        elif rule == PATH:
            follow_path(values, paths, voxel, here.predecessor, arcs.alpha, joins, reference)
        elif rule != NODE:
            join_tree(values, sums, sizes, voxel, numbers[root], joins, reference)
        here.state = SETTLED if here.state == FRONTIER else FINAL
        inside = is_inside(shape, reach, voxel)
        for k in range(jumps.size):
            if not inside and not exists(shape, steps, voxel, k):
                continue
            other = voxel + jumps[k]
            there = voxels[other]
            orphan = not dynamic and there.predecessor == voxel and there.root != root
            if (there.cost <= cost and not orphan) or there.state >= closed:
                continue
            weight = np.float32(_distance(values, reference, other) * factors[k])
            offer = max(cost, weight)
            if offer >= there.cost and not orphan:
                continue
            if dynamic and there.state != WAITING:
                if numbers.size > 0:
                    leave_tree(values, sums, sizes, other, numbers[there.root])
                released[detached] = other
                detached += 1
            there.cost = offer
            there.root = root
            there.predecessor = voxel
            there.state = WAITING
            entries, heaped, last = push(
                heap, records, heads, plateau, entries, level, bucket, heaped, last, other, offer
            )
    counts[ENTRIES], counts[LEVEL], counts[BUCKET] = entries, level, bucket
    counts[HEAPED], counts[FIRST], counts[LAST] = heaped, first, last
    counts[DETACHED] = detached
    return popped


@inlined
def _compare_with_own(
    values: NDArray[np.float32], voxel: int, reference: NDArray[np.float64]
) -> None:
    for c in range(reference.size):
        reference[c] = values[voxel, c]


@inlined
def _distance(values: NDArray[np.float32], reference: NDArray[np.float64], other: int) -> float:
    total = 0.0
    for c in range(reference.size):
        difference = reference[c] - values[other, c]
        total += difference * difference
    return math.sqrt(total)
