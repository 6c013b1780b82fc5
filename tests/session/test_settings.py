"""Settings: pure edits of blocks, and their way into JSON and back."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_flim.engine.architecture import PRESETS, Architecture, Block
from napari_flim.engine.decoder_settings import DecoderSettings
from napari_flim.engine.options import LearningOptions
from napari_flim.engine.preprocessing import InputTransform
from napari_flim.errors import ArchitectureError, DelineationError
from napari_flim.session.settings import (
    Settings,
    settings_from_dict,
    settings_to_dict,
    with_block,
    with_block_moved,
    with_new_block,
    without_block,
)

FOUR = Settings(Architecture(tuple(Block(channels=n) for n in (1, 2, 3, 4)), epsilon=0.1))


def channels(settings: Settings) -> list[int]:
    return [block.channels for block in settings.architecture.blocks]


def test_the_preset_is_named_until_a_block_is_changed() -> None:
    settings = Settings(PRESETS['deep'])
    assert settings.preset == 'deep'
    changed = with_block(settings, 2, Block(channels=5))
    assert changed.preset is None
    assert channels(changed) == [64, 5, 64, 64]


def test_a_new_block_repeats_the_last_one() -> None:
    assert channels(with_new_block(FOUR)) == [1, 2, 3, 4, 4]


def test_the_only_block_cannot_be_removed() -> None:
    assert channels(without_block(FOUR, 2)) == [1, 3, 4]
    with pytest.raises(ArchitectureError, match='at least one'):
        without_block(Settings(Architecture((Block(),))), 1)


@given(st.integers(1, 4), st.integers(1, 4))
def test_moving_a_block_there_and_back_changes_nothing(number: int, to: int) -> None:
    moved = with_block_moved(FOUR, number, to)
    assert channels(moved)[to - 1] == number
    assert with_block_moved(moved, to, number) == FOUR


def test_nothing_but_the_blocks_changes() -> None:
    for edited in (with_new_block(FOUR), without_block(FOUR, 1), with_block_moved(FOUR, 1, 3)):
        blocks = replace(edited.architecture, blocks=FOUR.architecture.blocks)
        assert replace(edited, architecture=blocks) == FOUR


def test_a_decoder_of_a_block_that_is_gone_reads_the_last_one() -> None:
    settings = replace(FOUR, decoder=DecoderSettings('label', block=4, ratio=2.0))
    assert without_block(settings, 1).decoder == DecoderSettings('label', block=0, ratio=2.0)
    third = replace(FOUR, decoder=DecoderSettings(block=3))
    assert without_block(third, 1).decoder.block == 3


settings = st.builds(
    Settings,
    architecture=st.builds(
        Architecture,
        blocks=st.lists(
            st.builds(
                Block,
                kernel_size=st.sampled_from([3, 5, (1, 3), (1, 3, 3)]),
                extra_dilations=st.sampled_from([(), (2, 3)]),
                pooling=st.sampled_from(['none', 'min', 'max']),
                stride=st.sampled_from([1, (2, 1, 1)]),
            ),
            min_size=1,
            max_size=3,
        ).map(tuple),
        epsilon=st.floats(0, 1),
        intrinsic_atrous=st.booleans(),
    ),
    transform=st.builds(
        InputTransform,
        kind=st.sampled_from(['auto', 'window', 'multiscale']),
        channels=st.sampled_from([(), (0, 2)]),
        window=st.just((-100.0, 300.0)),
        ranges=st.sampled_from([None, ((0.0, 1.0), (2.0, 3.0))]),
    ),
    fixed_ranges=st.booleans(),
    decoder=st.builds(
        DecoderSettings,
        name=st.sampled_from(['label', 'tristate']),
        overrides=st.sampled_from([(), ((1, -1.0), (2, 0.5))]),
    ),
    options=st.builds(LearningOptions, object_share=st.sampled_from([None, 0.25])),
    sizes_from=st.sampled_from(['marked', 'due', 'chosen']),
)


@given(settings)
def test_settings_survive_json(given_settings: Settings) -> None:
    text = json.dumps(settings_to_dict(given_settings))
    assert settings_from_dict(json.loads(text)) == given_settings


def test_an_impossible_block_is_refused_with_its_number() -> None:
    content = settings_to_dict(FOUR)
    content['architecture']['blocks'][2]['kernel_size'] = 4
    with pytest.raises(ArchitectureError, match='Block 3: kernel_size is 4'):
        settings_from_dict(content)


def test_older_sessions_follow_marked_objects_unless_a_range_was_chosen() -> None:
    older = settings_to_dict(Settings(sizes_from='marked'))
    del older['sizes_from']
    assert settings_from_dict(older).sizes_from == 'due'
    older['delineation']['seeds']['sizes'] = {'smallest': 3, 'largest': None}
    assert settings_from_dict(older).sizes_from == 'chosen'


def test_sizes_from_elsewhere_are_refused() -> None:
    content = {**settings_to_dict(Settings()), 'sizes_from': 'guessed'}
    with pytest.raises(DelineationError, match="Sizes come from 'guessed'; expected one of marked"):
        settings_from_dict(content)
