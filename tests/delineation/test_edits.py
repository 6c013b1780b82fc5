import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_flim.delineation.edits import (
    delete_objects,
    keep_objects,
    merge_objects,
    split_object,
)
from napari_flim.errors import DelineationError

labelled = hnp.arrays(np.int32, (5, 6), elements=st.sampled_from([0, 1, 2, 70_000]))


def two_disks(distance=14, radius=8, ndim=2):
    grid = np.indices((31, 51) if ndim == 2 else (21, 31, 51))
    centre = [n // 2 for n in grid.shape[1:]]
    near = np.zeros(grid.shape[1:], bool)
    for side in (-1, 1):
        place = [*centre[:-1], centre[-1] + side * distance // 2]
        offsets = grid - np.reshape(place, (-1,) + (1,) * ndim)
        near |= (offsets**2).sum(axis=0) <= radius**2
    return near.astype(np.int32) * 5


@settings(max_examples=40, deadline=None)
@given(labelled)
def test_deleting_and_keeping_share_the_objects_out(labels):
    for number in np.unique(labels[labels > 0]):
        before = labels.copy()
        deleted, kept = delete_objects(labels, [number]), keep_objects(labels, [number])
        np.testing.assert_array_equal(deleted + kept, labels)
        assert number not in deleted
        assert set(np.unique(kept)) <= {0, number}
        np.testing.assert_array_equal(labels, before)


def test_merged_objects_have_the_smallest_of_their_ids():
    labels = np.array([[1, 2, 70_000, 0]])
    assert merge_objects(labels, [70_000, 2]).tolist() == [[1, 2, 2, 0]]
    assert merge_objects(labels, []).tolist() == labels.tolist()


@pytest.mark.parametrize('edit', [delete_objects, keep_objects, merge_objects])
@pytest.mark.parametrize('unknown', [0, 2, -1])
def test_an_unknown_id_gives_a_clear_error(edit, unknown):
    with pytest.raises(DelineationError, match=f'no object {unknown}; .* objects 1, 3'):
        edit(np.array([[1, 3, 0]]), [1, unknown])


@pytest.mark.parametrize('ndim', [2, 3])
def test_an_object_with_a_neck_is_split_there(ndim):
    labels = two_disks(ndim=ndim)
    labels.flat[0] = 9
    result = split_object(labels, 5)
    assert set(np.unique(result)) == {0, 5, 9, 10}
    np.testing.assert_array_equal(result > 0, labels > 0)
    middle = labels.shape[-1] // 2
    assert (result[..., : middle - 1][labels[..., : middle - 1] == 5] == 5).all()
    assert (result[..., middle + 2 :][labels[..., middle + 2 :] == 5] == 10).all()


@pytest.mark.parametrize('shape', [(9, 60), (30, 30)])
def test_an_object_without_a_neck_is_not_split(shape):
    labels = np.zeros(shape, np.int32)
    labels[2:-2, 2:-2] = 1
    with pytest.raises(DelineationError, match='has 1 place to start'):
        split_object(labels, 1)


def test_seeds_split_an_object_where_it_has_no_neck():
    labels = np.zeros((9, 40), np.int32)
    labels[2:7, 2:38] = 1
    seeds = np.zeros((9, 40), np.int32)
    seeds[4, 5], seeds[4, 20], seeds[4, 34] = 7, 7, 2
    seeds[0, 0] = 3
    result = split_object(labels, 1, seeds)
    assert set(np.unique(result)) == {0, 1, 2, 3}
    assert (result[4, 5], result[4, 20], result[4, 34]) == (1, 2, 3)
    np.testing.assert_array_equal(result > 0, labels > 0)


def test_fewer_than_two_seeds_in_the_object_give_a_clear_error():
    labels = two_disks()
    seeds = np.zeros_like(labels)
    with pytest.raises(DelineationError, match='has 0 places to start'):
        split_object(labels, 5, seeds)
    seeds[15, 20] = 1
    with pytest.raises(DelineationError, match='has 1 place to start'):
        split_object(labels, 5, seeds)
    with pytest.raises(DelineationError, match='they must be equal'):
        split_object(labels, 5, seeds[1:])


def test_the_neck_of_an_anisotropic_object_is_found_in_world_units():
    labels = two_disks()[:, ::2]
    assert len(np.unique(split_object(labels, 5, spacing=(1, 2)))) == 3


def test_an_object_at_the_border_of_the_image_is_split_like_any_other():
    labels = two_disks()[15:]
    assert len(np.unique(split_object(labels, 5))) == 3
