"""A line around some objects, drawn as voxels: napari draws none in 3D, and warns of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_flim.progress import Job, Progress
from napari_flim.session.delineating import Draft

WIDTH = 2


@dataclass(frozen=True, eq=False)
class Outline:
    """A line around some objects of a draft.

    Attributes
    ----------
    draft : Draft
    first : tuple of int
        Where ``voxels`` begins in the image.
    voxels : (\\*S) uint8 array
        1 on the line, which lies in the objects; of a volume, in every slice (y, x).
    """

    draft: Draft
    first: tuple[int, ...]
    voxels: NDArray[np.uint8]


def outline_of(draft: Draft, ids: Collection[int]) -> Job[Outline]:
    """Draw a line around some objects, at least one of which is there.

    Parameters
    ----------
    draft : Draft
    ids : collection of int
    """
    boxes = {number: draft.boxes[number] for number in ids if number in draft.boxes}
    axes = list(zip(*boxes.values(), strict=True))
    first = tuple(min(part.start for part in parts) for parts in axes)
    last = [max(part.stop for part in parts) for parts in axes]
    voxels = np.zeros([end - start for start, end in zip(first, last, strict=True)], np.uint8)
    for count, (number, box) in enumerate(boxes.items()):
        yield Progress('drawing a line around objects', count, len(boxes))
        own = draft.labels[box] == number
        inner = own
        for _ in range(WIDTH):
            inner = _without_border(inner)
        place = tuple(
            slice(part.start - start, part.stop - start)
            for part, start in zip(box, first, strict=True)
        )
        voxels[place] |= own & ~inner
    return Outline(draft, first, voxels)


def _without_border(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Voxels whose four neighbours in the slice are all in the mask; none beyond it is."""
    inner = np.zeros_like(mask)
    middle = mask[..., 1:-1, 1:-1]
    rows = mask[..., :-2, 1:-1] & mask[..., 2:, 1:-1]
    columns = mask[..., 1:-1, :-2] & mask[..., 1:-1, 2:]
    inner[..., 1:-1, 1:-1] = middle & rows & columns
    return inner
