"""The Delineate dock on a viewer without a window: what it shows, and what its controls do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QAccessible, QWheelEvent
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QFileDialog,
    QMessageBox,
    QPushButton,
    QScrollArea,
    QTableView,
    QToolButton,
)

from napari_flim.bridge.marker_layers import link_of
from napari_flim.delineation.area_range import learned_range
from napari_flim.progress import Progress
from napari_flim.session.object_words import range_words, size_words
from napari_flim.session.words import count_words
from napari_flim.widgets.delineate import DelineatePanel
from napari_flim.widgets.histogram import Histogram
from napari_flim.widgets.object_model import ACCEPTED, CLASS, ID, SIZE

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def panel(desk: Any, qtbot: Any, scene: Any) -> DelineatePanel:
    """The dock, on an image that is learned from."""
    desk.open(scene)
    made = DelineatePanel(desk.controller)
    qtbot.addWidget(made)
    made.resize(320, 900)
    made.show()
    return made


@pytest.fixture
def drawn(panel: DelineatePanel, qtbot: Any) -> DelineatePanel:
    """The dock, with objects."""
    qtbot.mouseClick(panel.bar.delineate, LEFT)
    return panel


def layer(desk: Any, role: str) -> Any:
    (found,) = [one for one in desk.viewer.layers if link_of(one).get('role') == role]
    return found


def roles(desk: Any) -> list[str]:
    return [link_of(one).get('role', '') for one in desk.viewer.layers]


def rows(panel: DelineatePanel) -> list[list[str]]:
    model = panel.objects.sorted
    return [
        [model.index(row, column).data() for column in range(model.columnCount())]
        for row in range(model.rowCount())
    ]


def click_cell(panel: DelineatePanel, qtbot: Any, row: int, column: int, keys: Any = None) -> None:
    view = panel.objects.view
    view.scrollTo(view.model().index(row, column))
    place = view.visualRect(view.model().index(row, column)).center()
    qtbot.mouseClick(view.viewport(), LEFT, keys or Qt.KeyboardModifier.NoModifier, place)


def test_without_a_model_the_button_is_asleep_and_the_reason_is_said(desk, qtbot, scene):
    panel = DelineatePanel(desk.controller)
    qtbot.addWidget(panel)
    assert not panel.bar.delineate.isEnabled()
    assert panel.bar.state.text() == '• Open an image, or a sample in the Train dock.'
    desk.open(scene, markers=False)
    assert not panel.bar.delineate.isEnabled()
    assert 'Nothing is learned yet: open Train' in panel.bar.state.text()


def test_the_button_finds_objects_and_says_how_many(desk, drawn):
    objects = layer(desk, 'objects')
    count = int(objects.data.max())
    assert count > 0
    assert drawn.bar.state.text().startswith(count_words(count, 'object'))
    assert [row[ID] for row in rows(drawn)] == [str(n) for n in range(1, count + 1)]


def test_the_histogram_shows_the_threshold_and_dragging_it_changes_seeds_then_settings(
    desk, panel, qtbot
):
    assert panel.seeds.preview.isChecked()
    histogram = panel.seeds.histogram
    seeds = layer(desk, 'seeds')
    before = seeds.data.copy()
    assert histogram.threshold == desk.controller.seeds.preview.numbers[2].otsu
    high = QPoint(round(0.98 * histogram.width()), 10)
    qtbot.mousePress(histogram, LEFT, pos=high)
    assert histogram.threshold == pytest.approx(0.98, abs=0.01)
    assert layer(desk, 'seeds') is seeds
    assert (seeds.data != before).any()
    assert desk.session.settings.delineation.seeds.threshold is None
    qtbot.mouseRelease(histogram, LEFT, pos=high)
    chosen = desk.session.settings.delineation.seeds.threshold
    assert chosen == histogram.threshold
    assert panel.seeds.threshold.value() == pytest.approx(chosen, abs=1e-3)
    qtbot.keyClick(histogram, Qt.Key.Key_Left)
    assert desk.session.settings.delineation.seeds.threshold == pytest.approx(chosen - 0.01)
    qtbot.mouseClick(panel.seeds.otsu, LEFT)
    assert desk.session.settings.delineation.seeds.threshold is None
    assert np.array_equal(seeds.data, before)


def test_undo_of_the_session_takes_settings_of_delineation_back(desk, panel):
    before = desk.session.settings
    panel.method.method.edited.emit('method', 'watershed')
    assert desk.session.settings.delineation.method == 'watershed'
    desk.session.undo()
    assert desk.session.settings == before
    assert panel.method.method.currentText() == 'dynamic trees'


def test_settings_changed_since_are_said(desk, drawn):
    learned = desk.session.learned
    drawn.seeds.erosion.edited.emit('erosion', 2.0)
    assert 'Settings have changed since: press Delineate' in drawn.bar.state.text()
    drawn.bar.delineate.click()
    assert 'changed' not in drawn.bar.state.text()
    assert desk.session.learned is learned


def test_the_seeds_go_with_the_dock_and_come_back(desk, panel):
    assert 'seeds' in roles(desk)
    panel.hide()
    assert 'seeds' not in roles(desk)
    panel.show()
    assert 'seeds' in roles(desk)
    panel.seeds.preview.setChecked(False)
    assert 'seeds' not in roles(desk)


def test_seeds_make_room_for_objects_until_settings_change(desk, drawn):
    assert not {'seeds'} & set(roles(desk))
    assert not drawn.seeds.preview.isChecked()
    drawn.seeds.erosion.edited.emit('erosion', 2.0)
    assert 'seeds' in roles(desk)
    assert drawn.seeds.preview.isChecked()
    drawn.seeds.preview.setChecked(False)
    drawn.seeds.erosion.edited.emit('erosion', 1.0)
    assert 'seeds' not in roles(desk)


def test_sizes_are_as_marked_until_the_user_sets_them(desk, panel, qtbot):
    seeds = panel.seeds
    (shown,) = desk.controller.seeds.preview.shown
    sizes = desk.session.settings.delineation.seeds.sizes
    assert sizes == learned_range([shown])
    assert seeds.marked_sizes.isChecked()
    assert seeds.sizes.text() == (
        f'As marked: {range_words(sizes, "px²")}; 1 marked object here: {size_words(shown)} px².'
    )
    assert seeds.smallest.text() == f'{sizes.smallest:.2f}'.rstrip('0').rstrip('.') + ' px²'
    seeds.smallest.setValue(50)
    assert not seeds.marked_sizes.isChecked()
    assert desk.session.settings.delineation.seeds.sizes == replace(sizes, smallest=50)
    qtbot.mouseClick(seeds.any_size, LEFT)
    assert desk.session.settings.delineation.seeds.sizes is None
    assert seeds.sizes.text().startswith('Any size; ')
    assert (seeds.smallest.text(), seeds.largest.text()) == ('any', 'any')
    qtbot.mouseClick(seeds.marked_sizes, LEFT)
    assert desk.session.settings.delineation.seeds.sizes == sizes
    assert seeds.marked_sizes.isChecked()
    qtbot.mouseClick(seeds.marked_sizes, LEFT)
    assert not seeds.marked_sizes.isChecked()
    assert desk.session.settings.delineation.seeds.sizes == sizes


def test_impossible_sizes_are_refused_in_words(desk, panel, qtbot):
    qtbot.mouseClick(panel.seeds.any_size, LEFT)
    panel.seeds.smallest.setValue(50)
    panel.seeds.largest.setValue(20)
    assert 'Sizes from 50 to 20 were asked for' in panel.bar.state.text()
    assert desk.session.settings.delineation.seeds.sizes.largest is None
    assert panel.seeds.largest.text() == 'any'


def test_a_row_and_its_object_are_chosen_together(desk, drawn, qtbot):
    objects = layer(desk, 'objects')
    click_cell(drawn, qtbot, 1, SIZE)
    assert desk.controller.choice.ids == (2,)
    assert objects.selected_label == 2
    outline = layer(desk, 'chosen objects')
    world = [outline.data_to_world(voxel) for voxel in np.argwhere(outline.data)]
    assert (objects.data[tuple(np.round(world).astype(int).T)] == 2).all()
    assert 0 < outline.data.sum() < (objects.data == 2).sum()
    desk.controller.objects.clicked.emit(1, True)
    selected = {row.data() for row in drawn.objects.view.selectionModel().selectedRows(ID)}
    assert selected == {'1', '2'}
    assert layer(desk, 'chosen objects') is outline
    desk.controller.objects.clicked.emit(0, False)
    assert desk.controller.choice.ids == ()
    assert 'chosen objects' not in roles(desk)


def test_deleting_a_chosen_object_and_undoing_it(desk, drawn, qtbot):
    objects = layer(desk, 'objects')
    before = objects.data.copy()
    assert not drawn.objects.delete.isEnabled()
    assert drawn.objects.delete.toolTip() == 'Choose an object first'
    click_cell(drawn, qtbot, 0, SIZE)
    qtbot.mouseClick(drawn.objects.delete, LEFT)
    assert not (objects.data == 1).any()
    assert '1' not in [row[ID] for row in rows(drawn)]
    assert desk.controller.choice.ids == ()
    assert drawn.objects.history.undo.toolTip() == 'Undo: delete object 1'
    qtbot.mouseClick(drawn.objects.history.undo, LEFT)
    assert np.array_equal(objects.data, before)
    assert drawn.objects.history.redo.isEnabled()


def test_undo_sleeps_while_there_are_no_objects_to_undo_in(desk, drawn, scene):
    desk.controller.delineator.delete([1])
    assert drawn.objects.history.undo.isEnabled()
    desk.viewer.layers['cells'].data = scene.image[::-1].copy()
    desk.rest()
    assert desk.controller.delineator.draft is None
    assert desk.controller.delineator.corrections_of().edits.done
    assert not drawn.objects.history.undo.isEnabled()
    assert drawn.objects.history.undo.toolTip() == 'Press Delineate first'


def test_merging_needs_two_objects(desk, drawn, qtbot):
    click_cell(drawn, qtbot, 0, SIZE)
    assert not drawn.objects.merge.isEnabled()
    click_cell(drawn, qtbot, 1, SIZE, Qt.KeyboardModifier.ControlModifier)
    assert drawn.objects.merge.isEnabled()
    before = layer(desk, 'objects').data.copy()
    qtbot.mouseClick(drawn.objects.merge, LEFT)
    merged = layer(desk, 'objects').data
    assert (merged == 1).sum() >= ((before == 1) | (before == 2)).sum()
    assert not (merged == 2).any()


def test_an_object_is_accepted_by_its_sign_and_its_size_can_be_used(desk, drawn, qtbot):
    assert not drawn.seeds.accepted_sizes.isEnabled()
    click_cell(drawn, qtbot, 0, ACCEPTED)
    assert rows(drawn)[0][ACCEPTED] == '\N{BALLOT BOX WITH CHECK}'
    assert '1 accepted' in drawn.bar.state.text()
    size = (layer(desk, 'objects').data == 1).sum()
    qtbot.mouseClick(drawn.seeds.accepted_sizes, LEFT)
    sizes = desk.session.settings.delineation.seeds.sizes
    assert sizes.smallest < size < sizes.largest
    click_cell(drawn, qtbot, 0, ACCEPTED)
    assert rows(drawn)[0][ACCEPTED] == '\N{BALLOT BOX}'


def test_the_brushes_paint_on_one_layer_in_the_colours_of_the_objects(desk, drawn, qtbot):
    assert not drawn.correct.chosen.isEnabled()
    qtbot.mouseClick(drawn.correct.background, LEFT)
    strokes = layer(desk, 'corrections')
    assert (strokes.selected_label, strokes.mode) == (1, 'paint')
    desk.controller.choice.choose([2])
    assert drawn.correct.chosen.text() == 'Object 2'
    qtbot.mouseClick(drawn.correct.chosen, LEFT)
    assert layer(desk, 'corrections') is strokes
    assert strokes.selected_label == 3
    objects = layer(desk, 'objects')
    assert np.allclose(strokes.colormap.map(3), objects.colormap.map(2))
    background = desk.session.classes[0].colour
    assert np.allclose(strokes.colormap.map(1)[:3], background)
    qtbot.mouseClick(drawn.correct.new, LEFT)
    number = int(objects.data.max()) + 1
    assert strokes.selected_label == number + 1
    assert np.allclose(strokes.colormap.map(number + 1), objects.colormap.map(number))


def test_colours_of_classes_follow_the_classes(desk, drawn):
    drawn.objects.colouring.setCurrentIndex(1)
    drawn.objects.colouring.activated.emit(1)
    objects = layer(desk, 'objects')
    colour = desk.session.classes[1].colour
    assert np.allclose(objects.colormap.map(1)[:3], colour)
    changed = replace(desk.session.classes[1], colour=(0.1, 0.2, 0.3), name='egg')
    desk.session.classes = (desk.session.classes[0], changed)
    assert np.allclose(objects.colormap.map(1)[:3], (0.1, 0.2, 0.3))
    assert rows(drawn)[0][CLASS] == 'egg'


def test_the_table_is_saved_as_csv(desk, drawn, qtbot, tmp_path: Path, monkeypatch):
    path = tmp_path / 'cells'
    monkeypatch.setattr(QFileDialog, 'getSaveFileName', lambda *_: (str(path), ''))
    qtbot.mouseClick(drawn.objects.save, LEFT)
    lines = (tmp_path / 'cells.csv').read_text().splitlines()
    assert lines[0].startswith('label,class,area,centroid_y')
    assert len(lines) == 1 + len(rows(drawn))
    assert f'Saved {len(rows(drawn))} rows to cells.csv' in drawn.bar.state.text()


def test_a_table_is_not_overwritten_without_a_question(desk, drawn, qtbot, tmp_path, monkeypatch):
    there = tmp_path / 'cells.csv'
    there.write_text('mine')
    named = iter([str(tmp_path / 'cells'), ''])
    monkeypatch.setattr(QFileDialog, 'getSaveFileName', lambda *_: (next(named), ''))
    monkeypatch.setattr(QMessageBox, 'question', lambda *_: QMessageBox.StandardButton.No)
    qtbot.mouseClick(drawn.objects.save, LEFT)
    assert there.read_text() == 'mine'
    assert next(named, None) is None


def test_after_delineate_a_click_in_the_picture_chooses_and_paints_nothing(desk, panel, qtbot):
    assert desk.viewer.layers.selection.active is desk.markers()
    qtbot.mouseClick(panel.bar.delineate, LEFT)
    assert desk.viewer.layers.selection.active is layer(desk, 'objects')


def test_the_view_stays_where_a_chosen_object_is_seen_whole(desk, drawn, qtbot):
    camera = desk.viewer.scene.camera
    camera.center, camera.zoom = (0, 24, 24), 8
    click_cell(drawn, qtbot, 1, SIZE)
    assert tuple(camera.center) == (0, 24, 24)
    camera.center = (0, 24, 200)
    click_cell(drawn, qtbot, 0, SIZE)
    assert camera.center[-1] < 48


def test_rows_are_sorted_by_number_not_by_text(drawn):
    drawn.objects.view.sortByColumn(SIZE, Qt.SortOrder.DescendingOrder)
    sizes = [float(row[SIZE]) for row in rows(drawn)]
    assert sizes == sorted(sizes, reverse=True)


def test_closing_the_image_takes_objects_away_but_not_the_strokes(desk, drawn, qtbot):
    qtbot.mouseClick(drawn.correct.background, LEFT)
    desk.viewer.layers.remove(desk.viewer.layers['cells'])
    desk.rest()
    assert roles(desk).count('corrections') == 1
    assert not {'objects', 'seeds', 'chosen objects'} & set(roles(desk))
    assert rows(drawn) == []


def test_everything_fits_into_a_narrow_dock(desk, drawn):
    desk.controller.choice.choose([1, 2])
    for section in drawn.sections.values():
        section.open(True)
    drawn.resize(320, 900)
    (area,) = drawn.findChildren(QScrollArea, options=Qt.FindChildOption.FindDirectChildrenOnly)
    assert area.widget().minimumSizeHint().width() <= area.viewport().width()


def test_what_has_no_text_of_its_own_has_a_name(drawn):
    drawn.method.method.edited.emit('method', 'random_walker')
    kinds = (QAbstractSpinBox, QComboBox, QTableView, QToolButton, QPushButton, Histogram)
    nameless = [
        one
        for kind in kinds
        for one in drawn.findChildren(kind)
        if one.isVisible()
        and not QAccessible.queryAccessibleInterface(one).text(QAccessible.Text.Name)
    ]
    assert nameless == []


def test_the_wheel_scrolls_the_dock_and_changes_nothing(desk, drawn):
    before = desk.session.settings
    for field in (drawn.seeds.threshold, drawn.seeds.erosion, drawn.objects.colouring):
        place = QPointF(field.rect().center())
        up = QWheelEvent(
            place,
            QPointF(field.mapToGlobal(place.toPoint())),
            QPoint(),
            QPoint(0, 120),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(field, up)
    assert desk.session.settings == before
    assert drawn.objects.colouring.currentIndex() == 0


def test_the_lowest_step_of_a_field_leaves_it_to_the_program(desk, drawn):
    field = drawn.seeds.erosion
    assert field.text() == 'automatic'
    field.stepUp()
    assert desk.session.settings.delineation.seeds.erosion == 0
    field.stepUp()
    assert desk.session.settings.delineation.seeds.erosion > 0
    field.setValue(0)
    field.stepDown()
    assert desk.session.settings.delineation.seeds.erosion is None
    assert field.text() == 'automatic'


def test_long_work_turns_the_button_into_cancel(desk, drawn):
    delineator = desk.controller.delineator
    delineator.work = Progress('growing trees', 1, 4)
    delineator.changed.emit()
    assert drawn.bar.delineate.text() != 'Cancel'
    drawn.bar._patience.timeout.emit()
    assert drawn.bar.delineate.text() == 'Cancel'
    assert drawn.bar.state.text() == 'Growing trees ...'
    assert drawn.bar.progress.value() == drawn.bar.progress.maximum() / 4
    drawn.bar.delineate.click()
    assert delineator.message.text == 'Stopped; the objects stay as they were.'
    delineator.work = None
    delineator.changed.emit()
    assert drawn.bar.delineate.text().startswith('Delineate')
