"""A number that may be left to the program."""

from __future__ import annotations

import math

from superqt.utils import signals_blocked

from napari_flim.widgets.fields import LARGEST_NUMBER, DecimalField

DECIMALS = 2
"""At least; more where a voxel is small in its unit."""
NOTHING = -1.0
"""Below every length and size there is; stands for none."""


class OptionalField(DecimalField):
    """A number from 0 up in some unit, or nothing, which is shown as a word.

    It says ``edited(field, value)`` with None for nothing.

    Parameters
    ----------
    field, name : str
        What it edits, and what screen readers call it.
    nothing : str
        The word for nothing; the lowest step leads there.
    """

    def __init__(self, field: str, name: str, nothing: str) -> None:
        super().__init__(field, name, (NOTHING, LARGEST_NUMBER), DECIMALS)
        self.setSpecialValueText(nothing)

    def show_optional(self, value: float | None) -> None:
        """Show a number, or nothing."""
        self.show_value(NOTHING if value is None else value)

    def show_unit(self, unit: str, voxel: float) -> None:
        """Show a unit behind the number, and as many decimals as tell a tenth of a voxel.

        Parameters
        ----------
        unit : str
        voxel : float
            Length, area or volume of a voxel in that unit; a tenth of it is the smallest step.
        """
        if self.suffix() != f' {unit}':
            self.setSuffix(f' {unit}')
        decimals = max(DECIMALS, 1 - math.floor(math.log10(voxel)))
        if self.decimals() != decimals:
            # What is shown may have been rounded to fewer decimals.
            self._shown = None
            with signals_blocked(self):
                self.setDecimals(decimals)

    def stepBy(self, steps: int) -> None:
        """From nothing to 0 and back in one step."""
        if self.value() < 0 < steps:
            self.setValue(0.0)
        elif self.value() == 0 and steps < 0:
            self.setValue(NOTHING)
        else:
            super().stepBy(steps)

    def _on_value_changed(self, value: float) -> None:
        self._shown = None
        self.edited.emit(self.field, None if value < 0 else value)
