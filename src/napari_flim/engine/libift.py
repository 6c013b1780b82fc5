"""Learning as LibIFT does it (``iftFLIMLearnModel``, August 2025), for exchange with its models.

Differences to `napari_flim.engine` learning, all of them on purpose: sums run in float32, markers
may join voxels of several classes, missing medoids leave kernels of zeros, the reduction by "PCA"
takes columns where rows were meant, and blocks are learned on maps that were never subsampled.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from napari_flim.engine.architecture import Architecture, Block
from napari_flim.engine.feature_normalization import normalize
from napari_flim.engine.kernels import UNKNOWN, KernelBank, LearnedBlock
from napari_flim.engine.libift_clustering import medoids, running_sum, unit_norm
from napari_flim.engine.markers import MarkerSet
from napari_flim.engine.normalization import Normalization
from napari_flim.engine.operations import activate, convolve
from napari_flim.engine.patches import gather_patches, patches_to_kernels
from napari_flim.engine.pooling import pool
from napari_flim.errors import ArchitectureError, LearningError
from napari_flim.progress import Job, Progress

SMALLEST_STD = 1e-6


@dataclass(frozen=True, eq=False)
class _Candidates:
    """Kernels as rows (K, P), and the marker voxel each came from (-1 none) in `_Origins`."""

    kernels: NDArray[np.float32]
    sources: NDArray[np.int64]

    def reduced(self, count: int) -> _Candidates:
        """``count`` medoids; missing ones are kernels of zeros."""
        kept = medoids(self.kernels, count)
        return _filled(self.kernels[kept], self.sources[kept], count)


@dataclass(frozen=True, eq=False)
class _Origins:
    """Class, image, marker and position of all marker voxels, image after image."""

    classes: NDArray[np.int64]
    images: NDArray[np.int64]
    markers: NDArray[np.int64]
    voxels: NDArray[np.int64]


def learn_libift(
    inputs: Sequence[torch.Tensor],
    markers: Sequence[MarkerSet],
    architecture: Architecture,
    *,
    use_bias: bool = False,
) -> Job[tuple[LearnedBlock, ...]]:
    """Learn all blocks from markers, with LibIFT's results.

    Parameters
    ----------
    inputs : sequence of (C, \\*S) float32 tensors, on the processor
        Images in LabNorm2 (`napari_flim.engine.colour`), in the order of their sorted names.
    markers : sequence of MarkerSet
        Markers of each image, voxels in file order, made with ``across_classes=True``. Images
        without markers are passed over.
    architecture : Architecture
        Regular blocks with one dilation and no, max or average pooling.
    use_bias : bool
        Round as LibIFT does when it folds the normalisation into kernels and a bias (``USE_BIAS``).

    Yields
    ------
    Progress
        For each image of each block: once before learning, once before applying it.

    Returns
    -------
    tuple of LearnedBlock
        Mean and deviation have the six decimals of LibIFT's files, so applying the blocks equals
        applying the files. Reduction by "PCA" and kernels of zeros have class 0 and no origin.

    Raises
    ------
    ArchitectureError
        When LibIFT has no such block.
    LearningError
        When images and markers do not fit together or nothing is marked.
    """
    _check(inputs, markers, architecture)
    marked = [i for i, marker_set in enumerate(markers) if len(marker_set)]
    features = [inputs[i] for i in marked]
    marker_sets = [markers[i] for i in marked]
    origins = _origins(marked, marker_sets)
    ndim, count = marker_sets[0].ndim, len(architecture)
    spread, learned = (1,) * ndim, []
    steps, total = itertools.count(1), len(marked) * (2 * count - 1)
    for number, block in enumerate(architecture.blocks, start=1):
        exact = _statistics(features, marker_sets, architecture.epsilon)
        dilation = tuple(s * d for s, d in zip(spread, block.axes('dilation', ndim), strict=True))
        parts, offset = [], 0
        for i, (image, marker_set) in enumerate(zip(features, marker_sets, strict=True), start=1):
            parts.append(
                _image_candidates(normalize(image, exact), marker_set, block, dilation, offset)
            )
            offset += len(marker_set)
            yield Progress(f'block {number}: kernels of image {i}', next(steps), total)
        kernels = _consensus(_joined(parts), block.channels, architecture.epsilon)
        learned.append(_learned_block(block, kernels, origins, exact, ndim, use_bias))
        if number == count:
            break
        for i, image in enumerate(features):
            features[i] = _encode(image, learned[-1], spread)
            yield Progress(f'block {number}: encoding image {i + 1}', next(steps), total)
        if architecture.intrinsic_atrous:
            strides = block.axes('stride', ndim)
            spread = tuple(s * stride for s, stride in zip(spread, strides, strict=True))
    return tuple(learned)


def _check(
    inputs: Sequence[torch.Tensor], markers: Sequence[MarkerSet], architecture: Architecture
) -> None:
    if len(inputs) != len(markers):
        raise LearningError(
            f'{len(inputs)} images came with {len(markers)} marker sets; give one for each image.'
        )
    if not any(len(marker_set) for marker_set in markers):
        raise LearningError('No image has markers; paint at least one marker on an image.')
    for number, (image, marker_set) in enumerate(zip(inputs, markers, strict=True), start=1):
        if tuple(image.shape[1:]) != marker_set.shape:
            raise LearningError(
                f'Image {number} has shape {tuple(image.shape[1:])} and its markers '
                f'{marker_set.shape}; were the markers drawn on another image?'
            )
        if image.shape[0] != inputs[0].shape[0]:
            raise LearningError(
                f'Image {number} has {image.shape[0]} channels and the first {inputs[0].shape[0]}; '
                'all images need the same channels.'
            )
    for number, block in enumerate(architecture.blocks, start=1):
        if block.kind != 'regular' or block.extra_dilations or block.pooling == 'min':
            raise ArchitectureError(
                f'Block {number} is separable, has several dilations or pools the minimum, which '
                'LibIFT cannot do; change the block or learn in another way.'
            )


def _origins(images: Sequence[int], markers: Sequence[MarkerSet]) -> _Origins:
    counts = [len(marker_set) for marker_set in markers]
    return _Origins(
        classes=np.concatenate([marker_set.classes for marker_set in markers]),
        images=np.repeat(np.array(images, dtype=np.int64), counts),
        markers=np.concatenate([marker_set.markers for marker_set in markers]),
        voxels=np.concatenate([marker_set.coordinates for marker_set in markers]),
    )


def _statistics(
    features: Sequence[torch.Tensor], markers: Sequence[MarkerSet], epsilon: float
) -> Normalization:
    """Mean and deviation over all marker voxels, in float32 and with each list reversed."""
    values = np.concatenate(
        [
            image.numpy()[(slice(None), *marker_set.coordinates[::-1].T)].T
            for image, marker_set in zip(features, markers, strict=True)
        ]
    )
    count = np.float32(len(values))
    mean = running_sum(values, axis=0) / count
    variance = running_sum((values - mean) * (values - mean), axis=0) / count
    std = np.sqrt(variance) + np.float32(epsilon)
    # LibIFT would divide by zero where six decimals leave nothing of a deviation.
    return Normalization(mean, np.where(std > SMALLEST_STD, std, np.float32(1)))


def _image_candidates(
    normalised: torch.Tensor,
    markers: MarkerSet,
    block: Block,
    dilation: tuple[int, ...],
    offset: int,
) -> _Candidates:
    """Candidates of every marker of an image, at most ``kernels_per_image``."""
    size = block.axes('kernel_size', markers.ndim)
    patches = gather_patches(normalised, markers.coordinates, size, dilation).numpy()
    parts = []
    for marker in range(markers.count):
        voxels = np.flatnonzero(markers.markers == marker)
        parts.append(_marker_candidates(patches[voxels], voxels + offset, block.kernels_per_marker))
    found = _joined(parts)
    if len(found.kernels) > block.kernels_per_image:
        return found.reduced(block.kernels_per_image)
    return found


def _marker_candidates(
    patches: NDArray[np.float32], sources: NDArray[np.int64], count: int
) -> _Candidates:
    if count >= len(patches):
        return _Candidates(unit_norm(patches), sources)
    kept = medoids(patches, count)
    return _filled(unit_norm(patches[kept]), sources[kept], count)


def _filled(kernels: NDArray[np.float32], sources: NDArray[np.int64], count: int) -> _Candidates:
    missing = count - len(kernels)
    return _Candidates(
        np.pad(kernels, ((0, missing), (0, 0))),
        np.pad(sources, (0, missing), constant_values=UNKNOWN),
    )


def _joined(parts: Sequence[_Candidates]) -> _Candidates:
    return _Candidates(
        np.concatenate([part.kernels for part in parts]),
        np.concatenate([part.sources for part in parts]),
    )


def _consensus(candidates: _Candidates, count: int, epsilon: float) -> _Candidates:
    """At most ``count`` kernels: all, medoids, or "PCA" when candidates outnumber elements."""
    found, elements = candidates.kernels.shape
    if found <= count:
        return candidates
    if found <= elements:
        return candidates.reduced(count)
    values = candidates.kernels.astype(np.float64)
    values = (values - values.mean(axis=0)) / (values.std(axis=0) + epsilon)
    axes = np.linalg.svd(np.atleast_2d(np.cov(values.T))).Vh
    # LibIFT stores the principal axes as rows and then takes columns; its models depend on it.
    kernels = np.ascontiguousarray(axes[:, :count].T, dtype=np.float32)
    return _Candidates(kernels, np.full(len(kernels), UNKNOWN))


def _learned_block(
    block: Block,
    candidates: _Candidates,
    origins: _Origins,
    exact: Normalization,
    ndim: int,
    use_bias: bool,
) -> LearnedBlock:
    rounded = Normalization(_six_decimals(exact.mean), _six_decimals(exact.std))
    weights = patches_to_kernels(candidates.kernels, block.axes('kernel_size', ndim))
    bias = np.zeros(len(weights), dtype=np.float32)
    if use_bias:
        weights, bias = _folded_and_back(weights, exact, rounded)
    source = candidates.sources
    known = source != UNKNOWN
    bank = KernelBank(
        weights=weights,
        bias=bias,
        classes=np.where(known, origins.classes[source], 0),
        images=np.where(known, origins.images[source], UNKNOWN),
        markers=np.where(known, origins.markers[source], UNKNOWN),
        voxels=np.where(known[:, None], origins.voxels[source], UNKNOWN),
    )
    return LearnedBlock(block, rounded, bank)


def _six_decimals(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Values as they come back from LibIFT's text files, written with ``%f``."""
    return np.array([float(f'{value:f}') for value in values], dtype=np.float32)


