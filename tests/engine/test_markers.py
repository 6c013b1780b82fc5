import tracemalloc

import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from napari_flim.engine import markers as markers_module
from napari_flim.engine.markers import MarkerSet
from napari_flim.errors import MarkerError

label_images = st.integers(2, 3).flatmap(
    lambda ndim: hnp.arrays(
        np.uint8,
        hnp.array_shapes(min_dims=ndim, max_dims=ndim, max_side=9 if ndim == 2 else 5),
        elements=st.sampled_from([0, 0, 0, 1, 2, 3]),
    )
)


def components(labels, *, across_classes=False):
    """Markers by scipy, numbered by their first voxels in raster order."""
    structure = np.ones((3,) * labels.ndim)
    found = np.full(labels.shape, -1)
    groups = [labels > 0] if across_classes else [labels == c for c in (1, 2, 3)]
    for mask in groups:
        numbers, _ = ndimage.label(mask, structure)
        found[mask] = numbers[mask] + found.max() + 1
    values = found[labels > 0]
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def assert_same(result, expected):
    for name in ('coordinates', 'classes', 'markers'):
        np.testing.assert_array_equal(getattr(result, name), getattr(expected, name))
        assert getattr(result, name).dtype == np.int64
    assert result.shape == expected.shape


@settings(max_examples=50, deadline=None)
@given(label_images, st.booleans())
def test_markers_are_the_components_that_scipy_finds(labels, across_classes):
    markers = MarkerSet.from_labels(labels, across_classes=across_classes)
    np.testing.assert_array_equal(markers.coordinates, np.argwhere(labels))
    np.testing.assert_array_equal(markers.classes, labels[labels > 0])
    expected = components(labels, across_classes=across_classes)
    np.testing.assert_array_equal(markers.markers, expected)
    assert markers.count == len(set(expected.tolist()))
    np.testing.assert_array_equal(markers.flat, np.flatnonzero(labels))


@settings(max_examples=20, deadline=None)
@given(label_images, st.randoms(use_true_random=False))
def test_the_order_of_the_voxels_does_not_change_the_markers(labels, random):
    in_order = MarkerSet.from_labels(labels)
    order = list(range(len(in_order)))
    random.shuffle(order)
    shuffled = MarkerSet.from_points(
        in_order.coordinates[order], in_order.classes[order], labels.shape
    )
    assert_same(shuffled, in_order.select(np.array(order, dtype=np.int64)))


def test_touching_strokes_of_different_classes_are_different_markers():
    labels = np.array([[1, 2, 0, 1]])
    assert MarkerSet.from_labels(labels).markers.tolist() == [0, 1, 2]
    assert MarkerSet.from_labels(labels, across_classes=True).markers.tolist() == [0, 0, 1]


def test_voxels_at_opposite_borders_do_not_touch():
    labels = np.zeros((3, 4), np.uint8)
    labels[0, 3] = labels[1, 0] = labels[2, 3] = 1
    assert MarkerSet.from_labels(labels).count == 3


@pytest.mark.parametrize('dtype', ['int8', 'int16', 'int32', 'int64'])
@pytest.mark.parametrize('unsigned', [False, True])
def test_labels_may_be_of_any_integer_type(dtype, unsigned):
    labels = np.array([[1, 0, 2], [1, 0, 2]])
    expected = MarkerSet.from_labels(labels)
    assert_same(MarkerSet.from_labels(labels.astype('u' * unsigned + dtype)), expected)
    swapped = np.dtype('u' * unsigned + dtype).newbyteorder('>')
    assert_same(MarkerSet.from_labels(labels.astype(swapped)), expected)


def test_a_mask_marks_the_background():
    mask = np.array([[True, False], [False, False]])
    assert MarkerSet.from_labels(mask).class_counts == {1: 1}


def test_lazy_labels_give_the_markers_of_numpy(tmp_path):
    labels = np.random.default_rng(0).choice([0, 0, 0, 0, 1, 2], (11, 12, 13)).astype(np.uint8)
    stored = zarr.create_array(
        tmp_path / 'labels.zarr', shape=labels.shape, chunks=(4, 5, 6), dtype=labels.dtype
    )
    stored[:] = labels
    expected = MarkerSet.from_labels(labels)
    assert_same(MarkerSet.from_labels(stored), expected)
    for chunks in ((3, 13, 13), (-1, 4, 4), ((1, 6, 4), 12, 13)):
        assert_same(MarkerSet.from_labels(da.from_array(labels, chunks=chunks)), expected)
    plane = da.from_array(labels[0], chunks=(4, 4))
    assert_same(MarkerSet.from_labels(plane), MarkerSet.from_labels(labels[0]))


