from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from napari_flim.engine.operations import (
    activate,
    convolve,
    flatten,
    resample,
    transposed_convolution,
)
from napari_flim.engine.pooling import pool

GOLDEN = Path(__file__).parents[1] / 'golden' / 'operations'


def load(name):
    with np.load(GOLDEN / name) as content:
        return {key: torch.from_numpy(value) for key, value in content.items()}


def test_the_worked_example_of_the_lecture_gives_5_where_7_is_printed():
    golden = load('lecture_convolution.npz')
    result = convolve(golden['image'][None].float(), golden['kernel'][None, None].float())[0]
    assert result[0, 2] == 5
    assert torch.equal(result.long(), golden['J_exact'])
    assert torch.equal(result.long() != golden['J_printed'], ~golden['J_agree'])
    assert torch.equal(activate(result).long(), golden['R_exact'])


def test_kernels_are_not_flipped():
    golden = load('lecture_convolution.npz')
    flipped = golden['kernel'].flip(0, 1)[None, None].float()
    result = convolve(golden['image'][None].float(), flipped)[0]
    assert torch.equal(result.long(), golden['flipped_kernel_convolution'])


@pytest.mark.parametrize('name', ['kernel_bank2d.npz', 'kernel_bank3d.npz'])
@pytest.mark.parametrize('dilation', [1, 2])
def test_kernel_banks_answer_exactly(name, dilation):
    golden = load(name)
    features, kernels = golden['image'].double(), golden['kernels'].double()
    plain = convolve(features, kernels, dilation=dilation)
    assert torch.equal(plain.long(), golden[f'J_dilation{dilation}'])
    steps = (dilation,) * (features.ndim - 1)
    biased = activate(convolve(features, kernels, golden['bias'].double(), steps))
    assert torch.equal(biased.long(), golden[f'R_dilation{dilation}'])


def test_kernels_need_not_be_square():
    golden = load('kernel_bank2d_5x3.npz')
    result = convolve(golden['image'].double(), golden['kernels'].double())
    assert torch.equal(result.long(), golden['J'])


def test_dilation_may_differ_between_axes():
    features = torch.zeros(1, 1, 9, 9)
    features[0, 0, 4, 4] = 1
    kernel = torch.arange(1.0, 10).reshape(1, 1, 1, 3, 3)
    result = convolve(features, kernel, dilation=(1, 2, 3))[0, 0]
    assert result[2::2, 1::3][:3, :3].tolist() == [[9, 8, 7], [6, 5, 4], [3, 2, 1]]
    assert result.count_nonzero() == 9


@pytest.mark.parametrize(('size', 'dilation'), [(3, 1), (3, 2), (3, 5), (3, 7), (5, 3), (11, 1)])
def test_bits_of_answers_depend_neither_on_threads_nor_on_rows_far_away(size, dilation):
    features, kernels = torch.rand(12, 96, 160), torch.rand(10, 12, size, size) - 0.5
    reach = dilation * (size // 2)
    threads = torch.get_num_threads()
    answers = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            answers.append(convolve(features, kernels, dilation=dilation))
            part = convolve(features[:, :64], kernels, dilation=dilation)
            assert torch.equal(part[:, : 64 - reach], answers[-1][:, : 64 - reach])
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(answers[0], other) for other in answers[1:])


def test_values_are_flattened_channel_after_channel():
    golden = load('kernel_bank2d.npz')
    assert torch.equal(flatten(golden['R_dilation1']), golden['flatten'])


def test_activation_can_be_left_out():
    features = torch.tensor([-1.0, 2.0])
    assert activate(features, 'none').tolist() == [-1, 2]
    assert activate(features, 'relu').tolist() == [0, 2]


def test_transposed_convolution_stamps_the_kernel():
    golden = load('transposed_convolution.npz')
    features, kernel = golden['image'][None], golden['kernel'][None, None]
    stamped = transposed_convolution(features, kernel, stride=2)[0]
    torch.testing.assert_close(stamped, golden['output_stride2'], rtol=0, atol=1e-10)
    torch.testing.assert_close(stamped, golden['terms_stride2'].sum(0), rtol=0, atol=1e-10)
    cut = transposed_convolution(features, kernel, stride=2, padding=1)[0]
    torch.testing.assert_close(cut, golden['output_stride2_padding1'], rtol=0, atol=1e-10)


