"""Marker layers: making, finding and reading them."""

from __future__ import annotations

import time
from types import SimpleNamespace

import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_flim.bridge import marker_layers
from napari_flim.bridge.marker_layers import (
    class_colormap,
    dirty_planes,
    find_markers,
    fits,
    new_marker_layer,
    read_strokes,
)
from napari_flim.errors import MarkerError
from napari_flim.session.classes import FIRST_CLASSES, MarkedClass, with_new_class


def image_of(*shape: int, name: str = 'cells', **options) -> Image:
    return Image(np.zeros(shape, np.uint8), name=name, **options)


def labels_of(*shape: int, name: str = 'labels', **options) -> Labels:
    return Labels(np.zeros(shape, np.uint8), name=name, **options)


def as_array(strokes) -> np.ndarray:
    drawn = np.zeros(strokes.shape, np.int64)
    drawn[tuple(strokes.coordinates.T)] = strokes.labels
    return drawn


def test_a_new_marker_layer_lies_over_its_image_with_the_label_of_the_first_object_class() -> None:
    image = image_of(400, 800, scale=(0.5, 0.25), units='um')
    layer = new_marker_layer(image, 'YX', FIRST_CLASSES)
    assert (layer.data.shape, layer.data.dtype, layer.data.any()) == ((400, 800), np.uint8, False)
    assert (layer.name, layer.selected_label) == ('cells markers', 2)
    assert (layer.brush_size, layer.n_edit_dimensions) == (10, 2)
    assert tuple(layer.scale) == (0.5, 0.25)
    assert layer.units == image.units
    link = {'role': 'markers', 'item': str(image.unique_id)}
    assert layer.metadata['napari_flim'] == link


def test_the_brush_is_never_too_thin_to_see() -> None:
    assert new_marker_layer(image_of(40, 30), 'YX', FIRST_CLASSES).brush_size == 3


def test_the_brush_of_a_large_image_does_not_mark_a_million_voxels_at_once() -> None:
    slide = Image([da.zeros((40_000, 40_000), dtype=np.uint8), np.zeros((40, 40))], multiscale=True)
    layer = new_marker_layer(slide, 'YX', FIRST_CLASSES)
    assert layer.data.shape == (40_000, 40_000)
    assert layer.brush_size == 50


@pytest.mark.parametrize(
    ('shape', 'axes', 'expected'),
    [
        ((2, 9, 8), 'CYX', (9, 8)),
        ((5, 9, 8, 3), 'TYXS', (5, 9, 8)),
        ((2, 7, 9, 8), 'CZYX', (7, 9, 8)),
        ((4, 7, 9, 8), 'TZYX', (4, 7, 9, 8)),
    ],
)
def test_markers_have_the_shape_of_the_image_without_its_channels(
    shape: tuple[int, ...], axes: str, expected: tuple[int, ...]
) -> None:
    image = image_of(*shape, rgb='S' in axes)
    layer = new_marker_layer(image, axes, FIRST_CLASSES, name='mine')
    assert (layer.data.shape, layer.name) == (expected, 'mine')
    assert fits(layer, image, axes)


def test_a_layer_of_another_shape_does_not_fit() -> None:
    image = image_of(2, 9, 8)
    assert not fits(labels_of(2, 9, 8), image, 'CYX')
    assert not fits(labels_of(8, 9), image, 'CYX')
    pyramid = Labels([np.zeros((9, 8), int), np.zeros((4, 4), int)], multiscale=True)
    assert not fits(pyramid, image, 'CYX')


def test_every_class_has_its_colour_and_every_stroke_can_be_seen() -> None:
    classes = with_new_class(FIRST_CLASSES, 7)
    colours = class_colormap(classes).map(np.array([0, 1, 2, 7, 200], np.uint8))
    for one, colour in zip(classes, colours[1:4], strict=True):
        assert tuple(colour[:3]) == pytest.approx(one.colour, abs=1 / 255)
    assert colours[0][3] == 0
    assert (colours[1:, 3] == 1).all()


def test_a_first_object_class_with_another_label_is_selected() -> None:
    classes = (FIRST_CLASSES[0], MarkedClass(5, 'egg', (1.0, 0.0, 0.0), 'object'))
    assert new_marker_layer(image_of(9, 8), 'YX', classes).selected_label == 5


def test_markers_are_found_by_their_link_whatever_they_are_called() -> None:
    viewer = ViewerModel()
    image = viewer.add_layer(image_of(9, 8))
    viewer.add_layer(labels_of(9, 8, name='cells markers'))
    mine = viewer.add_layer(new_marker_layer(image, 'YX', FIRST_CLASSES))
    mine.name = 'strokes'
    image.name = 'nuclei'
    assert find_markers(image, 'YX', viewer.layers) is mine


@pytest.mark.parametrize(
    'name', ['cells markers', 'cells-seeds', 'Cells_markers', 'cells marker', 'cells scribbles']
)
def test_markers_of_the_user_are_found_by_name(name: str) -> None:
    image, markers = image_of(9, 8), labels_of(9, 8, name=name)
    assert find_markers(image, 'YX', [image, markers]) is markers


