"""Rows of classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt

from napari_flim.widgets.classes_section import ClassesSection


@pytest.fixture
def section(qtbot: QtBot, desk: Any, scene: Any) -> ClassesSection:
    desk.open(scene)
    widget = ClassesSection(desk.controller)
    qtbot.addWidget(widget)
    widget.show()
    return widget


def test_a_click_on_a_class_takes_its_label_and_the_brush(
    qtbot: QtBot, section: ClassesSection, desk: Any
) -> None:
    qtbot.mouseClick(section.row(2).paint, Qt.MouseButton.LeftButton)
    assert desk.markers().selected_label == 2
    assert desk.markers().mode == 'paint'
    assert section.row(2).paint.isChecked()
    assert not section.row(1).paint.isChecked()


def test_a_label_chosen_in_napari_is_marked_in_the_dock(section: ClassesSection, desk: Any) -> None:
    desk.markers().selected_label = 1
    assert section.row(1).paint.isChecked()
    assert not section.row(2).paint.isChecked()


def test_a_new_class_gets_the_next_label_and_its_own_colour(
    qtbot: QtBot, section: ClassesSection, desk: Any
) -> None:
    qtbot.mouseClick(section.add_button, Qt.MouseButton.LeftButton)
    assert [one.label for one in desk.session.classes] == [1, 2, 3]
    assert desk.markers().selected_label == 3
    drawn = desk.markers().colormap.map(3)
    np.testing.assert_allclose(drawn[:3], desk.session.classes[-1].colour, atol=0.01)


def test_a_name_is_changed_by_typing(qtbot: QtBot, section: ClassesSection, desk: Any) -> None:
    name = section.row(2).name
    name.clear()
    qtbot.keyClicks(name, 'egg')
    qtbot.keyClick(name, Qt.Key.Key_Return)
    assert desk.session.classes[1].name == 'egg'
    assert section.row(2).role.accessibleName() == 'role of egg'


def test_an_empty_name_is_refused_with_a_message(
    qtbot: QtBot, section: ClassesSection, desk: Any
) -> None:
    name = section.row(2).name
    name.clear()
    qtbot.keyClick(name, Qt.Key.Key_Return)
    assert desk.session.classes[1].name == 'object'
    assert name.text() == 'object'
    assert 'no name' in desk.session.message.text


def test_a_second_class_of_background_is_learned_as_background(
    section: ClassesSection, desk: Any
) -> None:
    desk.markers().data[20:24, 40:44] = 3
    desk.markers().refresh()
    desk.rest()
    section.row(3)._on_role_activated(0)
    desk.rest()
    assert desk.session.classes[2].role == 'background'
    assert set(desk.session.learned.model.blocks[0].bank.classes.tolist()) == {1, 2}


def test_background_keeps_its_role_and_cannot_be_removed(section: ClassesSection) -> None:
    row = section.row(1)
    assert not row.role.isEnabled()
    assert not row.remove.isEnabled()


def test_the_last_object_class_is_not_removed(section: ClassesSection, desk: Any) -> None:
    section.row(2)._on_remove_triggered()
    assert len(desk.session.classes) == 2
    assert desk.session.message.error


def test_the_only_object_class_does_not_become_background(
    section: ClassesSection, desk: Any
) -> None:
    row = section.row(2)
    row.role.setCurrentIndex(0)
    row._on_role_activated(0)
    assert row.role.currentText() == 'object'
    assert desk.session.message.error
