"""What an earlier program left, offered in the dock."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt

from napari_flim.bridge.recovery import Recovery
from napari_flim.io.session_file import read_session, write_session
from napari_flim.session.running import InlineDebouncer, InlineRunner
from napari_flim.widgets.recovery_bar import RecoveryBar

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def bar(qtbot: QtBot, desk: Any, scene: Any, tmp_path: Path) -> RecoveryBar:
    """The bar of a new viewer, after another program was killed with a session unsaved."""
    earlier = type(desk)()
    earlier.open(scene)
    earlier.controller.files.save_session(tmp_path / 'left.flim-session')
    # A process of this number cannot exist.
    gone = tmp_path / f'20260101T000000000000-{2**22 + os.getpid()}.flim-session'
    (tmp_path / 'left.flim-session').rename(gone)
    desk.controller.recovery = Recovery(
        desk.controller, tmp_path, InlineRunner, lambda function, _: InlineDebouncer(function)
    )
    widget = RecoveryBar(desk.controller)
    qtbot.addWidget(widget)
    return widget


def test_what_was_left_is_named(bar: RecoveryBar) -> None:
    assert not bar.isHidden()
    assert 'cells' in bar.label.text()


def test_recovering_brings_strokes_and_model_back(
    qtbot: QtBot, bar: RecoveryBar, desk: Any, scene: Any
) -> None:
    qtbot.mouseClick(bar.recover, LEFT)
    (item,) = desk.session.items
    assert sum(item.counts.values()) == (scene.markers > 0).sum()
    assert desk.session.learned is not None
    assert bar.isHidden()


def test_discarding_removes_the_file(qtbot: QtBot, bar: RecoveryBar, tmp_path: Path) -> None:
    qtbot.mouseClick(bar.discard, LEFT)
    assert list(tmp_path.glob('*.flim-session')) == []
    assert bar.isHidden()


def test_not_now_keeps_the_file(qtbot: QtBot, bar: RecoveryBar, tmp_path: Path) -> None:
    qtbot.mouseClick(bar.later, LEFT)
    assert len(list(tmp_path.glob('*.flim-session'))) == 1
    assert bar.isHidden()


def test_it_is_out_of_the_way_once_work_has_begun(bar: RecoveryBar, desk: Any, scene: Any) -> None:
    desk.open(scene)
    assert bar.isHidden()


def test_a_session_that_cannot_be_recovered_gives_way_to_the_next(
    qtbot: QtBot, bar: RecoveryBar, tmp_path: Path
) -> None:
    (good,) = tmp_path.glob('*.flim-session')
    number = good.name.removesuffix('.flim-session').rpartition('-')[2]
    saved = read_session(good)
    newer = tmp_path / f'20260102T000000000000-{number}.flim-session'
    write_session(newer, replace(saved, settings={}))
    recovery = bar._controller.recovery
    assert recovery is not None
    recovery.look()
    assert [one.path for one in recovery.found] == [newer, good]
    qtbot.mouseClick(bar.recover, LEFT)
    assert bar._controller.session.message.error
    assert not bar.isHidden()
    qtbot.mouseClick(bar.recover, LEFT)
    assert bar.isHidden()
    assert bar._controller.session.message.text.startswith('Recovered cells')
