"""Values of an image that are looked at for its statistics: all, or an even sample of a large one.

The sample depends on nothing but the shape, so that an image in memory and the same image in
chunks on disk have the same statistics.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_flim.engine.image import Box, all_computed, computed

SLAB = 2**23
"""Voxels read at once where all are looked at."""
ALL = 2**25
"""Voxels up to which every one counts: an image of 5800 x 5800, a volume of 320 x 320 x 320."""
SIDE = {2: 512, 3: 64}
"""Side of the boxes that are sampled of larger images, by rank."""
BOXES = 128
"""About how many of them are spread evenly over the image."""


def sampled_values(channel: NDArray[Any]) -> NDArray[Any]:
    """Values of one channel, all or sampled.

    Parameters
    ----------
    channel : (\\*S) array
        In memory, or a lazy one of which only the sample is read.

    Examples
    --------
    >>> sampled_values(np.eye(2)).size
    4
    """
    if channel.size <= ALL:
        return computed(channel)
    boxes = sample_boxes(channel.shape)
    return np.concatenate([part.reshape(-1) for part in all_computed([channel[b] for b in boxes])])


def sample_boxes(shape: Sequence[int]) -> list[Box]:
    """Where a large image is sampled.

    Examples
    --------
    >>> boxes = sample_boxes((20000, 20000))
    >>> len(boxes), boxes[0]
    (121, (slice(653, 1165, None), slice(653, 1165, None)))
    """
    side = SIDE[len(shape)]
    fits = [max(1, length // side) for length in shape]
    share = min(1.0, BOXES / prod(fits)) ** (1 / len(shape))
    axes = []
    for length, most in zip(shape, fits, strict=True):
        count, width = max(1, round(most * share)), min(side, length)
        starts = [int((i + 0.5) * length / count - width / 2) for i in range(count)]
        axes.append([slice(max(0, start), max(0, start) + width) for start in starts])
    return list(itertools.product(*axes))


def highest_value(data: NDArray[Any]) -> float:
    """The largest finite value, read slab by slab; 0 when there is none.

    Parameters
    ----------
    data : (C, \\*S) array
        In memory or lazy.
    """
    return _highest(computed(data[slab]) for slab in _slabs(data.shape))


def highest_sampled(data: NDArray[Any]) -> float:
    """As `highest_value`, but of `sampled_values` alone.

    Examples
    --------
    >>> highest_sampled(np.array([[[3.0, np.nan]], [[-1.0, 2.0]]]))
    3.0
    """
    return _highest(sampled_values(channel) for channel in data)


def _highest(parts: Iterable[NDArray[Any]]) -> float:
    finite = (part[np.isfinite(part)] if part.dtype.kind == 'f' else part for part in parts)
    return max((float(part.max()) for part in finite if part.size), default=0.0)


def _slabs(shape: Sequence[int]) -> Iterator[tuple[slice, slice]]:
    rows = max(1, SLAB // max(1, prod(shape) // shape[1]))
    for start in range(0, shape[1], rows):
        yield slice(None), slice(start, start + rows)