@pytest.mark.parametrize('name', ['cells', 'cells 2 markers', 'my cells markers', 'cells masks'])
def test_other_labels_are_not_taken_for_markers(name: str) -> None:
    image = image_of(9, 8)
    assert find_markers(image, 'YX', [image, labels_of(9, 8, name=name)]) is None


def test_the_name_that_we_give_comes_before_similar_ones() -> None:
    image = image_of(9, 8)
    seeds, markers = labels_of(9, 8, name='cells-seeds'), labels_of(9, 8, name='cells markers')
    assert find_markers(image, 'YX', [image, seeds, markers]) is markers


def test_two_layers_of_one_name_have_each_their_own_markers() -> None:
    viewer = ViewerModel()
    first, its = viewer.add_layer(image_of(9, 8)), labels_of(9, 8, name='cells markers')
    viewer.add_layer(its)
    second = viewer.add_layer(image_of(9, 8))
    other = viewer.add_layer(labels_of(9, 8, name='cells markers'))
    assert (second.name, other.name) == ('cells [1]', 'cells markers [1]')
    assert find_markers(first, 'YX', viewer.layers) is its
    assert find_markers(second, 'YX', viewer.layers) is other


def test_results_and_markers_of_another_open_image_are_never_taken() -> None:
    image, other = image_of(9, 8), image_of(9, 8, name='other')
    result = labels_of(9, 8, name='cells markers')
    result.metadata['napari_flim'] = {'role': 'objects', 'item': str(image.unique_id)}
    foreign = new_marker_layer(other, 'YX', FIRST_CLASSES, name='cells markers')
    assert find_markers(image, 'YX', [image, other, result, foreign]) is None


def test_markers_of_a_closed_image_are_found_again_by_name() -> None:
    closed, again = image_of(9, 8), image_of(9, 8)
    markers = new_marker_layer(closed, 'YX', FIRST_CLASSES)
    assert find_markers(again, 'YX', [again, markers]) is markers


def test_markers_that_no_longer_fit_are_not_found() -> None:
    image = image_of(9, 8)
    markers = new_marker_layer(image, 'YX', FIRST_CLASSES)
    image.data = np.zeros((5, 5))
    assert find_markers(image, 'YX', [image, markers]) is None


DTYPES = (np.uint8, np.int8, np.uint16, np.int32, np.uint64, np.int64)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_strokes_are_the_marked_voxels_in_raster_order(data) -> None:
    shape = data.draw(array_shapes(min_dims=2, max_dims=4, max_side=9))
    dtype = data.draw(st.sampled_from(DTYPES))
    painted = data.draw(arrays(dtype, shape, elements=st.integers(0, 3), fill=st.just(0)))
    axes = {2: 'YX', 3: data.draw(st.sampled_from(['ZYX', 'TYX'])), 4: 'TZYX'}[len(shape)]
    layout = data.draw(st.sampled_from(['C', 'F']))
    found = read_strokes(Labels(np.asarray(painted, order=layout)), axes)
    frames = dict(enumerate(painted)) if axes[0] == 'T' else {0: painted}
    assert set(found) == {number for number, frame in frames.items() if frame.any()}
    for number, strokes in found.items():
        expected = np.argwhere(frames[number])
        assert strokes.coordinates.dtype == strokes.labels.dtype == np.int64
        np.testing.assert_array_equal(strokes.coordinates, expected)
        np.testing.assert_array_equal(strokes.labels, frames[number][tuple(expected.T)])
        assert strokes.shape == frames[number].shape


@pytest.mark.parametrize('axes', ['ZYX', 'TYX'])
def test_lazy_markers_read_like_numpy_ones(axes: str, tmp_path) -> None:
    painted = (np.random.default_rng(0).random((7, 20, 30)) < 0.02).astype(np.uint8)
    painted[3] = 0
    stored = zarr.create_array(
        tmp_path / 'm.zarr', shape=painted.shape, chunks=(2, 8, 8), dtype='u1'
    )
    stored[:] = painted
    expected = read_strokes(Labels(painted), axes)
    for data in (da.from_array(painted, chunks=((3, 4), 20, 30)), stored):
        found = read_strokes(Labels(data), axes)
        assert found.keys() == expected.keys()
        assert all(found[frame].digest == expected[frame].digest for frame in found)


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(['ZYX', 'TYX', 'TZYX', 'YX']),
    st.sets(st.integers(0, 5)),
    st.integers(0, 2**32 - 1),
)
def test_reading_only_changed_planes_equals_reading_everything(
    axes: str, planes: set[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    shape = (6, 5, 4, 4)[: len(axes)]
    layer = Labels(rng.integers(0, 3, shape).astype(np.uint8))
    layer.data[rng.integers(6)] = 0
    known = read_strokes(layer, axes)
    for plane in planes:
        layer.data[plane] = rng.integers(0, 3, shape[1:]) * rng.integers(2)
    updated = read_strokes(layer, axes, planes, known)
    expected = read_strokes(layer, axes)
    assert list(updated) == list(expected)
    assert all(updated[frame].digest == expected[frame].digest for frame in expected)


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.int32])
def test_the_last_voxel_of_an_odd_number_is_read(dtype) -> None:
    painted = np.zeros((3, 33, 35), dtype)
    painted[0, 0, 0], painted[2, 32, 34] = 1, 2
    assert read_strokes(Labels(painted), 'ZYX')[0].counts == {1: 1, 2: 1}


