from pathlib import Path

import numpy as np
import pytest
import torch

from napari_flim.engine.feature_normalization import (
    batch_normalization,
    linear_normalization,
    normalize,
)
from napari_flim.engine.normalization import (
    Normalization,
    marker_statistics,
    object_oversampling,
)
from napari_flim.errors import LearningError

GOLDEN = Path(__file__).parents[1] / 'golden' / 'operations'


def load(name):
    with np.load(GOLDEN / name) as content:
        return dict(content)


@pytest.fixture(scope='module')
def golden():
    return load('normalisation.npz')


def exactly(result, expected):
    np.testing.assert_allclose(np.asarray(result), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ('over', 'name'),
    [
        ('image', 'linear_per_image'),
        ('set', 'linear_per_channel_over_set'),
        ('set_pixelwise', 'linear_per_pixel_over_set'),
    ],
)
def test_linear_normalization_agrees_with_its_formula(golden, over, name):
    images = list(torch.from_numpy(golden['images']))
    exactly(torch.stack(linear_normalization(images, over)), golden[name])


def test_a_constant_channel_becomes_zero(golden):
    images = list(torch.from_numpy(golden['constant_channel_images']))
    exactly(torch.stack(linear_normalization(images)), golden['constant_channel_linear'])


def test_images_of_different_shapes_share_the_extremes_of_their_set():
    first, second = torch.tensor([[[0.0, 4.0]]]), torch.tensor([[[2.0], [8.0], [1.0]]])
    low, high = linear_normalization([first, second], 'set')
    exactly(low, [[[0, 0.5]]])
    exactly(high, [[[0.25], [1], [0.125]]])


def test_batch_normalization_per_voxel_is_that_of_the_lecture(golden):
    images = torch.from_numpy(golden['images'])
    exactly(batch_normalization(images), golden['batch_norm'])
    scaled = batch_normalization(images, gamma=1.5, beta=-0.25)
    exactly(scaled, golden['batch_norm_gamma1p5_beta_m0p25'])


def test_batch_normalization_per_channel_is_that_of_torch(golden):
    images = torch.from_numpy(golden['images'])
    result = batch_normalization(images, 'channel', epsilon=1e-5)
    exactly(result, golden['channel_batch_norm'])
    exactly(result, torch.nn.functional.batch_norm(images, None, None, training=True, eps=1e-5))


def test_marker_statistics_agree_with_their_formula():
    golden = load('marker_normalisation.npz')
    patches, epsilon = golden['patches'], float(golden['epsilon'])
    statistics = marker_statistics(patches, epsilon)
    assert statistics.mean.dtype == statistics.std.dtype == np.float32
    np.testing.assert_allclose(statistics.mean, golden['mean'], atol=1e-6)
    np.testing.assert_allclose(statistics.std, golden['std'] + epsilon, atol=1e-6)
    features = torch.from_numpy(patches.T.astype(np.float32))
    np.testing.assert_allclose(normalize(features, statistics).T, golden['normalised'], atol=1e-5)


@pytest.mark.parametrize('ndim', [2, 3])
def test_normalization_works_channel_by_channel(ndim):
    features = torch.ones(2, *(3,) * ndim)
    normalization = Normalization(np.array([1, 3], np.float32), np.array([5, 4], np.float32))
    result = normalize(features, normalization)
    assert torch.equal(result[0], torch.zeros_like(result[0]))
    assert torch.equal(result[1], torch.full_like(result[1], -0.5))


def test_a_constant_channel_has_the_deviation_epsilon_or_one():
    values = np.full((4, 1), 7.0)
    assert marker_statistics(values, 0.01).std == np.float32(0.01)
    assert marker_statistics(values, 0.0).std == 1


def test_a_weight_counts_like_repeated_voxels():
    values = np.random.default_rng(0).normal(size=(4, 3))
    weights = np.array([1.0, 3.0, 0.0, 2.0])
    weighted = marker_statistics(values, 0.01, weights)
    repeated = marker_statistics(np.repeat(values, [1, 3, 0, 2], axis=0), 0.01)
    np.testing.assert_allclose(weighted.mean, repeated.mean, rtol=1e-6)
    np.testing.assert_allclose(weighted.std, repeated.std, rtol=1e-6)


def test_statistics_of_no_voxel_give_a_clear_error():
    with pytest.raises(LearningError, match='paint at least one marker'):
        marker_statistics(np.zeros((0, 3)), 0.01)


def test_statistics_keep_a_small_contrast_on_a_large_value():
    values = 1e6 + np.array([[0.0], [1.0]])
    assert marker_statistics(values, 0.0).std == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize('share', [0.1, 0.5, 0.9])
def test_objects_get_the_wanted_share_of_the_statistics(share):
    classes = np.array([1] * 90 + [2] * 7 + [3] * 3)
    weights = object_oversampling(classes, share)
    assert weights[classes > 1].sum() / weights.sum() == pytest.approx(share)
    assert len(set(weights[classes > 1])) == len(set(weights[classes == 1])) == 1


@pytest.mark.parametrize('classes', [[1, 1], [2, 3]])
def test_one_kind_of_voxel_alone_is_weighted_equally(classes):
    assert object_oversampling(np.array(classes), 0.7).tolist() == [1, 1]


@pytest.mark.parametrize('share', [0, 1, -0.5, 2, float('nan')])
def test_an_impossible_share_gives_a_clear_error(share):
    with pytest.raises(LearningError, match='object share is .* between 0 and 1'):
        object_oversampling(np.array([1, 2]), share)
