"""What the user has decided about the objects of one image: strokes, and edits by buttons.

Both are kept apart from the objects that are found, so that finding them anew loses nothing. In
strokes and seeds 1 is background, id + 1 an object.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from napari_flim.delineation.inputs import BACKGROUND
from napari_flim.session.sources import Strokes

LONGEST = 50
"""Edits that can be taken back."""

Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Decisions:
    """Edits by buttons, as seeds.

    Attributes
    ----------
    voxels : (N,) int64 array
        Flat indices (C order), ascending, where seeds are other than those that were found.
    seeds : (N,) int32 array
        0 none, 1 background, id + 1 object.
    accepted : dict of int to (n,) int64 array
        Voxels of every object that is to stay as it is.
    renamed : dict of int to int
        What became of an object that strokes may still name: the id of another one, or 0.
    """

    voxels: Indices = field(default_factory=lambda: np.zeros(0, np.int64))
    seeds: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    accepted: Mapping[int, Indices] = field(default_factory=dict)
    renamed: Mapping[int, int] = field(default_factory=dict)

    def with_seeds(self, voxels: Indices, seeds: NDArray[np.int32] | int) -> Decisions:
        """These decisions and later ones, which win where both say something."""
        new = np.broadcast_to(np.asarray(seeds, np.int32), voxels.shape)
        every = np.concatenate([voxels, self.voxels])
        places, first = np.unique(every, return_index=True)
        return replace(self, voxels=places, seeds=np.concatenate([new, self.seeds])[first])

    def without_accepted(self, ids: Iterable[int]) -> Decisions:
        """These decisions without having accepted some objects."""
        gone = set(ids)
        kept = {number: own for number, own in self.accepted.items() if number not in gone}
        return replace(self, accepted=kept)

    def with_renamed(self, ids: Iterable[int], now: int) -> Decisions:
        """Strokes that name one of some objects mean another one from now on, or background (0)."""
        gone = set(ids) - {now}
        later = {old: now if new in gone else new for old, new in self.renamed.items()}
        return replace(self, renamed={**later, **dict.fromkeys(gone, now)})

    def __bool__(self) -> bool:
        return bool(len(self.voxels) or self.accepted or self.renamed)


@dataclass(frozen=True, eq=False)
class Edits:
    """Decisions with those before them, which can be had back, and those that were taken back.

    Attributes
    ----------
    now : Decisions
    done, undone : tuple of (str, Decisions)
        What each edit is called, with the decisions before it, or after it; latest last.
    """

    now: Decisions = field(default_factory=Decisions)
    done: tuple[tuple[str, Decisions], ...] = ()
    undone: tuple[tuple[str, Decisions], ...] = ()

    def changed(self, name: str, decisions: Decisions) -> Edits:
        """One more edit."""
        return Edits(decisions, (*self.done, (name, self.now))[-LONGEST:])

    def back(self) -> Edits:
        """The latest edit taken back; needs one that was done."""
        name, before = self.done[-1]
        return Edits(before, self.done[:-1], (*self.undone, (name, self.now)))

    def forward(self) -> Edits:
        """The latest edit that was taken back, made again; needs one."""
        name, after = self.undone[-1]
        return Edits(after, (*self.done, (name, self.now)), self.undone[:-1])


@dataclass(frozen=True, eq=False)
class Corrections:
    """Everything that the user has decided about the objects of one image.

    Attributes
    ----------
    strokes : Strokes, optional
        On the layer of corrections.
    edits : Edits
    anchors : dict of int to int
        A voxel (flat index) of each object that was found when the user first decided something:
        found anew, the object that lies there has the same id.
    classes : dict of int to int
        Class of objects that the user has made.
    """

    strokes: Strokes | None = None
    edits: Edits = field(default_factory=Edits)
    anchors: Mapping[int, int] = field(default_factory=dict)
    classes: Mapping[int, int] = field(default_factory=dict)

    @property
    def decisions(self) -> Decisions:
        """The edits as they are now."""
        return self.edits.now

    def __bool__(self) -> bool:
        return self.strokes is not None or bool(self.decisions)

    def stroked(self) -> tuple[tuple[NDArray[np.int64], ...], NDArray[np.int32]]:
        """Where strokes lie, as an index of an array, and their seeds with renamed objects."""
        if self.strokes is None:
            return (), np.zeros(0, np.int32)
        seeds = self.strokes.labels.astype(np.int32)
        named = {old + 1: new + 1 for old, new in self.decisions.renamed.items()}
        for label in set(np.unique(seeds).tolist()) & set(named):
            seeds[self.strokes.labels == label] = named[label]
        return tuple(self.strokes.coordinates.T), seeds

    def ids(self) -> set[int]:
        """Every object that is named here."""
        named = {*self.anchors, *self.classes, *self.decisions.accepted, *self.decisions.renamed}
        strokes = np.zeros(0) if self.strokes is None else self.strokes.labels
        for seeds in (strokes, self.decisions.seeds):
            named |= {int(label) - 1 for label in np.unique(seeds) if label > BACKGROUND}
        return named
