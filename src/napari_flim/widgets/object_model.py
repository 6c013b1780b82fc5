"""The rows of the table of objects."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QAbstractTableModel, QObject, Qt

from napari_flim.session.object_rows import ObjectRow
from napari_flim.widgets.parts import swatch
from napari_flim.widgets.tables import Index

ID, CLASS, SIZE, SALIENCY, ACCEPTED = range(5)
VALUE = Qt.ItemDataRole.UserRole
"""Role of what rows are sorted by."""


class ObjectModel(QAbstractTableModel):
    """Rows of objects, with a sign for each that is accepted.

    Parameters
    ----------
    parent : QObject, optional
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: list[ObjectRow] = []
        self._row_of: dict[int, int] = {}
        self._size_title = 'area'

    def show_rows(self, rows: list[ObjectRow], size_title: str) -> None:
        """Show other rows; what stays in its place stays chosen."""
        same = [one.number for one in rows] == [one.number for one in self._rows]
        if same and size_title == self._size_title:
            self._rows = rows
            if rows:
                last = self.index(len(rows) - 1, ACCEPTED)
                self.dataChanged.emit(self.index(0, 0), last)
            return
        self.beginResetModel()
        self._rows, self._size_title = rows, size_title
        self._row_of = {one.number: row for row, one in enumerate(rows)}
        self.endResetModel()

    def row_of(self, number: int) -> int | None:
        """Where an object is."""
        return self._row_of.get(number)

    def rowCount(self, parent: Index | None = None) -> int:
        """Number of objects."""
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index | None = None) -> int:
        """Number of columns."""
        return 0 if parent is not None and parent.isValid() else ACCEPTED + 1

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Titles of the columns."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        titles = ('id', 'class', self._size_title, 'saliency', '\N{CHECK MARK}')
        if role == Qt.ItemDataRole.DisplayRole:
            return titles[section]
        if role == Qt.ItemDataRole.ToolTipRole and section == ACCEPTED:
            return 'Accepted objects stay as they are'
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """What a cell shows."""
        row, column = self._rows[index.row()], index.column()
        values = (row.number, row.class_name, row.size, row.saliency, row.accepted)
        if role == VALUE:
            return values[column]
        if role == Qt.ItemDataRole.DisplayRole:
            sign = '\N{BALLOT BOX WITH CHECK}' if row.accepted else '\N{BALLOT BOX}'
            texts = (
                f'{row.number}',
                row.class_name,
                f'{row.size:.4g}',
                f'{row.saliency:.2f}',
                sign,
            )
            return texts[column]
        if role == Qt.ItemDataRole.DecorationRole and column in (ID, CLASS):
            return swatch(row.colour if column == ID else row.class_colour)
        if role == Qt.ItemDataRole.AccessibleTextRole and column == ACCEPTED:
            return 'accepted' if row.accepted else 'not accepted'
        if role == Qt.ItemDataRole.TextAlignmentRole and column == ACCEPTED:
            return Qt.AlignmentFlag.AlignCenter
        if role == Qt.ItemDataRole.TextAlignmentRole and column in (SIZE, SALIENCY):
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None
