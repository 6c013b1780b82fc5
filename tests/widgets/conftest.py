"""A viewer without a window, whose jobs run at once and whose pauses end when told; and what tests
in a real window share: the mouse, and a watch on the thread of the window."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Self

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication, QWidget

import napari_flim
from napari_flim.bridge.controller import Controller
from napari_flim.bridge.preferences import Preferences
from napari_flim.session.running import InlineDebouncer, InlineRunner


class Desk:
    """A controller on a viewer model."""

    def __init__(self) -> None:
        self.viewer = ViewerModel()
        self._pauses: list[InlineDebouncer] = []
        self.controller = Controller(self.viewer, InlineRunner, self._debouncer, Preferences)
        self.session = self.controller.session

    def _debouncer(self, function: Callable[[], None], _delay: int) -> InlineDebouncer:
        self._pauses.append(InlineDebouncer(function))
        return self._pauses[-1]

    def rest(self) -> None:
        """Let the brush rest."""
        for pause in self._pauses:
            pause.flush()

    def open(self, scene: Any, name: str = 'cells', *, markers: bool = True) -> str:
        """Open a scene, with its markers or without; the key of its item."""
        image = self.viewer.add_image(scene.image, name=name)
        if markers:
            self.viewer.add_labels(scene.markers.copy(), name=f'{name} markers')
        self.rest()
        return str(image.unique_id)

    def markers(self, name: str = 'cells') -> Labels:
        layer = self.viewer.layers[f'{name} markers']
        assert isinstance(layer, Labels)
        return layer

    def saliency(self, name: str = 'cells') -> np.ndarray:
        return np.array(self.viewer.layers[f'{name} saliency'].data)


@pytest.fixture
def desk() -> Desk:
    return Desk()


LONGEST_WORK = 0.05
"""Seconds of the processor that one call of ours may take in the thread of the window."""

OURS = str(Path(napari_flim.__file__).parent)


class OurWork:
    """Measures the calls of our code in the thread of the window, with all that they call.

    Time of the processor is counted, so that other programs make no difference.
    """

    def __init__(self) -> None:
        self._longest: list[tuple[float, str]] = []
        self._names: set[str] = set()
        self._calls: list[tuple[float, str]] = []
        self._outermost: FrameType | None = None
        self._began = 0.0

    def __enter__(self) -> Self:
        self._calls = []
        sys.setprofile(self._on_call)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        self._longest.append(max(self._calls))
        self._names |= {name.split('.')[0] for _, name in self._calls}

    def assert_short(self, *of_classes: str) -> None:
        """No call was long; calls of these classes were among them.

        Of an odd number of rounds the middle one counts: Python may collect garbage in any.
        """
        assert set(of_classes) <= self._names
        middle = sorted(self._longest)[len(self._longest) // 2]
        assert middle[0] < LONGEST_WORK, self._longest

    def _on_call(self, frame: FrameType, event: str, _arg: object) -> None:
        if self._outermost is None:
            if event == 'call' and frame.f_code.co_filename.startswith(OURS):
                self._outermost, self._began = frame, time.thread_time()
        elif event == 'return' and frame is self._outermost:
            self._calls.append((time.thread_time() - self._began, frame.f_code.co_qualname))
            self._outermost = None


@pytest.fixture
def our_work() -> OurWork:
    return OurWork()


def canvas() -> QWidget:
    """The widget that shows the layers of the only viewer."""
    (found,) = [
        widget
        for widget in QApplication.allWidgets()
        if type(widget).__name__.startswith('CanvasBackend') and widget.isVisible()
    ]
    return found


def _drag(viewer: Any, first: Sequence[float], last: Sequence[float]) -> None:
    shown = canvas()
    size = np.array([shown.height(), shown.width()])
    camera = viewer.scene.camera
    centre, zoom = np.array(camera.center[-2:]), camera.zoom / shown.devicePixelRatio()
    left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    press, move, release = (
        QEvent.Type.MouseButtonPress, QEvent.Type.MouseMove, QEvent.Type.MouseButtonRelease
    )  # fmt: skip
    way = np.linspace(first, last, 8) if tuple(first) != tuple(last) else []
    events = [
        (move, none, none, first),
        (press, left, left, first),
        *[(move, none, left, step) for step in way],
        (release, left, none, last),
    ]
    for kind, button, buttons, voxel in events:
        row, column = (np.array(voxel) - centre) * zoom + size / 2
        place = QPointF(column, row)
        globally = QPointF(shown.mapToGlobal(place.toPoint()))
        modifiers = Qt.KeyboardModifier.NoModifier
        QApplication.sendEvent(
            shown, QMouseEvent(kind, place, globally, button, buttons, modifiers)
        )
        QApplication.processEvents()


@pytest.fixture
def drag() -> Callable[[Any, Sequence[float], Sequence[float]], None]:
    """The left button pressed at one voxel (y, x) of a viewer and let go at another.

    At the same voxel it is a click. In 3D, where the camera looks along z.
    """
    return _drag
