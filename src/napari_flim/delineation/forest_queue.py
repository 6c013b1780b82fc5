"""The priority queue of the forests: smallest cost first, and among equals the oldest entry.

In a forest with maximum costs most voxels enter with the very cost that has just left the queue:
they wait in a plain list, the plateau. Of the others, most get a better offer long before it is
their turn: they wait unsorted in buckets of similar costs, and only what is still true of the
next bucket goes through a heap. Importing this module imports numba.

Arrays are passed one by one where it is done for every voxel, since counting the references to a
tuple of arrays would take longer than the work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_flim.delineation.forest_state import (
    AGE,
    BUCKET,
    BUCKET_SHIFT,
    FAR,
    FIRST,
    FREE,
    HEAPED,
    LAST,
    LEVEL,
    USED,
    Queue,
)

Function = TypeVar('Function', bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Compile a function on its first call, and keep it on disk; it runs without Python's lock."""
    return cast(Function, njit(cache=True, nogil=True, error_model='numpy')(function))


def inlined(function: Function) -> Function:
    """Compile a function into those that call it, for what is done for every voxel."""
    return cast(Function, njit(inline='always', nogil=True, error_model='numpy')(function))


@compiled
def has_room(
    heap: NDArray[np.int64], plateau: NDArray[np.int64], counts: NDArray[np.int64], entries: int
) -> bool:
    """Whether some more entries fit, wherever they go."""
    waiting = counts[HEAPED] + counts[FAR]
    return bool(waiting + entries <= len(heap) and counts[LAST] + entries <= len(plateau))


@compiled
def with_room(queue: Queue, entries: int) -> Queue:
    """The queue, in larger arrays if some more entries do not fit."""
    counts = queue.counts
    if has_room(queue.heap, queue.plateau, counts, entries):
        return queue
    room = 2 * len(queue.heap) + entries
    heap = _longer(queue.heap, counts[HEAPED], room)
    records = _longer(queue.records, counts[USED], room)
    plateau = np.empty(2 * len(queue.plateau) + entries, dtype=np.int64)
    for place in range(counts[LAST]):
        plateau[place] = queue.plateau[place]
    return Queue(heap, records, queue.heads, plateau, counts, queue.released)


@compiled
def _longer(rows: NDArray[np.int64], used: int, room: int) -> NDArray[np.int64]:
    """The same rows in a longer array."""
    longer = np.empty((room, rows.shape[1]), dtype=np.int64)
    for row in range(used):
        for column in range(rows.shape[1]):
            longer[row, column] = rows[row, column]
    return longer


@inlined
def _enter_heap(
    heap: NDArray[np.int64], counts: NDArray[np.int64], key: np.int64, voxel: int
) -> None:
    place = counts[HEAPED]
    counts[HEAPED] += 1
    while place > 0:
        parent = (place - 1) >> 2
        if heap[parent, 0] <= key:
            break
        heap[place, 0] = heap[parent, 0]
        heap[place, 1] = heap[parent, 1]
        place = parent
    heap[place, 0] = key
    heap[place, 1] = voxel


@compiled
def push(
    heap: NDArray[np.int64],
    records: NDArray[np.int64],
    heads: NDArray[np.int64],
    plateau: NDArray[np.int64],
    counts: NDArray[np.int64],
    voxel: int,
    cost: np.float32,
) -> None:
    """Let a voxel wait; there must be room."""
    bits = np.int64(np.float32(cost).view(np.uint32))
    if bits == counts[LEVEL]:
        plateau[counts[LAST]] = voxel
        counts[LAST] += 1
        return
    key = (bits << 32) | (counts[AGE] & 0xFFFFFFFF)
    counts[AGE] += 1
    bucket = bits >> BUCKET_SHIFT
    if bucket <= counts[BUCKET]:
        _enter_heap(heap, counts, key, voxel)
        return
    record = counts[FREE]
    if record < 0:
        record = counts[USED]
        counts[USED] += 1
    else:
        counts[FREE] = records[record, 2]
    records[record, 0] = key
    records[record, 1] = voxel
    records[record, 2] = heads[bucket]
    heads[bucket] = record
    counts[FAR] += 1


@compiled
def pop(
    heap: NDArray[np.int64],
    plateau: NDArray[np.int64],
    counts: NDArray[np.int64],
    costs: NDArray[np.float32],
) -> int:
    """Take the voxel that comes next, or -1 when the bucket is empty.

    Entries whose cost is no longer that of their voxel are dropped.
    """
    while True:
        waits = counts[FIRST] < counts[LAST]
        if counts[HEAPED] == 0 and not waits:
            return -1
        if waits and (counts[HEAPED] == 0 or heap[0, 0] >> 32 > counts[LEVEL]):
            voxel, bits = plateau[counts[FIRST]], counts[LEVEL]
            counts[FIRST] += 1
        else:
            voxel, bits = heap[0, 1], heap[0, 0] >> 32
            if not waits:
                counts[FIRST] = 0
                counts[LAST] = 0
                counts[LEVEL] = bits
            counts[HEAPED] -= 1
            size = counts[HEAPED]
            key = heap[size, 0]
            place = 0
            while 4 * place + 1 < size:
                least = 4 * place + 1
                for other in range(least + 1, min(least + 4, size)):
                    if heap[other, 0] < heap[least, 0]:
                        least = other
                if heap[least, 0] >= key:
                    break
                heap[place, 0] = heap[least, 0]
                heap[place, 1] = heap[least, 1]
                place = least
            heap[place, 0] = key
            heap[place, 1] = heap[size, 1]
        if np.int64(np.float32(costs[voxel]).view(np.uint32)) == bits:
            return int(voxel)


@compiled
def open_bucket(
    heap: NDArray[np.int64],
    records: NDArray[np.int64],
    heads: NDArray[np.int64],
    counts: NDArray[np.int64],
    costs: NDArray[np.float32],
) -> bool:
    """Move the next bucket with a valid entry to the empty heap; whether there is one."""
    while counts[FAR] > 0:
        while heads[counts[BUCKET]] < 0:
            counts[BUCKET] += 1
        record = heads[counts[BUCKET]]
        heads[counts[BUCKET]] = -1
        while record >= 0:
            key, voxel, following = records[record, 0], records[record, 1], records[record, 2]
            if np.int64(np.float32(costs[voxel]).view(np.uint32)) == key >> 32:
                _enter_heap(heap, counts, key, voxel)
            records[record, 2] = counts[FREE]
            counts[FREE] = record
            counts[FAR] -= 1
            record = following
        if counts[HEAPED] > 0:
            return True
    return False
