"""Input fields that show one value of a spec, and never lose what is being typed.

Each has a ``field``, the name of what it edits, says ``edited(field, value)`` when the user is done
with a value, and takes values from outside through ``show_value`` without saying so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from psygnal import Signal
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QStandardItem, QStandardItemModel
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QGridLayout,
    QLabel,
    QLineEdit,
    QSizePolicy,
    QSpinBox,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_flim.widgets.parts import MARGIN

LARGEST_NUMBER = 1e9
SHORTEST_COMBO = 8
NARROWEST = 60
"""Pixels that every field keeps in a narrow dock."""


class Option(NamedTuple):
    """One choice: its value, the words for it, and what it means."""

    value: Any
    text: str
    tip: str


class ChoiceField(QComboBox):
    """One of several values.

    Parameters
    ----------
    field, name : str
        What it edits, and what screen readers call it.
    options : sequence of Option
    """

    edited = Signal(str, object)

    def __init__(self, field: str, name: str, options: Sequence[Option]) -> None:
        super().__init__()
        self.field = field
        self._options = tuple(options)
        self._items = QStandardItemModel(self)
        for option in options:
            item = QStandardItem(option.text)
            item.setToolTip(option.tip)
            self._items.appendRow(item)
        self.setModel(self._items)
        # The list may be wider than the dock; the box itself never widens it.
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(SHORTEST_COMBO)
        _prepare(self, name)
        self.activated.connect(self._on_item_activated)

    def show_value(self, value: object) -> None:
        """Select the option of a value."""
        place = self._place(value)
        self.setCurrentIndex(place)
        self.setToolTip(self._items.item(place).toolTip())

    def allow(self, value: object, reason: str = '') -> None:
        """Let an option be chosen; not if there is a reason against it, which becomes its tip."""
        place = self._place(value)
        tip = reason or self._options[place].tip
        self._items.item(place).setToolTip(tip)
        self._items.item(place).setEnabled(not reason)
        if place == self.currentIndex():
            self.setToolTip(tip)

    def _place(self, value: object) -> int:
        return [option.value for option in self._options].index(value)

    def _on_item_activated(self, place: int) -> None:
        self.edited.emit(self.field, self._options[place].value)


class NumberField(QSpinBox):
    """A whole number; a spec that has one for each axis is shown in words and kept.

    Parameters
    ----------
    field, name : str
        What it edits, and what screen readers call it.
    limits : tuple of int
        Lowest and highest value; a higher one that comes from a file is shown all the same.
    step : int
    """

    edited = Signal(str, object)

    def __init__(self, field: str, name: str, limits: tuple[int, int], step: int = 1) -> None:
        super().__init__()
        self.field = field
        self._limits = limits
        self._shown: object = None
        self.setRange(*limits)
        self.setSingleStep(step)
        _prepare_number(self, name)
        self.valueChanged.connect(self._on_value_changed)

    def show_value(self, value: int | tuple[int, ...]) -> None:
        """Show a value, unless it is the one already shown, which may be being edited."""
        if value == self._shown:
            return
        self._shown = value
        per_axis = isinstance(value, tuple)
        low, high = self._limits
        number = low if isinstance(value, tuple) else value
        words = ' x '.join(map(str, value)) if isinstance(value, tuple) else ''
        self.setReadOnly(per_axis)
        with signals_blocked(self):
            self.setRange(low, max(high, number))
            # Shown in place of the lowest value, which stands for all that is per axis.
            self.setSpecialValueText(words)
            self.setValue(number)
        buttons = QAbstractSpinBox.ButtonSymbols
        self.setButtonSymbols(buttons.NoButtons if per_axis else buttons.UpDownArrows)

    def _on_value_changed(self, value: int) -> None:
        # Whatever comes of it is to be shown, also the old value if this one is refused.
        self._shown = None
        self.edited.emit(self.field, value)


class DecimalField(QDoubleSpinBox):
    """A number.

    Parameters
    ----------
    field, name : str
        What it edits, and what screen readers call it.
    limits : tuple of float
    decimals : int
    """

    edited = Signal(str, object)

    def __init__(
        self,
        field: str,
        name: str,
        limits: tuple[float, float] = (-LARGEST_NUMBER, LARGEST_NUMBER),
        decimals: int = 3,
    ) -> None:
        super().__init__()
        self.field = field
        self._shown: float | None = None
        self.setDecimals(decimals)
        self.setRange(*limits)
        self.setStepType(QAbstractSpinBox.StepType.AdaptiveDecimalStepType)
        _prepare_number(self, name)
        self.valueChanged.connect(self._on_value_changed)

    def show_value(self, value: float) -> None:
        """Show a value, unless it is the one already shown, which may be being edited."""
        if value != self._shown:
            self._shown = value
            with signals_blocked(self):
                self.setValue(value)

    def textFromValue(self, value: float) -> str:
        """Without zeros that say nothing."""
        text = super().textFromValue(value)
        point = self.locale().decimalPoint()
        return text.rstrip('0').rstrip(point) if point in text else text

    def _on_value_changed(self, value: float) -> None:
        self._shown = None
        self.edited.emit(self.field, value)


class ListField(QLineEdit):
    """Several numbers with commas between them.

    Parameters
    ----------
    field, name : str
        What it edits, and what screen readers call it.
    kind : type
        int or float; what is no such number is passed on as text, for the spec to refuse.
    """

    edited = Signal(str, object)

    def __init__(self, field: str, name: str, kind: type[int] | type[float]) -> None:
        super().__init__()
        self.field = field
        self._kind = kind
        self._shown: object = None
        _prepare(self, name)
        self.editingFinished.connect(self._on_editing_finished)

    def show_value(self, value: Sequence[float]) -> None:
        """Show numbers, unless they are those already shown, which may be being edited."""
        if value != self._shown:
            self._shown = value
            self.setText(', '.join(f'{number:g}' for number in value))

    def _on_editing_finished(self) -> None:
        parts = self.text().replace(';', ',').split(',')
        value = tuple(self._number(part) for part in parts if part.strip())
        if value != self._shown:
            self._shown = None
            self.edited.emit(self.field, value)

    def _number(self, text: str) -> float | str:
        try:
            return self._kind(text)
        except ValueError:
            return text.strip()


Field = ChoiceField | NumberField | DecimalField | ListField


class _WheelGuard(QObject):
    """Lets the wheel scroll the dock over a field that has not the focus."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Whether the event is kept from the field."""
        turned = event.type() == QEvent.Type.Wheel
        if not turned or not isinstance(watched, QWidget) or watched.hasFocus():
            return False
        event.ignore()
        return True


