from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_flim.engine.architecture import Block
from napari_flim.engine.encoder import Encoder
from napari_flim.engine.feature_normalization import normalize
from napari_flim.engine.kernels import KernelBank, LearnedBlock, drop_kernels, rebase
from napari_flim.engine.normalization import Normalization
from napari_flim.engine.operations import convolve
from napari_flim.errors import ArchitectureError, KernelError

CHAIN = ((2, 4, 0), (4, 3, 1), (3, 5, 2))
"""Channels, kernels and seed of three blocks."""
FIELDS = ('weights', 'bias', 'classes', 'images', 'markers', 'voxels')


def make_bank(count=4, channels=2, size=(3, 3), seed=0):
    rng = np.random.default_rng(seed)
    return KernelBank(
        weights=rng.normal(size=(count, channels, *size)).astype(np.float32),
        bias=rng.normal(size=count).astype(np.float32),
        classes=np.arange(count) % 2 + 1,
        images=np.arange(count) + 10,
        markers=np.arange(count) + 20,
        voxels=rng.integers(0, 50, (count, len(size))),
    )


def assert_rows(result, bank, rows):
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(result, name), getattr(bank, name)[rows])


@pytest.mark.parametrize(('size', 'ndim'), [((3, 5), 2), ((1, 3, 3), 3)])
def test_a_bank_knows_its_size_and_rank(size, ndim):
    bank = make_bank(size=size)
    assert len(bank) == 4
    assert bank.ndim == ndim


def test_keeping_kernels_keeps_them_in_the_order_named_with_their_origin():
    bank = make_bank()
    assert_rows(bank.keep([3, 0]), bank, [3, 0])
    assert_rows(bank.keep(np.array([1])), bank, [1])


def test_dropping_kernels_leaves_the_others_in_place():
    bank = make_bank()
    assert_rows(bank.drop([2, 0]), bank, [1, 3])
    assert_rows(bank.drop([]), bank, [0, 1, 2, 3])


@pytest.mark.parametrize(
    ('edit', 'message'),
    [
        (lambda bank: bank.keep([]), 'keep at least one'),
        (lambda bank: bank.drop([0, 1, 2, 3]), 'keep at least one'),
        (lambda bank: bank.keep([0, 4]), r'Kernel 4 .*kernels 0 to 3'),
        (lambda bank: bank.keep([-1]), r'Kernel -1 .*kernels 0 to 3'),
        (lambda bank: bank.keep([1, 1]), 'named twice'),
        (lambda bank: bank.drop([4]), 'Kernel 4 .*kernels 0 to 3'),
        (lambda bank: bank.drop([-1]), 'Kernel -1 .*kernels 0 to 3'),
        (lambda bank: bank.invert([4]), 'kernels 0 to 3'),
        (lambda bank: bank.invert([-1]), 'kernels 0 to 3'),
        (lambda bank: bank.reweight([1, 2]), r'\(2,\).*4 finite numbers'),
        (lambda bank: bank.reweight([1, 1, 1, np.nan]), 'finite'),
        (lambda bank: bank.merge(make_bank(channels=3)), 'same channels and kernel size'),
        (lambda bank: bank.merge(make_bank(size=(3, 3, 3))), 'same channels and kernel size'),
    ],
)
def test_an_impossible_edit_gives_a_clear_error(edit, message):
    with pytest.raises(KernelError, match=message):
        edit(make_bank())


def test_an_inverted_kernel_answers_with_the_opposite_sign():
    bank = make_bank()
    inverted = bank.invert([1, 3])
    features = torch.randn(2, 6, 7)
    before, after = (
        convolve(features, torch.tensor(b.weights), torch.tensor(b.bias)) for b in (bank, inverted)
    )
    torch.testing.assert_close(after[[1, 3]], -before[[1, 3]])
    assert torch.equal(after[[0, 2]], before[[0, 2]])
    np.testing.assert_array_equal(inverted.classes, bank.classes)


def test_reweighting_scales_kernels_with_their_biases():
    bank = make_bank()
    result = bank.reweight([0, 1, 2, -0.5])
    for index, factor in enumerate([0, 1, 2, -0.5]):
        np.testing.assert_allclose(result.weights[index], factor * bank.weights[index])
        np.testing.assert_allclose(result.bias[index], factor * bank.bias[index])
    np.testing.assert_array_equal(result.voxels, bank.voxels)


def test_merged_banks_follow_each_other():
    first, second = make_bank(3), make_bank(2, seed=1)
    merged = first.merge(second)
    assert_rows(merged.keep([0, 1, 2]), first, slice(None))
    assert_rows(merged.keep([3, 4]), second, slice(None))


def test_no_edit_changes_the_bank_it_started_from():
    bank = make_bank()
    before = [getattr(bank, name).copy() for name in FIELDS]
    bank.invert([0])
    bank.reweight([2, 2, 2, 2])
    bank.merge(make_bank())
    for name, array in zip(FIELDS, before, strict=True):
        np.testing.assert_array_equal(getattr(bank, name), array)


@pytest.mark.parametrize('name', FIELDS)
def test_the_arrays_of_a_bank_cannot_be_written(name):
    for bank in (make_bank(), make_bank().keep([0, 1]), make_bank().invert([0])):
        with pytest.raises(ValueError, match='read-only'):
            getattr(bank, name)[0] = 0


@pytest.mark.parametrize('name', FIELDS[1:])
def test_arrays_that_do_not_fit_the_kernels_give_a_clear_error(name):
    with pytest.raises(KernelError, match=f'{name} has shape .*for 4 kernels'):
        replace(make_bank(), **{name: getattr(make_bank(), name)[:3]})


