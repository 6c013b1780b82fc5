"""What is read again of markers after strokes, undo, writing and scrolling."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest

from napari_flim.bridge import layer_pairs
from napari_flim.bridge.marker_layers import read_strokes


def lazy_markers(shape):
    """Markers on a volume of lazy planes, and the planes that were read, one entry for each."""
    planes = []

    def read(block, block_info=None):
        planes.append(block_info[0]['chunk-location'][0])
        return block

    chunks = (1, *shape[1:])
    zeros = da.zeros(shape, chunks=chunks, dtype=np.uint8)
    return zeros.map_blocks(read, dtype=np.uint8, meta=np.zeros(0, np.uint8)), planes


def test_a_slider_step_reads_the_plane_that_comes_into_view_and_no_other(new_desk, scene):
    desk = new_desk()
    desk.viewer.add_image(np.stack([scene.image] * 9), name='cells', axis_labels=('z', 'y', 'x'))
    data, read = lazy_markers((9, 48, 48))
    desk.viewer.add_labels(data, name='cells markers')
    desk.rest()
    desk.viewer.dims.set_current_step(0, 1)
    desk.rest()
    read.clear()
    for step in (4, 6):
        desk.viewer.dims.set_current_step(0, step)
    desk.rest()
    assert set(read) == {4, 6}


def test_strokes_written_into_the_array_are_learned_once_they_come_into_view(new_desk, scene):
    desk = new_desk()
    _, markers = desk.open(np.stack([scene.image] * 6), axis_labels=('z', 'y', 'x'))
    markers.data[4, 3, 3] = 2
    desk.viewer.dims.set_current_step(0, 5)
    desk.rest()
    assert desk.session.items[0].counts == {}
    desk.viewer.dims.set_current_step(0, 4)
    desk.rest()
    assert desk.session.items[0].counts == {2: 1}


def act_undo(markers):
    markers.undo()


def act_refresh(markers):
    markers.data[1, 3, 3] = 0
    markers.refresh()


def act_data(markers):
    markers.data = np.zeros_like(markers.data)


def act_undo_while_hidden(markers):
    markers.visible = False
    markers.undo()
    markers.visible = True


@pytest.mark.parametrize('steps', ((), (5,), (5, 2)))
@pytest.mark.parametrize('act', (act_undo, act_refresh, act_data, act_undo_while_hidden))
def test_changes_on_planes_out_of_view_are_read_whatever_the_slider_did(
    new_desk, scene, act, steps
):
    desk = new_desk()
    _, markers = desk.open(np.stack([scene.image] * 6), axis_labels=('z', 'y', 'x'))
    # An axis that the markers do not have.
    desk.viewer.add_image(np.zeros((3, 6, 48, 48), np.uint8), name='more')
    desk.viewer.dims.set_current_step(1, 1)
    desk.stroke(markers, (1, 3, 3), 2)
    desk.rest()
    assert desk.session.items[0].counts == {2: 1}
    for step in steps:
        desk.viewer.dims.set_current_step(1, step)
        desk.viewer.dims.set_current_step(0, step % 3)
    if len(steps) > 1:
        desk.rest()
    act(markers)
    desk.rest()
    assert desk.session.items[0].counts == {}


def test_a_stroke_undone_after_hidden_scrolling_is_read(new_desk, scene):
    desk = new_desk()
    _, markers = desk.open(np.stack([scene.image] * 6), axis_labels=('z', 'y', 'x'))
    desk.stroke(markers, (1, 3, 3), 2)
    desk.rest()
    markers.visible = False
    desk.viewer.dims.set_current_step(0, 5)
    markers.undo()
    markers.visible = True
    desk.rest()
    assert desk.session.items[0].counts == {}


def painted_rows(desk, monkeypatch):
    """The rows that were asked for when markers of an image were read, one set for each time."""
    asked = []

    def read(layer, axes, planes, known):
        asked.append(planes)
        return read_strokes(layer, axes, planes, known)

    monkeypatch.setattr(layer_pairs, 'read_strokes', read)
    return asked


def test_of_an_image_only_the_rows_of_a_stroke_are_read_again_when_it_is_made_and_undone(
    new_desk, scene, monkeypatch
):
    desk = new_desk()
    _, markers = desk.open(scene.image)
    asked = painted_rows(desk, monkeypatch)
    markers.brush_size = 3
    markers.paint((9, 9), 2)
    markers.paint((30, 9), 1)
    desk.rest()
    markers.undo()
    desk.rest()
    markers.redo()
    desk.rest()
    assert asked == [{8, 9, 10, 29, 30, 31}, {29, 30, 31}, {29, 30, 31}]
    assert desk.session.items[0].counts == {1: 9, 2: 9}


def test_an_image_whose_markers_a_script_wrote_is_read_whole_at_a_refresh(
    new_desk, scene, monkeypatch
):
    desk = new_desk()
    _, markers = desk.open(scene.image)
    markers.paint((9, 9), 2)
    markers.undo()
    desk.rest()
    asked = painted_rows(desk, monkeypatch)
    markers.data[40, 40] = 2
    markers.refresh()
    desk.rest()
    assert asked == [None]
    assert desk.session.items[0].counts == {2: 1}


def test_drawing_all_of_a_layer_at_every_move_of_the_brush_is_not_reading_all_of_it(
    new_desk, scene, monkeypatch
):
    """As napari does with layers too large for the graphics card."""
    desk = new_desk()
    _, markers = desk.open(scene.image)
    asked = painted_rows(desk, monkeypatch)
    markers.brush_size = 1
    with markers.block_history():
        for row in (5, 6):
            markers.paint((row, 5), 2, refresh=False)
            markers.refresh()
    desk.rest()
    assert asked == [{5, 6}]
    assert desk.session.items[0].counts == {2: 2}
