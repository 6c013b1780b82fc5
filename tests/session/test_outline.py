"""The line around chosen objects lies on their border, in every slice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import ndimage

from napari_flim.progress import finish
from napari_flim.session.delineating import boxes_of
from napari_flim.session.outline import WIDTH, outline_of


@dataclass(frozen=True)
class Labelled:
    """What is looked at of a draft."""

    labels: np.ndarray
    boxes: dict


@pytest.mark.parametrize('ids', [(1,), (2,), (1, 3), (2, 3, 9), (3, 77)])
@pytest.mark.parametrize('shape', [(20, 30), (9, 20, 30)])
def test_the_line_is_what_erosion_in_the_slice_takes_from_each_object(shape, ids) -> None:
    labels = np.zeros(shape, np.int32)
    labels[..., 0:7, 0:9] = 1
    labels[..., 8:18, 12:20] = 2
    labels[2:, 10:12] = np.where(labels[2:, 10:12] == 2, 3, labels[2:, 10:12])
    labels[..., 19, 29] = 9
    wanted = np.zeros(shape, bool)
    cross = ndimage.generate_binary_structure(2, 1)
    cross = cross if len(shape) == 2 else cross[np.newaxis]
    for number in ids:
        own = labels == number
        wanted |= own & ~ndimage.binary_erosion(own, cross, iterations=WIDTH)
    line = finish(outline_of(Labelled(labels, boxes_of(labels)), ids))
    whole = np.zeros(shape, np.uint8)
    part = tuple(slice(a, a + n) for a, n in zip(line.first, line.voxels.shape, strict=True))
    whole[part] = line.voxels
    assert np.array_equal(whole, wanted)
    assert line.voxels.dtype == np.uint8


def test_no_more_is_drawn_than_the_box_of_the_objects() -> None:
    labels = np.zeros((40, 40), np.int32)
    labels[10:12, 20:23] = 4
    line = finish(outline_of(Labelled(labels, boxes_of(labels)), (4,)))
    assert (line.first, line.voxels.shape) == ((10, 20), (2, 3))