@pytest.mark.parametrize('most', [1, 7, 60, 400])
def test_labels_give_the_same_markers_whatever_is_read_at_once(monkeypatch, most):
    labels = np.random.default_rng(2).choice([0, 0, 0, 1, 2], (11, 12, 13)).astype(np.uint8)
    expected = MarkerSet.from_labels(labels)
    monkeypatch.setattr(markers_module, 'BLOCK', most)
    assert_same(MarkerSet.from_labels(labels), expected)
    assert_same(MarkerSet.from_labels(da.from_array(labels, chunks=(3, 5, 7))), expected)


def test_large_lazy_labels_are_never_in_memory_as_a_whole():
    labels = da.zeros((16_000, 20_000), chunks=2000, dtype=np.uint16)
    labels[12_345, 6_780:6_800] = 2
    tracemalloc.start()
    markers = MarkerSet.from_labels(labels)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert markers.class_counts == {2: 20}
    assert peak < labels.nbytes / 4
    peaks = []
    for width in (1, 4):
        tracemalloc.start()
        markers.on_grid((width, width), (16_000 // width, 20_000 // width))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(peaks) < 10**6


def test_stacks_of_lazy_labels_stay_lazy(tmp_path):
    labels = np.random.default_rng(0).choice([0, 0, 1, 2], (3, 12, 13)).astype(np.uint8)
    stored = zarr.create_array(
        tmp_path / 'stack.zarr', shape=labels.shape, chunks=(2, 5, 6), dtype=labels.dtype
    )
    stored[:] = labels
    found = MarkerSet.from_stack(stored, 2)
    for one, expected in zip(found, MarkerSet.from_stack(labels, 2), strict=True):
        assert_same(one, expected)


def test_unmarked_labels_give_an_empty_set():
    markers = MarkerSet.from_labels(np.zeros((3, 4), np.uint8))
    assert (len(markers), markers.count, markers.class_counts) == (0, 0, {})
    assert markers.on_grid((2, 2), (2, 2)).count == 0


def test_each_image_of_a_stack_has_its_own_markers():
    labels = np.array([[[1, 1], [0, 0]], [[0, 0], [0, 2]], [[0, 0], [0, 0]]])
    first, second, third = MarkerSet.from_stack(labels, 2)
    assert first.coordinates.tolist() == [[0, 0], [0, 1]]
    assert second.class_counts == {2: 1}
    assert len(third) == 0
    assert first.shape == second.shape == (2, 2)


def test_a_stack_needs_one_axis_more_than_its_images():
    with pytest.raises(MarkerError, match=r'\(4, 4\).*expected 4 axes'):
        MarkerSet.from_stack(np.zeros((4, 4), int), 3)


@pytest.mark.parametrize(
    ('labels', 'message'),
    [
        (np.zeros((3, 3)), 'float64 values; expected whole numbers'),
        (np.zeros((3, 3), complex), 'complex128 values'),
        (np.zeros(3, int), r'shape \(3,\).*\(z, y, x\)'),
        (np.zeros((2, 3, 3, 3), int), 'MarkerSet.from_stack'),
        (np.array([[0, -3]]), 'value -3; expected 0, 1, 2'),
    ],
)
def test_unusable_labels_give_a_clear_error(labels, message):
    with pytest.raises(MarkerError, match=message):
        MarkerSet.from_labels(labels)


@pytest.mark.parametrize(
    ('coordinates', 'classes', 'message'),
    [
        ([[0, 0], [5, 1]], [1, 2], r'\(5, 1\) lies outside the image of shape \(5, 6\)'),
        ([[0, -1]], [1], r'\(0, -1\) lies outside'),
        ([[0, 0]], [0], 'Class 0 was given; 1 is background'),
        ([[0, 0], [0, 1]], [1], '2 voxels came with 1 classes'),
    ],
)
def test_unusable_points_give_a_clear_error(coordinates, classes, message):
    with pytest.raises(MarkerError, match=message):
        MarkerSet.from_points(np.array(coordinates), np.array(classes), (5, 6))


def test_a_repeated_point_counts_once_with_its_first_class():
    markers = MarkerSet.from_points(np.array([[3, 3], [0, 0], [3, 3]]), np.array([2, 1, 1]), (5, 5))
    assert markers.coordinates.tolist() == [[3, 3], [0, 0]]
    assert markers.classes.tolist() == [2, 1]
    assert markers.markers.tolist() == [1, 0]


def test_choosing_a_class_keeps_the_numbers_of_its_markers():
    markers = MarkerSet.from_labels(np.array([[1, 0, 2, 0, 1]])).of_class(1)
    assert markers.markers.tolist() == [0, 2]
    assert markers.class_counts == {1: 2}


def test_the_arrays_of_markers_cannot_be_written():
    markers = MarkerSet.from_labels(np.array([[1, 2]]))
    for array in (markers.coordinates, markers.classes, markers.markers):
        with pytest.raises(ValueError, match='read-only'):
            array[0] = 0


def on_line(points, classes, stride, cells, size=40):
    """Cells and classes of points on a line of ``size`` voxels."""
    coordinates = np.array([[0, p] for p in points])
    markers = MarkerSet.from_points(coordinates, np.array(classes), (1, size))
    grid = markers.on_grid((1, stride), (1, cells))
    return list(zip(grid.coordinates[:, 1].tolist(), grid.classes.tolist(), strict=True))


def test_a_voxel_moves_to_the_nearest_cell():
    # Cell i lies at voxel 4i; voxel 2 is as near to cell 0 as to cell 1 and goes up.
    far_apart = [(1, 0), (2, 1), (9, 2), (15, 4), (18, 5)]
    for voxel, cell in far_apart:
        assert on_line([voxel], [1], 4, 10) == [(cell, 1)]
    assert on_line([4], [1], 3, 14) == [(1, 1)]
    assert on_line([5], [1], 3, 14) == [(2, 1)]


def test_a_voxel_beyond_the_last_cell_goes_to_the_last_cell():
    assert on_line([39], [2], 4, 10) == [(9, 2)]


def test_a_marker_uses_a_cell_once():
    assert on_line([8, 9, 10, 11], [2] * 4, 4, 10) == [(2, 2), (3, 2)]


def test_a_cell_wanted_by_two_classes_goes_to_the_majority():
    assert on_line([7, 8, 9], [1, 2, 2], 4, 10) == [(2, 2)]
    assert on_line([6, 7, 8, 9], [1, 1, 1, 2], 4, 10) == [(2, 1)]


def test_a_cell_wanted_equally_goes_to_nobody():
    assert on_line([7, 8], [1, 2], 4, 10) == []
    assert on_line([7, 8, 9, 20], [2, 1, 3, 1], 4, 10) == [(5, 1)]


def test_two_markers_of_one_class_both_keep_their_shared_cell():
    coordinates = np.array([[0, 7], [0, 9]])
    markers = MarkerSet.from_points(coordinates, np.array([2, 2]), (1, 40))
    grid = markers.on_grid((1, 4), (1, 10))
    assert grid.coordinates.tolist() == [[0, 2], [0, 2]]
    assert grid.markers.tolist() == [0, 1]


def test_without_subsampling_the_grid_is_the_image():
    markers = MarkerSet.from_labels(np.array([[1, 2], [2, 1]]))
    assert_same(markers.on_grid((1, 1), (2, 2)), markers)


def test_each_axis_of_a_grid_has_its_own_stride():
    markers = MarkerSet.from_points(np.array([[3, 3, 3]]), np.array([1]), (9, 9, 9))
    assert markers.on_grid((1, 2, 4), (9, 5, 3)).coordinates.tolist() == [[3, 2, 1]]
    assert markers.on_grid((1, 2, 4), (9, 5, 3)).shape == (9, 5, 3)


def test_markers_hold_copies_that_cannot_be_written():
    arrays = [np.array([[0, 1], [2, 3]]), np.array([1, 2]), np.array([0, 1])]
    markers = MarkerSet(*arrays, (4, 4))
    for array in arrays:
        array[:] = 3
    assert markers.coordinates.tolist() == [[0, 1], [2, 3]]
    assert markers.classes.tolist() == [1, 2]
    assert markers.markers.tolist() == [0, 1]
    with pytest.raises(ValueError, match='read-only'):
        markers.classes[0] = 5


@pytest.mark.parametrize(('across', 'count'), [(False, 2), (True, 1)])
def test_touching_strokes_of_a_stack_join_as_those_of_one_image(across, count):
    labels = np.array([[[1, 1, 2, 2, 0]], [[0, 2, 2, 1, 1]]])
    stack = MarkerSet.from_stack(labels, 2, across_classes=across)
    assert [markers.count for markers in stack] == [count, count]
