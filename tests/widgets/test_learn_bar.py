"""The bar that learns and says how things stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt

from napari_flim.engine.architecture import Block
from napari_flim.progress import Progress
from napari_flim.session.session import LIVE_LEARNING
from napari_flim.session.settings import with_block
from napari_flim.widgets.learn_bar import LearnBar


@pytest.fixture
def bar(qtbot: QtBot, desk: Any) -> LearnBar:
    widget = LearnBar(desk.controller)
    qtbot.addWidget(widget)
    widget.show()
    return widget


@pytest.fixture
def shows(qtbot: QtBot, bar: LearnBar) -> Callable[[str], None]:
    def wait(text: str) -> None:
        qtbot.waitUntil(lambda: text in bar.state.text(), timeout=2000)

    return wait


def test_a_dead_button_says_why(bar: LearnBar) -> None:
    assert not bar.learn.isEnabled()
    assert 'Open an image' in bar.state.text()
    assert bar.learn.toolTip() in bar.state.text()


def test_missing_strokes_are_named(
    bar: LearnBar, desk: Any, scene: Any, shows: Callable[[str], None]
) -> None:
    scene.markers[scene.markers == 2] = 0
    desk.open(scene)
    shows('cells markers holds only background: paint object (label 2) too.')
    assert not bar.learn.isEnabled()


def test_the_button_says_what_it_will_do(
    qtbot: QtBot, bar: LearnBar, desk: Any, scene: Any, shows: Callable[[str], None]
) -> None:
    desk.session.live = False
    desk.open(scene)
    shows('Nothing is learned yet.')
    assert bar.learn.text() == 'Learn 3 blocks from 1 image'
    qtbot.mouseClick(bar.learn, Qt.MouseButton.LeftButton)
    shows('kernels.')
    assert desk.session.learned is not None


def test_strokes_after_learning_are_said_to_be_missing(
    bar: LearnBar, desk: Any, scene: Any, shows: Callable[[str], None]
) -> None:
    desk.open(scene)
    desk.session.live = False
    desk.markers().paint((30, 30), 2)
    desk.rest()
    shows('Changed since: press Learn, or switch Live on.')


def test_live_is_switched_in_the_dock_and_from_elsewhere(
    qtbot: QtBot, bar: LearnBar, desk: Any
) -> None:
    bar.live.setChecked(False)
    assert not desk.session.live
    desk.session.live = True
    qtbot.waitUntil(bar.live.isChecked, timeout=2000)


def test_undo_and_redo_name_what_they_take_back(
    qtbot: QtBot, bar: LearnBar, desk: Any, scene: Any, shows: Callable[[str], None]
) -> None:
    assert not bar.history.undo.isEnabled()
    desk.open(scene)
    qtbot.waitUntil(bar.history.undo.isEnabled, timeout=2000)
    assert bar.history.undo.toolTip() == 'Undo: learning while painting'
    qtbot.mouseClick(bar.history.undo, Qt.MouseButton.LeftButton)
    assert desk.session.learned is None
    qtbot.waitUntil(bar.history.redo.isEnabled, timeout=2000)
    qtbot.mouseClick(bar.history.redo, Qt.MouseButton.LeftButton)
    assert desk.session.learned is not None


def test_one_undo_takes_back_a_setting_and_the_live_learning_after_it(
    bar: LearnBar, desk: Any, scene: Any
) -> None:
    desk.open(scene)
    before = desk.session.state
    wider = with_block(before.settings, 1, Block(kernel_size=5))
    desk.session.change('kernel size', replace(before, settings=wider), repeats=True)
    desk.rest()
    assert desk.session.learned is not before.learned
    assert [change.name for change in desk.session.history.done] == [LIVE_LEARNING, 'kernel size']
    desk.session.undo()
    desk.rest()
    assert desk.session.state is before


def test_painting_after_a_setting_is_a_step_of_its_own(
    bar: LearnBar, desk: Any, scene: Any
) -> None:
    desk.open(scene)
    first = desk.session.state
    decoder = replace(first.settings.decoder, name='label')
    desk.session.change(
        'decoder', replace(first, settings=replace(first.settings, decoder=decoder))
    )
    desk.rest()
    changed = desk.session.state
    desk.markers().paint((30, 30), 2)
    desk.rest()
    assert desk.session.learned is not first.learned
    desk.session.undo()
    assert desk.session.state is changed


def test_long_work_turns_the_button_into_cancel_with_progress(
    qtbot: QtBot, bar: LearnBar, desk: Any, scene: Any
) -> None:
    desk.open(scene)
    desk.session.work = Progress('block 2: kernels of image 1', 3, 4)
    qtbot.waitUntil(lambda: bar.learn.text() == 'Cancel', timeout=3000)
    assert bar.progress.value() == bar.progress.maximum() * 3 // 4
    assert bar.state.text() == 'Block 2: kernels of image 1 ...'
    desk.session.work = None
    qtbot.waitUntil(lambda: bar.learn.text().startswith('Learn'), timeout=3000)


def test_short_work_does_not_flash(qtbot: QtBot, bar: LearnBar, desk: Any, scene: Any) -> None:
    desk.open(scene)
    desk.session.work = Progress('reading', 0, 1)
    qtbot.wait(50)
    assert bar.learn.text() != 'Cancel'
    desk.session.work = None
    qtbot.wait(500)
    assert bar.learn.text() != 'Cancel'
