import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_flim.delineation.smoothing import fixed_point, smoothed_saliency
from napari_flim.errors import DelineationError


def iterated(strength, features, object_automaton=False):
    """The automaton as it is written: every voxel listens to its neighbours until all is quiet."""
    strength = strength.astype(np.float64)
    while True:
        before = strength.copy()
        padded = np.pad(before, 1)
        around = np.pad(features.astype(np.float64), [(0, 0)] + [(1, 1)] * strength.ndim)
        for offset in np.ndindex((3,) * strength.ndim):
            there = tuple(slice(o, o + n) for o, n in zip(offset, strength.shape, strict=True))
            distance = np.sqrt(((features - around[:, *there]) ** 2).sum(axis=0))
            beta = np.where(object_automaton & (distance < 0.2), 0.6, 1.0)
            strength = np.maximum(strength, np.exp(-beta * distance) * padded[there])
        if np.abs(strength - before).mean() <= 1e-12:
            return strength


@pytest.mark.parametrize('shape', [(17, 23), (6, 7, 8)])
@pytest.mark.parametrize('object_automaton', [False, True])
def test_shortest_paths_end_where_the_automaton_rests(shape, object_automaton):
    rng = np.random.default_rng(3)
    strength = np.where(rng.random(shape) < 0.1, rng.random(shape), 0)
    features = rng.random((2, *shape)).astype(np.float32) * 0.5
    found = fixed_point(strength, features, object_automaton=object_automaton)
    expected = iterated(strength, features, object_automaton)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_strength_crosses_equal_voxels_without_loss():
    strength = np.zeros((5, 40))
    strength[2, 0] = 0.8
    np.testing.assert_allclose(fixed_point(strength, np.zeros((1, 5, 40), np.float32)), 0.8)


@settings(max_examples=30, deadline=None)
@given(
    hnp.arrays(np.float64, (5, 6), elements=st.sampled_from([0.0, 0.3, 1.0])),
    hnp.arrays(np.float32, (1, 5, 6), elements=st.floats(0, 1, width=32)),
)
def test_a_fixed_point_only_gains_and_stays_fixed(strength, features):
    once = fixed_point(strength, features)
    assert (once >= strength - 1e-12).all()
    np.testing.assert_allclose(fixed_point(once, features), once, atol=1e-9)


def test_saliency_follows_the_border_of_the_image():
    image = np.zeros((60, 60), np.float32)
    image[20:40, 20:40] = 1
    saliency = np.zeros((60, 60), np.float32)
    saliency[24:36, 16:32] = 0.9
    result = smoothed_saliency(saliency, image)
    assert result.dtype == np.float32
    inside = image > 0
    assert result[inside].min() > result[~inside].max()


def test_both_automata_are_weighed_by_their_logarithms():
    saliency = np.array([[0.5, 0.0, 0.0]])
    image = np.array([[[0.0, 0.5, 5.0]]], np.float32)
    # The first arc is 0.5 long, the second 4.5; the background comes back to the first voxel.
    foreground = 0.5 * np.exp([0, -0.5, -5.0])
    background = np.array([np.exp(-0.5), 1, 1])
    without, with_object = (np.log(np.minimum(s + 1e-8, 1)) for s in (background, foreground))
    result = smoothed_saliency(saliency, image, reach=0)
    np.testing.assert_allclose(result[0], without / (without + with_object), atol=1e-6)


def test_nothing_salient_stays_nothing():
    assert not smoothed_saliency(np.zeros((4, 5)), np.ones((4, 5))).any()


@pytest.mark.parametrize('shape', [(1, 1), (1, 9), (9, 1), (3, 1, 4)])
def test_narrow_and_constant_images_are_smoothed_too(shape):
    result = smoothed_saliency(np.ones(shape), np.full(shape, 0.5))
    assert (result > 0.5).all()
    assert (result <= 1).all()


def test_the_reach_is_in_world_units():
    saliency = np.zeros((1, 31))
    saliency[0, 15] = 1
    image = np.linspace(0, 3, 31, dtype=np.float32)[None]
    one = smoothed_saliency(saliency, image, reach=4)
    np.testing.assert_array_equal(
        smoothed_saliency(saliency, image, reach=2, spacing=(0.5, 0.5)), one
    )
    assert not np.array_equal(smoothed_saliency(saliency, image, reach=8), one)


def test_an_image_of_another_shape_gives_a_clear_error():
    with pytest.raises(DelineationError, match='expected the shape of the saliency'):
        smoothed_saliency(np.ones((4, 5)), np.ones((5, 4)))
