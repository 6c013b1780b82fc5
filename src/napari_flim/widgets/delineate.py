"""The Delineate dock: from saliency to objects, their correction, and their measures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtGui import QHideEvent, QShowEvent
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_flim.bridge.controller import CONTROLLERS, Controller
from napari_flim.widgets.correct_section import CorrectSection
from napari_flim.widgets.delineate_bar import DelineateBar
from napari_flim.widgets.docking import Docked
from napari_flim.widgets.method_section import MethodSection
from napari_flim.widgets.objects_section import ObjectsSection
from napari_flim.widgets.parts import Section, scrolling
from napari_flim.widgets.seeds_section import SeedsSection
from napari_flim.widgets.tab_order import order_tabs

if TYPE_CHECKING:
    import napari.viewer


class DelineateDock(Docked):
    """Dock of a viewer; see `DelineatePanel`.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    parent : QWidget, optional
    """

    title = 'Delineate'

    def __init__(self, viewer: napari.viewer.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.panel = DelineatePanel(CONTROLLERS.of(viewer, dock=self))
        self.hold(self.panel)


class DelineatePanel(QWidget):
    """Seeds, method, correction and objects of what is in view.

    Parameters
    ----------
    controller : Controller
    parent : QWidget, optional
    """

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self.seeds = SeedsSection(controller)
        self.method = MethodSection(controller)
        self.correct = CorrectSection(controller)
        self.objects = ObjectsSection(controller)
        self.bar = DelineateBar(controller)
        self.sections = {
            'seeds': Section('1 Seeds', self.seeds),
            'method': Section('2 Method', self.method, opened=False),
            'correct': Section('3 Correct', self.correct),
            'objects': Section('4 Objects', self.objects),
        }
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scrolling(list(self.sections.values())), 1)
        layout.addWidget(self.bar)
        order_tabs(self)
        controller.delineator.prepare()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._controller.objects.listening = True
        self._controller.seeds.watch(True)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._controller.objects.listening = False
        self._controller.seeds.watch(False)
