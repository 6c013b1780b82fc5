"""What a newcomer does, in a real window: sample, stroke, kernel, save, open."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Labels
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, QPointF, QRect, Qt
from qtpy.QtGui import QAccessible, QWheelEvent
from qtpy.QtWidgets import (
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QFileDialog,
    QLabel,
    QScrollBar,
    QWidget,
)

from napari_flim.bridge.controller import CONTROLLERS, Controller
from napari_flim.session.expert import switch_kernels
from napari_flim.widgets.block_card import BlockCard
from napari_flim.widgets.kernel_card import card_parts
from napari_flim.widgets.kernels import KernelsDock
from napari_flim.widgets.parts import Section
from napari_flim.widgets.train import SHORTCUTS, TrainDock

PATIENCE_MS = 60_000
LONG_NAME = 'a stack whose file was named by a microscope_0001_channel_2.tif'
WHEELED = (QComboBox, QAbstractSpinBox, QAbstractSlider)


def open_dock(viewer: Any, name: str) -> Any:
    return viewer.window.add_plugin_dock_widget('napari-flim', name)[1]


def settled(qtbot: QtBot, controller: Controller) -> None:
    """Wait until the brush has rested and all work is done."""
    qtbot.wait(400)
    qtbot.waitUntil(lambda: controller.session.work is None, timeout=PATIENCE_MS)


def choose_file(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    for question in ('getSaveFileName', 'getOpenFileName'):
        monkeypatch.setattr(QFileDialog, question, lambda *_: (str(path), ''))


def test_sample_stroke_kernel_save_and_open(
    make_napari_viewer: Any, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = make_napari_viewer(show=True)
    train: TrainDock = open_dock(viewer, 'Train')
    session = train.controller.session
    qtbot.mouseClick(train.items._sample, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: 'coins saliency' in viewer.layers, timeout=PATIENCE_MS)
    settled(qtbot, train.controller)
    first = viewer.layers['coins saliency'].data.copy()

    markers = viewer.layers['coins markers']
    assert isinstance(markers, Labels)
    assert (markers.mode, markers.selected_label) == ('paint', 2)
    controls = viewer.window._qt_viewer.controls.widgets[markers]
    assert controls.button_group.checkedButton() is controls.paint_button
    learned = session.learned
    markers.paint((255, 350), 2)
    qtbot.waitUntil(lambda: session.learned is not learned, timeout=PATIENCE_MS)
    settled(qtbot, train.controller)
    painted = viewer.layers['coins saliency'].data.copy()
    assert (painted != first).any()

    kernels: KernelsDock = open_dock(viewer, 'Kernels')
    train.controller.gallery.show_block(3)
    shown = kernels.grid.list
    qtbot.waitUntil(lambda: shown.cards.rowCount() > 0, timeout=PATIENCE_MS)
    tick = card_parts(shown.visualRect(shown.cards.index(0, 0)), shown.fontMetrics()).tick
    qtbot.mouseClick(shown.viewport(), Qt.MouseButton.LeftButton, pos=tick.center())
    qtbot.waitUntil(lambda: bool(session.edits.off), timeout=PATIENCE_MS)
    settled(qtbot, train.controller)
    switched = viewer.layers['coins saliency'].data.copy()
    assert (switched != painted).any()

    choose_file(monkeypatch, tmp_path / 'coins.flim')
    train.sections['model'].open(True)
    qtbot.mouseClick(train.model.save_model, Qt.MouseButton.LeftButton)
    qtbot.waitUntil((tmp_path / 'coins.flim').exists, timeout=PATIENCE_MS)
    image = viewer.layers['coins'].data
    viewer.close()

    later = make_napari_viewer(show=True)
    again: TrainDock = open_dock(later, 'Train')
    again.sections['model'].open(True)
    qtbot.mouseClick(again.model.open_model, Qt.MouseButton.LeftButton)
    opened = again.controller.session
    qtbot.waitUntil(lambda: opened.learned is not None, timeout=PATIENCE_MS)
    later.add_image(image, name='another')
    qtbot.waitUntil(lambda: 'another saliency' in later.layers, timeout=PATIENCE_MS)
    settled(qtbot, again.controller)
    np.testing.assert_allclose(later.layers['another saliency'].data, switched, atol=1e-6)


def test_docks_need_no_more_than_320_pixels(make_napari_viewer: Any, qtbot: QtBot) -> None:
    viewer = make_napari_viewer(show=True)
    for name in ('Train', 'Kernels', 'Activations'):
        dock: QWidget = open_dock(viewer, name)
        if isinstance(dock, TrainDock):
            viewer.open_sample('napari-flim', 'coins')
            settled(qtbot, dock.controller)
            for section in dock.sections.values():
                section.open(True)
        qtbot.wait(50)
        assert dock.minimumSizeHint().width() <= 320, name
        assert dock.minimumSizeHint().height() <= 700, name


@pytest.fixture(params=['Train', 'Kernels', 'Activations'])
def full_dock(request: Any, make_napari_viewer: Any, qtbot: QtBot) -> QWidget:
    """A dock of a viewer in which something is learned, with all that can be unfolded."""
    viewer = make_napari_viewer(show=True)
    dock: QWidget = open_dock(viewer, request.param)
    controller = CONTROLLERS.of(viewer)
    viewer.open_sample('napari-flim', 'coins')
    viewer.add_image(np.zeros((3, 40, 40), np.uint8), name=LONG_NAME)
    controller.items.add(viewer.layers[LONG_NAME])
    qtbot.waitUntil(lambda: controller.session.learned is not None, timeout=PATIENCE_MS)
    settled(qtbot, controller)
    switch_kernels(controller.session, [(3, 0)], False)
    settled(qtbot, controller)
    for section in dock.findChildren(Section):
        section.open(True)
    for card in dock.findChildren(BlockCard):
        card.fold.setChecked(True)
    dock.parentWidget().setFloating(True)
    dock.parentWidget().resize(360, 3000)
    qtbot.wait(50)
    return dock


def test_nothing_is_cut_off_at_320_pixels(full_dock: QWidget, qtbot: QtBot) -> None:
    full_dock.parentWidget().resize(320, 3000)
    full_dock.setFixedWidth(320)
    qtbot.wait(50)
    cut = [
        describe(widget)
        for widget in full_dock.findChildren(QWidget)
        if widget.isVisible()
        and full_dock.isAncestorOf(widget)
        and widget.window() is full_dock.window()
        and widget.mapTo(full_dock, widget.rect().topRight()).x() >= 320
    ]
    assert cut == []


def test_a_screen_reader_finds_a_name_for_whatever_takes_the_focus(full_dock: QWidget) -> None:
    nameless = []
    for widget in full_dock.findChildren(QWidget):
        heard = QAccessible.queryAccessibleInterface(widget)
        inside = isinstance(widget.parent(), WHEELED) or widget.window() is not full_dock.window()
        if widget.focusPolicy() != Qt.FocusPolicy.NoFocus and not inside:
            named = heard.text(QAccessible.Text.Name).strip()
            if len(named) < 2 and not isinstance(widget, QLabel):
                nameless.append(f'{type(widget).__name__} {widget.toolTip()!r} {named!r}')
    assert nameless == []


def test_the_tab_key_goes_down_the_dock_row_by_row(full_dock: QWidget) -> None:
    def place(widget: QWidget) -> QRect:
        return QRect(widget.mapTo(full_dock, QPoint(0, 0)), widget.size())

    visited, widget = [], full_dock.nextInFocusChain()
    while widget is not full_dock and len(visited) < 1000:
        takes = widget.focusPolicy() & Qt.FocusPolicy.TabFocus
        if full_dock.isAncestorOf(widget) and takes and widget.isVisible():
            visited.append(widget)
        widget = widget.nextInFocusChain()
    assert len(visited) > 2
    wrong = []
    for before, after in pairwise(visited):
        one, other = place(before), place(after)
        below = other.top() >= one.center().y()
        beside = other.left() > one.left() and other.bottom() > one.center().y()
        if not (below or beside):
            wrong.append((describe(before), describe(after)))
    assert wrong == []


def describe(widget: QWidget) -> str:
    return f'{type(widget).__name__} {widget.accessibleName() or getattr(widget, "text", str)()}'


def test_the_wheel_scrolls_the_dock_and_changes_nothing_in_it(full_dock: QWidget) -> None:
    if not isinstance(full_dock, TrainDock):
        return
    state, items = full_dock.controller.session.state, full_dock.controller.session.items
    turned = 0
    for control in full_dock.findChildren(QWidget):
        if isinstance(control, WHEELED) and not isinstance(control, QScrollBar):
            before = value_of(control)
            control.clearFocus()
            place = QPointF(control.rect().center())
            QApplication.sendEvent(control, wheel_at(place, QPointF(control.mapToGlobal(place))))
            assert value_of(control) == before, control.accessibleName()
            turned += 1
    assert turned > 20
    assert full_dock.controller.session.state is state
    assert full_dock.controller.session.items == items


def value_of(control: Any) -> float:
    return float(control.currentIndex() if isinstance(control, QComboBox) else control.value())


def wheel_at(place: QPointF, on_screen: QPointF) -> QWheelEvent:
    """One notch down."""
    none, phase = Qt.MouseButton.NoButton, Qt.ScrollPhase.NoScrollPhase
    keys = Qt.KeyboardModifier.NoModifier
    return QWheelEvent(place, on_screen, QPoint(), QPoint(0, -120), none, keys, phase, False)


def test_keys_of_the_dock_take_nothing_from_napari(make_napari_viewer: Any) -> None:
    from napari.settings import get_settings

    make_napari_viewer()
    taken = {
        str(key).lower() for keys in get_settings().shortcuts.shortcuts.values() for key in keys
    }
    assert not taken & {keys.lower() for keys in SHORTCUTS}


@pytest.mark.filterwarnings('ignore:.*setActiveWindow:DeprecationWarning')
def test_keys_work_while_the_dock_is_visible_only(make_napari_viewer: Any, qtbot: QtBot) -> None:
    viewer = make_napari_viewer(show=True)
    train: TrainDock = open_dock(viewer, 'Train')
    window = train.window()
    # Without a window manager nothing else makes a window active.
    QApplication.setActiveWindow(window)
    qtbot.waitUntil(window.isActiveWindow)
    QApplication.processEvents()
    keys = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    assert train.controller.session.live
    qtbot.keyClick(window, Qt.Key.Key_L, keys)
    assert not train.controller.session.live
    train.parent().hide()
    qtbot.keyClick(window, Qt.Key.Key_L, keys)
    assert not train.controller.session.live