def test_kernels_of_a_foreign_file_have_no_origin():
    bank = KernelBank.from_weights(np.ones((2, 1, 3, 3, 3)))
    assert bank.weights.dtype == np.float32
    assert bank.bias.tolist() == [0, 0]
    assert bank.classes.tolist() == [0, 0]
    assert set(bank.images) == set(bank.markers) == set(bank.voxels.flat) == {-1}
    assert bank.voxels.shape == (2, 3)


def test_classes_and_biases_of_a_foreign_file_are_kept():
    bank = KernelBank.from_weights(np.ones((2, 1, 3, 3)), classes=[1, 2], bias=[0.5, -1])
    assert bank.classes.tolist() == [1, 2]
    assert bank.bias.tolist() == [0.5, -1]


@pytest.mark.parametrize('size', [(3, 3), (3, 1, 3)])
def test_rebased_kernels_answer_as_before_under_another_normalization(size):
    rng = np.random.default_rng(1)
    bank = make_bank(channels=3, size=size)
    old, new = (
        Normalization(
            rng.normal(size=3).astype(np.float32), rng.uniform(0.1, 2, 3).astype(np.float32)
        )
        for _ in range(2)
    )
    # Without padding: outside the image each normalisation has its own neutral value.
    features = torch.from_numpy(rng.normal(size=(3, 7, 7, 7)[: len(size) + 1]).astype(np.float32))
    inner = (slice(None), *(slice(1, -1),) * len(size))
    answers = [
        convolve(normalize(features, n), torch.tensor(b.weights), torch.tensor(b.bias))[inner]
        for b, n in ((bank, old), (rebase(bank, old, new), new))
    ]
    torch.testing.assert_close(answers[0], answers[1], rtol=1e-4, atol=1e-4)


def test_rebasing_keeps_the_origin_of_kernels():
    bank = make_bank()
    old = Normalization(np.zeros(2, np.float32), np.ones(2, np.float32))
    new = Normalization(np.ones(2, np.float32), np.full(2, 2, np.float32))
    result = rebase(bank, old, new)
    for name in FIELDS[2:]:
        np.testing.assert_array_equal(getattr(result, name), getattr(bank, name))
    assert result.weights.dtype == result.bias.dtype == np.float32


def test_a_bank_holds_copies_that_cannot_be_written():
    weights, classes = np.ones((2, 1, 3, 3), np.float32), np.array([1, 2])
    bank = KernelBank.from_weights(weights, classes)
    weights[:], classes[:] = 7, 7
    assert bank.weights.max() == 1
    assert bank.classes.tolist() == [1, 2]
    for name in FIELDS:
        with pytest.raises(ValueError, match='read-only'):
            getattr(bank, name)[0] = 0


def block_of(spec, channels, kernels, seed):
    rng = np.random.default_rng(seed)
    mean, std = rng.normal(size=channels), rng.uniform(0.5, 2, channels)
    return LearnedBlock(
        spec,
        Normalization(mean.astype(np.float32), std.astype(np.float32)),
        make_bank(kernels, channels, seed=seed),
    )


@pytest.mark.parametrize('kind', ['regular', 'separable'])
@pytest.mark.parametrize('dropped', [[1], [0, 3, 3]])
def test_without_a_kernel_later_blocks_see_its_channel_at_the_marker_mean(kind, dropped):
    specs = (Block(stride=2), Block(kind=kind, extra_dilations=(2,)), Block(pooling='average'))
    blocks = tuple(block_of(spec, *n) for spec, n in zip(specs, CHAIN, strict=True))
    features = torch.rand(2, 30, 31)
    answers = Encoder(blocks).activations(features, [1])[0].clone()
    for index in dropped:
        answers[index] = float(blocks[1].normalization.mean[index])
    expected = Encoder(blocks[1:]).activations(answers, [1, 2])
    edited = drop_kernels(blocks, 1, dropped)
    found = Encoder(edited).activations(features, [2, 3])
    for answer, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(answer, wanted, rtol=1e-5, atol=1e-5)


def test_dropping_kernels_leaves_other_blocks_the_same_objects():
    blocks = tuple(block_of(Block(), *n) for n in CHAIN)
    first, second, third = drop_kernels(blocks, 1, [2])
    assert first is not blocks[0]
    assert second is not blocks[1]
    assert third is blocks[2]
    assert_rows(first.bank, blocks[0].bank, [0, 1, 3])
    assert_rows(replace(second.bank, weights=blocks[1].bank.weights), blocks[1].bank, slice(None))
    np.testing.assert_array_equal(second.bank.weights, blocks[1].bank.weights[:, [0, 1, 3]])
    last = drop_kernels(blocks, 3, [0])
    assert last[:2] == blocks[:2]
    assert len(last[2].bank) == len(blocks[2].bank) - 1
    assert drop_kernels(blocks, 2, []) == blocks


@pytest.mark.parametrize(
    ('block', 'indices', 'error', 'message'),
    [
        (1, [4], KernelError, 'Kernel 4 was named'),
        (1, [0, 1, 2, 3], KernelError, 'keep at least one'),
        (0, [0], ArchitectureError, 'Block 0 was asked for'),
        (4, [0], ArchitectureError, 'blocks 1 to 3'),
    ],
)
def test_kernels_that_cannot_be_dropped_give_a_clear_error(block, indices, error, message):
    blocks = tuple(block_of(Block(), *n) for n in CHAIN)
    with pytest.raises(error, match=message):
        drop_kernels(blocks, block, indices)
