"""Crops around markers give what the whole image gives."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_flim.engine import crops as crops_module
from napari_flim.engine.architecture import PRESETS, Architecture, Block
from napari_flim.engine.encoder import BlockModule
from napari_flim.engine.image import read_array
from napari_flim.engine.input_features import input_features
from napari_flim.engine.learning import learn_encoder, learning_crops
from napari_flim.engine.marked_regions import MarkedRegions, read_regions
from napari_flim.engine.markers import MarkerSet
from napari_flim.engine.options import LearningOptions
from napari_flim.engine.preprocessing import InputTransform
from napari_flim.errors import MarkerError
from napari_flim.progress import finish

SHAPES = {2: (230, 260), 3: (17, 150, 164)}
STRIDED = Architecture(
    (
        Block(kernel_size=5, dilation=2, channels=7, pool_size=5, stride=3),
        Block(dilation=(1, 2, 3), channels=6, pooling='average', stride=(1, 1, 2)),
        Block(channels=5, pooling='none', stride=4),
        Block(channels=4, pooling='min', activation='none'),
    )
)
ARCHITECTURES = {**PRESETS, 'strided': STRIDED}


@pytest.fixture(autouse=True)
def crops_pay_on_small_images(monkeypatch):
    monkeypatch.setattr(crops_module, 'OVERHEAD', 1)
    monkeypatch.setattr(crops_module, 'WHOLE', 1.5)


def scene(ndim, seed=0, channels=1):
    """Noise with blobs, and strokes in corners, at borders, across blobs, and one long one."""
    rng = np.random.default_rng(seed)
    shape = SHAPES[ndim]
    values = rng.normal(100, 12, (channels, *shape))
    labels = np.zeros(shape, np.uint8)
    plane = labels if ndim == 2 else labels[shape[0] // 2]
    rows, columns = plane.shape
    plane[0:3, 0:9] = 1
    plane[rows - 2 :, columns - 12 :] = 1
    if ndim == 2:
        diagonal = np.arange(rows // 2)
        plane[diagonal + rows // 4, diagonal + columns // 3] = 1
    for place in ((rows // 3, 0), (rows - 14, columns // 2), (0, columns - 21))[ndim - 2 :]:
        box = tuple(slice(start, start + 12) for start in place)
        values[(slice(None), *([slice(None)] * (ndim - 2)), *box)] += 70 + 30 * rng.random()
        plane[box[0].start + 4 : box[0].start + 6, box[1].start + 2 : box[1].start + 9] = 2
    return np.clip(values, 0, 255).astype(np.uint8), MarkerSet.from_labels(labels)


def image_of(values, ndim, name='image'):
    return read_array(values, 'C' + 'ZYX'[-ndim:], name=name)


def both(pairs, architecture, options=None, transform=None, **given):
    """What is learned from whole images, and from crops."""
    options, transform = options or LearningOptions(), transform or InputTransform('scaled')
    images, markers = zip(*pairs, strict=True)
    measured = given.get('statistics_markers') or markers
    parts = []
    for image, drawn in zip(images, zip(markers, measured, strict=True), strict=True):
        halo = transform.halo(image.spacing)
        crops = learning_crops(drawn, architecture, options, given.get('start', ()), halo)
        assert len(crops) > 1
        parts.append(read_regions(transform, image, crops))
    whole = [input_features(transform, image) for image in images]
    return tuple(
        finish(learn_encoder(inputs, markers, architecture, options, **given))
        for inputs in (whole, parts)
    )


def assert_alike(whole, parts, first=1):
    for number, (one, other) in enumerate(zip(whole, parts, strict=True), start=first):
        if number == 1:
            np.testing.assert_array_equal(one.normalization.mean, other.normalization.mean)
            np.testing.assert_array_equal(one.bank.weights, other.bank.weights)
        longest = max(1.0, np.abs(one.bank.weights).max())
        np.testing.assert_allclose(one.bank.weights, other.bank.weights, atol=1e-6 * longest)
        np.testing.assert_allclose(one.normalization.std, other.normalization.std, rtol=1e-5)
        for name in ('classes', 'images', 'markers', 'voxels'):
            np.testing.assert_array_equal(getattr(one.bank, name), getattr(other.bank, name))


@pytest.mark.parametrize('method', ['cluster', 'bofp'])
@pytest.mark.parametrize('name', [*PRESETS, 'strided'])
def test_kernels_of_crops_are_those_of_the_image(name, method):
    values, markers = scene(2)
    options = LearningOptions(method=method)
    assert_alike(*both([(image_of(values, 2), markers)], ARCHITECTURES[name], options))


@pytest.mark.parametrize('method', ['cluster', 'bofp'])
@pytest.mark.parametrize('name', ['small', 'deep', 'strided'])
def test_kernels_of_crops_of_a_volume_are_those_of_the_volume(name, method):
    values, markers = scene(3)
    options = LearningOptions(method=method)
    assert_alike(*both([(image_of(values, 3), markers)], ARCHITECTURES[name], options))


@pytest.mark.parametrize(
    'options',
    [
        LearningOptions(representative='medoid', consensus='class', object_share=0.5),
        LearningOptions(statistics='image', consensus='kmeans'),
        LearningOptions(statistics='coordinate', consensus='pca', seed=7),
    ],
)
def test_several_crops_are_one_image_of_several(options):
    architecture = Architecture(
        (Block(channels=9, stride=2), Block(channels=8, kernels_per_image=7))
    )
    pairs = [
        (image_of(values, 2), markers)
        for values, markers in (scene(2, seed=seed, channels=2) for seed in (3, 4))
    ]
    whole, parts = both(pairs, architecture, options)
    assert_alike(whole, parts)


def test_features_of_several_scales_are_read_with_their_own_halo():
    values, markers = scene(2)
    transform = InputTransform('multiscale', scales=(1.0, 3.0))
    architecture = Architecture((Block(channels=6), Block(channels=6)))
    whole, parts = both([(image_of(values, 2), markers)], architecture, transform=transform)
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one.bank.weights, other.bank.weights, atol=1e-5)
        np.testing.assert_array_equal(one.bank.voxels, other.bank.voxels)


def test_blocks_that_stay_and_markers_for_statistics_count_for_what_is_read():
    values, markers = scene(2)
    elsewhere = MarkerSet.from_points(
        np.array([[200, 30], [12, 200]]), np.array([1, 2]), (230, 260)
    )
    first = Architecture((Block(dilation=9, channels=5, stride=2),))
    start = finish(
        learn_encoder(
            [input_features(InputTransform('scaled'), image_of(values, 2))], [markers], first
        )
    )
    architecture = Architecture((Block(channels=5), Block(channels=5)))
    given = {'start': start, 'statistics_markers': [elsewhere]}
    whole, parts = both([(image_of(values, 2), markers)], architecture, **given)
    assert whole[0] is parts[0] is start[0]
    assert_alike(whole[1:], parts[1:], first=2)


@pytest.mark.parametrize('name', ['small', 'wide', 'deep', 'strided'])
def test_encoded_crops_hold_the_patches_of_the_encoded_image(name):
    values, markers = scene(2)
    image, architecture = image_of(values, 2), ARCHITECTURES[name]
    transform = InputTransform('scaled')
    blocks = finish(learn_encoder([input_features(transform, image)], [markers], architecture))
    whole = MarkedRegions.whole(input_features(transform, image))
    parts = read_regions(transform, image, learning_crops([markers], architecture))
    for number, block in enumerate(blocks):
        assert parts.shape == whole.shape
        grid = markers.on_grid(whole.stride, whole.shape)
        size, dilation = (block.spec.axes(n, 2) for n in ('kernel_size', 'dilation'))
        given = (grid.coordinates, size, dilation, block.normalization)
        expected, found = whole.patches(*given).numpy(), parts.patches(*given).numpy()
        if number == 0:
            np.testing.assert_array_equal(found, expected)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
        cells = grid.coordinates
        np.testing.assert_allclose(parts.values(cells), whole.values(cells), rtol=1e-4, atol=1e-5)
        whole, parts = (regions.encoded(BlockModule(block)) for regions in (whole, parts))


def test_a_smaller_halo_would_give_other_kernels(monkeypatch):
    values, markers = scene(2)
    monkeypatch.setattr(Architecture, 'halo', lambda self, ndim, block=None: (3,) * ndim)
    whole, parts = both([(image_of(values, 2), markers)], PRESETS['small'])
    assert np.abs(whole[2].bank.weights - parts[2].bank.weights).max() > 1e-3


def test_crops_are_read_and_nothing_else():
    values, markers = scene(2)
    image = image_of(values, 2)
    crops = learning_crops([markers], PRESETS['small'])
    spoiled = values.copy()
    unread = np.ones(image.shape, bool)
    for crop in crops:
        unread[crop.read] = False
    assert unread.mean() > 0.5
    spoiled[:, unread] = 255
    transform = InputTransform('window', window=(0, 255))
    first, second = (
        finish(
            learn_encoder(
                [read_regions(transform, image_of(array, 2), crops)], [markers], PRESETS['small']
            )
        )
        for array in (values, spoiled)
    )
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.bank.weights, other.bank.weights)


def test_an_image_without_markers_gives_no_kernel_and_is_hardly_read():
    values, markers = scene(2)
    empty = MarkerSet.from_labels(np.zeros((230, 260), np.uint8))
    crops = [learning_crops([drawn], PRESETS['small']) for drawn in (markers, empty)]
    transform = InputTransform('scaled')
    parts = [read_regions(transform, image_of(values, 2), one) for one in crops]
    assert parts[1].features[0].numel() < 400
    alone = finish(learn_encoder(parts[:1], [markers], PRESETS['small']))
    assert_alike(alone, finish(learn_encoder(parts, [markers, empty], PRESETS['small'])))


def test_other_markers_than_those_the_crops_were_made_for_are_refused():
    values, markers = scene(2)
    parts = read_regions(
        InputTransform('scaled'), image_of(values, 2), learning_crops([markers], PRESETS['small'])
    )
    other = MarkerSet.from_points(np.array([[200, 30], [12, 200]]), np.array([1, 2]), (230, 260))
    with pytest.raises(MarkerError, match='lies outside the crops'):
        finish(learn_encoder([parts], [other], PRESETS['small']))


def test_only_whole_images_are_watched():
    values, markers = scene(2)
    features = input_features(InputTransform('scaled'), image_of(values, 2))
    crops = learning_crops([markers], PRESETS['small'])
    parts = read_regions(InputTransform('scaled'), image_of(values, 2), crops)
    seen = []

    def watch(image, block, channels):
        seen.append((image, block, tuple(channels.shape[1:])))

    job = learn_encoder([parts, features], [markers, markers], PRESETS['small'], watch=watch)
    finish(job)
    assert seen == [(1, 1, (230, 260)), (1, 2, (230, 260))]


def test_whole_regions_are_the_image():
    features = torch.zeros(3, 8, 9)
    regions = MarkedRegions.whole(features)
    assert regions.complete
    assert regions.shape == regions.size == (8, 9)
    assert not replace(regions, crops=regions.crops * 2).complete
