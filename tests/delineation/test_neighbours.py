"""Neighbours and the lengths of arcs."""

from __future__ import annotations

import numpy as np
import pytest

from napari_flim.delineation.neighbours import SQUARED_REACH, neighbourhood


@pytest.mark.parametrize(
    ('ndim', 'neighbours'), [(n, k) for n, reaches in SQUARED_REACH.items() for k in reaches]
)
def test_neighbours_are_as_many_as_asked_for_and_come_in_opposite_pairs(ndim, neighbours) -> None:
    offsets = neighbourhood(ndim, neighbours).offsets
    rows = {tuple(row) for row in offsets.tolist()}
    assert len(rows) == neighbours
    assert rows == {tuple(row) for row in (-offsets).tolist()}
    assert (np.diff((offsets**2).sum(axis=1)) >= 0).all()


def test_arcs_are_as_long_as_the_spacing_says() -> None:
    around = neighbourhood(3, 26, (2.0, 0.5, 0.5))
    lengths = {
        tuple(row): one for row, one in zip(around.offsets.tolist(), around.lengths, strict=True)
    }
    assert lengths[1, 0, 0] == 4
    assert lengths[0, -1, 0] == 1
    np.testing.assert_allclose(lengths[0, 1, 1], np.sqrt(2))
    np.testing.assert_allclose(lengths[1, 1, -1], np.sqrt(18))


def test_without_spacing_all_arcs_are_equally_long() -> None:
    assert (neighbourhood(2, 8).lengths == 1).all()
