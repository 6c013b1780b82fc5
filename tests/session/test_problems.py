"""Why learning cannot start, in words that say what to do."""

from __future__ import annotations

from dataclasses import replace

import dask.array as da
import numpy as np
import pytest

from napari_flim.engine.architecture import Architecture, Block
from napari_flim.engine.preprocessing import InputTransform
from napari_flim.session.classes import with_role
from napari_flim.session.problems import (
    INPUT_COPIES,
    STACK_BUDGETS,
    bytes_needed,
    input_problem,
    learned_whole,
    memory_problem,
    problems,
    too_large_words,
)
from napari_flim.session.session import Session
from napari_flim.session.settings import Settings

PLENTY = 2**40


def session_of(*items, **settings) -> Session:
    session = Session()
    for item in items:
        session.put_item(item)
    session.state = replace(session.state, settings=Settings(**settings))
    return session


def only(session: Session, budget: int = PLENTY) -> str:
    (problem,) = problems(session, budget)
    return problem


def test_painted_background_and_objects_are_enough(item) -> None:
    assert problems(session_of(item), PLENTY) == ()


def test_an_image_is_needed_first() -> None:
    assert 'Open an image' in only(Session())


def test_an_image_must_be_ticked(item) -> None:
    assert 'tick at least one' in only(session_of(replace(item, included=False)))
    other = replace(item, source=replace(item.source, key='b'), opened=False)
    assert 'tick at least one' in only(session_of(replace(item, included=False), other))


def test_an_image_that_is_closed_is_to_be_opened_again(item) -> None:
    text = only(session_of(replace(item, opened=False)))
    assert text == 'image a is closed; open it again, or another image.'


def test_markers_that_cannot_be_read_are_a_problem_and_not_learned_from(item) -> None:
    session = session_of(replace(item, problem='markers a holds the label 300.'))
    assert only(session) == 'markers a holds the label 300.'
    assert session.training_images() == ()
    session.include('a', False)
    assert 'tick at least one' in only(session)


def test_a_marker_layer_is_needed(item) -> None:
    assert only(session_of(replace(item, markers=None, strokes={}))) == (
        'image a has no marker layer; press "New markers".'
    )


def test_background_and_object_are_to_be_painted(item) -> None:
    assert only(session_of(replace(item, strokes={}))) == (
        'Nothing is painted yet: paint object (label 2) and background (label 1) on markers a.'
    )


@pytest.mark.parametrize(
    ('label', 'wanted'), [(1, 'object (label 2)'), (2, 'background (label 1)')]
)
def test_one_class_alone_is_not_enough(scene, make_item, label: int, wanted: str) -> None:
    painted = np.where(scene.markers == label, scene.markers, 0)
    session = session_of(make_item(scene.image, painted))
    holds = 'background' if label == 1 else 'objects'
    assert only(session) == f'markers a holds only {holds}: paint {wanted} too.'
    second = replace(make_item(scene.image, painted, key='b'), strokes={})
    session.put_item(second)
    assert only(session).startswith(f'The marker layers hold only {holds}')


def test_an_object_label_made_background_no_longer_counts_as_object(scene, make_item) -> None:
    session = session_of(make_item(scene.image, np.where(scene.markers == 2, 3, scene.markers)))
    assert problems(session, PLENTY) == ()
    session.classes = with_role(session.classes, 3, 'background')
    assert 'paint object (label 2) too' in only(session)


def test_classes_may_be_painted_on_different_images(scene, make_item) -> None:
    first = make_item(scene.image, np.where(scene.markers == 1, 1, 0))
    second = make_item(scene.image, np.where(scene.markers == 2, 2, 0), key='b')
    session = session_of(first, second)
    assert problems(session, PLENTY) == ()
    session.include('b', False)
    assert 'paint object (label 2) too' in only(session)


def test_images_of_one_model_need_the_same_axes_and_channels(scene, make_item) -> None:
    flat = make_item(scene.image, scene.markers)
    volume = make_item(np.stack([scene.image] * 3), np.stack([scene.markers] * 3), 'ZYX', 'b')
    text = only(session_of(flat, volume))
    assert 'image b is read as a volume with 1 channel' in text
    assert 'image a as an image with 1 channel' in text
    several = make_item(np.stack([scene.image] * 2), scene.markers, 'CYX', 'c')
    assert 'an image with 2 channels' in only(session_of(flat, several))
    colour = make_item(np.stack([scene.image] * 3, -1), scene.markers, 'YXS', 'd')
    assert 'an image with RGB' in only(session_of(flat, colour))


def test_images_without_strokes_may_differ(scene, make_item) -> None:
    volume = make_item(np.stack([scene.image] * 3), np.stack([scene.markers] * 3), 'ZYX', 'b')
    session = session_of(make_item(scene.image, scene.markers), replace(volume, strokes={}))
    assert problems(session, PLENTY) == ()


def test_lab_needs_colour(item) -> None:
    text = only(session_of(item, transform=InputTransform('lab')))
    assert text == 'image a is not RGB, so it has no Lab colour; choose another input.'


