import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_flim.delineation.random_walker import random_walk_job
from napari_flim.errors import DelineationError
from napari_flim.progress import finish


def walk(features, seeds, **options):
    return finish(random_walk_job(features, seeds, **options))


def step_image(shape=(20, 30)):
    image = np.zeros(shape, np.float32)
    image[..., shape[-1] // 2 :] = 1
    return image


@pytest.mark.parametrize('shape', [(20, 30), (6, 10, 12)])
def test_walkers_stop_at_a_border(shape):
    seeds = np.zeros(shape, np.int32)
    seeds[..., 1], seeds[..., -2] = 1, 70_000
    result = walk(step_image(shape), seeds)
    assert result.dtype == np.int32
    np.testing.assert_array_equal(result, np.where(step_image(shape) > 0, 70_000, 1))


def test_without_differences_the_nearest_seed_wins():
    seeds = np.zeros((1, 12), np.int32)
    seeds[0, 0], seeds[0, 11] = 1, 2
    result = walk(np.ones((1, 12)), seeds)
    assert result[0].tolist() == [1] * 6 + [2] * 6


@pytest.mark.parametrize('factor', [0.001, 1000.0])
def test_the_scale_of_the_features_does_not_matter(factor):
    rng = np.random.default_rng(0)
    image = (step_image() + rng.normal(0, 0.3, (20, 30))).astype(np.float32)
    seeds = np.zeros((20, 30), np.int32)
    seeds[10, 1], seeds[10, -2] = 1, 2
    differing = walk(image, seeds) != walk(image * np.float32(factor), seeds)
    assert differing.sum() <= 2


def test_only_the_mask_is_walked_on_and_its_holes_stay_empty():
    mask = np.ones((20, 30), bool)
    mask[5:9, 5:9] = False
    mask[:, 20] = False
    seeds = np.zeros((20, 30), np.int32)
    seeds[:, 0], seeds[0, 12], seeds[6, 6] = 1, 2, 9
    result = walk(step_image(), seeds, mask=mask)
    assert not result[~mask].any()
    assert set(np.unique(result[:, :20][mask[:, :20]])) == {1, 2}
    # No seed can be reached from beyond the wall.
    assert not result[:, 21:].any()


def test_parts_that_do_not_touch_use_their_own_seeds():
    mask = np.ones((5, 21), bool)
    mask[:, 10] = False
    seeds = np.zeros((5, 21), np.int32)
    seeds[2, 2], seeds[2, 18] = 4, 5
    result = walk(np.zeros((5, 21)), seeds, mask=mask)
    assert (result[:, :10] == 4).all()
    assert (result[:, 11:] == 5).all()


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(
        np.int32, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.integers(0, 3)
    ),
    st.integers(0, 2**32 - 1),
)
def test_seeds_keep_their_labels_and_no_other_labels_appear(seeds, random):
    rng = np.random.default_rng(random)
    mask = rng.random(seeds.shape) < 0.8
    image = rng.random((2, *seeds.shape)).astype(np.float32)
    result = walk(image, seeds, mask=mask)
    np.testing.assert_array_equal(result[mask & (seeds > 0)], seeds[mask & (seeds > 0)])
    assert set(np.unique(result)) <= {0, *np.unique(seeds[mask])}
    np.testing.assert_array_equal(result[~mask], 0)


def test_what_does_not_fit_gives_a_clear_error():
    seeds = np.ones((3, 4), np.int32)
    with pytest.raises(DelineationError, match='they must be equal'):
        walk(np.zeros((3, 4)), seeds, mask=np.ones((4, 3), bool))
    with pytest.raises(DelineationError, match='1 values of the image are not finite'):
        walk(np.where(np.eye(3, 4) * [1, 0, 0, 0] > 0, np.inf, 0), seeds)
