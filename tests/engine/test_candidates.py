from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_flim.engine import candidates as module
from napari_flim.engine.architecture import Block
from napari_flim.engine.candidates import (
    Candidates,
    cluster_markers,
    consensus,
    marker_patches,
    patch_statistics,
    separate,
    thin_markers,
    to_bank,
)
from napari_flim.engine.learning import LearningOptions
from napari_flim.engine.markers import MarkerSet
from napari_flim.engine.normalization import Normalization
from napari_flim.errors import LearningError

MEDOIDS = LearningOptions(representative='medoid')
NOTHING = Normalization(np.zeros(2, np.float32), np.ones(2, np.float32))


def make_candidates(counts, dimension=6, seed=0):
    """Random candidates, ``counts[i]`` of them of class i + 1, around a centre for each class."""
    rng = np.random.default_rng(seed)
    classes = np.repeat(np.arange(len(counts)) + 1, counts)
    total = len(classes)
    centres = 3 * rng.normal(size=(len(counts), dimension))
    return Candidates(
        centres[classes - 1] + rng.normal(size=(total, dimension)),
        classes,
        np.zeros(total, np.int64),
        np.arange(total),
        np.stack([np.arange(total), np.arange(total)], axis=1),
    )


def marked_image(extra=False):
    labels = np.zeros((20, 30), np.uint8)
    labels[2:6, 2:9] = 1
    labels[10:15, 20:26] = 2
    labels[18, 3:6] = 2
    if extra:
        labels[0:3, 25:29] = 1
    features = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 20, 30)).astype('f4'))
    return features, MarkerSet.from_labels(labels)


def candidates_of(features, grid, spec, options=MEDOIDS, stream=(1, 0), stride=(1, 1)):
    patches = marker_patches(features, NOTHING, grid, spec)
    return cluster_markers(patches, grid, stride, spec, options, stream)


def test_every_marker_gives_at_most_the_wanted_candidates_from_its_own_voxels():
    features, grid = marked_image()
    found = candidates_of(features, grid, Block(kernels_per_marker=4))
    assert np.bincount(found.markers).tolist() == [4, 4, 3]
    assert found.classes.tolist() == [1] * 4 + [2] * 4 + [2] * 3
    where = {tuple(v): n for v, n in zip(grid.coordinates.tolist(), grid.markers, strict=True)}
    assert [where[tuple(v)] for v in found.voxels.tolist()] == found.markers.tolist()


def test_a_medoid_candidate_is_the_patch_at_its_voxel():
    features, grid = marked_image()
    spec = Block(kernels_per_marker=4, dilation=2)
    found = candidates_of(features, grid, spec)
    at_origin = MarkerSet.from_points(found.voxels, found.classes, grid.shape)
    expected = marker_patches(features, NOTHING, at_origin, spec)
    np.testing.assert_array_equal(found.vectors.astype(np.float32), expected)


@pytest.mark.parametrize('representative', ['centroid', 'medoid'])
def test_another_marker_far_away_changes_no_candidate(representative):
    options = LearningOptions(representative=representative)
    spec = Block(kernels_per_marker=4)
    few = candidates_of(*marked_image(), spec, options)
    more = candidates_of(*marked_image(extra=True), spec, options)
    kept = more.take(~((more.voxels[:, 0] < 3) & (more.voxels[:, 1] > 24)))
    assert len(more) == len(few) + 4
    order, kept_order = (np.lexsort(c.voxels.T) for c in (few, kept))
    for name in ('vectors', 'classes', 'voxels'):
        np.testing.assert_array_equal(getattr(few, name)[order], getattr(kept, name)[kept_order])


def test_the_seed_and_the_image_choose_other_candidates():
    features, grid = marked_image()
    spec = Block(kernels_per_marker=3)
    first = candidates_of(features, grid, spec)
    assert not np.array_equal(
        first.voxels, candidates_of(features, grid, spec, replace(MEDOIDS, seed=1)).voxels
    )
    assert not np.array_equal(
        first.voxels, candidates_of(features, grid, spec, stream=(1, 1)).voxels
    )


def test_voxels_are_those_of_the_image_and_not_of_the_grid():
    features, grid = marked_image()
    here, coarse = (candidates_of(features, grid, Block(), stride=s) for s in ((1, 1), (2, 4)))
    np.testing.assert_array_equal(coarse.voxels, here.voxels * [2, 4])


def test_an_image_gives_no_more_candidates_than_allowed():
    features, grid = marked_image()
    found = candidates_of(features, grid, Block(kernels_per_marker=5, kernels_per_image=6))
    assert len(found) == 6
    assert set(found.classes) == {1, 2}


