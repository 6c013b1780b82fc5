"""Agreement with an independent program, on maps and masks from easy to degenerate.

Where our definitions differ on purpose, the program's value is rebuilt from ours.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_flim.evaluation import overlap
from napari_flim.evaluation.metrics import Scores, evaluate
from napari_flim.evaluation.saliency_metrics import curves, e_measure, mae, s_measure, weighted_f

GOLDEN = Path(__file__).parents[1] / 'golden' / 'metrics'
CASES = sorted(path.stem for path in GOLDEN.glob('*.npz'))
EXACT = 1e-6

Case = dict[str, Any]


def load(name: str) -> Case:
    with np.load(GOLDEN / f'{name}.npz') as file:
        return dict(file)


def saliency_of(case: Case, convention: str) -> NDArray[Any]:
    """The map as the program saw it: as it is, or stretched to [0, 1]."""
    saliency: NDArray[Any] = case['saliency']
    low, high = int(saliency.min()), int(saliency.max())
    if convention == 'raw' or low == high:
        return saliency
    return (saliency / 255 - low / 255) / (high / 255 - low / 255)


def scores_of(case: Case, convention: str) -> Scores:
    return evaluate(case['binary'], case['truth'], saliency_of(case, convention))


def unbiased(case: Case) -> float:
    """The program divides the E-measure by one voxel less than there are."""
    size: int = case['truth'].size
    return size / (size - 1)


def everything(case: Case) -> NDArray[np.uint8]:
    """The mask that the program's threshold 0 selects."""
    return np.ones_like(case['truth'])


both_conventions = pytest.mark.parametrize('convention', ['raw', 'norm'])
all_cases = pytest.mark.parametrize('name', CASES)


def test_the_golden_cases_are_there() -> None:
    assert len(CASES) == 22


@all_cases
def test_the_overlap_of_masks_agrees(name: str) -> None:
    case = load(name)
    binary, truth = case['binary'], case['truth']
    assert overlap.dice(binary, truth) == pytest.approx(case['dice'], abs=EXACT)
    assert overlap.iou(binary, truth) == pytest.approx(case['iou'], abs=EXACT)
    assert overlap.f_beta(binary, truth) == pytest.approx(case['fbeta'], abs=EXACT)


@all_cases
@pytest.mark.parametrize('measure', ['precision', 'recall'])
def test_precision_and_recall_agree_and_have_a_value_where_the_program_has_none(
    name: str, measure: str
) -> None:
    case = load(name)
    expected = float(case[measure])
    if np.isnan(expected):
        expected = float(not case['binary'].any() and not case['truth'].any())
    found = getattr(overlap, measure)(case['binary'], case['truth'])
    assert found == pytest.approx(expected, abs=EXACT)


@all_cases
@both_conventions
def test_mean_absolute_error_and_structure_measure_agree(name: str, convention: str) -> None:
    case = load(name)
    saliency = saliency_of(case, convention)
    assert mae(saliency, case['truth']) == pytest.approx(case[f'{convention}_mae'], abs=EXACT)
    assert s_measure(saliency, case['truth']) == pytest.approx(case[f'{convention}_s'], abs=EXACT)


@all_cases
@both_conventions
def test_the_weighted_f_measure_agrees_unless_nothing_is_rightly_found(
    name: str, convention: str
) -> None:
    case = load(name)
    saliency, truth = saliency_of(case, convention), case['truth']
    if not truth.any() and not saliency.any():
        assert weighted_f(saliency, truth) == 1
        assert case[f'{convention}_wf'] == 0
        return
    for beta_squared, key in ((1.0, 'wf'), (0.3, 'wf_beta2_03')):
        expected = case[f'{convention}_{key}']
        assert weighted_f(saliency, truth, beta_squared) == pytest.approx(expected, abs=EXACT)


@all_cases
@both_conventions
def test_the_curves_agree_above_threshold_zero(name: str, convention: str) -> None:
    case = load(name)
    saliency = saliency_of(case, convention)
    curve = curves(saliency, case['truth'])
    brightest = saliency.max() / 255 if saliency.dtype == np.uint8 else saliency.max()
    rightly_nothing = (curve.thresholds > brightest + 1e-9) & (not case['truth'].any())
    for ours, key in (('f_measure', 'f'), ('precision', 'precision'), ('recall', 'recall')):
        expected = np.where(rightly_nothing, 1.0, case[f'{convention}_{key}_curve'][254::-1])
        np.testing.assert_allclose(getattr(curve, ours), expected, rtol=0, atol=EXACT)
    np.testing.assert_allclose(
        curve.e_measure * unbiased(case),
        case[f'{convention}_e_curve'][254::-1],
        rtol=0,
        atol=EXACT,
    )


@all_cases
@both_conventions
def test_mean_and_maximum_agree_when_threshold_zero_is_put_back(name: str, convention: str) -> None:
    case = load(name)
    scores = scores_of(case, convention)
    e_zero = e_measure(everything(case), case['truth'])
    factor = unbiased(case)
    e_mean = (255 * scores.e_mean + e_zero) / 256 * factor
    assert e_mean == pytest.approx(case[f'{convention}_e_mean'], abs=EXACT)
    e_max = max(scores.e_max, e_zero) * factor
    assert e_max == pytest.approx(case[f'{convention}_e_max'], abs=EXACT)
    if not case['truth'].any():
        assert case[f'{convention}_f_mean'] == case[f'{convention}_f_max'] == 0
        return
    f_zero = overlap.f_beta(everything(case), case['truth'])
    f_mean = (255 * scores.f_mean + f_zero) / 256
    assert f_mean == pytest.approx(case[f'{convention}_f_mean'], abs=EXACT)
    f_max = max(scores.f_max, f_zero)
    assert f_max == pytest.approx(case[f'{convention}_f_max'], abs=EXACT)


@all_cases
@both_conventions
def test_adaptive_measures_agree_when_an_all_zero_map_selects_everything(
    name: str, convention: str
) -> None:
    case = load(name)
    scores = scores_of(case, convention)
    f_adaptive, e_adaptive = scores.f_adaptive, scores.e_adaptive
    if not case['saliency'].any():
        f_adaptive = overlap.f_beta(everything(case), case['truth'])
        e_adaptive = e_measure(everything(case), case['truth'])
    assert f_adaptive == pytest.approx(case[f'{convention}_f_adaptive'], abs=EXACT)
    assert e_adaptive * unbiased(case) == pytest.approx(case[f'{convention}_e_adaptive'], abs=EXACT)


@all_cases
def test_a_map_scores_the_same_in_uint8_float32_and_float64(name: str) -> None:
    case = load(name)
    levels, truth = case['saliency'], case['truth']
    expected = curves(levels, truth)
    for dtype in (np.float32, np.float64):
        found = curves((levels / 255).astype(dtype), truth)
        np.testing.assert_array_equal(found.f_measure, expected.f_measure)
        np.testing.assert_array_equal(found.e_measure, expected.e_measure)
