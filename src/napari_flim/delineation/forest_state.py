"""The arrays in which a forest grows, grouped by what they describe.

Plain tuples of arrays, so that compiled code takes them as they are; nothing here is compiled.
All voxel arrays are flat in C order, and all voxel indices are flat.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.integer]
"""Flat voxel indices: int32, or int64 for images of more than 2**28 voxels."""

Voxels = NDArray[np.void]
"""What is known of every voxel, see `voxel_type`. It lies together, since voxels leave the queue in
no order of places: most of the time goes to waiting for memory."""

NODE, STATIC, ROOT, LABEL, PATH = range(5)
"""What a neighbour is compared with: zero, the voxel, the mean of its tree, of all trees of its
label, or of its path."""

WAITING, SETTLED, FRONTIER, FINAL, OUTSIDE = range(5)
"""States of a voxel: in no tree, or in the queue; in a tree before this run; the same, and in the
queue to win back neighbours; taken from the queue in this run; outside the mask."""

ENTRIES, LEVEL, BUCKET, HEAPED, FIRST, LAST, DETACHED = range(7)
"""What `Queue.counts` holds: records in use; bits of the cost of the plateau; the bucket that the
heap has reached; keys in the heap; ends of the plateau; voxels that were taken from their tree, in
`Queue.released`."""

BUCKET_SHIFT = 17
"""Bits of a float32 cost that costs of one bucket may differ in: 6 bits of its fraction are left,
so that the costs of a bucket differ by up to 1.6 %."""


class Arcs(NamedTuple):
    """The graph: what an arc weighs, and which arcs there are.

    Attributes
    ----------
    values : (N, C) float32 array
        Features of every voxel.
    shape, reach : (3,) int64 arrays
        Size of the image, and how far arcs go along each axis; images are volumes of one slice.
    steps : (K, 3) int64 array
        Offsets of the neighbours.
    jumps : (K,) int64 array
        The same as differences of flat indices.
    factors : (K,) float64 array
        By what the weight of each arc is multiplied.
    rule : int
        `NODE`, `STATIC`, `ROOT`, `LABEL` or `PATH`.
    alpha : float
        Share of the path in its average, for `PATH`.
    """

    values: NDArray[np.float32]
    shape: NDArray[np.int64]
    reach: NDArray[np.int64]
    steps: NDArray[np.int64]
    jumps: NDArray[np.int64]
    factors: NDArray[np.float64]
    rule: int
    alpha: float


class Means(NamedTuple):
    """The averages that dynamic arcs compare with; arrays are empty where the rule needs none.

    Attributes
    ----------
    numbers : (N,) int32 array
        At every seed, which mean its tree belongs to.
    keys : (T,) index array
        The seed of each mean, or its label where all trees of a label share one.
    sums : (T, C) float64 array
    sizes : (T,) int64 array
        Sum of the features, and number, of the voxels of each mean; a row of size 0 is no tree.
    paths : (N, C) float32 array
        Average carried by the path to every voxel.
    """

    numbers: NDArray[np.int32]
    keys: Indices
    sums: NDArray[np.float64]
    sizes: NDArray[np.int64]
    paths: NDArray[np.float32]


class Queue(NamedTuple):
    """Voxels that wait, see `napari_flim.delineation.forest_queue`.

    Attributes
    ----------
    heap : (R,) int64 array
        Keys of the entries that come next: the bits of the cost and, below them, the record.
    records : (R, 3) index array
        Voxel, bits of its cost and next record of the same bucket, of all entries by age; fewer
        than 2**32, since a key has no room for more.
    heads : (2**(31 - BUCKET_SHIFT),) index array
        First record of every bucket, or -1.
    plateau : (L,) index array
        Voxels whose cost is the one that left the queue last, in the order in which they entered.
    counts : (7,) int64 array
    released : (N,) index array
        Room to list voxels that lose their tree.
    """

    heap: NDArray[np.int64]
    records: Indices
    heads: Indices
    plateau: Indices
    counts: NDArray[np.int64]
    released: Indices


def voxel_type(size: int) -> np.dtype[np.void]:
    """The type of one voxel of an image: cost, root, predecessor and state.

    Roots and predecessors are flat indices: int32 as long as several entries of the queue for each
    voxel can be counted in it too.

    Examples
    --------
    >>> voxel_type(512 * 512).itemsize, voxel_type(2**28 + 1).itemsize
    (16, 32)
    """
    index = np.int32 if size <= 2**28 else np.int64
    fields = [('cost', np.float32), ('root', index), ('predecessor', index), ('state', np.uint8)]
    return np.dtype(fields, align=True)


def empty_queue(room: int, voxels: Voxels) -> Queue:
    """A queue with room for some entries; it grows by itself.

    Parameters
    ----------
    room : int
        Entries to make room for.
    voxels : Voxels
        Those that may enter.
    """
    index = voxels.dtype['root']
    return Queue(
        np.empty(room, dtype=np.int64),
        np.empty((room, 3), dtype=index),
        np.full(1 << (31 - BUCKET_SHIFT), -1, dtype=index),
        np.empty(room, dtype=index),
        np.zeros(7, dtype=np.int64),
        np.empty(len(voxels), dtype=index),
    )
