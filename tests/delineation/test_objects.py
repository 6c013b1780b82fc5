from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage.filters import threshold_otsu

from napari_flim.delineation.objects import (
    ObjectSettings,
    above_threshold,
    class_map,
    opened,
    separate_objects,
)
from napari_flim.errors import DelineationError

EVERYTHING = ObjectSettings(threshold=0.5, smallest=0, fill_holes=False)


def clean_up(mask, settings=ObjectSettings()):
    """What is left of a mask that is the only class of an image."""
    saliency = np.asarray(mask, dtype=float)[None]
    return class_map(saliency, [2], replace(settings, threshold=0.5)) == 2


def square(shape, start, stop, value=1.0):
    saliency = np.zeros(shape, np.float32)
    saliency[(slice(start, stop),) * len(shape)] = value
    return saliency


def test_the_threshold_itself_is_background():
    saliency = np.array([[0.2, 0.5, 0.51, 1.0]])
    assert above_threshold(saliency, EVERYTHING).tolist() == [[False, False, True, True]]


@pytest.mark.parametrize('shape', [(30, 40), (12, 14, 16)])
def test_without_a_threshold_the_one_of_otsu_is_used(shape):
    rng = np.random.default_rng(0)
    saliency = np.clip(square(shape, 3, 9) * 0.6 + rng.random(shape) * 0.3, 0, 1)
    result = above_threshold(saliency)
    np.testing.assert_array_equal(result, saliency > threshold_otsu(saliency.ravel()))
    assert result.any()


@pytest.mark.parametrize('value', [0.0, 0.3, 1.0])
@pytest.mark.parametrize('threshold', [None, 0.1])
def test_a_constant_map_holds_no_object(value, threshold):
    saliency = np.full((6, 7), value)
    result = above_threshold(saliency, ObjectSettings(threshold))
    assert result.dtype == bool
    assert not result.any()


@pytest.mark.parametrize(('size', 'kept'), [(8, False), (9, True), (10, True)])
def test_objects_of_fewer_voxels_than_the_smallest_are_removed(size, kept):
    mask = np.zeros((5, 30), bool)
    mask[2, 2 : 2 + size] = True
    assert clean_up(mask, ObjectSettings(smallest=9)).any() == kept


def test_voxels_that_touch_at_a_corner_are_one_object():
    assert clean_up(np.eye(12, dtype=bool), ObjectSettings(smallest=12)).sum() == 12
    volume = np.zeros((4, 4, 4), bool)
    for i in range(4):
        volume[i, i, i] = True
    assert clean_up(volume, ObjectSettings(smallest=4)).sum() == 4


@pytest.mark.parametrize('shape', [(12, 12), (12, 12, 12)])
@pytest.mark.parametrize('filled', [False, True])
def test_holes_belong_to_the_object_if_wanted(shape, filled):
    mask = square(shape, 2, 9) > 0
    mask[(5,) * len(shape)] = False
    result = clean_up(mask, ObjectSettings(fill_holes=filled))
    assert result[(5,) * len(shape)] == filled
    assert result.sum() == 7 ** len(shape) - (not filled)


def test_a_hole_is_filled_before_small_objects_are_removed():
    ring = square((9, 9), 2, 5) > 0
    ring[3, 3] = False
    assert clean_up(ring, ObjectSettings(smallest=9)).sum() == 9


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=3, max_side=8)), st.integers(0, 6))
def test_a_clean_mask_holds_the_large_components(mask, smallest):
    assume(not mask.all())  # a constant map has no object
    before = mask.copy()
    result = clean_up(mask, ObjectSettings(smallest=smallest, fill_holes=False))
    np.testing.assert_array_equal(mask, before)
    numbers, count = ndimage.label(mask, np.ones((3,) * mask.ndim))
    sizes = np.bincount(numbers.ravel(), minlength=count + 1)
    np.testing.assert_array_equal(result, mask & (sizes >= smallest)[numbers])


