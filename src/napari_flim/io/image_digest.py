"""What an image is recognised by when a session is opened again: a digest of some of its voxels."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_flim.engine.image import all_computed
from napari_flim.engine.image_sample import ALL

DIGEST_VOXELS = 65_536
DIGEST_PLANES = 16
DIGEST_BOX = 32
DIGEST_BOXES = 64
"""Boxes that are looked at in a large image, counted in each of its planes."""
IN_BOXES = 'boxes:'
"""What digests of large images begin with; earlier ones were made in another way."""


def image_digest(data: Any, axes: str) -> str:
    """Short text by which an image is recognised: of its shape, its type and some of its voxels.

    At most 65 536 evenly spaced voxels in at most 16 planes are read; of an image of more than
    2**25 voxels as many in small boxes, so that of one in chunks only a few chunks are read.

    Parameters
    ----------
    data : array-like
        numpy, dask or zarr.
    axes : str
        One letter for each axis.

    Examples
    --------
    >>> image = np.arange(12).reshape(3, 4)
    >>> image_digest(image, 'YX') == image_digest(image.copy(), 'YX')
    True
    >>> image_digest(image, 'YX') == image_digest(image + 1, 'YX')
    False
    """
    shape = tuple(int(size) for size in data.shape)
    large = math.prod(shape) > ALL
    looked_at = _boxes(shape, axes) if large else [_evenly(shape, axes)]
    parts = all_computed([data[part] for part in looked_at])
    content = hashlib.blake2b(f'{shape} {parts[0].dtype.name} '.encode(), digest_size=16)
    for part in parts:
        little = part.astype(part.dtype.newbyteorder('<'), copy=False)
        content.update(np.ascontiguousarray(little).tobytes())
    return IN_BOXES * large + content.hexdigest()


def comparable(digest: str, shape: Sequence[int]) -> str:
    """A saved digest, or nothing if it is of another kind than an image of this shape has now.

    Examples
    --------
    >>> comparable('a1', (30, 40)), comparable('a1', (30000, 40000))
    ('a1', '')
    """
    return digest if digest.startswith(IN_BOXES) == (math.prod(shape) > ALL) else ''


def _evenly(shape: tuple[int, ...], axes: str) -> tuple[slice, ...]:
    """Evenly spaced voxels of an image that is not large."""
    others = sum(letter not in 'YX' for letter in axes)
    planes = int(DIGEST_PLANES ** (1 / others) + 1e-9) if others else 1
    side = math.isqrt(DIGEST_VOXELS // planes**others)
    most = [side if letter in 'YX' else planes for letter in axes]
    steps = [max(1, -(-size // count)) for size, count in zip(shape, most, strict=True)]
    return tuple(slice(None, None, step) for step in steps)


def _boxes(shape: tuple[int, ...], axes: str) -> list[tuple[slice, ...]]:
    """Small boxes, spread evenly over a large image."""
    flat = [place for place, letter in enumerate(axes) if letter in 'YX']
    others = [place for place in range(len(axes)) if place not in flat]
    widths = [min(DIGEST_BOX, size) if at in flat else 1 for at, size in enumerate(shape)]
    counts = dict(zip(others, _shares(DIGEST_PLANES, [shape[at] for at in others]), strict=True))
    room = DIGEST_BOXES // math.prod(counts.values())
    fitting = [shape[at] // widths[at] for at in flat]
    counts |= dict(zip(flat, _shares(room, fitting), strict=True))
    spans = (_spread(size, counts[at], widths[at]) for at, size in enumerate(shape))
    return list(itertools.product(*spans))


def _shares(total: int, most: Sequence[int]) -> list[int]:
    """How many places each axis gets of a total, which is their product at most."""
    shares = [1] * len(most)
    for done, place in enumerate(sorted(range(len(most)), key=lambda at: most[at])):
        even = int(total ** (1 / (len(most) - done)) + 1e-9)
        shares[place] = min(most[place], even)
        total //= shares[place]
    return shares


def _spread(size: int, count: int, width: int) -> list[slice]:
    """Even places along an axis; what is looked at as a whole is one."""
    if count * width == size:
        return [slice(0, size)]
    starts = [int((number + 0.5) * size / count - width / 2) for number in range(count)]
    return [slice(start, start + width) for start in starts]
