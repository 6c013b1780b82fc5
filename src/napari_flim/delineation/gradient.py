"""The gradient image of a stack of features, for those who call a watershed on it from Python.

The methods of the docks compare features directly, which keeps thin boundaries apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_flim.delineation.inputs import checked_stack
from napari_flim.delineation.neighbours import SQUARED_REACH, neighbourhood
from napari_flim.delineation.shifts import shifted


def gradient(
    features: ArrayLike,
    ndim: int,
    *,
    neighbours: int | None = None,
    spacing: Sequence[float] | None = None,
) -> NDArray[np.float32]:
    """How much the features change around every voxel, on a scale from 0 to 255.

    G(p) = sqrt(Σ_q Σ_b (F_b(q) - F_b(p))²) / |A|, over the neighbours q in A and the channels b,
    divided by the largest G of the image and multiplied by 255. A neighbour outside the image adds
    nothing, and |A| stays the same there.

    Parameters
    ----------
    features : (\\*S) or (C, \\*S) array
        Finite values; computed in float32.
    ndim : int
        2 or 3: the number of spatial axes.
    neighbours : int, optional
        4 or 8 in two dimensions, 6, 18 or 26 in three; the largest by default.
    spacing : sequence of float, optional
        World units per voxel: differences are then divided by the distance of the neighbour
        relative to the smallest spacing.

    Returns
    -------
    (\\*S) float32 array
        All 0 for constant features.

    Raises
    ------
    DelineationError
        When shapes do not fit, features are not finite, or a setting does not exist.

    Examples
    --------
    >>> gradient(np.array([[0, 0, 4, 4]]), 2, neighbours=4)
    array([[  0., 255., 255.,   0.]], dtype=float32)
    """
    number = max(SQUARED_REACH.get(ndim, {0: 0})) if neighbours is None else neighbours
    around = neighbourhood(ndim, number, spacing)
    stack = checked_stack(features, ndim)
    squares = np.zeros(stack.shape[1:], dtype=np.float32)
    # Arcs come in pairs of opposite directions, and both ends get the same square.
    for offset, length in zip(around.offsets, around.lengths, strict=True):
        if tuple(offset) < (0,) * ndim:
            continue
        here, there = shifted(stack.shape[1:], offset)
        change = (stack[:, *there] - stack[:, *here]) / np.float32(length)
        square = np.einsum('c...,c...->...', change, change)
        squares[here] += square
        squares[there] += square
    result = np.sqrt(squares) / len(around.offsets)
    largest = result.max()
    return np.asarray(result * np.float32(255 / largest) if largest > 0 else result)
