"""The Batch segmentation dock: a model on all images of a folder."""

from __future__ import annotations

import weakref
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QCoreApplication, QObject
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QMainWindow, QVBoxLayout, QWidget

from napari_flim.bridge.batch import Batch
from napari_flim.bridge.controller import CONTROLLERS, Controller
from napari_flim.widgets.batch_bar import BatchBar
from napari_flim.widgets.batch_files_section import FilesSection
from napari_flim.widgets.batch_images_section import ImagesSection
from napari_flim.widgets.batch_results_section import MoreSection, ResultsSection
from napari_flim.widgets.docking import Docked
from napari_flim.widgets.fitting_area import FittingArea
from napari_flim.widgets.parts import Section, scrolling
from napari_flim.widgets.tab_order import order_tabs

if TYPE_CHECKING:
    import napari.viewer


class BatchDock(Docked):
    """Dock of a viewer; see `BatchPanel`.

    A run goes on when the dock is closed, and is shown again when it is opened. It ends after its
    present step with the window of the viewer, or with the program.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    parent : QWidget, optional
    """

    title = 'Batch segmentation'

    def __init__(self, viewer: napari.viewer.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        controller = CONTROLLERS.of(viewer, dock=self)
        self._end = partial(_end, weakref.ref(controller.batch))
        self._window: QMainWindow | None = None
        self.panel = BatchPanel(controller)
        self.hold(self.panel)
        program = QCoreApplication.instance()
        if program is not None:
            program.aboutToQuit.connect(self._end)

    def showEvent(self, event: QShowEvent) -> None:
        """Learn of the window, whose end the dock need not live to see."""
        super().showEvent(event)
        window: QWidget | None = self
        while window is not None and not isinstance(window, QMainWindow):
            window = window.parentWidget()
        if window is not None and window is not self._window:
            self._window = window
            window.destroyed.connect(self._end)


class BatchPanel(QWidget):
    """Model, images, results, files, and what is done with them.

    Parameters
    ----------
    controller : Controller
    parent : QWidget, optional
    """

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.images = ImagesSection(controller)
        self.results = ResultsSection(controller)
        self.more = MoreSection(controller)
        self.files = FilesSection(controller)
        self.bar = BatchBar(controller)
        self.sections = {
            'images': Section('1 Model and images', self.images),
            'results': Section('2 Results', self.results),
            'more': Section('3 Axes and memory', self.more, opened=False),
        }
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scrolling(list(self.sections.values()), FittingArea()))
        layout.addWidget(self.files, 1)
        layout.addWidget(self.bar)
        order_tabs(self)


def _end(reference: weakref.ref[Batch], _window: QObject | None = None) -> None:
    """Stop a run, so that its thread keeps neither the window nor the program."""
    batch = reference()
    if batch is not None:
        batch.cancel()
