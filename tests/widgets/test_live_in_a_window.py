"""Painting with the mouse in a real window: saliency follows, and the window never waits."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from napari.settings import get_settings
from qtpy.QtWidgets import QApplication

from napari_flim.bridge.controller import CONTROLLERS
from napari_flim.bridge.marker_layers import link_of
from napari_flim.samples import coins

PATIENCE = 60_000


@pytest.fixture
def window(make_napari_viewer_proxy, scene):
    """A viewer with an image and its blank markers, and the controller of its docks."""
    get_settings().appearance.theme = 'dark'
    viewer = make_napari_viewer_proxy(show=True)
    controller = CONTROLLERS.of(viewer)
    image = viewer.add_image(scene.image, name='cells')
    markers = controller.items.new_markers(str(image.unique_id))
    markers.brush_size = 4
    QApplication.processEvents()
    return viewer, controller, markers


def saliency_of(viewer):
    return [
        layer for layer in viewer.layers if link_of(layer).get('role', '').startswith('saliency ')
    ]


def test_strokes_of_the_mouse_make_saliency_appear_and_change(window, qtbot, drag):
    viewer, controller, markers = window
    drag(viewer, (2, 30), (4, 40))
    markers.selected_label = 1
    drag(viewer, (42, 4), (42, 20))
    markers.selected_label = 2
    drag(viewer, (11, 10), (14, 15))
    assert set(np.unique(markers.data)) == {0, 1, 2}
    qtbot.waitUntil(lambda: len(saliency_of(viewer)) == 1, timeout=PATIENCE)
    qtbot.waitUntil(lambda: controller.session.work is None, timeout=PATIENCE)
    (saliency,) = saliency_of(viewer)
    before, learned = saliency.data.copy(), controller.session.learned
    drag(viewer, (33, 30), (33, 36))
    qtbot.waitUntil(lambda: controller.session.learned is not learned, timeout=PATIENCE)
    qtbot.waitUntil(lambda: controller.session.work is None, timeout=PATIENCE)
    assert saliency_of(viewer) == [saliency]
    assert not np.array_equal(saliency.data, before)
    assert not controller.session.message.error


def test_no_call_of_ours_keeps_the_window_waiting(make_napari_viewer_proxy, qtbot, our_work):
    viewer = make_napari_viewer_proxy(show=True)
    _, train = viewer.window.add_plugin_dock_widget('napari-flim', 'Train')
    controller, session = train.controller, train.controller.session
    for data, kwargs, kind in coins():
        getattr(viewer, f'add_{kind}')(data, **kwargs)
    qtbot.waitUntil(lambda: session.learned is not None, timeout=PATIENCE)
    qtbot.waitUntil(lambda: session.work is None, timeout=PATIENCE)
    markers = controller.items.marker_layer(session.current)
    for place in range(3):
        learned = session.learned
        with our_work:
            markers.paint((40 + 30 * place, 60), 1)
            qtbot.waitUntil(lambda before=learned: session.learned is not before, timeout=PATIENCE)
            qtbot.waitUntil(lambda: session.work is None, timeout=PATIENCE)
    our_work.assert_short('LayerWatch', 'WorkerRunner', 'LearnBar')


def test_layers_removed_together_take_only_their_results_with_them(window, scene, qtbot):
    viewer, controller, markers = window
    mask = viewer.add_labels(scene.truth, name='mask')
    markers.data[...] = scene.markers
    markers.refresh()
    qtbot.waitUntil(lambda: len(saliency_of(viewer)) == 1, timeout=PATIENCE)
    qtbot.waitUntil(lambda: controller.session.work is None, timeout=PATIENCE)
    controller.channels.show_one(1, 0)
    other = viewer.add_image(scene.image[:30], name='other')
    image = viewer.layers['cells']
    viewer.layers.selection = {image, other}
    viewer.layers.remove_selected()
    qtbot.waitUntil(lambda: not saliency_of(viewer), timeout=PATIENCE)
    assert [layer.name for layer in viewer.layers] == ['cells markers', 'mask']
    viewer.add_layer(image)
    qtbot.waitUntil(lambda: len(saliency_of(viewer)) == 1, timeout=PATIENCE)
    assert mask in viewer.layers


CLOSE_AT_WORK = """
import gc, threading, time
import napari
from qtpy.QtCore import QCoreApplication, QEvent
from qtpy.QtWidgets import QApplication, QWidget
from napari_flim.bridge.controller import CONTROLLERS
from napari_flim.samples import coins

def close_at_work():
    viewer, dock = napari.Viewer(show=False), QWidget()
    session = CONTROLLERS.of(viewer, dock).session
    viewer.window.add_dock_widget(dock)
    for data, kwargs, kind in coins():
        getattr(viewer, f'add_{kind}')(data, **kwargs)
    while session.work is None:
        QApplication.processEvents()
    viewer.close()

close_at_work()
end = time.monotonic() + 60
while time.monotonic() < end and threading.active_count() > 1:
    QApplication.processEvents()
    gc.collect()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    time.sleep(0.05)
print([one.name for one in threading.enumerate()])
"""


def test_a_viewer_closed_while_a_job_runs_leaves_no_thread():
    # A process of its own: the fixtures of napari keep viewers alive.
    command = [sys.executable, '-c', CLOSE_AT_WORK]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("['MainThread']")
    assert 'Traceback' not in done.stderr
