"""What the tables of the docks have in common."""

from __future__ import annotations

from qtpy.QtCore import QAbstractItemModel, QModelIndex, QPersistentModelIndex, Qt
from qtpy.QtWidgets import QAbstractItemView, QTableView

Index = QModelIndex | QPersistentModelIndex


def sorted_table(model: QAbstractItemModel, name: str, *, by: int, least_height: int) -> QTableView:
    """A table of whole rows that are chosen together and sorted by a click on a title.

    Parameters
    ----------
    model : QAbstractItemModel
    name : str
        What screen readers call it.
    by : int
        The column that it is sorted by at first.
    least_height : int
        In pixels.
    """
    view = QTableView()
    view.setModel(model)
    view.setAccessibleName(name)
    view.setSortingEnabled(True)
    view.sortByColumn(by, Qt.SortOrder.AscendingOrder)
    view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
    view.setMinimumHeight(least_height)
    view.setTabKeyNavigation(False)
    view.verticalHeader().hide()
    return view
