"""What a session file holds of corrections of objects: plain arrays, checked when they are read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_flim.delineation.inputs import BACKGROUND, FIRST_OBJECT
from napari_flim.engine.markers import LARGEST_LABEL
from napari_flim.errors import FileError

LARGEST = 2**20
"""Label that may be painted. Work on objects grows with the largest id, so it has to be bounded."""

LARGEST_SEED = 2 * LARGEST
"""Objects that fall apart, or come with others, get ids above those that were painted."""

Whole = NDArray[np.int64]


def _nothing() -> Whole:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class SavedCorrections:
    """Corrections of one image. Voxels are flat indices in C order.

    Attributes
    ----------
    stroke_voxels, stroke_labels : (M,) int64 arrays
        1 background, id + 1 objects.
    decided_voxels, decided_seeds : (N,) int64 arrays
        Seeds that edits have changed: 0 none, 1 background, id + 1 objects; voxels ascending.
    accepted : dict of int to (n,) int64 array
        Voxels of accepted objects, by id.
    renamed : dict of int to int
        Ids of objects that are others now, or 0.
    anchors : dict of int to int
        A voxel of each object.
    classes : dict of int to int
        Class of objects that the user has made.
    """

    stroke_voxels: Whole = field(default_factory=_nothing)
    stroke_labels: Whole = field(default_factory=_nothing)
    decided_voxels: Whole = field(default_factory=_nothing)
    decided_seeds: Whole = field(default_factory=_nothing)
    accepted: Mapping[int, Whole] = field(default_factory=dict)
    renamed: Mapping[int, int] = field(default_factory=dict)
    anchors: Mapping[int, int] = field(default_factory=dict)
    classes: Mapping[int, int] = field(default_factory=dict)

    def check(self, name: str, shape: tuple[int, ...]) -> None:
        """Raise `FileError` unless everything lies within an image of this name and shape."""
        size = math.prod(shape)
        anchors = np.array(list(self.anchors.values()), np.int64)
        for voxels in (self.stroke_voxels, self.decided_voxels, anchors, *self.accepted.values()):
            _check(name, 'voxels', voxels, 0, size - 1)
        _check(name, 'labels of strokes', self.stroke_labels, BACKGROUND, LARGEST)
        _check(name, 'seeds', self.decided_seeds, 0, LARGEST_SEED)
        ids = np.array([*self.accepted, *self.renamed, *self.anchors, *self.classes], np.int64)
        _check(name, 'ids', ids, 1, LARGEST_SEED - 1)
        others = np.array(list(self.renamed.values()), np.int64)
        _check(name, 'ids', others, 0, LARGEST_SEED - 1)
        of_classes = np.array(list(self.classes.values()), np.int64)
        _check(name, 'classes', of_classes, FIRST_OBJECT, LARGEST_LABEL)
        strokes = (len(self.stroke_voxels), len(self.stroke_labels))
        decided = (len(self.decided_voxels), len(self.decided_seeds))
        if len(set(strokes)) > 1 or len(set(decided)) > 1:
            raise FileError(f'The corrections of {name!r} do not add up.')
        if (np.diff(self.decided_voxels) <= 0).any():
            raise FileError(f'The seeds that were decided on {name!r} are not in order.')

    def to_tensors(self) -> dict[str, Whole]:
        """Named arrays."""
        counts = {number: len(voxels) for number, voxels in self.accepted.items()}
        return {
            'stroke_voxels': self.stroke_voxels,
            'stroke_labels': self.stroke_labels,
            'decided_voxels': self.decided_voxels,
            'decided_seeds': self.decided_seeds,
            'accepted_voxels': np.concatenate(
                [_nothing(), *(self.accepted[number] for number in sorted(self.accepted))]
            ),
            'accepted': _pairs(counts),
            'renamed': _pairs(self.renamed),
            'anchors': _pairs(self.anchors),
            'classes': _pairs(self.classes),
        }


TABLES = ('accepted', 'renamed', 'anchors', 'classes')


def corrections_from_tensors(tensors: Mapping[str, NDArray[Any]]) -> SavedCorrections:
    """Inverse of `SavedCorrections.to_tensors`.

    Raises
    ------
    FileError
        When an array is missing, too many, or has another form.
    """
    expected = set(SavedCorrections().to_tensors())
    if set(tensors) != expected:
        raise FileError(f'corrections hold {sorted(tensors)}; expected {sorted(expected)}')
    for name, array in tensors.items():
        pairs = name in TABLES
        if array.dtype != np.int64 or array.ndim != 1 + pairs or (pairs and array.shape[1] != 2):
            raise FileError(f'{name} of corrections is {array.dtype} of shape {array.shape}')
    counts = tensors['accepted'][:, 1]
    voxels = tensors['accepted_voxels']
    if (counts < 0).any() or (counts > len(voxels)).any() or counts.sum() != len(voxels):
        raise FileError('the accepted objects do not add up')
    parts = np.split(voxels, np.cumsum(counts)[:-1]) if len(counts) else []
    ids = tensors['accepted'][:, 0].tolist()
    return SavedCorrections(
        tensors['stroke_voxels'],
        tensors['stroke_labels'],
        tensors['decided_voxels'],
        tensors['decided_seeds'],
        dict(zip(ids, parts, strict=True)),
        *(dict(tensors[name].tolist()) for name in TABLES[1:]),
    )


def _pairs(values: Mapping[int, int]) -> Whole:
    return np.array(sorted(values.items()), np.int64).reshape(-1, 2)


def _check(name: str, what: str, values: Whole, lowest: int, highest: int) -> None:
    if len(values) and not lowest <= values.min() <= values.max() <= highest:
        raise FileError(
            f'The {what} in the corrections of {name!r} run from {values.min()} to '
            f'{values.max()}; expected {lowest} to {highest}.'
        )
