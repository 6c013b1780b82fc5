"""The classes a user paints: their numbers, names, colours and roles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from napari_flim.engine.markers import LARGEST_LABEL
from napari_flim.errors import MarkerError

Role = Literal['background', 'object']
Colour = tuple[float, float, float]

BACKGROUND = 1

COLOURS: tuple[Colour, ...] = (
    (0.35, 0.55, 0.75),
    (1.0, 0.55, 0.0),
    (0.45, 0.8, 0.3),
    (0.85, 0.4, 0.75),
    (0.95, 0.85, 0.25),
    (0.3, 0.8, 0.8),
    (0.9, 0.35, 0.35),
    (0.6, 0.5, 0.9),
)
"""Red, green and blue in [0, 1] of background, first object, second object, ..."""


@dataclass(frozen=True, slots=True)
class MarkedClass:
    """One class of markers.

    Attributes
    ----------
    label : int
        Value in the marker layer, from 1.
    name : str
    colour : tuple of float
        Red, green and blue in [0, 1].
    role : {'background', 'object'}
        Several labels may be background; they are learned as one class.
    """

    label: int
    name: str
    colour: Colour
    role: Role

    @property
    def learned_as(self) -> int:
        """Class that the engine learns: 1 for every background, else the label."""
        return BACKGROUND if self.role == 'background' else self.label


Classes = tuple[MarkedClass, ...]

FIRST_CLASSES: Classes = (
    MarkedClass(1, 'background', COLOURS[0], 'background'),
    MarkedClass(2, 'object', COLOURS[1], 'object'),
)
"""What every session starts with."""


def colour_of(label: int) -> Colour:
    """Colour that a new class of this label gets."""
    return COLOURS[(label - 1) % len(COLOURS)]


def with_new_class(classes: Classes, label: int | None = None) -> Classes:
    """The classes and one more object class.

    Parameters
    ----------
    classes : tuple of MarkedClass
    label : int, optional
        By default the smallest label that is free; the name of the class has it too.

    Raises
    ------
    MarkerError
        When there are as many classes as a marker layer can hold.

    Examples
    --------
    >>> [one.name for one in with_new_class(FIRST_CLASSES)]
    ['background', 'object', 'object 3']
    """
    used = {one.label for one in classes}
    free = min(set(range(1, LARGEST_LABEL + 2)) - used) if label is None else label
    if free > LARGEST_LABEL:
        raise MarkerError(f'There are {len(classes)} classes; a marker layer holds no more.')
    new = MarkedClass(free, f'object {free}', colour_of(free), 'object')
    return tuple(sorted((*classes, new), key=lambda one: one.label))


def with_labels(classes: Classes, labels: Sequence[int]) -> Classes:
    """The classes, and one for each label that has none yet, such as those of an opened file."""
    for label in sorted(set(labels) - {one.label for one in classes}):
        classes = with_new_class(classes, label)
    return classes


def with_change(classes: Classes, changed: MarkedClass) -> Classes:
    """The classes with the one of the same label replaced.

    Raises
    ------
    MarkerError
        When label 1 would be no background, no object class would be left, or the name is empty.
    """
    if changed.label == BACKGROUND and changed.role != 'background':
        raise MarkerError('Label 1 is always background; give the object another label.')
    if not changed.name.strip():
        raise MarkerError(f'Class {changed.label} has no name; give it one.')
    result = tuple(changed if one.label == changed.label else one for one in classes)
    if not any(one.role == 'object' for one in result):
        raise MarkerError(
            f'{changed.name} is the only object class; make another class an object first.'
        )
    return result


def without(classes: Classes, label: int) -> Classes:
    """The classes without the one of this label.

    Raises
    ------
    MarkerError
        For label 1 and for the last object class: learning needs both.
    """
    left = tuple(one for one in classes if one.label != label)
    if label == BACKGROUND or not any(one.role == 'object' for one in left):
        raise MarkerError('Background and at least one object class are always needed.')
    return left


def class_named(classes: Classes, number: int) -> MarkedClass:
    """The class that the engine knows by this number; one with an unknown name if there is none."""
    for one in classes:
        if one.learned_as == number:
            return one
    return MarkedClass(max(number, 1), 'unknown class', (0.6, 0.6, 0.6), 'object')


def with_role(classes: Classes, label: int, role: Role) -> Classes:
    """The classes with another role for one label; errors as in `with_change`."""
    current = next(one for one in classes if one.label == label)
    return with_change(classes, replace(current, role=role))
