import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_flim.engine.architecture import Block
from napari_flim.engine.encoder import BlockModule, Encoder
from napari_flim.engine.kernels import KernelBank, LearnedBlock
from napari_flim.engine.normalization import Normalization
from napari_flim.errors import ArchitectureError, ImageError


def learned(spec, channels, count, ndim=2, seed=0):
    rng = np.random.default_rng(seed)
    normalization = Normalization(
        rng.normal(size=channels).astype(np.float32),
        rng.uniform(0.2, 2, channels).astype(np.float32),
    )
    shape = (count, channels, *spec.axes('kernel_size', ndim))
    bias = rng.normal(size=count)
    return LearnedBlock(
        spec, normalization, KernelBank.from_weights(rng.normal(size=shape), bias=bias)
    )


def dilated(kernel, dilation):
    """A kernel with zeros between its taps."""
    steps = (dilation,) * kernel.ndim if isinstance(dilation, int) else dilation
    shape = [(k - 1) * d + 1 for k, d in zip(kernel.shape, steps, strict=True)]
    result = np.zeros(shape)
    result[tuple(slice(None, None, d) for d in steps)] = kernel
    return result


def answer(block, features, dilation):
    """z-score, then the products with every kernel on the image continued by zeros."""
    mean, std = (getattr(block.normalization, n).astype(np.float64) for n in ('mean', 'std'))
    column = (-1,) + (1,) * (features.ndim - 1)
    scored = (features - mean.reshape(column)) / std.reshape(column)
    return np.stack(
        [
            b
            + sum(
                ndimage.correlate(x, dilated(k, dilation), mode='constant')
                for x, k in zip(scored, kernel.astype(np.float64), strict=True)
            )
            for kernel, b in zip(block.bank.weights, block.bank.bias, strict=True)
        ]
    )


def image(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(1, 2, shape).astype(np.float32))


def assert_close(result, expected):
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-4, atol=1e-4)


PLAIN = {'pooling': 'none'}


@pytest.mark.parametrize(
    ('spec', 'shape'),
    [
        (Block(**PLAIN), (12, 13)),
        (Block(**PLAIN, kernel_size=5, dilation=2), (12, 13)),
        (Block(**PLAIN, kernel_size=(1, 5), dilation=(1, 3)), (12, 13)),
        (Block(**PLAIN, kernel_size=(1, 3, 5)), (6, 7, 8)),
        (Block(**PLAIN), (3, 2)),
    ],
)
def test_a_block_equals_scoring_and_convolving_by_hand_up_to_the_border(spec, shape):
    ndim = len(shape)
    block, features = learned(spec, 3, 4, ndim), image(3, *shape)
    expected = answer(block, features.numpy(), spec.axes('dilation', ndim))
    assert_close(BlockModule(block)(features), np.maximum(expected, 0))


def test_without_activation_answers_may_be_negative():
    block, features = learned(Block(**PLAIN, activation='none'), 2, 3), image(2, 9, 9)
    result = BlockModule(block)(features)
    assert_close(result, answer(block, features.numpy(), 1))
    assert result.min() < 0


@pytest.mark.parametrize('pooling', ['max', 'min', 'average'])
def test_a_block_pools_what_it_has_activated(pooling):
    spec = Block(pooling=pooling, pool_size=3, stride=2)
    block, features = learned(spec, 2, 3), image(2, 9, 9)
    activated = np.maximum(answer(block, features.numpy(), 1), 0)
    outside = {'max': -np.inf, 'min': np.inf, 'average': 0.0}[pooling]
    padded = np.pad(activated, ((0, 0), (1, 1), (1, 1)), constant_values=outside)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    reduce = {'max': np.max, 'min': np.min, 'average': np.mean}[pooling]
    assert_close(BlockModule(block)(features), reduce(windows, axis=(3, 4))[:, ::2, ::2])


def test_further_dilations_are_activated_before_they_are_summed():
    block = learned(Block(**PLAIN, dilation=1, extra_dilations=(2, 3)), 2, 3)
    features = image(2, 14, 15)
    expected = sum(np.maximum(answer(block, features.numpy(), d), 0) for d in (1, 2, 3))
    assert_close(BlockModule(block)(features), expected)


