"""Choosing in a viewer: one change with the learning it leads to, and minds changed meanwhile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from napari_flim.engine.architecture import PRESETS, Architecture, Block
from napari_flim.engine.decoder_settings import DecoderSettings
from napari_flim.progress import Progress
from napari_flim.session.expert import switch_kernels

ONE_BLOCK = Architecture((Block(channels=4),))
OWN = (slice(30, 34), slice(30, 34))
BELOW = (slice(42, 45), slice(4, 10))


def take_own_block(desk: Any) -> None:
    """Settings that nobody would choose."""
    settings = replace(
        desk.session.settings, architecture=ONE_BLOCK, decoder=DecoderSettings('hybrid', block=1)
    )
    desk.session.change('my own', replace(desk.session.state, settings=settings))
    desk.rest()


@pytest.fixture
def paused(held: Any) -> Any:
    """One block learned from one marker of each class; nothing is learned by itself."""
    desk, runner = held
    take_own_block(desk)
    runner.go_on()
    desk.session.live = False
    desk.rest()
    assert not runner.busy
    return desk, runner


def test_what_tells_markers_left_out_best_is_taken_and_learned(desk: Any) -> None:
    desk.stroke(desk.markers, BELOW, 1)
    desk.stroke(desk.markers, OWN, 2)
    desk.rest()
    take_own_block(desk)
    desk.controller.chooser.choose()
    choice = desk.controller.chooser.chosen.choice
    assert len(choice.tried) >= 2
    settings = desk.session.settings
    assert settings.architecture == choice.winner.architecture
    assert (settings.transform.kind == 'multiscale') == choice.winner.multiscale
    assert settings.decoder == DecoderSettings(choice.winner.decoder)
    assert set(desk.session.block_states()) == {'learned'}
    assert desk.session.learned.settings.architecture == choice.winner.architecture
    assert desk.session.work is None
    assert not desk.session.message.error
    assert not desk.controller.applier.held


def test_one_undo_takes_back_the_choice_with_the_learning(paused: Any) -> None:
    desk, runner = paused
    before = desk.session.state
    desk.controller.chooser.choose()
    runner.go_on()
    after = desk.session.state
    assert after.settings.architecture == PRESETS['small']
    assert set(desk.session.block_states()) == {'learned'}
    desk.session.undo()
    assert desk.session.state is before
    desk.session.redo()
    assert desk.session.state is after


def test_the_threshold_follows_the_decoder_unless_it_was_chosen(paused: Any) -> None:
    desk, runner = paused
    assert desk.session.settings.delineation.seeds.threshold is None
    desk.controller.chooser.choose()
    runner.go_on()
    assert desk.session.settings.decoder.name == 'linear'
    assert desk.session.settings.delineation.seeds.threshold == 0.5


def test_a_model_before_that_does_not_know_the_decoder_is_not_applied_with_it(paused: Any) -> None:
    desk, runner = paused
    messages: list[Any] = []
    desk.session.events['message'].connect(lambda new: messages.append(new), max_args=1)
    desk.controller.chooser.choose()
    runner.go_on()
    assert not [one for one in messages if one.error]


def test_nothing_is_applied_while_something_is_chosen(paused: Any) -> None:
    desk, runner = paused
    desk.controller.chooser.choose()
    submitted = runner.submitted
    desk.controller.applier.show_rest()
    assert runner.submitted == submitted
    assert desk.session.work is not None


def test_cancel_leaves_everything_as_it_was(paused: Any) -> None:
    desk, runner = paused
    before = desk.session.state
    desk.controller.chooser.choose()
    desk.controller.cancel()
    runner.go_on()
    assert desk.session.state is before
    assert desk.session.work is None
    assert desk.controller.chooser.chosen is None
    assert not desk.controller.applier.held
    assert desk.session.message.text.startswith('Stopped')


def stroke(desk: Any) -> None:
    desk.stroke(desk.markers, OWN, 2)
    desk.rest()


def other_preset(desk: Any) -> None:
    settings = replace(desk.session.settings, architecture=PRESETS['deep'])
    desk.session.change('deep', replace(desk.session.state, settings=settings))


def kernel_off(desk: Any) -> None:
    switch_kernels(desk.session, [(1, 0)], on=False)


@pytest.mark.parametrize('act', [stroke, other_preset, kernel_off])
def test_a_choice_for_what_has_changed_meanwhile_is_dropped(paused: Any, act: Any) -> None:
    desk, runner = paused
    desk.controller.chooser.choose()
    act(desk)
    before = desk.session.state
    runner.step()
    assert desk.session.state is before
    assert desk.controller.chooser.chosen is None
    assert 'changed meanwhile' in desk.session.message.text
    runner.go_on()
    assert desk.session.work is None
    assert not desk.controller.applier.held


def test_how_objects_are_found_may_change_meanwhile(paused: Any) -> None:
    desk, runner = paused
    desk.controller.chooser.choose()
    settings = desk.session.settings
    other = replace(settings, delineation=replace(settings.delineation, method='watershed'))
    desk.session.change('method', replace(desk.session.state, settings=other))
    runner.go_on()
    assert desk.session.settings.architecture == PRESETS['small']
    assert desk.session.settings.delineation.method == 'watershed'


def test_painting_with_live_on_takes_the_place_of_choosing(held: Any) -> None:
    desk, runner = held
    desk.controller.chooser.choose()
    stroke(desk)
    runner.go_on()
    assert desk.controller.chooser.chosen is None
    assert len(desk.learned) == 2
    assert desk.session.work is None
    assert not desk.controller.applier.held


def test_without_markers_the_reason_is_said_and_nothing_runs(held_desk: Any, scene: Any) -> None:
    desk, runner = held_desk
    desk.open(scene.image)
    desk.controller.chooser.choose()
    assert desk.session.message.error
    assert 'Nothing is painted yet' in desk.session.message.text
    assert runner.submitted == 0


def test_progress_and_failure_reach_the_session(paused: Any, monkeypatch: Any) -> None:
    desk, runner = paused
    steps: list[Progress | None] = []
    desk.session.events['work'].connect(lambda new: steps.append(new), max_args=1)
    monkeypatch.setattr('napari_flim.choosing.candidates', lambda **_: 1 / 0)
    desk.controller.chooser.choose()
    runner.go_on()
    assert 'preparing' in [step.stage for step in steps if step is not None]
    assert desk.session.message.error
    assert desk.session.work is None
    assert not desk.controller.applier.held
