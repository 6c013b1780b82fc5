"""The range of sizes follows the marked objects unless the user says otherwise."""

from __future__ import annotations

import runpy
import sys
from dataclasses import replace

import numpy as np
import pytest

import napari_flim as flim
from napari_flim.bridge.files import copy_script
from napari_flim.delineation.area_range import AreaRange
from napari_flim.delineation.changes import with_changes
from napari_flim.model_loading import load_model
from napari_flim.session.marked_sizes import sizes_request
from napari_flim.session.sources import ImageSource


@pytest.fixture
def unmeasured(held_desk, scene):
    """A small image that is learned from; marked objects are not measured yet."""
    desk, runner = held_desk
    _, markers = desk.open(scene.image)
    desk.paint_both(markers)
    while sizes_request(desk.session) is None:
        runner.step()
    return desk, runner


def sizes_of(desk):
    return desk.session.settings.delineation.seeds.sizes


def choose(desk, sizes):
    state = desk.session.state
    delineation = with_changes(state.settings.delineation, sizes=sizes)
    settings = replace(state.settings, delineation=delineation, sizes_from='chosen')
    desk.session.change('changing the size of objects', replace(state, settings=settings))


def test_it_is_the_range_that_flim_learn_finds(desk, scene):
    learned = flim.learn(scene.image, desk.markers.data)
    assert isinstance(sizes_of(desk), AreaRange)
    assert sizes_of(desk) == learned.delineation.seeds.sizes
    assert desk.session.settings.sizes_from == 'marked'


def test_it_is_learned_anew_with_each_learning_and_undo_takes_it_back(desk):
    first = sizes_of(desk)
    desk.session.live = False
    desk.stroke(desk.markers, (slice(30, 34), slice(30, 34)), 2)
    desk.rest()
    assert sizes_of(desk) == first
    desk.controller.learner.learn_all()
    second, state = sizes_of(desk), desk.session.state
    assert second != first
    desk.session.undo()
    assert sizes_of(desk) == first
    desk.session.redo()
    assert sizes_of(desk) == second
    assert desk.session.state is state


def test_a_range_of_the_user_outlives_learning(desk):
    choose(desk, None)
    desk.stroke(desk.markers, (slice(30, 34), slice(30, 34)), 2)
    desk.rest()
    assert len(desk.learned) == 2
    assert sizes_of(desk) is None
    assert desk.session.settings.sizes_from == 'chosen'


def test_objects_asked_for_before_it_is_known_are_found_with_it(unmeasured):
    desk, runner = unmeasured
    delineator = desk.controller.delineator
    assert sizes_of(desk) is None
    delineator.delineate()
    delineator._runner.go_on()
    found = delineator.draft.settings.seeds.sizes
    assert found == sizes_of(desk) is not None
    assert 'changed' not in delineator.state()
    runner.go_on()
    assert found == sizes_of(desk)


def test_a_model_saved_before_it_is_known_holds_it(unmeasured, tmp_path):
    desk, runner = unmeasured
    path = tmp_path / 'cells.flim'
    desk.controller.files.save_model(path)
    desk.controller.files._runner.go_on()
    assert sizes_of(desk) is None
    runner.go_on()
    assert load_model(path).delineation.seeds.sizes == sizes_of(desk) is not None


@pytest.mark.parametrize('known', [True, False])
def test_a_script_learns_the_same_range(unmeasured, scene, tmp_path, monkeypatch, known):
    desk, runner = unmeasured
    if known:
        runner.go_on()
    np.save(tmp_path / 'cells.npy', scene.image)
    (tmp_path / 'script.py').write_text(copy_script(desk.controller), encoding='utf-8')
    runner.go_on()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'argv', ['script.py'])
    runpy.run_path('script.py')
    assert load_model('model.flim').delineation == desk.session.settings.delineation
    assert sizes_of(desk) is not None


def test_a_session_opened_again_holds_it_and_still_follows(desk, new_desk, scene, tmp_path):
    desk.controller.files.save_session(tmp_path / 'cells.flim-session')
    other = new_desk()
    other.viewer.add_image(scene.image, name='cells')
    other.controller.files.open_session(tmp_path / 'cells.flim-session')
    other.rest()
    assert sizes_of(other) == sizes_of(desk)
    assert other.session.settings.sizes_from == 'marked'
    other.stroke(other.markers, (slice(30, 34), slice(30, 34)), 2)
    other.rest()
    assert sizes_of(other) != sizes_of(desk)


def test_an_opened_model_keeps_the_range_it_came_with(desk, new_desk, scene, tmp_path):
    desk.session.learned.model.with_delineation(sizes=AreaRange(3, 4)).save(tmp_path / 'a.flim')
    other = new_desk()
    _, markers = other.open(scene.image)
    other.controller.files.open_model(tmp_path / 'a.flim')
    other.paint_both(markers)
    other.controller.learner.learn_all()
    assert sizes_of(other) == AreaRange(3, 4)


def test_a_failure_to_measure_is_said_and_the_range_stays(unmeasured, monkeypatch):
    desk, runner = unmeasured
    applier = desk.controller.applier
    desk.controller.learner.cancel()
    applier.known = ()
    monkeypatch.setattr(ImageSource, 'frame', lambda *_: 1 / 0)
    applier.show_rest()
    runner.go_on()
    assert desk.session.message.error
    assert sizes_of(desk) is None
    assert not runner.busy
