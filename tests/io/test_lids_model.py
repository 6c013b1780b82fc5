from __future__ import annotations

import json
import shutil
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_flim.engine.architecture import Architecture, Block
from napari_flim.engine.feature_normalization import normalize
from napari_flim.engine.kernels import KernelBank, LearnedBlock
from napari_flim.engine.normalization import Normalization
from napari_flim.errors import FlimWarning, ModelFileError
from napari_flim.io.lids_images import read_mimg
from napari_flim.io.lids_model import LidsModel, read_lids_model, write_lids_model

GOLDEN = Path(__file__).parents[1] / 'golden' / 'libift'
CASES = ['a_keep_all', 'd_stride2', 'g_use_bias', 'h_3d']


def features(model: LidsModel, image: np.ndarray) -> np.ndarray:
    """Output of the last block, with nothing but torch's own operations."""
    x = torch.from_numpy(image)
    ndim = x.ndim - 1
    convolve = (torch.conv2d, torch.conv3d)[ndim - 2]
    for block in model.blocks:
        size, dilation = (block.spec.axes(n, ndim) for n in ('kernel_size', 'dilation'))
        padding = [k // 2 * d for k, d in zip(size, dilation, strict=True)]
        weights, bias = (torch.tensor(a) for a in (block.bank.weights, block.bank.bias))
        x = convolve(normalize(x, block.normalization), weights, bias, 1, padding, dilation)
        x = x.relu() if block.spec.activation == 'relu' else x
        pool, steps = block.spec.axes('pool_size', ndim), block.spec.strides(ndim)
        margin = [p // 2 for p in pool]
        name = {'max': 'max_pool', 'average': 'avg_pool'}[block.spec.pooling]
        x = getattr(torch.nn.functional, f'{name}{ndim}d')(x[None], pool, steps, margin)[0]
    return x.numpy()


def inputs(case: str) -> list[tuple[np.ndarray, np.ndarray]]:
    if case == 'h_3d':
        pairs = [('h_3d/lab_v.mimg', 'h_3d/feat/v.mimg')]
    else:
        pairs = [(f'lab/{n}.mimg', f'{case}/feat/{n}.mimg') for n in ('img1', 'img2')]
    return [(read_mimg(GOLDEN / a), read_mimg(GOLDEN / b)) for a, b in pairs]


def gather(tmp_path: Path, case: str) -> Path:
    """A model folder as FLIMbuilder has it: the architecture beside the model's files."""
    folder = tmp_path / case
    shutil.copytree(GOLDEN / case / 'model', folder)
    shutil.copy(GOLDEN / case / 'arch.json', folder)
    return folder


@pytest.mark.parametrize('case', CASES)
def test_a_libift_model_computes_what_libift_computed(tmp_path: Path, case: str) -> None:
    model = read_lids_model(gather(tmp_path, case))
    assert model.tap_order == 'raster'
    for image, expected in inputs(case):
        assert np.abs(features(model, image) - expected).max() <= 2e-5


@pytest.mark.parametrize('case', CASES)
@pytest.mark.parametrize('order', ['raster', 'centre_first'])
@pytest.mark.parametrize('fold', [False, True])
@pytest.mark.filterwarnings('ignore:The model has biases')
def test_a_rewritten_model_computes_the_same_in_every_layout(
    tmp_path: Path, case: str, order: Any, fold: bool
) -> None:
    model = read_lids_model(gather(tmp_path, case))
    folder = tmp_path / 'written'
    write_lids_model(folder, model.architecture, model.blocks, tap_order=order, fold_bias=fold)
    again = read_lids_model(folder)
    assert (again.tap_order, again.architecture) == (order, model.architecture)
    for image, _ in inputs(case):
        np.testing.assert_allclose(features(again, image), features(model, image), atol=2e-5)


@pytest.mark.parametrize('case', ['a_keep_all', 'h_3d'])
def test_libift_files_are_written_back_number_for_number(tmp_path: Path, case: str) -> None:
    folder = gather(tmp_path, case)
    model = read_lids_model(folder)
    write_lids_model(tmp_path / 'written', model.architecture, model.blocks)
    for path in (GOLDEN / case / 'model').glob('*.npy'):
        np.testing.assert_array_equal(np.load(tmp_path / 'written' / path.name), np.load(path))
    for path in (GOLDEN / case / 'model').glob('*.txt'):
        written = (tmp_path / 'written' / path.name).read_text()
        assert written.split() == path.read_text().split()


def test_biased_kernels_come_back_to_unit_norm_without_bias(tmp_path: Path) -> None:
    for block in read_lids_model(gather(tmp_path, 'g_use_bias')).blocks:
        norms = np.linalg.norm(block.bank.weights.reshape(len(block.bank), -1), axis=1)
        np.testing.assert_allclose(norms, 1, atol=1e-3)
        assert np.abs(block.bank.bias).max() < 1e-3


@pytest.mark.parametrize('case', CASES)
@pytest.mark.parametrize('order', ['raster', 'centre_first'])
@pytest.mark.filterwarnings('ignore:The model has biases')
def test_the_tap_order_of_learned_kernels_is_found(tmp_path: Path, case: str, order: Any) -> None:
    model = read_lids_model(gather(tmp_path, case))
    write_lids_model(tmp_path / 'w', model.architecture, model.blocks, tap_order=order)
    (tmp_path / 'w' / 'napari_flim.json').unlink()
    assert read_lids_model(tmp_path / 'w').tap_order == order


def test_the_real_number_of_kernels_replaces_the_one_asked_for(tmp_path: Path) -> None:
    folder = gather(tmp_path, 'a_keep_all')
    model = read_lids_model(folder)
    real = [np.load(folder / f'conv{n}-kernels.npy').shape[1] for n in (1, 2)]
    assert [block.channels for block in model.architecture.blocks] == real
    assert [block.spec.channels for block in model.blocks] == real
    write_lids_model(tmp_path / 'written', model.architecture, model.blocks)
    content = json.loads((tmp_path / 'written' / 'arch.json').read_text())
    assert content['layer1']['conv']['noutput_channels'] == real[0]


def learned(seed: int, size: tuple[int, ...], channels: list[int], *, biased: bool) -> LidsModel:
    random = np.random.default_rng(seed)
    blocks = []
    for before, after in pairwise(channels):
        weights = random.normal(size=(after, before, *size)).astype(np.float32)
        bank = KernelBank.from_weights(
            weights,
            random.integers(0, 4, after),
            random.normal(size=after) if biased else None,
        )
        statistics = random.normal(size=before), random.uniform(0.01, 9, before)
        normalization = Normalization(*(s.astype(np.float32) for s in statistics))
        spec = Block(kernel_size=size, channels=after)
        blocks.append(LearnedBlock(spec, normalization, bank))
    return LidsModel(Architecture(tuple(b.spec for b in blocks)), tuple(blocks))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 9999),
    st.lists(st.sampled_from([1, 3, 5]), min_size=2, max_size=3).map(tuple),
    st.lists(st.integers(1, 4), min_size=2, max_size=4),
    st.sampled_from(['raster', 'centre_first']),
)
def test_any_model_comes_back_bit_for_bit(
    seed: int, size: tuple[int, ...], channels: list[int], order: Any
) -> None:
    model = learned(seed, size, channels, biased=False)
    given_settings = {'input': 'lab', 'classes': ['background', 'egg']}
    with tempfile.TemporaryDirectory() as folder:
        write_lids_model(
            folder, model.architecture, model.blocks, tap_order=order, settings=given_settings
        )
        again = read_lids_model(folder)
    assert again.settings == given_settings
    for ours, theirs in zip(model.blocks, again.blocks, strict=True):
        np.testing.assert_array_equal(ours.bank.weights, theirs.bank.weights)
        np.testing.assert_array_equal(ours.normalization.mean, theirs.normalization.mean)
        np.testing.assert_array_equal(ours.normalization.std, theirs.normalization.std)
        assert not theirs.bank.bias.any()
        np.testing.assert_array_equal(ours.bank.classes, theirs.bank.classes)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 9999),
    st.lists(st.sampled_from([1, 3, 5]), min_size=2, max_size=3).map(tuple),
    st.sampled_from(['raster', 'centre_first']),
)
def test_a_biased_model_comes_back_up_to_rounding(
    seed: int, size: tuple[int, ...], order: Any
) -> None:
    model = learned(seed, size, [2, 3, 2], biased=True)
    with tempfile.TemporaryDirectory() as folder:
        write_lids_model(folder, model.architecture, model.blocks, tap_order=order, fold_bias=True)
        again = read_lids_model(folder)
    for ours, theirs in zip(model.blocks, again.blocks, strict=True):
        np.testing.assert_allclose(ours.bank.weights, theirs.bank.weights, rtol=1e-6)
        np.testing.assert_allclose(ours.bank.bias, theirs.bank.bias, rtol=1e-4, atol=1e-2)


