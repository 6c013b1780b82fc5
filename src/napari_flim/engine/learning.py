"""Learning an encoder from markers, block by block, without backpropagation.

FLIM-Cluster: patches at marker voxels, k-means within each marker, one consensus over all
candidates (10.1109/SIBGRAPI51738.2020.00024). FLIM-BoFP lives in ``feature_points.py`` and shares
everything but the choice of patches (arXiv 2602.20845).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from napari_flim.engine.architecture import Architecture, Block, with_channels
from napari_flim.engine.candidates import (
    Candidates,
    PatchStatistics,
    cluster_markers,
    marker_patches,
    patch_statistics,
    thin_markers,
)
from napari_flim.engine.consensus import consensus, to_bank
from napari_flim.engine.crops import Crop, marker_crops
from napari_flim.engine.encoder import BlockModule
from napari_flim.engine.feature_points import RADIUS, choose_feature_points
from napari_flim.engine.kernels import LearnedBlock
from napari_flim.engine.marked_regions import MarkedRegions
from napari_flim.engine.markers import MarkerSet
from napari_flim.engine.normalization import (
    Normalization,
    marker_statistics,
    object_oversampling,
)
from napari_flim.engine.options import LearningOptions
from napari_flim.errors import FlimWarning, LearningError, MarkerError
from napari_flim.progress import Job, Progress, part_of

Watch = Callable[[int, int, torch.Tensor], None]
"""Takes an image from 0, a block from 1 (0 for the input) and channels (K, \\*S)."""


def learning_crops(
    marked: Sequence[MarkerSet],
    architecture: Architecture,
    options: LearningOptions = LearningOptions(),
    start: Sequence[LearnedBlock] = (),
    halo: Sequence[int] | None = None,
) -> tuple[Crop, ...]:
    """What learning has to read of one image.

    Parameters
    ----------
    marked : sequence of MarkerSet
        All markers of the image, also those used only for statistics.
    architecture, options, start
        As for `learn_encoder`.
    halo : sequence of int, optional
        Voxels to each side on which the input transform depends; none by default.

    Returns
    -------
    tuple of Crop
        One crop with all of the image where its markers are spread over much of it.
    """
    ndim, blocks = marked[0].ndim, _with_start(architecture, start).blocks
    # The last block is not applied, so nothing is pooled after its patches.
    last = Architecture((*blocks[:-1], replace(blocks[-1], pooling='none')))
    stride, reach = last.strides(ndim)[-1], last.halo(ndim)
    if options.method == 'bofp':
        reach = tuple(max(int(RADIUS), own) for own in reach)
    # A marker voxel goes to a cell that begins less than a stride away.
    around = [r + s - 1 + h for r, s, h in zip(reach, stride, halo or (0,) * ndim, strict=True)]
    voxels = np.concatenate([markers.coordinates for markers in marked])
    return marker_crops(voxels, marked[0].shape, around, stride)


def learn_encoder(
    inputs: Sequence[torch.Tensor | MarkedRegions],
    markers: Sequence[MarkerSet],
    architecture: Architecture,
    options: LearningOptions = LearningOptions(),
    *,
    start: Sequence[LearnedBlock] = (),
    statistics_markers: Sequence[MarkerSet] | None = None,
    watch: Watch | None = None,
) -> Job[tuple[LearnedBlock, ...]]:
    """Learn the blocks of an encoder from the first (or the first not yet learned) to the last.

    Parameters
    ----------
    inputs : sequence of (C, \\*S) tensors or MarkedRegions
        Training images after the input transform: whole, or what lies in their `learning_crops`.
    markers : sequence of MarkerSet
        One for each image.
    architecture : Architecture
    options : LearningOptions
    start : sequence of LearnedBlock
        Blocks that stay as they are; learning goes on after them.
    statistics_markers : sequence of MarkerSet, optional
        Markers used only for the statistics of the normalisation (VISAPP24).
    watch : callable, optional
        Called with the number of the image from 0, the number of the block, and the channels of
        every block that is encoded on the way (all but the last), for whoever needs them after.
        Not called for images of which only crops are given.

    Yields
    ------
    Progress
        After every image.

    Returns
    -------
    tuple of LearnedBlock

    Raises
    ------
    MarkerError
        When markers do not fit the images or hold fewer than two classes.
    LearningError
        When no kernel can be learned.
    """
    features = [_as_regions(x) for x in inputs]
    check_markers([x.size for x in features], markers)
    if options.method == 'bofp':
        measured = statistics_markers or markers
        normalization = measure(features, measured, architecture.epsilon, options.object_share)
        markers = choose_feature_points(features, markers, normalization, seed=options.seed)
        points = sum(len(m) for m in markers)
        architecture = with_channels(architecture, [points] * len(architecture))
        options = replace(options, method='cluster', statistics='image')
    architecture = _with_start(architecture, start)
    blocks = list(start)
    # Each block reads every image once and encodes it once, but the last one is not encoded.
    total = len(inputs) * (2 * len(architecture) - 1)
    done = 0
    for number, spec in enumerate(architecture.blocks, start=1):
        if number > len(start):
            job = learn_block(
                features,
                markers,
                spec,
                options,
                epsilon=architecture.epsilon,
                number=number,
                statistics_markers=statistics_markers,
            )
            blocks.append((yield from part_of(job, done, total)))
        done += len(inputs)
        if number < len(architecture):
            module = BlockModule(blocks[number - 1])
            for index, x in enumerate(features):
                features[index] = x.encoded(module, overwrite=number > 1 and watch is None)
                if watch is not None and x.complete:
                    watch(index, number, features[index].features[0])
                done += 1
                yield Progress(f'block {number}: encoding image {index + 1}', done, total)
    return tuple(blocks)


def learn_block(
    inputs: Sequence[torch.Tensor | MarkedRegions],
    markers: Sequence[MarkerSet],
    spec: Block,
    options: LearningOptions = LearningOptions(),
    *,
    epsilon: float = 0.01,
    number: int = 1,
    statistics_markers: Sequence[MarkerSet] | None = None,
) -> Job[LearnedBlock]:
    """Learn the kernels of one block.

    Parameters
    ----------
    inputs : sequence of (C, \\*S) tensors or MarkedRegions
        What the block reads: the transformed images, or the activations of the block before.
    markers : sequence of MarkerSet
        In voxels of the images; on a subsampled map they move to the nearest cell.
    spec : Block
    options : LearningOptions
    epsilon : float
        Added to every deviation.
    number : int
        Block number, for messages and random streams.
    statistics_markers : sequence of MarkerSet, optional

    Yields
    ------
    Progress
        After every image.

    Raises
    ------
    LearningError
        When no kernel can be learned, or for ``method='bofp'``, which chooses its points once for
        all blocks and therefore belongs to `learn_encoder`.
    """
    if options.method != 'cluster':
        raise LearningError(
            f'One block alone cannot be learned with method {options.method!r}; '
            'use learn_encoder, with start for the blocks that stay.'
        )
    regions = [_as_regions(x) for x in inputs]
    pairs = zip(statistics_markers or markers, regions, strict=True)
    measured = [m.on_grid(x.stride, x.shape) for m, x in pairs]
    normalization = measure(regions, measured, epsilon, options.object_share)
    grids = [
        thin_markers(m.on_grid(x.stride, x.shape)) for m, x in zip(markers, regions, strict=True)
    ]
    _warn_about_flat_channels(normalization, epsilon, number)
    patches = [
        marker_patches(x, normalization, grid, spec) for x, grid in zip(regions, grids, strict=True)
    ]
    statistics = _coordinate_statistics(patches, options, epsilon)
    found = []
    for index, (values, grid) in enumerate(zip(patches, grids, strict=True)):
        if statistics is not None:
            values = ((values - statistics[index].mean) / statistics[index].std).astype(np.float32)
        stride = regions[index].stride
        found.append(cluster_markers(values, grid, stride, spec, options, (number, index)))
        yield Progress(f'block {number}: kernels of image {index + 1}', index + 1, len(inputs))
    kept = consensus(Candidates.join(found), spec, options, number, epsilon)
    check_classes(kept.classes, markers, number)
    bank = to_bank(kept, spec, markers[0].ndim, statistics)
    return LearnedBlock(spec, normalization, bank)


def _as_regions(inputs: torch.Tensor | MarkedRegions) -> MarkedRegions:
    return inputs if isinstance(inputs, MarkedRegions) else MarkedRegions.whole(inputs)


def _with_start(architecture: Architecture, start: Sequence[LearnedBlock]) -> Architecture:
    """The architecture with the blocks that stay in place of its first ones."""
    specs = (*(block.spec for block in start), *architecture.blocks[len(start) :])
    return replace(architecture, blocks=specs)


def _coordinate_statistics(
    patches: Sequence[NDArray[np.float32]], options: LearningOptions, epsilon: float
) -> list[PatchStatistics] | None:
    """Statistics per patch coordinate, one for each image, where the options ask for them."""
    if options.statistics == 'channel':
        return None
    together = patch_statistics(np.concatenate(patches), epsilon)
    if options.statistics == 'coordinate':
        return [together] * len(patches)
    # One patch alone has no deviation, so it is compared with the patches of all images.
    return [patch_statistics(p, epsilon) if len(p) > 1 else together for p in patches]


def measure(
    inputs: Sequence[MarkedRegions],
    grids: Sequence[MarkerSet],
    epsilon: float,
    object_share: float | None = None,
) -> Normalization:
    """Marker-based normalisation per channel, over the marker voxels of all images."""
    values = [x.values(grid.coordinates) for x, grid in zip(inputs, grids, strict=True)]
    classes = np.concatenate([grid.classes for grid in grids])
    weights = None if object_share is None else object_oversampling(classes, object_share)
    return marker_statistics(np.concatenate(values), epsilon, weights)


def check_shapes(shapes: Sequence[tuple[int, ...]], markers: Sequence[MarkerSet]) -> None:
    """Raise `MarkerError` unless there is one marker set of its shape for each image."""
    if not shapes or len(shapes) != len(markers):
        raise MarkerError(
            f'{len(shapes)} images came with {len(markers)} marker sets; '
            'give one marker set for each image, and at least one image.'
        )
    for index, (shape, marker) in enumerate(zip(shapes, markers, strict=True), start=1):
        if shape != marker.shape:
            raise MarkerError(
                f'Image {index} has shape {shape}, but its markers were made for '
                f'{marker.shape}; markers need the shape of their image.'
            )


def check_markers(shapes: Sequence[tuple[int, ...]], markers: Sequence[MarkerSet]) -> None:
    """Raise `MarkerError` unless there are markers of two classes that fit the images."""
    check_shapes(shapes, markers)
    present = sorted({c for marker in markers for c in marker.class_counts})
    if not present:
        raise MarkerError('No voxel is marked; paint background (1) and an object (2).')
    if len(present) == 1:
        missing = 'an object (class 2)' if present == [1] else 'the background (class 1)'
        raise MarkerError(
            f'Only class {present[0]} is marked; also paint {missing} on any of the images.'
        )
    if 1 not in present:
        raise MarkerError(
            f'Classes {present} are marked, but no background (class 1); paint some background.'
        )


def check_classes(classes: NDArray[np.int64], markers: Sequence[MarkerSet], number: int) -> None:
    """Raise `LearningError` when a marked class has no kernel."""
    marked = {c for marker in markers for c in marker.class_counts}
    missing = sorted(marked - set(classes.tolist()))
    if missing:
        raise LearningError(
            f'No kernel of block {number} comes from class {missing[0]}: its markers look like '
            'the mean of all markers, or a stride gave their cells to another class. '
            'Paint more of this class, or use smaller strides.'
        )


def _warn_about_flat_channels(normalization: Normalization, epsilon: float, number: int) -> None:
    flat = np.flatnonzero(normalization.std <= epsilon * (1 + 1e-6))
    if len(flat) == len(normalization.std):
        raise LearningError(
            f'Every channel that block {number} reads is constant on the markers, so there is '
            'nothing to learn; mark places that look different, or choose another input.'
        )
    if len(flat):
        warnings.warn(
            f'Channels {flat.tolist()} that block {number} reads are constant on the markers; '
            'their noise will be amplified.',
            FlimWarning,
            stacklevel=3,
        )
