from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from napari_flim.engine.architecture import PRESETS, Architecture, Block
from napari_flim.engine.encoder import Encoder
from napari_flim.engine.kernels import KernelBank
from napari_flim.engine.learning import learn_block, learn_encoder, measure
from napari_flim.engine.marked_regions import MarkedRegions
from napari_flim.engine.markers import MarkerSet
from napari_flim.engine.options import LearningOptions
from napari_flim.engine.patches import gather_patches
from napari_flim.errors import FlimWarning, LearningError, MarkerError
from napari_flim.progress import finish

TWO = Architecture((Block(channels=10, stride=2), Block(channels=8)))
MEDOIDS = LearningOptions(representative='medoid')


def marked(shape=(40, 50), seed=0, classes=(1, 2), channels=2):
    """A noisy image with a bright textured square for each object class, and its markers."""
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(channels, *shape)) * 0.3
    labels = np.zeros(shape, np.uint8)
    for number in classes:
        place = tuple(slice(4 + 9 * (number - 1), 11 + 9 * (number - 1)) for _ in shape)
        if number > 1:
            image[(slice(None), *place)] += number + rng.normal(size=labels[place].shape)
        inner = tuple(slice(s.start + 1, s.stop - 1) for s in place)
        labels[inner] = number
    return torch.from_numpy(image.astype(np.float32)), MarkerSet.from_labels(labels)


def two_images(**options):
    pairs = [marked(seed=seed, **options) for seed in range(2)]
    return [p[0] for p in pairs], [p[1] for p in pairs]


