"""Buttons for files; the questions for a file name are answered here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_flim.model_loading import load_model
from napari_flim.widgets.model_section import ModelSection

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def section(qtbot: QtBot, desk: Any) -> ModelSection:
    widget = ModelSection(desk.controller)
    qtbot.addWidget(widget)
    widget.show()
    return widget


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Any:
    def choose(path: Path | str) -> None:
        for question in ('getSaveFileName', 'getOpenFileName'):
            monkeypatch.setattr(QFileDialog, question, lambda *_: (str(path), ''))

    return choose


def test_nothing_can_be_saved_before_something_is_learned(section: ModelSection) -> None:
    assert not section.save_model.isEnabled()
    assert section.save_model.toolTip() == 'Nothing is learned yet'
    assert not section.script.isEnabled()


def test_a_model_is_saved_as_it_is_seen(
    qtbot: QtBot, section: ModelSection, desk: Any, scene: Any, answer: Any, tmp_path: Path
) -> None:
    desk.open(scene)
    qtbot.waitUntil(section.save_model.isEnabled, timeout=2000)
    answer(tmp_path / 'cells')
    qtbot.mouseClick(section.save_model, LEFT)
    saved = load_model(tmp_path / 'cells.flim')
    np.testing.assert_array_equal(saved.saliency(scene.image), desk.saliency())


def test_a_cancelled_question_does_nothing(
    qtbot: QtBot, section: ModelSection, desk: Any, scene: Any, answer: Any
) -> None:
    desk.open(scene)
    before = desk.session.message
    answer('')
    for button in (section.save_session, section.open_model, section.open_session):
        qtbot.mouseClick(button, LEFT)
    assert desk.session.message == before


def test_a_foreign_file_is_refused_in_one_sentence(
    qtbot: QtBot, section: ModelSection, desk: Any, answer: Any, tmp_path: Path
) -> None:
    (tmp_path / 'not.flim').write_text('something else')
    answer(tmp_path / 'not.flim')
    qtbot.mouseClick(section.open_model, LEFT)
    assert desk.session.message.error
    assert 'not a readable .flim model' in desk.session.message.text


def test_the_script_goes_to_the_clipboard(
    qtbot: QtBot, section: ModelSection, desk: Any, scene: Any
) -> None:
    desk.open(scene)
    qtbot.waitUntil(section.script.isEnabled, timeout=2000)
    qtbot.mouseClick(section.script, LEFT)
    text = QApplication.clipboard().text()
    assert 'learn_model' in text
    compile(text, 'script.py', 'exec')
