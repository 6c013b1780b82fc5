"""From the candidates of all markers to the kernels of a block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_flim.engine.architecture import Block
from napari_flim.engine.candidates import Candidates, PatchStatistics
from napari_flim.engine.clustering import (
    principal_axes,
    representatives,
    share_slots,
    unit_norm,
)
from napari_flim.engine.kernels import UNKNOWN, KernelBank
from napari_flim.engine.options import LearningOptions
from napari_flim.engine.patches import patches_to_kernels
from napari_flim.errors import LearningError

CONSENSUS_STARTS = 20
"""Candidates are few, so k-means over them is run from many starts: results then hardly depend on
the seed."""


def consensus(
    candidates: Candidates, spec: Block, options: LearningOptions, number: int, epsilon: float
) -> Candidates:
    """Reduce the candidates of all images to the wanted number of kernels, of unit norm.

    Candidates keep their length until the end: a patch that hardly differs from the marker mean
    is short, and should weigh little in a mean of patches (measured: docs/benchmarks.md).
    Every class that has candidates keeps at least one kernel.
    """
    candidates = _distinct(candidates)
    if len(candidates) <= spec.channels:
        return _distinct(_unit(candidates))
    if options.consensus == 'pca':
        return _principal(_unit(candidates), spec.channels, epsilon)
    if options.consensus == 'kmeans':
        present, missing = set(candidates.classes.tolist()), set[int]()
        while True:
            reduced = _reduce(candidates, spec.channels - len(missing), options, (number, 0))
            lost = present - set(reduced.classes.tolist()) - missing
            if not lost:
                break
            missing |= lost
        parts = [reduced]
        wanted = dict.fromkeys(sorted(missing - set(reduced.classes.tolist())), 1)
    else:
        values, counts = np.unique(candidates.classes, return_counts=True)
        slots = share_slots(counts, spec.channels)
        parts = []
        wanted = dict(zip(values.tolist(), slots.tolist(), strict=True))
    for value, slot in wanted.items():
        members = candidates.take(candidates.classes == value)
        parts.append(_reduce(members, slot, options, (number, value)))
    return _distinct(_unit(Candidates.join(parts)))


def _reduce(
    candidates: Candidates, groups: int, options: LearningOptions, stream: tuple[int, int]
) -> Candidates:
    """Representatives of candidates; a centroid takes class and origin of the nearest one."""
    rng = np.random.default_rng([options.seed, *stream])
    vectors, indices = representatives(
        candidates.vectors, max(1, groups), rng, options.representative, CONSENSUS_STARTS
    )
    return replace(candidates.take(indices), vectors=vectors)


def _unit(candidates: Candidates) -> Candidates:
    vectors, usable = unit_norm(candidates.vectors)
    return replace(candidates, vectors=vectors).take(usable)


def to_bank(
    candidates: Candidates,
    spec: Block,
    ndim: int,
    statistics: Sequence[PatchStatistics] | None = None,
) -> KernelBank:
    """Kernel bank of candidates, with the statistics per coordinate folded in.

    With ``z = (x - m) / s`` per coordinate, ``v . z = (v / s) . x - sum(m v / s)``.

    Parameters
    ----------
    statistics : sequence of PatchStatistics, optional
        One for each image, when patches were normalised per coordinate.
    """
    size, vectors = spec.axes('kernel_size', ndim), candidates.vectors
    if statistics is not None:
        vectors = vectors / np.stack([statistics[i].std for i in candidates.images])
    weights = patches_to_kernels(vectors, size)
    if spec.kind == 'separable':
        weights = separate(weights)
    bias = np.zeros(len(weights), dtype=np.float32)
    if statistics is not None:
        means = patches_to_kernels(np.stack([statistics[i].mean for i in candidates.images]), size)
        products = weights.astype(np.float64) * means
        bias = -products.reshape(len(weights), -1).sum(axis=1).astype(np.float32)
    return KernelBank(
        weights,
        bias,
        candidates.classes,
        candidates.images,
        candidates.markers,
        candidates.voxels,
    )


def separate(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Kernels of a separable block: one spatial kernel per channel, and channel weights per kernel.

    From kernels ``k_c``: depthwise ``k'(b)`` = mean over c of ``k_c(b)``, unit norm for each
    channel b; pointwise ``f(c, b)`` = w_b * spatial mean of ``k_c(b)``, unit norm for each kernel,
    with w_b = mean of channel b times its deviation (n - 1) (arXiv 2504.11112). The common
    divisor of w_b in that paper cancels in the norm but for its sign, which would flip every
    kernel, so it is left out. The product ``f(c, b) k'(b)`` is returned as ordinary kernels.
    """
    kernels = weights.astype(np.float64)
    count, channels = kernels.shape[:2]
    flat = kernels.reshape(count, channels, -1)
    depthwise, _ = unit_norm(flat.mean(axis=0))
    per_channel = np.moveaxis(flat, 1, 0).reshape(channels, -1)
    deviation = per_channel.std(axis=1, ddof=1) if per_channel.shape[1] > 1 else np.ones(channels)
    pointwise = per_channel.mean(axis=1) * deviation * flat.mean(axis=2)
    lengths = np.linalg.norm(pointwise, axis=1, keepdims=True)
    if not lengths.all():
        raise LearningError(
            f'{int((lengths == 0).sum())} of {count} kernels vanish when made separable; '
            "use kind='regular', or mark places that differ more."
        )
    product = (pointwise / lengths)[:, :, None] * depthwise[None]
    separable: NDArray[np.float32] = product.reshape(kernels.shape).astype(np.float32)
    return separable


def _distinct(candidates: Candidates) -> Candidates:
    _, first = np.unique(np.round(candidates.vectors, 6), axis=0, return_index=True)
    return candidates.take(np.sort(first))


def _principal(candidates: Candidates, wanted: int, epsilon: float) -> Candidates:
    """Principal axes as candidates; each takes the class that it answers to most."""
    axes = principal_axes(candidates.vectors, wanted, epsilon)
    answers = np.maximum(candidates.vectors @ axes.T, 0)
    values = np.unique(candidates.classes)
    means = np.stack([answers[candidates.classes == v].mean(axis=0) for v in values])
    unknown = np.full(len(axes), UNKNOWN, dtype=np.int64)
    voxels = np.full((len(axes), candidates.voxels.shape[1]), UNKNOWN, dtype=np.int64)
    return Candidates(axes, values[means.argmax(axis=0)], unknown, unknown, voxels)
