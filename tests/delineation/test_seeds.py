from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from napari_flim.delineation.area_range import AreaRange
from napari_flim.delineation.objects import ObjectSettings, class_map, separate_objects
from napari_flim.delineation.seed_settings import SeedSettings
from napari_flim.delineation.seeds import seeds_from_saliency
from napari_flim.errors import DelineationError

PLAIN = SeedSettings(0.5, smallest=0)
THIN = replace(PLAIN, erosion=1)


def two_squares(shape=(40, 60), value=1.0):
    saliency = np.zeros(shape, np.float32)
    saliency[10:20, 10:20] = saliency[22:32, 40:50] = value
    return saliency


def marked(shape, *strokes):
    """Markers from (class, slices)."""
    markers = np.zeros(shape, np.uint8)
    for number, *where in strokes:
        markers[tuple(slice(*w) for w in where)] = number
    return markers


def test_inner_seeds_keep_a_quarter_of_the_depth_but_a_voxel_at_least():
    saliency = np.zeros((60, 90))
    saliency[5:45, 5:45] = saliency[50:53, 60:70] = 1
    labels = seeds_from_saliency(saliency, PLAIN).labels
    expected = np.zeros(saliency.shape, bool)
    expected[10:40, 10:40] = True
    np.testing.assert_array_equal(labels == 2, expected)
    assert np.argwhere(labels == 3).tolist() == [[51, x] for x in range(61, 69)]


def test_each_object_has_inner_seeds_of_its_own_at_the_given_distance_from_its_border():
    seeds = seeds_from_saliency(two_squares(), THIN)
    assert seeds.labels.dtype == np.int32
    assert seeds.classes == (2, 2)
    for label, (y, x) in ((2, (10, 10)), (3, (22, 40))):
        expected = np.zeros((40, 60), bool)
        expected[y + 1 : y + 9, x + 1 : x + 9] = True
        np.testing.assert_array_equal(seeds.labels == label, expected)


def test_outer_seeds_are_farther_from_every_object_than_the_dilation():
    seeds = seeds_from_saliency(two_squares(), replace(PLAIN, dilation=7))
    distance = ndimage.distance_transform_edt(two_squares() == 0)
    np.testing.assert_array_equal(seeds.labels == 1, distance > 7)


def test_the_free_band_is_a_quarter_of_a_diameter_wide_but_five_voxels_at_least():
    def widest(saliency):
        free = seeds_from_saliency(saliency, PLAIN).labels != 1
        return ndimage.distance_transform_edt(saliency == 0)[free].max()

    large = np.zeros((120, 120))
    large[40:80, 40:80] = 1
    assert widest(large) == pytest.approx(np.sqrt(1600 / np.pi) / 2, abs=1)
    assert widest(two_squares((60, 60))) == 5
    small = np.zeros((40, 40))
    small[20, 20] = 1
    assert widest(small) == 5


def test_in_volumes_inner_seeds_lie_deeper_and_outer_seeds_nearer():
    volume = np.zeros((40, 40, 40))
    volume[10:30, 10:30, 10:30] = 1
    labels = seeds_from_saliency(volume, PLAIN).labels
    expected = np.zeros(volume.shape, bool)
    expected[13:27, 13:27, 13:27] = True
    np.testing.assert_array_equal(labels == 2, expected)
    distance = ndimage.distance_transform_edt(volume == 0)
    twentieth = 0.05 * (6 * volume.sum() / np.pi) ** (1 / 3)
    assert twentieth > 1
    np.testing.assert_array_equal(labels == 1, distance > twentieth)


@pytest.mark.parametrize('unit', [0.1, 0.3, 7.0])
def test_seeds_do_not_depend_on_the_unit(unit):
    seeds = seeds_from_saliency(two_squares(), PLAIN, spacing=(unit, unit))
    np.testing.assert_array_equal(seeds.labels, seeds_from_saliency(two_squares(), PLAIN).labels)


def test_distances_are_in_world_units():
    volume = np.zeros((9, 40, 40))
    volume[4, 15:26, 15:26] = 1
    seeds = seeds_from_saliency(
        volume, replace(PLAIN, erosion=2, dilation=6), spacing=(5.0, 1.0, 1.0)
    )
    assert (seeds.labels == 2).sum() == 7 * 7
    assert (seeds.labels[2] == 1).all()
    assert not (seeds.labels[3, 15:26, 15:26] == 1).any()