def test_patches_without_contrast_are_no_candidates():
    _, grid = marked_image()
    features = torch.zeros(2, 20, 30)
    features[:, :8] = torch.randn(2, 8, 30)
    found = candidates_of(features, grid, Block(kernels_per_marker=2))
    assert set(found.markers.tolist()) == {0}


def test_an_image_without_markers_gives_no_candidate():
    features, _ = marked_image()
    empty = MarkerSet.from_labels(np.zeros((20, 30), np.uint8))
    found = candidates_of(features, empty, Block())
    assert len(found) == 0
    assert found.vectors.shape == (0, 18)
    assert found.voxels.shape == (0, 2)


def test_a_huge_marker_is_represented_by_evenly_spaced_voxels(monkeypatch):
    monkeypatch.setattr(module, 'LARGEST_MARKER', 10)
    labels = np.zeros((3, 40), np.uint8)
    labels[0] = 1
    labels[2, :7] = 2
    thin = thin_markers(MarkerSet.from_labels(labels))
    assert thin.coordinates[thin.markers == 0, 1].tolist() == list(range(0, 40, 4))
    assert thin.coordinates[thin.markers == 1, 1].tolist() == list(range(7))


@pytest.mark.parametrize('kind', ['kmeans', 'class', 'pca'])
def test_few_candidates_are_all_kept_at_unit_norm(kind):
    found = make_candidates([3, 2])
    kept = consensus(found, Block(channels=5), replace(MEDOIDS, consensus=kind), 1, 0.01)
    lengths = np.linalg.norm(found.vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(kept.vectors, found.vectors / lengths)
    np.testing.assert_array_equal(kept.voxels, found.voxels)


def test_equal_candidates_become_one_kernel():
    found = make_candidates([2, 2])
    twice = Candidates.join([found, found, replace(found, vectors=2 * found.vectors)])
    kept = consensus(twice, Block(channels=16), MEDOIDS, 1, 0.01)
    assert len(kept) == 4
    np.testing.assert_array_equal(kept.markers, found.markers)


@pytest.mark.parametrize('representative', ['centroid', 'medoid'])
@pytest.mark.parametrize('kind', ['kmeans', 'class', 'pca'])
def test_many_candidates_are_reduced_to_the_wanted_number(kind, representative):
    options = LearningOptions(consensus=kind, representative=representative)
    found = make_candidates([30, 20, 10])
    kept = consensus(found, Block(channels=6), options, 1, 0.01)
    assert len(kept) == 6
    np.testing.assert_allclose(np.linalg.norm(kept.vectors, axis=1), 1)
    if kind != 'pca':
        assert set(kept.classes) == {1, 2, 3}


def test_classes_get_kernels_in_proportion_to_their_candidates():
    options = replace(MEDOIDS, consensus='class')
    kept = consensus(make_candidates([40, 20, 4]), Block(channels=8), options, 1, 0.01)
    assert np.bincount(kept.classes).tolist() == [0, 5, 2, 1]


def hidden_among_the_background(object_counts):
    """Background candidates far apart, and a few of each object in the middle of them."""
    rng = np.random.default_rng(0)
    corners = 100 * np.vstack([np.eye(4), -np.eye(4)])
    found = make_candidates([80, *object_counts], dimension=4)
    spread = rng.normal(size=found.vectors.shape) * 0.1 + 1
    spread[:80] += np.repeat(corners, 10, axis=0)
    return replace(found, vectors=spread)


@pytest.mark.parametrize('representative', ['centroid', 'medoid'])
@pytest.mark.parametrize('channels', [2, 3, 4, 8])
def test_a_rare_class_keeps_a_kernel(channels, representative):
    options = LearningOptions(consensus='kmeans', representative=representative)
    kept = consensus(hidden_among_the_background([2]), Block(channels=channels), options, 1, 0.01)
    assert set(kept.classes) == {1, 2}
    assert len(kept) <= channels


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('kind', ['kmeans', 'class'])
@pytest.mark.parametrize('channels', [1, 2, 3])
def test_every_class_keeps_a_kernel_even_when_there_are_few_channels(channels, kind, seed):
    options = LearningOptions(consensus=kind, seed=seed)
    found = make_candidates([12, 10, 9], dimension=3, seed=seed)
    kept = consensus(found, Block(channels=channels), options, 1, 0.01)
    assert set(kept.classes) == {1, 2, 3}


def test_a_principal_kernel_has_no_origin_and_the_class_that_answers_to_it():
    found = make_candidates([25, 25], dimension=8)
    kept = consensus(found, Block(channels=5), LearningOptions(consensus='pca'), 1, 0.01)
    assert set(kept.images) == set(kept.markers) == set(kept.voxels.flat) == {-1}
    unit = found.vectors / np.linalg.norm(found.vectors, axis=1, keepdims=True)
    answers = np.maximum(unit @ kept.vectors.T, 0)
    means = np.stack([answers[found.classes == c].mean(axis=0) for c in (1, 2)])
    assert kept.classes.tolist() == (means.argmax(axis=0) + 1).tolist()


def test_a_bank_keeps_origin_and_shape():
    found = make_candidates([2, 1], dimension=18)
    bank = to_bank(found, Block(), 2)
    assert bank.weights.shape == (3, 2, 3, 3)
    assert bank.weights[1, 1, 0, 2] == np.float32(found.vectors[1, 2 * 2 + 1])
    assert bank.bias.tolist() == [0, 0, 0]
    for name in ('classes', 'images', 'markers', 'voxels'):
        np.testing.assert_array_equal(getattr(bank, name), getattr(found, name))


def test_statistics_per_coordinate_are_folded_into_kernels_and_bias():
    rng = np.random.default_rng(0)
    patches = [rng.normal(2, 3, (50, 18)).astype(np.float32) for _ in range(2)]
    statistics = [patch_statistics(p, 0.01) for p in patches]
    found = replace(make_candidates([2, 2], dimension=18), images=np.array([0, 1, 1, 0]))
    bank = to_bank(found, Block(), 2, statistics)
    flat = np.moveaxis(bank.weights, 1, -1).reshape(4, -1)
    for index, image in enumerate(found.images):
        own = statistics[image]
        expected = ((patches[0] - own.mean) / own.std) @ found.vectors[index]
        np.testing.assert_allclose(
            patches[0] @ flat[index] + bank.bias[index], expected, rtol=1e-4, atol=1e-4
        )


def test_the_mean_patch_gets_no_answer_from_a_separable_kernel_either():
    patches = np.random.default_rng(0).normal(2, 3, (50, 18)).astype(np.float32)
    statistics = patch_statistics(patches, 0.01)
    found = make_candidates([3, 3], dimension=18)
    bank = to_bank(found, Block(kind='separable'), 2, [statistics])
    flat = np.moveaxis(bank.weights, 1, -1).reshape(6, -1)
    np.testing.assert_allclose(flat @ statistics.mean + bank.bias, 0, atol=1e-4)


def test_patch_statistics_are_population_statistics_plus_epsilon():
    statistics = patch_statistics(np.array([[0.0, 5.0], [2.0, 5.0]], np.float32), 0.01)
    assert statistics.mean.tolist() == [1, 5]
    np.testing.assert_allclose(statistics.std, [1.01, 0.01])


@pytest.mark.parametrize('size', [(3, 3), (3, 3, 3)])
def test_separable_kernels_follow_their_formula(size):
    kernels = np.random.default_rng(0).normal(0.3, 1, (5, 4, *size)).astype(np.float32)
    result = separate(kernels)
    depthwise = kernels.mean(axis=0, dtype=np.float64)
    for channel in range(4):
        depthwise[channel] /= np.linalg.norm(depthwise[channel])
    for kernel in range(5):
        pointwise = np.array(
            [
                kernels[:, b].mean() * kernels[:, b].std(ddof=1) * kernels[kernel, b].mean()
                for b in range(4)
            ]
        )
        pointwise /= np.linalg.norm(pointwise)
        expected = depthwise * pointwise.reshape(-1, *(1,) * len(size))
        np.testing.assert_allclose(result[kernel], expected, rtol=1e-4, atol=1e-6)


def test_separable_kernels_share_one_spatial_kernel_in_each_channel():
    kernels = np.random.default_rng(0).normal(0.3, 1, (5, 4, 3, 3)).astype(np.float32)
    result = separate(kernels)
    for channel in range(4):
        assert np.linalg.matrix_rank(result[:, channel].reshape(5, -1), tol=1e-6) == 1
    np.testing.assert_allclose(np.linalg.norm(result.reshape(5, -1), axis=1), 1, rtol=1e-5)


def test_kernels_that_vanish_when_separated_give_a_clear_error():
    kernels = np.random.default_rng(0).normal(size=(3, 2, 3, 3)).astype(np.float32)
    kernels[1] = 0
    with pytest.raises(LearningError, match="1 of 3 kernels vanish .*kind='regular'"):
        separate(kernels)
