"""MarkerSet: the voxels an expert marked, their classes, and which stroke each belongs to.

In memory 0 is unmarked, 1 background, 2.. objects. A marker is one connected component
(8 neighbours in 2D, 26 in 3D) of one class. Everything works on lists of voxels, so a few
strokes on a huge volume cost as little as on a small image.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from napari_flim.engine.image import SPATIAL, Box, read_array, read_stack
from napari_flim.errors import MarkerError

BACKGROUND = 1

LARGEST_LABEL = 255
"""Of the markers in files of the plugin and in layers of napari, which hold uint8."""

BLOCK = 2**24
"""Voxels of labels that are read at once."""


@dataclass(frozen=True, eq=False)
class MarkerSet:
    """Marked voxels of one image.

    Attributes
    ----------
    coordinates : (M, ndim) int64 array
        Voxel positions (z, y, x) or (y, x).
    classes : (M,) int64 array
        1 background, 2.. objects.
    markers : (M,) int64 array
        Number of the marker a voxel belongs to, from 0, in raster order of first voxels.
    shape : tuple of int
        Shape of the image.
    """

    coordinates: NDArray[np.int64]
    classes: NDArray[np.int64]
    markers: NDArray[np.int64]
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        for name in ('coordinates', 'classes', 'markers'):
            array = getattr(self, name).copy()
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.coordinates)

    @property
    def ndim(self) -> int:
        """Spatial rank."""
        return len(self.shape)

    @property
    def count(self) -> int:
        """Number of markers."""
        return int(self.markers.max()) + 1 if len(self) else 0

    @property
    def class_counts(self) -> dict[int, int]:
        """Marked voxels of each class."""
        values, counts = np.unique(self.classes, return_counts=True)
        return dict(zip(values.tolist(), counts.tolist(), strict=True))

    @property
    def flat(self) -> NDArray[np.int64]:
        """(M,) positions in the flattened image."""
        return _flat(self.coordinates, self.shape)

    @classmethod
    def from_points(
        cls,
        coordinates: NDArray[np.integer],
        classes: NDArray[np.integer],
        shape: Sequence[int],
        *,
        across_classes: bool = False,
    ) -> MarkerSet:
        """Markers from a list of voxels; a repeated voxel counts once, with its first class.

        Parameters
        ----------
        coordinates : (M, ndim) int array
            The order is kept.
        classes : (M,) int array
            1 background, 2.. objects.
        shape : sequence of int
            Shape of the image; a voxel outside is an error.
        across_classes : bool
            Let touching voxels of different classes form one marker, as LibIFT does.

        Raises
        ------
        MarkerError
            For voxels outside the image or classes below 1.
        """
        coordinates = np.asarray(coordinates, dtype=np.int64).reshape(-1, len(shape))
        classes = np.asarray(classes, dtype=np.int64).reshape(-1)
        if len(classes) != len(coordinates):
            raise MarkerError(f'{len(coordinates)} voxels came with {len(classes)} classes.')
        outside = ((coordinates < 0) | (coordinates >= np.array(shape))).any(axis=1)
        if outside.any():
            raise MarkerError(
                f'Marker voxel {tuple(coordinates[outside][0].tolist())} lies outside the image '
                f'of shape {tuple(shape)}; were the markers drawn on another image?'
            )
        if len(classes) and classes.min() < BACKGROUND:
            raise MarkerError(
                f'Class {classes.min()} was given; 1 is background and 2, 3, .. are objects.'
            )
        _, first = np.unique(_flat(coordinates, shape), return_index=True)
        first.sort()
        coordinates, classes = coordinates[first], classes[first]
        groups = np.zeros_like(classes) if across_classes else classes
        markers = _components(coordinates, groups, shape)
        return cls(coordinates, classes, markers, tuple(int(n) for n in shape))

    @classmethod
    def from_labels(cls, labels: Any, *, across_classes: bool = False) -> MarkerSet:
        """Markers from a Labels-like array: numpy, dask, zarr or h5py, of any integer type.

        Lazy arrays are read block by block; never is all of a large one in memory.

        Parameters
        ----------
        labels : (\\*S) array of integers or bool
            0 unmarked, 1 background, 2.. objects.
        across_classes : bool
            See `from_points`.

        Raises
        ------
        MarkerError
            For values that are not whole numbers from 0 up.

        Examples
        --------
        >>> markers = MarkerSet.from_labels(np.array([[1, 0, 2], [1, 0, 2], [0, 0, 1]]))
        >>> markers.count, markers.class_counts
        (3, {1: 3, 2: 2})
        """
        dtype, shape = np.dtype(labels.dtype), tuple(int(n) for n in labels.shape)
        if dtype.kind not in 'bui':
            raise MarkerError(
                f'Markers hold {dtype} values; expected whole numbers: '
                '0 unmarked, 1 background, 2.. objects.'
            )
        if len(shape) not in (2, 3):
            raise MarkerError(
                f'Markers of shape {shape} were given; expected one label for each voxel of an '
                'image (y, x) or a volume (z, y, x). For a stack, use MarkerSet.from_stack.'
            )
        voxels, values = _marked(labels, shape)
        if len(values) and values.min() < 0:
            raise MarkerError(f'Markers hold the value {values.min()}; expected 0, 1, 2, ...')
        return cls.from_points(voxels, values, shape, across_classes=across_classes)

    @classmethod
    def from_stack(cls, labels: Any, ndim: int, *, across_classes: bool = False) -> list[MarkerSet]:
        """Markers of every image of a stack.

        Parameters
        ----------
        labels : (T, \\*S) array of integers
        ndim : int
            Spatial rank of one image, 2 or 3.
        across_classes : bool
            See `from_points`.
        """
        if labels.ndim != ndim + 1:
            raise MarkerError(
                f'A stack of markers of shape {labels.shape} was given for images with '
                f'{ndim} axes; expected {ndim + 1} axes.'
            )
        steps = labels
        if not isinstance(labels, np.ndarray):
            images = read_stack(labels, 'T' + SPATIAL[-ndim:], name='markers')
            steps = [image.data[0] for image in images]
        return [cls.from_labels(step, across_classes=across_classes) for step in steps]

    def of_class(self, number: int) -> MarkerSet:
        """Only the voxels of one class; marker numbers are kept."""
        return self.select(self.classes == number)

    def on_grid(self, stride: Sequence[int], shape: Sequence[int]) -> MarkerSet:
        """The same markers on the grid of a subsampled map.

        Voxel u goes to cell ``min(floor(u / stride + 0.5), n - 1)``, the nearest one, since cell
        i lies at voxel ``i * stride``. A marker uses a cell once; a cell wanted by several
        classes goes to the majority of voxels and to nobody in a tie.

        Parameters
        ----------
        stride : sequence of int
            Accumulated stride along each axis.
        shape : sequence of int
            Shape of the map.
        """
        steps, limit = np.array(stride), np.array(shape) - 1
        if (steps == 1).all():
            return self
        cells = np.minimum((2 * self.coordinates + steps) // (2 * steps), limit)
        flat = _flat(cells, shape)
        undisputed = _majority(flat, self.classes)
        _, first = np.unique(np.stack([flat, self.markers]), axis=1, return_index=True)
        kept = np.sort(first[undisputed[first]])
        grid = MarkerSet(cells, self.classes, self.markers, tuple(int(n) for n in shape))
        return grid.select(kept)

    def select(self, which: NDArray[Any]) -> MarkerSet:
        """Only the named voxels; marker numbers are kept."""
        return MarkerSet(
            self.coordinates[which], self.classes[which], self.markers[which], self.shape
        )


def _flat(coordinates: NDArray[np.int64], shape: Sequence[int]) -> NDArray[np.int64]:
    flat = np.zeros(len(coordinates), dtype=np.int64)
    for axis, size in enumerate(shape):
        flat = flat * int(size) + coordinates[:, axis]
    return flat


def _marked(labels: Any, shape: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions and values of marked voxels in raster order, read block by block."""
    read = _reader(labels, len(shape))
    sides = _block_sides(labels, shape)
    starts = [range(0, length, side) for length, side in zip(shape, sides, strict=True)]
    voxels, values = [np.zeros((0, len(shape)), dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for start in itertools.product(*starts):
        block = read(tuple(slice(first, first + s) for first, s in zip(start, sides, strict=True)))
        # Numpy finds what is true in a flat mask many times faster than what is not 0 in an image.
        found = np.unravel_index(np.flatnonzero(block != 0), block.shape)
        voxels.append(np.stack(found, axis=1).astype(np.int64) + np.array(start))
        values.append(block[found].astype(np.int64))
    positions = np.concatenate(voxels)
    order = np.argsort(_flat(positions, shape), kind='stable')
    return positions[order], np.concatenate(values)[order]


def _reader(labels: Any, ndim: int) -> Callable[[Box], NDArray[Any]]:
    if isinstance(labels, np.ndarray):
        return labels.__getitem__
    image = read_array(labels, SPATIAL[-ndim:], name='markers')
    return lambda box: image.crop(box).data[0]


def _block_sides(labels: Any, shape: Sequence[int]) -> list[int]:
    """Sides of the blocks that are read: whole chunks, as many as are not too much at once."""
    chunks = getattr(labels, 'chunks', None) or (1,) * len(shape)
    sides = [max(chunk) if isinstance(chunk, tuple) else int(chunk) for chunk in chunks]
    for axis in reversed(range(len(shape))):
        fits = max(1, BLOCK // max(1, math.prod(sides)))
        sides[axis] = max(1, min(int(shape[axis]), sides[axis] * fits))
    return sides


def _components(
    coordinates: NDArray[np.int64], groups: NDArray[np.int64], shape: Sequence[int]
) -> NDArray[np.int64]:
    """Connected components of a voxel list, numbered by their first voxel in raster order."""
    if not len(coordinates):
        return np.zeros(0, dtype=np.int64)
    padded = [int(n) + 2 for n in shape]
    flat = _flat(coordinates + 1, padded)
    order = np.argsort(flat)
    ordered = flat[order]
    sources, targets = [], []
    for offset in itertools.product((-1, 0, 1), repeat=len(shape)):
        if offset <= (0,) * len(shape):
            continue
        shift = int(_flat(np.array([offset]), padded)[0])
        position = np.minimum(np.searchsorted(ordered, ordered + shift), len(ordered) - 1)
        touching = (ordered[position] == ordered + shift) & (
            groups[order][position] == groups[order]
        )
        sources.append(np.flatnonzero(touching))
        targets.append(position[touching])
    rows, columns = np.concatenate(sources), np.concatenate(targets)
    graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(len(flat), len(flat)))
    _, component = connected_components(graph, directed=False)
    _, first, inverse = np.unique(component, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    result = np.empty(len(flat), dtype=np.int64)
    result[order] = rank[inverse]
    return result


def _majority(cells: NDArray[np.int64], classes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each voxel's class holds more votes for its cell than any other class."""
    pairs, inverse, votes = np.unique(
        np.stack([cells, classes]), axis=1, return_inverse=True, return_counts=True
    )
    best: dict[int, list[int]] = {}
    for cell, vote in zip(pairs[0].tolist(), votes.tolist(), strict=True):
        best.setdefault(cell, []).append(vote)
    wins = np.array(
        [
            vote == max(best[cell]) and best[cell].count(vote) == 1
            for cell, vote in zip(pairs[0].tolist(), votes.tolist(), strict=True)
        ],
        dtype=bool,
    )
    result: NDArray[np.bool_] = wins[inverse.reshape(-1)]
    return result
