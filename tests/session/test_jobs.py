"""Learning and applying as jobs: the same numbers as the Python API, and nothing left behind."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_flim.engine.architecture import Architecture, Block
from napari_flim.engine.decoder_settings import DecoderSettings
from napari_flim.engine.markers import MarkerSet
from napari_flim.engine.preprocessing import InputTransform
from napari_flim.errors import FlimError, ImageError
from napari_flim.progress import finish
from napari_flim.session.classes import FIRST_CLASSES
from napari_flim.session.items import digest_of, training_images
from napari_flim.session.jobs import LearnRequest, Target, apply, learn, learn_and_apply, slab
from napari_flim.session.kernel_edits import KernelEdits, edited_model
from napari_flim.session.learned import Origin
from napari_flim.session.settings import Settings
from napari_flim.training import learn_model

TWO = Architecture((Block(channels=6), Block(channels=5, dilation=2)))


def volume_of(scene, depth: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Every plane is another picture; the first planes are marked."""
    rng = np.random.default_rng(3)
    small = scene.image[::2, ::2].astype(float)
    data = small + rng.normal(0, 10, (depth, *small.shape)) + 2 * np.arange(depth)[:, None, None]
    markers = np.zeros(data.shape, np.uint8)
    markers[1:4] = scene.markers[::2, ::2]
    return data.clip(0, 255).astype(np.uint8), markers


def picture(kind: str, scene) -> tuple[np.ndarray, np.ndarray, str]:
    if kind == 'volume':
        return *volume_of(scene, 10), 'ZYX'
    if kind == 'RGB':
        return (
            np.stack([scene.image, scene.image[::-1], 255 - scene.image], -1),
            scene.markers,
            'YXS',
        )
    return scene.image, scene.markers, 'YX'


def request_of(items, settings: Settings, last: int = 2) -> LearnRequest:
    return LearnRequest(training_images(items, FIRST_CLASSES), settings, (), last, 0, ())


def assert_same_model(one, other) -> None:
    assert (one.transform, one.decoder, one.epsilon) == (
        other.transform,
        other.decoder,
        other.epsilon,
    )
    assert one.provenance == other.provenance
    for mine, theirs in zip(one.blocks, other.blocks, strict=True):
        assert mine.spec == theirs.spec
        for name in ('weights', 'bias', 'classes', 'images', 'markers', 'voxels'):
            np.testing.assert_array_equal(getattr(mine.bank, name), getattr(theirs.bank, name))
        for name in ('mean', 'std'):
            np.testing.assert_array_equal(
                getattr(mine.normalization, name), getattr(theirs.normalization, name)
            )


@pytest.mark.parametrize('kind', ['image', 'RGB', 'volume', 'libift'])
def test_learning_is_that_of_the_python_api_bit_for_bit(scene, make_item, kind: str) -> None:
    data, markers, axes = picture(kind, scene)
    libift = kind == 'libift'
    settings = Settings(
        replace(TWO, epsilon=0.05),
        InputTransform('libift') if libift else InputTransform(),
        fixed_ranges=kind == 'image',
        decoder=DecoderSettings('label'),
    )
    first, second = (make_item(data, markers, axes, key) for key in 'ab')
    made = finish(learn(request_of([first, second], settings)))
    images = [item.source.frame() for item in (first, second)]
    marked = [MarkerSet.from_labels(markers, across_classes=libift)] * 2
    direct = learn_model(
        images,
        marked,
        settings.architecture,
        transform=settings.transform,
        fixed_ranges=settings.fixed_ranges,
        decoder=settings.decoder,
    )
    assert_same_model(made.model, finish(direct))
    assert made.origins == (Origin('a', 0, 'image a'), Origin('b', 0, 'image b'))
    assert made.digest == digest_of(training_images([first, second], FIRST_CLASSES))
    assert made.seconds > 0


def test_a_decoder_of_a_block_that_is_not_learned_yet_reads_the_last_one(item) -> None:
    settings = Settings(TWO, decoder=DecoderSettings('label', block=2))
    assert finish(learn(request_of([item], settings, 1))).model.decoder.block == 0
    assert finish(learn(request_of([item], settings, 2))).model.decoder.block == 2


@pytest.mark.filterwarnings('ignore:.*not finite')
def test_voxels_that_are_not_finite_are_told_when_they_are_read(scene, make_item) -> None:
    image = scene.image.astype(np.float32)
    image[0, :3] = np.nan
    item = make_item(image, scene.markers)
    made = finish(learn(request_of([item], Settings(TWO))))
    words = 'image a holds 3 voxels that are not finite numbers; they are read as dark.'
    assert made.warning == words
    first = finish(apply(made.model, Target(item.source)))
    assert first.warning == words
    assert finish(apply(made.model, Target(item.source), known=[first])).warning == ''


