"""Corrections in a session file: what is written is read, and what is damaged is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_flim.errors import FileError
from napari_flim.io.saved_corrections import (
    LARGEST,
    LARGEST_SEED,
    SavedCorrections,
    corrections_from_tensors,
)

SHAPE = (4, 5)

voxels = st.lists(st.integers(0, 19), unique=True, max_size=8).map(
    lambda one: np.array(sorted(one), np.int64)
)
ids = st.integers(1, 70_000)


@st.composite
def corrections(draw: Any) -> SavedCorrections:
    strokes, decided = draw(voxels), draw(voxels)
    seeds = st.integers(0, 70_000)
    return SavedCorrections(
        strokes,
        np.array([draw(ids) for _ in strokes], np.int64),
        decided,
        np.array([draw(seeds) for _ in decided], np.int64),
        draw(st.dictionaries(ids, voxels, max_size=3)),
        draw(st.dictionaries(ids, seeds, max_size=3)),
        draw(st.dictionaries(ids, st.integers(0, 19), max_size=3)),
        draw(st.dictionaries(ids, st.integers(2, 255), max_size=3)),
    )


FULL = SavedCorrections(
    np.array([3, 4]),
    np.array([1, 2]),
    np.array([7, 9]),
    np.array([0, 5]),
    {4: np.array([9, 10]), 2: np.array([1])},
    {3: 0},
    {1: 3},
    {6: 2},
)


@given(corrections())
def test_what_is_written_is_read(one: SavedCorrections) -> None:
    one.check('cells', SHAPE)
    again = corrections_from_tensors(one.to_tensors())
    for name in ('stroke_voxels', 'stroke_labels', 'decided_voxels', 'decided_seeds'):
        assert np.array_equal(getattr(again, name), getattr(one, name))
    assert (again.renamed, again.anchors, again.classes) == (one.renamed, one.anchors, one.classes)
    assert set(again.accepted) == set(one.accepted)
    for number, own in one.accepted.items():
        assert np.array_equal(again.accepted[number], own)


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'stroke_voxels': np.array([3, 20])}, 'voxels in the corrections'),
        ({'stroke_labels': np.array([0, 1])}, 'labels of strokes'),
        ({'stroke_labels': np.array([1, LARGEST + 1])}, 'labels of strokes'),
        ({'decided_seeds': np.array([1, LARGEST_SEED + 1])}, 'seeds in the corrections'),
        ({'accepted': {LARGEST_SEED: np.array([1])}}, 'ids in the corrections'),
        ({'renamed': {3: LARGEST_SEED}}, 'ids in the corrections'),
        ({'stroke_labels': np.array([1])}, 'do not add up'),
        ({'decided_voxels': np.array([9, 7])}, 'not in order'),
        ({'decided_seeds': np.array([-1, 1])}, 'seeds in the corrections'),
        ({'accepted': {2: np.array([-1])}}, 'voxels in the corrections'),
        ({'accepted': {0: np.array([1])}}, 'ids in the corrections'),
        ({'renamed': {3: -2}}, 'ids in the corrections'),
        ({'anchors': {1: 99}}, 'voxels in the corrections'),
        ({'classes': {6: 1}}, 'classes in the corrections'),
        ({'classes': {6: 256}}, 'classes in the corrections'),
    ],
)
def test_what_does_not_fit_the_image_is_refused(change: dict[str, Any], words: str) -> None:
    FULL.check('cells', SHAPE)
    with pytest.raises(FileError, match=words):
        replace(FULL, **change).check('cells', SHAPE)


@pytest.mark.parametrize(
    ('name', 'array'),
    [
        ('anchors', np.zeros((2, 3), np.int64)),
        ('anchors', np.zeros(2, np.int64)),
        ('stroke_voxels', np.zeros((2, 2), np.int64)),
        ('stroke_labels', np.zeros(2, np.float32)),
        ('accepted', np.array([[4, 5]])),
        ('accepted', np.array([[4, -1], [2, 4]])),
        ('accepted', np.array([[4, 2**62], [2, 2**62]])),
        ('unknown', np.zeros(2, np.int64)),
    ],
)
def test_arrays_of_another_form_are_refused(name: str, array: Any) -> None:
    with pytest.raises(FileError):
        corrections_from_tensors({**FULL.to_tensors(), name: array})


def test_a_missing_array_is_refused() -> None:
    tensors = FULL.to_tensors()
    del tensors['anchors']
    with pytest.raises(FileError, match='expected'):
        corrections_from_tensors(tensors)
