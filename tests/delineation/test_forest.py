"""Properties that every forest has, and what it makes of unusual input."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_flim.delineation import growing
from napari_flim.delineation.forest import (
    dynamic_trees,
    dynamic_trees_job,
    watershed,
    watershed_job,
)
from napari_flim.errors import DelineationError
from napari_flim.progress import finish

GROWERS = {
    'static': watershed,
    'node': lambda image, seeds, **more: watershed(np.abs(image), seeds, weight='node', **more),
    'root': dynamic_trees,
    'label': lambda image, seeds, **more: dynamic_trees(image, seeds, mean='label', **more),
    'exponential': lambda image, seeds, **more: dynamic_trees(
        image, seeds, mean='exponential', **more
    ),
}
every_forest = pytest.mark.parametrize('grow', GROWERS.values(), ids=GROWERS.keys())


@st.composite
def scenes(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """A small image or volume of few or many values, and some seeds."""
    shape = draw(st.sampled_from([(1, 1), (1, 9), (7, 1), (6, 8), (3, 4, 5), (1, 5, 4)]))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    levels = draw(st.sampled_from([1, 3, 10_000]))
    image = rng.integers(0, levels, shape).astype(np.float32)
    seeds = np.where(rng.random(shape) < 0.15, rng.integers(-1, 4, shape), 0)
    return image, seeds.astype(np.int32)


@every_forest
@given(scene=scenes(), neighbours=st.booleans())
@settings(max_examples=25, deadline=None)
def test_every_path_ends_in_a_seed_of_its_label(check_structure, grow, scene, neighbours) -> None:
    image, seeds = scene
    most = {2: 8, 3: 26}[image.ndim]
    forest = grow(image, seeds, neighbours=most if neighbours else None)
    check_structure(forest)
    assert (forest.roots >= 0).all() == (seeds > 0).any()


@every_forest
@given(scene=scenes())
@settings(max_examples=15, deadline=None)
def test_other_labels_change_nothing_but_the_labels(grow, scene) -> None:
    image, seeds = scene
    renamed = np.where(seeds > 0, 100_000 - 7 * seeds, 0)
    one, other = grow(image, seeds), grow(image, renamed)
    np.testing.assert_array_equal(one.costs, other.costs)
    np.testing.assert_array_equal(one.roots, other.roots)
    expected = np.where(one.labels > 0, 100_000 - 7 * one.labels, 0)
    np.testing.assert_array_equal(other.labels, expected)


@pytest.mark.parametrize('weight', ['static', 'node'])
@given(scene=scenes(), place=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_another_seed_never_makes_a_watershed_path_dearer(weight, scene, place) -> None:
    image, seeds = scene
    more = seeds.copy()
    more.ravel()[place % more.size] = 2
    before = watershed(image, seeds, weight=weight)
    assert (watershed(image, more, weight=weight).costs <= before.costs).all()


@given(scene=scenes())
@settings(max_examples=25, deadline=None)
def test_watershed_costs_are_the_least_over_all_paths(scene) -> None:
    image, seeds = scene
    costs = np.where(seeds > 0, 0, np.inf)
    for _ in range(image.size):
        for axis in range(image.ndim):
            for shift in (1, -1):
                weight = np.abs(image - np.roll(image, shift, axis))
                offer = np.maximum(np.roll(costs, shift, axis), weight)
                edge = 0 if shift == 1 else -1
                np.moveaxis(offer, axis, 0)[edge] = np.inf
                costs = np.minimum(costs, offer)
    np.testing.assert_array_equal(watershed(image, seeds).costs, costs.astype(np.float32))


@every_forest
def test_only_the_mask_is_reached_around_its_holes(check_structure, grow) -> None:
    rng = np.random.default_rng(0)
    image = rng.random((20, 20)).astype(np.float32)
    mask = np.ones((20, 20), dtype=bool)
    mask[5:9, 5:9] = mask[:, 15] = False
    image[~mask] = np.nan
    seeds = np.zeros((20, 20), dtype=np.int32)
    seeds[0, 0], seeds[19, 3], seeds[6, 6] = 1, 2, 3
    forest = grow(image, seeds, mask=mask)
    check_structure(forest)
    np.testing.assert_array_equal(forest.labels[:, 15:], 0)
    assert set(np.unique(forest.labels[:, :15][mask[:, :15]])) == {1, 2}


@every_forest
def test_touching_seeds_keep_their_labels(grow) -> None:
    seeds = np.repeat([[1, 2, 70_000]], 3, axis=0)
    np.testing.assert_array_equal(grow(np.zeros((3, 3)), seeds).labels, seeds)


@every_forest
def test_without_seeds_nothing_is_reached(grow) -> None:
    forest = grow(np.ones((3, 4)), np.zeros((3, 4), dtype=np.uint8))
    assert (forest.labels == 0).all()
    assert np.isinf(forest.costs).all()
    assert (forest.roots == -1).all()
    assert (forest.predecessors == -1).all()


def test_constant_image_goes_to_the_nearest_seed() -> None:
    seeds = np.zeros((9, 9), dtype=np.int32)
    seeds[4, 0], seeds[4, 8] = 1, 2
    labels = watershed(np.zeros((9, 9)), seeds).labels
    np.testing.assert_array_equal(labels[:, :4], 1)
    np.testing.assert_array_equal(labels[:, 5:], 2)


@pytest.mark.parametrize('grow', [watershed, dynamic_trees])
def test_equal_spacing_changes_nothing_between_nearest_neighbours(grow) -> None:
    rng = np.random.default_rng(1)
    image = rng.random((4, 9, 9))
    seeds = np.where(rng.random(image.shape) < 0.05, rng.integers(1, 3, image.shape), 0)
    plain, spaced = grow(image, seeds), grow(image, seeds, spacing=(0.3, 0.3, 0.3))
    np.testing.assert_array_equal(plain.costs, spaced.costs)
    np.testing.assert_array_equal(plain.roots, spaced.roots)


def test_spacing_makes_watershed_weights_changes_per_distance() -> None:
    image = np.array([[0.0, 0.0], [4.0, 4.0]])
    forest = watershed(image, np.array([[1, 0], [0, 0]]), spacing=(2, 1))
    np.testing.assert_array_equal(forest.costs, [[0, 0], [2, 2]])


def test_spacing_makes_far_voxels_dearer_for_dynamic_trees() -> None:
    image = np.array([[0.0, 0.0], [4.0, 4.0]])
    forest = dynamic_trees(image, np.array([[1, 0], [0, 0]]), spacing=(2, 1))
    np.testing.assert_array_equal(forest.costs, [[0, 0], [8, 8]])


def test_exponential_mean_without_memory_is_the_watershed() -> None:
    rng = np.random.default_rng(2)
    image = rng.random((3, 12, 12))
    seeds = np.where(rng.random((12, 12)) < 0.05, rng.integers(1, 4, (12, 12)), 0)
    dynamic = dynamic_trees(image, seeds, mean='exponential', alpha=0)
    static = watershed(image, seeds)
    np.testing.assert_array_equal(dynamic.costs, static.costs)
    np.testing.assert_array_equal(dynamic.labels, static.labels)


def test_result_is_read_only_and_input_stays_as_it_was() -> None:
    image, seeds = np.zeros((4, 4), dtype=np.float32), np.eye(4, dtype=np.int32)
    forest = dynamic_trees(image, seeds)
    for array in (forest.labels, forest.costs, forest.roots, forest.predecessors, forest.seeds):
        with pytest.raises(ValueError, match='read-only'):
            array[0, 0] = 1
    image[0, 0] = seeds[0, 0] = 5
    assert forest.seeds[0, 0] == 1
    assert forest.arcs.values[0, 0] == 0


@pytest.mark.parametrize(
    ('features', 'seeds', 'more', 'words'),
    [
        (np.zeros((3, 3)), np.zeros((3, 4), int), {}, r'shape \(3, 3\), the seeds \(3, 4\)'),
        (
            np.full((3, 3), np.nan),
            np.zeros((3, 3), int),
            {},
            '9 values of the image are not finite',
        ),
        (np.full((3, 3), 1e300), np.zeros((3, 3), int), {}, 'not finite'),
        (np.full((3, 3), 'a'), np.zeros((3, 3), int), {}, 'expected real numbers'),
        (np.zeros((3, 3)), np.zeros((3, 3)), {}, 'expected whole numbers'),
        (np.zeros((3, 3)), np.full((3, 3), 2**40), {}, 'largest label'),
        (np.zeros((0, 3)), np.zeros((0, 3), int), {}, 'at least one voxel'),
        (np.zeros(3), np.zeros(3, int), {}, '1 axes; expected 2'),
        (np.zeros((3, 3)), np.zeros((3, 3), int), {'mask': np.ones(3)}, r'mask has shape \(3,\)'),
        (np.zeros((3, 3)), np.zeros((3, 3), int), {'neighbours': 6}, 'one of 4, 8'),
        (np.zeros((3, 3)), np.zeros((3, 3), int), {'spacing': (1, 0)}, 'numbers above 0'),
        (np.zeros((3, 3)), np.zeros((3, 3), int), {'spacing': (1, 1, 1)}, 'expected 2 numbers'),
    ],
)
@pytest.mark.parametrize('grow', [watershed, dynamic_trees])
def test_input_that_does_not_fit_is_refused_in_words(grow, features, seeds, more, words) -> None:
    with np.errstate(over='ignore'), pytest.raises(DelineationError, match=words):
        grow(features, seeds, **more)


def test_settings_that_do_not_exist_are_refused_in_words() -> None:
    image, seeds = np.zeros((2, 3, 3)), np.eye(3, dtype=int)
    with pytest.raises(DelineationError, match="choose 'static' or 'node'"):
        watershed(image, seeds, weight='slope')
    with pytest.raises(DelineationError, match="choose 'root', 'label' or 'exponential'"):
        dynamic_trees(image, seeds, mean='median')
    with pytest.raises(DelineationError, match='share from 0 to 1'):
        dynamic_trees(image, seeds, alpha=float('nan'))
    with pytest.raises(DelineationError, match='2 channels were given'):
        watershed(image, seeds, weight='node')


@pytest.mark.parametrize('job', [watershed_job, dynamic_trees_job])
def test_growth_in_small_steps_gives_the_same_forest(job, monkeypatch) -> None:
    rng = np.random.default_rng(3)
    image = rng.random((3, 30, 30))
    seeds = np.where(rng.random((30, 30)) < 0.01, rng.integers(1, 4, (30, 30)), 0)
    whole = finish(job(image, seeds))
    monkeypatch.setattr(growing, 'POPS_PER_STEP', 37)
    steps = []
    parts = finish(job(image, seeds), steps.append)
    np.testing.assert_array_equal(parts.roots, whole.roots)
    np.testing.assert_array_equal(parts.costs, whole.costs)
    done = [step.done for step in steps]
    assert len(done) >= 900 // 37
    assert done == sorted(done)
    assert all(step.total == 900 for step in steps)


def test_growth_can_be_stopped_midway(monkeypatch) -> None:
    monkeypatch.setattr(growing, 'POPS_PER_STEP', 10)
    job = watershed_job(np.zeros((20, 20)), np.eye(20, dtype=int))
    assert [next(job).done, next(job).done] == [0, 10]
    job.close()
    with pytest.raises(StopIteration):
        next(job)


def test_importing_forests_does_not_import_numba() -> None:
    code = (
        'import sys, napari_flim.delineation.differential, napari_flim.delineation.arc_features;'
        'sys.exit("numba" in sys.modules)'
    )
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0
