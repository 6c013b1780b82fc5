"""One controller for each viewer: it follows the user, and rests when its docks are gone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_flim.session.classes import with_change
from napari_flim.session.settings import without_block


def test_the_item_of_the_selected_layer_is_the_current_one(desk, scene):
    first = desk.session.current
    other = desk.viewer.add_image(scene.image, name='others')
    key = desk.controller.items.add(other)
    (saliency,) = desk.saliency()
    desk.viewer.layers.selection.active = desk.markers
    desk.viewer.layers.selection.active = other
    assert desk.session.current == key
    desk.viewer.layers.selection.active = desk.controller.items.marker_layer(first)
    assert desk.session.current == first
    desk.viewer.layers.selection.active = saliency
    assert desk.session.current == first
    desk.viewer.layers.selection.active = None
    assert desk.session.current == first


def test_a_setting_is_learned_live_and_its_undo_stays(desk):
    settings = without_block(desk.session.settings, 3)
    desk.session.change('blocks', replace(desk.session.state, settings=settings))
    desk.rest()
    assert len(desk.learned) == 2
    assert len(desk.session.learned.model.blocks) == 2
    desk.session.undo()
    desk.session.undo()
    desk.rest()
    assert desk.session.learned is desk.learned[0]
    assert set(desk.session.block_states()) == {'learned'}
    assert len(desk.learned) == 2


def test_another_colour_of_a_class_reaches_its_saliency(desk):
    changed = replace(desk.session.classes[1], colour=(0.0, 1.0, 0.0))
    desk.session.classes = with_change(desk.session.classes, changed)
    (saliency,) = desk.saliency()
    np.testing.assert_allclose(saliency.colormap.map(1.0).ravel()[:3], (0, 1, 0), atol=0.01)
    desk.rest()
    assert len(desk.learned) == 1


def test_at_rest_nothing_runs_and_the_next_stroke_goes_on(held):
    desk, runner = held
    desk.stroke(desk.markers, (slice(30, 33), slice(30, 33)), 2)
    desk.rest()
    assert runner.busy
    desk.controller.rest()
    assert not runner.busy
    desk.stroke(desk.markers, (slice(36, 39), slice(30, 33)), 2)
    desk.rest()
    runner.go_on()
    assert len(desk.learned) == 2


def test_saliency_layers_are_those_of_the_current_item(desk, scene):
    assert desk.controller.saliency.of_item(desk.session.current) == desk.saliency()
    other = desk.viewer.add_image(scene.image, name='others')
    desk.session.current = desk.controller.items.add(other)
    desk.rest()
    shown = desk.controller.saliency.of_item(desk.session.current)
    assert [layer.name for layer in shown] == ['others saliency']


def test_results_of_other_items_do_not_change_which_item_is_current(desk, scene):
    first, markers = desk.session.current, desk.markers
    other = desk.viewer.add_image(scene.image, name='others')
    key = desk.controller.items.add(other)
    seen = []
    desk.session.events['current'].connect(seen.append)
    desk.viewer.layers.selection.clear()
    desk.session.current = first
    desk.stroke(markers, (slice(30, 33), slice(30, 33)), 2)
    desk.rest()
    assert desk.controller.results.of_item(key) != []
    assert desk.session.current == first
    assert set(seen) <= {first}