def test_a_bias_that_was_not_asked_to_be_folded_is_folded_with_a_warning(tmp_path: Path) -> None:
    model = learned(1, (3, 3), [2, 3], biased=True)
    with pytest.warns(FlimWarning, match='USE_BIAS'):
        write_lids_model(tmp_path, model.architecture, model.blocks)
    assert (tmp_path / 'conv1-bias.txt').read_text().split()[0] == '3'


@pytest.mark.filterwarnings('ignore:The tap order')
def test_classes_come_from_labels_weights_or_kernel_types(tmp_path: Path) -> None:
    folder = gather(tmp_path, 'h_3d')
    count = np.load(folder / 'conv1-kernels.npy').shape[1]
    signs = [1, -1, 0] + [1] * (count - 3)
    expected = [2, 1, 0] + [2] * (count - 3)
    assert not read_lids_model(folder).blocks[0].bank.classes.any()
    (folder / 'kernels_type1').mkdir()
    (folder / 'kernels_type1' / 'v.txt').write_text(' '.join(map(str, signs)))
    assert read_lids_model(folder).blocks[0].bank.classes.tolist() == expected
    text = ' '.join(f'{-s:f}' for s in signs)
    (folder / 'conv1-weights.txt').write_text(f'{count}\n{text}')
    expected = [1, 2, 0] + [1] * (count - 3)
    assert read_lids_model(folder).blocks[0].bank.classes.tolist() == expected
    labels = [3, 1, 2] + [1] * (count - 3)
    (folder / 'conv1-labels.txt').write_text(f'{count}\n{" ".join(map(str, labels))} ')
    assert read_lids_model(folder).blocks[0].bank.classes.tolist() == labels


