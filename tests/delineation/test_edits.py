import numpy as np
import pytest

from napari_flim.delineation.edits import split_object
from napari_flim.errors import DelineationError


def two_disks(distance=14, radius=8, ndim=2):
    grid = np.indices((31, 51) if ndim == 2 else (21, 31, 51))
    centre = [n // 2 for n in grid.shape[1:]]
    near = np.zeros(grid.shape[1:], bool)
    for side in (-1, 1):
        place = [*centre[:-1], centre[-1] + side * distance // 2]
        offsets = grid - np.reshape(place, (-1,) + (1,) * ndim)
        near |= (offsets**2).sum(axis=0) <= radius**2
    return near.astype(np.int32) * 5


@pytest.mark.parametrize('unknown', [0, 2, -1])
def test_an_unknown_id_gives_a_clear_error(unknown):
    with pytest.raises(DelineationError, match=f'no object {unknown} in the label image'):
        split_object(np.array([[1, 3, 0]]), unknown)


@pytest.mark.parametrize('ndim', [2, 3])
def test_an_object_with_a_neck_is_split_there(ndim):
    labels = two_disks(ndim=ndim)
    labels.flat[0] = 9
    result = split_object(labels, 5)
    assert set(np.unique(result)) == {0, 1, 2}
    np.testing.assert_array_equal(result > 0, labels == 5)
    middle = labels.shape[-1] // 2
    assert (result[..., : middle - 1][labels[..., : middle - 1] == 5] == 1).all()
    assert (result[..., middle + 2 :][labels[..., middle + 2 :] == 5] == 2).all()


@pytest.mark.parametrize('shape', [(9, 60), (30, 30)])
def test_an_object_without_a_neck_is_not_split(shape):
    labels = np.zeros(shape, np.int32)
    labels[2:-2, 2:-2] = 7
    with pytest.raises(DelineationError, match='Object 7 has 1 place to start .* Paint New object'):
        split_object(labels, 7)


def test_the_neck_of_an_anisotropic_object_is_found_in_world_units():
    labels = two_disks()[:, ::2]
    assert len(np.unique(split_object(labels, 5, spacing=(1, 2)))) == 3


def test_an_object_at_the_border_of_the_image_is_split_like_any_other():
    labels = two_disks()[15:]
    assert len(np.unique(split_object(labels, 5))) == 3
