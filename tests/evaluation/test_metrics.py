from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from napari_flim.errors import EvaluationError
from napari_flim.evaluation.metrics import Scores, evaluate, summarise
from napari_flim.evaluation.overlap import dice, f_beta, instance_f1, iou, precision, recall

shapes = array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=7)
unit_floats = st.floats(0, 1, width=32)
quick = settings(max_examples=60, deadline=None)


def measures(scores: Scores) -> dict[str, float]:
    return {name: value for name, value in asdict(scores).items() if name != 'object_voxels'}


@st.composite
def mask_pairs(draw: st.DrawFn) -> tuple[NDArray[Any], NDArray[Any]]:
    shape = draw(shapes)
    return draw(arrays(bool, shape)), draw(arrays(bool, shape))


@st.composite
def maps_with_truth(draw: st.DrawFn) -> tuple[NDArray[Any], NDArray[Any]]:
    shape = draw(shapes)
    saliency = draw(
        st.one_of(arrays(np.uint8, shape), arrays(np.float32, shape, elements=unit_floats))
    )
    return saliency, draw(arrays(bool, shape))


@quick
@given(maps_with_truth())
def test_every_measure_lies_between_zero_and_one(
    pair: tuple[NDArray[Any], NDArray[Any]],
) -> None:
    saliency, truth = pair
    scores = evaluate(saliency > 0, truth, saliency)
    for name, value in measures(scores).items():
        assert 0 <= value <= 1 + 1e-12, name


@quick
@given(shapes.flatmap(lambda shape: arrays(bool, shape)))
def test_a_perfect_prediction_scores_one_in_every_measure(truth: NDArray[Any]) -> None:
    for name, value in measures(evaluate(truth, truth)).items():
        assert value == pytest.approx(0 if name == 'mae' else 1, abs=1e-12), name


@quick
@given(mask_pairs())
def test_dice_and_iou_are_symmetrical_and_bound_to_each_other(
    pair: tuple[NDArray[Any], NDArray[Any]],
) -> None:
    a, b = pair
    assert dice(a, b) == dice(b, a)
    assert iou(a, b) == iou(b, a)
    assert dice(a, b) == pytest.approx(2 * iou(a, b) / (1 + iou(a, b)))
    assert precision(a, b) == recall(b, a)
    assert f_beta(a, b, beta_squared=1) == dice(a, b)


@quick
@given(
    shapes.flatmap(
        lambda shape: st.tuples(*[arrays(np.uint8, shape, elements=st.integers(0, 4))] * 2)
    )
)
def test_instance_f1_is_symmetrical_and_falls_with_the_threshold(
    pair: tuple[NDArray[Any], NDArray[Any]],
) -> None:
    a, b = pair
    values = [instance_f1(a, b, iou=threshold) for threshold in (0.1, 0.5, 0.9)]
    assert values == [instance_f1(b, a, iou=threshold) for threshold in (0.1, 0.5, 0.9)]
    assert values == sorted(values, reverse=True)
    assert all(0 <= value <= 1 for value in values)
    assert instance_f1(a, a, iou=1) == 1


def test_without_a_saliency_map_the_prediction_takes_its_place() -> None:
    prediction, truth = np.array([[0, 2, 2], [0, 0, 0]]), np.array([[0, 1, 0], [0, 0, 0]])
    binary = (prediction > 0).astype(float)
    assert evaluate(prediction, truth) == evaluate(prediction, truth, binary)


def test_the_saliency_map_leaves_the_measures_of_the_mask_alone() -> None:
    prediction, truth = np.array([[0, 1, 1, 0]]), np.array([[0, 1, 0, 0]])
    with_map = evaluate(prediction, truth, np.array([[0.0, 0.9, 0.4, 0.1]]))
    without = evaluate(prediction, truth)
    for name in ('dice', 'iou', 'precision', 'recall', 'f_beta'):
        assert getattr(with_map, name) == getattr(without, name)
    assert with_map.mae == pytest.approx(0.15)
    assert without.mae == pytest.approx(0.25)


def test_curve_measures_are_mean_and_maximum_over_the_thresholds() -> None:
    saliency, truth = np.array([[0, 51, 102, 204]], np.uint8), np.array([[0, 0, 1, 1]])
    scores = evaluate(saliency > 128, truth, saliency)
    least, middle, most = (f_beta(saliency >= level, truth) for level in (51, 102, 204))
    assert middle == 1
    assert scores.f_mean == pytest.approx((51 * least + 51 * middle + 102 * most) / 255)
    assert scores.f_max == 1


@pytest.mark.parametrize('wrong', ['prediction', 'saliency'])
def test_different_shapes_are_an_error_that_names_both(wrong: str) -> None:
    arguments = {name: np.zeros((4, 6)) for name in ('prediction', 'truth', 'saliency')}
    arguments[wrong] = np.zeros((4, 5))
    with pytest.raises(EvaluationError, match=r'\(4, 5\).*\(4, 6\)'):
        evaluate(**arguments)


def test_images_with_objects_are_summarised_apart() -> None:
    empty, full = np.zeros((2, 2)), np.ones((2, 2))
    half = np.array([[1, 1], [0, 0]])
    summary = summarise([evaluate(empty, empty), evaluate(half, full), evaluate(full, full)])
    assert summary.images == 3
    assert summary.images_with_objects == 2
    assert summary.means['iou'] == pytest.approx((1 + 0.5 + 1) / 3)
    assert summary.means_with_objects['iou'] == pytest.approx(0.75)
    assert summary.means['mae'] == pytest.approx(0.5 / 3)
    assert set(summary.means) == set(measures(evaluate(full, full)))


def test_a_set_without_objects_has_no_means_with_objects() -> None:
    summary = summarise([evaluate(np.zeros((2, 2)), np.zeros((2, 2)))])
    assert summary.images_with_objects == 0
    assert summary.means_with_objects == {}


def test_the_object_voxels_of_the_truth_are_counted() -> None:
    assert evaluate(np.zeros((2, 2)), np.array([[0, 3], [1, 0]])).object_voxels == 2


def test_no_scores_cannot_be_summarised() -> None:
    with pytest.raises(EvaluationError, match='at least one image'):
        summarise([])