def test_kernels_chosen_by_hand_are_reported_not_applied(tmp_path: Path) -> None:
    folder = gather(tmp_path, 'a_keep_all')
    (folder / 'manual_kernels2.json').write_text('{"selected_kernels":[0,3]}')
    model = read_lids_model(folder)
    assert model.selections == {2: (0, 3)}
    assert len(model.blocks[1].bank) == np.load(folder / 'conv2-kernels.npy').shape[1]


def test_an_uncertain_tap_order_warns_and_can_be_overridden(tmp_path: Path) -> None:
    model = learned(4, (3, 3), [8, 64], biased=False)
    write_lids_model(tmp_path, model.architecture, model.blocks, tap_order='centre_first')
    (tmp_path / 'napari_flim.json').unlink()
    with pytest.warns(FlimWarning, match='centre_first'):
        assert read_lids_model(tmp_path).tap_order == 'raster'
    again = read_lids_model(tmp_path, tap_order='centre_first')
    np.testing.assert_array_equal(again.blocks[0].bank.weights, model.blocks[0].bank.weights)


def test_rough_kernels_are_not_taken_for_centre_first(tmp_path: Path) -> None:
    with pytest.warns(FlimWarning, match='uncertain'):
        assert read_lids_model(gather(tmp_path, 'c_pca_branch')).tap_order == 'raster'


def test_kernels_of_zeros_are_read_without_failing(tmp_path: Path) -> None:
    folder = gather(tmp_path, 'h_3d')
    np.save(folder / 'conv1-kernels.npy', np.zeros_like(np.load(folder / 'conv1-kernels.npy')))
    with pytest.warns(FlimWarning, match='uncertain'):
        assert not read_lids_model(folder).blocks[0].bank.weights.any()


