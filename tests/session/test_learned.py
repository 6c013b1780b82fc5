"""Which blocks of what was learned are still true."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_flim.engine.options import LearningOptions
from napari_flim.engine.preprocessing import InputTransform
from napari_flim.session.kernel_edits import KernelEdits
from napari_flim.session.learned import block_states
from napari_flim.session.settings import with_block, with_new_block, without_block


@pytest.fixture
def settings(learned):
    return learned.settings


def states(learned, settings, digest=None, edits=KernelEdits()):
    return block_states(learned, settings, digest or learned.digest, edits)


def wider(settings, number: int):
    old = settings.architecture.blocks[number - 1]
    return with_block(settings, number, replace(old, channels=old.channels + 1))


def test_before_learning_every_block_is_missing(settings) -> None:
    assert block_states(None, settings, 'painted') == ('missing',) * 3


def test_after_learning_every_block_is_learned(learned, settings) -> None:
    assert states(learned, settings) == ('learned',) * 3


@pytest.mark.parametrize('number', [1, 2, 3])
def test_a_block_with_another_spec_is_stale_and_so_are_those_after_it(
    learned, settings, number: int
) -> None:
    expected = ('learned',) * (number - 1) + ('stale',) * (4 - number)
    assert states(learned, wider(settings, number)) == expected


def test_what_every_block_is_learned_with_makes_all_of_them_stale(learned, settings) -> None:
    changed = [
        replace(settings, transform=InputTransform('window')),
        replace(settings, fixed_ranges=True),
        replace(settings, options=LearningOptions(seed=1)),
        replace(settings, architecture=replace(settings.architecture, epsilon=0.5)),
        replace(settings, architecture=replace(settings.architecture, intrinsic_atrous=True)),
    ]
    for one in changed:
        assert states(learned, one) == ('stale',) * 3


def test_another_decoder_makes_nothing_stale(learned, settings) -> None:
    other = replace(settings, decoder=replace(settings.decoder, name='tristate', block=1))
    assert states(learned, other) == ('learned',) * 3


def test_painting_makes_all_blocks_stale_but_those_that_keep_edits(learned, settings) -> None:
    assert states(learned, settings, 'painted') == ('stale',) * 3
    kept = replace(learned, kept=2)
    assert states(kept, settings) == ('kept', 'kept', 'learned')
    assert states(kept, settings, 'painted') == ('kept', 'kept', 'stale')
    assert states(replace(learned, kept=3), settings, 'painted') == ('kept',) * 3


def test_edits_that_a_click_takes_back_keep_their_blocks_as_well(learned, settings) -> None:
    for edits in (KernelEdits(off=frozenset({(2, 0)})), KernelEdits(weights={(2, 1): 0.0})):
        assert states(learned, settings, 'painted', edits) == ('kept', 'kept', 'stale')


def test_settings_win_over_edits(learned, settings) -> None:
    kept = replace(learned, kept=2)
    assert states(kept, wider(settings, 2)) == ('kept', 'stale', 'stale')


def test_blocks_learned_from_kernels_that_changed_are_stale(learned, settings) -> None:
    later = replace(learned, kept=2, stale_from=2)
    assert states(later, settings) == ('kept', 'stale', 'stale')
    assert states(later, wider(settings, 1)) == ('stale',) * 3


def test_an_added_block_is_missing_and_a_removed_one_leaves_the_rest(learned, settings) -> None:
    assert states(learned, with_new_block(settings)) == (*('learned',) * 3, 'missing')
    assert states(learned, without_block(settings, 3)) == ('learned',) * 2
    assert states(learned, without_block(settings, 1)) == ('stale',) * 2


def test_an_opened_model_is_not_made_stale_by_painting(learned, settings) -> None:
    opened = replace(learned, digest='')
    assert states(opened, settings, 'painted') == ('learned',) * 3
    assert states(opened, wider(settings, 3), 'painted') == ('learned', 'learned', 'stale')