def test_planes_that_did_not_change_are_not_read_again() -> None:
    read = []

    def watched(block: np.ndarray, block_info=None) -> np.ndarray:
        read.append(block_info[0]['chunk-location'][0])
        return block

    painted = da.ones((6, 8, 8), chunks=(1, 8, 8), dtype=np.uint8)
    layer = Labels(painted.map_blocks(watched, dtype=np.uint8, meta=np.zeros(0, np.uint8)))
    known = read_strokes(layer, 'TYX')
    read.clear()
    read_strokes(layer, 'TYX', {1, 4}, known)
    assert sorted(read) == [1, 4]


def test_nothing_painted_is_nothing_found() -> None:
    assert read_strokes(labels_of(9, 8), 'YX') == {}
    assert read_strokes(labels_of(4, 9, 8), 'TYX') == {}
    layer = labels_of(4, 9, 8)
    layer.data[2, 3, 4] = 1
    known = read_strokes(layer, 'ZYX')
    layer.data[2, 3, 4] = 0
    assert read_strokes(layer, 'ZYX', {2}, known) == {}


def test_strokes_do_not_change_when_the_user_paints_on() -> None:
    layer = labels_of(9, 8)
    layer.data[2, 3] = 1
    before = read_strokes(layer, 'YX')[0]
    digest = before.digest
    layer.data[2, 3] = 2
    assert before.digest == digest
    assert before.counts == {1: 1}


@pytest.mark.parametrize(('value', 'dtype'), [(300, np.uint16), (-1, np.int32), (256, np.int64)])
def test_labels_that_no_class_can_have_are_refused(value: int, dtype) -> None:
    painted = np.zeros((9, 8), dtype)
    painted[2, 3], painted[4, 4] = value, 1
    with pytest.raises(MarkerError, match=f'nuclei holds the label {value}; .* new marker layer'):
        read_strokes(Labels(painted, name='nuclei'), 'YX')


def test_few_strokes_in_a_large_volume_are_read_at_once() -> None:
    painted = np.zeros((256, 512, 512), np.uint8)
    painted[100, 200:220, 300:320] = 1
    painted[-1, -1, -1] = 2
    layer = SimpleNamespace(data=painted, name='large')
    np.flatnonzero(painted.reshape(-1)[:1000])
    times = []
    for _ in range(3):
        start = time.perf_counter()
        found = read_strokes(layer, 'ZYX')
        times.append(time.perf_counter() - start)
    start = time.perf_counter()
    np.nonzero(painted)
    plain = time.perf_counter() - start
    assert found[0].counts == {1: 400, 2: 1}
    assert min(times) < plain / 3


def test_a_densely_painted_volume_is_read_too(monkeypatch) -> None:
    monkeypatch.setattr(marker_layers, 'SLAB_BYTES', 100)
    painted = np.random.default_rng(0).integers(0, 3, (5, 9, 11)).astype(np.uint8)
    np.testing.assert_array_equal(as_array(read_strokes(Labels(painted), 'ZYX')[0]), painted)


def painted_events(layer: Labels) -> list:
    events: list = []
    layer.events.paint.connect(lambda event: events.append(dirty_planes(layer, event)))
    return events


def test_a_stroke_dirties_the_planes_that_it_touched() -> None:
    layer = labels_of(6, 20, 20)
    events = painted_events(layer)
    layer.brush_size = 3
    layer.paint((2, 5, 5), 1)
    layer.n_edit_dimensions = 3
    layer.paint((4, 5, 5), 1)
    assert events == [{2}, {3, 4, 5}]


def test_a_stroke_of_several_moves_dirties_all_their_planes() -> None:
    layer = labels_of(6, 20, 20)
    events = painted_events(layer)
    with layer.block_history():
        layer.paint((1, 5, 5), 1)
        layer.paint((4, 5, 5), 1)
    assert events == [{1, 4}]


def test_what_is_not_understood_dirties_everything() -> None:
    layer = labels_of(6, 20, 20)
    events = painted_events(layer)
    layer.data_setitem((np.array([1]), np.array([2]), np.array([3])), 1)
    assert events == [None]
    assert dirty_planes(layer, SimpleNamespace()) is None


def test_a_stroke_on_an_image_dirties_the_rows_that_it_touched() -> None:
    layer = labels_of(20, 20)
    events = painted_events(layer)
    layer.brush_size = 3
    layer.paint((5, 5), 1)
    assert events == [{4, 5, 6}]
