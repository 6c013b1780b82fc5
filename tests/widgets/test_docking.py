"""Docks of ours in a real window: short titles, and tabs whichever way they are opened."""

from __future__ import annotations

from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QDockWidget, QLabel, QMainWindow, QWidget

from napari_flim.bridge.commands import open_dock

NAMES = ('Train', 'Kernels', 'Activations')


def opened(viewer: Any, name: str) -> QDockWidget:
    """A dock as a menu of napari opens it: without asking for tabs."""
    dock: QDockWidget = viewer.window.add_plugin_dock_widget('napari-flim', name)[0]
    QApplication.processEvents()
    return dock


def title_of(dock: QDockWidget) -> list[str]:
    return [label.text() for label in dock.titleBarWidget().findChildren(QLabel) if label.text()]


def window_of(dock: QDockWidget) -> QMainWindow:
    window = dock.parentWidget()
    assert isinstance(window, QMainWindow)
    return window


@pytest.fixture
def viewer(make_napari_viewer: Any) -> Any:
    return make_napari_viewer(show=True)


def test_docks_opened_one_by_one_are_tabs_and_the_newest_is_in_front(viewer: Any) -> None:
    train, kernels, activations = (opened(viewer, name) for name in NAMES)
    window = window_of(train)
    assert set(window.tabifiedDockWidgets(train)) == {kernels, activations}
    assert not activations.visibleRegion().isEmpty()
    assert train.visibleRegion().isEmpty() and kernels.visibleRegion().isEmpty()


def test_a_dock_joins_the_tabs_of_a_window_opened_with_docks(viewer: Any) -> None:
    train = open_dock(viewer, 'Train')
    QApplication.processEvents()
    activations = opened(viewer, 'Activations')
    assert activations in window_of(train).tabifiedDockWidgets(train)


def test_docks_of_others_are_left_where_they_are(viewer: Any) -> None:
    other = viewer.window.add_dock_widget(QWidget(), name='another plugin')
    train = opened(viewer, 'Train')
    assert window_of(train).tabifiedDockWidgets(other) == []


def test_a_dock_that_floats_is_not_joined(viewer: Any) -> None:
    train = opened(viewer, 'Train')
    train.setFloating(True)
    kernels = opened(viewer, 'Kernels')
    assert window_of(train).tabifiedDockWidgets(kernels) == []


def test_titles_are_short_and_stay_short_when_a_dock_floats_or_moves(
    viewer: Any, qtbot: QtBot
) -> None:
    for name in ('Batch segmentation', 'Delineate', *NAMES):
        dock = opened(viewer, name)
        assert dock.windowTitle() == name
        assert title_of(dock) == [f'FLIM - {name}']
    dock.setFloating(True)
    assert title_of(dock) == ['FLIM - Activations']
    dock.setFloating(False)
    window_of(dock).addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, dock)
    QApplication.processEvents()
    assert title_of(dock) == ['FLIM - Activations']


def test_menus_of_napari_still_find_a_dock_under_its_long_name(viewer: Any) -> None:
    dock = opened(viewer, 'Train')
    assert viewer.window.add_plugin_dock_widget('napari-flim', 'Train')[0] is dock
    assert open_dock(viewer, 'Train') is dock
