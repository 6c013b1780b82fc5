"""The order in which the Tab key visits controls: as the eye does, row by row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QLayout, QScrollArea, QWidget


def order_tabs(widget: QWidget) -> None:
    """Let the Tab key visit what is laid out in a widget from top to bottom, and along rows.

    Controls that are added later come last until this is called again; the first one is to stay,
    since it says where in the window all of them come.

    Parameters
    ----------
    widget : QWidget
    """
    for before, after in pairwise(tab_stops(widget)):
        QWidget.setTabOrder(before, after)


def tab_stops(widget: QWidget) -> Iterator[QWidget]:
    """Whatever the Tab key may stop at in a widget, hidden or not, in the order of its layouts."""
    if widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
        yield widget
    layout = widget.layout()
    scrolled = widget.widget() if isinstance(widget, QScrollArea) else None
    if scrolled is not None:
        yield from tab_stops(scrolled)
    elif layout is not None:
        for child in _laid_out(layout):
            yield from tab_stops(child)


def _laid_out(layout: QLayout) -> Iterator[QWidget]:
    places: Sequence[int] = range(layout.count())
    if isinstance(layout, QGridLayout):
        places = sorted(places, key=lambda place: _cell(layout, place))
    for item in filter(None, map(layout.itemAt, places)):
        widget, inner = item.widget(), item.layout()
        if widget is not None:
            yield widget
        elif inner is not None:
            yield from _laid_out(inner)


def _cell(layout: QGridLayout, place: int) -> tuple[int, int]:
    """Row and column."""
    position: Any = layout.getItemPosition(place)
    return position[0], position[1]
