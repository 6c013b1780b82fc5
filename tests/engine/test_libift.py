import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_flim.engine.architecture import Architecture, Block
from napari_flim.engine.feature_normalization import normalize
from napari_flim.engine.libift import learn_libift
from napari_flim.engine.markers import MarkerSet
from napari_flim.engine.operations import activate, convolve
from napari_flim.engine.patches import gather_patches
from napari_flim.engine.pooling import pool
from napari_flim.errors import ArchitectureError, LearningError
from napari_flim.progress import finish

GOLDEN = Path(__file__).parents[1] / 'golden' / 'libift'
TWO_BLOCKS = ['a_keep_all', 'd_stride2', 'e_stride2_atrous']
EXACT = [*TWO_BLOCKS, 'b_kmeans_reduce', 'f_per_image_cap', 'h_3d']
ALL = [*EXACT, 'c_pca_branch', 'g_use_bias']
POOLING = {'no_pool': 'none', 'max_pool': 'max', 'avg_pool': 'average'}


def kernels_to_patches(kernels):
    """Kernels (K, C, *k) as patch vectors (K, P), channels fastest."""
    return np.moveaxis(kernels, 1, -1).reshape(len(kernels), -1).astype(np.float64)


def read_mimg(path):
    content = path.read_bytes()
    x, y, z, channels = map(int, content.split(b'\n')[1].split())
    values = np.frombuffer(content[-4 * x * y * z * channels :], '<f4')
    volume = np.moveaxis(values.reshape(z, y, x, channels), -1, 0)
    return torch.from_numpy(np.ascontiguousarray(volume if z > 1 else volume[:, 0]))


def read_numbers(path):
    return np.array(path.read_text().split(), dtype=np.float64)


def read_seeds(path, shape):
    rows = np.loadtxt(path, skiprows=1, dtype=np.int64)
    ndim = len(shape)
    coordinates, classes = rows[:, :ndim][:, ::-1], rows[:, ndim + 1] + 1
    return MarkerSet.from_points(coordinates, classes, shape, across_classes=True)


def read_architecture(case, ndim):
    content = json.loads((GOLDEN / case / 'arch.json').read_text())
    blocks = []
    for number in range(content['nlayers']):
        layer = content[f'layer{number + 1}']
        conv, pooling = layer['conv'], layer['pooling']
        block = Block(
            kernel_size=conv['kernel_size'][:ndim][::-1],
            dilation=conv['dilation_rate'][:ndim][::-1],
            kernels_per_marker=conv['nkernels_per_marker'],
            kernels_per_image=conv['nkernels_per_image'],
            channels=conv['noutput_channels'],
            pooling=POOLING[pooling['type']],
            pool_size=pooling['size'][:ndim][::-1],
            stride=pooling['stride'],
        )
        blocks.append(block)
    atrous = content.get('apply_intrinsic_atrous', False)
    return Architecture(tuple(blocks), content['stdev_factor'], atrous)


def golden_inputs(case):
    if case == 'h_3d':
        image = read_mimg(GOLDEN / case / 'lab_v.mimg')
        return {'v': image}, [read_seeds(GOLDEN / case / 'markers/v-seeds.txt', image.shape[1:])]
    images = {name: read_mimg(GOLDEN / f'lab/{name}.mimg') for name in ('img1', 'img2')}
    seeds = [GOLDEN / f'markers5/{name}-seeds.txt' for name in images]
    shapes = [image.shape[1:] for image in images.values()]
    return images, list(map(read_seeds, seeds, shapes))


@pytest.fixture(scope='module')
def learned():
    """Images, markers and learned blocks of every golden case."""
    result = {}
    for case in ALL:
        images, markers = golden_inputs(case)
        architecture = read_architecture(case, markers[0].ndim)
        job = learn_libift(
            list(images.values()), markers, architecture, use_bias=case == 'g_use_bias'
        )
        result[case] = images, markers, finish(job)
    return result


def as_columns(block):
    return kernels_to_patches(block.bank.weights).astype(np.float32).T


