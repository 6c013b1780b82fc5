"""Layers of corrections follow their image, and what cannot be read on one harms no other."""

from __future__ import annotations

import numpy as np
import pytest

from napari_flim.bridge import correction_layers
from napari_flim.bridge.marker_layers import link_of
from napari_flim.io.saved_corrections import LARGEST

STROKE = (slice(20, 24), slice(2, 9))


@pytest.fixture
def layers(desk):
    return desk.controller.corrections


@pytest.fixture
def painted(desk, layers):
    """A layer of corrections with one stroke of background."""
    layer = layers.show(desk.session.current)
    desk.stroke(layer, STROKE, 1)
    desk.rest()
    return layer


def stroked(desk, key=None, frame=0):
    """Voxels of strokes that the session knows."""
    corrections = desk.session.item(key or desk.session.current).corrections
    strokes = corrections[frame].strokes if frame in corrections else None
    return 0 if strokes is None else len(strokes)


def another(desk, scene):
    """Key of one more item."""
    return desk.controller.items.add(desk.viewer.add_image(scene.image.copy(), name='other'))


def test_a_layer_lies_over_its_image_wherever_that_goes(desk, painted):
    image = desk.viewer.layers['cells']
    image.scale, image.translate = (2, 3), (5, 7)
    desk.rest()
    assert np.array_equal(painted.scale, (2, 3))
    assert np.array_equal(painted.translate, (5, 7))
    assert stroked(desk) == 28


def test_a_layer_of_another_shape_than_its_image_is_left_to_the_user(desk, layers, painted, scene):
    data = painted.data.copy()
    desk.viewer.layers['cells'].data = scene.image[:32, :32].copy()
    desk.rest()
    assert painted in desk.viewer.layers
    assert not link_of(painted)
    assert np.array_equal(painted.data, data)
    painted.visible = False
    painted.visible = True
    desk.stroke(painted, STROKE, 2)
    desk.rest()
    assert stroked(desk) == 0
    again = layers.show(desk.session.current)
    assert again is not painted
    assert again.data.shape == (32, 32)
    assert not again.data.any()


def test_a_layer_of_a_volume_does_not_belong_to_a_stack(new_desk, scene):
    desk = new_desk()
    image, _ = desk.open(np.stack([scene.image] * 3), 'stack')
    key = str(image.unique_id)
    layer = desk.controller.corrections.show(key)
    desk.stroke(layer, (1, *STROKE), 1)
    desk.rest()
    assert stroked(desk, key) == 28
    desk.controller.items.set_axes(key, 'TYX')
    desk.rest()
    assert not link_of(layer)
    assert stroked(desk, key) == 0
    assert not desk.controller.corrections.show(key).data.any()


def test_painting_goes_on_when_an_image_was_closed_and_opened_again(desk, layers, painted):
    image = desk.viewer.layers['cells']
    old = desk.session.current
    desk.viewer.layers.remove(image)
    desk.rest()
    again = desk.viewer.add_image(image.data, name='cells', scale=(2, 2))
    desk.rest()
    key = str(again.unique_id)
    assert key != old
    assert layers.show(key) is painted
    assert np.array_equal(painted.scale, (2, 2))
    assert stroked(desk, key) == 28
    desk.stroke(painted, (slice(40, 44), slice(2, 9)), 1)
    desk.rest()
    assert stroked(desk, key) == 56
    painted.undo()
    desk.rest()
    assert stroked(desk, key) == 28


def test_the_layer_of_a_forgotten_item_is_the_users_when_its_image_is_added_again(
    desk, layers, painted
):
    items, image = desk.controller.items, desk.viewer.layers['cells']
    data = painted.data.copy()
    items.remove(desk.session.current)
    items.add(image)
    desk.rest()
    key = desk.session.current
    assert key == str(image.unique_id)
    assert not link_of(painted)
    assert painted in desk.viewer.layers
    desk.stroke(painted, (slice(40, 44), slice(2, 9)), 1)
    desk.rest()
    assert stroked(desk) == 0
    again = layers.show(key)
    assert again is not painted
    assert not again.data.any()
    assert np.array_equal(painted.data[STROKE], data[STROKE])


def test_a_session_opened_over_an_open_image_brings_its_own_strokes(
    desk, layers, painted, tmp_path
):
    desk.controller.files.save_session(tmp_path / 'cells.flim-session')
    saved = painted.data.copy()
    desk.stroke(painted, (slice(40, 44), slice(2, 9)), 1)
    desk.rest()
    assert stroked(desk) == 56
    desk.controller.files.open_session(tmp_path / 'cells.flim-session')
    desk.rest()
    again = layers.show(desk.session.current)
    assert again is not painted
    assert np.array_equal(again.data, saved)
    assert stroked(desk) == 28


@pytest.mark.parametrize('label', [-3, LARGEST + 1, 300_000_000])
def test_a_label_that_no_object_can_have_is_refused_and_other_images_are_read(
    desk, layers, painted, scene, label
):
    key = another(desk, scene)
    desk.stroke(painted, (slice(40, 44), slice(2, 9)), label)
    desk.stroke(layers.show(key), STROKE, 2)
    desk.rest()
    message = desk.session.message
    assert message.error
    assert f'cells corrections holds the label {label}' in message.text
    first = link_of(painted)['item']
    assert (stroked(desk, first), stroked(desk, key)) == (28, 28)
    desk.stroke(painted, (slice(40, 44), slice(2, 9)), LARGEST)
    desk.rest()
    assert desk.session.message.text == ''
    assert stroked(desk, first) == 56


def test_what_could_not_be_read_is_read_again_with_the_next_stroke_anywhere(
    desk, layers, painted, scene
):
    key = another(desk, scene)
    desk.stroke(painted, (slice(40, 44), slice(2, 9)), -3)
    desk.rest()
    # Written into the array, as a script does: no event tells of it.
    painted.data[painted.data == -3] = 1
    desk.stroke(layers.show(key), STROKE, 2)
    desk.rest()
    assert stroked(desk, link_of(painted)['item']) == 56


def test_undo_and_redo_in_a_volume_read_the_slices_of_their_stroke_only(
    new_desk, scene, monkeypatch
):
    desk = new_desk()
    image, _ = desk.open(np.stack([scene.image] * 6), 'volume')
    key = str(image.unique_id)
    layer = desk.controller.corrections.show(key)
    layer.brush_size = 3
    read = []
    usual = correction_layers.read_strokes

    def watched(layer, axes, planes, *others):
        read.append(planes)
        return usual(layer, axes, planes, *others)

    monkeypatch.setattr(correction_layers, 'read_strokes', watched)
    counts = []
    for act in (
        lambda: layer.paint((1, 10, 10), 1),
        lambda: layer.paint((4, 20, 20), 2),
        lambda: layer.paint((4, 20, 20), 0),
        layer.undo,
        layer.undo,
        layer.undo,
        layer.redo,
        layer.redo,
        lambda: layer.refresh(),
    ):
        act()
        desk.rest()
        counts.append(stroked(desk, key))
        assert counts[-1] == (layer.data > 0).sum()
    assert read == [{1}, {4}, {4}, {4}, {4}, {1}, {1}, {4}, None]
    one = counts[0]
    assert counts == [one, 2 * one, one, 2 * one, one, 0, one, 2 * one, 2 * one]


def test_what_a_script_fills_in_is_read_when_it_asks_for_a_refresh(desk, painted):
    painted.undo()
    desk.rest()
    painted.data[40:44, 2:9] = 1
    painted.refresh()
    desk.rest()
    assert stroked(desk) == 28
