from dataclasses import replace

import numpy as np
import pytest

from napari_flim.engine.architecture import Block
from napari_flim.engine.candidates import Candidates, patch_statistics
from napari_flim.engine.consensus import consensus, separate, to_bank
from napari_flim.engine.options import LearningOptions
from napari_flim.errors import LearningError

MEDOIDS = LearningOptions(representative='medoid')


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
