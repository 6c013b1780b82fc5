"""The rows of the table of files: quick for ten thousand of them."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QAbstractTableModel, QObject, Qt

from napari_flim.session.batch_files import FileRow
from napari_flim.session.batch_run import BatchRun
from napari_flim.session.batch_words import SIGNS, state_of
from napari_flim.widgets.connections import Connections
from napari_flim.widgets.tables import Index

FILE, STATE, OBJECTS = range(3)
TITLES = ('file', 'state', 'objects')
URGENCY = ('failed', 'running', 'waiting', 'skipped', 'done')
FEW = 50
"""Rows that are drawn again one by one; more are drawn all."""


class FileModel(QAbstractTableModel):
    """Files of a run; sorted when asked to, so that nothing jumps while it goes on.

    Parameters
    ----------
    run : BatchRun
    parent : QObject, optional
    """

    def __init__(self, run: BatchRun, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._run = run
        self._shown: list[FileRow] = []
        self._order: list[int] = []
        self._sorting = (FILE, Qt.SortOrder.AscendingOrder)
        heard = Connections(self)
        heard.hear(run.replaced, self._on_rows_replaced)
        heard.hear(run.changed, self._on_run_changed)
        self._on_rows_replaced()

    def row(self, index: Index) -> FileRow:
        """What a row of the table shows."""
        return self._shown[self.place(index.row())]

    def place(self, row: int) -> int:
        """Place in the run of what a row of the table shows, however the table is sorted."""
        return self._order[row]

    def row_at(self, place: int) -> FileRow:
        """The file at a place in the run."""
        return self._shown[place]

    def rowCount(self, parent: Index | None = None) -> int:
        """Number of files."""
        return 0 if parent is not None and parent.isValid() else len(self._order)

    def columnCount(self, parent: Index | None = None) -> int:
        """Number of columns."""
        return 0 if parent is not None and parent.isValid() else len(TITLES)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Titles of the columns."""
        titled = orientation == Qt.Orientation.Horizontal
        return TITLES[section] if titled and role == Qt.ItemDataRole.DisplayRole else None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """What a cell shows."""
        row, column = self.row(index), index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            objects = '' if row.objects is None else str(row.objects)
            return (row.source.name, f'{SIGNS[row.state]} {state_of(row)}', objects)[column]
        if role == Qt.ItemDataRole.AccessibleTextRole and column == STATE:
            return state_of(row)
        if role == Qt.ItemDataRole.ToolTipRole:
            return str(row.source) if column == FILE else row.note or state_of(row)
        if role == Qt.ItemDataRole.TextAlignmentRole and column == OBJECTS:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column; what is selected stays selected."""
        self._sorting = (column, order)
        self.layoutAboutToBeChanged.emit()
        before = self.persistentIndexList()
        places = [self._order[index.row()] for index in before]
        self._order = self._sorted()
        row_of = {place: row for row, place in enumerate(self._order)}
        after = [
            self.index(row_of[place], index.column())
            for place, index in zip(places, before, strict=True)
        ]
        self.changePersistentIndexList(before, after)
        self.layoutChanged.emit()

    def _sorted(self) -> list[int]:
        """Places of the rows in the order in which they are shown."""
        column, order = self._sorting
        backwards = order == Qt.SortOrder.DescendingOrder
        rows = self._shown

        def key(place: int) -> int:
            if column == STATE:
                return URGENCY.index(rows[place].state)
            if column == OBJECTS:
                objects = rows[place].objects
                return -1 if objects is None else objects
            return place

        return sorted(range(len(rows)), key=key, reverse=backwards)

    def _on_rows_replaced(self) -> None:
        self.beginResetModel()
        self._shown = list(self._run.rows)
        self._order = self._sorted()
        self.endResetModel()

    def _on_run_changed(self) -> None:
        """Draw the rows again that are others now."""
        pairs = zip(self._shown, self._run.rows, strict=True)
        changed = {place for place, (old, new) in enumerate(pairs) if old is not new}
        if not changed:
            return
        self._shown = list(self._run.rows)
        rows = [row for row, place in enumerate(self._order) if place in changed]
        if len(rows) > FEW:
            self.dataChanged.emit(self.index(rows[0], 0), self.index(rows[-1], OBJECTS))
            return
        for row in rows:
            self.dataChanged.emit(self.index(row, 0), self.index(row, OBJECTS))
