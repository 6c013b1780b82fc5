"""From seeds that changed to a grown forest, step by step; compiled code is loaded when needed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_flim.delineation.forest_state import (
    LABEL,
    PATH,
    ROOT,
    Arcs,
    Means,
    Voxels,
    empty_queue,
    voxel_type,
)
from napari_flim.progress import Job, Progress

POPS_PER_STEP = 200_000
"""Voxels between two reports of progress: some hundredths of a second."""


def blank_means(arcs: Arcs) -> Means:
    """Means of no tree."""
    size, channels = arcs.values.shape
    return Means(
        np.zeros(size if arcs.rule in (ROOT, LABEL) else 0, dtype=np.int32),
        np.empty(0, dtype=voxel_type(size)['root']),
        np.empty((0, channels)),
        np.empty(0, dtype=np.int64),
        np.zeros((size if arcs.rule == PATH else 0, channels), dtype=np.float32),
    )


def grow_changed(
    arcs: Arcs, voxels: Voxels, means: Means, changed: NDArray[np.int64], labels: NDArray[np.int32]
) -> Job[Means]:
    """Change seeds and let everything that depends on them grow anew, in place.

    Parameters
    ----------
    arcs : Arcs
    voxels : Voxels
        Changed in place.
    means : Means
        Left as they are.
    changed : (M,) int64 array
        Flat indices of the voxels whose seeds changed, ascending.
    labels : (M,) int32 array
        Their new labels; 0 where there is no seed any more.

    Returns
    -------
    Means
        The means of the grown forest.
    """
    yield Progress('preparing to grow trees', 0, len(voxels))
    # Imported here, since it takes a while and only growing needs it.
    from napari_flim.delineation.growth import grow
    from napari_flim.delineation.replanting import replant

    means, rows = _with_rows(arcs, means, changed, labels)
    size = len(voxels)
    queue = empty_queue(1024 + 2 * len(changed), voxels)
    queue = replant(arcs, voxels, means, queue, changed, labels, rows)
    done = 0
    while True:
        queue, popped = grow(arcs, voxels, means, queue, POPS_PER_STEP)
        if popped < POPS_PER_STEP:
            return means
        done = min(done + popped, size)
        yield Progress('growing trees', done, size)


def _with_rows(
    arcs: Arcs, means: Means, changed: NDArray[np.int64], labels: NDArray[np.int32]
) -> tuple[Means, NDArray[np.int32]]:
    """A copy of the means with a row for every new seed, and those rows."""
    rows = np.zeros(len(changed), dtype=np.int32)
    numbers, paths = means.numbers.copy(), means.paths.copy()
    planted = np.flatnonzero(labels)
    keys = means.keys
    if arcs.rule == ROOT:
        free = np.flatnonzero(means.sizes == 0)[: len(planted)]
        total = len(keys) + len(planted) - len(free)
        rows[planted] = np.concatenate([free, np.arange(len(keys), total)])
        keys = np.resize(keys, total)
        keys[rows[planted]] = changed[planted]
    elif arcs.rule == LABEL:
        keys = np.concatenate([keys, np.setdiff1d(labels[planted], keys)])
        order = np.argsort(keys)
        rows[planted] = order[np.searchsorted(keys, labels[planted], sorter=order)]
    sums = np.zeros((len(keys), arcs.values.shape[1]))
    sizes = np.zeros(len(keys), dtype=np.int64)
    # A tree that has lost all its voxels starts again from nothing, without rests of rounding.
    kept = np.flatnonzero(means.sizes)
    sums[kept] = means.sums[kept]
    sizes[kept] = means.sizes[kept]
    return Means(numbers, keys.copy(), sums, sizes, paths), rows
