"""The table of objects, and what can be done with those that are chosen."""

from __future__ import annotations

from qtpy.QtCore import QItemSelection, QItemSelectionModel, QModelIndex, QSortFilterProxyModel
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_flim.bridge.controller import Controller
from napari_flim.bridge.object_layers import Colouring
from napari_flim.session.object_rows import object_rows, size_title
from napari_flim.widgets.connections import Connections
from napari_flim.widgets.fields import guard_wheel
from napari_flim.widgets.object_model import ACCEPTED, ID, VALUE, ObjectModel
from napari_flim.widgets.parts import MARGIN, narrow_button
from napari_flim.widgets.saving import ask_where_to_save
from napari_flim.widgets.tables import sorted_table
from napari_flim.widgets.undo_buttons import UndoButtons

TABLES = 'Table (*.csv)'
COLOURINGS: tuple[tuple[str, Colouring], ...] = (
    ('own colours', 'object'),
    ('class colours', 'class'),
)
LEAST_HEIGHT = 220


class ObjectsSection(QWidget):
    """Rows of objects; a row and its object on the canvas are chosen together.

    Parameters
    ----------
    controller : Controller
    parent : QWidget, optional
    """

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._make_table()
        self._make_buttons()
        self._lay_out()
        heard = Connections(self)
        heard.hear(controller.table.changed, self._on_table_changed)
        heard.hear(controller.session.events['classes'], self._on_table_changed)
        heard.hear(controller.choice.changed, self._on_choice_changed)
        heard.hear(controller.delineator.changed, self._refresh_buttons)
        self._on_table_changed()

    def _make_table(self) -> None:
        self.model = ObjectModel(self)
        self.sorted = QSortFilterProxyModel(self)
        self.sorted.setSourceModel(self.model)
        self.sorted.setSortRole(VALUE)
        self.view = sorted_table(self.sorted, 'objects', by=ID, least_height=LEAST_HEIGHT)
        self.view.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        header = self.view.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        for column in (ID, ACCEPTED):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        self.view.selectionModel().selectionChanged.connect(self._on_rows_chosen)
        self.view.clicked.connect(self._on_cell_clicked)

    def _make_buttons(self) -> None:
        self.delete = narrow_button('Delete', self._on_delete_clicked)
        self.merge = narrow_button('Merge', self._on_merge_clicked)
        self.split = narrow_button('Split', self._on_split_clicked)
        self.accept = narrow_button('Accept', self._on_accept_clicked)
        delineator = self._controller.delineator
        self.history = UndoButtons(delineator.undo, delineator.redo, 'the edit')
        self.colouring = QComboBox()
        self.colouring.setAccessibleName('colours of objects')
        self.colouring.addItems([words for words, _ in COLOURINGS])
        self.colouring.activated.connect(self._on_colouring_activated)
        self.colouring.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        guard_wheel(self.colouring)
        self.save = narrow_button('Save table...', self._on_save_clicked)

    def _lay_out(self) -> None:
        edits = QHBoxLayout()
        edits.setSpacing(MARGIN)
        for button in (self.delete, self.merge, self.split, self.accept):
            edits.addWidget(button, 1)
        edits.addWidget(self.history)
        below = QHBoxLayout()
        below.addWidget(self.colouring, 1)
        below.addWidget(self.save, 1)
        layout = QVBoxLayout(self)
        layout.addWidget(self.view, 1)
        layout.addLayout(edits)
        layout.addLayout(below)

    def _on_table_changed(self) -> None:
        table = self._controller.table
        rows, title = [], 'area'
        if table.frame is not None and table.draft is not None:
            colours = self._controller.objects.colours(table.draft)
            rows = object_rows(table.frame, self._controller.session.classes, colours)
            title = size_title(table.frame)
        self.model.show_rows(rows, title)
        self._on_choice_changed()

    def _on_choice_changed(self) -> None:
        """Choose the rows of the objects that are chosen, and scroll to the first."""
        selection = QItemSelection()
        found = [self.model.row_of(number) for number in self._controller.choice.ids]
        indices = [
            self.sorted.mapFromSource(self.model.index(row, ID)) for row in found if row is not None
        ]
        for index in indices:
            selection.select(index, index)
        flags = QItemSelectionModel.SelectionFlag
        with signals_blocked(self.view.selectionModel()):
            self.view.selectionModel().select(selection, flags.ClearAndSelect | flags.Rows)
        self.view.viewport().update()
        if indices:
            self.view.scrollTo(indices[0])
        self._refresh_buttons()

    def _refresh_buttons(self) -> None:
        """What can be done with the chosen objects, and what can be taken back."""
        chosen, delineator = len(self._controller.choice.ids), self._controller.delineator
        for button, needed, tip in (
            (self.delete, 1, 'They become background'),
            (self.merge, 2, 'They become one object'),
            (self.split, 1, 'They fall apart where they are narrow'),
            (self.accept, 1, 'They stay as they are, also when objects are found anew'),
        ):
            button.setEnabled(chosen >= needed)
            some = 'an object' if needed == 1 else 'two objects or more (Shift, Ctrl)'
            button.setToolTip(tip if chosen >= needed else f'Choose {some} first')
        edits = delineator.corrections_of().edits
        self.history.show_latest(
            edits.done[-1][0] if edits.done else '',
            edits.undone[-1][0] if edits.undone else '',
            hindered='Press Delineate first' if delineator.draft is None else '',
        )
        self.save.setEnabled(self._controller.table.frame is not None)

    def _on_rows_chosen(self) -> None:
        rows = self.view.selectionModel().selectedRows(ID)
        self._controller.choice.choose([row.data(VALUE) for row in rows], look=len(rows) == 1)

    def _on_cell_clicked(self, index: QModelIndex) -> None:
        """Accept an object, or let it change again, by its sign."""
        if index.column() == ACCEPTED:
            number = index.siblingAtColumn(ID).data(VALUE)
            self._controller.delineator.accept([number], not index.data(VALUE))

    def _on_delete_clicked(self) -> None:
        self._controller.delineator.delete(self._controller.choice.ids)

    def _on_merge_clicked(self) -> None:
        self._controller.delineator.merge(self._controller.choice.ids)

    def _on_split_clicked(self) -> None:
        self._controller.delineator.split(self._controller.choice.ids)

    def _on_accept_clicked(self) -> None:
        self._controller.delineator.accept(self._controller.choice.ids)

    def _on_colouring_activated(self, row: int) -> None:
        self._controller.objects.colouring = COLOURINGS[row][1]
        self._controller.delineator.recolour()
        self._on_table_changed()

    def _on_save_clicked(self) -> None:
        draft = self._controller.table.draft
        name = 'objects' if draft is None else f'{draft.material.target.source.name} objects'
        path = ask_where_to_save(self, 'Save table', f'{name}.csv', TABLES, '.csv')
        if path is not None:
            self._controller.table.save(path)
