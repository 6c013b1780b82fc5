"""Markers that are left out, and how far predictions agree with them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_flim.errors import EvaluationError
from napari_flim.evaluation.held_out import agreement, parts

markers = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 3)), min_size=2, max_size=40).filter(
    lambda drawn: len({number for _, number in drawn}) > 1
)


@given(markers)
def test_what_is_left_of_the_markers_always_shows_every_class(drawn: list[tuple[int, int]]) -> None:
    images, classes = np.array(drawn).T
    held = parts(images, classes)
    for part in range(held.count):
        assert set(classes[held.of_markers != part]) == set(classes)
        assert (held.of_markers == part).any()


@given(markers)
def test_only_a_marker_without_a_second_of_its_class_is_never_left_out(
    drawn: list[tuple[int, int]],
) -> None:
    images, classes = np.array(drawn).T
    held = parts(images, classes)
    alone = [np.count_nonzero(classes == number) == 1 for number in classes]
    assert held.complete == (held.whole_images or not any(alone))
    if not held.whole_images:
        np.testing.assert_array_equal(held.of_markers < 0, alone)


def test_images_are_left_out_whole_when_three_show_all_classes() -> None:
    images = np.repeat(np.arange(4), 3)
    classes = np.array([1, 2, 1, 1, 2, 1, 1, 2, 1, 1, 1, 1])
    held = parts(images, classes)
    assert held.whole_images
    assert held.of_markers.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 0, 0, 0]
    assert not parts(images, np.where(images == 2, 1, classes)).whole_images


def test_one_class_alone_cannot_be_judged() -> None:
    with pytest.raises(EvaluationError, match=r'classes \[1\] were given; expected two or more'):
        parts(np.array([0, 1]), np.array([1, 1]))


def test_every_class_counts_alike_and_every_voxel_within_it() -> None:
    found = agreement(np.array([1, 1, 2]), np.array([90, 10, 5]), np.array([90, 0, 4]))
    assert found.share == pytest.approx((0.9 + 0.8) / 2)
    assert found.error is None


def test_the_error_is_that_of_a_mean_when_markers_have_equal_sizes() -> None:
    rng = np.random.default_rng(0)
    right = rng.integers(0, 11, 24)
    classes = np.repeat([1, 2], 12)
    found = agreement(classes, np.full(24, 10), right)
    errors = [np.std(right[classes == n] / 10, ddof=1) / np.sqrt(12) for n in (1, 2)]
    assert found.error == pytest.approx(np.hypot(*errors) / 2)


def test_many_voxels_of_few_markers_say_no_more_than_the_markers() -> None:
    classes, right = np.array([1, 1, 2, 2]), np.array([3, 1, 2, 3])
    few = agreement(classes, np.full(4, 4), right)
    many = agreement(classes, np.full(4, 400), right * 100)
    assert (few.share, few.error) == (pytest.approx(many.share), pytest.approx(many.error))