def test_a_separable_block_is_activated_after_the_sum():
    block = learned(Block(**PLAIN, extra_dilations=(2,), kind='separable'), 2, 3)
    features = image(2, 14, 15)
    expected = sum(answer(block, features.numpy(), d) for d in (1, 2))
    assert_close(BlockModule(block)(features), np.maximum(expected, 0))


def test_the_marker_mean_gets_only_the_bias_also_at_the_border():
    block = learned(Block(**PLAIN, activation='none'), 3, 4)
    features = torch.from_numpy(block.normalization.mean).reshape(3, 1, 1).expand(3, 7, 8)
    expected = np.broadcast_to(block.bank.bias[:, None, None], (4, 7, 8))
    assert_close(BlockModule(block)(features.clone()), expected)


@pytest.fixture
def three_blocks():
    return [
        learned(Block(stride=2), 3, 4),
        learned(Block(pooling='none', dilation=2), 4, 5, seed=1),
        learned(Block(pooling='average', extra_dilations=(2,)), 5, 6, seed=2),
    ]


def test_blocks_follow_each_other(three_blocks):
    features = image(3, 15, 17)
    expected = features
    for block in three_blocks:
        expected = BlockModule(block)(expected)
    assert torch.equal(Encoder(three_blocks).activations(features, [3])[0], expected)


@pytest.mark.parametrize('numbers', [[1], [2], [3], [1, 2], [1, 3], [2, 3], [1, 2, 3]])
def test_asking_for_several_blocks_gives_each_as_if_asked_alone(three_blocks, numbers):
    encoder, features = Encoder(three_blocks), image(3, 15, 17)
    together = encoder.activations(features, numbers)
    assert len(together) == len(numbers)
    for number, result in zip(numbers, together, strict=True):
        alone = encoder.activations(features, [number])[0]
        assert torch.equal(result, alone)
        assert result.shape == (number + 3, 8, 9)


def test_the_features_are_left_as_they_are(three_blocks):
    features = image(3, 15, 17)
    before = features.clone()
    Encoder(three_blocks).activations(features, [1, 3])
    assert torch.equal(features, before)


def test_the_learned_arrays_are_left_as_they_are(three_blocks):
    before = [b.bank.weights.copy() for b in three_blocks]
    encoder = Encoder(three_blocks)
    with torch.no_grad():
        for module in encoder.blocks:
            module.mean.zero_()
            module.kernels.zero_()
    for block, weights in zip(three_blocks, before, strict=True):
        np.testing.assert_array_equal(block.bank.weights, weights)
        assert block.normalization.mean.any()


def test_an_encoder_knows_what_it_reads(three_blocks):
    encoder = Encoder(three_blocks)
    assert (encoder.channels, encoder.ndim) == (3, 2)
    assert encoder.architecture.blocks == tuple(b.spec for b in three_blocks)


@pytest.mark.parametrize('shape', [(2, 15, 17), (15, 17), (3, 4, 15, 17)])
def test_features_that_do_not_fit_give_a_clear_error(three_blocks, shape):
    with pytest.raises(ImageError, match='reads 3 channels with 2 spatial axes'):
        Encoder(three_blocks).activations(torch.zeros(shape), [1])


def test_a_block_that_does_not_exist_gives_a_clear_error(three_blocks):
    with pytest.raises(ArchitectureError, match='Block 4 .*blocks 1 to 3'):
        Encoder(three_blocks).activations(torch.zeros(3, 9, 9), [1, 4])


def test_blocks_that_do_not_fit_each_other_give_a_clear_error(three_blocks):
    with pytest.raises(ArchitectureError, match=r'Block 2 reads 5 channels, but block 1 has 4'):
        Encoder([three_blocks[0], three_blocks[2]])


def test_activations_come_in_the_order_asked(three_blocks):
    encoder, features = Encoder(three_blocks), image(3, 15, 17)
    asked = [3, 1, 2, 1]
    for number, result in zip(asked, encoder.activations(features, asked), strict=True):
        assert torch.equal(result, encoder.activations(features, [number])[0])


def test_asking_for_no_block_gives_a_clear_error(three_blocks):
    with pytest.raises(ArchitectureError, match='name at least one'):
        Encoder(three_blocks).activations(torch.zeros(3, 9, 9), [])
