"""What the table of the dock shows of each object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_flim.session.classes import Classes, Colour, class_named
from napari_flim.session.object_measures import ACCEPTED

if TYPE_CHECKING:
    import pandas

SIZE_COLUMN = 2
"""Area or volume, whose name holds the unit."""


@dataclass(frozen=True)
class ObjectRow:
    """One object.

    Attributes
    ----------
    number : int
    colour : tuple of float
        As on the canvas.
    class_name : str
    class_colour : tuple of float
    size : float
        Area or volume in world units.
    saliency : float
        Mean.
    accepted : bool
    """

    number: int
    colour: Colour
    class_name: str
    class_colour: Colour
    size: float
    saliency: float
    accepted: bool


def object_rows(
    frame: pandas.DataFrame, classes: Classes, colours: NDArray[np.float32]
) -> list[ObjectRow]:
    """A row for each object of a table.

    Parameters
    ----------
    frame : pandas.DataFrame
        See `napari_flim.session.object_measures.measured`.
    classes : tuple of MarkedClass
    colours : (n, 4) float array
        Red, green, blue and alpha of the objects 1, 2, ..; they start again after the last.
    """
    rows = []
    columns = (
        frame['label'],
        frame['class'],
        frame.iloc[:, SIZE_COLUMN],
        frame['mean_saliency'],
        frame[ACCEPTED],
    )
    for number, known_as, size, saliency, accepted in zip(
        *(column.tolist() for column in columns), strict=True
    ):
        of_class = class_named(classes, known_as)
        red, green, blue, _ = colours[(number - 1) % len(colours)].tolist()
        colour = (red, green, blue)
        rows.append(
            ObjectRow(number, colour, of_class.name, of_class.colour, size, saliency, accepted)
        )
    return rows


def size_title(frame: pandas.DataFrame) -> str:
    """What sizes are called, with their unit."""
    return str(frame.columns[SIZE_COLUMN])
