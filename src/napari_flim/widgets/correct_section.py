"""Correcting objects with the brush."""

from __future__ import annotations

from qtpy.QtWidgets import QComboBox, QHBoxLayout, QVBoxLayout, QWidget

from napari_flim.bridge.controller import Controller
from napari_flim.session.classes import MarkedClass
from napari_flim.widgets.connections import Connections
from napari_flim.widgets.fields import guard_wheel
from napari_flim.widgets.parts import MARGIN, fill, narrow_button, swatch, wrapped_label

HELP = (
    'Paint over what is wrong: what a stroke touches grows anew. Each stroke of New object is one '
    'more object. Ctrl+Z takes strokes back. To choose objects by a click, select their layer.'
)
NO_OBJECTS = 'Press Delineate first'


class CorrectSection(QWidget):
    """Buttons that take the brush.

    Parameters
    ----------
    controller : Controller
    parent : QWidget, optional
    """

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self.chosen = narrow_button('Object', self._on_chosen_clicked)
        self.new = narrow_button('New object', self._on_new_clicked)
        self.background = narrow_button('Background', self._on_background_clicked)
        self.of_class = QComboBox()
        self.of_class.setAccessibleName('class of a new object')
        self.of_class.setToolTip('Class of a new object')
        guard_wheel(self.of_class)
        brushes = QHBoxLayout()
        brushes.setSpacing(MARGIN)
        for button, share in ((self.chosen, 4), (self.new, 5), (self.background, 6)):
            brushes.addWidget(button, share)
        layout = QVBoxLayout(self)
        layout.addLayout(brushes)
        layout.addWidget(self.of_class)
        layout.addWidget(wrapped_label(HELP))
        heard = Connections(self)
        heard.hear(controller.session.events['classes'], self._on_something_changed)
        heard.hear(controller.delineator.changed, self._on_something_changed)
        heard.hear(controller.choice.changed, self._on_something_changed)
        self._on_something_changed()

    def _on_something_changed(self) -> None:
        draft, ids = self._controller.delineator.draft, self._controller.choice.ids
        classes = self._object_classes()
        fill(self.of_class, [one.name for one in classes], max(self.of_class.currentIndex(), 0))
        self.of_class.setVisible(len(classes) > 1)
        one = ids[0] if len(ids) == 1 else None
        self.chosen.setText('Object' if one is None else f'Object {one}')
        self.chosen.setEnabled(draft is not None and one is not None)
        self.chosen.setToolTip(
            'Choose one object first, in the picture or in the table'
            if one is None
            else f'Paint what belongs to object {one}'
        )
        background = self._controller.session.classes[0]
        self.background.setIcon(swatch(background.colour))
        for button, tip in (
            (self.new, 'Paint an object that was not found'),
            (self.background, 'Paint what is no object'),
        ):
            button.setEnabled(draft is not None)
            button.setToolTip(NO_OBJECTS if draft is None else tip)

    def _object_classes(self) -> list[MarkedClass]:
        return [one for one in self._controller.session.classes if one.role == 'object']

    def _on_chosen_clicked(self) -> None:
        ids = self._controller.choice.ids
        if len(ids) == 1:
            self._controller.brush.paint_object(ids[0])

    def _on_new_clicked(self) -> None:
        chosen = self._object_classes()[max(self.of_class.currentIndex(), 0)]
        self._controller.brush.paint_new(chosen.label)

    def _on_background_clicked(self) -> None:
        self._controller.brush.paint_background()
