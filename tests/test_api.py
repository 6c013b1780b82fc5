"""The five lines of Python that users start with."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_flim as flim
from napari_flim.delineation.delineation_settings import DelineationSettings
from napari_flim.engine.decoder_settings import DECODERS
from napari_flim.errors import (
    ArchitectureError,
    DecoderError,
    FlimError,
    FlimWarning,
    ImageError,
    LearningError,
    MarkerError,
)
from napari_flim.evaluation.overlap import dice

TINY = flim.Architecture((flim.Block(channels=4, kernels_per_marker=2), flim.Block(channels=4)))


def marked(shape: tuple[int, ...]) -> np.ndarray:
    """Markers with a block of background at one corner and of object at the other."""
    markers = np.zeros(shape, dtype=np.uint8)
    markers[tuple(slice(0, max(1, n // 3)) for n in shape)] = 1
    markers[tuple(slice(-max(1, n // 3), None) for n in shape)] = 2
    return markers


def test_five_lines_find_the_objects(scene, tmp_path) -> None:
    model = flim.learn(scene.image, scene.markers, architecture='small', decoder='mean', seed=0)
    saliency = model.saliency(scene.image)
    assert saliency.shape == scene.image.shape
    assert saliency.dtype == np.float32
    assert dice(model.segment(scene.image), scene.truth) > 0.75
    model.save(tmp_path / 'squares.flim')
    again = flim.load(tmp_path / 'squares.flim')
    np.testing.assert_array_equal(again.saliency(scene.image), saliency)


def test_sizes_are_learned_unless_delineation_is_given(scene) -> None:
    learned = flim.learn(scene.image, scene.markers, TINY)
    sizes = learned.delineation.seeds.sizes
    assert sizes.contains([100, 144]).all()
    assert not sizes.contains([scene.image.size, 2]).any()
    chosen = DelineationSettings('watershed')
    assert flim.learn(scene.image, scene.markers, TINY, delineation=chosen).delineation == chosen


def test_several_images_and_a_stack_give_the_same_model(scene) -> None:
    images = np.stack([scene.image, scene.image[::-1]])
    markers = np.stack([scene.markers, scene.markers[::-1]])
    listed = flim.learn(list(images), list(markers))
    stacked = flim.learn(images, markers, axes='TYX')
    np.testing.assert_array_equal(listed.saliency(images[0]), stacked.saliency(images[0]))


def test_every_object_class_gets_its_own_saliency_and_objects() -> None:
    rng = np.random.default_rng(0)
    image = rng.normal(0, 5, (48, 48, 3)) + 90
    image[5:17, 5:17, 0] += 120
    image[28:42, 28:42, 2] += 120
    image = np.clip(image, 0, 255).astype(np.uint8)
    markers = np.zeros((48, 48), np.uint8)
    markers[20:25, 4:12] = 1
    markers[8:12, 8:12] = 2
    markers[32:36, 32:36] = 3
    model = flim.learn(image, markers, TINY)
    assert model.object_classes == [2, 3]
    maps = model.saliency(image)
    assert maps.shape == (2, 48, 48)
    assert maps[0, 10, 10] > maps[1, 10, 10]
    assert maps[1, 34, 34] > maps[0, 34, 34]
    labels = model.segment(image)
    assert 0 < labels[10, 10] != labels[34, 34] > 0


@settings(max_examples=25, deadline=None)
@given(
    shape=st.one_of(
        st.tuples(*[st.integers(3, 17)] * 2),
        st.tuples(*[st.integers(3, 9)] * 3),
    ),
    dtype=st.sampled_from(
        ['bool', 'uint8', 'int16', 'uint16', 'int32', 'int64', 'float32', 'float64']
    ),
    seed=st.integers(0, 5),
)
def test_any_shape_and_dtype_can_be_learned_and_segmented(shape, dtype, seed) -> None:
    rng = np.random.default_rng(seed)
    high = 2 if dtype == 'bool' else 100
    image = rng.integers(0, high, size=shape).astype(dtype)
    image[tuple(slice(-max(1, n // 3), None) for n in shape)] = high - 1
    axes = 'ZYX'[-len(shape) :]
    try:
        model = flim.learn(image, marked(shape), TINY, axes=axes)
    except LearningError as error:
        assert 'constant' in str(error)
        return
    saliency = model.saliency(image, axes=axes)
    assert saliency.shape == shape
    assert np.isfinite(saliency).all()
    assert 0 <= saliency.min() <= saliency.max() <= 1
    assert model.segment(image, axes=axes).shape == shape


@pytest.mark.parametrize('channels', [1, 2, 5, 64])
def test_images_of_1_to_64_channels_are_read(channels: int) -> None:
    rng = np.random.default_rng(channels)
    image = rng.normal(size=(channels, 20, 21))
    image[:, -7:, -7:] += 3
    model = flim.learn(image, marked((20, 21)), TINY, axes='CYX')
    assert model.channels == channels
    assert model.saliency(image, axes='CYX').shape == (20, 21)


def test_markers_of_one_class_only_say_which_is_missing(scene) -> None:
    with pytest.raises(MarkerError, match='paint an object'):
        flim.learn(scene.image, np.where(scene.markers == 1, 1, 0))
    with pytest.raises(MarkerError, match='paint the background'):
        flim.learn(scene.image, np.where(scene.markers == 2, 2, 0))


def test_markers_of_another_shape_name_both_shapes(scene) -> None:
    with pytest.raises(MarkerError, match=r'\(48, 48\).*\(40, 48\)'):
        flim.learn(scene.image, scene.markers[:40])


def test_an_object_smaller_than_the_kernels_asked_still_has_kernels(scene) -> None:
    markers = np.where(scene.markers == 1, 1, 0)
    markers[12, 12] = 2
    model = flim.learn(scene.image, markers, 'small')
    assert all((block.bank.classes == 2).any() for block in model.blocks)


def test_a_constant_image_cannot_be_learned_from_but_can_be_segmented(scene) -> None:
    with pytest.raises(LearningError, match='constant'):
        flim.learn(np.full((48, 48), 7.0), scene.markers)
    model = flim.learn(scene.image, scene.markers)
    assert model.segment(np.full((48, 48), 7, np.uint8)).max() == 0


def test_voxels_that_are_not_numbers_count_as_dark_with_a_warning(scene) -> None:
    image = scene.image.astype(float)
    image[0, :3] = np.nan, np.inf, -np.inf
    with pytest.warns(FlimWarning, match='3 voxels that are not finite'):
        model = flim.learn(image, scene.markers)
    with pytest.warns(FlimWarning, match='not finite'):
        assert np.isfinite(model.saliency(image)).all()


def test_an_image_smaller_than_the_receptive_field_is_segmented(scene) -> None:
    model = flim.learn(scene.image, scene.markers, 'wide')
    assert model.architecture.receptive_field(2) == (57, 57)
    assert model.saliency(scene.image[:5, :3]).shape == (5, 3)


def test_strides_larger_than_the_image_are_survived(scene) -> None:
    architecture = flim.Architecture((flim.Block(stride=4), flim.Block(stride=4)))
    model = flim.learn(scene.image, scene.markers, architecture)
    assert model.saliency(scene.image[:6, :6]).shape == (6, 6)


def test_a_grey_image_is_read_by_a_colour_model_with_a_warning(scene) -> None:
    colour = np.stack([scene.image] * 3, axis=-1)
    model = flim.learn(colour, scene.markers)
    with pytest.warns(FlimWarning, match='is grey'):
        grey = model.saliency(scene.image)
    np.testing.assert_array_equal(grey, model.saliency(colour))


def test_an_image_of_another_kind_is_refused_with_both_descriptions(scene) -> None:
    model = flim.learn(scene.image, scene.markers)
    with pytest.raises(ImageError, match=r'volume of 4 x 48 x 48.*images \(y, x\)'):
        model.saliency(np.stack([scene.image] * 4))


@pytest.mark.parametrize(
    ('arguments', 'error', 'words'),
    [
        ({'architecture': 'huge'}, ArchitectureError, 'small, wide'),
        ({'decoder': 'best'}, DecoderError, 'mean, probability'),
        ({'input': 'raw'}, ImageError, 'scaled'),
        ({'axes': 'XQ'}, ImageError, 'one letter for each axis'),
        ({'block': 9}, ArchitectureError, 'blocks 1 to 3'),
    ],
)
def test_a_wrong_argument_says_what_is_allowed(scene, arguments, error, words) -> None:
    with pytest.raises(error, match=words):
        flim.learn(scene.image, scene.markers, **arguments)


@pytest.mark.parametrize('name', sorted(set(DECODERS) - {'manual'}))
def test_every_decoder_is_brighter_on_the_objects(wide_scene, name: str) -> None:
    image, truth = wide_scene.image, wide_scene.truth
    saliency = flim.learn(image, wide_scene.markers, decoder=name).saliency(image)
    assert saliency[truth == 1].mean() > saliency[truth == 0].mean() + 0.2


def test_weights_by_hand_can_repeat_the_label_decoder(scene) -> None:
    model = flim.learn(scene.image, scene.markers)
    weights = np.where(model.blocks[-1].bank.classes == 2, 1.0, -1.0)
    by_hand = model.with_decoder('manual', weights=tuple(weights)).saliency(scene.image)
    np.testing.assert_array_equal(by_hand, model.with_decoder('label').saliency(scene.image))


def test_features_of_all_blocks_have_the_size_of_the_image(scene) -> None:
    model = flim.learn(scene.image, scene.markers, 'deep')
    stack = model.features(scene.image, [1, 4], include_input=True)
    assert stack.shape == (1 + len(model.blocks[0].bank) + len(model.blocks[3].bank), 48, 48)


def test_every_error_of_ours_is_one_family() -> None:
    from napari_flim import errors

    ours = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, Exception)]
    assert all(issubclass(e, FlimError) for e in ours if e is not FlimWarning)


def test_names_that_do_not_exist_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match='lern'):
        flim.lern  # noqa: B018
    assert set(flim.__all__) <= set(dir(flim))