def test_an_object_that_erosion_empties_keeps_its_most_salient_voxel():
    saliency = np.zeros((20, 20))
    saliency[5:7, 5:12] = 0.8
    saliency[6, 9] = 0.9
    saliency[15, 15] = 0.7
    seeds = seeds_from_saliency(saliency, PLAIN)
    assert np.argwhere(seeds.labels == 2).tolist() == [[6, 9]]
    assert np.argwhere(seeds.labels == 3).tolist() == [[15, 15]]


def test_the_first_of_equally_salient_voxels_is_kept():
    saliency = np.zeros((12, 12))
    saliency[5:7, 4:8] = 1
    assert np.argwhere(seeds_from_saliency(saliency, PLAIN).labels == 2).tolist() == [[5, 4]]


@pytest.mark.parametrize('value', [0.0, 0.7, 1.0])
@pytest.mark.parametrize('shape', [(1, 1), (1, 30), (30, 1), (6, 7), (3, 4, 5)])
def test_without_objects_all_is_background_and_nothing_to_visit(shape, value):
    seeds = seeds_from_saliency(np.full(shape, value), SeedSettings())
    assert (seeds.labels == 1).all()
    assert not seeds.mask.any()
    assert not seeds.regions.any()
    assert seeds.classes == seeds.marked == ()


def test_objects_that_fill_the_image_leave_no_outer_seeds():
    markers = np.zeros((6, 7), np.uint8)
    markers[2:4] = 2
    saliency = np.full((6, 7), 0.9)
    saliency[0, 0] = 0.8
    seeds = seeds_from_saliency(saliency, replace(PLAIN, threshold=0.1), markers=markers)
    assert set(np.unique(seeds.labels)) <= {0, 2}


def test_where_no_voxel_is_far_enough_the_farthest_half_is_background():
    saliency = np.zeros((30, 30))
    saliency[5:25, 5:25] = 1
    seeds = seeds_from_saliency(saliency, replace(PLAIN, dilation=100))
    distance = ndimage.distance_transform_edt(saliency == 0)
    np.testing.assert_array_equal(seeds.labels == 1, distance > distance.max() / 2)


@pytest.mark.parametrize(('width', 'kept'), [(None, 3), (-1, 3), (1, 2), (4, 1)])
def test_objects_in_the_frame_along_the_border_are_dropped(width, kept):
    saliency = np.zeros((40, 40))
    saliency[0:6, 10:16] = saliency[30:37, 30:37] = saliency[15:21, 15:21] = 1
    seeds = seeds_from_saliency(saliency, replace(PLAIN, border=width))
    assert len(seeds.classes) == kept


@pytest.mark.parametrize('in_z', [False, True])
def test_the_first_and_last_slices_are_border_only_if_wanted(in_z):
    volume = np.zeros((6, 20, 20))
    volume[0:3, 8:12, 8:12] = 1
    seeds = seeds_from_saliency(volume, replace(PLAIN, border=1, border_in_z=in_z))
    assert len(seeds.classes) == (not in_z)


def test_objects_of_other_sizes_in_world_units_are_dropped():
    saliency = two_squares()
    saliency[35:38, 5:8] = 1
    sizes = AreaRange(5, 100)
    seeds = seeds_from_saliency(saliency, replace(PLAIN, sizes=sizes), spacing=(0.5, 0.5))
    assert seeds.classes == (2, 2)
    assert seeds_from_saliency(saliency, replace(PLAIN, sizes=sizes)).classes == (2, 2, 2)


def test_a_background_marker_is_a_seed_even_within_an_object():
    markers = marked((40, 60), (1, (14, 16), (8, 22)))
    seeds = seeds_from_saliency(two_squares(), PLAIN, markers=markers)
    assert (seeds.labels[14:16, 8:22] == 1).all()
    assert not seeds.regions[14:16].any()
    # The marker cuts the first object in two.
    assert seeds.classes == (2, 2, 2)
    assert seeds.marked == (False, False, False)


@pytest.mark.parametrize('columns', [(12, 14), (17, 23), (20, 22)])
def test_a_marker_within_or_beside_an_object_joins_it(columns):
    markers = marked((40, 60), (2, (14, 16), columns))
    seeds = seeds_from_saliency(two_squares(), THIN, markers=markers)
    assert seeds.classes == (2, 2)
    assert seeds.marked == (True, False)
    whole = markers == 2
    whole[10:20, 10:20] = True
    np.testing.assert_array_equal(seeds.regions == 1, whole)
    core = ndimage.distance_transform_edt(whole) > 1
    np.testing.assert_array_equal(seeds.labels == 2, core | (markers == 2))


