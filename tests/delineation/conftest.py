"""What tests of forests share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from napari_flim.delineation.forest import Forest


def _check_structure(forest: Forest) -> None:
    """Paths end in seeds, carry one label, and never get cheaper."""
    labels, costs = forest.labels.ravel(), forest.costs.ravel()
    roots, before = forest.roots.ravel(), forest.predecessors.ravel()
    reached = roots >= 0
    np.testing.assert_array_equal(np.isfinite(costs), reached)
    np.testing.assert_array_equal(labels[~reached], 0)
    np.testing.assert_array_equal(before[~reached], -1)
    seeds = np.where(forest.seeds > 0, forest.seeds, 0).ravel()
    if forest.mask is not None:
        seeds = np.where(forest.mask.ravel(), seeds, 0)
        assert not reached[~forest.mask.ravel()].any()
    np.testing.assert_array_equal(reached & (before < 0), seeds > 0)
    np.testing.assert_array_equal(roots[seeds > 0], np.flatnonzero(seeds))
    np.testing.assert_array_equal(labels[reached], seeds[roots[reached]])
    inner = np.flatnonzero(before >= 0)
    np.testing.assert_array_equal(roots[inner], roots[before[inner]])
    assert (costs[inner] >= costs[before[inner]]).all()
    assert (costs[seeds > 0] == 0).all()
    at = before.copy()
    for _ in range(len(at)):
        at = np.where(at >= 0, before[at], -1)
    assert (at == -1).all()


@pytest.fixture(scope='session')
def check_structure() -> Callable[[Forest], None]:
    """A function that fails for what is no forest of its seeds."""
    return _check_structure
