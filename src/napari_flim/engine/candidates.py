"""Candidates: the few patches of each marker that may become kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_flim.engine.architecture import Block
from napari_flim.engine.clustering import representatives, unit_norm
from napari_flim.engine.marked_regions import MarkedRegions
from napari_flim.engine.markers import MarkerSet
from napari_flim.engine.normalization import Normalization
from napari_flim.engine.options import LearningOptions

LARGEST_MARKER = 1_000
"""A marker of more voxels is represented by this many, evenly spaced in raster order."""


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
    regions: MarkedRegions, normalization: Normalization, grid: MarkerSet, spec: Block
) -> NDArray[np.float32]:
    """Normalised patches (M, P) at all marker voxels of a feature map."""
    ndim = grid.ndim
    kernel_size, dilation = spec.axes('kernel_size', ndim), spec.axes('dilation', ndim)
    patches: NDArray[np.float32] = regions.patches(
        grid.coordinates, kernel_size, dilation, normalization
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
    of the marker: on the same normalised patches, another marker changes nothing.

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
