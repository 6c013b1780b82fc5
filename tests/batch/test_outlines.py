from __future__ import annotations

import numpy as np

from napari_flim.batch.outlines import COLOUR, LARGEST_SIDE, outlined
from napari_flim.engine.image import read_array


def yellow(picture: np.ndarray) -> np.ndarray:
    return (picture == COLOUR).all(axis=-1)


def test_colours_stay_as_they_are_inside_and_outside_objects() -> None:
    image = np.random.default_rng(0).integers(0, 200, (20, 30, 3), dtype=np.uint8)
    labels = np.zeros((20, 30), np.int32)
    labels[5:10, 5:12], labels[5:10, 12:20] = 1, 2
    picture = outlined(read_array(image), labels)
    border = yellow(picture)
    np.testing.assert_array_equal(picture[~border], image[~border])
    # Objects that touch have a border each.
    assert border[7, 11]
    assert border[7, 12]
    assert not border[7, 8]
    assert not border[labels == 0].any()


def test_of_a_volume_the_plane_with_most_of_the_objects_is_shown() -> None:
    volume = np.zeros((5, 9, 9), np.uint8)
    volume[1], volume[3] = 60, 90
    labels = np.zeros((5, 9, 9), np.int32)
    labels[1, 2:5, 2:5] = 1
    labels[3, 2:6, 2:6] = 1
    picture = outlined(read_array(volume), labels)
    assert yellow(picture).sum() == 12
    assert picture.shape == (9, 9, 3)
    empty = np.zeros_like(labels)
    volume[2, 0, 0] = 7
    assert outlined(read_array(volume), empty)[0, 0].max() == 255


def test_values_that_are_no_colours_are_stretched_and_nothing_breaks_on_nan() -> None:
    values = np.linspace(-5, 5, 100).reshape(10, 10)
    values[0, 0], values[9, 9] = np.nan, np.inf
    picture = outlined(read_array(values), np.zeros((10, 10), np.int32))
    assert (picture[0, 0, 0], picture[9, 9, 0]) == (0, 255)
    assert (np.diff(picture[..., 0].ravel()[1:].astype(int)) >= 0).all()
    flat = outlined(read_array(np.full((4, 4), np.nan)), np.zeros((4, 4), np.int32))
    assert not flat.any()


def test_a_large_image_is_drawn_smaller() -> None:
    wide = np.zeros((3, LARGEST_SIDE + 1), np.uint8)
    labels = np.zeros(wide.shape, np.int32)
    assert outlined(read_array(wide), labels).shape == (2, LARGEST_SIDE // 2 + 1, 3)
