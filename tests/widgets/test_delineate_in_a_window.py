"""Delineation in a real window: sample, objects, a wrong one mended with one stroke, table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_flim.bridge.controller import CONTROLLERS
from napari_flim.bridge.marker_layers import link_of
from napari_flim.widgets.delineate import DelineatePanel

PATIENCE = 60_000
LEFT = Qt.MouseButton.LeftButton
Drag = Callable[[Any, Sequence[float], Sequence[float]], None]


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


def middle(labels: np.ndarray, number: int) -> np.ndarray:
    return np.argwhere(labels == number).mean(axis=0).round().astype(int)


def test_a_wrong_object_is_mended_with_one_stroke_and_the_table_saved(
    opened: Any, qtbot: QtBot, drag: Drag, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    opened: Any, qtbot: QtBot, drag: Drag
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


def test_no_call_of_ours_keeps_the_window_waiting(opened: Any, qtbot: QtBot, our_work: Any) -> None:
    viewer, controller, panel = opened
    delineator = controller.delineator
    controller.brush.paint_background()
    qtbot.waitUntil(lambda: delineator.work is None, timeout=PATIENCE)
    strokes = layer(viewer, 'corrections')
    for number in (4, 8, 12):
        draft = delineator.draft
        with our_work:
            strokes.paint(tuple(middle(draft.labels, number)), 1)
            qtbot.waitUntil(lambda old=draft: delineator.draft is not old, timeout=PATIENCE)
            qtbot.waitUntil(lambda: controller.table.draft is delineator.draft, timeout=PATIENCE)
            panel.bar.delineate.click()
            qtbot.waitUntil(lambda: delineator.work is None, timeout=PATIENCE)
    our_work.assert_short('CorrectionLayers', 'WorkerRunner')


def test_a_click_in_3d_chooses_the_object_in_front(
    make_napari_viewer_proxy: Any, qtbot: QtBot, drag: Drag, scene: Any
) -> None:
    viewer = make_napari_viewer_proxy(show=True)
    _, dock = viewer.window.add_plugin_dock_widget('napari-flim', 'Delineate')
    controller, panel = CONTROLLERS.of(viewer), dock.panel
    truth = np.zeros((36, *scene.truth.shape), bool)
    truth[3:11] = truth[25:33] = scene.truth
    rng = np.random.default_rng(0)
    volume = np.clip(60 + 120 * truth + rng.normal(0, 8, truth.shape), 0, 255).astype(np.uint8)
    markers = np.zeros_like(volume)
    markers[6], markers[18, 8:40, 12:16] = scene.markers, 1
    viewer.add_image(volume, name='cells')
    viewer.add_labels(markers, name='cells markers')
    qtbot.waitUntil(lambda: controller.session.learned is not None, timeout=PATIENCE)
    qtbot.waitUntil(lambda: panel.bar.delineate.isEnabled(), timeout=PATIENCE)
    qtbot.mouseClick(panel.bar.delineate, LEFT)
    qtbot.waitUntil(lambda: controller.table.frame is not None, timeout=PATIENCE)
    objects = layer(viewer, 'objects')
    for other in viewer.layers:
        other.visible = other is objects
    viewer.layers.selection.active = objects
    viewer.dims.ndisplay = 3
    QApplication.processEvents()
    along = int(np.sign(viewer.scene.camera.view_direction[0]))
    for y, x in ((13, 13), (34, 32)):
        behind_each_other = [int(n) for n in objects.data[::along, y, x] if n]
        assert len(set(behind_each_other)) == 2
        drag(viewer, (y, x), (y, x))
        assert controller.choice.ids == (behind_each_other[0],)
        (row,) = panel.objects.view.selectionModel().selectedRows(0)
        assert row.data() == str(behind_each_other[0])
    drag(viewer, (24, 5), (24, 5))
    assert controller.choice.ids == ()
