"""One action of the user is one step of undo, with the learning that it causes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_flim.session.expert import drop_unticked, switch_kernels
from napari_flim.session.session import LIVE_LEARNING


@pytest.fixture
def dropped(held):
    """A kernel of block 1 was dropped, and later blocks are being learned again."""
    desk, runner = held
    desk.session.live = False
    switch_kernels(desk.session, [(1, 0)], False)
    runner.go_on()
    before = desk.session.state
    assert drop_unticked(desk.session)
    desk.controller.learner.finish_change()
    return desk, runner, before


def names(desk) -> list[str]:
    return [change.name for change in desk.session.history.done]


def test_dropping_and_learning_again_are_one_step(dropped):
    desk, runner, before = dropped
    runner.go_on()
    assert 'stale' not in desk.session.block_states()
    assert names(desk) == [LIVE_LEARNING, 'switching 1 kernel off', 'dropping 1 kernel']
    desk.session.undo()
    assert desk.session.state is before


def test_a_drop_taken_back_while_blocks_are_learned_is_not_learned_from(dropped):
    desk, runner, before = dropped
    desk.session.undo()
    runner.go_on()
    assert desk.session.state is before
    assert names(desk) == [LIVE_LEARNING, 'switching 1 kernel off']


def test_another_change_meanwhile_keeps_a_step_of_its_own(dropped):
    desk, runner, _ = dropped
    decoder = replace(desk.session.settings.decoder, name='label')
    settings = replace(desk.session.settings, decoder=decoder)
    desk.session.change('decoder', replace(desk.session.state, settings=settings))
    runner.go_on()
    later = ['dropping 1 kernel', 'decoder', 'learning after dropping 1 kernel']
    assert names(desk)[2:] == later
    desk.session.undo()
    assert desk.session.settings.decoder.name == 'label'


def test_pressing_learn_is_a_step_of_its_own(held):
    desk, runner = held
    desk.session.live = False
    desk.controller.learner.learn_all()
    runner.go_on()
    assert names(desk) == [LIVE_LEARNING, 'learning']


def test_a_kernel_switched_off_meanwhile_is_learned_with(dropped):
    desk, runner, _ = dropped
    first = desk.session.learned
    switch_kernels(desk.session, [(1, 0)], False)
    runner.go_on()
    assert desk.session.learned is not first
    assert len(desk.session.learned.model.blocks[0].bank) == len(first.model.blocks[0].bank) - 1
