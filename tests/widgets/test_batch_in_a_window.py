"""A folder segmented in a real window, which lives while it goes on; and what ends a run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication

from napari_flim.bridge.commands import open_dock
from napari_flim.bridge.controller import CONTROLLERS
from napari_flim.io.results import read_labels

PATIENCE = 120_000
LEFT = Qt.MouseButton.LeftButton


def test_six_files_one_of_them_broken_with_a_pause_and_a_result(
    make_napari_viewer_proxy: Any, scene: Any, six_images: Path, qtbot: Any
) -> None:
    viewer = make_napari_viewer_proxy(show=True)
    _, dock = viewer.window.add_plugin_dock_widget('napari-flim', 'Batch segmentation')
    controller, panel = CONTROLLERS.of(viewer), dock.panel
    batch, session = controller.batch, controller.session
    viewer.add_image(scene.image, name='cells')
    viewer.add_labels(scene.markers.copy(), name='cells markers')
    qtbot.waitUntil(lambda: session.learned is not None and session.work is None, timeout=PATIENCE)
    qtbot.keyClicks(panel.images.inputs, str(six_images))
    qtbot.keyClick(panel.images.inputs, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: batch.found is not None, timeout=PATIENCE)
    qtbot.mouseClick(panel.bar.start, LEFT)
    qtbot.waitUntil(lambda: batch.run.count('done') > 0, timeout=PATIENCE)
    qtbot.mouseClick(panel.bar.pause, LEFT)
    assert batch.run.phase == 'paused'
    qtbot.waitUntil(lambda: 'Paused. ' in panel.bar.state.text(), timeout=PATIENCE)
    beats: list[int] = []
    timer = QTimer()
    timer.timeout.connect(lambda: beats.append(batch.run.ended))
    timer.start(1)
    qtbot.waitUntil(lambda: len(beats) > 100, timeout=PATIENCE)
    # Whatever was under way when the pause began was told at once.
    assert beats[-1] == beats[50] < 6
    qtbot.mouseClick(panel.bar.pause, LEFT)
    beats.clear()
    qtbot.waitUntil(lambda: batch.run.summary is not None, timeout=PATIENCE)
    timer.stop()
    assert len(beats) > 1
    states = [row.state for row in batch.run.rows]
    assert states == ['done', 'done', 'failed', 'done', 'done', 'done']
    qtbot.waitUntil(lambda: batch.found is not None, timeout=PATIENCE)
    panel.files.view.selectRow(4)
    qtbot.mouseClick(panel.files.open, LEFT)
    qtbot.waitUntil(lambda: '4.png objects' in viewer.layers, timeout=PATIENCE)
    written = read_labels(six_images / 'flim' / '4_labels.tif')
    assert np.array_equal(viewer.layers['4.png objects'].data, written)
    assert viewer.layers['4.png'].visible


def test_a_run_goes_on_without_its_dock_and_is_shown_again(
    make_napari_viewer_proxy: Any, scene: Any, six_images: Path, qtbot: Any
) -> None:
    viewer = make_napari_viewer_proxy(show=True)
    dock = open_dock(viewer, 'Batch segmentation')
    controller = CONTROLLERS.of(viewer)
    batch, session = controller.batch, controller.session
    viewer.add_image(scene.image, name='cells')
    viewer.add_labels(scene.markers.copy(), name='cells markers')
    qtbot.waitUntil(lambda: session.learned is not None and session.work is None, timeout=PATIENCE)
    batch.choose(inputs=(six_images,))
    qtbot.waitUntil(lambda: batch.found is not None, timeout=PATIENCE)
    batch.start()
    viewer.window.remove_dock_widget(dock.widget())
    dock.deleteLater()
    QApplication.processEvents()
    qtbot.waitUntil(lambda: batch.run.summary is not None, timeout=PATIENCE)
    assert batch.run.count('done') == 5
    qtbot.waitUntil(lambda: batch.found is not None, timeout=PATIENCE)
    panel = open_dock(viewer, 'Batch segmentation').widget().panel
    assert panel.bar.state.text().startswith('5 files done, 1 failed')
    assert panel.files.model.rowCount() == 6


CLOSED_IN_A_RUN = """
import gc, sys, threading, time
from pathlib import Path
import napari
from qtpy.QtCore import QCoreApplication, QEvent
from qtpy.QtWidgets import QApplication
from napari_flim.bridge.commands import open_dock
from napari_flim.bridge.controller import CONTROLLERS

def wait(done):
    end = time.monotonic() + 100
    while not done():
        assert time.monotonic() < end
        QApplication.processEvents()

def closed_in_a_run(folder):
    viewer = napari.Viewer(show=True)
    open_dock(viewer, 'Batch segmentation')
    controller = CONTROLLERS.of(viewer)
    batch, session = controller.batch, controller.session
    viewer.open_sample('napari-flim', 'coins')
    wait(lambda: session.learned is not None and session.work is None)
    batch.choose(inputs=(folder,))
    wait(lambda: batch.found is not None)
    batch.start()
    wait(lambda: batch.run.count('done') == 1)
    viewer.close()

closed_in_a_run(Path(sys.argv[1]))
end = time.monotonic() + 60
while time.monotonic() < end and threading.active_count() > 1:
    QApplication.processEvents()
    gc.collect()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    time.sleep(0.05)
print([one.name for one in threading.enumerate()])
"""


def test_closing_the_window_ends_a_run_and_nothing_done_is_lost(
    tmp_path: Path, six_images: Path
) -> None:
    # A process of its own: the fixtures of napari keep viewers alive.
    folder = tmp_path / 'many'
    folder.mkdir()
    for number in range(200):
        (folder / f'{number}.png').write_bytes((six_images / '0.png').read_bytes())
    command = [sys.executable, '-c', CLOSED_IN_A_RUN, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("['MainThread']")
    assert 'Traceback' not in done.stderr
    lines = (folder / 'flim' / 'report.csv').read_text().splitlines()[1:]
    states = [line.split(',')[1] for line in lines]
    assert len(states) == 200
    assert states.count('done') >= 1
    assert states.count('waiting') > 100
    finished = sum((folder / 'flim' / f'{number}_labels.tif').exists() for number in range(200))
    assert finished - states.count('done') in (0, 1)
