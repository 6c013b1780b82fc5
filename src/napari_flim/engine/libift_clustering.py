"""LibIFT's random numbers, k-means and sums, bit for bit.

Ties between samples are decided by the last bit of a float32 sum, so every sum here runs in
LibIFT's order: element by element for distances and norms, sample by sample for means.
"""

from __future__ import annotations

from array import array
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

SEED = 42
HITS = 101
"""LibIFT takes an item when it is drawn for the 101st time."""

LARGEST_DRAW = 2**31 - 1
ROUNDS = 100
LEAST_NORM = np.float32(0.001)
MOVED = np.float32(0.001)
"""A clustering ends when no centre moves by more than this."""

Samples = NDArray[np.float32]


@lru_cache(maxsize=8)
def glibc_random(count: int) -> NDArray[np.int64]:
    """The first numbers of ``rand()`` of glibc after ``srand(42)``, from 0 to 2**31 - 1.

    LibIFT seeds before every clustering, so every clustering sees the same numbers.

    Examples
    --------
    >>> glibc_random(3).tolist()
    [71876166, 708592740, 1483128881]
    """
    state = array('I', [SEED])
    for _ in range(30):
        state.append(16807 * state[-1] % LARGEST_DRAW)
    state.extend(state[:3])
    for _ in range(310 + count):
        state.append((state[-31] + state[-3]) & 0xFFFFFFFF)
    draws = np.array(state[len(state) - count :], dtype=np.int64) >> 1
    draws.flags.writeable = False
    return draws


def choose(total: int, count: int) -> NDArray[np.int64]:
    """Random choice of ``count`` of ``total`` items, in LibIFT's order (``iftRandomIntegers``)."""
    items = np.arange(total)
    if count >= total:
        return items
    hits = np.zeros(total, dtype=np.int64)
    taken: list[int] = []
    start, last, window = 0, total - 1, 64 * total
    while len(taken) < count:
        share = _draws(start, window) / (LARGEST_DRAW + 0.5)
        slots = np.minimum((share * (last + 1.0)).astype(np.int64), last)
        full = np.flatnonzero(hits[slots] + _occurrence(slots) == HITS)
        used = slots[: full[0] + 1] if len(full) else slots
        hits += np.bincount(used, minlength=total)
        start, window = start + len(used), total
        if len(full):
            slot = int(used[-1])
            taken.append(int(items[slot]))
            items[[slot, last]], hits[[slot, last]] = items[[last, slot]], hits[[last, slot]]
            last -= 1
    return np.array(taken, dtype=np.int64)


def _draws(start: int, count: int) -> NDArray[np.int64]:
    # Lengths are powers of two, so that few of them are ever computed.
    length = 1 << (start + count - 1).bit_length()
    return glibc_random(length)[start : start + count]


def _occurrence(slots: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often each entry's value has occurred up to and including that entry."""
    order = np.argsort(slots, kind='stable')
    ordered = slots[order]
    fresh = np.r_[True, ordered[1:] != ordered[:-1]]
    position = np.arange(len(slots))
    result = np.empty_like(position)
    result[order] = position - np.maximum.accumulate(np.where(fresh, position, 0)) + 1
    return result


def running_sum(values: Samples, axis: int) -> Samples:
    """Sum along an axis as one float32 accumulator in array order gives it."""
    # np.sum adds pairwise; np.add.accumulate is defined to add one element at a time.
    total: Samples = np.add.accumulate(values, axis=axis, dtype=np.float32).take(-1, axis=axis)
    return total


def unit_norm(samples: Samples) -> Samples:
    """Rows scaled to unit Euclidean norm; rows of norm up to 0.001 stay as they are."""
    norms = np.sqrt(running_sum(samples * samples, axis=1))[:, None]
    return np.divide(samples, norms, out=samples.copy(), where=norms > LEAST_NORM)


def distances(centres: Samples, samples: Samples) -> Samples:
    """Euclidean distances (centres, samples), squares summed element by element in float32."""
    total = np.zeros((len(centres), len(samples)), dtype=np.float32)
    columns = np.ascontiguousarray(samples.T)
    for element, column in zip(centres.T, columns, strict=True):
        difference = element[:, None] - column
        difference *= difference
        total += difference
    return np.sqrt(total, out=total)


def medoids(samples: NDArray[np.floating], count: int) -> NDArray[np.int64]:
    """Samples nearest to the centres of a k-means clustering.

    Parameters
    ----------
    samples : (N, P) array
        More than ``count`` rows.
    count : int
        Number of groups.

    Returns
    -------
    (M,) int array
        Ascending sample numbers; fewer than ``count`` where groups are empty or share a medoid.
    """
    rows = np.ascontiguousarray(samples, dtype=np.float32)
    first = choose(len(rows), count)
    centres, previous = rows[first], np.zeros_like(rows[first])
    groups = [first[i : i + 1] for i in range(count)]
    for repeat in range(ROUNDS):
        if not (_lengths(centres - previous) > MOVED).any():
            break
        nearest = distances(centres, rows).argmin(axis=0)
        groups = [np.flatnonzero(nearest == i) for i in range(count)]
        if repeat == 0:
            # LibIFT counts the sample that started a group twice in the first round.
            groups = [np.r_[start, group] for start, group in zip(first, groups, strict=True)]
        previous, centres = centres, _running_means(rows, groups)
    chosen = [
        group[distances(centre[None], rows[group])[0].argmin()]
        for centre, group in zip(centres, groups, strict=True)
        if len(group)
    ]
    return np.unique(np.array(chosen, dtype=np.int64))


def _lengths(vectors: Samples) -> Samples:
    return np.sqrt(running_sum(vectors * vectors, axis=1))


def _running_means(samples: Samples, groups: list[NDArray[np.int64]]) -> Samples:
    """Mean of each group, updated sample by sample in float64; 0 for an empty group."""
    sizes = np.array([len(group) for group in groups])
    order = np.argsort(-sizes, kind='stable')
    means = np.zeros((len(groups), samples.shape[1]))
    for step in range(int(sizes.max(initial=0))):
        # Groups are ordered by size, so those that still have samples come first.
        active = int((sizes > step).sum())
        current = samples[[groups[i][step] for i in order[:active]]].astype(np.float64)
        means[:active] += (current - means[:active]) / (step + 1)
    result = np.empty_like(means, dtype=np.float32)
    result[order] = means
    return result