def test_results_of_other_voxels_are_not_taken_for_those_of_a_target(item, make_item) -> None:
    model = finish(learn(request_of([item], Settings(TWO)))).model
    known = finish(apply(model, Target(item.source)))
    other = make_item(255 - item.source.data, np.zeros((48, 48), np.uint8))
    assert Target(other.source).place == known.target.place
    alone = finish(apply(model, Target(other.source)))
    again = finish(apply(model, Target(other.source), known=[known]))
    np.testing.assert_array_equal(again.saliency, alone.saliency)
    assert not np.array_equal(again.saliency, known.saliency)


def test_an_unsuitable_image_is_an_error_for_the_user(item) -> None:
    settings = Settings(TWO, transform=InputTransform('lab'))
    with pytest.raises(ImageError, match='no Lab colour'):
        finish(learn(request_of([item], settings)))


@pytest.mark.parametrize('kind', ['image', 'RGB', 'volume'])
@pytest.mark.parametrize('block', [0, 1])
def test_applying_is_class_saliency_bit_for_bit(scene, make_item, kind: str, block: int) -> None:
    data, markers, axes = picture(kind, scene)
    item = make_item(data, markers, axes)
    strided = Architecture((Block(channels=6, stride=2), TWO.blocks[1]))
    model = finish(learn(request_of([item], Settings(strided)))).model
    model = replace(model, decoder=DecoderSettings('label', block=block))
    applied = finish(apply(model, Target(item.source)))
    image = item.source.frame()
    np.testing.assert_array_equal(applied.saliency, model.class_saliency(image))
    for number, channels in enumerate(applied.activations, start=1):
        np.testing.assert_array_equal(channels.numpy(), model.activations(image, number))
    assert applied.object_classes == (2,)
    assert applied.offset == (0,) * image.ndim
    assert applied.nbytes == sum(4 * channels.numel() for channels in applied.activations)


def test_a_frame_of_a_stack_is_applied_to_like_the_image_alone(scene, learned, make_item) -> None:
    stack = make_item(np.stack([scene.image, scene.image[::-1]]), scene.markers, 'TYX')
    alone = make_item(scene.image[::-1].copy(), scene.markers)
    second = finish(apply(learned.model, Target(stack.source, frame=1)))
    single = finish(apply(learned.model, Target(alone.source)))
    np.testing.assert_array_equal(second.saliency, single.saliency)


