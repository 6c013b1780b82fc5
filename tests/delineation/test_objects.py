import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage.filters import threshold_otsu

from napari_flim.delineation.objects import (
    ObjectSettings,
    class_map,
    object_mask,
    separate_objects,
)
from napari_flim.errors import DecoderError

EVERYTHING = ObjectSettings(threshold=0.5, smallest=0, fill_holes=False)


def square(shape, start, stop, value=1.0):
    saliency = np.zeros(shape, np.float32)
    saliency[(slice(start, stop),) * len(shape)] = value
    return saliency


def test_the_threshold_itself_is_background():
    saliency = np.array([[0.2, 0.5, 0.51, 1.0]])
    assert object_mask(saliency, EVERYTHING).tolist() == [[False, False, True, True]]


@pytest.mark.parametrize('shape', [(30, 40), (12, 14, 16)])
def test_without_a_threshold_the_one_of_otsu_is_used(shape):
    rng = np.random.default_rng(0)
    saliency = np.clip(square(shape, 3, 9) * 0.6 + rng.random(shape) * 0.3, 0, 1)
    result = object_mask(saliency, ObjectSettings(smallest=0, fill_holes=False))
    np.testing.assert_array_equal(result, saliency > threshold_otsu(saliency.ravel()))
    assert result.any()


@pytest.mark.parametrize('value', [0.0, 0.3, 1.0])
@pytest.mark.parametrize('threshold', [None, 0.1])
def test_a_constant_map_holds_no_object(value, threshold):
    saliency = np.full((6, 7), value)
    result = object_mask(saliency, ObjectSettings(threshold))
    assert result.dtype == bool
    assert not result.any()


@pytest.mark.parametrize(('size', 'kept'), [(8, False), (9, True), (10, True)])
def test_objects_of_fewer_voxels_than_the_smallest_are_removed(size, kept):
    saliency = np.zeros((5, 30))
    saliency[2, 2 : 2 + size] = 1
    assert object_mask(saliency, ObjectSettings(0.5, smallest=9)).any() == kept


def test_voxels_that_touch_at_a_corner_are_one_object():
    saliency = np.zeros((12, 12))
    np.fill_diagonal(saliency, 1)
    assert object_mask(saliency, ObjectSettings(0.5, smallest=12)).sum() == 12
    volume = np.zeros((4, 4, 4))
    for i in range(4):
        volume[i, i, i] = 1
    assert object_mask(volume, ObjectSettings(0.5, smallest=4)).sum() == 4


@pytest.mark.parametrize('shape', [(12, 12), (12, 12, 12)])
@pytest.mark.parametrize('filled', [False, True])
def test_holes_belong_to_the_object_if_wanted(shape, filled):
    saliency = square(shape, 2, 9)
    saliency[(5,) * len(shape)] = 0
    result = object_mask(saliency, ObjectSettings(0.5, fill_holes=filled))
    assert result[(5,) * len(shape)] == filled
    assert result.sum() == 7 ** len(shape) - (not filled)


def test_a_hole_is_filled_before_small_objects_are_removed():
    ring = square((9, 9), 2, 5)
    ring[3, 3] = 0
    assert object_mask(ring, ObjectSettings(0.5, smallest=9)).sum() == 9


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=3, max_side=8),
        elements=st.floats(0, 1, width=32),
    ),
    st.integers(0, 6),
)
def test_a_mask_holds_the_large_components_above_the_threshold(saliency, smallest):
    before = saliency.copy()
    chosen = ObjectSettings(0.5, smallest=smallest, fill_holes=False)
    result = object_mask(saliency, chosen)
    np.testing.assert_array_equal(saliency, before)
    expected = saliency > 0.5 if saliency.min() < saliency.max() else np.zeros_like(result)
    numbers, count = ndimage.label(expected, np.ones((3,) * saliency.ndim))
    sizes = np.bincount(numbers.ravel(), minlength=count + 1)
    np.testing.assert_array_equal(result, expected & (sizes >= smallest)[numbers])


def test_the_class_of_a_voxel_is_that_of_its_highest_saliency():
    saliency = np.array([[[0.9, 0.6, 0.1, 0.2]], [[0.6, 0.8, 0.9, 0.1]]])
    result = class_map(saliency, EVERYTHING)
    assert result.dtype == np.uint8
    assert result.tolist() == [[2, 3, 3, 1]]


def test_a_voxel_belongs_only_to_classes_that_accept_it():
    # Class 3 is stronger at the single voxel, but one voxel is no object.
    weak, strong = square((12, 12), 2, 8, 0.7), square((12, 12), 4, 5, 1.0)
    result = class_map(np.stack([weak, strong]), ObjectSettings(0.5))
    assert set(np.unique(result)) == {1, 2}
    assert (result == 2).sum() == 36


def test_equal_saliency_goes_to_the_first_class():
    saliency = np.stack([square((9, 9), 2, 6)] * 2)
    assert set(np.unique(class_map(saliency))) == {1, 2}


def test_nothing_salient_is_all_background():
    assert (class_map(np.zeros((2, 5, 6))) == 1).all()


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
    ],
)
def test_impossible_settings_give_a_clear_error(options):
    with pytest.raises(DecoderError, match='expected a'):
        ObjectSettings(**options)
