"""The Train dock: images, classes, input, encoder, saliency, and learning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtGui import QKeySequence, QShortcut  # type: ignore[attr-defined]
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_flim.bridge.controller import CONTROLLERS
from napari_flim.widgets.classes_section import ClassesSection
from napari_flim.widgets.docking import Docked
from napari_flim.widgets.encoder_section import EncoderSection
from napari_flim.widgets.input_section import InputSection
from napari_flim.widgets.items_section import ItemsSection
from napari_flim.widgets.learn_bar import LearnBar
from napari_flim.widgets.model_section import ModelSection
from napari_flim.widgets.parts import Section, scrolling, wrapped_label
from napari_flim.widgets.quiet import Quiet
from napari_flim.widgets.recovery_bar import RecoveryBar
from napari_flim.widgets.saliency_section import SaliencySection
from napari_flim.widgets.tab_order import order_tabs

if TYPE_CHECKING:
    import napari.viewer

SHORTCUTS = {
    'Ctrl+L': 'learn',
    'Ctrl+Shift+L': 'live on or off',
    'Ctrl+Alt+Z': 'undo learning or an edit',
    'Ctrl+Alt+Shift+Z': 'redo it',
}
"""Keys that napari leaves free; they work while the dock is visible."""


class TrainDock(Docked):
    """The working dock.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Injected by napari because of this annotation.
    parent : QWidget, optional
    """

    title = 'Train'

    def __init__(self, viewer: napari.viewer.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        controller = CONTROLLERS.of(viewer, dock=self)
        self.controller = controller
        self.items = ItemsSection(controller)
        self.classes = ClassesSection(controller)
        self.input = InputSection(controller)
        self.encoder = EncoderSection(controller)
        self.saliency = SaliencySection(controller)
        self.model = ModelSection(controller)
        self.bar = LearnBar(controller)
        self.sections = {
            'items': Section('1 Images and markers', self.items),
            'classes': Section('2 Classes', self.classes),
            'input': Section('3 Input', self.input, opened=False),
            'encoder': Section('4 Encoder', self.encoder),
            'saliency': Section('5 Saliency', self.saliency),
            'model': Section('6 Model and session', self.model, opened=False),
            'keys': Section('Keys', wrapped_label(_keys_in_words()), opened=False),
        }
        self._quiet = Quiet(self, controller.session)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(RecoveryBar(controller))
        layout.addWidget(scrolling(list(self.sections.values())), 1)
        layout.addWidget(self.bar)
        order_tabs(self)
        actions = (
            self.bar.learn.click,
            self.bar.live.toggle,
            self.bar.history.undo.click,
            self.bar.history.redo.click,
        )
        for keys, action in zip(SHORTCUTS, actions, strict=True):
            # A shortcut of a hidden widget is asleep.
            QShortcut(QKeySequence(keys), self).activated.connect(action)


def _keys_in_words() -> str:
    return '\n'.join(f'{keys}: {words}' for keys, words in SHORTCUTS.items())
