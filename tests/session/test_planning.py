"""What is learned next, and on top of what."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_flim.engine.architecture import Block
from napari_flim.engine.preprocessing import InputTransform
from napari_flim.errors import LearningError
from napari_flim.session.expert import drop_unticked, invert_kernels, switch_kernels, weigh_kernels
from napari_flim.session.kernel_edits import KernelEdits, edited_model
from napari_flim.session.learned import BankChange
from napari_flim.session.planning import (
    block_problem,
    change_to_finish,
    edits_after,
    kept_blocks,
    plan_all,
    plan_block,
    plan_live,
    wants_live,
)
from napari_flim.session.session import Session
from napari_flim.session.settings import with_block, with_new_block, without_block


def live(session: Session) -> bool:
    return wants_live(session, session.block_states())


def change_settings(session: Session, settings) -> None:
    session.change('settings', replace(session.state, settings=settings))


def counts(session: Session) -> list[int]:
    return [len(block.bank) for block in session.learned.model.blocks]


def test_without_a_model_everything_is_learned(fresh) -> None:
    request = plan_all(fresh)
    assert (request.start, request.last_block, request.kept, request.changes) == ((), 3, 0, ())
    assert request.images[0].source is fresh.items[0].source
    assert live(fresh)


def test_learning_again_starts_from_nothing_as_long_as_nothing_was_edited(session) -> None:
    assert plan_all(session).start == ()


def test_live_learning_waits_for_a_change(session, stroke) -> None:
    assert not live(session)
    stroke(session)
    assert live(session)


def test_live_learning_follows_settings_added_blocks_and_removed_ones(session) -> None:
    settings = session.settings
    for changed in (
        with_block(settings, 3, replace(settings.architecture.blocks[2], channels=3)),
        with_new_block(settings),
        without_block(settings, 3),
    ):
        change_settings(session, changed)
        assert live(session)
        session.undo()
        assert not live(session)


def test_live_learning_never_learns_over_an_opened_model(session, stroke) -> None:
    session.state = replace(session.state, learned=replace(session.learned, digest=''))
    stroke(session)
    change_settings(session, with_new_block(session.settings))
    assert not live(session)


def test_live_learning_rests_when_every_block_keeps_edits(session, stroke) -> None:
    switch_kernels(session, [(3, 0)], False)
    stroke(session)
    assert session.block_states() == ('kept',) * 3
    assert not live(session)
    with pytest.raises(LearningError, match='Every block keeps your edits'):
        plan_all(session)


def test_live_learning_leaves_blocks_alone_that_were_never_asked_for(
    fresh, carry_out, stroke
) -> None:
    carry_out(fresh, plan_block(fresh, 1))
    assert fresh.block_states() == ('learned', 'missing', 'missing')
    assert not live(fresh)
    stroke(fresh)
    assert live(fresh)
    carry_out(fresh, plan_live(fresh))
    assert fresh.block_states() == ('learned', 'missing', 'missing')
    carry_out(fresh, plan_all(fresh))
    assert fresh.block_states() == ('learned',) * 3
    assert plan_live(fresh).last_block == 3


def test_live_learning_rests_when_all_that_was_asked_for_keeps_edits(
    fresh, carry_out, stroke
) -> None:
    carry_out(fresh, plan_block(fresh, 1))
    switch_kernels(fresh, [(1, 0)], False)
    stroke(fresh)
    assert not live(fresh)
    with pytest.raises(LearningError, match='Every block keeps'):
        plan_live(fresh)


def test_a_removed_block_leaves_even_when_the_others_keep_edits(session, carry_out) -> None:
    background = int(np.argmin(session.learned.model.blocks[1].bank.classes))
    switch_kernels(session, [(2, background)], False)
    change_settings(session, without_block(session.settings, 3))
    assert live(session)
    carry_out(session, plan_all(session))
    assert counts(session) == [6, 4]
    assert not live(session)


def test_one_block_is_learned_anew_on_top_of_those_before_it(session, carry_out) -> None:
    before = session.learned.model.blocks
    carry_out(session, plan_block(session, 2))
    after = session.learned.model.blocks
    assert after[0] is before[0]
    np.testing.assert_array_equal(after[1].bank.weights, before[1].bank.weights)
    assert session.block_states() == ('learned', 'learned', 'missing')


def test_a_block_waits_for_those_before_it(fresh, session, stroke) -> None:
    missing = Session(items=fresh.items)
    with pytest.raises(LearningError, match='Block 1 is not learned yet; learn it before block 3'):
        plan_block(missing, 3)
    stroke(session)
    with pytest.raises(LearningError, match='Block 1 has changed since it was learned; learn'):
        plan_block(session, 2)
    assert plan_block(session, 1).start == ()


def test_kernels_that_were_off_stay_away_when_learning_goes_on(session, carry_out, stroke) -> None:
    switch_kernels(session, [(1, 1), (1, 4)], False)
    seen = edited_model(session.learned.model, session.edits, session.settings.decoder)
    stroke(session)
    carry_out(session, plan_all(session))
    assert counts(session)[0] == 4
    np.testing.assert_array_equal(
        session.learned.model.blocks[0].bank.weights, seen.blocks[0].bank.weights
    )
    assert not session.edits
    assert session.learned.kept == 1
    assert session.learned.changes == (BankChange(1, 'drop', (1, 4), 1),)
    assert session.block_states() == ('kept', 'learned', 'learned')


def test_every_change_is_recorded_with_the_blocks_that_stayed(session, carry_out, stroke) -> None:
    invert_kernels(session, 1, [0])
    carry_out(session, plan_all(session))
    switch_kernels(session, [(2, 3), (1, 5)], False)
    stroke(session)
    carry_out(session, plan_all(session))
    assert session.learned.changes == (
        BankChange(1, 'invert', (0,), 1),
        BankChange(1, 'drop', (5,), 2),
        BankChange(2, 'drop', (3,), 2),
    )
    assert session.learned.kept == 2
    request = plan_block(session, 2)
    assert request.changes == (BankChange(1, 'invert', (0,), 1), BankChange(1, 'drop', (5,), 1))
    assert request.kept == 1
    assert plan_block(session, 1).changes == ()


def test_blocks_learned_from_kernels_that_changed_are_not_kept(session, carry_out) -> None:
    switch_kernels(session, [(2, 0)], False)
    drop_unticked(session)
    invert_kernels(session, 1, [0])
    assert session.block_states() == ('kept', 'stale', 'stale')
    assert kept_blocks(session) == 1
    assert live(session)
    carry_out(session, plan_all(session))
    assert session.block_states() == ('kept', 'learned', 'learned')
    assert session.learned.changes == (BankChange(1, 'invert', (0,), 1),)


def test_a_block_with_another_spec_is_not_kept(session) -> None:
    switch_kernels(session, [(3, 0)], False)
    block = replace(session.settings.architecture.blocks[1], channels=3)
    change_settings(session, with_block(session.settings, 2, block))
    request = plan_all(session)
    assert (len(request.start), request.kept) == (1, 1)


def test_libift_learns_all_blocks_or_none(session, carry_out, stroke) -> None:
    libift = replace(session.settings, transform=InputTransform('libift'))
    change_settings(session, libift)
    carry_out(session, plan_all(session))
    switch_kernels(session, [(1, 0)], False)
    stroke(session)
    assert not live(session)
    with pytest.raises(LearningError, match='Every block keeps'):
        plan_all(session)
    request = plan_block(session, 1)
    assert (request.start, request.kept, request.changes) == ((), 0, ())


def test_blocks_that_stay_must_read_the_training_images(session, scene, make_item) -> None:
    switch_kernels(session, [(1, 0)], False)
    rgb = make_item(np.stack([scene.image] * 3, axis=-1), scene.markers, 'YXS', 'b')
    session.items = (rgb,)
    assert session.block_states() == ('kept', 'stale', 'stale')
    assert not live(session)
    with pytest.raises(LearningError, match='1 channel, but image b is not such an image'):
        plan_all(session)
    assert plan_block(session, 1).start == ()


def test_weights_set_by_hand_follow_their_kernels(session, learned, carry_out, stroke) -> None:
    edits = KernelEdits(
        off=frozenset({(1, 1), (2, 0)}),
        weights={(1, 0): 1.0, (1, 1): 0.0, (1, 3): -1.0, (2, 4): 1.0, (3, 2): 1.0},
    )
    assert edits_after(edits, learned, 0) == KernelEdits()
    assert edits_after(edits, learned, 1).weights == {(1, 0): 1.0, (1, 2): -1.0}
    assert edits_after(edits, learned, 3) == KernelEdits(
        weights={(1, 0): 1.0, (1, 2): -1.0, (2, 3): 1.0, (3, 2): 1.0}
    )
    weigh_kernels(session, [(1, 2)], -1.0)
    stroke(session)
    carry_out(session, plan_all(session))
    assert session.edits == KernelEdits(weights={(1, 2): -1.0})


@pytest.mark.parametrize(
    ('states', 'number', 'words'),
    [
        (('missing', 'missing'), 1, ''),
        (('missing', 'missing'), 2, 'Block 1 is not learned yet; learn it before block 2.'),
        (('kept', 'stale', 'stale'), 2, ''),
        (
            ('kept', 'stale', 'stale'),
            3,
            'Block 2 has changed since it was learned; learn it before block 3.',
        ),
    ],
)
def test_a_block_says_which_one_to_learn_first(states, number: int, words: str) -> None:
    assert block_problem(states, number) == words


def test_learning_belongs_to_the_change_that_made_blocks_stale(session, stroke) -> None:
    assert change_to_finish(session) == ''
    change_settings(session, with_block(session.settings, 2, Block(channels=3)))
    assert change_to_finish(session) == 'settings'
    stroke(session)
    assert change_to_finish(session) == ''


def test_learning_that_was_due_before_the_latest_change_is_no_part_of_it(session) -> None:
    change_settings(session, with_block(session.settings, 2, Block(channels=3)))
    decoder = replace(session.settings.decoder, name='label')
    state = replace(session.state, settings=replace(session.settings, decoder=decoder))
    session.change('another decoder', state)
    assert change_to_finish(session) == ''


def test_the_first_learning_is_part_of_no_change(fresh) -> None:
    change_settings(fresh, with_block(fresh.settings, 2, Block(channels=3)))
    assert change_to_finish(fresh) == ''
