"""From images and markers to a model, step by step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_flim.delineation.area_range import learned_range, marked_sizes
from napari_flim.delineation.delineation_settings import DelineationSettings
from napari_flim.delineation.seed_settings import SeedSettings
from napari_flim.engine.architecture import Architecture, Block
from napari_flim.engine.decoder_settings import DecoderSettings
from napari_flim.engine.image import read_array
from napari_flim.engine.markers import MarkerSet
from napari_flim.engine.options import LearningOptions
from napari_flim.engine.preprocessing import InputTransform
from napari_flim.errors import ArchitectureError, FlimWarning, ImageError
from napari_flim.progress import Progress, finish
from napari_flim.training import learn_model, learn_sizes

TWO = Architecture((Block(channels=6), Block(channels=6)))


@pytest.fixture
def pair(scene):
    images = [read_array(scene.image, name='first'), read_array(scene.image[::-1], name='second')]
    labels = [scene.markers, scene.markers[::-1]]
    return images, [MarkerSet.from_labels(array) for array in labels]


@pytest.mark.parametrize('kind', ['scaled', 'libift'])
def test_images_are_read_first_and_steps_count_up_to_one_total(pair, kind: str) -> None:
    steps: list[Progress] = []
    finish(learn_model(*pair, TWO, transform=InputTransform(kind)), steps.append)
    assert [s.stage for s in steps[:2]] == ['reading image 1', 'reading image 2']
    assert 'block 1' in steps[2].stage
    assert len({s.total for s in steps}) == 1
    done = [s.done for s in steps]
    assert done == sorted(done)
    assert 1 == done[0] < done[-1] <= steps[0].total


def test_a_model_remembers_what_it_was_learned_from(pair) -> None:
    images, markers = pair
    options = LearningOptions(seed=4, representative='medoid')
    made = finish(learn_model(images, markers, TWO, options=options)).provenance
    assert made['learning']['seed'] == 4
    assert made['learning']['representative'] == 'medoid'
    assert [image['name'] for image in made['images']] == ['first', 'second']
    assert made['images'][0]['marked'] == {'1': 42, '2': 16}
    assert made['images'][0]['markers'] == 3
    assert made['images'][0]['dtype'] == 'uint8'


def test_options_have_no_part_in_learning_as_libift(pair) -> None:
    transform = InputTransform('libift')
    first, second = (
        finish(learn_model(*pair, TWO, transform=transform, options=LearningOptions(seed=s)))
        for s in (0, 1)
    )
    assert first.provenance['learning'] == {'libift': True}
    np.testing.assert_array_equal(first.blocks[1].bank.weights, second.blocks[1].bank.weights)


def test_kernels_without_classes_are_decoded_without_them(pair) -> None:
    # With more candidates than patch elements LibIFT takes principal axes, which have no class.
    reduced = Architecture((Block(channels=4, kernels_per_marker=16),))
    libift, decoder = InputTransform('libift'), DecoderSettings('label')
    with pytest.warns(FlimWarning, match='decodes with tristate'):
        model = finish(learn_model(*pair, reduced, transform=libift, decoder=decoder))
    assert model.decoder.name == 'tristate'
    assert not model.blocks[0].bank.classes.any()


def test_a_block_that_does_not_exist_is_refused_before_any_image_is_read(pair) -> None:
    job = learn_model(*pair, TWO, decoder=DecoderSettings(block=3))
    with pytest.raises(ArchitectureError, match='blocks 1 to 2'):
        next(job)


def test_no_image_gives_a_clear_error() -> None:
    with pytest.raises(ImageError, match='give at least one image'):
        finish(learn_model([], [], TWO))


def test_images_of_different_kinds_are_refused_together(pair) -> None:
    images, markers = pair
    images[1] = read_array(np.stack([images[1].data[0]] * 3, axis=-1), name='colour')
    with pytest.raises(ImageError, match='colour is read as .*RGB.*but first as'):
        finish(learn_model(images, markers, TWO))


def test_a_model_keeps_the_settings_of_delineation_it_is_given(pair) -> None:
    chosen = DelineationSettings('watershed', SeedSettings(border=1))
    model = finish(learn_model(*pair, TWO, delineation=chosen))
    assert model.delineation == chosen
    assert finish(learn_model(*pair, TWO)).delineation == DelineationSettings()


def test_the_range_of_sizes_is_that_around_the_objects_under_the_markers(pair) -> None:
    images, markers = pair
    images = [replace(image, spacing=(0.5, 2.0)) for image in images]
    usual = DelineationSettings('none', SeedSettings(border=9))
    model = finish(learn_model(images, markers, TWO, delineation=usual))
    steps: list[Progress] = []
    learned = finish(learn_sizes(model, images, markers), steps.append)
    unlimited = model.with_delineation(border=None)
    shown = []
    for image, marked in zip(images, markers, strict=True):
        labels = np.zeros(image.shape, int)
        labels[tuple(marked.coordinates.T)] = marked.classes
        shown += marked_sizes(unlimited.segment(image), labels, image.spacing).tolist()
    assert len(shown) == 2
    assert learned.delineation.seeds.sizes == learned_range(shown)
    assert learned.delineation.seeds.border == 9
    assert [step.done for step in steps] == [0, 1]


def test_without_an_object_in_the_saliency_there_is_no_limit_of_size(pair) -> None:
    images, markers = pair
    model = finish(learn_model(*pair, TWO)).with_delineation(threshold=1.0)
    assert finish(learn_sizes(model, images, markers)).delineation.seeds.sizes is None