def guard_wheel(widget: QWidget) -> None:
    """Keep the wheel from changing a control that has not the focus: it scrolls the dock."""
    widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    widget.installEventFilter(_WheelGuard(widget))


def _prepare(widget: QWidget, name: str) -> None:
    """What all fields have in common."""
    widget.setAccessibleName(name)
    widget.setMinimumWidth(NARROWEST)
    widget.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    guard_wheel(widget)


def _prepare_number(box: QAbstractSpinBox, name: str) -> None:
    """What fields of numbers have in common: a number counts once it is typed to its end."""
    box.setKeyboardTracking(False)
    _prepare(box, name)


def form(parent: QWidget) -> QFormLayout:
    """A form in a widget: words to the left, fields to the right, as wide as the dock."""
    layout = QFormLayout(parent)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
    return layout


def labelled(fields: Mapping[str, QWidget]) -> QGridLayout:
    """Fields one below the other, each with its label before it, and room for buttons behind it."""
    grid = QGridLayout()
    grid.setHorizontalSpacing(MARGIN)
    grid.setColumnStretch(1, 1)
    for row, (words, field) in enumerate(fields.items()):
        label = QLabel(words)
        label.setBuddy(field)
        grid.addWidget(label, row, 0)
        grid.addWidget(field, row, 1)
    return grid
