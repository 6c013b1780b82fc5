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
from napari_flim.engine.encoder import BlockModule
from napari_flim.engine.feature_points import choose_feature_points
from napari_flim.engine.kernels import LearnedBlock
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


def learn_encoder(
    inputs: Sequence[torch.Tensor],
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
    inputs : sequence of (C, \\*S) tensors
        Training images after the input transform.
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
    check_markers(inputs, markers)
    if options.method == 'bofp':
        measured = statistics_markers or markers
        normalization = measure(inputs, measured, architecture.epsilon, options.object_share)
        markers = choose_feature_points(inputs, markers, normalization, seed=options.seed)
        points = sum(len(m) for m in markers)
        architecture = with_channels(architecture, [points] * len(architecture))
        options = replace(options, method='cluster', statistics='image')
    specs = (*(block.spec for block in start), *architecture.blocks[len(start) :])
    architecture = replace(architecture, blocks=specs)
    ndim = markers[0].ndim
    strides = [(1,) * ndim, *architecture.strides(ndim)]
    blocks, features = list(start), list(inputs)
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
                stride=strides[number - 1],
                epsilon=architecture.epsilon,
                number=number,
                statistics_markers=statistics_markers,
            )
            blocks.append((yield from part_of(job, done, total)))
        done += len(inputs)
        if number < len(architecture):
            module = BlockModule(blocks[number - 1])
            for index, x in enumerate(features):
                with torch.inference_mode():
                    features[index] = module(x, overwrite=number > 1 and watch is None)
                if watch is not None:
                    watch(index, number, features[index])
                done += 1
                yield Progress(f'block {number}: encoding image {index + 1}', done, total)
    return tuple(blocks)


def learn_block(
    inputs: Sequence[torch.Tensor],
    markers: Sequence[MarkerSet],
    spec: Block,
    options: LearningOptions = LearningOptions(),
    *,
    stride: Sequence[int] | None = None,
    epsilon: float = 0.01,
    number: int = 1,
    statistics_markers: Sequence[MarkerSet] | None = None,
) -> Job[LearnedBlock]:
    """Learn the kernels of one block.

    Parameters
    ----------
    inputs : sequence of (C, \\*S) tensors
        What the block reads: the transformed images, or the activations of the block before.
    markers : sequence of MarkerSet
        In voxels of the images.
    spec : Block
    options : LearningOptions
    stride : sequence of int, optional
        Accumulated stride of ``inputs``; marker voxels move to the nearest cell.
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
    stride = stride or (1,) * markers[0].ndim
    pairs = zip(statistics_markers or markers, inputs, strict=True)
    measured = [m.on_grid(stride, x.shape[1:]) for m, x in pairs]
    normalization = measure(inputs, measured, epsilon, options.object_share)
    grids = [
        thin_markers(m.on_grid(stride, x.shape[1:])) for m, x in zip(markers, inputs, strict=True)
    ]
    _warn_about_flat_channels(normalization, epsilon, number)
    patches = [
        marker_patches(x, normalization, grid, spec) for x, grid in zip(inputs, grids, strict=True)
    ]
    statistics = _coordinate_statistics(patches, options, epsilon)
    found = []
    for index, (values, grid) in enumerate(zip(patches, grids, strict=True)):
        if statistics is not None:
            values = ((values - statistics[index].mean) / statistics[index].std).astype(np.float32)
        found.append(cluster_markers(values, grid, stride, spec, options, (number, index)))
        yield Progress(f'block {number}: kernels of image {index + 1}', index + 1, len(inputs))
    kept = consensus(Candidates.join(found), spec, options, number, epsilon)
    check_classes(kept.classes, markers, number)
    bank = to_bank(kept, spec, markers[0].ndim, statistics)
    return LearnedBlock(spec, normalization, bank)


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
    inputs: Sequence[torch.Tensor],
    grids: Sequence[MarkerSet],
    epsilon: float,
    object_share: float | None = None,
) -> Normalization:
    """Marker-based normalisation per channel, over the marker voxels of all images."""
    values = [
        x.flatten(1)[:, torch.from_numpy(grid.flat)].T.numpy()
        for x, grid in zip(inputs, grids, strict=True)
    ]
    classes = np.concatenate([grid.classes for grid in grids])
    weights = None if object_share is None else object_oversampling(classes, object_share)
    return marker_statistics(np.concatenate(values), epsilon, weights)


def check_markers(inputs: Sequence[torch.Tensor], markers: Sequence[MarkerSet]) -> None:
    """Raise `MarkerError` unless there are markers of two classes that fit the images."""
    if not inputs or len(inputs) != len(markers):
        raise MarkerError(
            f'{len(inputs)} images came with {len(markers)} marker sets; '
            'give one marker set for each image, and at least one image.'
        )
    for index, (x, marker) in enumerate(zip(inputs, markers, strict=True), start=1):
        if tuple(x.shape[1:]) != marker.shape:
            raise MarkerError(
                f'Image {index} has shape {tuple(x.shape[1:])}, but its markers were made for '
                f'{marker.shape}; markers need the shape of their image.'
            )
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
