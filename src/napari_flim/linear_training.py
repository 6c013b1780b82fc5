"""Learning the linear decoder of a model: values at the markers, and how much weights may grow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_flim.engine.decoder_fitting import balanced, fit, linear_decoder
from napari_flim.engine.image import Image
from napari_flim.engine.linear_decoder import SCALES
from napari_flim.engine.markers import MarkerSet
from napari_flim.engine.preprocessing import InputTransform
from napari_flim.evaluation.held_out import MOST_PARTS, Parts, parts
from napari_flim.inference.marker_values import block_values, input_values
from napari_flim.model import FlimModel

MOST_VOXELS = 6000
"""Voxels that are looked at; of larger markers a share by the root of their size."""
STRENGTHS = (0.01, 0.1, 1.0)
"""Inverse strengths of the penalty that are tried, for one weight per voxel in the mean."""
SURE = 1e-3
"""Probabilities below it count as this much: one voxel cannot outweigh all others."""


@dataclass(frozen=True, eq=False)
class MarkedVoxels:
    """Marked voxels of several images that are looked at.

    Attributes
    ----------
    voxels : (M, ndim) int64 array
    classes : (M,) int64 array
        1 background, 2.. objects.
    markers : (M,) int64 array
        Number of the marker, over all images.
    images : (M,) int64 array
        Number of the image.
    weights : (M,) float64 array
        How much a voxel counts: classes alike in sum, and within a class every marker by the root
        of its size; 1 in the mean.
    """

    voxels: NDArray[np.int64]
    classes: NDArray[np.int64]
    markers: NDArray[np.int64]
    images: NDArray[np.int64]
    weights: NDArray[np.float64]

    def of_image(self, index: int) -> NDArray[np.int64]:
        """Voxels of an image: (m, ndim)."""
        own: NDArray[np.int64] = self.voxels[self.images == index]
        return own

    def parts(self, most: int = MOST_PARTS) -> Parts:
        """Which markers are left out together, see `napari_flim.evaluation.held_out.parts`."""
        _, first = np.unique(self.markers, return_index=True)
        return parts(self.images[first], self.classes[first], most)

    def of_voxels(self, of_markers: NDArray[np.int64]) -> NDArray[np.int64]:
        """A value of every marker (m,) at each of its voxels: (M,)."""
        return np.asarray(of_markers[np.unique(self.markers, return_inverse=True)[1]])


def with_linear(
    model: FlimModel, images: Sequence[Image], markers: Sequence[MarkerSet]
) -> FlimModel:
    """The model with a linear decoder learned from markers, over the input and its blocks.

    The penalty is the best of `STRENGTHS` for markers left out.

    Parameters
    ----------
    model : FlimModel
        Blocks up to the decoded one are read.
    images : sequence of Image
        Only surroundings of markers are read.
    markers : sequence of MarkerSet
        One for each image.

    Raises
    ------
    LearningError
        When only one class is marked.
    """
    blocks = tuple(range(1, model.decoded_block + 1))
    marked = marked_voxels(markers, model.seed)
    read = input_values_at(model.transform, images, marked)
    values = np.concatenate([read, block_values_at(model, images, marked)], axis=1)
    counts = [len(block.bank) for block in model.blocks[: len(blocks)]]
    fitted = fit(values, marked.classes, marked.weights, best_strength(marked, values))
    linear = linear_decoder(fitted, blocks, counts, SCALES)
    return replace(model, linear=linear, decoder=replace(model.decoder, name='linear'))


def marked_voxels(markers: Sequence[MarkerSet], seed: int) -> MarkedVoxels:
    """All marked voxels, or some of them if there are more than `MOST_VOXELS`.

    Parameters
    ----------
    markers : sequence of MarkerSet
        One for each image.
    seed : int
        Of the choice.
    """
    numbers, classes = numbered(markers)
    places = np.concatenate([marked.coordinates for marked in markers])
    sources = np.repeat(np.arange(len(markers)), [len(marked) for marked in markers])
    names, inverse, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    roots = np.sqrt(counts)
    limits = counts
    if len(numbers) > MOST_VOXELS:
        limits = np.ceil(MOST_VOXELS * roots / roots.sum()).astype(np.int64)
    groups = np.split(np.argsort(inverse, kind='stable'), np.cumsum(counts)[:-1])
    kept = [
        own
        if len(own) <= limit
        else np.random.default_rng((seed, int(name))).choice(own, int(limit), replace=False)
        for own, limit, name in zip(groups, limits, names, strict=True)
    ]
    chosen = np.sort(np.concatenate(kept))
    shares = roots / np.array([len(own) for own in kept])
    weights = balanced(classes[chosen], shares[inverse[chosen]])
    return MarkedVoxels(places[chosen], classes[chosen], numbers[chosen], sources[chosen], weights)


def numbered(markers: Sequence[MarkerSet]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number of the marker, over all images, and class of every marked voxel: two (M,) arrays.

    A marker with voxels of two classes, as LibIFT has them, counts as two.
    """
    classes = np.concatenate([marked.classes for marked in markers])
    names = [(i, m, c) for i, one in enumerate(markers) for m, c in _pairs(one)]
    known = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([known[name] for name in names], dtype=np.int64), classes


