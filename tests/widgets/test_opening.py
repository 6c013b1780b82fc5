"""Docks open at once, and without a network."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import napari_flim.bridge
import napari_flim.session
import napari_flim.widgets

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
controller.open_sample('coins')
while controller.session.learned is None:
    QApplication.processEvents()
    assert not controller.session.message.error, controller.session.message
viewer.close()
print('learned')
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, timeout=120, check=False
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