def golden_kernels(case, number):
    return np.load(GOLDEN / case / 'model' / f'conv{number}-kernels.npy')


def apply(blocks, features):
    for block in blocks:
        spec, ndim = block.spec, features.ndim - 1
        weights, bias = (torch.tensor(a) for a in (block.bank.weights, block.bank.bias))
        features = normalize(features, block.normalization)
        features = activate(convolve(features, weights, bias, spec.axes('dilation', ndim)))
        features = pool(features, spec.axes('pool_size', ndim), spec.strides(ndim), spec.pooling)
    return features


@pytest.mark.parametrize('case', EXACT)
def test_kernels_of_the_first_block_are_bit_exact(learned, case):
    assert np.array_equal(as_columns(learned[case][2][0]), golden_kernels(case, 1))


@pytest.mark.parametrize('case', TWO_BLOCKS)
def test_kernels_of_later_blocks_agree(learned, case):
    result = as_columns(learned[case][2][1])
    np.testing.assert_allclose(result, golden_kernels(case, 2), rtol=0, atol=1e-6)


def test_the_pca_reduction_takes_columns_as_libift_does(learned):
    # The sign of a principal axis is free, and the last axes are ill conditioned.
    block = learned['c_pca_branch'][2][0]
    expected = np.abs(golden_kernels('c_pca_branch', 1))
    np.testing.assert_allclose(np.abs(as_columns(block)), expected, rtol=0, atol=5e-3)
    assert set(block.bank.classes) == {0}
    assert set(block.bank.images) == {-1}


@pytest.mark.parametrize('case', ALL)
def test_statistics_agree_and_have_six_decimals(learned, case):
    # One unit of the last decimal: a sum may fall on the other side of a rounding.
    tolerance = 1e-5 if case == 'g_use_bias' else 1.1e-6
    for number, block in enumerate(learned[case][2], start=1):
        for name in ('mean', 'std'):
            file = {'mean': 'mean', 'std': 'stdev'}[name]
            expected = read_numbers(GOLDEN / case / 'model' / f'conv{number}-{file}.txt')
            result = getattr(block.normalization, name)
            np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance)
            assert np.array_equal(result, np.round(result.astype(float), 6).astype(np.float32))


@pytest.mark.parametrize('case', [*EXACT, 'g_use_bias'])
def test_learned_blocks_give_the_features_of_libift(learned, case):
    images, _, blocks = learned[case]
    for name, image in images.items():
        expected = read_mimg(GOLDEN / case / 'feat' / f'{name}.mimg')
        np.testing.assert_allclose(apply(blocks, image), expected, rtol=0, atol=2e-5)


def test_folding_a_block_learned_with_bias_gives_the_files_of_libift(learned):
    for number, block in enumerate(learned['g_use_bias'][2], start=1):
        mean, std = (getattr(block.normalization, name)[:, None, None] for name in ('mean', 'std'))
        folded = block.bank.weights / std
        bias = block.bank.bias - (folded * mean).sum(axis=(1, 2, 3))
        expected = golden_kernels('g_use_bias', number)
        np.testing.assert_allclose(kernels_to_patches(folded).T, expected, rtol=0, atol=1e-6)
        written = read_numbers(GOLDEN / f'g_use_bias/model/conv{number}-bias.txt')
        assert len(bias) == written[0]
        np.testing.assert_allclose(bias, written[1:], rtol=0, atol=2e-5)


@pytest.mark.parametrize('case', ['a_keep_all', 'f_per_image_cap', 'h_3d'])
def test_every_kernel_is_the_patch_at_its_voxel(learned, case):
    images, markers, (block, *_) = learned[case]
    bank, spec, images = block.bank, block.spec, list(images.values())
    for kernel, weights in enumerate(kernels_to_patches(bank.weights)):
        voxel, marker_set = bank.voxels[kernel], markers[bank.images[kernel]]
        image = normalize(images[bank.images[kernel]], block.normalization)
        size, dilation = (spec.axes(name, bank.ndim) for name in ('kernel_size', 'dilation'))
        patch = gather_patches(image, voxel[None], size, dilation)[0].numpy()
        np.testing.assert_allclose(patch / np.linalg.norm(patch), weights, rtol=0, atol=1e-4)
        (place,) = np.flatnonzero((marker_set.coordinates == voxel).all(axis=1))
        assert bank.classes[kernel] == marker_set.classes[place]
        assert bank.markers[kernel] == marker_set.markers[place]


