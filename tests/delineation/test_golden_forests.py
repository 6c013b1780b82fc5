"""Forests against the numbers of pyift."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_flim.delineation.differential import revise
from napari_flim.delineation.forest import Forest, dynamic_trees, watershed

GOLDEN = Path(__file__).parents[1] / 'golden'
STATIC = [path.stem for path in sorted((GOLDEN / 'ift').glob('*.npz')) if 'edge' not in path.stem]
EDGES = ('line', 'flat', 'full', 'single', 'negative')
DYNAMIC = sorted((GOLDEN / 'dynamic_trees').glob('*.npz'))
MODES = {
    'root': {'mean': 'root'},
    'label': {'mean': 'label'},
    'exp50': {'mean': 'exponential', 'alpha': 0.5},
    'exp90': {'mean': 'exponential', 'alpha': 0.9},
}
EXACT = [
    (path.stem, mode)
    for path in DYNAMIC
    for mode in MODES
    if 'exact' in path.stem and f'{mode}_costs' in np.load(path)
]
TIED = [
    (path.stem, mode)
    for path in DYNAMIC
    for mode in MODES
    if 'exact' not in path.stem and f'{mode}_labels_stable' in np.load(path)
]


def load(folder: str, case: str) -> dict[str, np.ndarray]:
    with np.load(GOLDEN / folder / f'{case}.npz') as content:
        return dict(content)


def channels_first(image: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    return image if image.ndim == seeds.ndim else np.moveaxis(image, -1, 0)


def grown(golden: dict[str, np.ndarray], mode: str) -> Forest:
    features = channels_first(golden['image'], golden['seeds'])
    return dynamic_trees(features, golden['seeds'], **MODES[mode])


def check_optimal(forest: Forest, golden: dict[str, np.ndarray], weight: str) -> None:
    costs = golden[f'{weight}_costs']
    np.testing.assert_allclose(forest.costs, costs, atol=1e-5 * costs.max(), rtol=0)
    places = np.searchsorted(golden['label_values'], forest.labels)
    allowed = (golden[f'{weight}_optimal_labels'] >> places) & 1
    assert allowed.mean() > 0.999
    unique = golden[f'{weight}_label_unique']
    assert np.mean(forest.labels[unique] == golden[f'{weight}_labels'][unique]) > 0.999


@pytest.mark.parametrize('case', STATIC)
def test_watershed_on_features_is_an_optimum_path_forest(case: str) -> None:
    golden = load('ift', case)
    forest = watershed(channels_first(golden['image'], golden['seeds']), golden['seeds'])
    check_optimal(forest, golden, 'static')


@pytest.mark.parametrize('case', [c for c in STATIC if 'node_costs' in load('ift', c)])
def test_watershed_on_a_gradient_image_is_an_optimum_path_forest(case: str) -> None:
    golden = load('ift', case)
    check_optimal(watershed(golden['image'], golden['seeds'], weight='node'), golden, 'node')


@pytest.mark.parametrize('case', EDGES)
def test_watershed_of_an_unusual_image_is_that_of_pyift(case: str) -> None:
    golden = load('ift', 'edge_cases')
    seeds = golden[f'{case}_seeds']
    forest = watershed(channels_first(golden[f'{case}_image'], seeds), seeds)
    np.testing.assert_allclose(forest.costs, golden[f'{case}_costs'], atol=1e-5)
    np.testing.assert_array_equal(forest.labels, golden[f'{case}_labels'])


@pytest.mark.parametrize(('case', 'mode'), EXACT)
def test_dynamic_trees_without_ties_are_exact(case: str, mode: str) -> None:
    golden = load('dynamic_trees', case)
    forest = grown(golden, mode)
    np.testing.assert_array_equal(forest.labels, golden[f'{mode}_labels'])
    np.testing.assert_array_equal(forest.roots, golden[f'{mode}_roots'])
    np.testing.assert_array_equal(forest.predecessors, golden[f'{mode}_preds'])
    np.testing.assert_allclose(forest.costs, golden[f'{mode}_costs'], atol=1e-4)


@pytest.mark.parametrize(('case', 'mode'), [one for one in EXACT if one[1] in ('root', 'label')])
def test_means_of_trees_are_exact(case: str, mode: str) -> None:
    golden = load('dynamic_trees', case)
    means = grown(golden, mode).means
    order = np.argsort(means.keys)
    np.testing.assert_array_equal(means.keys[order], golden[f'{mode}_tree_key'])
    np.testing.assert_array_equal(means.sizes[order], golden[f'{mode}_tree_size'])
    averages = (means.sums / means.sizes[:, None])[order]
    np.testing.assert_allclose(averages, golden[f'{mode}_tree_mean'], atol=1e-4)


@pytest.mark.parametrize('case', [case for case, mode in EXACT if mode == 'exp50'])
def test_means_of_paths_are_exact(case: str) -> None:
    golden = load('dynamic_trees', case)
    expected = golden['exp50_path_mean']
    paths = grown(golden, 'exp50').means.paths.reshape(expected.shape)
    np.testing.assert_allclose(paths, expected, atol=1e-4)


@pytest.mark.parametrize(('case', 'mode'), TIED)
def test_dynamic_trees_with_ties_have_the_labels_that_ties_allow(case: str, mode: str) -> None:
    golden = load('dynamic_trees', case)
    equal = grown(golden, mode).labels == golden[f'{mode}_labels']
    assert equal[golden[f'{mode}_labels_stable']].mean() >= 0.995
    assert 1 - equal.mean() <= golden[f'{mode}_allowed_fraction_fifo']


@pytest.mark.parametrize('mode', MODES)
def test_a_second_object_gives_the_labels_of_a_full_run_within_its_ties(mode: str) -> None:
    for case in [case for case, one in TIED if one == mode]:
        golden = load('dynamic_trees', case)
        features, seeds = channels_first(golden['image'], golden['seeds']), golden['seeds']
        first = np.where(seeds == seeds.max(), 0, seeds)
        revised = revise(dynamic_trees(features, first, **MODES[mode]), seeds)
        differs = np.mean(revised.labels != golden[f'{mode}_labels'])
        assert differs <= golden[f'{mode}_allowed_fraction'], case


@pytest.mark.parametrize(('case', 'mode'), [one for one in EXACT if 'exp' in one[1]])
def test_path_means_without_ties_make_revision_exact(case: str, mode: str) -> None:
    golden = load('dynamic_trees', case)
    features, seeds = channels_first(golden['image'], golden['seeds']), golden['seeds']
    first = np.where(seeds == seeds.max(), 0, seeds)
    revised = revise(dynamic_trees(features, first, **MODES[mode]), seeds)
    np.testing.assert_array_equal(revised.labels, golden[f'{mode}_labels'])
