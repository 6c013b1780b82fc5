"""Rows of images and markers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt

from napari_flim.widgets.items_section import NO_MARKERS, ItemsSection


@pytest.fixture
def section(qtbot: QtBot, desk: Any) -> ItemsSection:
    widget = ItemsSection(desk.controller)
    qtbot.addWidget(widget)
    widget.show()
    return widget


def test_an_empty_viewer_shows_the_first_steps_and_a_sample(section: ItemsSection) -> None:
    assert not section._first_steps.isHidden()
    assert not section._sample.isHidden()


def test_an_image_too_large_for_memory_says_why_and_what_to_do_in_its_row(
    section: ItemsSection, desk: Any, scene: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = section.row(desk.open(scene))
    assert row.too_large.isHidden()
    monkeypatch.setattr('napari_flim.bridge.applier.memory_budget', lambda _preferences: 1000)
    desk.session.include(desk.session.current, False)
    assert not row.too_large.isHidden()
    assert row.too_large.text().startswith('Too large for saliency here: needs 1 MB')
    assert row.too_large.text().endswith('use the dock Batch segmentation, or crop it.')


def test_an_image_with_markers_becomes_a_row_with_its_counts(
    section: ItemsSection, desk: Any, scene: Any
) -> None:
    row = section.row(desk.open(scene))
    assert row.included.text() == 'cells'
    assert row.markers.currentText() == 'cells markers'
    painted = np.bincount(scene.markers.ravel())
    assert row._marked.toolTip() == (
        f'{painted[1]} voxels of label 1, {painted[2]} voxels of label 2'
    )
    assert section._first_steps.isHidden()


def test_an_image_that_is_unticked_is_not_learned_from(
    section: ItemsSection, desk: Any, scene: Any
) -> None:
    row = section.row(desk.open(scene))
    row.included.setChecked(False)
    assert desk.session.training_images() == ()
    row.included.setChecked(True)
    assert len(desk.session.training_images()) == 1


def test_new_markers_are_made_for_an_image_without(
    qtbot: QtBot, section: ItemsSection, desk: Any, scene: Any
) -> None:
    row = section.row(desk.open(scene, markers=False))
    assert row.new_markers.text() == 'New markers'
    qtbot.mouseClick(row.new_markers, Qt.MouseButton.LeftButton)
    assert desk.markers().data.shape == scene.image.shape
    assert desk.viewer.layers.selection.active is desk.markers()
    assert row.new_markers.isHidden()


def test_deleted_markers_are_brought_back(
    qtbot: QtBot, section: ItemsSection, desk: Any, scene: Any
) -> None:
    row = section.row(desk.open(scene))
    desk.viewer.layers.remove(desk.markers())
    desk.rest()
    assert row.new_markers.text() == 'Bring back markers'
    qtbot.mouseClick(row.new_markers, Qt.MouseButton.LeftButton)
    np.testing.assert_array_equal(desk.markers().data, scene.markers)


def test_markers_are_brought_back_while_their_image_is_closed_and_join_it_again(
    qtbot: QtBot, section: ItemsSection, desk: Any, scene: Any
) -> None:
    image = desk.viewer.add_image(scene.image, name='cells', scale=(0.5, 0.5), translate=(3, 4))
    grid = {'scale': (0.5, 0.5), 'translate': (3, 4)}
    desk.viewer.add_labels(scene.markers.copy(), name='cells markers', **grid)
    desk.rest()
    desk.viewer.layers.clear()
    desk.rest()
    row = section.row(str(image.unique_id))
    assert row.included.text() == 'cells (closed)'
    assert row.new_markers.text() == 'Bring back markers'
    qtbot.mouseClick(row.new_markers, Qt.MouseButton.LeftButton)
    desk.rest()
    markers = desk.markers()
    np.testing.assert_array_equal(markers.data, scene.markers)
    assert tuple(markers.translate) == (3, 4) and tuple(markers.scale) == (0.5, 0.5)
    assert row.new_markers.isHidden()
    again = desk.viewer.add_image(image.data, name='cells', scale=(0.5, 0.5), translate=(3, 4))
    desk.rest()
    key = str(again.unique_id)
    assert [item.source.key for item in desk.session.items] == [key]
    assert desk.controller.items.marker_layer(key) is markers


def test_another_marker_layer_can_be_chosen_and_none(
    section: ItemsSection, desk: Any, scene: Any
) -> None:
    key = desk.open(scene)
    other = scene.markers.copy()
    other[30:34, 28:32] = 2
    desk.viewer.add_labels(other, name='second try')
    row = section.row(key)
    choices = [row.markers.itemText(place) for place in range(row.markers.count())]
    assert choices == ['cells markers', 'second try', NO_MARKERS]
    row._on_markers_activated(1)
    assert desk.session.item(key).markers == 'second try'
    row._on_markers_activated(2)
    assert desk.session.training_images() == ()


def test_a_stack_says_how_it_is_read_and_can_be_read_otherwise(
    section: ItemsSection, desk: Any
) -> None:
    desk.viewer.add_image(np.zeros((4, 20, 30), np.uint8), name='frames')
    key = desk.session.items[0].source.key
    row = section.row(key)
    assert row.axes.currentText() == 'read as one volume of 4 x 20 x 30 (z, y, x)'
    row._on_axes_activated(row.axes.findText('read as 4 images of 20 x 30'))
    assert desk.session.item(key).source.axes == 'TYX'
    assert row.axes.currentText() == 'read as 4 images of 20 x 30'


def test_images_are_added_from_the_menu_and_removed(
    section: ItemsSection, desk: Any, scene: Any
) -> None:
    first = desk.open(scene)
    desk.open(scene, 'more', markers=False)
    section._on_menu_opened()
    (action,) = section._menu.actions()
    assert action.text() == 'more'
    action.trigger()
    assert [item.source.name for item in desk.session.items] == ['cells', 'more']
    section.row(first)._on_remove_clicked()
    assert [item.source.name for item in desk.session.items] == ['more']
    assert 'cells' in [layer.name for layer in desk.viewer.layers]


def test_showing_one_image_hides_the_layers_of_the_others(
    qtbot: QtBot, section: ItemsSection, desk: Any, scene: Any
) -> None:
    first = desk.open(scene)
    second = desk.open(scene, 'more')
    qtbot.mouseClick(section.row(second)._view, Qt.MouseButton.LeftButton)
    visible = {layer.name for layer in desk.viewer.layers if layer.visible}
    assert visible == {'more', 'more markers', 'more saliency'}
    assert desk.session.current == second
    assert section.row(second).included.font().bold()
    assert not section.row(first).included.font().bold()