def test_chosen_channels_must_exist(item) -> None:
    text = only(session_of(item, transform=InputTransform('scaled', channels=(0, 2))))
    assert text == 'Channel 2 is chosen, but image a has channels 0 to 0; choose others.'


def test_sizes_of_two_axes_do_not_serve_volumes(scene, make_item) -> None:
    volume = make_item(np.stack([scene.image] * 3), np.stack([scene.markers] * 3), 'ZYX')
    text = only(session_of(volume, architecture=Architecture((Block(kernel_size=(3, 3)),))))
    assert 'kernel_size is (3, 3), but the images have 3 axes' in text


def test_memory_is_no_problem_of_learning_which_reads_crops(item, scene, make_item) -> None:
    large = make_item(np.zeros((96, 96), np.uint8), np.pad(scene.markers, (0, 48)), key='b')
    session = session_of(item, large)
    needed = bytes_needed(session.settings, large.source)
    assert problems(session, needed - 1) == ()
    assert learned_whole(session.settings, [large.source], needed)
    assert not learned_whole(session.settings, [item.source, large.source], needed - 1)


def test_libift_reads_whole_images_so_one_too_large_is_named(item, scene, make_item) -> None:
    large = make_item(np.zeros((96, 96), np.uint8), np.pad(scene.markers, (0, 48)), key='b')
    session = session_of(item, large, transform=InputTransform('libift'))
    needed = bytes_needed(session.settings, large.source)
    text = only(session, needed - 1)
    assert 'Crop image b' in text
    assert 'raise the budget' in text


def test_applying_is_refused_by_the_model_and_not_by_the_settings_chosen_since(session) -> None:
    model, source = session.learned.model, session.items[0].source
    needed = bytes_needed(model, source)
    assert memory_problem(model, source, needed) == ''
    larger = replace(session.settings, architecture=Architecture((Block(channels=500),)))
    session.state = replace(session.state, settings=larger)
    assert memory_problem(model, source, needed) == ''
    text = memory_problem(model, source, needed - 1)
    assert text.startswith('image a needs about 1 MB of memory')
    assert 'its markers are learned from' in text
    assert 'dock Batch segmentation, which works in parts, or crop it' in text
    row = too_large_words(model, source, needed - 1)
    assert row.startswith('Too large for saliency here: needs 1 MB')
    assert 'dock Batch segmentation, or crop it' in row
    assert too_large_words(model, source, needed) == ''


def test_many_images_take_memory_together(scene, make_item, paint) -> None:
    stack = make_item(np.stack([scene.image] * 30), scene.markers, 'TYX')
    every = replace(stack, strokes={frame: paint(scene.markers) for frame in range(30)})
    libift = InputTransform('libift')
    one = bytes_needed(Settings(transform=libift), stack.source)
    assert problems(session_of(stack, transform=libift), one) == ()
    assert 'Mark fewer images' in only(session_of(every, transform=libift), one)


def test_voxels_that_are_to_be_read_take_memory_too(item) -> None:
    lazy = replace(item.source, data=da.from_array(item.source.data))
    unread = 48 * 48
    assert bytes_needed(Settings(), lazy) == bytes_needed(Settings(), item.source) + unread


def test_a_stack_whose_saliency_would_not_fit_is_refused(item) -> None:
    stack = replace(item.source, data=da.zeros((10**6, 48, 48), dtype=np.uint8), axes='TYX')
    budget = 4 * 10**6 * 48 * 48 // STACK_BUDGETS
    assert memory_problem(Settings(), stack, budget) == ''
    assert 'image a needs about 8.6 GB' in memory_problem(Settings(), stack, budget - 1)


def test_the_input_of_a_large_image_is_not_shown(item) -> None:
    transform, source = InputTransform('multiscale'), item.source
    features = transform.features(1, 2)
    needed = INPUT_COPIES * features * 4 * 48 * 48
    assert input_problem(transform, source, needed) == ''
    text = input_problem(transform, source, needed - 1)
    assert 'image a is too large for its input to be shown' in text
    assert 'learning does not depend on it' in text


def test_voxels_on_disk_of_all_marked_images_count_for_learning_from_whole_images(item) -> None:
    lazy = replace(item.source, data=da.from_array(item.source.data.astype(np.float64)))
    many = [lazy] * 50
    in_memory = [item.source] * 50
    enough = next(n for n in range(10**6, 10**9, 10**4) if learned_whole(Settings(), in_memory, n))
    unread = 50 * 48 * 48 * 8
    assert not learned_whole(Settings(), many, enough + unread - 2 * 10**4)
    assert learned_whole(Settings(), many, enough + unread)


def test_an_image_of_another_rank_than_the_blocks_needs_no_memory(item, scene, make_item) -> None:
    flat = Settings(Architecture((Block(stride=(2, 2)),)))
    volume = make_item(np.stack([scene.image] * 3), np.stack([scene.markers] * 3), 'ZYX').source
    assert bytes_needed(flat, item.source) > 0
    assert bytes_needed(flat, volume) == 0
    assert memory_problem(flat, volume, 1) == too_large_words(flat, volume, 1) == ''