def test_the_class_of_a_voxel_is_that_of_its_highest_saliency():
    saliency = np.array([[[0.9, 0.6, 0.1, 0.2]], [[0.6, 0.8, 0.9, 0.1]]])
    result = class_map(saliency, [2, 3], EVERYTHING)
    assert result.dtype == np.int32
    assert result.tolist() == [[2, 3, 3, 1]]


def test_classes_keep_the_numbers_they_were_painted_with():
    saliency = np.array([[[0.9, 0.0, 0.0]], [[0.0, 0.9, 0.0]]])
    assert class_map(saliency, [2, 7], EVERYTHING).tolist() == [[2, 7, 1]]


def test_what_one_class_takes_from_another_is_cleaned_up_afterwards():
    # Class 2 is salient in 36 voxels, but class 3 is stronger in all of them but a rim of 6.
    wide, strong = square((12, 12), 2, 8, 0.7), square((12, 12), 2, 8, 1.0)
    strong[2] = 0
    result = class_map(np.stack([wide, strong]), [2, 3], ObjectSettings(0.5))
    assert (result == 3).sum() == 30
    assert not (result == 2).any()


@pytest.mark.parametrize('core', [2, 3])
def test_a_core_keeps_its_class_whichever_comes_first(core):
    ring = 5 - core
    wanted = np.ones((14, 14), dtype=np.int32)
    wanted[2:12, 2:12] = ring
    wanted[5:9, 5:9] = core
    saliency = np.stack([np.where(wanted == number, 1.0, 0.0) for number in (2, 3)])
    np.testing.assert_array_equal(class_map(saliency, [2, 3]), wanted)


def test_a_hole_that_another_class_fills_stays_with_the_other_class():
    ring, core = square((15, 15), 2, 12), square((15, 15), 5, 9)
    ring[5:9, 5:9] = 0
    result = class_map(np.stack([core, ring]), [2, 3], ObjectSettings(0.5))
    assert (result == 2).sum() == 16
    assert (result == 3).sum() == 84


def test_a_speck_of_one_class_inside_another_leaves_no_hole():
    around, speck = square((15, 15), 2, 12, 0.8), square((15, 15), 6, 7)
    result = class_map(np.stack([around, speck]), [2, 3], ObjectSettings(0.5))
    assert (result == 2).sum() == 100
    assert not (result == 3).any()


def test_equal_saliency_goes_to_the_first_class():
    saliency = np.stack([square((9, 9), 2, 6)] * 2)
    assert set(np.unique(class_map(saliency, [2, 3]))) == {1, 2}


def test_nothing_salient_is_all_background():
    assert (class_map(np.zeros((2, 5, 6)), [2, 3]) == 1).all()


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(
        np.uint8,
        hnp.array_shapes(min_dims=2, max_dims=3, max_side=7),
        elements=st.integers(1, 3),
    )
)
def test_objects_are_the_components_of_each_class(classes):
    result = separate_objects(classes)
    assert result.dtype == np.int32
    np.testing.assert_array_equal(result > 0, classes > 1)
    count = 0
    for number in (2, 3):
        found, components = ndimage.label(classes == number, np.ones((3,) * classes.ndim))
        count += components
        pairs = {(a, b) for a, b in zip(found.flat, result.flat, strict=True) if a}
        assert len(pairs) == components
    assert result.max() == count


def test_touching_objects_of_different_classes_stay_apart():
    assert separate_objects(np.array([[2, 3, 1, 2]], np.uint8)).tolist() == [[1, 2, 0, 3]]


@pytest.mark.parametrize(
    'options',
    [
        {'threshold': -0.1},
        {'threshold': 1.1},
        {'threshold': float('nan')},
        {'smallest': -1},
        {'smallest': 2.5},
        {'fill_holes': 1},
        {'rule': 'best'},
        {'percentile': 101},
        {'scale': 0},
        {'opening': -1},
        {'closing': float('inf')},
    ],
)
def test_impossible_settings_give_a_clear_error(options):
    with pytest.raises(DelineationError, match='expected a'):
        ObjectSettings(**options)


