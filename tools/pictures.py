"""Draw the pictures of the docs: every dock in both themes and two widths, and a first session.

xvfb-run -a -s "-screen 0 1600x1000x24" python tools/pictures.py docs/images
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PATIENCE_S = 60.0
THEMES = ('dark', 'light')
WIDTHS = (320, 480)
HEIGHT = 900
WINDOW = (1280, 800)
DOCKS = ('Train', 'Kernels', 'Activations', 'Delineate', 'Batch segmentation')


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


def write_images(folder: Path) -> Path:
    """Parts of the coins as files, one of which is broken."""
    import tifffile
    from skimage.data import coins

    images = folder / 'coins'
    images.mkdir()
    for number in range(9):
        row, column = divmod(number, 3)
        part = coins()[row * 60 : row * 60 + 180, column * 90 : column * 90 + 200 - 10 * row]
        tifffile.imwrite(images / f'coins_{number + 1:02d}.tif', part)
    (images / 'coins_04.tif').write_bytes(b'II*')
    return images


def segment_images(controller: Any, images: Path) -> None:
    """Try the first file, segment all, and open a result."""
    batch = controller.batch
    batch.choose(inputs=(images,), outlines=True)
    wait_for(lambda: batch.found is not None)
    batch.try_first()
    wait_for(lambda: batch.preview is not None and batch.work is None)
    batch.start()
    wait_for(lambda: batch.run.summary is not None and batch.found is not None)


def draw_docks(folder: Path, images: Path) -> None:
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
        segment_images(controller, images)
        docks['Batch segmentation'][1].panel.files.view.selectRow(3)
        shutil.rmtree(controller.batch.folder)
        for name, (dock, widget) in docks.items():
            dock.setFloating(True)
            dock.raise_()
            for width in WIDTHS:
                widget.setFixedWidth(width)
                dock.resize(width, HEIGHT)
                wait_for(lambda c=controller: c.session.work is None)
                widget.grab().save(str(folder / f'{name.split()[0].lower()}_{theme}_{width}.png'))
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
    controller.brush.paint_background()
    wait_for(lambda: delineator.work is None)
    before = delineator.draft
    place = np.argwhere(before.labels == before.ids()[6]).mean(axis=0).astype(int)
    strokes = viewer.layers['coins corrections']
    for step in range(-10, 11):
        strokes.paint((place[0], place[1] + step), 1)
    wait_for(lambda: delineator.draft is not before and delineator.work is None)
    picture('3_corrected')
    viewer.close()


def draw_batch(folder: Path, images: Path) -> None:
    """A folder segmented, and one of its results opened."""
    from napari_flim.bridge.commands import open_dock
    from napari_flim.bridge.controller import CONTROLLERS
    from napari_flim.bridge.show import open_window

    viewer = open_window('napari-flim demo')
    viewer.window.resize(*WINDOW)
    controller = CONTROLLERS.of(viewer)
    viewer.open_sample('napari-flim', 'coins')
    wait_for(lambda: controller.session.learned is not None and controller.session.work is None)
    dock = open_dock(viewer, 'Batch segmentation')
    segment_images(controller, images)
    dock.widget().panel.files.view.selectRow(6)
    for layer in viewer.layers:
        layer.visible = False
    controller.batch.open_result(controller.batch.run.rows[6])
    wait_for(lambda: 'coins_07.tif objects' in viewer.layers)
    viewer.screenshot(path=str(folder / 'batch_window.png'), canvas_only=False, flash=False)
    viewer.close()


def main(folder: Path) -> None:
    """Draw everything; copies of sessions go to a folder that is removed."""
    with tempfile.TemporaryDirectory() as place:
        os.environ['XDG_DATA_HOME'] = place
        folder = folder.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        # Pictures show short paths.
        os.chdir(place)
        images = write_images(Path())
        draw_docks(folder, images)
        draw_first_session(folder)
        draw_delineation(folder)
        draw_batch(folder, images)


if __name__ == '__main__':
    main(Path(sys.argv[1]))