def test_markers_are_numbered_as_components_in_raster_order():
    labels = np.random.default_rng(3).integers(0, 30, (20, 18, 16)) % 28 % 3
    voxels = np.random.default_rng(4).permutation(np.argwhere(labels))
    classes = labels[tuple(voxels.T)]
    marker_set = MarkerSet.from_points(voxels, classes, labels.shape, across_classes=True)
    components, _ = ndimage.label(labels > 0, np.ones((3, 3, 3)))
    assert np.array_equal(marker_set.markers + 1, components[tuple(voxels.T)])


def line(values, marked=None):
    """A one-row image, and one marker on its first voxels."""
    image = torch.tensor(values, dtype=torch.float32)[None, None]
    labels = np.zeros((1, len(values)), dtype=np.uint8)
    labels[0, :marked] = 1
    return image, MarkerSet.from_labels(labels, across_classes=True)


def learn_line(values, architecture, marked=None):
    image, markers = line(values, marked)
    return finish(learn_libift([image], [markers], architecture))


def test_missing_medoids_leave_kernels_of_zeros_without_origin():
    architecture = Architecture((Block(kernel_size=1, kernels_per_marker=4),))
    (block,) = learn_line([0, 0, 2, 0, 1], architecture)
    assert block.bank.weights.ravel().tolist() == [-1, 1, 1, 0]
    assert block.bank.classes.tolist() == [1, 1, 1, 0]
    assert block.bank.images.tolist() == [0, 0, 0, -1]
    assert block.bank.voxels.tolist() == [[0, 0], [0, 2], [0, 4], [-1, -1]]


def test_touching_voxels_of_two_classes_are_one_marker():
    image, _ = line([0, 1, 5, 7, 9])
    labels = np.array([[1, 1, 2, 2, 2]])
    markers = MarkerSet.from_labels(labels, across_classes=True)
    architecture = Architecture((Block(kernel_size=1, kernels_per_marker=1),))
    (block,) = finish(learn_libift([image], [markers], architecture))
    assert block.bank.voxels.tolist() == [[0, 2]]
    assert block.bank.classes.tolist() == [2]


def test_a_deviation_of_zero_does_not_divide_by_zero():
    architecture = Architecture((Block(), Block()), epsilon=0)
    for block in learn_line([3.0] * 6, architecture, marked=4):
        assert np.isfinite(block.bank.weights).all()
        assert (block.normalization.std == 1).all()


def test_one_channel_kernels_of_one_tap_can_be_reduced():
    architecture = Architecture((Block(kernel_size=1, kernels_per_marker=9, channels=2),))
    (block,) = learn_line([0, 1, 2, 3, 4], architecture)
    assert np.abs(block.bank.weights).ravel().tolist() == [1]


def pool_by_taps(features, size, spread, kind):
    """Pooling over taps that lie apart; outside counts 0, which never wins after a ReLU."""
    voxels = np.argwhere(np.ones(features.shape[1:]))
    taps = gather_patches(features, voxels, size, spread).reshape(len(voxels), -1, len(features))
    values = taps.amax(dim=1) if kind == 'max' else taps.mean(dim=1)
    return values.T.reshape(features.shape)


