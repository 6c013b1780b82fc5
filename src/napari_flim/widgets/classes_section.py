"""Classes: a row for each, to paint with it, name it, colour it and say what it is."""

from __future__ import annotations

from dataclasses import replace

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QColorDialog,
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_flim.bridge.controller import Controller
from napari_flim.errors import FlimError
from napari_flim.session.classes import (
    BACKGROUND,
    MarkedClass,
    Role,
    with_change,
    with_new_class,
    with_role,
    without,
)
from napari_flim.session.session import Message
from napari_flim.widgets.connections import Connections
from napari_flim.widgets.fields import guard_wheel
from napari_flim.widgets.parts import small_button, swatch, to_qcolor
from napari_flim.widgets.tab_order import order_tabs

ROLES: tuple[Role, ...] = ('background', 'object')
LONGEST_NAME = 40


class ClassesSection(QWidget):
    """Rows of classes.

    Parameters
    ----------
    controller : Controller
    parent : QWidget, optional
    """

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._rows: dict[int, ClassRow] = {}
        self._list = QVBoxLayout()
        self.add_button = QPushButton('Add class')
        self.add_button.setToolTip('Another kind of object, or of background')
        self.add_button.clicked.connect(self._on_add_clicked)
        layout = QVBoxLayout(self)
        layout.addLayout(self._list)
        layout.addWidget(self.add_button)
        heard = Connections(self)
        heard.hear(controller.session.events['classes'], self._on_classes_changed)
        heard.hear(controller.session.events['current'], self._on_brush_changed)
        heard.hear(controller.items.watch.brush_changed, self._on_brush_changed)
        self._on_classes_changed()

    def row(self, label: int) -> ClassRow:
        """The row of a label."""
        return self._rows[label]

    def _on_classes_changed(self) -> None:
        classes = {one.label: one for one in self._controller.session.classes}
        for label in [label for label in self._rows if label not in classes]:
            row = self._rows.pop(label)
            self._list.removeWidget(row)
            row.hide()
            row.deleteLater()
        for place, (label, one) in enumerate(classes.items()):
            if label not in self._rows:
                self._rows[label] = ClassRow(self._controller, one, self)
                self._list.insertWidget(place, self._rows[label])
                order_tabs(self)
            self._rows[label].show_class(one)
        self._on_brush_changed()

    def _on_brush_changed(self) -> None:
        chosen = self._controller.items.painting_label()
        for label, row in self._rows.items():
            row.paint.setChecked(label == chosen)

    def _on_add_clicked(self) -> None:
        session = self._controller.session
        session.classes = with_new_class(session.classes)
        self._controller.items.paint_class(session.classes[-1].label)


class ClassRow(QWidget):
    """One class.

    Parameters
    ----------
    controller : Controller
    marked : MarkedClass
    parent : QWidget, optional
    """

    def __init__(
        self, controller: Controller, marked: MarkedClass, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller = controller
        self._class = marked
        self.paint = QToolButton()
        self.paint.setCheckable(True)
        self.paint.setText(str(marked.label))
        self.paint.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.paint.clicked.connect(self._on_paint_clicked)
        self.name = QLineEdit()
        self.name.setMaxLength(LONGEST_NAME)
        self.name.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.name.editingFinished.connect(self._on_name_edited)
        self.role = QComboBox()
        self.role.addItems(ROLES)
        self.role.setToolTip('What it is learned as; several classes may be background')
        self.role.activated.connect(self._on_role_activated)
        guard_wheel(self.role)
        self.more = small_button('⋯', '', 'Colour, remove')
        self.more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self.more)
        self.colour = menu.addAction('Change the colour...')
        self.colour.triggered.connect(self._on_colour_triggered)
        self.remove = menu.addAction('Remove the class; what is painted stays')
        self.remove.triggered.connect(self._on_remove_triggered)
        self.more.setMenu(menu)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.paint, self.name, self.role, self.more):
            layout.addWidget(widget)
        layout.setStretchFactor(self.name, 1)

    def show_class(self, marked: MarkedClass) -> None:
        """Show a class as it is now."""
        self._class = marked
        first = marked.label == BACKGROUND
        self.paint.setIcon(swatch(marked.colour))
        self.paint.setToolTip(f'Paint {marked.name} (label {marked.label})')
        self.paint.setAccessibleName(f'paint {marked.name}')
        if not self.name.hasFocus():
            self.name.setText(marked.name)
        with signals_blocked(self.role):
            self.role.setCurrentText(marked.role)
        self.role.setEnabled(not first)
        self.remove.setEnabled(not first)
        for widget, words in (
            (self.name, 'name of'),
            (self.role, 'role of'),
            (self.more, 'more about'),
        ):
            widget.setAccessibleName(f'{words} {marked.name}')

    def _on_paint_clicked(self) -> None:
        self._controller.items.paint_class(self._class.label)
        self.paint.setChecked(self._controller.items.painting_label() == self._class.label)

    def _on_name_edited(self) -> None:
        self._change(replace(self._class, name=self.name.text().strip()))
        self.name.setText(self._class.name)

    def _on_role_activated(self, index: int) -> None:
        session = self._controller.session
        try:
            session.classes = with_role(session.classes, self._class.label, ROLES[index])
        except FlimError as error:
            session.message = Message(str(error), error=True)
            self.role.setCurrentText(self._class.role)
        self._controller.items.debouncer.call()

    def _on_colour_triggered(self) -> None:
        chosen = QColorDialog.getColor(to_qcolor(self._class.colour), self, 'Colour of the class')
        if chosen.isValid():
            red, green, blue = chosen.redF(), chosen.greenF(), chosen.blueF()
            self._change(replace(self._class, colour=(red, green, blue)))

    def _on_remove_triggered(self) -> None:
        session = self._controller.session
        if any(self._class.label in item.counts for item in session.items):
            session.message = Message(
                f'{self._class.name} is painted; erase its strokes first, or make it background.',
                error=True,
            )
            return
        try:
            session.classes = without(session.classes, self._class.label)
        except FlimError as error:
            session.message = Message(str(error), error=True)

    def _change(self, changed: MarkedClass) -> None:
        session = self._controller.session
        try:
            session.classes = with_change(session.classes, changed)
        except FlimError as error:
            session.message = Message(str(error), error=True)
