from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from napari_flim.errors import EvaluationError
from napari_flim.evaluation.overlap import f_beta, precision, recall
from napari_flim.evaluation.saliency_metrics import (
    adaptive_mask,
    curves,
    e_measure,
    mae,
    s_measure,
    weighted_f,
)

every_measure = pytest.mark.parametrize(
    'measure', [mae, curves, weighted_f, s_measure], ids=lambda f: f.__name__
)
every_rank = pytest.mark.parametrize('shape', [(9, 11), (5, 9, 11)], ids=['2D', '3D'])


def blob(shape: tuple[int, ...]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """A noisy map of a box-shaped object off the centre."""
    truth = np.zeros(shape, dtype=bool)
    truth[tuple(slice(1, 1 + n // 2) for n in shape)] = True
    noise = np.random.default_rng(3).random(shape)
    return 0.6 * truth + 0.4 * noise, truth


def e_measure_voxel_by_voxel(mask: NDArray[Any], truth: NDArray[Any]) -> float:
    a, b = mask - mask.mean(), truth - truth.mean()
    return float(((2 * a * b / (a**2 + b**2) + 1) ** 2 / 4).mean())


@every_rank
def test_each_point_of_the_curves_is_the_measure_of_its_mask(shape: tuple[int, ...]) -> None:
    saliency, truth = blob(shape)
    curve = curves(saliency, truth)
    assert curve.thresholds[0] == pytest.approx(1 / 255)
    assert curve.thresholds[-1] == 1
    for index in (0, 40, 127, 200, 254):
        mask = saliency >= curve.thresholds[index]
        assert curve.precision[index] == pytest.approx(precision(mask, truth))
        assert curve.recall[index] == pytest.approx(recall(mask, truth))
        assert curve.f_measure[index] == pytest.approx(f_beta(mask, truth))
        assert curve.e_measure[index] == pytest.approx(e_measure(mask, truth))


@every_rank
def test_the_e_measure_is_the_mean_over_voxels(shape: tuple[int, ...]) -> None:
    saliency, truth = blob(shape)
    mask = saliency > 0.5
    assert e_measure(mask, truth) == pytest.approx(e_measure_voxel_by_voxel(mask, truth))


def test_the_e_measure_of_a_mask_like_the_truth_is_exactly_one() -> None:
    truth = np.arange(35).reshape(5, 7) % 3 == 0
    assert e_measure(truth, truth) == 1


def test_the_e_measure_of_an_empty_or_full_truth_is_the_share_of_right_voxels() -> None:
    mask = np.array([1, 1, 1, 0])
    assert e_measure(mask, np.zeros(4)) == 0.25
    assert e_measure(mask, np.ones(4)) == 0.75


def test_the_adaptive_threshold_is_twice_the_mean() -> None:
    saliency = np.array([0.0, 0.0, 0.39, 0.41, 0.2])
    assert adaptive_mask(saliency).tolist() == [False, False, False, True, False]


def test_the_adaptive_threshold_never_exceeds_full_saliency() -> None:
    assert adaptive_mask(np.array([1.0, 1.0, 0.99])).tolist() == [True, True, False]


def test_an_all_zero_map_selects_nothing() -> None:
    assert not adaptive_mask(np.zeros((3, 4))).any()


@every_rank
def test_an_empty_map_of_an_empty_truth_scores_one_in_every_curve(shape: tuple[int, ...]) -> None:
    curve = curves(np.zeros(shape), np.zeros(shape))
    for values in (curve.precision, curve.recall, curve.f_measure, curve.e_measure):
        assert (values == 1).all()
    assert weighted_f(np.zeros(shape), np.zeros(shape)) == 1
    assert s_measure(np.zeros(shape), np.zeros(shape)) == 1


def test_a_map_of_an_empty_truth_is_wrong_up_to_its_brightest_voxel() -> None:
    saliency = np.array([[0, 51, 102]], dtype=np.uint8)
    curve = curves(saliency, np.zeros((1, 3)))
    for values in (curve.precision, curve.recall, curve.f_measure):
        assert (values[:102] == 0).all()
        assert (values[102:] == 1).all()
    assert weighted_f(saliency, np.zeros((1, 3))) == 0


def test_the_structure_measure_of_an_empty_or_full_truth_is_the_mean_agreement() -> None:
    saliency = np.array([[0.0, 0.2, 0.4, 0.6]])
    assert s_measure(saliency, np.zeros((1, 4))) == pytest.approx(0.7)
    assert s_measure(saliency, np.ones((1, 4))) == pytest.approx(0.3)


def test_a_map_inverted_scores_no_structure() -> None:
    _, truth = blob((9, 11))
    assert s_measure(~truth, truth) == 0


def test_a_volume_of_equal_slices_has_nearly_the_structure_measure_of_its_slice() -> None:
    saliency, truth = blob((15, 17))
    volume, volume_truth = np.stack([saliency] * 40), np.stack([truth] * 40)
    assert s_measure(volume, volume_truth) == pytest.approx(s_measure(saliency, truth), abs=2e-3)


def test_the_structure_measure_splits_a_volume_into_eight_parts() -> None:
    truth = np.zeros((4, 4, 4), dtype=bool)
    truth[1:3, 1:3, 1:3] = True
    saliency = 0.8 * truth + 0.05 * (np.arange(64).reshape(4, 4, 4) % 3)
    parts = []
    for z in (slice(0, 3), slice(3, 4)):
        for y in (slice(0, 3), slice(3, 4)):
            for x in (slice(0, 3), slice(3, 4)):
                a, b = saliency[z, y, x].ravel(), truth[z, y, x].ravel()
                similar = float(not b.any() and np.ptp(a) == 0)
                if b.any():
                    covariance = np.cov(a, b)
                    luminance = 2 * a.mean() * b.mean() / (a.mean() ** 2 + b.mean() ** 2)
                    similar = luminance * 2 * covariance[0, 1] / np.trace(covariance)
                parts.append(similar * a.size / 64)
    assert s_measure(saliency, truth, alpha=0) == pytest.approx(sum(parts))


def test_an_object_in_the_last_row_leaves_no_part_behind_its_centroid() -> None:
    truth = np.zeros((5, 6), dtype=bool)
    truth[-1, -2:] = True
    assert s_measure(truth, truth) == 1


def weighted_f_by_hand(saliency: NDArray[Any], truth: NDArray[Any]) -> float:
    """Margolin's measure with a full search for the nearest object voxel."""
    ndim = truth.ndim
    error = np.abs(saliency - truth)
    objects = np.argwhere(truth)
    voxels = np.argwhere(np.ones_like(truth))
    distances = np.linalg.norm(voxels[:, None] - objects[None], axis=2)
    spread = error[tuple(objects[distances.argmin(1)].T)].reshape(truth.shape)
    steps = np.meshgrid(*[np.arange(-3, 4)] * ndim, indexing='ij')
    gaussian = np.exp(-sum(step**2 for step in steps) / 50)
    average = ndimage.convolve(spread, gaussian / gaussian.sum(), mode='constant')
    inside = np.minimum(error, average)[truth]
    importance = 2 - np.exp(np.log(0.5) / 5 * distances.min(1).reshape(truth.shape))
    found = inside.size - inside.sum()
    precision, recall = found / (found + (error * importance)[~truth].sum()), 1 - inside.mean()
    return float(2 * precision * recall / (precision + recall))


@pytest.mark.parametrize(
    ('shape', 'corners'),
    [((9, 12), [(1, 2), (6, 8)]), ((6, 8, 10), [(1, 1, 2), (4, 6, 9)])],
    ids=['2D', '3D'],
)
def test_the_weighted_f_measure_follows_its_definition(
    shape: tuple[int, ...], corners: list[tuple[int, ...]]
) -> None:
    truth = np.zeros(shape, dtype=bool)
    truth[tuple(np.array(corners).T)] = True
    squares = [sum(n * n for n in corner) for corner in corners]
    ties_are_impossible = (squares[1] - squares[0]) % 2 == 1
    assert ties_are_impossible
    saliency = np.random.default_rng(1).random(shape) * 0.3 + 0.5 * truth
    assert weighted_f(saliency, truth) == pytest.approx(weighted_f_by_hand(saliency, truth))


def test_false_alarms_far_from_the_object_cost_more_weighted_f() -> None:
    truth = np.zeros((30, 30), dtype=bool)
    truth[12:18, 12:18] = True
    near, far = truth.copy(), truth.copy()
    near[12:18, 18] = True
    far[12:18, 29] = True
    assert weighted_f(near, truth) > weighted_f(far, truth)


def test_a_missed_object_scores_no_weighted_f_away_from_the_border() -> None:
    truth = np.zeros((12, 12), dtype=bool)
    truth[4:8, 4:8] = True
    assert weighted_f(np.zeros((12, 12)), truth) == pytest.approx(0, abs=1e-12)


def test_uint8_is_divided_by_255() -> None:
    saliency, truth = np.array([[0, 51, 255]], dtype=np.uint8), np.array([[0, 1, 1]])
    assert mae(saliency, truth) == pytest.approx(0.8 / 3)
    assert s_measure(saliency, truth) == s_measure(saliency / 255, truth)


@every_measure
@pytest.mark.parametrize('wrong', [-0.1, 1.5, np.nan, np.inf])
def test_values_outside_zero_to_one_are_an_error(measure: Any, wrong: float) -> None:
    saliency = np.array([[0.2, wrong]])
    with pytest.raises(EvaluationError, match='floats from 0 to 1'):
        measure(saliency, np.array([[0, 1]]))


def test_whole_numbers_other_than_uint8_are_an_error_that_names_their_type() -> None:
    with pytest.raises(EvaluationError, match='int32'):
        adaptive_mask(np.array([0, 1], dtype=np.int32))


@every_measure
def test_different_shapes_are_an_error_that_names_both(measure: Any) -> None:
    with pytest.raises(EvaluationError, match=r'\(4, 5\).*\(4, 6\)'):
        measure(np.zeros((4, 5)), np.zeros((4, 6)))


@every_measure
def test_arrays_without_a_voxel_are_an_error(measure: Any) -> None:
    with pytest.raises(EvaluationError, match='no voxel'):
        measure(np.zeros((0, 5)), np.zeros((0, 5)))