@pytest.mark.parametrize('strides', [(1, 1), (2, 1), (2, 2)])
@pytest.mark.parametrize('kind', ['scaled', 'multiscale'])
def test_channels_around_one_plane_are_those_of_the_whole_volume(
    scene, make_item, strides: tuple[int, int], kind: str
) -> None:
    data, markers = volume_of(scene)
    item = make_item(data, markers, 'ZYX')
    blocks = tuple(replace(b, stride=s) for b, s in zip(TWO.blocks, strides, strict=True))
    transform = InputTransform(kind, scales=(1.0,))
    model = finish(learn(request_of([item], Settings(Architecture(blocks), transform)))).model
    whole = finish(apply(model, Target(item.source)))
    steps = [stride[0] for stride in model.architecture.strides(3)]
    cut = 0
    for plane in (0, 1, 3, 18, 19, 38, 39):
        part = finish(apply(model, Target(item.source, plane=plane)))
        assert part.saliency.shape == (1, 1, *data.shape[1:])
        first = part.offset[0]
        cut += part.features.shape[1] < len(data)
        assert all(first % step == 0 for step in steps)
        for step, mine, theirs in zip(steps, part.activations, whole.activations, strict=True):
            # Saliency between two pooled planes is interpolated from both.
            for cell in {plane // step, min(-(-plane // step), theirs.shape[1] - 1)}:
                np.testing.assert_allclose(
                    mine[:, cell - first // step], theirs[:, cell], rtol=1e-4, atol=1e-4
                )
    assert cut


def test_a_part_that_holds_most_of_a_volume_is_not_cut_out(scene, make_item) -> None:
    data, markers = volume_of(scene, 10)
    item = make_item(data, markers, 'ZYX')
    model = finish(learn(request_of([item], Settings(TWO)))).model
    assert slab(model, item.source.frame(), 5) == (0, 10)
    part = finish(apply(model, Target(item.source, plane=5)))
    whole = finish(apply(model, Target(item.source)))
    np.testing.assert_array_equal(part.saliency[:, 0], whole.saliency[:, 5])


def test_known_blocks_are_not_computed_again(item, learned) -> None:
    target = Target(item.source)
    first = finish(apply(learned.model, target))
    edits = KernelEdits(off=frozenset({(3, 1)}))
    edited = edited_model(learned.model, edits, DecoderSettings('label'))
    second = finish(apply(edited, target, known=(first,)))
    assert second.features is first.features
    assert all(second.activations[n] is first.activations[n] for n in (0, 1))
    fresh = finish(apply(edited, target))
    np.testing.assert_array_equal(second.saliency, fresh.saliency)
    best = finish(apply(edited, target, known=(first, second)))
    assert all(
        mine is theirs for mine, theirs in zip(best.activations, second.activations, strict=True)
    )


def test_results_of_other_voxels_are_not_taken_over(item, learned) -> None:
    first = finish(apply(learned.model, Target(item.source)))
    other = replace(item.source, data=item.source.data[::-1].copy(), revision=1)
    second = finish(apply(learned.model, Target(other), known=(first,)))
    assert second.features is not first.features
    fresh = finish(apply(learned.model, Target(other)))
    np.testing.assert_array_equal(second.saliency, fresh.saliency)


def test_a_model_of_another_input_reads_the_voxels_again(item, learned) -> None:
    first = finish(apply(learned.model, Target(item.source)))
    other = replace(learned.model, transform=InputTransform('window', window=(0.0, 255.0)))
    assert finish(apply(other, Target(item.source), known=(first,))).features is not first.features


def test_a_model_of_volumes_refuses_an_image(scene, item, make_item) -> None:
    volume = make_item(*volume_of(scene, 10), 'ZYX')
    model = finish(learn(request_of([volume], Settings(TWO)))).model
    with pytest.raises(FlimError, match='the model reads volumes'):
        finish(apply(model, Target(item.source)))


def steps_of(job) -> int:
    count = 0
    while True:
        try:
            next(job)
        except StopIteration:
            return count
        count += 1


@pytest.mark.parametrize('what', ['learn', 'apply'])
def test_a_job_that_is_stopped_at_any_step_leaves_nothing_behind(item, learned, what: str) -> None:
    held = list[weakref.ref[np.ndarray]]()

    class Lazy:
        """Voxels that are read anew each time."""

        shape, dtype, ndim = item.source.data.shape, item.source.data.dtype, 2

        def __array__(self, dtype=None, copy=None) -> np.ndarray:
            held.append(weakref.ref(array := item.source.data.copy()))
            return array

    lazy = replace(item, source=replace(item.source, data=Lazy()))

    def job():
        if what == 'learn':
            return learn(request_of([lazy], Settings(TWO)))
        return apply(learned.model, Target(lazy.source))

    before = (torch.get_rng_state().tolist(), np.random.get_state()[1].tolist())
    threads, expected = torch.get_num_threads(), finish(apply(learned.model, Target(item.source)))
    count = steps_of(job())
    assert count >= 4
    for steps in range(count + 1):
        stopped = job()
        for _ in range(steps):
            next(stopped)
        stopped.close()
        assert not torch.is_inference_mode_enabled() and torch.is_grad_enabled()
    del stopped
    gc.collect()
    assert held and all(one() is None for one in held)
    assert torch.get_num_threads() == threads
    assert before == (torch.get_rng_state().tolist(), np.random.get_state()[1].tolist())
    again = finish(apply(learned.model, Target(item.source)))
    np.testing.assert_array_equal(again.saliency, expected.saliency)


def test_nothing_is_done_before_the_first_step(item, learned) -> None:
    def unreadable(_index: int = 0):
        raise AssertionError('was read')

    source = replace(item.source)
    object.__setattr__(source, 'frame', unreadable)
    job = apply(learned.model, Target(source))
    assert next(job).stage == 'preparing'
    job.close()


def test_learning_and_applying_together_is_the_same_as_one_after_the_other(item, learned) -> None:
    request = request_of([item], learned.settings)
    target = Target(item.source)
    together, model, applied = finish(learn_and_apply(request, target, lambda made: made))
    alone = finish(apply(together.model, target))
    assert model is together.model
    np.testing.assert_array_equal(applied.saliency, alone.saliency)
    for mine, theirs in zip(applied.activations, alone.activations, strict=True):
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy())


def test_a_model_whose_decoder_cannot_work_is_not_lost(item, learned) -> None:
    def without_objects(model):
        kernels = range(len(model.blocks[-1].bank))
        return model.with_decoder('label', overrides=tuple((k, -1.0) for k in kernels))

    request = request_of([item], learned.settings)
    made, _, applied = finish(learn_and_apply(request, Target(item.source), without_objects))
    assert applied is None
    assert len(made.model.blocks) == 2