def test_the_copies_for_python_stand_in_for_missing_statistics(tmp_path: Path) -> None:
    folder = gather(tmp_path, 'h_3d')
    expected = read_lids_model(folder).blocks[0].normalization.mean
    (folder / 'conv1-mean.txt').unlink()
    found = read_lids_model(folder).blocks[0].normalization.mean
    np.testing.assert_array_equal(found, expected)


def test_a_deviation_of_0_warns_and_counts_as_1(tmp_path: Path) -> None:
    folder = gather(tmp_path, 'h_3d')
    (folder / 'conv1-stdev.txt').write_text('0.000000 0.5 0.5 ')
    with pytest.warns(FlimWarning, match='deviation of 0'):
        assert read_lids_model(folder).blocks[0].normalization.std.tolist() == [1, 0.5, 0.5]


def test_a_model_is_never_overwritten(tmp_path: Path) -> None:
    model = read_lids_model(gather(tmp_path, 'a_keep_all'))
    with pytest.raises(ModelFileError, match='already holds a model'):
        write_lids_model(tmp_path / 'a_keep_all', model.architecture, model.blocks)


def test_an_architecture_with_other_blocks_is_refused(tmp_path: Path) -> None:
    model = read_lids_model(gather(tmp_path, 'a_keep_all'))
    with pytest.raises(ModelFileError, match='2 blocks came with 1'):
        write_lids_model(tmp_path / 'w', model.architecture, model.blocks[:1])
    assert not (tmp_path / 'w').exists()


@pytest.mark.parametrize(
    ('file', 'content'),
    [
        ('arch.json', None),
        ('conv2-kernels.npy', None),
        ('conv2-kernels.npy', b''),
        ('conv2-kernels.npy', b'\x93NUMPY\x01\x00F\x00{'),
        ('conv2-kernels.npy', b'something else'),
        ('conv1-mean.txt', b''),
        ('conv1-mean.txt', b'0.1 0.2 '),
        ('conv1-mean.txt', b'0.1 nan 0.3 '),
        ('conv1-stdev.txt', b'0.1 x 0.3 '),
        ('conv1-stdev.txt', b'0.1 0.2 '),
        ('conv1-bias.txt', b'3\n1 2 '),
        ('conv1-labels.txt', b'1 2'),
        ('manual_kernels1.json', b'{"selected_kernels": 3}'),
    ],
)
def test_a_missing_or_damaged_file_gives_one_clear_error(
    tmp_path: Path, file: str, content: bytes | None
) -> None:
    folder = gather(tmp_path, 'a_keep_all')
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(content)
    with pytest.raises(ModelFileError) as caught:
        read_lids_model(folder)
    assert str(folder) in str(caught.value)


def test_truncated_kernels_give_one_clear_error(tmp_path: Path) -> None:
    folder = gather(tmp_path, 'a_keep_all')
    path = folder / 'conv1-kernels.npy'
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ModelFileError, match='conv1-kernels'):
        read_lids_model(folder)


def test_labels_that_are_not_classes_are_refused(tmp_path: Path) -> None:
    folder = gather(tmp_path, 'h_3d')
    count = np.load(folder / 'conv1-kernels.npy').shape[1]
    (folder / 'conv1-labels.txt').write_text(' '.join(['-1'] * count))
    with pytest.raises(ModelFileError, match='conv1-labels'):
        read_lids_model(folder)


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_kernels_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    folder = gather(tmp_path, 'h_3d')
    table = np.load(folder / 'conv1-kernels.npy')
    table[0, 0] = value
    np.save(folder / 'conv1-kernels.npy', table)
    with pytest.raises(ModelFileError, match='not finite'):
        read_lids_model(folder)


def test_layers_of_different_models_are_refused(tmp_path: Path) -> None:
    folder = gather(tmp_path, 'a_keep_all')
    table = np.load(folder / 'conv1-kernels.npy')
    np.save(folder / 'conv1-kernels.npy', table[:, :-1])
    with pytest.raises(ModelFileError, match='layer 2 expects'):
        read_lids_model(folder)
