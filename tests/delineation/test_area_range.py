import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_flim.delineation.area_range import (
    AreaRange,
    equivalent_diameter,
    learned_range,
    marked_sizes,
    object_sizes,
)
from napari_flim.errors import DelineationError

sizes = st.lists(st.floats(0.01, 1e6), min_size=1, max_size=30)


def test_nothing_known_gives_no_range():
    assert learned_range([]) is None


def test_equal_objects_allow_a_factor_that_shrinks_with_their_number():
    factors = [learned_range([100.0] * n).largest / 100 for n in (1, 2, 10, 1000)]
    assert factors == pytest.approx([16, 8, 4**1.1, 4**1.001], rel=1e-5)


def test_an_outlier_among_many_changes_little():
    usual = learned_range([90, 95, 100, 105, 110])
    with_outlier = learned_range([90, 95, 100, 105, 110, 100_000])
    assert with_outlier.largest < 1.5 * usual.largest
    assert not with_outlier.contains(100_000)


def test_sizes_that_vary_widen_the_range():
    assert learned_range([50, 100, 200, 400]).largest > learned_range([180, 200, 220, 200]).largest


@given(sizes, st.floats(0.01, 100))
def test_the_range_follows_the_unit(known, factor):
    one, other = learned_range(known), learned_range(np.array(known) * factor)
    assert other.smallest == pytest.approx(one.smallest * factor, rel=1e-4)
    assert other.largest == pytest.approx(one.largest * factor, rel=1e-4)


@given(sizes)
def test_most_known_objects_lie_in_their_own_range(known):
    assert learned_range(known).contains(known).mean() >= 0.5


def test_a_size_of_nothing_gives_a_clear_error():
    with pytest.raises(DelineationError, match='numbers above 0'):
        learned_range([3, 0])


@pytest.mark.parametrize('ends', [(-1, None), (None, float('nan')), (None, 'big'), (5, 4)])
def test_impossible_ranges_give_a_clear_error(ends):
    with pytest.raises(DelineationError, match='expected'):
        AreaRange(*ends)


def test_both_ends_belong_to_the_range_and_none_is_no_limit():
    assert AreaRange(2, 4).contains([1, 2, 4, 5]).tolist() == [False, True, True, False]
    assert AreaRange(None, 4).contains([0, 5]).tolist() == [True, False]
    assert AreaRange().contains([0, 1e30]).all()


def test_sizes_are_in_world_units_in_images_and_volumes():
    labels = np.zeros((4, 6, 6), np.int32)
    labels[1:3, 1:4, 2], labels[0, 0, 0] = 1, 3
    assert object_sizes(labels, (5, 0.5, 0.5)).tolist() == [7.5, 0, 1.25]
    assert object_sizes(labels[1], (0.5, 0.5)).tolist() == [0.75]


def test_only_objects_with_an_object_marker_have_been_shown():
    labels = np.array([[1, 1, 0, 2, 2, 2, 0, 3]])
    markers = np.array([[0, 2, 0, 1, 0, 0, 2, 0]])
    assert marked_sizes(labels, markers, (2, 1)).tolist() == [4]


@pytest.mark.parametrize('ndim', [2, 3])
def test_a_disk_or_ball_has_its_own_diameter(ndim):
    size = {2: np.pi * 9, 3: 4 / 3 * np.pi * 27}[ndim]
    assert equivalent_diameter(size, ndim) == pytest.approx(6)
