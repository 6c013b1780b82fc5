"""Delineation in a real window: sample, objects, a wrong one mended with one stroke, table."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any, Self

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication, QFileDialog

import napari_flim
from napari_flim.bridge.controller import CONTROLLERS
from napari_flim.bridge.marker_layers import link_of
from napari_flim.widgets.delineate import DelineatePanel

PATIENCE = 60_000
LEFT = Qt.MouseButton.LeftButton
LONGEST_WORK = 0.05
"""Seconds of the processor that one call of ours may take in the thread of the window."""

OURS = str(Path(napari_flim.__file__).parent)


class OurWork:
    """Measures the calls of our code in the thread of the window, with all that they call."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, str]] = []
        self._outermost: FrameType | None = None
        self._began = 0.0

    def __enter__(self) -> Self:
        sys.setprofile(self._on_call)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _on_call(self, frame: FrameType, event: str, _arg: object) -> None:
        if self._outermost is None:
            if event == 'call' and frame.f_code.co_filename.startswith(OURS):
                self._outermost, self._began = frame, time.thread_time()
        elif event == 'return' and frame is self._outermost:
            self.calls.append((time.thread_time() - self._began, frame.f_code.co_qualname))
            self._outermost = None


@pytest.fixture
def opened(make_napari_viewer_proxy: Any, qtbot: QtBot) -> tuple[Any, Any, DelineatePanel]:
    """The coins, learned from, with objects."""
    viewer = make_napari_viewer_proxy(show=True)
    _, dock = viewer.window.add_plugin_dock_widget('napari-flim', 'Delineate')
    controller, panel = CONTROLLERS.of(viewer), dock.panel
    viewer.open_sample('napari-flim', 'coins')
    qtbot.waitUntil(lambda: controller.session.learned is not None, timeout=PATIENCE)
    qtbot.waitUntil(lambda: panel.bar.delineate.isEnabled(), timeout=PATIENCE)
    qtbot.mouseClick(panel.bar.delineate, LEFT)
    qtbot.waitUntil(lambda: controller.table.frame is not None, timeout=PATIENCE)
    return viewer, controller, panel


def layer(viewer: Any, role: str) -> Any:
    (found,) = [one for one in viewer.layers if link_of(one).get('role') == role]
    return found


def drag(viewer: Any, first: Any, last: Any) -> None:
    """The left button pressed at one voxel and let go at another."""
    (canvas,) = [
        widget
        for widget in QApplication.allWidgets()
        if type(widget).__name__.startswith('CanvasBackend') and widget.isVisible()
    ]
    size = np.array([canvas.height(), canvas.width()])
    camera = viewer.scene.camera
    centre, zoom = np.array(camera.center[-2:]), camera.zoom / canvas.devicePixelRatio()
    none = Qt.MouseButton.NoButton
    press, move, release = (
        QEvent.Type.MouseButtonPress, QEvent.Type.MouseMove, QEvent.Type.MouseButtonRelease
    )  # fmt: skip
    way = np.linspace(first, last, 8) if tuple(first) != tuple(last) else []
    events = [
        (move, none, none, first),
        (press, LEFT, LEFT, first),
        *[(move, none, LEFT, step) for step in way],
        (release, LEFT, none, last),
    ]
    for kind, button, buttons, voxel in events:
        row, column = (np.array(voxel) - centre) * zoom + size / 2
        place = QPointF(column, row)
        globally = QPointF(canvas.mapToGlobal(place.toPoint()))
        modifiers = Qt.KeyboardModifier.NoModifier
        QApplication.sendEvent(
            canvas, QMouseEvent(kind, place, globally, button, buttons, modifiers)
        )
        QApplication.processEvents()


def middle(labels: np.ndarray, number: int) -> np.ndarray:
    return np.argwhere(labels == number).mean(axis=0).round().astype(int)


def test_a_wrong_object_is_mended_with_one_stroke_and_the_table_saved(
    opened: Any, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer, controller, panel = opened
    objects = layer(viewer, 'objects')
    before = objects.data.copy()
    count = int(before.max())
    assert count > 20
    sizes = np.bincount(before.ravel())
    wrong = int(np.argmin(np.where(sizes == 0, sizes.max(), sizes)))
    qtbot.mouseClick(panel.correct.background, LEFT)
    strokes = layer(viewer, 'corrections')
    strokes.brush_size = 12
    place = middle(before, wrong)
    drag(viewer, place - [0, 6], np.add(place, [0, 6]))
    qtbot.waitUntil(lambda: not (objects.data == wrong).any(), timeout=PATIENCE)
    others = (before != wrong) & (before > 0)
    assert (objects.data[others] == before[others]).mean() > 0.99
    assert layer(viewer, 'objects') is objects
    qtbot.waitUntil(lambda: len(controller.table.frame) == count - 1, timeout=PATIENCE)

    path = tmp_path / 'coins.csv'
    monkeypatch.setattr(QFileDialog, 'getSaveFileName', lambda *_: (str(path), ''))
    qtbot.mouseClick(panel.objects.save, LEFT)
    qtbot.waitUntil(path.exists, timeout=PATIENCE)
    assert len(path.read_text().splitlines()) == count

    strokes.undo()
    qtbot.waitUntil(lambda: np.array_equal(objects.data, before), timeout=PATIENCE)


def test_a_click_on_an_object_chooses_its_row_and_a_drag_does_not(
    opened: Any, qtbot: QtBot
) -> None:
    viewer, controller, panel = opened
    objects = layer(viewer, 'objects')
    viewer.layers.selection.active = objects
    QApplication.processEvents()
    place = middle(objects.data, 3)
    drag(viewer, place, place)
    assert controller.choice.ids == (3,)
    (row,) = panel.objects.view.selectionModel().selectedRows(0)
    assert row.data() == '3'
    drag(viewer, middle(objects.data, 5), place)
    assert controller.choice.ids == (3,)
    viewer.dims.ndisplay = 3
    viewer.dims.ndisplay = 2
    panel.parentWidget().hide()
    drag(viewer, middle(objects.data, 5), middle(objects.data, 5))
    assert controller.choice.ids == (3,)


def test_no_call_of_ours_keeps_the_window_waiting(opened: Any, qtbot: QtBot) -> None:
    viewer, controller, panel = opened
    delineator = controller.delineator
    delineator.paint_background()
    qtbot.waitUntil(lambda: delineator.work is None, timeout=PATIENCE)
    strokes = layer(viewer, 'corrections')
    longest, names = [], set()
    for number in (4, 8, 12):
        draft = delineator.draft
        with OurWork() as work:
            strokes.paint(tuple(middle(draft.labels, number)), 1)
            qtbot.waitUntil(lambda old=draft: delineator.draft is not old, timeout=PATIENCE)
            qtbot.waitUntil(lambda: controller.table.draft is delineator.draft, timeout=PATIENCE)
            panel.bar.delineate.click()
            qtbot.waitUntil(lambda: delineator.work is None, timeout=PATIENCE)
        longest.append(max(work.calls))
        names |= {name.split('.')[0] for _, name in work.calls}
    assert {'CorrectionLayers', 'WorkerRunner'} <= names
    # The middle one: Python may collect garbage during any of them.
    assert sorted(longest)[1][0] < LONGEST_WORK, longest
