"""Image and FLIM bands in the shares that were asked for."""

from __future__ import annotations

import numpy as np
import pytest

from napari_flim.delineation.arc_features import arc_features
from napari_flim.errors import DelineationError


def test_groups_weigh_what_their_share_says_whatever_the_number_of_bands() -> None:
    image, learned = np.zeros((3, 1, 2)), np.zeros((20, 1, 2))
    image[..., 1] = 255
    learned[..., 1] = 4
    mixed = arc_features(image, learned, 2, share=0.7)
    np.testing.assert_allclose(mixed[:3, 0, 1].sum(), 0.3 * 23, rtol=1e-6)
    np.testing.assert_allclose(mixed[3:, 0, 1].sum(), 0.7 * 23, rtol=1e-6)


def test_bands_keep_their_proportions_within_a_group() -> None:
    image = np.array([[[0.0, 100.0]], [[-10.0, 10.0]]])
    mixed = arc_features(image, np.zeros((1, 2)), 2, share=0.0)
    np.testing.assert_allclose(mixed[:2, 0, 1], [1.5, 0.3], rtol=1e-6)


def test_units_of_a_group_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    image, saliency = rng.random((3, 4, 5, 6)), rng.random((4, 5, 6))
    one = arc_features(image, saliency, 3)
    np.testing.assert_allclose(one, arc_features(255 * image + 7, saliency / 9, 3), atol=1e-5)


def test_constant_groups_become_zero() -> None:
    assert (arc_features(np.full((2, 2), 9), np.ones((2, 2)), 2) == 0).all()


@pytest.mark.parametrize(
    ('image', 'learned', 'share', 'words'),
    [
        (np.zeros((4, 4)), np.zeros((2, 2)), 0.5, 'bring the maps to the size of the image'),
        (np.zeros((4, 4)), np.zeros((4, 4)), 1.5, 'number from 0 to 1'),
        (np.zeros(4), np.zeros((4, 4)), 0.5, 'expected 2 spatial axes'),
        (np.full((4, 4), np.inf), np.zeros((4, 4)), 0.5, 'not finite'),
    ],
)
def test_groups_that_do_not_fit_are_refused_in_words(image, learned, share, words) -> None:
    with pytest.raises(DelineationError, match=words):
        arc_features(image, learned, 2, share=share)
