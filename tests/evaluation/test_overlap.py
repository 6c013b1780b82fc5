from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from napari_flim.errors import EvaluationError
from napari_flim.evaluation.overlap import dice, f_beta, instance_f1, iou, precision, recall

MEASURES = [dice, iou, precision, recall, f_beta]

every_measure = pytest.mark.parametrize('measure', MEASURES, ids=lambda f: f.__name__)
every_rank = pytest.mark.parametrize('shape', [(4, 6), (3, 4, 6)], ids=['2D', '3D'])


def test_the_measures_follow_from_the_counts_of_voxels() -> None:
    prediction, truth = [1, 1, 1, 1, 0, 0], [0, 1, 1, 1, 1, 1]
    assert precision(prediction, truth) == pytest.approx(3 / 4)
    assert recall(prediction, truth) == pytest.approx(3 / 5)
    assert dice(prediction, truth) == pytest.approx(6 / 9)
    assert iou(prediction, truth) == pytest.approx(3 / 6)
    assert f_beta(prediction, truth) == pytest.approx(1.3 * 0.75 * 0.6 / (0.3 * 0.75 + 0.6))
    assert f_beta(prediction, truth, beta_squared=4) == pytest.approx(5 * 0.45 / (4 * 0.75 + 0.6))


@every_measure
@every_rank
def test_two_empty_masks_score_one(measure: Any, shape: tuple[int, ...]) -> None:
    assert measure(np.zeros(shape), np.zeros(shape)) == 1


@every_measure
@every_rank
def test_one_empty_mask_scores_zero(measure: Any, shape: tuple[int, ...]) -> None:
    assert measure(np.zeros(shape), np.ones(shape)) == 0
    assert measure(np.ones(shape), np.zeros(shape)) == 0


@every_measure
@pytest.mark.parametrize('dtype', [bool, np.uint8, np.int64, np.float32])
def test_any_dtype_is_object_where_above_zero(measure: Any, dtype: Any) -> None:
    prediction, truth = np.array([[0, 3, 2, 0]]), np.array([[0, 1, 0, 5]])
    expected = measure(prediction > 0, truth > 0)
    assert (
        measure(prediction.astype(dtype), truth.astype(dtype))
        == expected
        == measure(-1 + 2 * (prediction > 0), truth)
    )


@every_measure
def test_different_shapes_are_an_error_that_names_both(measure: Any) -> None:
    with pytest.raises(EvaluationError, match=r'\(4, 5\).*\(4, 6\)|\(4, 6\).*\(4, 5\)'):
        measure(np.zeros((4, 5)), np.zeros((4, 6)))


@every_measure
def test_arrays_without_a_voxel_are_an_error(measure: Any) -> None:
    with pytest.raises(EvaluationError, match='no voxel'):
        measure(np.zeros((0, 5)), np.zeros((0, 5)))


def squares(*corners: tuple[int, int]) -> NDArray[np.int64]:
    """Squares of 4 x 4 voxels, each with a label of its own."""
    labels = np.zeros((20, 20), dtype=np.int64)
    for number, (y, x) in enumerate(corners, start=1):
        labels[y : y + 4, x : x + 4] = number
    return labels


def test_objects_are_counted_one_by_one() -> None:
    truth = squares((0, 0), (0, 8), (10, 0))
    prediction = squares((0, 1), (0, 11), (10, 0), (16, 16))
    assert instance_f1(prediction, truth) == pytest.approx(2 * 2 / (4 + 3))
    assert instance_f1(prediction, truth, iou=0.9) == pytest.approx(2 * 1 / (4 + 3))
    assert instance_f1(prediction, truth, iou=0.1) == pytest.approx(2 * 3 / (4 + 3))


def test_label_numbers_do_not_matter() -> None:
    truth = squares((0, 0), (0, 8), (10, 0))
    renumbered = np.array([0, 900_000_000, 7, 123_456])[truth]
    assert instance_f1(renumbered, truth) == instance_f1(truth, renumbered) == 1


def test_an_object_is_matched_once_even_when_two_halves_reach_the_threshold() -> None:
    truth = np.array([[1, 1, 1, 1]])
    halves = np.array([[1, 1, 2, 2]])
    assert instance_f1(halves, truth, iou=0.5) == pytest.approx(2 / 3)


def test_as_many_objects_as_possible_are_matched_below_one_half() -> None:
    truth = np.array([[1, 1, 1, 2, 2, 0, 0]])
    prediction = np.array([[1, 1, 2, 2, 2, 2, 2]])
    assert instance_f1(prediction, truth, iou=0.1) == 1
    overlapping = np.array([[1, 1, 1, 1, 1, 1, 2]])
    assert instance_f1(overlapping, np.array([[1, 1, 1, 1, 2, 2, 2]]), iou=0.3) == 1


def test_merged_objects_cost_instances_but_not_overlap() -> None:
    truth = squares((0, 0), (0, 4))
    merged = (truth > 0).astype(int)
    assert dice(merged, truth) == 1
    assert instance_f1(merged, truth, iou=0.6) == 0


def test_two_images_without_objects_agree_and_one_does_not() -> None:
    nothing, something = np.zeros((20, 20), dtype=int), squares((0, 0))
    assert instance_f1(nothing, nothing) == 1
    assert instance_f1(something, nothing) == instance_f1(nothing, something) == 0


def test_volumes_have_instances_too() -> None:
    mask = np.random.default_rng(0).random((6, 12, 12)) > 0.8
    labels, count = ndimage.label(mask)
    assert count > 3
    fewer = np.where(labels == 1, 0, labels)
    assert instance_f1(fewer, labels) == pytest.approx(2 * (count - 1) / (2 * count - 1))


@pytest.mark.parametrize('threshold', [0, -0.5, 1.01, float('nan')])
def test_an_impossible_threshold_is_an_error(threshold: float) -> None:
    with pytest.raises(EvaluationError, match='above 0 and at most 1'):
        instance_f1(squares((0, 0)), squares((0, 0)), iou=threshold)


def test_instances_need_labels_not_a_map_of_floats() -> None:
    with pytest.raises(EvaluationError, match='prediction holds float64'):
        instance_f1(np.ones((2, 2)), np.ones((2, 2), dtype=int))
    with pytest.raises(EvaluationError, match='truth holds float32'):
        instance_f1(np.ones((2, 2), dtype=int), np.ones((2, 2), dtype=np.float32))


def test_instances_of_different_shapes_are_an_error_that_names_both() -> None:
    with pytest.raises(EvaluationError, match=r'\(20, 20\).*\(2, 2\)'):
        instance_f1(squares((0, 0)), np.ones((2, 2), dtype=int))
