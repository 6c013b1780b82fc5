"""What a newcomer does, in a real window: sample, stroke, kernel, save, open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Labels
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QFileDialog,
    QLineEdit,
    QListView,
    QScrollBar,
    QWidget,
)

from napari_flim.bridge.controller import Controller
from napari_flim.widgets.kernel_card import card_parts
from napari_flim.widgets.kernels import KernelsDock
from napari_flim.widgets.train import SHORTCUTS, TrainDock

PATIENCE_MS = 60_000
COMPOSED = (QComboBox, QAbstractSpinBox)
CONTROLS = (*COMPOSED, QAbstractButton, QLineEdit, QAbstractSlider, QListView)


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
    assert (tmp_path / 'coins.flim').exists()
    image = viewer.layers['coins'].data
    viewer.close()

    later = make_napari_viewer(show=True)
    again: TrainDock = open_dock(later, 'Train')
    again.sections['model'].open(True)
    qtbot.mouseClick(again.model.open_model, Qt.MouseButton.LeftButton)
    later.add_image(image, name='another')
    qtbot.waitUntil(lambda: 'another saliency' in later.layers, timeout=PATIENCE_MS)
    settled(qtbot, again.controller)
    np.testing.assert_allclose(later.layers['another saliency'].data, switched, atol=1e-6)


def test_docks_need_no_more_than_320_pixels_and_every_control_has_a_name(
    make_napari_viewer: Any, qtbot: QtBot
) -> None:
    viewer = make_napari_viewer(show=True)
    for name in ('Train', 'Kernels', 'Activations'):
        dock: QWidget = open_dock(viewer, name)
        if isinstance(dock, TrainDock):
            dock.controller.open_sample('coins')
            settled(qtbot, dock.controller)
            for section in dock.sections.values():
                section.open(True)
        qtbot.wait(50)
        assert dock.minimumSizeHint().width() <= 320, name
        assert dock.minimumSizeHint().height() <= 700, name
        nameless = [
            type(control).__name__
            for kind in CONTROLS
            for control in dock.findChildren(kind)
            if not control.accessibleName()
            and not isinstance(control, QScrollBar)
            and control.window() is dock.window()
            and not isinstance(control.parent(), COMPOSED)
            and not (isinstance(control, QAbstractButton) and control.text())
        ]
        assert nameless == [], name


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
