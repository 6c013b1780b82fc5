"""Candidate kernels of each marker, and the consensus that reduces them to a kernel bank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from napari_flim.engine.architecture import Block
from napari_flim.engine.clustering import (
    principal_axes,
    representatives,
    share_slots,
    unit_norm,
)
from napari_flim.engine.kernels import UNKNOWN, KernelBank
from napari_flim.engine.markers import MarkerSet
from napari_flim.engine.normalization import Normalization
from napari_flim.engine.patches import gather_patches, patches_to_kernels
from napari_flim.errors import LearningError

if TYPE_CHECKING:
    from napari_flim.engine.learning import LearningOptions

LARGEST_MARKER = 1_000
"""A marker of more voxels is represented by this many, evenly spaced in raster order."""

CONSENSUS_STARTS = 20
"""Candidates are few, so k-means over them is run from many starts: results then hardly depend on
the seed."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """Patches that may become kernels.

    Attributes
    ----------
    vectors : (n, P) float64 array
        Normalised patches.
    classes, images, markers : (n,) int64 arrays
    voxels : (n, ndim) int64 array
        Positions in the image.
    """

    vectors: NDArray[np.float64]
    classes: NDArray[np.int64]
    images: NDArray[np.int64]
    markers: NDArray[np.int64]
    voxels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.vectors)

    def take(self, which: NDArray[np.int64] | NDArray[np.bool_]) -> Candidates:
        """The named candidates."""
        return Candidates(
            self.vectors[which],
            self.classes[which],
            self.images[which],
            self.markers[which],
            self.voxels[which],
        )

    @staticmethod
    def join(parts: Sequence[Candidates]) -> Candidates:
        """All candidates of several images."""
        return Candidates(
            np.concatenate([p.vectors for p in parts]),
            np.concatenate([p.classes for p in parts]),
            np.concatenate([p.images for p in parts]),
            np.concatenate([p.markers for p in parts]),
            np.concatenate([p.voxels for p in parts]),
        )


@dataclass(frozen=True, eq=False)
class PatchStatistics:
    """Mean and deviation of every patch coordinate, for one image or for all.

    Attributes
    ----------
    mean, std : (P,) float64 arrays
        In the space of the channel-wise normalisation.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]


def patch_statistics(patches: NDArray[np.float32], epsilon: float) -> PatchStatistics:
    """Statistics per patch coordinate (population deviation plus epsilon)."""
    exact = patches.astype(np.float64)
    std = exact.std(axis=0) + epsilon
    return PatchStatistics(exact.mean(axis=0), np.where(std > 0, std, 1.0))


def marker_patches(
    x: torch.Tensor, normalization: Normalization, grid: MarkerSet, spec: Block
) -> NDArray[np.float32]:
    """Normalised patches (M, P) at all marker voxels of a feature map."""
    ndim = grid.ndim
    kernel_size, dilation = spec.axes('kernel_size', ndim), spec.axes('dilation', ndim)
    patches: NDArray[np.float32] = gather_patches(
        x, grid.coordinates, kernel_size, dilation, normalization
    ).numpy()
    return patches


def thin_markers(grid: MarkerSet) -> MarkerSet:
    """The same markers with at most `LARGEST_MARKER` voxels each, evenly spaced."""
    kept = []
    for marker in range(grid.count):
        voxels = np.flatnonzero(grid.markers == marker)
        step = -(-len(voxels) // LARGEST_MARKER) if len(voxels) else 1
        kept.append(voxels[::step])
    return grid.select(np.sort(np.concatenate(kept))) if kept else grid


def cluster_markers(
    patches: NDArray[np.float32],
    grid: MarkerSet,
    stride: Sequence[int],
    spec: Block,
    options: LearningOptions,
    stream: tuple[int, int],
) -> Candidates:
    """Candidates of one image: a few representatives of every marker (FLIM-Cluster).

    Every marker has a random stream of its own, named by seed, block, image and the first voxel
    of the marker, so that adding a marker never changes the candidates of another.

    Parameters
    ----------
    patches : (M, P) float32 array
        Normalised patches at the voxels of ``grid``.
    grid : MarkerSet
        Markers on the grid of the features.
    stride : sequence of int
        Image voxels from one cell of that grid to the next.
    stream : tuple of int
        Number of the block and index of the image.
    """
    vectors = [np.zeros((0, patches.shape[1]))]
    chosen = [np.zeros(0, dtype=np.int64)]
    flat = grid.flat
    for marker in range(grid.count):
        voxels = np.flatnonzero(grid.markers == marker)
        if not len(voxels):
            continue
        rng = np.random.default_rng([options.seed, *stream, int(flat[voxels].min())])
        found, indices = representatives(
            patches[voxels].astype(np.float64),
            spec.kernels_per_marker,
            rng,
            options.representative,
        )
        vectors.append(found)
        chosen.append(voxels[indices])
    which = np.concatenate(chosen)
    candidates = Candidates(
        np.concatenate(vectors),
        grid.classes[which],
        np.full(len(which), stream[1], dtype=np.int64),
        grid.markers[which],
        grid.coordinates[which] * np.array(stride),
    )
    _, usable = unit_norm(candidates.vectors)
    candidates = candidates.take(usable)
    if len(candidates) > spec.kernels_per_image:
        rng = np.random.default_rng([options.seed, *stream])
        _, few = representatives(candidates.vectors, spec.kernels_per_image, rng)
        candidates = candidates.take(np.sort(few))
    return candidates


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
    pointwise, usable = unit_norm(per_channel.mean(axis=1) * deviation * flat.mean(axis=2) * 1e6)
    if not usable.all():
        raise LearningError(
            f'{int((~usable).sum())} of {count} kernels vanish when made separable; '
            "use kind='regular', or mark places that differ more."
        )
    product = pointwise[:, :, None] * depthwise[None]
    return product.reshape(kernels.shape).astype(np.float32)


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
