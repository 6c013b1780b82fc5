"""What the expert does to kernels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_flim.errors import LearningError
from napari_flim.linear_training import with_linear
from napari_flim.progress import finish
from napari_flim.session.expert import drop_unticked, invert_kernels, switch_kernels, weigh_kernels
from napari_flim.session.jobs import learn
from napari_flim.session.kernel_edits import KernelEdits, edited_model
from napari_flim.session.learned import BankChange
from napari_flim.session.planning import plan_all


def saliency(session) -> np.ndarray:
    state = session.state
    model = edited_model(state.learned.model, state.edits, state.settings.decoder)
    return model.class_saliency(session.items[0].source.frame())


def test_every_action_is_one_change_with_a_name_that_undo_takes_back(session) -> None:
    first = session.state
    switch_kernels(session, [(1, 0), (1, 2)], False)
    switch_kernels(session, [(1, 0)], True)
    weigh_kernels(session, [(3, 0)], -1.0)
    invert_kernels(session, 2, [1])
    drop_unticked(session)
    assert [change.name for change in session.history.done] == [
        'switching 2 kernels off',
        'switching 1 kernel on',
        'weighing 1 kernel',
        'inverting 1 kernel',
        'dropping 1 kernel',
    ]
    for _ in range(5):
        session.undo()
    assert session.state is first


def test_a_block_cannot_be_left_without_kernels(session) -> None:
    before = session.state
    switch_kernels(session, [(3, kernel) for kernel in range(4)], False)
    assert session.state is before
    assert session.message.error
    assert 'keep at least one' in session.message.text


def test_nothing_happens_without_a_model_or_without_kernels(fresh, session) -> None:
    learned, fresh.state = fresh.state, replace(fresh.state, learned=None)
    empty = fresh.state
    switch_kernels(fresh, [(1, 0)], False)
    weigh_kernels(fresh, [(1, 0)], 1.0)
    invert_kernels(fresh, 1, [0])
    assert drop_unticked(fresh) is False
    assert fresh.state is empty
    fresh.state = learned
    invert_kernels(session, 1, [])
    assert drop_unticked(session) is False
    assert session.state is learned


@pytest.mark.parametrize('block', [1, 3])
def test_dropping_for_good_changes_nothing_that_is_seen(session, block: int) -> None:
    switch_kernels(session, [(block, 1)], False)
    weigh_kernels(session, [(3, 3)], 1.0)
    before = saliency(session)
    drop_unticked(session)
    assert not session.edits.off
    np.testing.assert_array_equal(saliency(session), before)
    assert session.learned.kept == 3


def test_dropping_says_whether_later_blocks_are_to_be_learned_again(session) -> None:
    switch_kernels(session, [(1, 0)], False)
    assert drop_unticked(session)
    assert session.learned.changes == (BankChange(1, 'drop', (0,), 1),)
    session.undo()
    switch_kernels(session, [(3, 0)], False)
    assert not drop_unticked(session)
    assert session.learned.changes == (
        BankChange(1, 'drop', (0,), 3),
        BankChange(3, 'drop', (0,), 3),
    )


def test_kernels_dropped_from_an_opened_model_lead_to_no_learning(session) -> None:
    session.state = replace(session.state, learned=replace(session.learned, digest=''))
    switch_kernels(session, [(1, 0)], False)
    assert not drop_unticked(session)
    assert len(session.learned.model.blocks[0].bank) == 5


def test_inverting_negates_kernels_and_makes_later_blocks_stale(session) -> None:
    before = session.learned.model.blocks
    invert_kernels(session, 2, [0, 3])
    after = session.learned.model.blocks
    factors = np.array([-1, 1, 1, -1, 1], np.float32).reshape(-1, 1, 1, 1)
    np.testing.assert_array_equal(after[1].bank.weights, before[1].bank.weights * factors)
    assert (after[0], after[2]) == (before[0], before[2])
    assert session.block_states() == ('kept', 'kept', 'stale')
    assert session.learned.changes == (BankChange(2, 'invert', (0, 3), 2),)


def test_inverting_in_the_last_block_makes_nothing_stale(session) -> None:
    invert_kernels(session, 3, [0])
    assert session.block_states() == ('kept',) * 3
    assert session.learned.stale_from == 0


def test_the_first_stale_block_stays_stale_when_later_ones_are_inverted(session) -> None:
    invert_kernels(session, 1, [0])
    invert_kernels(session, 2, [0])
    assert session.learned.stale_from == 2
    assert session.block_states() == ('kept', 'stale', 'stale')


def test_a_weight_set_by_hand_changes_what_is_seen_until_it_is_left_to_the_decoder(session) -> None:
    before = saliency(session)
    weigh_kernels(session, [(3, 1)], 1.0)
    assert np.abs(saliency(session) - before).max() > 0.01
    weigh_kernels(session, [(3, 1)], None)
    assert session.edits == KernelEdits()
    np.testing.assert_array_equal(saliency(session), before)


@pytest.fixture
def linear(session):
    """The session with a linear decoder, learned from what is painted."""
    state = session.state
    pairs = [image.read() for image in session.training_images()]
    model = with_linear(state.learned.model, *map(list, zip(*pairs, strict=True)))
    settings = replace(state.settings, decoder=model.decoder)
    session.state = replace(state, learned=replace(state.learned, model=model), settings=settings)
    return session


def test_dropping_kernels_keeps_what_a_linear_decoder_shows(linear) -> None:
    switch_kernels(linear, [(3, 1)], False)
    seen = saliency(linear)
    drop_unticked(linear)
    np.testing.assert_allclose(saliency(linear), seen, atol=1e-6)


def test_an_inverted_kernel_says_nothing_to_a_linear_decoder_until_it_is_learned(linear) -> None:
    edits = KernelEdits(off=frozenset({(3, 1)}))
    state = linear.state
    neutral = edited_model(state.learned.model, edits, state.settings.decoder)
    invert_kernels(linear, 3, [1])
    image = linear.items[0].source.frame()
    np.testing.assert_allclose(saliency(linear), neutral.class_saliency(image), atol=1e-6)


def test_a_linear_decoder_is_learned_again_when_every_block_keeps_edits(linear) -> None:
    switch_kernels(linear, [(3, 1)], False)
    with pytest.raises(LearningError, match='nothing to learn'):
        plan_all(linear)
    learned = replace(linear.learned, model=replace(linear.learned.model, linear=None))
    linear.state = replace(linear.state, learned=learned)
    request = plan_all(linear)
    assert len(request.start) == 3
    model = finish(learn(request)).model
    assert model.linear is not None
    assert model.linear.counts[-1] == len(request.start[-1].bank)
