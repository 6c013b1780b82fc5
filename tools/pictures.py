"""Draw the pictures of the docs: every dock in both themes and two widths, and a first session.

xvfb-run -a -s "-screen 0 1600x1000x24" python tools/pictures.py docs/images
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE_S = 60.0
THEMES = ('dark', 'light')
WIDTHS = (320, 480)
HEIGHT = 900
WINDOW = (1280, 800)
DOCKS = ('Train', 'Kernels', 'Activations', 'Delineate')


def wait_for(done: Callable[[], bool], rest_s: float = 0.6) -> None:
    """Let the window live until something is true, and a little longer to draw."""
    from qtpy.QtWidgets import QApplication

    end = time.monotonic() + PATIENCE_S
    while not done():
        QApplication.processEvents()
        if time.monotonic() > end:
            raise TimeoutError('The window did not come to an end of its work.')
    rest = time.monotonic() + rest_s
    while time.monotonic() < rest:
        QApplication.processEvents()


def draw_docks(folder: Path) -> None:
    """Every dock alone, on the coins."""
    import napari

    from napari_flim.bridge.controller import CONTROLLERS

    for theme in THEMES:
        viewer = napari.Viewer(show=True)
        viewer.theme = theme
        docks = {name: viewer.window.add_plugin_dock_widget('napari-flim', name) for name in DOCKS}
        controller = CONTROLLERS.of(viewer)
        viewer.open_sample('napari-flim', 'coins')
        wait_for(lambda c=controller: c.session.learned is not None and c.session.work is None)
        controller.seeds.make_room()
        controller.delineator.delineate()
        wait_for(lambda c=controller: c.table.frame is not None)
        controller.choice.choose([3])
        for name, (dock, widget) in docks.items():
            dock.setFloating(True)
            dock.raise_()
            for width in WIDTHS:
                widget.setFixedWidth(width)
                dock.resize(width, HEIGHT)
                wait_for(lambda c=controller: c.session.work is None)
                widget.grab().save(str(folder / f'{name.lower()}_{theme}_{width}.png'))
        viewer.close()


def draw_first_session(folder: Path) -> None:
    """The window step by step: empty, learned, a kernel off, its channels, the model opened."""
    from napari_flim.bridge.commands import open_dock
    from napari_flim.bridge.controller import CONTROLLERS
    from napari_flim.bridge.show import open_window
    from napari_flim.session.expert import switch_kernels

    def picture(name: str) -> None:
        viewer.screenshot(path=str(folder / f'session_{name}.png'), canvas_only=False, flash=False)

    viewer = open_window('napari-flim demo')
    viewer.window.resize(*WINDOW)
    controller = CONTROLLERS.of(viewer)
    wait_for(lambda: True)
    picture('1_empty')
    viewer.open_sample('napari-flim', 'coins')
    controller.items.paint_class(2)
    wait_for(lambda: controller.session.learned is not None and controller.session.work is None)
    picture('2_saliency')
    dock = open_dock(viewer, 'Kernels')
    dock.raise_()
    controller.gallery.show_block(3)
    wait_for(lambda: bool(controller.gallery.cards))
    switch_kernels(controller.session, [(3, 0), (3, 2)], on=False)
    wait_for(lambda: controller.session.work is None)
    picture('3_kernels')
    controller.channels.show_all(3)
    wait_for(lambda: len(viewer.layers) > 3)
    picture('4_channels')
    with tempfile.TemporaryDirectory() as place:
        controller.files.save_model(Path(place) / 'coins.flim')
        wait_for(lambda: controller.session.message.text.startswith('Saved'))
        viewer.layers.clear()
        viewer.close()
        viewer = open_window('napari-flim demo')
        viewer.window.resize(*WINDOW)
        controller = CONTROLLERS.of(viewer)
        controller.files.open_model(Path(place) / 'coins.flim')
        wait_for(lambda: controller.session.learned is not None)
        from skimage.data import coins

        viewer.add_image(coins(), name='another image')
        wait_for(lambda: len(viewer.layers) > 1)
        picture('5_opened')
    viewer.close()


def draw_delineation(folder: Path) -> None:
    """Seeds, objects, and objects that are corrected."""
    import numpy as np

    from napari_flim.bridge.commands import open_dock
    from napari_flim.bridge.controller import CONTROLLERS
    from napari_flim.bridge.show import open_window

    def picture(name: str) -> None:
        path = str(folder / f'delineate_{name}.png')
        viewer.screenshot(path=path, canvas_only=False, flash=False)

    viewer = open_window('napari-flim demo')
    viewer.window.resize(*WINDOW)
    controller = CONTROLLERS.of(viewer)
    viewer.open_sample('napari-flim', 'coins')
    wait_for(lambda: controller.session.learned is not None and controller.session.work is None)
    open_dock(viewer, 'Delineate')
    wait_for(lambda: controller.seeds.preview is not None)
    picture('1_seeds')
    controller.seeds.make_room()
    delineator = controller.delineator
    delineator.delineate()
    wait_for(lambda: controller.table.frame is not None)
    viewer.layers['coins saliency'].visible = False
    controller.choice.choose([3])
    wait_for(lambda: True)
    picture('2_objects')
    delineator.paint_background()
    wait_for(lambda: delineator.work is None)
    before = delineator.draft
    place = np.argwhere(before.labels == before.ids()[6]).mean(axis=0).astype(int)
    strokes = viewer.layers['coins corrections']
    for step in range(-10, 11):
        strokes.paint((place[0], place[1] + step), 1)
    wait_for(lambda: delineator.draft is not before and delineator.work is None)
    picture('3_corrected')
    viewer.close()


def main(folder: Path) -> None:
    """Draw everything; copies of sessions go to a folder that is removed."""
    with tempfile.TemporaryDirectory() as place:
        os.environ['XDG_DATA_HOME'] = place
        folder.mkdir(parents=True, exist_ok=True)
        draw_docks(folder)
        draw_first_session(folder)
        draw_delineation(folder)


if __name__ == '__main__':
    main(Path(sys.argv[1]))
