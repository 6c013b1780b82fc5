"""Corrections as plain data that a session file can hold, and the way back."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from napari_flim.io.saved_corrections import SavedCorrections
from napari_flim.session.corrections import Corrections, Decisions, Edits
from napari_flim.session.sources import Strokes


def saved_corrections(
    corrections: Mapping[int, Corrections], shape: tuple[int, ...]
) -> dict[int, SavedCorrections]:
    """What was decided about the objects of an item, but for what undo would bring back."""
    return {frame: _saved(one, shape) for frame, one in corrections.items() if one}


def corrections_of(
    saved: Mapping[int, SavedCorrections], shape: tuple[int, ...]
) -> dict[int, Corrections]:
    """Inverse of `saved_corrections`."""
    return {frame: _corrections(one, shape) for frame, one in saved.items()}


def _saved(one: Corrections, shape: tuple[int, ...]) -> SavedCorrections:
    voxels, labels = np.zeros(0, np.int64), np.zeros(0, np.int64)
    if one.strokes is not None:
        voxels = np.ravel_multi_index(tuple(one.strokes.coordinates.T), shape).astype(np.int64)
        labels = one.strokes.labels
    decisions = one.decisions
    return SavedCorrections(
        voxels,
        labels,
        decisions.voxels,
        decisions.seeds.astype(np.int64),
        decisions.accepted,
        decisions.renamed,
        one.anchors,
        one.classes,
    )


def _corrections(one: SavedCorrections, shape: tuple[int, ...]) -> Corrections:
    strokes = None
    if len(one.stroke_voxels):
        coordinates = np.column_stack(np.unravel_index(one.stroke_voxels, shape))
        strokes = Strokes(coordinates.astype(np.int64), one.stroke_labels, shape)
    decisions = Decisions(
        one.decided_voxels, one.decided_seeds.astype(np.int32), one.accepted, one.renamed
    )
    return Corrections(strokes, Edits(decisions), one.anchors, one.classes)
