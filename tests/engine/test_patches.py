from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_flim.engine.feature_normalization import normalize
from napari_flim.engine.normalization import Normalization
from napari_flim.engine.operations import convolve
from napari_flim.engine.patches import gather_patches, patches_to_kernels, tap_offsets

GOLDEN = Path(__file__).parents[1] / 'golden' / 'operations'


def kernels_to_patches(kernels):
    return np.moveaxis(kernels, 1, -1).reshape(len(kernels), -1)


def every_voxel(shape):
    return np.argwhere(np.ones(shape, dtype=bool))


def test_taps_run_in_raster_order():
    assert tap_offsets((3, 1, 3), (2, 1, 1)).tolist() == [
        [-2, 0, -1],
        [-2, 0, 0],
        [-2, 0, 1],
        [0, 0, -1],
        [0, 0, 0],
        [0, 0, 1],
        [2, 0, -1],
        [2, 0, 0],
        [2, 0, 1],
    ]


def test_patches_and_flat_kernels_agree_with_their_formula():
    with np.load(GOLDEN / 'kernel_bank2d.npz') as content:
        golden = dict(content)
    image = torch.from_numpy(golden['image'])
    patches = gather_patches(image, every_voxel(image.shape[1:]), (3, 3), (1, 1))
    np.testing.assert_array_equal(patches, golden['patches'].reshape(-1, 27))
    np.testing.assert_array_equal(
        patches_to_kernels(golden['kernels_flat'], (3, 3)), golden['kernels']
    )
    answers = (patches.numpy() @ golden['kernels_flat'].T).T.reshape(5, 9, 10)
    np.testing.assert_array_equal(answers, golden['J_dilation1'])


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(st.integers(1, 8), st.integers(1, 8)),
    st.tuples(st.sampled_from([1, 3, 5]), st.sampled_from([1, 3, 5])),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.integers(1, 3),
)
def test_patches_at_every_voxel_equal_those_torch_unfolds(shape, kernel_size, dilation, channels):
    features = torch.randn(channels, *shape)
    padding = [d * (k // 2) for d, k in zip(dilation, kernel_size, strict=True)]
    unfolded = F.unfold(features[None], kernel_size, dilation, padding)[0].T
    expected = unfolded.reshape(len(unfolded), channels, -1).transpose(1, 2).flatten(1)
    assert torch.equal(
        gather_patches(features, every_voxel(shape), kernel_size, dilation), expected
    )


@pytest.mark.parametrize('dilation', [(1, 1, 1), (2, 1, 3)])
def test_the_answer_of_a_kernel_is_its_product_with_the_patch(dilation):
    features = torch.randn(2, 5, 6, 7, dtype=torch.float64)
    kernels = torch.randn(4, 2, 3, 1, 5, dtype=torch.float64)
    patches = gather_patches(features, every_voxel((5, 6, 7)), (3, 1, 5), dilation).numpy()
    answers = (patches @ kernels_to_patches(kernels.numpy()).T).T.reshape(4, 5, 6, 7)
    np.testing.assert_allclose(answers, convolve(features, kernels, dilation=dilation), atol=1e-12)


@pytest.mark.parametrize('normalized', [False, True])
def test_outside_the_image_a_patch_is_zero(normalized):
    features = torch.full((1, 3, 3), 7.0)
    normalization = Normalization(np.array([5], np.float32), np.array([2], np.float32))
    patch = gather_patches(
        features, np.array([[0, 0]]), (3, 3), (1, 1), normalization if normalized else None
    )
    inside = 1.0 if normalized else 7.0
    assert patch.tolist() == [[0, 0, 0, 0, inside, inside, 0, inside, inside]]


def test_normalizing_the_patches_equals_taking_patches_of_the_normalized_image():
    features = torch.randn(3, 6, 7)
    normalization = Normalization(
        np.array([1, -2, 0.5], np.float32), np.array([2, 0.5, 1], np.float32)
    )
    arguments = every_voxel((6, 7)), (3, 3), (2, 2)
    torch.testing.assert_close(
        gather_patches(features, *arguments, normalization),
        gather_patches(normalize(features, normalization), *arguments),
    )


def test_no_voxel_gives_no_patch():
    patches = gather_patches(torch.zeros(2, 4, 4), np.zeros((0, 2), np.int64), (3, 3), (1, 1))
    assert patches.shape == (0, 18)


@pytest.mark.parametrize('size', [(3, 5), (3, 1, 5)])
def test_a_patch_becomes_a_kernel_of_the_same_taps_and_channels(size):
    kernels = np.random.default_rng(0).normal(size=(4, 2, *size)).astype(np.float32)
    result = patches_to_kernels(kernels_to_patches(kernels).astype(np.float64), size)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, kernels)