def test_a_found_threshold_is_scaled_and_a_given_one_is_not():
    rng = np.random.default_rng(1)
    saliency = rng.random((20, 20))
    found = threshold_otsu(saliency)
    np.testing.assert_array_equal(
        above_threshold(saliency, ObjectSettings(scale=1.2)), saliency > 1.2 * found
    )
    np.testing.assert_array_equal(
        above_threshold(saliency, ObjectSettings(0.5, scale=1.2)), saliency > 0.5
    )


def test_a_percentile_leaves_its_share_of_voxels_salient():
    saliency = np.arange(100.0).reshape(10, 10) / 100
    settings = ObjectSettings(rule='percentile', percentile=90)
    assert above_threshold(saliency, settings).sum() == 10


def test_each_component_is_cut_at_its_own_threshold():
    saliency = np.zeros((12, 40))
    saliency[2:10, 2:10], saliency[4:8, 4:8] = 0.5, 0.6
    saliency[2:10, 20:28], saliency[4:8, 22:26] = 0.9, 1.0
    whole = above_threshold(saliency)
    assert whole.sum() == 2 * 64
    tight = above_threshold(saliency, ObjectSettings(rule='component_otsu'))
    np.testing.assert_array_equal(tight, (saliency == 0.6) | (saliency == 1.0))


def test_a_component_of_constant_saliency_stays_whole():
    saliency = square((12, 12), 3, 8)
    result = above_threshold(saliency, ObjectSettings(rule='component_otsu'))
    np.testing.assert_array_equal(result, saliency > 0)


def test_no_scale_empties_a_component():
    saliency = square((12, 12), 3, 8, 0.8)
    saliency[5, 5] = 0.9
    result = above_threshold(saliency, ObjectSettings(rule='component_otsu', scale=1.5))
    assert np.argwhere(result).tolist() == [[5, 5]]


def test_saliency_that_is_not_a_number_gives_a_clear_error():
    saliency = np.zeros((4, 5))
    saliency[1, 2] = np.nan
    with pytest.raises(DelineationError, match='1 values of the saliency are not finite'):
        above_threshold(saliency)


def test_opening_cuts_a_thread_between_objects():
    mask = np.zeros((20, 40), bool)
    mask[5:14, 3:12] = mask[5:14, 25:34] = True
    mask[9, 12:25] = True
    saliency = mask.astype(float)
    result = separate_objects(class_map(saliency[None], [2], ObjectSettings(0.5, opening=2)))
    assert result.max() == 2
    assert not result[9, 14:23].any()
    assert separate_objects(class_map(saliency[None], [2], ObjectSettings(0.5))).max() == 1


def test_closing_bridges_a_gap_between_objects():
    saliency = np.zeros((12, 20))
    saliency[3:9, 2:9] = saliency[3:9, 10:17] = 1
    settings = ObjectSettings(0.5, closing=1.5)
    assert separate_objects(class_map(saliency[None], [2], settings)).max() == 1


def test_closing_takes_nothing_from_another_class():
    maps = np.zeros((2, 12, 20))
    maps[0, 3:9, 2:9] = maps[0, 3:9, 10:17] = 1
    maps[1, 2:10, 9] = 1
    result = class_map(maps, [2, 3], ObjectSettings(0.5, closing=1.5, smallest=0))
    np.testing.assert_array_equal(result == 3, maps[1] > 0)


def test_radii_are_in_world_units():
    volume = np.zeros((9, 21, 21), bool)
    volume[3:6, 5:16, 5:16] = True
    assert not opened(volume, 3.0).any()
    assert opened(volume, 3.0, (5.0, 1.0, 1.0)).any()


@settings(max_examples=30, deadline=None)
@given(hnp.arrays(bool, (9, 10)), st.floats(0, 4))
def test_opening_takes_away_and_again_changes_nothing(mask, radius):
    once = opened(mask, radius)
    assert not (once & ~mask).any()
    np.testing.assert_array_equal(opened(once, radius), once)


@pytest.mark.parametrize('ends', [(0, 1e-45), (1, 1 + 1.2e-7)])
def test_values_too_close_for_a_histogram_are_still_told_apart(ends):
    saliency = np.array([ends], np.float32)
    assert above_threshold(saliency).tolist() == [[False, True]]
