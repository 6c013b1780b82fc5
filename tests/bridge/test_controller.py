"""One controller for each viewer: it follows the user, and rests when its docks are gone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.utils.notifications import notification_manager

from napari_flim.bridge.controller import Controller
from napari_flim.bridge.preferences import Preferences
from napari_flim.bridge.warm_up import WarmUp
from napari_flim.session.classes import with_change
from napari_flim.session.items import Item
from napari_flim.session.running import InlineDebouncer, InlineRunner
from napari_flim.session.session import Message, Session
from napari_flim.session.settings import without_block
from napari_flim.session.sources import ImageSource


def test_the_item_of_the_selected_layer_is_the_current_one(desk, scene):
    first = desk.session.current
    (saliency,) = desk.saliency()
    other = desk.viewer.add_image(scene.image, name='others')
    key = desk.controller.items.add(other)
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


def test_the_delay_of_the_preview_is_asked_for_at_every_stroke():
    asked = []
    chosen = [Preferences(live_delay_ms=400)]

    def debouncer(function, delay_ms):
        asked.append(delay_ms)
        return InlineDebouncer(function)

    Controller(ViewerModel(), InlineRunner, debouncer, lambda: chosen[-1])
    chosen.append(Preferences(live_delay_ms=90))
    assert asked[0]() == 90


def test_napari_says_what_went_wrong_where_no_dock_does(desk, capture_warnings):
    desk.session.message = Message('all is well')
    desk.session.message = Message('no good', error=True)
    assert capture_warnings == ['no good']
    desk.controller.dock_opened()
    desk.session.message = Message('worse', error=True)
    assert capture_warnings == ['no good']


@pytest.fixture
def capture_warnings():
    said = []

    def note(notification):
        said.append(notification.message)

    notification_manager.notification_ready.connect(note)
    yield said
    notification_manager.notification_ready.disconnect(note)


def test_the_engine_is_started_in_the_first_pause_with_a_dock_and_an_image(scene):
    runner, pauses = CountingRunner(), []

    def debouncer(function, _delay_ms):
        pauses.append(InlineDebouncer(function))
        return pauses[-1]

    session = Session()
    warm_up = WarmUp(session, runner, debouncer)
    item = Item(ImageSource('a', 'a', scene.image, 'YX', (1.0, 1.0)))
    warm_up.expect()
    pauses[0].flush()
    assert runner.submitted == 0
    session.put_item(item)
    assert runner.submitted == 0
    pauses[0].flush()
    assert runner.submitted == 1
    session.put_item(item)
    pauses[0].flush()
    assert runner.submitted == 1


def test_without_a_dock_the_engine_is_not_started(desk):
    desk.rest()
    assert not desk.controller.warm_up._started
    desk.controller.dock_opened()
    desk.rest()
    assert desk.controller.warm_up._started


class CountingRunner(InlineRunner):
    def __init__(self):
        super().__init__()
        self.submitted = 0

    def submit(self, job, **callbacks):
        self.submitted += 1
        super().submit(job, **callbacks)