def test_a_marker_gives_its_class_to_the_object():
    markers = marked((40, 60), (3, (14, 16), (12, 14)))
    assert seeds_from_saliency(two_squares(), PLAIN, markers=markers).classes == (3, 2)


def test_a_marker_where_nothing_was_found_is_a_new_object():
    markers = marked((40, 60), (2, (3, 5), (40, 44)))
    seeds = seeds_from_saliency(two_squares(), PLAIN, markers=markers)
    assert seeds.classes == (2, 2, 2)
    np.testing.assert_array_equal(seeds.labels == 2, markers == 2)
    assert seeds.marked == (True, False, False)


def test_a_new_object_may_grow_twice_as_far_as_a_found_one():
    markers = marked((80, 80), (2, (60, 61), (60, 61)))
    saliency = two_squares((80, 80))
    free = seeds_from_saliency(saliency, replace(PLAIN, dilation=6), markers=markers).labels != 1
    distance = ndimage.distance_transform_edt(markers == 0)
    assert distance[free & (distance < 20)].max() == 12


def test_two_markers_split_an_object():
    markers = marked((40, 60), (2, (14, 16), (11, 13)), (2, (14, 16), (17, 19)))
    seeds = seeds_from_saliency(two_squares(), PLAIN, markers=markers)
    assert seeds.classes == (2, 2, 2)
    assert seeds.marked == (True, True, False)
    parts = seeds.labels[10:20, 10:20]
    np.testing.assert_array_equal(parts > 0, markers[10:20, 10:20] == 2)
    assert set(np.unique(parts)) == {0, 2, 3}
    assert (seeds.regions[10:20, 10:15] == 1).all()
    assert (seeds.regions[10:20, 15:20] == 2).all()


def test_markers_of_two_classes_split_an_object_too():
    markers = marked((40, 60), (2, (14, 16), (11, 13)), (3, (14, 16), (17, 19)))
    assert seeds_from_saliency(two_squares(), PLAIN, markers=markers).classes == (2, 3, 2)


def test_one_marker_across_two_objects_makes_them_one():
    saliency = np.zeros((20, 40))
    saliency[5:12, 5:12] = saliency[5:12, 20:27] = 1
    markers = marked((20, 40), (2, (8, 9), (10, 22)))
    seeds = seeds_from_saliency(saliency, THIN, markers=markers)
    assert seeds.classes == (2,)
    assert (seeds.labels[6:11, 6:11] == 2).all()
    assert (seeds.labels[6:11, 21:26] == 2).all()


def test_what_the_user_has_marked_is_never_dropped():
    choice = replace(PLAIN, border=1, sizes=AreaRange(1000, 2000))
    saliency = np.zeros((20, 20))
    saliency[0:6, 3:9] = saliency[10:15, 10:15] = 1
    markers = marked((20, 20), (2, (3, 4), (5, 6)))
    seeds = seeds_from_saliency(saliency, choice, markers=markers)
    assert seeds.classes == (2,)
    assert (seeds.regions == 1).sum() == 36


def test_a_found_object_that_touches_another_class_is_eroded_there():
    maps = np.zeros((2, 20, 30))
    maps[0, 5:15, 5:15] = maps[1, 5:15, 15:25] = 1
    seeds = seeds_from_saliency(maps, THIN, classes=(2, 3))
    assert seeds.classes == (2, 3)
    assert not seeds.labels[:, 14:16][5:15].any()
    assert (seeds.labels[6:14, 6:14] == 2).all()
    assert (seeds.labels[6:14, 16:24] == 3).all()


def test_classes_may_come_in_any_order():
    maps = np.zeros((2, 12, 12))
    maps[0, 3, 3], maps[1, 8, 8] = 0.9, 0.8
    seeds = seeds_from_saliency(maps, PLAIN, classes=(7, 2))
    assert seeds.classes == (7, 2)


def test_only_voxels_without_seeds_and_their_neighbours_need_a_visit():
    seeds = seeds_from_saliency(two_squares(), PLAIN)
    expected = ndimage.binary_dilation(seeds.labels == 0, np.ones((3, 3)))
    np.testing.assert_array_equal(seeds.mask, expected)


