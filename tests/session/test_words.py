"""What the docks say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_flim.engine.architecture import Architecture, Block
from napari_flim.session.expert import switch_kernels
from napari_flim.session.settings import Settings, with_new_block, without_block
from napari_flim.session.sources import ImageSource
from napari_flim.session.words import (
    STATE_WORDS,
    block_words,
    field_words,
    learn_words,
    marked_words,
    memory_words,
    state_words,
)


def say(session) -> str:
    return state_words(session, session.block_states())


def relearned(session, **changes) -> None:
    session.state = replace(session.state, learned=replace(session.learned, **changes))


def test_the_button_says_what_it_learns_from(fresh) -> None:
    assert learn_words(fresh) == 'Learn 3 blocks from 1 image'
    fresh.items = ()
    assert learn_words(fresh) == 'Learn 3 blocks from 0 images'


def test_the_state_of_learning_is_one_line(fresh, learned, stroke) -> None:
    assert say(fresh) == 'Nothing is learned yet.'
    fresh.state = replace(fresh.state, learned=replace(learned, seconds=0.1234))
    assert say(fresh) == 'Learned in 0.12 s: 6 + 5 + 4 kernels.'
    stroke(fresh)
    assert say(fresh).endswith('Changed since: press Learn, or switch Live on.')


@pytest.mark.parametrize(
    ('seconds', 'words'), [(0.0341, '0.034 s'), (2.34, '2.3 s'), (12.6, '13 s'), (345.6, '346 s')]
)
def test_seconds_are_plain_numbers(session, seconds: float, words: str) -> None:
    relearned(session, seconds=seconds)
    assert f'Learned in {words}:' in say(session)


def test_an_opened_model_says_what_it_reads(session) -> None:
    relearned(session, digest='')
    assert say(session) == ('Opened model: 6 + 5 + 4 kernels; reads images (y, x) with 1 channel.')


def test_blocks_that_keep_edits_are_named(session, stroke) -> None:
    switch_kernels(session, [(1, 0)], False)
    assert say(session).endswith('Block 1 keeps your edits; strokes do not change them.')
    switch_kernels(session, [(3, 0)], False)
    stroke(session)
    assert say(session).endswith('Blocks 1 to 3 keep your edits; strokes do not change them.')


def test_added_and_removed_blocks_are_noticed(session) -> None:
    settings = session.settings
    session.state = replace(session.state, settings=with_new_block(settings))
    assert say(session).endswith('Block 4 is not learned yet.')
    session.state = replace(session.state, settings=without_block(settings, 3))
    assert 'Changed since' in say(session)


def test_without_an_open_image_the_advice_is_to_open_one(session) -> None:
    (item,) = session.items
    session.items = (replace(item, opened=False),)
    assert say(session).endswith('kernels. image a is closed: open it again.')
    session.items *= 2
    assert say(session).endswith('kernels. The images are closed: open one again.')
    session.items = ()
    assert say(session).endswith('kernels. No image is open: open one.')
    relearned(session, digest='')
    assert say(session).endswith('with 1 channel.')


def source_of(shape, axes: str, spacing, unit: str) -> ImageSource:
    return ImageSource('a', 'cells', np.zeros(shape, np.uint8), axes, spacing, unit)


def test_the_receptive_field_is_given_in_pixels_and_in_world_units() -> None:
    settings = Settings()
    assert field_words(settings, None, 1) == 'sees 5 px'
    pixels = source_of((9, 9), 'YX', (1.0, 1.0), 'pixel')
    assert field_words(settings, pixels) == 'sees 19 px'
    microns = source_of((9, 9), 'YX', (0.5, 0.5), 'um')
    assert field_words(settings, microns) == 'sees 19 px = 9.5 um'


def test_a_receptive_field_that_differs_along_the_axes_names_each() -> None:
    flat = Settings(Architecture((Block(kernel_size=(1, 3, 3), pooling='none'),)))
    volume = source_of((9, 9, 9), 'ZYX', (2.0, 0.325, 0.325), 'um')
    assert field_words(flat, volume) == 'sees 1 x 3 x 3 voxels = 2 x 0.98 x 0.98 um'
    cube = source_of((9, 9, 9), 'ZYX', (5.0, 1.0, 1.0), 'um')
    assert field_words(Settings(), cube) == 'sees 19 voxels = 95 x 19 x 19 um'
    far = source_of((9, 9), 'YX', (123.456, 123.456), 'nm')
    assert field_words(Settings(), far) == 'sees 19 px = 2350 nm'


def test_a_block_is_one_line() -> None:
    block = Block(
        (3, 5, 5), dilation=(1, 2, 2), channels=1, pooling='average', stride=2, activation='none'
    )
    assert block_words(block, 3) == (
        '3x5x5, dilation 1 x 2 x 2, 1 kernel, no activation, average 3, stride 2'
    )
    assert block_words(block).startswith('5x5, dilation 2, ')


def test_every_state_has_a_sign_and_a_word_of_its_own() -> None:
    signs, words = zip(*(text.split(' ', 1) for text in STATE_WORDS.values()), strict=True)
    assert len(set(signs)) == len(set(words)) == 4


@pytest.mark.parametrize(
    ('needed', 'words'), [(0, '1 MB'), (2**29, '512 MB'), (2**30, '1.0 GB'), (2**34, '16.0 GB')]
)
def test_memory_is_given_in_units_people_know(needed: int, words: str) -> None:
    assert memory_words(needed) == words


def test_what_is_painted_is_counted_in_words(scene, make_item, item, paint) -> None:
    assert marked_words(item) == '42 voxels of label 1, 16 voxels of label 2'
    assert marked_words(replace(item, strokes={})) == 'nothing painted'
    assert marked_words(replace(item, problem='It holds the label 300.')) == (
        'It holds the label 300.'
    )
    single = np.zeros((48, 48), np.uint8)
    single[3, 3] = 2
    stack = make_item(np.stack([scene.image] * 3), single, 'TYX')
    assert marked_words(stack) == '1 voxel of label 2 on 1 image'
    more = replace(stack, strokes={0: paint(single), 2: paint(single)})
    assert marked_words(more) == '2 voxels of label 2 on 2 images'