def same_bits(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert one.spec == other.spec
        for name in ('mean', 'std'):
            a, b = getattr(one.normalization, name), getattr(other.normalization, name)
            assert a.tobytes() == b.tobytes()
        for field in fields(KernelBank):
            a, b = getattr(one.bank, field.name), getattr(other.bank, field.name)
            assert a.dtype == b.dtype
            assert a.tobytes() == b.tobytes()


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def flat(weights):
    return np.moveaxis(weights, 1, -1).reshape(len(weights), -1)


@pytest.mark.parametrize(
    'options',
    [
        LearningOptions(),
        MEDOIDS,
        LearningOptions(method='bofp'),
        LearningOptions(consensus='pca'),
        LearningOptions(consensus='class', statistics='coordinate', object_share=0.5),
    ],
)
def test_two_runs_give_the_same_bits(options):
    inputs, markers = two_images()
    first, second = (finish(learn_encoder(inputs, markers, TWO, options)) for _ in range(2))
    same_bits(first, second)


def test_the_first_block_is_the_same_on_one_and_two_threads():
    # Later blocks read activations, whose last bits torch's convolution ties to its threads.
    inputs, markers = two_images(shape=(90, 110))
    architecture = Architecture(TWO.blocks[:1])
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            with threadpool_limits(threads):
                results.append(finish(learn_encoder(inputs, markers, architecture)))
    finally:
        torch.set_num_threads(before)
    same_bits(*results)


def test_another_seed_gives_other_kernels():
    inputs, markers = two_images()
    first, second = (
        finish(learn_encoder(inputs, markers, TWO, LearningOptions(seed=s))) for s in (0, 1)
    )
    assert not np.array_equal(first[0].bank.weights, second[0].bank.weights)


@pytest.mark.parametrize('shape', [(40, 50), (22, 24, 26)])
def test_learning_leaves_the_images_as_they_were(shape):
    image, markers = marked(shape)
    before = image.clone()
    blocks = finish(learn_encoder([image], [markers], TWO))
    assert torch.equal(image, before)
    assert blocks[0].bank.weights.shape[1:] == (2, *(3,) * len(shape))
    assert blocks[1].bank.weights.shape[1] == len(blocks[0].bank)
    np.testing.assert_allclose(np.linalg.norm(flat(blocks[1].bank.weights), axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize('shape', [(40, 50), (22, 24, 26)])
@pytest.mark.parametrize('channels', [6, 100])
def test_a_kernel_is_the_patch_at_the_voxel_it_names(shape, channels):
    pairs = [marked(shape, seed) for seed in range(2)]
    inputs, markers = zip(*pairs, strict=True)
    spec = Block(channels=channels, dilation=2)
    block = finish(learn_block(inputs, markers, spec, MEDOIDS))
    bank, ndim = block.bank, len(shape)
    for index in range(len(bank)):
        source = int(bank.images[index])
        voxel = bank.voxels[index][None]
        patch = gather_patches(
            inputs[source], voxel, (3,) * ndim, (2,) * ndim, block.normalization
        ).numpy()
        np.testing.assert_allclose(unit(patch), flat(bank.weights[index][None]), atol=1e-6)
        at = (markers[source].coordinates == voxel).all(axis=1)
        assert markers[source].classes[at].tolist() == [bank.classes[index]]
        assert markers[source].markers[at].tolist() == [bank.markers[index]]


def test_another_marker_far_away_leaves_the_kernels_of_the_others():
    image, markers = marked()
    extended = np.zeros((40, 50), np.uint8)
    extended[tuple(markers.coordinates.T)] = markers.classes
    extended[0:3, 40:48] = 1
    spec = Block(channels=100)
    few, more = (
        finish(learn_block([image], [m], spec, statistics_markers=[markers]))
        for m in (markers, MarkerSet.from_labels(extended))
    )
    old = {tuple(v): w.tobytes() for v, w in zip(few.bank.voxels, few.bank.weights, strict=True)}
    new = {tuple(v): w.tobytes() for v, w in zip(more.bank.voxels, more.bank.weights, strict=True)}
    assert len(new) == len(old) + spec.kernels_per_marker
    assert old.items() <= new.items()


def test_learning_on_from_a_block_equals_learning_all():
    inputs, markers = two_images()
    architecture = Architecture((*TWO.blocks, Block(channels=6, kernel_size=5)))
    whole = finish(learn_encoder(inputs, markers, architecture))
    for kept in (1, 2, 3):
        job = learn_encoder(inputs, markers, architecture, start=whole[:kept])
        same_bits(finish(job), whole)


def test_blocks_that_stay_are_taken_as_they_are():
    inputs, markers = two_images()
    first = finish(learn_encoder(inputs, markers, TWO))[0]
    pruned = replace(first, bank=first.bank.keep([0, 1, 2]))
    result = finish(learn_encoder(inputs, markers, TWO, start=[pruned]))
    assert result[0] is pruned
    assert result[1].bank.weights.shape[1] == 3


def test_blocks_that_stay_keep_their_own_stride():
    inputs, markers = two_images()
    whole = finish(learn_encoder(inputs, markers, TWO))
    other = Architecture((Block(stride=1), TWO.blocks[1]))
    same_bits(finish(learn_encoder(inputs, markers, other, start=whole[:1])), whole)


def test_progress_counts_up_to_the_announced_total():
    inputs, markers = two_images()
    steps = []
    finish(learn_encoder(inputs, markers, TWO), steps.append)
    assert {step.total for step in steps} == {6}
    assert [step.done for step in steps] == [1, 2, 3, 4, 5, 6]
    assert steps[0].stage == 'block 1: kernels of image 1'


@pytest.mark.parametrize('steps', [0, 1, 3, 5])
def test_learning_can_be_stopped_half_way_and_repeated(steps):
    inputs, markers = two_images()
    before = [x.clone() for x in inputs]
    job = learn_encoder(inputs, markers, TWO)
    for _ in range(steps):
        next(job)
    job.close()
    assert all(torch.equal(x, b) for x, b in zip(inputs, before, strict=True))
    with pytest.raises(StopIteration):
        next(job)
    same_bits(*(finish(learn_encoder(x, markers, TWO)) for x in (inputs, before)))


@pytest.mark.parametrize('classes', [(1,), (2,), (2, 3)])
def test_markers_of_one_kind_only_give_a_clear_error(classes):
    image, markers = marked(classes=classes)
    missing = 'object' if classes == (1,) else 'background'
    with pytest.raises(MarkerError, match=missing):
        finish(learn_encoder([image], [markers], TWO))


def test_no_marker_at_all_gives_a_clear_error():
    image, _ = marked()
    empty = MarkerSet.from_labels(np.zeros((40, 50), int))
    with pytest.raises(MarkerError, match='No voxel is marked'):
        finish(learn_encoder([image], [empty], TWO))


def test_markers_of_another_shape_or_number_give_a_clear_error():
    image, markers = marked()
    with pytest.raises(MarkerError, match=r'Image 1 has shape \(39, 50\).*\(40, 50\)'):
        finish(learn_encoder([image[:, 1:]], [markers], TWO))
    with pytest.raises(MarkerError, match='2 images came with 1 marker sets'):
        finish(learn_encoder([image, image], [markers], TWO))
    with pytest.raises(MarkerError, match='at least one image'):
        finish(learn_encoder([], [], TWO))


@pytest.mark.parametrize('options', [LearningOptions(), LearningOptions(method='bofp')])
def test_an_image_without_markers_may_be_among_the_training_images(options):
    (image, unmarked), (markers, _) = two_images()
    empty = MarkerSet.from_labels(np.zeros((40, 50), int))
    alone = finish(learn_encoder([image], [markers], TWO, options))
    same_bits(finish(learn_encoder([image, unmarked], [markers, empty], TWO, options)), alone)


def test_classes_may_be_marked_on_different_images():
    inputs, markers = two_images()
    split = [markers[0].of_class(1), markers[1].of_class(2)]
    blocks = finish(learn_encoder(inputs, split, TWO))
    assert set(blocks[-1].bank.classes) == {1, 2}
    assert set(blocks[0].bank.images) == {0, 1}


def test_an_object_of_fewer_voxels_than_kernels_is_learned():
    image, markers = marked()
    one = np.concatenate(
        [np.flatnonzero(markers.classes == 1), np.flatnonzero(markers.classes == 2)[:1]]
    )
    block = finish(learn_block([image], [markers.select(one)], Block(kernels_per_marker=9)))
    assert (block.bank.classes == 2).sum() == 1


def test_every_object_class_has_kernels_in_every_block():
    inputs, markers = two_images(classes=(1, 2, 3))
    for consensus in ('kmeans', 'class'):
        options = LearningOptions(consensus=consensus)
        for block in finish(learn_encoder(inputs, markers, TWO, options)):
            assert set(block.bank.classes) == {1, 2, 3}


@pytest.mark.parametrize('statistics', ['channel', 'coordinate', 'image'])
def test_statistics_per_channel_measure_the_marker_voxels(statistics):
    inputs, markers = two_images()
    options = LearningOptions(statistics=statistics)
    block = finish(learn_block(inputs, markers, Block(), options, epsilon=0.5))
    values = np.concatenate(
        [x.numpy()[:, *m.coordinates.T].T for x, m in zip(inputs, markers, strict=True)]
    )
    np.testing.assert_allclose(block.normalization.mean, values.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(block.normalization.std, values.std(axis=0) + 0.5, rtol=1e-5)


@pytest.mark.parametrize('statistics', ['coordinate', 'image'])
def test_a_kernel_of_coordinate_statistics_answers_as_the_normalized_patch(statistics):
    inputs, markers = two_images()
    options = replace(MEDOIDS, statistics=statistics)
    block = finish(learn_block(inputs, markers, Block(channels=100), options))
    patches = [
        gather_patches(x, m.coordinates, (3, 3), (1, 1), block.normalization).numpy().astype(float)
        for x, m in zip(inputs, markers, strict=True)
    ]
    bank = block.bank
    for index in range(len(bank)):
        image = int(bank.images[index])
        over = patches[image] if statistics == 'image' else np.concatenate(patches)
        z = (patches[image] - over.mean(axis=0)) / (over.std(axis=0) + 0.01)
        own = (markers[image].coordinates == bank.voxels[index]).all(axis=1)
        expected = z @ unit(z[own])[0]
        answers = patches[image] @ flat(bank.weights[index][None])[0] + bank.bias[index]
        np.testing.assert_allclose(answers, expected, atol=1e-3)


def test_a_coordinate_that_never_varies_is_no_trouble_without_epsilon():
    inputs, markers = two_images()
    constant = [torch.cat([x, torch.full((1, 40, 50), 3.0)]) for x in inputs]
    architecture = Architecture((Block(channels=6),), epsilon=0.0)
    for options in (LearningOptions(statistics='coordinate'), LearningOptions(consensus='pca')):
        bank = finish(learn_encoder(constant, markers, architecture, options))[0].bank
        assert np.isfinite(bank.weights).all()


def test_the_object_share_moves_the_statistics_towards_the_objects():
    inputs, markers = two_images()
    regions = [MarkedRegions.whole(x) for x in inputs]
    means = {share: measure(regions, markers, 0.01, share).mean.mean() for share in (0.1, 0.5, 0.9)}
    assert means[0.1] < means[0.5] < means[0.9]
    block = finish(learn_block(inputs, markers, Block(), LearningOptions(object_share=0.9)))
    assert block.normalization.mean.mean() == means[0.9]


def test_statistics_markers_serve_the_statistics_only():
    inputs, markers = two_images()
    others = [m.of_class(2) for m in markers]
    job = learn_block(inputs, markers, Block(), statistics_markers=others)
    block = finish(job)
    regions = [MarkedRegions.whole(x) for x in inputs]
    expected = measure(regions, others, 0.01).mean
    np.testing.assert_array_equal(block.normalization.mean, expected)
    assert set(block.bank.classes) == {1, 2}


def test_principal_kernels_are_orthogonal():
    inputs, markers = two_images()
    options = LearningOptions(consensus='pca')
    block = finish(learn_block(inputs, markers, Block(channels=5), options))
    rows = flat(block.bank.weights).astype(np.float64)
    np.testing.assert_allclose(rows @ rows.T, np.eye(5), atol=1e-5)


@pytest.mark.parametrize('representative', ['centroid', 'medoid'])
def test_kernels_name_a_marked_voxel_in_the_image(representative):
    inputs, markers = two_images()
    options = LearningOptions(representative=representative)
    for block in finish(learn_encoder(inputs, markers, TWO, options)):
        bank = block.bank
        marked_voxels = [{tuple(v) for v in m.coordinates.tolist()} for m in markers]
        for image, voxel in zip(bank.images, bank.voxels.tolist(), strict=True):
            # Cells of the second block are two voxels wide.
            near = {(y, x) for y, x in marked_voxels[image]}
            assert any(abs(voxel[0] - y) <= 1 and abs(voxel[1] - x) <= 1 for y, x in near)


def test_feature_points_become_one_kernel_each_with_every_class():
    inputs, markers = two_images(classes=(1, 2, 3))
    architecture = Architecture((Block(channels=4), Block(channels=4)))
    blocks = finish(learn_encoder(inputs, markers, architecture, LearningOptions(method='bofp')))
    # On each of two images one point of the background and three of each object.
    for block in blocks:
        assert len(block.bank) == 2 * (1 + 3 + 3)
        assert np.bincount(block.bank.classes).tolist() == [0, 2, 6, 6]
    assert np.array_equal(blocks[0].bank.voxels, blocks[1].bank.voxels)


def test_constant_images_give_a_clear_error():
    _, markers = marked()
    for epsilon in (0.01, 0.0):
        architecture = Architecture((Block(),), epsilon=epsilon)
        with pytest.raises(LearningError, match='look'):
            finish(learn_encoder([torch.full((2, 40, 50), 3.0)], [markers], architecture))


def test_a_channel_that_is_constant_gives_a_warning():
    image, markers = marked()
    image[1] = 7.0
    with pytest.warns(FlimWarning, match=r'Channels \[1\] that block 1 reads are constant'):
        finish(learn_encoder([image], [markers], Architecture((Block(),))))


def test_numbers_that_are_not_finite_far_from_markers_change_nothing():
    image, markers = marked()
    spoiled = image.clone()
    spoiled[:, 35, 3], spoiled[:, 30, 45] = float('nan'), float('inf')
    first, second = (finish(learn_block([x], [markers], Block())) for x in (image, spoiled))
    same_bits([first], [second])


@pytest.mark.filterwarnings('ignore:invalid value encountered')
@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_numbers_that_are_not_finite_under_a_marker_give_a_clear_error(value):
    image, markers = marked()
    image[0, 6, 6] = value
    with pytest.raises(LearningError):
        finish(learn_encoder([image], [markers], TWO))


@pytest.mark.filterwarnings('ignore:Channels:napari_flim.errors.FlimWarning')
@pytest.mark.parametrize('name', PRESETS)
def test_an_image_smaller_than_the_receptive_field_is_learned(name):
    rng = np.random.default_rng(0)
    image = torch.from_numpy(rng.normal(size=(1, 6, 7)).astype(np.float32))
    labels = np.zeros((6, 7), int)
    labels[0:2, 0:3], labels[4:6, 4:7] = 1, 2
    strides_one = [replace(block, stride=1) for block in PRESETS[name].blocks]
    architecture = Architecture(tuple(strides_one))
    assert min(architecture.receptive_field(2)) > 6
    blocks = finish(learn_encoder([image], [MarkerSet.from_labels(labels)], architecture))
    output = Encoder(blocks).activations(image, [len(architecture)])[0]
    assert output.shape[1:] == (6, 7)
    assert torch.isfinite(output).all()


def test_a_stride_larger_than_the_image_serves_one_block_but_not_two():
    image, markers = marked()
    first = Block(stride=60)
    blocks = finish(learn_encoder([image], [markers], Architecture((first,))))
    assert Encoder(blocks).activations(image, [1])[0].shape[1:] == (1, 1)
    with pytest.raises(LearningError, match='smaller strides|at least one marker'):
        finish(learn_encoder([image], [markers], Architecture((first, Block()))))


def test_one_block_alone_has_no_feature_points():
    inputs, markers = two_images()
    with pytest.raises(LearningError, match="method 'bofp'; use learn_encoder"):
        finish(learn_block(inputs, markers, Block(), LearningOptions(method='bofp')))
