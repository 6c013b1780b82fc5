"""Revised forests are those of a full run, or keep exact books where they cannot be."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from napari_flim.delineation.differential import revise, revise_job
from napari_flim.delineation.forest import Forest, dynamic_trees, watershed
from napari_flim.errors import DelineationError

MODES = {
    'root': {'mean': 'root'},
    'label': {'mean': 'label'},
    'exponential': {'mean': 'exponential', 'alpha': 0.8},
}


def random_seeds(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.where(rng.random(shape) < 0.08, rng.integers(1, 4, shape), 0).astype(np.int32)


def edited(rng: np.random.Generator, seeds: np.ndarray) -> np.ndarray:
    """Seeds with some removed, some renamed and some added."""
    kept = np.where(rng.random(seeds.shape) < 0.6, seeds, 0)
    return np.where(rng.random(seeds.shape) < 0.06, rng.integers(0, 5, seeds.shape), kept)


def check_means(forest: Forest) -> None:
    """Every mean is that of the voxels which the trees hold."""
    means, values = forest.means, forest.arcs.values
    roots = forest.roots.ravel()
    reached = roots >= 0
    if means.numbers.size:
        rows = means.numbers[roots[reached]]
        np.testing.assert_array_equal(means.sizes, np.bincount(rows, minlength=len(means.sizes)))
        for channel in range(values.shape[1]):
            sums = np.bincount(rows, values[reached, channel], minlength=len(means.sizes))
            np.testing.assert_allclose(means.sums[:, channel], sums, atol=1e-9)
    if means.paths.size:
        before, alpha = forest.predecessors.ravel(), forest.arcs.alpha
        share = np.where(before < 0, 0, alpha)[:, None]
        paths = (1 - share) * values + share * means.paths[before]
        np.testing.assert_allclose(means.paths[reached], paths[reached], atol=1e-5)


@pytest.mark.parametrize('weight', ['static', 'node'])
@given(seed=st.integers(0, 100_000), levels=st.sampled_from([1, 4, 50]))
@settings(max_examples=30, deadline=None)
def test_revised_watershed_costs_are_those_of_a_full_run(
    check_structure: Callable[[Forest], None], weight: str, seed: int, levels: int
) -> None:
    rng = np.random.default_rng(seed)
    shape = [(9, 11), (3, 5, 6), (1, 20)][seed % 3]
    image = rng.integers(0, levels, (2 if weight == 'static' else 1, *shape))
    mask = rng.random(shape) < 0.9
    seeds = random_seeds(rng, shape)
    forest = watershed(image, seeds, weight=weight, mask=mask)
    for _ in range(4):
        seeds = edited(rng, seeds)
        forest = revise(forest, seeds)
        check_structure(forest)
        full = watershed(image, seeds, weight=weight, mask=mask)
        np.testing.assert_array_equal(forest.costs, full.costs)


@given(seed=st.integers(0, 100_000))
@settings(max_examples=40, deadline=None)
def test_revised_watershed_labels_are_those_of_a_full_run_without_ties(seed) -> None:
    rng = np.random.default_rng(seed)
    image = rng.random((10, 10)).astype(np.float32)
    weights = np.concatenate([np.abs(np.diff(image, axis=axis)).ravel() for axis in (0, 1)])
    assume(len(np.unique(weights)) == len(weights))
    seeds = random_seeds(rng, image.shape)
    forest = watershed(image, seeds)
    for _ in range(5):
        seeds = edited(rng, seeds)
        forest = revise(forest, seeds)
        full = watershed(image, seeds)
        np.testing.assert_array_equal(forest.costs, full.costs)
        np.testing.assert_array_equal(forest.labels, full.labels)


@pytest.mark.parametrize('mode', MODES)
@given(seed=st.integers(0, 100_000), levels=st.sampled_from([1, 4, 1000]))
@settings(max_examples=25, deadline=None)
def test_means_hold_exactly_their_voxels_after_every_revision(
    check_structure: Callable[[Forest], None], mode: str, seed: int, levels: int
) -> None:
    rng = np.random.default_rng(seed)
    shape = [(12, 12), (3, 5, 6), (1, 20)][seed % 3]
    image = rng.integers(0, levels, (2, *shape))
    mask = rng.random(shape) < 0.9
    seeds = random_seeds(rng, shape)
    forest = dynamic_trees(image, seeds, mask=mask, **MODES[mode])
    check_means(forest)
    for _ in range(5):
        seeds = edited(rng, seeds)
        forest = revise(forest, seeds)
        check_structure(forest)
        check_means(forest)
        assert ((forest.roots >= 0) <= mask).all()


@pytest.mark.parametrize('grow', [watershed, dynamic_trees])
def test_the_same_seeds_give_the_same_forest(grow) -> None:
    rng = np.random.default_rng(0)
    image, seeds = rng.random((2, 20, 20)), random_seeds(rng, (20, 20))
    forest = grow(image, seeds)
    again = revise(forest, seeds)
    np.testing.assert_array_equal(again.roots, forest.roots)
    np.testing.assert_array_equal(again.costs, forest.costs)
    np.testing.assert_array_equal(again.predecessors, forest.predecessors)


@pytest.mark.parametrize('grow', [watershed, dynamic_trees])
def test_revision_leaves_the_old_forest_and_what_lies_far_away(grow) -> None:
    image = np.zeros((40, 40))
    image[:, 20:] = 100
    seeds = np.zeros((40, 40), dtype=np.int32)
    seeds[5, 5], seeds[5, 35] = 1, 2
    forest = grow(image, seeds)
    old = forest.labels.copy()
    seeds[30, 30] = 3
    revised = revise(forest, seeds)
    np.testing.assert_array_equal(forest.labels, old)
    np.testing.assert_array_equal(revised.predecessors[:, :20], forest.predecessors[:, :20])


@pytest.mark.parametrize('grow', [watershed, dynamic_trees])
def test_all_seeds_can_be_taken_away_and_planted_again(grow) -> None:
    rng = np.random.default_rng(4)
    image, seeds = rng.random((12, 12)), random_seeds(rng, (12, 12))
    forest = grow(image, seeds)
    bare = revise(forest, np.zeros_like(seeds))
    assert (bare.roots == -1).all()
    np.testing.assert_array_equal(revise(bare, seeds).roots, forest.roots)


def test_seeds_of_another_shape_are_refused_in_words() -> None:
    forest = watershed(np.zeros((3, 3)), np.eye(3, dtype=int))
    with pytest.raises(DelineationError, match=r'shape \(3, 4\), the forest \(3, 3\)'):
        revise_job(forest, np.zeros((3, 4), int)).send(None)
