"""An image laid over itself, shifted: every voxel meets one neighbour."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Part = tuple[slice, ...]


def shifted(shape: Sequence[int], offset: Sequence[int]) -> tuple[Part, Part]:
    """Where voxels with a neighbour lie, and where these neighbours lie.

    Parameters
    ----------
    shape : sequence of int
    offset : sequence of int
        From a voxel to its neighbour.

    Examples
    --------
    >>> shifted((5,), (1,)), shifted((5,), (-2,))
    (((slice(0, 4, None),), (slice(1, 5, None),)), ((slice(2, 5, None),), (slice(0, 3, None),)))
    """
    steps = [(int(n), int(o)) for n, o in zip(shape, offset, strict=True)]
    here = tuple(slice(min(max(-o, 0), n), max(min(n, n - o), 0)) for n, o in steps)
    there = tuple(slice(min(max(o, 0), n), max(min(n, n + o), 0)) for n, o in steps)
    return here, there


def feature_distance(
    features: NDArray[np.floating], here: Part, there: Part
) -> NDArray[np.float64]:
    """Euclidean distance over channels between voxels and their neighbours.

    Parameters
    ----------
    features : (C, \\*S) float array
    here, there
        See `shifted`.
    """
    difference = features[:, *here].astype(np.float64) - features[:, *there]
    return np.asarray(np.sqrt((difference**2).sum(axis=0)))
