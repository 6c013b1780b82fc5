import subprocess
import sys

import numpy as np
import pytest

from napari_flim.delineation.delineate import Objects
from napari_flim.delineation.measure import measure
from napari_flim.errors import DelineationError


def objects_2d():
    labels = np.zeros((6, 8), np.int32)
    labels[1:3, 1:5], labels[4, 6] = 1, 2
    return Objects(labels, (2, 3))


def test_sizes_and_places_are_in_world_units():
    table = measure(objects_2d(), spacing=(0.5, 2), unit='mm')
    assert table.columns.tolist() == [
        'label',
        'class',
        'area (mm²)',
        'centroid_y (mm)',
        'centroid_x (mm)',
        'first_y',
        'first_x',
        'last_y',
        'last_x',
    ]
    assert table.to_numpy().tolist() == [
        [1, 2, 8, 0.75, 5, 1, 1, 2, 4],
        [2, 3, 1, 2, 12, 4, 6, 4, 6],
    ]


def test_a_volume_has_a_volume_and_a_third_axis():
    labels = np.zeros((4, 5, 6), np.int32)
    labels[1:3, 2, 2:5] = 1
    table = measure(Objects(labels, (2,)), spacing=(5, 0.5, 0.5))
    assert table.loc[0, 'volume'] == pytest.approx(7.5)
    assert table.loc[0, ['centroid_z', 'centroid_y', 'centroid_x']].tolist() == [7.5, 1, 1.5]
    assert table.loc[0, ['first_z', 'last_z', 'first_x', 'last_x']].tolist() == [1, 2, 2, 4]


def test_intensities_are_averaged_over_each_object_and_channel():
    objects = objects_2d()
    rng = np.random.default_rng(0)
    image = rng.integers(0, 4000, (3, 6, 8)).astype(np.uint16)
    saliency = rng.random((2, 6, 8)).astype(np.float32)
    table = measure(objects, image=image, saliency=saliency)
    for number in (1, 2):
        own = objects.labels == number
        for channel in (1, 2, 3):
            expected = image[channel - 1][own].mean()
            assert table[f'mean_intensity_{channel}'][number - 1] == pytest.approx(expected)
        expected = saliency.max(axis=0)[own].mean()
        assert table['mean_saliency'][number - 1] == pytest.approx(expected)


def test_the_channel_of_a_grey_image_is_not_numbered_also_with_an_axis_of_channels():
    image = np.arange(48.0).reshape(6, 8)
    plain, stacked = (measure(objects_2d(), image=one) for one in (image, image[None]))
    assert plain.equals(stacked)
    assert plain['mean_intensity'].tolist() == [14.5, 38]


def test_only_finite_voxels_count_for_intensity():
    image = np.ones((6, 8))
    image[1, 1], image[1, 2], image[1, 3], image[4, 6] = np.nan, np.inf, 8, np.nan
    found = measure(objects_2d(), image=image, saliency=np.ones((6, 8)))
    np.testing.assert_array_equal(found['mean_intensity'], [13 / 6, np.nan])
    assert found['mean_saliency'].tolist() == [1, 1]


@pytest.mark.parametrize('options', [{}, {'image': True}, {'image': True, 'saliency': True}])
@pytest.mark.parametrize('shape', [(5, 6), (3, 4, 5)])
def test_no_objects_give_an_empty_table_with_the_same_columns(options, shape):
    options = {name: np.ones((2, *shape)) for name in options}
    full = np.ones(shape, np.int32)
    empty = measure(Objects(np.zeros(shape, np.int32), ()), **options)
    one = measure(Objects(full, (2,)), **options)
    assert len(empty) == 0
    assert empty.columns.tolist() == one.columns.tolist()


def test_more_objects_than_sixteen_bits_count_are_measured():
    count = 66_000
    labels = np.arange(1, count + 1, dtype=np.int32).reshape(220, 300)
    table = measure(Objects(labels, (2,) * count))
    assert len(table) == count
    assert table['label'].iloc[-1] == count
    assert (table['area'] == 1).all()


def test_what_does_not_fit_gives_a_clear_error():
    with pytest.raises(DelineationError, match=r'image has shape \(8, 6\)'):
        measure(objects_2d(), image=np.zeros((8, 6)))
    with pytest.raises(DelineationError, match='48 values of the saliency are not finite'):
        measure(objects_2d(), saliency=np.full((6, 8), np.nan))
    with pytest.raises(DelineationError, match='expected 2 numbers'):
        measure(objects_2d(), spacing=(1, 1, 1))


@pytest.mark.parametrize('heavy', ['pandas', 'numba', 'torch'])
def test_importing_delineation_is_light(heavy):
    code = (
        'import sys, napari_flim.delineation.delineate, napari_flim.delineation.measure\n'
        'import napari_flim.delineation.edits\n'
        f'print({heavy!r} in sys.modules)'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == 'False'
