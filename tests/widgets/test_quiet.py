"""A dock during work."""

from __future__ import annotations

from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from qtpy.compat import isalive
from qtpy.QtWidgets import QWidget

from napari_flim.progress import Progress
from napari_flim.widgets.quiet import LONGEST_MS, Quiet


@pytest.fixture
def dock(qtbot: QtBot, desk: Any) -> QWidget:
    widget = QWidget()
    qtbot.addWidget(widget)
    widget.quiet = Quiet(widget, desk.session)
    widget.show()
    return widget


def test_a_dock_is_not_drawn_during_short_work(dock: QWidget, desk: Any) -> None:
    desk.session.work = Progress('learning', 0, 2)
    assert not dock.updatesEnabled()
    desk.session.work = Progress('learning', 1, 2)
    assert not dock.updatesEnabled()
    desk.session.work = None
    assert dock.updatesEnabled()


def test_long_work_shows_in_the_dock_and_the_next_is_awaited_again(
    qtbot: QtBot, dock: QWidget, desk: Any
) -> None:
    desk.session.work = Progress('learning', 0, 2)
    qtbot.waitUntil(dock.updatesEnabled, timeout=10 * LONGEST_MS)
    desk.session.work = Progress('learning', 1, 2)
    assert dock.updatesEnabled()
    desk.session.work = None
    desk.session.work = Progress('applying', 0, 1)
    assert not dock.updatesEnabled()
    desk.session.work = None


def test_a_destroyed_dock_hears_nothing(qtbot: QtBot, desk: Any) -> None:
    widget = QWidget()
    quiet = Quiet(widget, desk.session)
    widget.deleteLater()
    qtbot.waitUntil(lambda: not isalive(widget), timeout=2000)
    desk.session.work = Progress('learning', 0, 2)
    desk.session.work = None
    assert quiet is not None
