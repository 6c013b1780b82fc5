"""The button that chooses for the user, and the table of what was tried."""

from __future__ import annotations

from threading import Event
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtGui import QTextDocumentFragment

from napari_flim.choosing import Candidate, Choice, Tried
from napari_flim.engine.architecture import PRESETS
from napari_flim.progress import Job, Progress
from napari_flim.session.choosing import Chosen
from napari_flim.session.items import digest_of
from napari_flim.widgets.choice_section import BUSY, TIP, ChoiceSection

PATIENCE = 60_000
PLAIN = Candidate('small', PRESETS['small'], False, 'linear')
WIDE = Candidate('wide', PRESETS['wide'], False, 'mean')


@pytest.fixture
def section(qtbot: QtBot, desk: Any, scene: Any) -> ChoiceSection:
    """Of a desk with one marker of each object and two of background."""
    desk.session.live = False
    desk.open(scene)
    widget = ChoiceSection(desk.controller)
    qtbot.addWidget(widget)
    widget.show()
    return widget


def tried(candidate: Candidate) -> Tried:
    return Tried(
        candidate=candidate,
        agreement=0.934,
        error=0.021,
        surprise=0.04123,
        of_markers=np.zeros(2),
        classes=np.array([1, 2]),
        confusion=np.eye(2),
        seconds=1.0,
    )


def put_choice(desk: Any, winner: Candidate) -> None:
    """As if it had just been made."""
    both = (tried(PLAIN), tried(WIDE))
    choice = Choice(both, winner, 'Its error is the lowest.', (1, 2), 'markers')
    desk.controller.chooser.chosen = Chosen(choice, digest_of(desk.session.training_images()))
    desk.controller.chooser.ended.emit()


def plain(html: str) -> str:
    return QTextDocumentFragment.fromHtml(html).toPlainText()


def test_a_button_that_cannot_choose_says_why(qtbot: QtBot, desk: Any) -> None:
    widget = ChoiceSection(desk.controller)
    qtbot.addWidget(widget)
    assert not widget.choose.isEnabled()
    assert 'Open an image' in widget.choose.toolTip()


def test_a_button_that_can_says_what_it_does(section: ChoiceSection) -> None:
    assert section.choose.isEnabled()
    assert section.choose.toolTip() == TIP
    assert not section.outcome.isVisible()
    assert not section.tried.isVisible()


def test_while_something_lasts_the_button_waits(
    qtbot: QtBot, section: ChoiceSection, desk: Any
) -> None:
    desk.session.work = Progress('learning', 0, 1)
    assert section.choose.isEnabled()
    qtbot.waitUntil(lambda: not section.choose.isEnabled(), timeout=PATIENCE)
    assert section.choose.toolTip() == BUSY
    desk.session.work = None
    assert section.choose.isEnabled()


def test_the_button_chooses_and_learns(qtbot: QtBot, section: ChoiceSection, desk: Any) -> None:
    qtbot.mouseClick(section.choose, Qt.MouseButton.LeftButton)
    assert desk.session.learned is not None
    assert desk.session.settings.decoder.name == 'linear'
    assert section.outcome.text().startswith('Chosen: small, linear. There is a single marker')
    assert not section.tried.isVisible()


def test_the_table_is_folded_and_names_the_winner_in_a_word(
    section: ChoiceSection, desk: Any
) -> None:
    put_choice(desk, WIDE)
    assert section.outcome.text() == 'Chosen of 2 that were tried: wide, mean.'
    assert section.tried.isVisible()
    assert not section.tried.opened
    section.tried.header.click()
    assert section.table.isVisible()
    words = plain(section.table.text()).replace('\xa0', ' ')
    assert 'On markers left out' in words
    assert 'chosen: wide, mean' in words
    assert 'chosen: small' not in words
    assert words.count('0.934 ± 0.021') == 2
    assert section.reason.text() == 'Its error is the lowest.'
    assert 'chosen: wide, mean' in section.table.accessibleDescription()


def test_when_markers_change_the_table_greys_and_says_so(section: ChoiceSection, desk: Any) -> None:
    put_choice(desk, PLAIN)
    desk.markers().data_setitem((np.array([30]), np.array([30])), 2)
    desk.rest()
    assert section.outcome.text().startswith('Markers changed since. ')
    assert not section.table.isEnabled()
    desk.markers().undo()
    desk.rest()
    assert section.outcome.text().startswith('Chosen of 2')
    assert section.table.isEnabled()


@pytest.fixture
def train(make_napari_viewer_proxy: Any, qtbot: QtBot, scene: Any) -> Any:
    """The dock in a window where two objects are marked and learned."""
    viewer = make_napari_viewer_proxy(show=True)
    _, train = viewer.window.add_plugin_dock_widget('napari-flim', 'Train')
    session = train.controller.session
    scene.markers[32:36, 30:34] = 2
    viewer.add_image(scene.image, name='cells')
    viewer.add_labels(scene.markers, name='cells markers')
    qtbot.waitUntil(lambda: session.learned is not None and session.work is None, timeout=PATIENCE)
    return train


def test_in_a_window_the_dock_chooses_and_one_undo_takes_it_back(train: Any, qtbot: QtBot) -> None:
    chooser, session = train.controller.chooser, train.controller.session
    before = session.settings
    qtbot.mouseClick(train.encoder.choice.choose, Qt.MouseButton.LeftButton)
    assert session.work is not None
    qtbot.waitUntil(lambda: chooser.chosen is not None, timeout=PATIENCE)
    qtbot.waitUntil(lambda: session.work is None, timeout=PATIENCE)
    assert session.settings.decoder.block == 0
    assert session.learned.settings.architecture == session.settings.architecture
    assert train.encoder.choice.tried.isVisible()
    session.undo()
    assert session.settings == before


def endless(*_: Any, **__: Any) -> Job[Choice]:
    pause = Event()
    while True:
        yield Progress('trying small', 0, 1)
        pause.wait(0.01)


def test_in_a_window_cancel_stops_choosing(
    train: Any, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('napari_flim.choosing.choose', endless)
    session = train.controller.session
    before = session.state
    qtbot.mouseClick(train.encoder.choice.choose, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: train.bar.state.text() == 'Trying small ...', timeout=PATIENCE)
    assert train.bar.learn.text() == 'Cancel'
    qtbot.mouseClick(train.bar.learn, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: session.work is None, timeout=PATIENCE)
    assert session.state is before
    assert train.controller.chooser.chosen is None