def _folded_and_back(
    weights: NDArray[np.float32], exact: Normalization, rounded: Normalization
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Kernels and biases that, under the rounded statistics, equal LibIFT's folded ones.

    LibIFT divides the kernels by the exact deviation and takes its bias from the exact mean.
    """
    column = (1, -1) + (1,) * (weights.ndim - 2)
    folded = weights / exact.std.reshape(column)
    shift = (rounded.mean.astype(np.float64) - exact.mean).reshape(column)
    bias = (folded * shift).reshape(len(folded), -1).sum(axis=1)
    return folded * rounded.std.reshape(column), bias.astype(np.float32)


def _encode(features: torch.Tensor, learned: LearnedBlock, spread: tuple[int, ...]) -> torch.Tensor:
    """Output of a block for learning the next one: taps spread apart, nothing subsampled."""
    block, bank, ndim = learned.spec, learned.bank, features.ndim - 1
    dilation = [s * d for s, d in zip(spread, block.axes('dilation', ndim), strict=True)]
    weights, bias = torch.from_numpy(bank.weights.copy()), torch.from_numpy(bank.bias.copy())
    result = convolve(normalize(features, learned.normalization), weights, bias, dilation)
    return _spread_pool(activate(result, block.activation), block, spread)


def _spread_pool(features: torch.Tensor, block: Block, spread: tuple[int, ...]) -> torch.Tensor:
    """Pool at stride 1 over windows whose taps lie ``spread`` voxels apart."""
    ndim = features.ndim - 1
    size, result = block.axes('pool_size', ndim), torch.empty_like(features)
    # Such windows are ordinary windows on every grid of voxels that lie ``spread`` apart.
    for start in itertools.product(*map(range, map(min, spread, features.shape[1:]))):
        grid = (slice(None), *map(slice, start, itertools.repeat(None), spread))
        result[grid] = pool(features[grid], size, (1,) * ndim, block.pooling)
    return result
