import numpy as np
import pytest
import torch

from napari_flim.engine.architecture import Block
from napari_flim.engine.encoder import Encoder
from napari_flim.engine.kernels import KernelBank, LearnedBlock
from napari_flim.engine.normalization import Normalization
from napari_flim.errors import ArchitectureError
from napari_flim.inference.features import feature_stack


def coordinates(*shape):
    """A channel for each axis that holds the voxel's own position along it."""
    grid = torch.meshgrid(*[torch.arange(float(n)) for n in shape], indexing='ij')
    return torch.stack(grid)


def passing_on(spec, channels):
    """A block whose kernels repeat its input."""
    size = spec.axes('kernel_size', channels)
    weights = np.zeros((channels, channels, *size))
    for channel in range(channels):
        weights[(channel, channel, *(k // 2 for k in size))] = 1
    nothing = Normalization(np.zeros(channels, np.float32), np.ones(channels, np.float32))
    return LearnedBlock(spec, nothing, KernelBank.from_weights(weights))


def encoder_of(*specs, ndim=2):
    return Encoder([passing_on(spec, ndim) for spec in specs])


STRIDED = [Block(pool_size=1, stride=2), Block(pool_size=1, stride=3), Block(pooling='none')]


@pytest.mark.parametrize('shape', [(25, 31), (13, 19, 25)])
@pytest.mark.parametrize('block', [1, 2, 3])
def test_every_pooled_voxel_is_put_back_where_it_came_from(shape, block):
    ndim = len(shape)
    features = coordinates(*shape)
    stack = feature_stack(encoder_of(*STRIDED, ndim=ndim), features, [block])
    # 25, 31, 13 and 19 end on a multiple of 6, so no value has to be held.
    torch.testing.assert_close(stack, features, rtol=0, atol=1e-4)


def test_each_axis_has_its_own_stride():
    features = coordinates(5, 13, 19)
    encoder = encoder_of(Block(pool_size=1, stride=(1, 3, 6)), ndim=3)
    torch.testing.assert_close(feature_stack(encoder, features, [1]), features, rtol=0, atol=1e-4)


def test_blocks_are_stacked_in_ascending_order_and_once_each():
    encoder = encoder_of(*STRIDED)
    features = torch.rand(2, 13, 19)
    stack = feature_stack(encoder, features, [3, 1, 3])
    assert stack.shape == (4, 13, 19)
    assert torch.equal(stack[:2], feature_stack(encoder, features, [1]))
    assert torch.equal(stack[2:], feature_stack(encoder, features, [3]))


def test_the_input_can_be_put_in_front():
    encoder = encoder_of(*STRIDED)
    features = torch.rand(2, 13, 19)
    stack = feature_stack(encoder, features, [2], include_input=True)
    assert torch.equal(stack[:2], features)
    assert torch.equal(stack[2:], feature_stack(encoder, features, [2]))


def test_blocks_without_stride_keep_their_values():
    encoder = encoder_of(Block(pool_size=3))
    features = torch.rand(2, 9, 10)
    assert torch.equal(feature_stack(encoder, features, [1]), encoder.activations(features, [1])[0])


def test_a_block_that_does_not_exist_gives_a_clear_error():
    with pytest.raises(ArchitectureError, match='blocks 1 to 3'):
        feature_stack(encoder_of(*STRIDED), torch.rand(2, 9, 10), [4])