def test_intrinsic_atrous_spreads_kernels_and_windows_by_the_strides_before():
    first = Block(stride=(1, 2), kernels_per_marker=3)
    second = Block(stride=3, kernels_per_marker=3, pool_size=(3, 5), pooling='average')
    architecture = Architecture(
        (first, second, Block(pool_size=5, stride=9), Block()), intrinsic_atrous=True
    )
    features = torch.rand(2, 11, 17, generator=torch.Generator().manual_seed(0))
    labels = np.zeros((11, 17), dtype=np.uint8)
    labels[3:6, 2:9] = 1
    markers = MarkerSet.from_labels(labels, across_classes=True)
    learned = finish(learn_libift([features], [markers], architecture))
    spreads = (1, 1), (1, 2), (3, 6)
    for block, later, spread in zip(learned[:3], learned[1:], spreads, strict=True):
        weights, bias = (torch.tensor(a) for a in (block.bank.weights, block.bank.bias))
        features = activate(
            convolve(normalize(features, block.normalization), weights, bias, spread)
        )
        features = pool_by_taps(
            features, block.spec.axes('pool_size', 2), spread, block.spec.pooling
        )
        mean = features[:, labels == 1].mean(dim=1)
        np.testing.assert_allclose(later.normalization.mean, mean, rtol=0, atol=1e-4)


def test_intrinsic_atrous_may_spread_windows_wider_than_the_image():
    blocks = Block(stride=9, kernels_per_marker=2), Block(pooling='average', stride=9)
    architecture = Architecture((*blocks, Block()), intrinsic_atrous=True)
    learned = learn_line(list(np.random.default_rng(0).random(12)), architecture, marked=5)
    # Only the centre tap of such a window lies inside the image.
    weights = learned[2].bank.weights
    assert np.count_nonzero(weights) == np.count_nonzero(weights[:, :, 1, 1]) > 0


def test_images_without_markers_are_passed_over():
    images, markers = golden_inputs('b_kmeans_reduce')
    architecture = read_architecture('b_kmeans_reduce', 2)
    blank = MarkerSet.from_labels(np.zeros(markers[0].shape, dtype=np.uint8))
    first, second = images.values()
    (alone,) = finish(learn_libift([first, second], markers, architecture))
    job = learn_libift([first, first, second], [markers[0], blank, markers[1]], architecture)
    (block,) = finish(job)
    assert np.array_equal(block.bank.weights, alone.bank.weights)
    assert set(alone.bank.images) == {0, 1}
    assert np.array_equal(block.bank.images, 2 * alone.bank.images)


def test_progress_is_told_for_every_image_and_block_and_ends_complete():
    images, markers = golden_inputs('a_keep_all')
    job = learn_libift(list(images.values()), markers, read_architecture('a_keep_all', 2))
    steps = []
    finish(job, steps.append)
    assert [step.done for step in steps] == list(range(1, len(steps) + 1))
    assert {step.total for step in steps} == {steps[-1].done}
    for block in (1, 2):
        assert sum(step.stage.startswith(f'block {block}: kernels') for step in steps) == 2


def test_images_without_any_marker_give_a_clear_error():
    image, _ = line([1.0, 2.0])
    blank = MarkerSet.from_labels(np.zeros((1, 2), dtype=np.uint8))
    with pytest.raises(LearningError, match='paint at least one marker'):
        finish(learn_libift([image], [blank], Architecture((Block(),))))


def test_images_and_markers_that_do_not_fit_give_a_clear_error():
    image, markers = line([1.0, 2.0])
    architecture = Architecture((Block(),))
    with pytest.raises(LearningError, match='2 images came with 1 marker set'):
        finish(learn_libift([image, image], [markers], architecture))
    with pytest.raises(LearningError, match='drawn on another image'):
        finish(learn_libift([image[..., :1]], [markers], architecture))
    with pytest.raises(LearningError, match='2 channels and the first 1'):
        two = image.repeat(2, 1, 1)
        finish(learn_libift([image, two], [markers, markers], architecture))


@pytest.mark.parametrize(
    'block', [Block(kind='separable'), Block(extra_dilations=(2,)), Block(pooling='min')]
)
def test_a_block_that_libift_does_not_know_gives_a_clear_error(block):
    image, markers = line([1.0, 2.0])
    with pytest.raises(ArchitectureError, match='Block 2'):
        finish(learn_libift([image], [markers], Architecture((Block(), block))))