def _pairs(marked: MarkerSet) -> Iterator[tuple[int, int]]:
    return zip(marked.markers.tolist(), marked.classes.tolist(), strict=True)


def input_values_at(
    transform: InputTransform, images: Sequence[Image], marked: MarkedVoxels
) -> NDArray[np.float32]:
    """Multi-scale features of the input at marked voxels: (M, C)."""
    found = [
        input_values(transform, images[index], marked.of_image(index), SCALES)
        for index in np.unique(marked.images)
    ]
    return np.concatenate(found)


def block_values_at(
    model: FlimModel, images: Sequence[Image], marked: MarkedVoxels
) -> NDArray[np.float32]:
    """Channels of the blocks up to the decoded one at marked voxels: (M, C)."""
    encoding = model.with_decoder('mean')
    found = [
        block_values(encoding.applying(images[index]), marked.of_image(index))
        for index in np.unique(marked.images)
    ]
    return np.concatenate(found)


def held_out(
    marked: MarkedVoxels, values: NDArray[np.float32], strength: float
) -> NDArray[np.float64]:
    """Probability of the right class at every voxel, fitted without its marker: (M,).

    The kernels are those of all markers; only the decoder is fitted anew. Not a number for a
    marker that is the only one of its class.
    """
    result, parted = np.full(len(values), np.nan), marked.parts()
    left_out = marked.of_voxels(parted.of_markers)
    own = np.searchsorted(np.unique(marked.classes), marked.classes)
    for part in range(parted.count):
        inside = left_out == part
        probabilities = left_out_probabilities(marked, values, inside, strength)
        result[inside] = probabilities[np.arange(len(probabilities)), own[inside]]
    return result


def left_out_probabilities(
    marked: MarkedVoxels,
    values: NDArray[np.float32],
    inside: NDArray[np.bool_],
    strength: float,
) -> NDArray[np.float64]:
    """Of every class, at voxels that the fit did not see: (n, classes).

    Parameters
    ----------
    marked : MarkedVoxels
    values : (M, C) float32 array
    inside : (M,) bool array
        The voxels that are left out; every class is among the others.
    strength : float
    """
    fitted = fit(values[~inside], marked.classes[~inside], marked.weights[~inside], strength)
    return fitted.probabilities(values[inside])


def best_strength(marked: MarkedVoxels, values: NDArray[np.float32]) -> float:
    """The one of `STRENGTHS` whose held-out probabilities are likeliest; else the middle one."""
    likely = []
    for strength in STRENGTHS:
        right = held_out(marked, values, strength)
        known = np.isfinite(right)
        if not known.any():
            return STRENGTHS[len(STRENGTHS) // 2]
        right = np.log(np.maximum(right[known], SURE))
        likely.append(float(np.average(right, weights=marked.weights[known])))
    return STRENGTHS[int(np.argmax(likely))]
