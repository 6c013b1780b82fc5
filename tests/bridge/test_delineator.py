"""Objects of what is in view: found, corrected, edited, and never lost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_flim.bridge.files import copy_script
from napari_flim.bridge.marker_layers import link_of
from napari_flim.bridge.object_choice import _middle_voxel
from napari_flim.delineation.changes import with_changes
from napari_flim.model_loading import load_model
from napari_flim.session.delineating import Draft
from napari_flim.session.session import Message


@pytest.fixture
def held_drawn(held_desk, scene):
    """Objects of the small image are found; what comes next is held by the runner."""
    desk, _ = held_desk
    _, markers = desk.open(scene.image)
    desk.paint_both(markers)
    desk.controller.learner._runner.go_on()
    delineator = desk.controller.delineator
    delineator.delineate()
    delineator._runner.go_on()
    return desk, delineator._runner


@pytest.fixture
def stack_desk(new_desk, scene):
    """Two images along T with saliency, the first in view."""
    desk = new_desk()
    stack = np.stack([scene.image, scene.image[::-1].copy()])
    image = desk.viewer.add_image(stack, name='stack')
    desk.controller.items.set_axes(str(image.unique_id), 'TYX')
    markers = desk.controller.items.new_markers(str(image.unique_id))
    show_frame(desk, 0)
    desk.paint_both(markers, 0)
    desk.rest()
    return desk


def show_frame(desk, frame):
    desk.viewer.dims.set_point(0, frame)
    desk.rest()


def roles(desk):
    return [link_of(one).get('role') for one in desk.viewer.layers]


def test_objects_come_in_one_layer_that_is_updated_in_place(desk):
    delineator = desk.controller.delineator
    assert delineator.problems() == ()
    assert delineator.draft is None
    delineator.delineate()
    layer = desk.layer('objects')
    data = layer.data
    assert layer.name == 'cells objects'
    assert data.max() == len(delineator.draft.ids()) > 0
    delineator.delineate()
    assert desk.layer('objects') is layer
    assert layer.data is data


def test_without_a_model_it_says_what_to_do(new_desk, scene):
    desk = new_desk()
    delineator = desk.controller.delineator
    assert delineator.problems() == ('Open an image, or a sample in the Train dock.',)
    desk.open(scene.image)
    (problem,) = delineator.problems()
    assert problem.startswith('Nothing is learned yet: open Train')
    delineator.delineate()
    assert delineator.message == Message(problem, error=True)
    assert len(desk.viewer.layers) == 2


def test_a_stroke_of_background_takes_an_object_away_and_undo_brings_it_back(drawn):
    layer = drawn.layer('objects')
    before = layer.data.copy()
    number = int(before.max())
    drawn.controller.brush.paint_background()
    strokes = drawn.layer('corrections')
    assert drawn.viewer.layers.selection.active is strokes
    assert (strokes.mode, strokes.selected_label) == ('paint', 1)
    drawn.stroke(strokes, np.nonzero(before == number), 1)
    drawn.rest()
    assert not (layer.data == number).any()
    others = (before != number) & (before > 0)
    assert np.array_equal(layer.data[others], before[others])
    strokes.undo()
    drawn.rest()
    assert np.array_equal(layer.data, before)


def test_edits_come_one_after_the_other_and_none_is_lost(held_desk, scene):
    desk, _ = held_desk
    _, markers = desk.open(scene.image)
    delineator = desk.controller.delineator
    runner = delineator._runner
    desk.paint_both(markers)
    desk.controller.learner._runner.go_on()
    delineator.delineate()
    runner.go_on()
    ids = delineator.draft.ids()
    assert len(ids) > 1
    delineator.delete([ids[0]])
    desk.controller.brush.paint_background()
    delineator.accept([ids[1]])
    runner.go_on()
    assert ids[0] not in delineator.draft.ids()
    assert set(delineator.draft.corrections.decisions.accepted) == {ids[1]}


def test_an_edit_that_cannot_be_made_says_why_and_is_forgotten(drawn):
    delineator = drawn.controller.delineator
    before = delineator.draft
    delineator.split([before.ids()[0]])
    assert delineator.message.error
    assert 'to start a part from' in delineator.message.text
    assert delineator.draft is before
    delineator.delete([999])
    assert 'no object 999' in delineator.message.text
    assert delineator.draft is before
    delineator.delete([before.ids()[0]])
    assert not delineator.message.error


def test_an_edit_is_of_the_image_that_it_was_made_in(held_drawn, scene):
    desk, runner = held_drawn
    delineator, first = desk.controller.delineator, desk.session.current
    ids = delineator.draft.ids()
    delineator.delete([1])
    other = desk.viewer.add_image(scene.image[::-1].copy(), name='other')
    desk.session.current = desk.controller.items.add(other)
    desk.rest()
    desk.controller.learner._runner.go_on()
    delineator.delineate()
    runner.go_on()
    assert not delineator.draft.corrections
    assert 1 in delineator.draft.ids()
    desk.session.current = first
    assert 'Corrections are not made yet' in delineator.state()
    runner.go_on()
    assert delineator.draft.ids() == [number for number in ids if number != 1]


def test_an_edit_while_objects_are_found_anew_is_made_of_the_new_ones(held_drawn):
    desk, runner = held_drawn
    delineator, before = desk.controller.delineator, desk.controller.delineator.draft
    state = desk.session.state
    settings = with_changes(state.settings.delineation, method='none')
    changed = replace(state, settings=replace(state.settings, delineation=settings))
    desk.session.change('choosing a method', changed)
    delineator.delineate()
    delineator.delete([1])
    runner.go_on()
    assert delineator.draft.settings == settings != before.settings
    assert 1 not in delineator.draft.ids()


def test_strokes_correct_the_image_that_they_are_on_though_another_one_is_in_view(stack_desk):
    desk = stack_desk
    delineator = desk.controller.delineator
    delineator.delineate()
    layer = desk.layer('objects')
    number = int(layer.data[0].max())
    desk.controller.brush.paint_background()
    desk.stroke(desk.layer('corrections'), (0, *np.nonzero(layer.data[0] == number)), 1)
    show_frame(desk, 1)
    assert delineator.draft is None
    assert not layer.data[1].any()
    show_frame(desk, 0)
    assert number not in delineator.draft.ids()
    assert 'not made yet' not in delineator.state()


def test_strokes_whose_correction_was_stopped_are_told_of_until_objects_hold_them(held_drawn):
    desk, runner = held_drawn
    delineator = desk.controller.delineator
    desk.controller.brush.paint_background()
    runner.go_on()
    number = delineator.draft.ids()[-1]
    desk.stroke(desk.layer('corrections'), np.nonzero(desk.layer('objects').data == number), 1)
    desk.rest()
    delineator.cancel()
    assert not runner.busy
    assert 'Corrections are not made yet: press Delineate' in delineator.state()
    delineator.delineate()
    runner.go_on()
    assert 'not made yet' not in delineator.state()
    assert number not in delineator.draft.ids()


def test_an_edit_that_fails_takes_no_stroke_with_it(held_drawn):
    desk, runner = held_drawn
    delineator = desk.controller.delineator
    desk.controller.brush.paint_background()
    runner.go_on()
    number = delineator.draft.ids()[-1]
    delineator.delete([999])
    desk.stroke(desk.layer('corrections'), np.nonzero(desk.layer('objects').data == number), 1)
    desk.rest()
    runner.go_on()
    assert 'no object 999' in delineator.message.text
    assert number not in delineator.draft.ids()


def test_an_edit_behind_one_that_cannot_be_made_is_made(held_drawn):
    desk, runner = held_drawn
    delineator = desk.controller.delineator
    first, last = delineator.draft.ids()[0], delineator.draft.ids()[-1]
    delineator.delete([999])
    delineator.delete([last])
    delineator.delete([998])
    delineator.accept([first])
    runner.go_on()
    assert last not in delineator.draft.ids()
    assert set(delineator.draft.corrections.decisions.accepted) == {first}
    assert 'no object 999' in delineator.message.text
    assert 'no object 998' in delineator.message.text
    assert [name for name, _ in delineator.corrections_of().edits.done] == [
        f'delete object {last}',
        f'accept object {first}',
    ]


@pytest.mark.parametrize('rests', [True, False])
def test_an_edit_that_waits_is_made_though_the_image_was_closed_and_opened_again(held_drawn, rests):
    desk, runner = held_drawn
    delineator, old = desk.controller.delineator, desk.session.current
    ids = delineator.draft.ids()
    delineator.delete([ids[0]])
    image = desk.viewer.layers['cells']
    desk.viewer.layers.remove(image)
    if rests:
        desk.rest()
    desk.viewer.add_image(image.data, name='cells')
    desk.rest()
    assert desk.session.current != old
    desk.controller.learner._runner.go_on()
    runner.go_on()
    assert delineator.draft is None
    delineator.delineate()
    runner.go_on()
    assert delineator.draft.ids() == ids[1:]


@pytest.mark.parametrize('rests', [True, False])
def test_nothing_that_waits_is_done_to_an_item_made_anew_of_a_forgotten_one(held_drawn, rests):
    desk, runner = held_drawn
    delineator, key = desk.controller.delineator, desk.session.current
    ids = delineator.draft.ids()
    delineator.delete([ids[0]])
    desk.controller.items.remove(key)
    if rests:
        desk.rest()
    desk.controller.items.add(desk.viewer.layers['cells'])
    desk.rest()
    desk.controller.learner._runner.go_on()
    runner.go_on()
    assert delineator.draft is None
    delineator.delineate()
    runner.go_on()
    assert delineator.draft.ids() == ids
    assert not delineator.corrections_of()


def test_objects_are_found_anew_though_an_edit_meanwhile_cannot_be_made(held_drawn):
    desk, runner = held_drawn
    delineator, before = desk.controller.delineator, desk.controller.delineator.draft
    delineator.delineate()
    delineator.delete([999])
    runner.go_on()
    assert delineator.draft is not before
    assert 'no object 999' in delineator.message.text


def test_what_is_chosen_in_one_image_is_not_chosen_in_another(stack_desk):
    desk = stack_desk
    delineator, choice = desk.controller.delineator, desk.controller.choice
    delineator.delineate()
    show_frame(desk, 1)
    delineator.delineate()
    choice.choose([1])
    assert 'chosen objects' in roles(desk)
    show_frame(desk, 0)
    assert 1 in delineator.draft.ids()
    assert choice.ids == ()
    assert 'chosen objects' not in roles(desk)


def test_the_line_around_objects_is_drawn_by_a_job_and_not_of_what_is_chosen_no_more(held_drawn):
    desk, _ = held_drawn
    choice, runner = desk.controller.choice, desk.controller.choice._runner
    choice.choose([1])
    assert runner.busy
    assert 'chosen objects' not in roles(desk)
    runner.go_on()
    assert 'chosen objects' in roles(desk)
    choice.choose([2])
    choice.choose([])
    assert not runner.busy
    assert 'chosen objects' not in roles(desk)
    choice.choose([2])
    desk.viewer.layers['cells'].data = desk.viewer.layers['cells'].data[::-1].copy()
    desk.rest()
    assert not runner.busy


def test_the_middle_of_a_large_object_is_found_by_looking_at_few_voxels():
    large = np.broadcast_to(np.int32(7), (2**20, 2**20))
    assert np.allclose(_middle_voxel(large, 7), 2**19, rtol=0.01)
    thin = np.zeros((1000, 1000), np.int32)
    thin[1] = 7
    assert tuple(_middle_voxel(thin, 7)) in {(1, 499), (1, 500)}


def test_classes_of_all_objects_are_looked_up_at_once(drawn, monkeypatch):
    draft, lookups = drawn.controller.delineator.draft, []
    classes = draft.classes
    monkeypatch.setattr(Draft, 'classes', property(lambda _: lookups.append(1) or classes))
    assert len(draft.ids()) > 1
    draft.objects()
    assert len(lookups) == 1
    drawn.controller.objects.colouring = 'class'
    drawn.controller.objects.colours(draft)
    assert len(lookups) == 2


def test_another_model_makes_objects_stale_until_they_are_found_again(drawn):
    delineator = drawn.controller.delineator
    drawn.stroke(drawn.markers, (slice(30, 34), slice(30, 34)), 2)
    drawn.rest()
    assert 'saliency has changed since: press Delineate' in delineator.state()
    delineator.delineate()
    assert 'changed' not in delineator.state()


def test_each_image_of_a_stack_has_objects_of_its_own(stack_desk):
    desk = stack_desk
    delineator = desk.controller.delineator
    delineator.delineate()
    layer = desk.layer('objects')
    assert layer.data.shape == desk.viewer.layers['stack'].data.shape
    first = layer.data[0].copy()
    assert first.any()
    assert not layer.data[1].any()
    desk.viewer.dims.set_point(0, 1)
    desk.rest()
    assert delineator.draft is None
    delineator.delineate()
    assert layer.data[1].any()
    assert np.array_equal(layer.data[0], first)
    desk.controller.brush.paint_background()
    strokes = desk.layer('corrections')
    number = int(layer.data[1].max())
    desk.stroke(strokes, (1, *np.nonzero(layer.data[1] == number)), 1)
    desk.rest()
    assert not (layer.data[1] == number).any()
    assert np.array_equal(layer.data[0], first)


def test_volumes_are_computed_whole_though_one_plane_is_in_view(new_desk, scene):
    desk = new_desk()
    volume = np.stack([scene.image] * 5)
    _, markers = desk.open(volume, 'volume', scale=(2.0, 0.5, 0.5), units=['um'] * 3)
    desk.viewer.dims.set_point(0, 4)
    desk.paint_both(markers, 2)
    desk.rest()
    delineator = desk.controller.delineator
    delineator.delineate()
    layer = desk.layer('objects')
    assert layer.data.shape == volume.shape
    assert layer.data.any(axis=(1, 2)).all()
    assert np.array_equal(layer.scale, (2.0, 0.5, 0.5))
    frame = desk.controller.table.frame
    assert frame.columns[2] == 'volume (µm³)'
    first = (layer.data == 1).sum() * 0.5
    assert frame.iloc[0, 2] == pytest.approx(first)


def test_corrections_come_back_with_a_saved_session(drawn, new_desk, scene, tmp_path):
    delineator = drawn.controller.delineator
    ids = delineator.draft.ids()
    delineator.accept([ids[0]])
    delineator.delete([ids[-1]])
    drawn.controller.brush.paint_background()
    drawn.stroke(drawn.layer('corrections'), (slice(20, 24), slice(2, 9)), 1)
    drawn.rest()
    wanted = drawn.layer('objects').data.copy()
    drawn.controller.files.save_session(tmp_path / 'cells.flim-session')
    other = new_desk()
    other.viewer.add_image(scene.image, name='cells')
    other.controller.files.open_session(tmp_path / 'cells.flim-session')
    other.rest()
    opened = other.controller.delineator
    assert opened.draft is None
    assert opened.state().startswith('Kept of the objects: 1 accepted object and strokes of corr')
    opened.delineate()
    assert np.array_equal(other.layer('objects').data, wanted)
    assert np.array_equal(other.layer('corrections').data, drawn.layer('corrections').data)
    assert set(opened.draft.corrections.decisions.accepted) == {ids[0]}


def test_an_image_that_moves_takes_its_objects_along(drawn):
    image = drawn.viewer.layers['cells']
    drawn.controller.choice.choose([1])
    image.translate = (5, 7)
    drawn.rest()
    assert np.array_equal(drawn.layer('objects').translate, (5, 7))
    drawn.controller.choice.choose([])
    drawn.controller.choice.choose([1])
    (outline,) = [
        one for one in drawn.viewer.layers if link_of(one).get('role') == 'chosen objects'
    ]
    world = outline.data_to_world(np.argwhere(outline.data)[0])
    voxel = np.round(drawn.layer('objects').world_to_data(world)).astype(int)
    assert drawn.layer('objects').data[tuple(voxel)] == 1


def test_a_saved_model_finds_the_same_objects_without_napari(drawn, scene, tmp_path):
    session = drawn.session
    seeds = replace(session.settings.delineation.seeds, threshold=0.4, smallest=5)
    delineation = replace(session.settings.delineation, method='watershed', seeds=seeds)
    settings = replace(session.settings, delineation=delineation)
    session.change('settings', replace(session.state, settings=settings))
    drawn.controller.delineator.delineate()
    drawn.controller.files.save_model(tmp_path / 'cells.flim')
    model = load_model(tmp_path / 'cells.flim')
    assert model.delineation == delineation
    objects = model.delineate(scene.image, markers=drawn.markers.data)
    assert np.array_equal(objects.labels, drawn.layer('objects').data)
    script = copy_script(drawn.controller)
    assert "delineation = DelineationSettings(\n    method='watershed'," in script
    assert f'sizes={seeds.sizes!r}' in script


def test_an_opened_model_brings_its_way_of_finding_objects(drawn, new_desk, scene, tmp_path):
    model = drawn.session.learned.model.with_delineation(method='none', threshold=0.7)
    model.save(tmp_path / 'cells.flim')
    other = new_desk()
    other.open(scene.image)
    other.controller.files.open_model(tmp_path / 'cells.flim')
    assert other.session.settings.delineation == model.delineation


def test_other_voxels_take_objects_away_and_another_voxel_size_makes_them_stale(drawn, scene):
    image = drawn.viewer.layers['cells']
    delineator = drawn.controller.delineator
    image.scale = (2, 2)
    drawn.rest()
    assert 'changed since: press Delineate' in delineator.state()
    assert np.array_equal(drawn.layer('objects').scale, (2, 2))
    delineator.delineate()
    assert 'changed' not in delineator.state()
    assert drawn.controller.table.frame.iloc[0, 2] == 4 * (drawn.layer('objects').data == 1).sum()
    image.data = scene.image[::-1].copy()
    drawn.rest()
    assert delineator.draft is None
    assert 'objects' not in [link_of(one).get('role') for one in drawn.viewer.layers]


def test_parts_of_a_chosen_object_are_chosen(new_desk):
    rows, columns = np.indices((48, 48))
    disks = [(rows - 24) ** 2 + (columns - x) ** 2 < 64 for x in (16, 29)]
    image = np.where(disks[0] | disks[1], 180, 60).astype(np.uint8)
    desk = new_desk()
    _, markers = desk.open(image)
    desk.stroke(markers, (slice(2, 5), slice(2, 40)), 1)
    desk.stroke(markers, (slice(23, 26), slice(13, 33)), 2)
    desk.rest()
    delineator, choice = desk.controller.delineator, desk.controller.choice
    delineator.delineate()
    assert delineator.draft.ids() == [1]
    choice.choose([1])
    delineator.split(choice.ids)
    assert len(delineator.draft.ids()) == 2
    assert list(choice.ids) == delineator.draft.ids()
