"""Sizes of objects in world units, and which of them are plausible."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_flim.delineation.inputs import (
    FIRST_OBJECT,
    checked_labels,
    checked_spacing,
    is_number,
)
from napari_flim.errors import DelineationError

TOLERANCE = 4.0
"""Objects a few times smaller or larger than those the user has shown are still expected."""


@dataclass(frozen=True, slots=True)
class AreaRange:
    """Sizes that an object may have.

    Attributes
    ----------
    smallest, largest : float, optional
        Area or volume in world units; no limit by default. Both ends belong to the range.
    """

    smallest: float | None = None
    largest: float | None = None

    def __post_init__(self) -> None:
        for name in ('smallest', 'largest'):
            value = getattr(self, name)
            if value is None:
                continue
            if not is_number(value) or not 0 <= value < math.inf:
                raise DelineationError(
                    f'The {name} size is {value!r}; expected an area or volume from 0 up, or none '
                    'for no limit.'
                )
            object.__setattr__(self, name, float(value))
        if None not in (self.smallest, self.largest) and self.smallest > self.largest:  # type: ignore[operator]
            raise DelineationError(
                f'Sizes from {self.smallest:g} to {self.largest:g} were asked for; expected the '
                'smaller one first.'
            )

    def contains(self, sizes: ArrayLike) -> NDArray[np.bool_]:
        """Which sizes lie in the range.

        Examples
        --------
        >>> AreaRange(10, 40).contains([9, 10, 41])
        array([False,  True, False])
        """
        given = np.asarray(sizes, dtype=float)
        inside = np.ones(given.shape, dtype=bool)
        if self.smallest is not None:
            inside &= given >= self.smallest
        if self.largest is not None:
            inside &= given <= self.largest
        return inside


def learned_range(sizes: ArrayLike) -> AreaRange | None:
    """The range of sizes around objects that are known.

    Centre: the median of ln(size). Half width: ln(4) (1 + 1/n) + 3 s, with s the spread of ln(size)
    as 1.4826 times its median absolute deviation. So one object allows a factor of 16 both ways;
    many equal ones a factor of 4; and one outlier among many changes little.

    Parameters
    ----------
    sizes : (n,) array
        Area or volume of each object, above 0.

    Returns
    -------
    AreaRange, optional
        None when nothing is known.

    Examples
    --------
    >>> learned_range([100])
    AreaRange(smallest=6.25, largest=1600.0)
    >>> learned_range([]) is None
    True
    """
    known = np.asarray(sizes, dtype=float).ravel()
    if not known.size:
        return None
    if not (np.isfinite(known) & (known > 0)).all():
        raise DelineationError(f'The sizes are {known.tolist()}; expected numbers above 0.')
    logs = np.log(known)
    centre = np.median(logs)
    spread = 1.4826 * np.median(np.abs(logs - centre))
    width = math.log(TOLERANCE) * (1 + 1 / known.size) + 3 * spread
    low, high = np.exp(centre - width), np.exp(centre + width)
    return AreaRange(*(float(f'{end:.6g}') for end in (low, high)))


def object_sizes(labels: ArrayLike, spacing: Sequence[float] | None = None) -> NDArray[np.float64]:
    """Area or volume of the objects 1, 2, .. in world units; 0 for ids that do not occur.

    Parameters
    ----------
    labels : (\\*S) int array
        0 background, 1.. objects.
    spacing : sequence of float, optional
        World units per voxel.

    Examples
    --------
    >>> object_sizes(np.array([[1, 1, 0, 2]]), (0.5, 2.0))
    array([2., 1.])
    """
    given = checked_labels(labels)
    voxel = math.prod(checked_spacing(spacing, given.ndim))
    counts = np.bincount(given.ravel())[1:]
    return counts.astype(np.float64) * voxel


def marked_sizes(
    labels: ArrayLike, markers: ArrayLike, spacing: Sequence[float] | None = None
) -> NDArray[np.float64]:
    """Sizes of the objects that hold an object marker: what the user has shown.

    A marker itself is only a part of its object, so its own size says little.

    Parameters
    ----------
    labels : (\\*S) int array
        0 background, 1.. objects, as found without a range of sizes.
    markers : (\\*S) int array
        0 unmarked, 1 background, 2.. objects.
    spacing : sequence of float, optional
        World units per voxel.
    """
    given, marks = checked_labels(labels), checked_labels(markers, 'markers')
    shown = np.unique(given[marks >= FIRST_OBJECT])
    sizes: NDArray[np.float64] = object_sizes(given, spacing)[shown[shown > 0] - 1]
    return sizes


def equivalent_diameter(size: float, ndim: int) -> float:
    """Diameter of the disk or ball of a given area or volume.

    Examples
    --------
    >>> round(equivalent_diameter(math.pi, 2), 6)
    2.0
    """
    return float(2 * math.sqrt(size / math.pi) if ndim == 2 else (6 * size / math.pi) ** (1 / 3))


def as_range(value: Any) -> AreaRange | None:
    """A range as it comes from JSON: a range, its fields by name, or none."""
    return AreaRange(**value) if isinstance(value, dict) else value
