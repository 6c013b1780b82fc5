"""Gradient images against the formula, voxel by voxel."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from napari_flim.delineation.gradient import gradient
from napari_flim.delineation.neighbours import SQUARED_REACH, neighbourhood
from napari_flim.errors import DelineationError


@pytest.mark.parametrize(
    ('ndim', 'neighbours', 'spacing'),
    [(2, 4, None), (2, 8, (2, 1)), (3, 6, None), (3, 18, None), (3, 26, (5, 1, 2))],
)
def test_gradient_follows_the_formula(ndim, neighbours, spacing) -> None:
    features = np.random.default_rng(0).random((2, 4, 5, 3)[: ndim + 1])
    around = neighbourhood(ndim, neighbours, spacing)
    shape = features.shape[1:]
    expected = np.zeros(shape)
    for voxel in product(*map(range, shape)):
        for offset, length in zip(around.offsets, around.lengths, strict=True):
            other = tuple(np.add(voxel, offset))
            if all(0 <= place < size for place, size in zip(other, shape, strict=True)):
                change = (features[(..., *other)] - features[(..., *voxel)]) / length
                expected[voxel] += (change**2).sum()
    expected = np.sqrt(expected)
    result = gradient(features, ndim, neighbours=neighbours, spacing=spacing)
    np.testing.assert_allclose(result, 255 * expected / expected.max(), rtol=1e-4)


@pytest.mark.parametrize('ndim', SQUARED_REACH)
def test_gradient_of_constant_features_is_zero(ndim) -> None:
    assert (gradient(np.full((3,) * ndim, 7), ndim) == 0).all()


def test_gradient_of_a_line_of_voxels_is_refused_in_words() -> None:
    with pytest.raises(DelineationError, match='expected 2'):
        gradient(np.zeros(5), 1)
