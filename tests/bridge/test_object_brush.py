"""Strokes on objects, on background, and of objects that were not found."""

from __future__ import annotations

import numpy as np


def test_brushes_leave_the_model_and_its_markers_alone(drawn):
    session = drawn.session
    learned, markers = session.learned, drawn.markers
    before = markers.data.copy()
    drawn.controller.brush.paint_new(2)
    drawn.stroke(drawn.layer('corrections'), (slice(2, 5), slice(2, 5)), 9)
    drawn.rest()
    assert drawn.markers is markers
    assert np.array_equal(markers.data, before)
    assert session.learned is learned


def test_strokes_of_a_removed_layer_come_back_with_the_brush(drawn):
    drawn.controller.brush.paint_background()
    strokes = drawn.layer('corrections')
    drawn.stroke(strokes, (slice(20, 24), slice(2, 9)), 1)
    drawn.rest()
    painted = strokes.data.copy()
    drawn.viewer.layers.remove(strokes)
    drawn.rest()
    drawn.controller.brush.paint_background()
    assert drawn.layer('corrections') is not strokes
    assert np.array_equal(drawn.layer('corrections').data, painted)


def test_every_object_has_its_class_also_a_new_one(new_desk, scene):
    desk = new_desk()
    _, markers = desk.open(scene.image)
    desk.stroke(markers, (slice(30, 36), slice(28, 34)), 3)
    desk.paint_both(markers)
    delineator = desk.controller.delineator
    delineator.delineate()
    labels = desk.layer('objects').data
    assert delineator.draft.class_of(int(labels[12, 12])) == 2
    assert delineator.draft.class_of(int(labels[33, 31])) == 3
    desk.controller.brush.paint_new(3)
    strokes = desk.layer('corrections')
    number = strokes.selected_label - 1
    assert number not in delineator.draft.ids()
    desk.stroke(strokes, (slice(40, 46), slice(4, 10)), number + 1)
    desk.rest()
    assert delineator.draft.class_of(number) == 3
    frame = desk.controller.table.frame
    assert frame.set_index('label').loc[number, 'class'] == 3
    desk.controller.objects.colouring = 'class'
    delineator.recolour()
    colour = desk.session.classes[2].colour
    assert np.allclose(desk.layer('objects').colormap.map(number)[:3], colour)


def test_each_stroke_of_a_new_object_is_an_object_of_its_own(drawn):
    delineator = drawn.controller.delineator
    known = delineator.draft.ids()
    drawn.controller.brush.paint_new(2)
    strokes = drawn.layer('corrections')
    for row in (22, 44):
        drawn.stroke(strokes, (slice(row, row + 2), slice(20, 26)), strokes.selected_label)
    drawn.rest()
    first, second = (int(strokes.data[row, 22]) - 1 for row in (22, 44))
    assert first != second
    assert set(delineator.draft.ids()) == {*known, first, second}
    drawn.controller.brush.paint_object(first)
    drawn.stroke(strokes, (slice(24, 26), slice(20, 26)), strokes.selected_label)
    assert strokes.selected_label == first + 1