def test_seeds_are_read_only():
    seeds = seeds_from_saliency(two_squares(), PLAIN)
    for array in (seeds.labels, seeds.mask, seeds.regions):
        with pytest.raises(ValueError, match='read-only'):
            array[0, 0] = 1


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=3, max_side=9),
        elements=st.sampled_from([0.0, 0.2, 0.7, 0.9]),
    ),
    st.data(),
)
def test_seeds_keep_what_was_marked_and_every_object_has_some(saliency, data):
    markers = data.draw(
        hnp.arrays(np.uint8, saliency.shape, elements=st.sampled_from([0, 0, 0, 0, 1, 2, 3]))
    )
    before = saliency.copy(), markers.copy()
    seeds = seeds_from_saliency(saliency, PLAIN, markers=markers)
    np.testing.assert_array_equal(saliency, before[0])
    np.testing.assert_array_equal(markers, before[1])
    count = len(seeds.classes)
    assert len(seeds.marked) == count
    assert set(np.unique(seeds.labels)) - {0, 1} == set(range(2, count + 2))
    assert set(np.unique(seeds.regions)) - {0} == set(range(1, count + 1))
    np.testing.assert_array_equal(seeds.labels[markers == 1], 1)
    named = np.array((0, 1, *seeds.classes))[seeds.labels]
    np.testing.assert_array_equal(named[markers > 1], markers[markers > 1])
    inner = seeds.labels > 1
    np.testing.assert_array_equal(seeds.regions[inner], seeds.labels[inner] - 1)
    again = seeds_from_saliency(saliency, PLAIN, markers=markers)
    np.testing.assert_array_equal(again.labels, seeds.labels)


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.just(2), st.integers(1, 9), st.integers(1, 9)),
        elements=st.floats(0, 1, width=32),
    )
)
def test_without_markers_regions_are_the_components_of_the_class_map(maps):
    regions = seeds_from_saliency(maps, SeedSettings(smallest=3), classes=(2, 3)).regions
    expected = separate_objects(class_map(maps, (2, 3), ObjectSettings(smallest=3)))
    np.testing.assert_array_equal(regions, expected)


def test_more_objects_than_sixteen_bits_count_are_kept_apart():
    saliency = np.zeros((530, 530))
    saliency[::2, ::2] = 1
    seeds = seeds_from_saliency(saliency, PLAIN)
    assert len(seeds.classes) == 265**2 > 65535
    assert seeds.labels.max() == 265**2 + 1


@pytest.mark.parametrize(
    ('saliency', 'options', 'words'),
    [
        (np.full((3, 3), np.nan), {}, '9 values of the saliency are not finite'),
        (np.zeros((0, 4)), {}, r'shape \(0, 4\); expected voxels'),
        (np.zeros(4), {}, 'expected voxels'),
        (np.full((3, 3), 'a'), {}, 'expected real numbers'),
        (np.zeros((2, 3, 3)), {'classes': (2,)}, '2 saliency maps came with 1 classes'),
        (np.zeros((2, 3, 3)), {'classes': (2, 2)}, 'different numbers from 2'),
        (np.zeros((1, 3, 3)), {'classes': (1,)}, 'different numbers from 2'),
        (np.zeros((3, 3)), {'spacing': (1,)}, 'expected 2 numbers above 0'),
        (np.zeros((3, 3)), {'spacing': (1, 0)}, 'expected 2 numbers above 0'),
        (np.zeros((3, 3)), {'markers': np.zeros((3, 4), int)}, 'they must be equal'),
        (np.zeros((3, 3)), {'markers': np.zeros((3, 3))}, 'float64 values; expected whole'),
        (np.zeros((3, 3)), {'markers': np.full((3, 3), -1)}, 'holds -1; expected whole'),
    ],
)
def test_what_does_not_fit_gives_a_clear_error(saliency, options, words):
    with pytest.raises(DelineationError, match=words):
        seeds_from_saliency(saliency, **options)


@pytest.mark.parametrize(
    'options',
    [
        {'border': 0},
        {'border': 1.5},
        {'border_in_z': 1},
        {'sizes': (1, 2)},
        {'erosion': -1},
        {'dilation': float('nan')},
        {'threshold': 2},
    ],
)
def test_impossible_settings_give_a_clear_error(options):
    with pytest.raises(DelineationError, match='expected'):
        SeedSettings(**options)
