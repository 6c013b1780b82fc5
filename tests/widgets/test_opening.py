"""Docks open at once, and without a network."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import napari_flim.bridge
import napari_flim.session
import napari_flim.widgets
from napari_flim.engine.architecture import preset
from napari_flim.engine.image import read_array
from napari_flim.engine.markers import MarkerSet
from napari_flim.progress import finish
from napari_flim.training import learn_model

OFFLINE = """
import socket

def refuse(*_args, **_kwargs):
    raise AssertionError('A connection was tried.')

socket.socket.connect = refuse
socket.getaddrinfo = refuse
from qtpy.QtWidgets import QApplication
from napari_flim.bridge.controller import CONTROLLERS
from napari_flim.bridge.show import open_window
import sys
viewer = open_window('offline')
QApplication.processEvents()
assert 'torch' not in sys.modules, 'The docks imported torch.'
controller = CONTROLLERS.of(viewer)
viewer.open_sample('napari-flim', 'coins')
while controller.session.learned is None:
    QApplication.processEvents()
    assert not controller.session.message.error, controller.session.message
viewer.close()
print('learned')
"""


WARM_UP = """
import builtins, sys, threading, time
import numpy as np
from napari.components import ViewerModel
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QApplication
importers = []
original = builtins.__import__

def noting(name, *args, **kwargs):
    if name == 'torch':
        importers.append(threading.current_thread().name)
    return original(name, *args, **kwargs)

builtins.__import__ = noting
from napari_flim.bridge.controller import CONTROLLERS
app = QApplication([])
viewer, dock = ViewerModel(), QObject()
controller = CONTROLLERS.of(viewer, dock)
viewer.add_image(np.zeros((8, 8)))
app.processEvents()
assert importers == [], 'The dock was kept waiting.'
end = time.monotonic() + 60
while not importers and time.monotonic() < end:
    app.processEvents()
print(set(importers) & {'MainThread'}, len(importers) > 0)
"""

OPEN_MODEL = (
    WARM_UP.partition('viewer, dock =')[0]
    + """
viewer = ViewerModel()
controller = CONTROLLERS.of(viewer)
controller.files.open_model(sys.argv[1])
while not controller.session.message.text:
    app.processEvents()
print(importers[0] != 'MainThread', controller.session.message.text)
"""
)


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, '-c', code, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_importing_a_dock_or_anything_below_it_leaves_torch_alone() -> None:
    rooms = (napari_flim.session, napari_flim.bridge, napari_flim.widgets)
    modules = [
        module.name
        for room in rooms
        for module in pkgutil.iter_modules(room.__path__, f'{room.__name__}.')
    ]
    assert len(modules) > 40
    code = f'import sys, {", ".join(modules)}; print("torch" in sys.modules)'
    assert run(code).stdout.strip() == 'False'


def test_a_window_opens_and_learns_without_a_network() -> None:
    done = run(OFFLINE)
    assert done.stdout.strip().endswith('learned'), done.stderr
    assert 'A connection was tried' not in done.stderr


def test_the_engine_is_imported_beside_the_window_once_there_is_an_image() -> None:
    done = run(WARM_UP)
    assert done.stdout.strip() == 'set() True', done.stderr


def test_the_first_model_is_opened_beside_the_window(scene: Any, tmp_path: Path) -> None:
    image, markers = read_array(scene.image), MarkerSet.from_labels(scene.markers)
    finish(learn_model([image], [markers], preset('flyweight'))).save(tmp_path / 'a.flim')
    done = run(OPEN_MODEL, str(tmp_path / 'a.flim'))
    assert done.stdout.startswith('True Opened a.flim'), done.stderr