@pytest.mark.parametrize('stride', [1, 2, 3])
@pytest.mark.parametrize('padding', [0, 1])
def test_transposed_convolution_sums_over_channels(stride, padding):
    golden = load('transposed_convolution_multichannel.npz')
    result = transposed_convolution(golden['image'], golden['kernels'], stride, padding)
    expected = golden[f'output_stride{stride}_padding{padding}']
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-10)


def test_transposed_convolution_of_a_volume_has_the_stated_size():
    result = transposed_convolution(torch.ones(1, 2, 3, 4), torch.ones(1, 2, 3, 3, 3), 2, 1)
    assert result.shape == (2, 3, 5, 7)


def coordinates(shape):
    """A channel for each axis that holds the voxel's own position along it."""
    grid = torch.meshgrid(*[torch.arange(float(n)) for n in shape], indexing='ij')
    return torch.stack(grid)


@pytest.mark.parametrize('shape', [(23, 30), (11, 17, 12)])
@pytest.mark.parametrize('window', [1, 3, 5])
@pytest.mark.parametrize('strides', [[2], [3], [4], [2, 2], [2, 3]])
def test_a_pooled_coordinate_comes_back_to_its_own_place(shape, window, strides):
    ndim, total = len(shape), int(np.prod(strides))
    ramp = coordinates(shape)
    pooled = ramp
    for stride in strides:
        pooled = pool(pooled, (window,) * ndim, (stride,) * ndim, 'average', over_valid=True)
    result = resample(pooled, (total,) * ndim, shape)
    assert result.shape == ramp.shape
    for axis, size in enumerate(shape):
        # A mean at the border lies off its voxel, and nothing lies beyond the last voxel.
        spread = (window // 2) * sum(int(np.prod(strides[:i])) for i in range(len(strides)))
        first = -(-spread // total) * total
        last = (size - 1 - spread) // total * total
        inner = result[axis].movedim(axis, 0)[first : last + 1]
        expected = ramp[axis].movedim(axis, 0)[first : last + 1]
        torch.testing.assert_close(inner, expected, rtol=0, atol=1e-4)


def test_beyond_the_last_voxel_of_a_map_its_value_is_held():
    ramp = coordinates((1, 10))[1:]
    result = resample(ramp[:, :, ::4], (1, 4), (1, 10))
    assert result[0, 0].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 8]


def test_a_map_of_one_voxel_fills_the_image():
    assert torch.equal(
        resample(torch.full((2, 1, 1), 3.0), (9, 9), (4, 5)), torch.full((2, 4, 5), 3.0)
    )


def test_a_map_of_image_size_stays_as_it_is():
    features = torch.randn(2, 4, 5)
    assert torch.equal(resample(features, (1, 1), (4, 5)), features)


def test_each_axis_has_its_own_stride():
    ramp = coordinates((4, 9, 7))
    result = resample(ramp[:, :, ::4, ::3], (1, 4, 3), (4, 9, 7))
    torch.testing.assert_close(result, ramp, rtol=0, atol=1e-5)


@pytest.mark.parametrize('centred', [False, True])
@pytest.mark.parametrize(('size', 'dilation'), [((3, 3), 1), ((5, 3), (2, 4)), ((1, 1), 1)])
def test_a_large_image_is_convolved_in_strips_to_the_same_numbers(size, dilation, centred):
    features, kernels, bias = torch.rand(3, 701, 400), torch.randn(8, 3, *size), torch.randn(8)
    centre = torch.rand(3, 1, 1) if centred else None
    steps = (dilation, dilation) if isinstance(dilation, int) else dilation
    padding = [d * (k // 2) for d, k in zip(steps, size, strict=True)]
    plain = features if centre is None else features - centre
    expected = F.conv2d(plain[None], kernels, bias, padding=padding, dilation=steps)[0]
    before = features.clone()
    result = convolve(features, kernels, bias, dilation, centre)
    torch.testing.assert_close(result, expected, rtol=1e-6, atol=1e-5)
    assert torch.equal(features, before)


def test_outside_the_image_lies_the_centre():
    volume = torch.full((1, 3, 4, 5), 7.0)
    result = convolve(volume, torch.ones(1, 1, 3, 3, 3), centre=torch.full((1, 1, 1, 1), 7.0))
    assert not result.any()
