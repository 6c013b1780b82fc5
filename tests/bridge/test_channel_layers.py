"""Layers of activation channels: made on request, true to the model ever after."""

from __future__ import annotations

import numpy as np
import pytest

from napari_flim.bridge.marker_layers import link_of
from napari_flim.session.expert import drop_unticked, switch_kernels


def of_role(desk, role):
    return [layer for layer in desk.viewer.layers if link_of(layer).get('role') == role]


def expected(desk, block, kernel):
    known = desk.controller.applier.known[-1]
    assert known.blocks == desk.session.learned.model.blocks
    return known.activations[block - 1][kernel].numpy()


def repaint(desk):
    desk.stroke(desk.markers, (slice(30, 33), slice(30, 33)), 2)
    desk.rest()


def test_a_channel_is_shown_in_one_layer_that_follows_the_click(desk):
    desk.controller.channels.show_one(1, 2)
    (layer,) = of_role(desk, 'channel')
    assert layer.name == 'cells block 1 kernel 3'
    np.testing.assert_array_equal(layer.data, expected(desk, 1, 2))
    layer.visible = False
    desk.controller.channels.show_one(2, 0)
    assert of_role(desk, 'channel') == [layer]
    assert layer.name == 'cells block 2 kernel 1'
    assert layer.visible
    np.testing.assert_array_equal(layer.data, expected(desk, 2, 0))


def test_all_channels_are_one_layer_with_an_axis_of_kernels(desk):
    desk.controller.channels.show_all(1)
    (layer,) = of_role(desk, 'channels')
    count = len(desk.session.learned.model.blocks[0].bank)
    assert layer.data.shape == (count, 48, 48)
    assert layer.axis_labels[0] == 'kernel'
    assert len(desk.learned) == 1


def test_the_strongest_channels_are_those_of_highest_mean(desk):
    desk.controller.channels.show_strongest(1)
    (layer,) = of_role(desk, 'channels')
    means = desk.controller.applier.known[-1].activations[0].flatten(1).mean(dim=1).numpy()
    shown = np.sort(layer.data.mean(axis=(1, 2)))
    np.testing.assert_allclose(shown, np.sort(means)[-len(shown) :], rtol=1e-5)


@pytest.mark.parametrize('hidden', (False, True))
def test_a_shown_channel_follows_learning_at_the_latest_when_it_is_seen(desk, hidden):
    desk.controller.channels.show_one(3, 0)
    (layer,) = of_role(desk, 'channel')
    layer.visible = not hidden
    before = layer.data.copy()
    repaint(desk)
    layer.visible = True
    assert not np.array_equal(layer.data, before)
    np.testing.assert_array_equal(layer.data, expected(desk, 3, 0))


def test_a_channel_of_a_kernel_that_is_gone_is_taken_away(desk):
    last = len(desk.session.learned.model.blocks[0].bank) - 1
    desk.controller.channels.show_one(1, last)
    desk.controller.channels.show_all(1)
    switch_kernels(desk.session, [(1, last)], on=False)
    assert len(of_role(desk, 'channel')) == 1
    drop_unticked(desk.session)
    desk.rest()
    assert of_role(desk, 'channel') == []
    (layer,) = of_role(desk, 'channels')
    assert len(layer.data) == last


def test_channels_go_when_learning_is_taken_back(desk):
    desk.controller.channels.show_one(1, 0)
    desk.session.undo()
    assert of_role(desk, 'channel') == []
    desk.controller.channels.show_one(1, 0)
    assert of_role(desk, 'channel') == []
    assert 'Nothing is learned' in desk.session.message.text


def test_of_a_stack_the_channels_lie_at_the_frame_in_view(new_desk, scene):
    desk = new_desk()
    stack = np.stack([scene.image] * 5)
    image, markers = desk.open(stack, axis_labels=('t', 'y', 'x'), scale=(3, 2, 2))
    desk.paint_both(markers, 2)
    desk.viewer.dims.set_current_step(0, 4)
    desk.rest()
    desk.controller.channels.show_one(1, 0)
    (layer,) = of_role(desk, 'channel')
    assert layer.data.shape == (1, 48, 48)
    np.testing.assert_allclose(layer.data_to_world((0, 5, 7)), image.data_to_world((4, 5, 7)))
    desk.viewer.dims.set_current_step(0, 1)
    desk.rest()
    np.testing.assert_allclose(layer.data_to_world((0, 5, 7)), image.data_to_world((1, 5, 7)))


def test_channels_stay_over_an_image_that_is_moved(desk):
    image = desk.controller.items.image_layer(desk.session.current)
    desk.controller.channels.show_one(1, 0)
    (layer,) = of_role(desk, 'channel')
    image.translate = (5, 6)
    desk.rest()
    np.testing.assert_allclose(layer.data_to_world((3, 4)), image.data_to_world((3, 4)))


@pytest.mark.parametrize('way', ('close', 'forget'))
def test_channels_go_with_their_image(desk, scene, way):
    first = desk.session.current
    image = desk.controller.items.image_layer(first)
    desk.controller.channels.show_one(1, 0)
    desk.controller.channels.show_all(2)
    other = desk.viewer.add_image(scene.image, name='others')
    desk.session.current = desk.controller.items.add(other)
    desk.controller.channels.show_one(1, 0)
    if way == 'close':
        desk.viewer.layers.remove(image)
    else:
        desk.controller.items.remove(first)
    desk.rest()
    assert [layer.name for layer in of_role(desk, 'channel')] == ['others block 1 kernel 1']
    assert of_role(desk, 'channels') == []
    if way == 'close':
        desk.viewer.add_layer(image)
        desk.session.current = first
        desk.controller.channels.show_one(1, 1)
        assert len(of_role(desk, 'channel')) == 2


def test_channels_that_need_too_much_memory_are_refused_in_words(desk, monkeypatch):
    monkeypatch.setattr('napari_flim.bridge.applier.memory_budget', lambda _preferences: 1000)
    desk.controller.channels.show_all(1)
    assert of_role(desk, 'channels') == []
    assert desk.session.message.error
    assert 'raise the budget' in desk.session.message.text
