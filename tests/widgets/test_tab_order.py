"""The order of the Tab key."""

from __future__ import annotations

from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import (
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_flim.widgets.parts import scrolling
from napari_flim.widgets.tab_order import order_tabs, tab_stops


def chain(first: QWidget, count: int) -> list[QWidget]:
    """Controls in the order in which the Tab key visits them."""
    found = [first]
    while len(found) < count:
        found.append(found[-1].nextInFocusChain())
    return found


def test_rows_grids_forms_and_scrolled_parts_are_visited_as_they_lie(qtbot: QtBot) -> None:
    # Made in the opposite order, which is Qt's own.
    fields = [QLineEdit() for _ in range(8)][::-1]
    dock, inside, rows = QWidget(), QWidget(), QWidget()
    qtbot.addWidget(dock)
    grid = QGridLayout(inside)
    grid.addWidget(fields[3], 1, 1)
    grid.addWidget(fields[2], 1, 0)
    grid.addWidget(fields[1], 0, 0)
    form = QFormLayout(rows)
    form.addRow('one', fields[4])
    form.addRow('two', fields[5])
    row = QHBoxLayout()
    row.addWidget(fields[6])
    row.addWidget(QLabel('words'))
    row.addWidget(fields[7])
    layout = QVBoxLayout(dock)
    layout.addWidget(fields[0])
    layout.addWidget(scrolling([inside, rows]))
    layout.addLayout(row)
    order_tabs(dock)
    assert [stop for stop in tab_stops(dock) if isinstance(stop, QLineEdit)] == fields
    seen = chain(fields[0], 40)
    places = [seen.index(field) for field in fields]
    assert places == sorted(places)


def test_what_is_added_later_takes_its_place_when_asked_again(qtbot: QtBot) -> None:
    dock = QWidget()
    qtbot.addWidget(dock)
    layout = QVBoxLayout(dock)
    first, last, new = QPushButton('1'), QPushButton('3'), QPushButton('2')
    layout.addWidget(first)
    layout.addWidget(last)
    order_tabs(dock)
    layout.insertWidget(1, new)
    assert chain(first, 3) == [first, last, dock] or chain(first, 3) == [first, last, new]
    order_tabs(dock)
    assert chain(first, 3) == [first, new, last]
