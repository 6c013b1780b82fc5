"""The priority queue of the forests: smallest cost first, and among equals the oldest entry.

In a forest with maximum costs most voxels enter with the very cost that has just left the queue:
they wait in a plain list, the plateau. Of the others, most get a better offer long before it is
their turn: they wait unsorted in buckets of similar costs, and only what is still true of the
next bucket goes through a heap. Importing this module imports numba.

What is done for every voxel takes arrays and numbers one by one and returns the numbers that
change: the caller keeps them in registers, and no references to arrays are counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_flim.delineation.forest_state import (
    BUCKET,
    BUCKET_SHIFT,
    ENTRIES,
    HEAPED,
    LAST,
    LEVEL,
    Indices,
    Queue,
    Voxels,
)

Function = TypeVar('Function', bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Compile a function on its first call, and keep it on disk; it runs without Python's lock."""
    return cast(Function, njit(cache=True, nogil=True, error_model='numpy')(function))


def bare(function: Function) -> Function:
    """`compiled`, for what allocates nothing.

    No references to arrays are counted: that would take longer than the work itself.
    """
    # Numba's own functions are compiled in this way; its type hints do not list the option.
    options: dict[str, Any] = {'cache': True, 'nogil': True, 'error_model': 'numpy', '_nrt': False}
    return cast(Function, njit(**options)(function))


def inlined(function: Function) -> Function:
    """Compile a function into those that call it, for what is done for every voxel."""
    return cast(Function, njit(inline='always', nogil=True, error_model='numpy')(function))


@inlined
def bits_of(cost: np.float32) -> np.int64:
    """The bits of a cost, which are ordered as costs from 0 are."""
    return np.int64(np.float32(cost).view(np.uint32))


@inlined
def _enter_heap(heap: NDArray[np.int64], heaped: int, key: np.int64) -> None:
    place = heaped
    while place > 0:
        parent = (place - 1) >> 2
        if heap[parent] <= key:
            break
        heap[place] = heap[parent]
        place = parent
    heap[place] = key


@inlined
def _leave_heap(heap: NDArray[np.int64], left: int) -> None:
    """Take the first of the keys away, of which so many are left then."""
    key = heap[left]
    place = 0
    while 4 * place + 1 < left:
        least = 4 * place + 1
        for other in range(least + 1, min(least + 4, left)):
            if heap[other] < heap[least]:
                least = other
        if heap[least] >= key:
            break
        heap[place] = heap[least]
        place = least
    heap[place] = key


@inlined
def push(
    heap: NDArray[np.int64],
    records: Indices,
    heads: Indices,
    plateau: Indices,
    entries: int,
    level: int,
    bucket: int,
    heaped: int,
    last: int,
    voxel: int,
    cost: np.float32,
) -> tuple[int, int, int]:
    """Let a voxel wait; there must be room. The new ``entries``, ``heaped`` and ``last``."""
    bits = bits_of(cost)
    if bits == level:
        plateau[last] = voxel
        last += 1
    else:
        records[entries, 0] = voxel
        records[entries, 1] = bits
        own = bits >> BUCKET_SHIFT
        if own <= bucket:
            _enter_heap(heap, heaped, (bits << 32) | entries)
            heaped += 1
        else:
            records[entries, 2] = heads[own]
            heads[own] = entries
        entries += 1
    return entries, heaped, last


@bare
def enqueue(queue: Queue, voxel: int, cost: np.float32) -> None:
    """Let a voxel wait; there must be room."""
    counts = queue.counts
    entries, heaped, last = push(
        queue.heap,
        queue.records,
        queue.heads,
        queue.plateau,
        counts[ENTRIES],
        counts[LEVEL],
        counts[BUCKET],
        counts[HEAPED],
        counts[LAST],
        voxel,
        cost,
    )
    counts[ENTRIES] = entries
    counts[HEAPED] = heaped
    counts[LAST] = last


@inlined
def pop(
    heap: NDArray[np.int64],
    records: Indices,
    plateau: Indices,
    voxels: Voxels,
    level: int,
    heaped: int,
    first: int,
    last: int,
) -> tuple[int, int, int, int, int]:
    """Take the voxel that comes next, or -1 when the bucket is empty.

    Entries whose cost is no longer that of their voxel are dropped. Also the new ``level``,
    ``heaped``, ``first`` and ``last``.
    """
    voxel = -1
    while voxel < 0 and (first < last or heaped > 0):
        waits = first < last
        if waits and (heaped == 0 or heap[0] >> 32 > level):
            bits = level
            found = int(plateau[first])
            first += 1
        else:
            bits = heap[0] >> 32
            found = int(records[heap[0] & 0xFFFFFFFF, 0])
            heaped -= 1
            _leave_heap(heap, heaped)
            if not waits:
                first = last = 0
                level = bits
        if bits_of(voxels[found].cost) == bits:
            voxel = found
    return voxel, level, heaped, first, last


@inlined
def open_bucket(
    heap: NDArray[np.int64],
    records: Indices,
    heads: Indices,
    voxels: Voxels,
    bucket: int,
) -> tuple[int, int]:
    """Move the next bucket with a valid entry to the empty heap; its number and its entries."""
    heaped = 0
    while heaped == 0 and bucket < len(heads):
        record = np.int64(heads[bucket])
        heads[bucket] = -1
        while record >= 0:
            bits = np.int64(records[record, 1])
            if bits_of(voxels[records[record, 0]].cost) == bits:
                _enter_heap(heap, heaped, (bits << 32) | record)
                heaped += 1
            record = np.int64(records[record, 2])
        if heaped == 0:
            bucket += 1
    return bucket, heaped


@inlined
def has_room(records: Indices, plateau: Indices, used: int, last: int, entries: int) -> bool:
    """Whether some more entries fit, wherever they go."""
    return used + entries <= len(records) and last + entries <= len(plateau)


@compiled
def with_room(queue: Queue, entries: int) -> Queue:
    """The queue, in larger arrays if some more entries do not fit."""
    counts = queue.counts
    if has_room(queue.records, queue.plateau, counts[ENTRIES], counts[LAST], entries):
        return queue
    room = 2 * len(queue.records) + entries
    heap = np.empty(room, dtype=np.int64)
    records = np.empty((room, 3), dtype=queue.records.dtype)
    plateau = np.empty(2 * len(queue.plateau) + entries, dtype=queue.plateau.dtype)
    # Loops, since slices would take seconds to compile.
    for place in range(counts[HEAPED]):
        heap[place] = queue.heap[place]
    for record in range(counts[ENTRIES]):
        for column in range(3):
            records[record, column] = queue.records[record, column]
    for place in range(counts[LAST]):
        plateau[place] = queue.plateau[place]
    return Queue(heap, records, queue.heads, plateau, counts, queue.released)
