"""Blank markers of images larger than memory."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import zarr

from napari_flim.bridge import sparse_markers
from napari_flim.bridge.sparse_markers import blank_labels, painted_planes
from napari_flim.errors import MarkerError

VOLUME = (5000, 4000, 5000)


def test_markers_of_usual_images_are_an_array_of_zeros():
    for shape in ((40, 50), (4, 50, 60), (40_000, 40_000)):
        made = blank_labels(shape)
        assert (type(made), made.dtype, made.shape) == (np.ndarray, np.uint8, shape)
        assert painted_planes(made) is None


def test_markers_of_a_volume_larger_than_memory_hold_what_is_painted():
    made = blank_labels(VOLUME)
    assert (made.shape, made.dtype) == (VOLUME, np.uint8)
    assert painted_planes(made) == set()
    made[7, 100:140, 500:560] = 2
    made[4999, 3999, 4999] = 1
    assert painted_planes(made) == {7, 4999}
    assert made[6:9, 139, 559].tolist() == [0, 2, 0]
    made[7, 100:140, 500:560] = 0
    assert painted_planes(made) == {4999}


@pytest.mark.parametrize('other', [zarr.zeros((4, 5)), da.zeros((4, 5))])
def test_of_other_arrays_it_is_not_known_where_they_are_painted(other):
    assert painted_planes(other) is None


def test_a_plane_that_does_not_fit_is_refused_with_what_to_do(monkeypatch):
    def zeros(*_):
        raise MemoryError

    monkeypatch.setattr(sparse_markers.np, 'zeros', zeros)
    with pytest.raises(MarkerError, match=r'200000 x 100000 voxels need 20\.0 GB.*crop the image'):
        blank_labels((200_000, 100_000))


def test_a_volume_is_painted_read_and_undone_like_any_other(new_desk, scene, monkeypatch):
    monkeypatch.setattr(sparse_markers, 'LARGEST_ARRAY', 1000)
    desk = new_desk()
    volume = np.stack([scene.image] * 6)
    image, markers = desk.open(volume, axis_labels=('z', 'y', 'x'))
    assert isinstance(markers.data, zarr.Array)
    markers.brush_size = 3
    markers.paint((2, 9, 9), 2)
    markers.paint((4, 30, 30), 1)
    desk.rest()
    item = desk.session.item(str(image.unique_id))
    assert item.counts == {1: 9, 2: 9}
    markers.undo()
    desk.rest()
    assert desk.session.item(item.source.key).counts == {2: 9}
    desk.viewer.layers.remove(markers)
    desk.rest()
    brought_back = desk.controller.items.new_markers(item.source.key)
    desk.rest()
    assert painted_planes(brought_back.data) == {2}
    assert desk.session.item(item.source.key).counts == {2: 9}


def test_an_image_whose_markers_do_not_fit_gets_none_and_the_reason_is_said(
    new_desk, scene, monkeypatch
):
    def refuse(shape):
        raise MarkerError('Markers need 20 GB.')

    desk = new_desk()
    monkeypatch.setattr('napari_flim.bridge.marker_layers.blank_labels', refuse)
    image = desk.viewer.add_image(scene.image, name='cells')
    assert desk.controller.items.new_markers(str(image.unique_id)) is None
    assert desk.session.message.text == 'Markers need 20 GB.'
    assert desk.session.message.error
