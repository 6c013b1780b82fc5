"""How long a user waits in napari: after a stroke, after a click on a kernel, for the dock.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/live.py

The clock starts at the end of the stroke, with the delay of Live left out, and stops when the
window has drawn the new saliency.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import napari
import numpy as np
from common import add_output_options, markdown, publish
from napari.layers import Labels
from numpy.typing import NDArray
from qtpy.QtCore import QEventLoop
from qtpy.QtWidgets import QApplication
from scipy import ndimage

from napari_flim.bridge.controller import CONTROLLERS, Controller
from napari_flim.session.expert import switch_kernels

SIDES = (512, 1024)
REPEATS = 9
PATIENCE_S = 60.0
REST_S = 0.5
TARGETS = {'stroke 512': 0.2, 'stroke 1024': 0.7, 'kernel 512': 0.05, 'dock': 1.5}
"""Seconds on two cores that we want to stay under."""


@dataclass(frozen=True)
class Waits:
    """Seconds of one kind of wait, over repeats."""

    name: str
    seconds: tuple[float, ...]

    def row(self) -> dict[str, str]:
        """A line of the table."""
        target = TARGETS.get(self.name)
        return {
            'wait': self.name,
            'median s': f'{statistics.median(self.seconds):.3f}',
            'worst s': f'{max(self.seconds):.3f}',
            'wanted s': '' if target is None else f'{target:g}',
        }


def blobs(side: int) -> NDArray[np.uint8]:
    """Bright blobs on an uneven, noisy ground."""
    rng = np.random.default_rng(0)
    seeds = np.zeros((side, side))
    places = rng.integers(0, side, size=(side * side // 2500, 2))
    seeds[tuple(places.T)] = 1
    smooth = ndimage.gaussian_filter(seeds, 6)
    image = (
        60 + 150 * smooth / smooth.max() + np.linspace(0, 30, side) + rng.normal(0, 8, (side, side))
    )
    return np.clip(image, 0, 255).astype(np.uint8)


def wait_for(done: Callable[[], bool]) -> None:
    """Let the window live until something is true."""
    end = time.monotonic() + PATIENCE_S
    while not done():
        # A window at rest sleeps until something happens, and leaves the processor to the work.
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
        if time.monotonic() > end:
            raise TimeoutError('The window did not come to an end of its work.')
    QApplication.processEvents()


def measure_strokes(side: int) -> list[Waits]:
    """Waits after strokes and after switching kernels, in one window."""
    viewer = napari.Viewer(show=True)
    viewer.window.add_plugin_dock_widget('napari-flim', 'Train')
    image = blobs(side)
    viewer.add_image(image, name='blobs')
    controller = CONTROLLERS.of(viewer)
    key = controller.session.items[0].source.key
    markers = controller.items.new_markers(key)
    assert markers is not None
    rng = np.random.default_rng(1)
    bright = rng.permutation(np.argwhere(image > np.percentile(image, 99)))
    dark = rng.permutation(np.argwhere(image < np.median(image)))
    markers.paint(tuple(bright[-1]), 2)
    waits = []
    for turn in range(REPEATS + 2):
        label = 1 + turn % 2
        markers.selected_label = label
        place = (dark if label == 1 else bright)[turn]
        act = partial(_stroke, controller, markers, place)
        waits.append(_timed(controller, act))
    found = [Waits(f'stroke {side}', tuple(waits[2:]))]
    toggles = [
        _timed(controller, partial(switch_kernels, controller.session, [(3, 1)], on))
        for on in [False, True] * (REPEATS // 2 + 1)
    ]
    found.append(Waits(f'kernel {side}', tuple(toggles[2:])))
    viewer.close()
    return found


def _stroke(controller: Controller, markers: Labels, place: NDArray[np.integer]) -> None:
    markers.paint(tuple(place), markers.selected_label)
    controller.items.debouncer.flush()


def _timed(controller: Controller, act: Callable[[], object]) -> float:
    """Seconds from an act until the window has drawn what follows from it."""
    applied: list[float] = []
    slot = controller.applier.applied.connect(lambda: applied.append(0.0))
    # A user looks at what came of the last act before the next one.
    rested = time.monotonic() + REST_S
    while controller.session.work is not None or time.monotonic() < rested:
        QApplication.processEvents()
        time.sleep(0.005)
    applied.clear()
    begun = time.perf_counter()
    act()
    wait_for(lambda: bool(applied))
    seconds = time.perf_counter() - begun
    controller.applier.applied.disconnect(slot)
    return seconds


def measure_dock() -> Waits:
    """Seconds for the Train dock to appear in a window that is up."""
    seconds = []
    for _ in range(3):
        viewer = napari.Viewer(show=True)
        QApplication.processEvents()
        begun = time.perf_counter()
        viewer.window.add_plugin_dock_widget('napari-flim', 'Train')
        QApplication.processEvents()
        seconds.append(time.perf_counter() - begun)
        viewer.close()
    return Waits('dock', tuple(seconds))


def main() -> None:
    """Measure everything and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_output_options(parser)
    options = parser.parse_args()
    waits = [measure_dock()]
    for side in SIDES:
        waits += measure_strokes(side)
    table = markdown([wait.row() for wait in waits])
    heading = f'# Waiting in napari ({platform.machine()}, napari {napari.__version__})'
    publish(f'{heading}\n\n{table}', {w.name: list(w.seconds) for w in waits}, options)


if __name__ == '__main__':
    main()
