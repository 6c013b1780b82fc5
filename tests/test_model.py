"""A model is edited, saved and applied as a whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.io import imsave

import napari_flim as flim
from napari_flim.delineation.area_range import AreaRange
from napari_flim.delineation.delineate import delineate
from napari_flim.delineation.delineation_settings import DelineationSettings
from napari_flim.delineation.objects import ObjectSettings, class_map, separate_objects
from napari_flim.delineation.seed_settings import SeedSettings
from napari_flim.engine.architecture import architecture_to_dict
from napari_flim.engine.decoder_settings import DecoderSettings
from napari_flim.engine.image import read_array
from napari_flim.engine.kernels import KernelBank
from napari_flim.engine.markers import MarkerSet
from napari_flim.engine.options import LearningOptions
from napari_flim.engine.preprocessing import InputTransform
from napari_flim.errors import (
    DecoderError,
    DelineationError,
    FileError,
    FlimWarning,
    ImageError,
    KernelError,
)
from napari_flim.io.model_file import blocks_to_tensors, write_model_file
from napari_flim.model import FlimModel, settings_of
from napari_flim.model_loading import model_from_settings
from napari_flim.progress import finish
from napari_flim.training import learn_model

TINY = flim.Architecture((flim.Block(channels=6), flim.Block(channels=6)))
SQUARES = {2: (8, 8, 0), 4: (8, 30, 2)}
"""Row, column and colour of a square of each object class."""


@pytest.fixture
def model(scene) -> FlimModel:
    return flim.learn(scene.image, scene.markers)


def coloured(*classes: int) -> np.ndarray:
    """A dark noisy picture with a coloured square for each class."""
    image = np.random.default_rng(0).normal(90, 5, (48, 48, 3))
    for number in classes:
        row, column, colour = SQUARES[number]
        image[row : row + 12, column : column + 12, colour] += 120
    return np.clip(image, 0, 255).astype(np.uint8)


def painted(*classes: int) -> np.ndarray:
    """Markers of the background, and inside the square of each class."""
    markers = np.zeros((48, 48), np.uint8)
    markers[30:36, 8:20] = 1
    for number in classes:
        row, column, _ = SQUARES[number]
        markers[row + 4 : row + 8, column + 4 : column + 8] = number
    return markers


def test_an_edited_bank_of_the_last_block_is_used_at_once(model, scene) -> None:
    bank = model.blocks[2].bank
    edited = model.with_bank(3, bank.invert(range(len(bank))))
    assert len(edited.blocks) == 3
    assert (edited.activations(scene.image) != model.activations(scene.image)).any()
    assert model.blocks[2].bank is bank


def test_blocks_after_an_edited_bank_are_removed_with_a_warning(model, scene) -> None:
    bank = model.blocks[0].bank
    with pytest.warns(FlimWarning, match='Blocks 2 to 3 .* are removed; learn them again'):
        edited = model.with_bank(1, bank.drop([0]))
    assert len(edited.blocks) == len(edited.architecture) == 1
    assert edited.activations(scene.image).shape[0] == len(bank) - 1
    again = flim.learn(scene.image, scene.markers, start=edited.blocks)
    assert again.blocks[0] is edited.blocks[0]
    assert [b.bank.weights.shape[1] for b in again.blocks[1:]] == [
        len(b.bank) for b in again.blocks[:2]
    ]


def test_a_decoder_of_a_removed_block_decodes_the_last_one_left(model, scene) -> None:
    decoding_3 = model.with_decoder(block=3)
    with pytest.warns(FlimWarning, match='Blocks 3 to 3'):
        edited = decoding_3.with_bank(2, model.blocks[1].bank)
    assert edited.decoded_block == 2
    with pytest.warns(FlimWarning, match='Blocks 3 to 3'):
        kept = model.with_decoder(block=1).with_bank(2, model.blocks[1].bank)
    assert kept.decoded_block == 1
    assert edited.saliency(scene.image).shape == scene.image.shape


def test_reordered_kernels_give_reordered_channels_and_the_same_objects(model, scene) -> None:
    bank = model.blocks[2].bank
    order = np.random.default_rng(0).permutation(len(bank))
    reordered = model.with_bank(3, bank.keep(order))
    before, after = (m.activations(scene.image) for m in (model, reordered))
    np.testing.assert_allclose(after, before[order], atol=1e-4)
    np.testing.assert_array_equal(reordered.segment(scene.image), model.segment(scene.image))


def test_reordering_an_earlier_block_also_removes_what_read_it(model) -> None:
    bank = model.blocks[1].bank
    with pytest.warns(FlimWarning, match='Blocks 3 to 3'):
        edited = model.with_bank(2, bank.keep(range(len(bank))[::-1]))
    assert len(edited.blocks) == 2


@pytest.mark.parametrize('shape', [(4, 1, 5, 5), (4, 2, 3, 3), (4, 1, 3, 3, 3)])
def test_kernels_of_another_geometry_are_refused_with_both_shapes(model, shape) -> None:
    bank = KernelBank.from_weights(np.ones(shape), np.array([1, 1, 2, 2]))
    with pytest.raises(KernelError, match=r'were given for block 1, whose .*\(1, 3, 3\)'):
        model.with_bank(1, bank)


def test_a_saved_model_comes_back_with_everything(scene, tmp_path: Path) -> None:
    architecture = flim.Architecture(TINY.blocks, epsilon=0.05, intrinsic_atrous=True)
    learned = finish(
        learn_model(
            [read_array(scene.image, spacing=(2.0, 1.0), name='squares')],
            [MarkerSet.from_labels(scene.markers)],
            architecture,
            transform=InputTransform('multiscale', scales=(1.0, 3.0), percentiles=(1.0, 98.0)),
            fixed_ranges=True,
            decoder=DecoderSettings('label_balanced', block=1, ratio=0.5, band=2.0),
            options=LearningOptions(seed=np.int64(3), object_share=np.float32(0.5)),
        )
    )
    seeds = SeedSettings(0.4, smallest=20, fill_holes=False, border=1, sizes=AreaRange(3, 700.5))
    model = replace(learned, delineation=DelineationSettings('watershed', seeds, relaxation=True))
    model.save(tmp_path / 'm.flim')
    again = flim.load(tmp_path / 'm.flim')
    assert again.transform.ranges is not None
    assert again.intrinsic_atrous
    for name in ('transform', 'decoder', 'delineation', 'epsilon', 'rgb', 'channels', 'provenance'):
        assert getattr(again, name) == getattr(model, name), name
    assert again.architecture == model.architecture
    assert again.provenance['learning']['seed'] == 3
    for image in (scene.image, scene.image // 2):
        np.testing.assert_array_equal(again.saliency(image), model.saliency(image))


def test_fixed_ranges_stay_those_of_the_training_image(scene) -> None:
    own, fixed = (
        flim.learn(scene.image, scene.markers, TINY, input=name)
        for name in ('scaled', 'scaled:fixed')
    )
    dark = scene.image // 4
    assert own.input_features(dark).max() > 0.9
    assert fixed.input_features(dark).max() < 0.3


@pytest.mark.parametrize('name', ['libift', 'auto'])
def test_a_stack_with_touching_strokes_learns_what_a_list_learns(scene, name: str) -> None:
    touching = scene.markers.copy()
    touching[11:15, 15:18] = 1
    images = np.stack([scene.image, scene.image[::-1]])
    markers = np.stack([touching, touching[::-1]])
    every = flim.Architecture((flim.Block(channels=100), flim.Block(channels=100)))
    stacked = flim.learn(images, markers, every, input=name, axes='TYX')
    listed = flim.learn(list(images), list(markers), every, input=name)
    for first, second in zip(stacked.blocks, listed.blocks, strict=True):
        assert first.bank.weights.tobytes() == second.bank.weights.tobytes()
    joined = 3 if name == 'libift' else 4
    assert [i['markers'] for i in stacked.provenance['images']] == [joined, joined]


def test_statistics_markers_change_the_normalization_and_not_the_origins(scene) -> None:
    plain = flim.learn(scene.image, scene.markers, TINY)
    wide = np.where(scene.truth == 1, 2, 1)
    measured = flim.learn(scene.image, scene.markers, TINY, statistics_markers=wide)
    values = measured.input_features(scene.image)
    assert measured.blocks[0].normalization.mean == pytest.approx(float(values.mean()), rel=1e-4)
    assert measured.blocks[0].normalization.mean != plain.blocks[0].normalization.mean
    named = {tuple(v) for v in np.argwhere(scene.markers)}
    assert {tuple(v) for v in measured.blocks[0].bank.voxels} <= named


def test_classes_with_a_gap_keep_their_numbers() -> None:
    image = coloured(2, 4)
    model = flim.learn(image, painted(2, 4), TINY)
    assert model.object_classes == [2, 4]
    assert model.saliency(image).shape == (2, 48, 48)
    classes = model.class_map(image)
    assert (classes[14, 14], classes[14, 36], classes[40, 24]) == (2, 4, 1)
    assert set(np.unique(classes)) == {1, 2, 4}
    np.testing.assert_array_equal(model.segment(image) > 0, classes > 1)


def test_classes_marked_on_different_images_are_both_learned() -> None:
    images = [coloured(2), coloured(4)]
    model = flim.learn(images, [painted(2), painted(4)], TINY)
    assert model.object_classes == [2, 4]
    classes = model.class_map(coloured(2, 4))
    assert (classes[14, 14], classes[14, 36]) == (2, 4)


def test_the_maps_of_all_classes_share_one_scale() -> None:
    image = coloured(2, 4)
    model = flim.learn(image, painted(2, 4), TINY)
    together = model.class_saliency(image)
    assert (together.min(), together.max()) == (0, 1)
    alone = model.class_saliency(coloured(2))
    present, absent = alone[0, 8:20, 8:20].mean(), alone[1, 8:20, 30:42].mean()
    assert present > 0.5 > 3 * absent


def test_more_kernels_do_not_make_a_class_brighter() -> None:
    image = coloured(2, 4)
    model = flim.learn(image, painted(2, 4), TINY)
    bank = model.blocks[1].bank
    doubled = model.with_bank(2, bank.merge(bank.keep(np.flatnonzero(bank.classes == 2))))
    maps, expected = (m.class_saliency(image) for m in (doubled, model))
    # Inside its own square each class wins, whatever the mean of the others is.
    for index, column in enumerate((12, 34)):
        inside = (index, slice(12, 16), slice(column, column + 4))
        assert expected[inside].min() > 0.3
        np.testing.assert_allclose(maps[inside], expected[inside], atol=1e-4)


def test_an_absent_class_is_not_found_where_the_other_one_lies() -> None:
    model = flim.learn(coloured(2, 4), painted(2, 4), TINY)
    classes = model.class_map(coloured(2))
    assert classes[14, 14] == 2
    assert not (classes[10:18, 10:18] == 4).any()


def test_objects_are_what_delineation_makes_of_features_and_saliency(scene) -> None:
    image = read_array(coloured(2, 4), spacing=(0.5, 2.0))
    model = flim.learn(coloured(2, 4), painted(2, 4), TINY).with_delineation(smoothing=True)
    marks = painted(2, 4)
    job = delineate(
        model.input_features(image).numpy(),
        model.class_saliency(image),
        model.delineation,
        learned=model.features(image, [1]),
        spacing=(0.5, 2.0),
        classes=(2, 4),
        markers=marks,
    )
    with pytest.warns(FlimWarning, match='voxel size 0.5 x 2, but .* learned from 1 x 1'):
        found = model.delineate(image, markers=marks)
    expected = finish(job)
    np.testing.assert_array_equal(found.labels, expected.labels)
    assert found.classes == expected.classes
    assert set(found.classes) == {2, 4}


def test_forests_compare_what_block_1_has_learned_as_far_as_is_asked_for() -> None:
    model = flim.learn(coloured(2, 4), painted(2, 4), 'small')
    shares = (0.0, 0.5, 1.0)
    found = [model.with_delineation(learned_share=one).delineate(coloured(2, 4)) for one in shares]
    alone = finish(
        delineate(
            model.input_features(coloured(2, 4)).numpy(),
            model.class_saliency(coloured(2, 4)),
            model.with_delineation(learned_share=0.0).delineation,
            classes=(2, 4),
        )
    )
    np.testing.assert_array_equal(found[0].labels, alone.labels)
    assert any((one.labels != alone.labels).any() for one in found[1:])


def test_segment_and_class_map_are_those_of_the_delineated_objects(scene) -> None:
    image = coloured(2, 4)
    model = flim.learn(image, painted(2, 4), TINY)
    found = model.delineate(image)
    labels, classes = model.segment(image), model.class_map(image)
    np.testing.assert_array_equal(labels, found.labels)
    np.testing.assert_array_equal(classes, np.array((1, *found.classes))[labels])
    assert labels.flags.writeable


def test_saliency_that_is_there_already_is_not_computed_again(model, scene) -> None:
    maps = model.class_saliency(scene.image)
    expected = model.delineate(scene.image)
    found = model.delineate(scene.image, saliency=maps)
    np.testing.assert_array_equal(found.labels, expected.labels)
    assert model.delineate(scene.image, saliency=np.zeros_like(maps)).classes == ()


def test_objects_come_with_the_saliency_they_were_found_in(model, scene) -> None:
    objects, maps = finish(model.delineating(scene.image))
    np.testing.assert_array_equal(maps, model.class_saliency(scene.image))
    np.testing.assert_array_equal(objects.labels, model.segment(scene.image))
    given = np.zeros_like(maps)
    assert finish(model.delineating(scene.image, saliency=given))[1] is given


def test_delineation_tells_its_progress_and_can_be_stopped(model, scene) -> None:
    job = model.delineating(scene.image)
    steps = [next(job), next(job)]
    assert [step.stage for step in steps] == ['computing saliency', 'making seeds']
    assert steps[0].done < steps[1].done <= steps[1].total
    job.close()


def test_markers_of_another_shape_are_refused_with_both_shapes(model, scene) -> None:
    with pytest.raises(DelineationError, match=r'\(5, 5\), the saliency \(48, 48\)'):
        model.delineate(scene.image, markers=np.zeros((5, 5), np.uint8))


def test_settings_of_delineation_are_changed_by_name(model) -> None:
    changed = model.with_delineation(method='watershed', threshold=0.25, border=2)
    assert changed.delineation.method == 'watershed'
    assert (changed.delineation.seeds.threshold, changed.delineation.seeds.border) == (0.25, 2)
    assert changed.delineation.seeds.sizes == model.delineation.seeds.sizes
    with pytest.raises(DelineationError, match="no setting 'metod'; it has .*method"):
        model.with_delineation(metod='none')


OLD = {'threshold': 0.4, 'smallest': 20, 'fill_holes': False}
"""What models held of objects before there was delineation."""


def test_a_model_file_from_before_delineation_finds_what_it_found_then(tmp_path) -> None:
    image = coloured(2, 4)
    model = flim.learn(image, painted(2, 4), TINY)
    header = {**settings_of(model), 'architecture': architecture_to_dict(model.architecture)}
    del header['delineation']
    write_model_file(
        tmp_path / 'old.flim', {**header, 'objects': OLD}, blocks_to_tensors(model.blocks)
    )
    old = flim.load(tmp_path / 'old.flim')
    assert old.delineation.method == 'none'
    classes = class_map(model.class_saliency(image), [2, 4], ObjectSettings(**OLD))
    assert len(np.unique(classes)) == 3
    np.testing.assert_array_equal(old.class_map(image), classes)
    np.testing.assert_array_equal(old.segment(image), separate_objects(classes))


@pytest.mark.parametrize(('learned', 'applied'), [((1.0, 1.0), (0.5, 0.5)), ((2, 2), (1, 1))])
def test_a_range_of_sizes_in_other_units_is_mentioned(scene, learned, applied) -> None:
    model = flim.learn(scene.image, scene.markers, TINY, spacing=learned)
    with pytest.warns(FlimWarning, match='Give the voxel size'):
        model.segment(scene.image, spacing=applied)
    model.with_delineation(sizes=None).segment(scene.image, spacing=applied)


def test_a_model_says_in_one_line_what_it_is(model) -> None:
    text = repr(model)
    assert 'reads images (y, x) with 1 channel, input scaled' in text
    assert len(text) < 200


def test_a_model_whose_decoder_cannot_work_is_not_lost(model, scene, tmp_path) -> None:
    bank = model.blocks[-1].bank
    model.with_bank(3, bank.keep(np.flatnonzero(bank.classes == 1))).save(tmp_path / 'm.flim')
    again = flim.load(tmp_path / 'm.flim')
    with pytest.raises(DecoderError, match='no kernel of this block belongs to class 2'):
        again.saliency(scene.image)
    assert np.isfinite(again.with_decoder('tristate').saliency(scene.image)).all()


def test_a_file_can_be_segmented_by_its_path(model, scene, tmp_path) -> None:
    imsave(tmp_path / 'squares.png', scene.image, check_contrast=False)
    np.testing.assert_array_equal(
        model.segment(tmp_path / 'squares.png'), model.segment(scene.image)
    )
    with pytest.raises(FileError, match='nowhere'):
        model.segment(str(tmp_path / 'nowhere.png'))


def test_object_settings_of_the_model_are_used(model, scene) -> None:
    strict = model.with_delineation(threshold=0.5, smallest=10_000)
    assert model.segment(scene.image).max() == 2
    assert strict.segment(scene.image).max() == 0


def test_a_decoder_without_labels_is_refused_for_several_classes() -> None:
    image = coloured(2, 4)
    with pytest.raises(DecoderError, match='cannot tell the object classes .2, 4. apart'):
        flim.learn(image, painted(2, 4), TINY, decoder='tristate')


def test_ranges_that_do_not_fit_the_channels_are_refused(model, scene) -> None:
    wrong = replace(model, transform=replace(model.transform, ranges=((0, 1), (0, 1))))
    with pytest.raises(ImageError, match='2 intensity ranges were given for 1 channels'):
        wrong.segment(scene.image)


def test_activations_that_are_already_there_decode_to_the_same_bits(model, scene) -> None:
    features = model.input_features(scene.image)
    [channels] = model.encoder.activations(features, model.read_blocks)
    before = channels.clone()
    maps = model.decode(features, [channels], (1, 1))
    np.testing.assert_array_equal(maps, model.class_saliency(scene.image))
    maps += 1
    assert maps.flags.writeable
    assert torch.equal(channels, before)


@pytest.mark.parametrize('block', [1, 3])
def test_decoding_brings_a_subsampled_block_back_to_image_size(scene, block: int) -> None:
    specs = tuple(flim.Block(channels=6, stride=2) for _ in range(3))
    model = flim.learn(scene.image, scene.markers, flim.Architecture(specs), block=block)
    features = model.input_features(scene.image)
    channels = model.encoder.activations(features, [block])
    assert channels[0].shape[1:] == (48 // 2**block,) * 2
    maps = model.decode(features, channels, (1, 1))
    np.testing.assert_array_equal(maps[0], model.saliency(scene.image))


def test_saliency_that_is_the_same_everywhere_is_dark(model) -> None:
    channels = torch.zeros(len(model.blocks[2].bank), 20, 21)
    maps = model.decode(torch.zeros(1, 20, 21), [channels], (1, 1))
    assert maps.shape == (1, 20, 21)
    assert not maps.any()


def test_weights_set_by_hand_are_saved_and_are_not_needed_in_old_files(model, tmp_path) -> None:
    by_hand = model.with_decoder(overrides=((0, 0.0), (3, -1.5)))
    by_hand.save(tmp_path / 'm.flim')
    assert flim.load(tmp_path / 'm.flim').decoder == by_hand.decoder
    settings = settings_of(model)
    del settings['decoder']['overrides']
    again = model_from_settings(model.blocks, model.architecture, settings)
    assert again.decoder == model.decoder


def test_leaving_a_kernel_out_is_what_dropping_it_would_give(model, scene) -> None:
    left_out = model.with_decoder(overrides=((2, 0.0), (7, 0.0)))
    dropped = model.with_bank(3, model.blocks[2].bank.drop([2, 7]))
    found, expected = (m.class_saliency(scene.image) for m in (left_out, dropped))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert (found != model.class_saliency(scene.image)).any()


def test_maps_of_several_classes_are_divided_by_the_kernels_that_count() -> None:
    image = coloured(2, 4)
    model = flim.learn(image, painted(2, 4), TINY)
    kernels = model.blocks[1].bank.classes
    number = int(np.flatnonzero(kernels == max(set(kernels), key=list(kernels).count))[0])
    left_out = model.with_decoder(overrides=((number, 0.0),))
    dropped = model.with_bank(2, model.blocks[1].bank.drop([number]))
    found, expected = (m.class_saliency(image) for m in (left_out, dropped))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_weights_set_by_hand_stay_with_their_block(model) -> None:
    by_hand = model.with_decoder(overrides=((1, 0.0),))
    assert by_hand.with_decoder('tristate').decoder.overrides == ((1, 0.0),)
    assert by_hand.with_decoder(block=2).decoder.overrides == ()
    assert by_hand.with_decoder(block=2, overrides=((4, 1.0),)).decoder.overrides == ((4, 1.0),)
    edited = by_hand.with_bank(3, model.blocks[2].bank.keep(range(len(model.blocks[2].bank))[::-1]))
    assert edited.decoder.overrides == ()
    on_first = model.with_decoder(block=1, overrides=((1, 0.0),))
    assert on_first.with_bank(3, model.blocks[2].bank).decoder.overrides == ((1, 0.0),)
