"""Cards that show what every kernel of a block does, and where it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from napari_flim.delineation.objects import above_threshold
from napari_flim.engine.decoder_settings import DECODERS, DecoderSettings
from napari_flim.engine.markers import BACKGROUND
from napari_flim.evaluation.overlap import dice
from napari_flim.progress import Job, Progress
from napari_flim.session.jobs import Applied, Target, apply
from napari_flim.session.kernel_edits import KernelEdits, edited_model
from napari_flim.session.kernel_patches import kernel_patches
from napari_flim.session.learned import Learned
from napari_flim.session.sources import ImageSource, Strokes

if TYPE_CHECKING:
    import torch

    from napari_flim.model import FlimModel

PICTURE_SIZE = 96
"""Pixels along the longer side of a picture."""

DARKEST = 1e-12
"""Least top of the contrast, for channels of zeros."""


@dataclass(frozen=True, eq=False)
class KernelCard:
    """One kernel as the expert sees it.

    Attributes
    ----------
    block, kernel : int
        From 1, and from 0.
    number : int
        Class it was learned from; 0 unknown.
    picture : (Y, X) uint8 array
        Its activation on the image in view; all cards of a block share one contrast.
    patch : (Y, X, 3) uint8 array, optional
        The place it was learned from, as far as the block sees.
    mean : float
        Mean activation, in parts of the largest of the block.
    relevance : float
        In [0, 1]. With a ground truth, the Dice of the channel with the objects, or with what
        lies around them for a background kernel. Else how well the channel parts its class from
        the others at the markers of the image in view: the area under the ROC curve, 0.5 for
        chance and 1 for perfectly. Not a number where neither can be had.
    weight : float
        What the decoder gives it by itself; only the sign has a meaning. Decoders that weigh every
        voxel apart let it count for its class: +1 for an object, -1 for background.
    origin : str
        Where it came from, in words; empty when not known.
    """

    block: int
    kernel: int
    number: int
    picture: NDArray[np.uint8]
    patch: NDArray[np.uint8] | None
    mean: float
    relevance: float
    weight: float
    origin: str


@dataclass(frozen=True, eq=False)
class GalleryRequest:
    """What to show.

    Attributes
    ----------
    learned : Learned
        Kernels that are off are shown too.
    decoder : DecoderSettings
        As it is set now; weights set by hand are left out of account.
    target : Target
    plane : int, optional
        Plane of a volume to draw; the middle one by default.
    block : int
    sources : mapping of str to ImageSource
        Open images by key, for the patches.
    strokes : Strokes, optional
        Of the target, with the numbers the engine learns.
    truth : (\\*S) array, optional
        Ground truth of the target: 0 background.
    known : sequence of Applied
        See `napari_flim.session.jobs.apply`.
    """

    learned: Learned
    decoder: DecoderSettings
    target: Target
    plane: int | None
    block: int
    sources: Mapping[str, ImageSource]
    strokes: Strokes | None = None
    truth: Any = None
    known: Sequence[Applied] = ()


def gallery(
    request: GalleryRequest, device: str = 'cpu'
) -> Job[tuple[tuple[KernelCard, ...], Applied]]:
    """Cards of all kernels of a block, and the unedited result they were made from."""
    model = edited_model(request.learned.model, KernelEdits(), request.decoder)
    applied = yield from apply(model, request.target, device, request.known)
    yield Progress('drawing kernels', 0, 1)
    channels = applied.activations[request.block - 1]
    bank = model.blocks[request.block - 1].bank
    pictures = _pictures(channels, _plane_of(request, applied))
    means = channels.flatten(1).mean(dim=1).numpy(force=True)
    top = max(float(channels.max()), DARKEST)
    relevance = _relevance(request, applied)
    weights = _weights(model, request.block, channels)
    patches = kernel_patches(request.learned, request.block, request.sources)
    cards = tuple(
        KernelCard(
            block=request.block,
            kernel=kernel,
            number=int(bank.classes[kernel]),
            picture=pictures[kernel],
            patch=patches[kernel][0],
            mean=float(means[kernel]) / top,
            relevance=float(relevance[kernel]),
            weight=float(weights[kernel]),
            origin=patches[kernel][1],
        )
        for kernel in range(len(bank))
    )
    return cards, applied


def _stride(request: GalleryRequest) -> tuple[int, ...]:
    model = request.learned.model
    return model.architecture.strides(model.ndim)[request.block - 1]


def nearest_cells(
    voxels: NDArray[np.integer],
    offset: Sequence[int],
    stride: Sequence[int],
    shape: Sequence[int],
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Cells of a map that lie nearest to voxels of the image, as learning finds them.

    Parameters
    ----------
    voxels : (M, ndim) int array
    offset : sequence of int
        Voxel of the first cell.
    stride : sequence of int
        Voxels from cell to cell.
    shape : sequence of int
        Of the map.

    Returns
    -------
    cells : (m, ndim) int64 array
        Of the voxels that the map covers.
    covered : (M,) bool array

    Examples
    --------
    >>> cells, covered = nearest_cells(np.array([[3], [4], [9], [99]]), [2], [4], [3])
    >>> cells.ravel(), covered
    (array([0, 1, 2]), array([ True,  True,  True, False]))
    """
    steps, counts = np.array(stride), np.array(shape)
    places = voxels - np.array(offset)
    covered = ((places >= 0) & (places < counts * steps)).all(axis=1)
    cells = np.minimum((places[covered] + steps // 2) // steps, counts - 1)
    return cells.astype(np.int64), covered


def _plane_of(request: GalleryRequest, applied: Applied) -> int | None:
    """Plane of the channels that lies nearest to the plane to draw."""
    source = request.target.source
    if source.ndim == 2:
        return None
    wanted = source.shape[0] // 2 if request.plane is None else request.plane
    shape = applied.activations[request.block - 1].shape[1:]
    voxel = np.array([[wanted]])
    cells, _ = nearest_cells(voxel, applied.offset[:1], _stride(request)[:1], shape[:1])
    return int(cells[0, 0])


def _pictures(channels: torch.Tensor, plane: int | None) -> NDArray[np.uint8]:
    """Small pictures (K, Y, X) of channels; a maximum over pixels keeps small objects in sight."""
    import torch.nn.functional as F

    flat = channels if plane is None else channels[:, plane]
    height, width = flat.shape[1:]
    factor = max(1.0, max(height, width) / PICTURE_SIZE)
    size = (max(1, round(height / factor)), max(1, round(width / factor)))
    small = F.adaptive_max_pool2d(flat[None].float(), size)[0].clamp(min=0)
    top = max(float(small.max()), DARKEST)
    pictures: NDArray[np.uint8] = (small * (255 / top)).round().byte().numpy(force=True)
    return pictures


def _weights(model: FlimModel, block: int, channels: torch.Tensor) -> NDArray[np.floating]:
    """What the decoder gives every kernel by itself."""
    classes = model.blocks[block - 1].bank.classes
    by_class = np.where(classes > BACKGROUND, 1.0, -1.0)
    linear = model.linear if model.decoder.name == 'linear' else None
    if linear is not None and linear.columns(block):
        return linear.contributions(block)
    if block != model.decoded_block or not DECODERS[model.decoder.name].stretched:
        return by_class
    from napari_flim.engine.decoders import decode

    objects = model.object_classes
    weights = decode(channels, classes, model.decoder, objects).weights
    if weights is None:
        return by_class
    maps = [objects.index(number) if number in objects else 0 for number in classes.tolist()]
    means = weights.float().flatten(2).mean(dim=2) if weights.ndim > 2 else weights
    chosen: NDArray[np.floating] = means.numpy(force=True)[maps, range(len(classes))]
    return chosen


def _relevance(request: GalleryRequest, applied: Applied) -> NDArray[np.float64]:
    """Relevance of every kernel, from planes only where channels are those of the whole volume."""
    classes = request.learned.model.blocks[request.block - 1].bank.classes
    channels = applied.activations[request.block - 1]
    first, last = _exact_range(request, applied)
    if request.truth is not None:
        return _agreement(channels, classes, request, applied.offset, (first, last))
    strokes = request.strokes
    if strokes is None or not len(strokes):
        return np.full(len(classes), np.nan)
    exact = (strokes.coordinates[:, 0] >= first) & (strokes.coordinates[:, 0] < last)
    voxels, labels = strokes.coordinates[exact], strokes.labels[exact]
    cells, covered = nearest_cells(voxels, applied.offset, _stride(request), channels.shape[1:])
    places = (slice(None), *cells.T)
    return separation(channels[places].numpy(force=True), classes, labels[covered])


def _exact_range(request: GalleryRequest, applied: Applied) -> tuple[int, int]:
    """First and last place (exclusive) along the first axis whose channels lack no neighbours.

    A slab cut from a volume ends where the volume goes on, which falsifies planes near its ends.
    """
    source, model = request.target.source, request.learned.model
    first = applied.offset[0]
    last = first + applied.features.shape[1]
    halo = model.architecture.halo(model.ndim, request.block)[0]
    halo += model.transform.halo(source.spacing)[0]
    whole = source.shape[0]
    return (first + halo if first else 0), (last - halo if last < whole else whole)


def separation(
    values: NDArray[np.floating], classes: NDArray[np.integer], labels: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Area under the ROC curve of every channel for its own class.

    Parameters
    ----------
    values : (K, M) float array
        Channels at marker voxels.
    classes : (K,) int array
        Class of each kernel.
    labels : (M,) int array
        Class of each marker voxel.

    Returns
    -------
    (K,) float array in [0, 1]
        Not a number where only one side is marked.

    Examples
    --------
    >>> separation(np.array([[0.0, 1.0, 2.0]]), np.array([2]), np.array([1, 2, 2]))
    array([1.])
    """
    result = np.full(len(classes), np.nan)
    for kernel, number in enumerate(classes):
        own = labels == number
        count, others = int(own.sum()), int((~own).sum())
        if count and others:
            ranks = rankdata(values[kernel])
            result[kernel] = (ranks[own].sum() - count * (count + 1) / 2) / (count * others)
    return result


def _agreement(
    channels: torch.Tensor,
    classes: NDArray[np.integer],
    request: GalleryRequest,
    offset: Sequence[int],
    exact: tuple[int, int],
) -> NDArray[np.float64]:
    """Dice of every channel, cut at Otsu's threshold, with the ground truth."""
    stride = _stride(request)
    # Of the first axis, cells whose voxel lies in the exact range; of the others, all cells.
    low, high = (-((offset[0] - place) // stride[0]) for place in exact)
    high = min(high, channels.shape[1])
    if low >= high:
        return np.full(len(classes), np.nan)
    places = tuple(slice(at, None, step) for at, step in zip(offset, stride, strict=True))
    truth = np.asarray(request.truth[places])[low:high] > 0
    return np.array(
        [
            dice(
                above_threshold(channel[low:high].numpy(force=True)),
                ~truth if number == BACKGROUND else truth,
            )
            for channel, number in zip(channels, classes, strict=True)
        ]
    )
