"""The input section: what is chosen there, and what it shows of the session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from napari.components import ViewerModel
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QCoreApplication, QEvent, Qt

from napari_flim.bridge.controller import Controller
from napari_flim.bridge.preferences import Preferences
from napari_flim.engine.options import LearningOptions
from napari_flim.engine.preprocessing import InputTransform
from napari_flim.session.running import InlineDebouncer, InlineRunner
from napari_flim.session.settings import Settings
from napari_flim.widgets.input_section import InputSection


def debouncer(function: Callable[[], None], _delay: int) -> InlineDebouncer:
    return InlineDebouncer(function)


class Desk:
    """A section of a viewer with one image."""

    def __init__(self, qtbot: QtBot, shape: tuple[int, ...] = (40, 50), **options: object) -> None:
        self.viewer = ViewerModel()
        self.controller = Controller(self.viewer, InlineRunner, debouncer, Preferences)
        self.session = self.controller.session
        data = np.random.default_rng(0).integers(0, 200, shape).astype(np.uint8)
        self.image = self.viewer.add_image(data, name='cells', **options)
        self.section = InputSection(self.controller)
        qtbot.addWidget(self.section)
        self.section.show()

    @property
    def settings(self) -> Settings:
        return self.session.settings

    @property
    def transform(self) -> InputTransform:
        return self.settings.transform

    def choose(self, text: str) -> None:
        """Choose an input as a user does with the keyboard."""
        box = self.section.kind
        box.setCurrentIndex(box.findText(text, Qt.MatchFlag.MatchStartsWith))
        box.activated.emit(box.currentIndex())

    def change(self, **values: object) -> None:
        settings = replace(self.settings, **values)
        self.session.change('test', replace(self.session.state, settings=settings))


@pytest.fixture
def desk(qtbot: QtBot) -> Desk:
    return Desk(qtbot)


@pytest.mark.parametrize(
    ('text', 'kind'), [('scaled', 'scaled'), ('multi', 'multiscale'), ('as LibIFT', 'libift')]
)
def test_a_chosen_input_is_set(desk: Desk, text: str, kind: str) -> None:
    desk.choose(text)
    assert desk.transform.kind == kind


def test_the_input_of_the_session_is_shown(desk: Desk) -> None:
    desk.change(transform=InputTransform('window', window=(-100, 300.5)))
    assert desk.section.kind.currentText() == 'window (for CT)'
    assert desk.section.window_row.isVisible()
    assert desk.section.low.text() == '-100'
    assert desk.section.high.cleanText().replace(',', '.') == '300.5'
    desk.session.undo()
    assert not desk.section.window_row.isVisible()


def test_a_window_can_be_moved_up_one_end_at_a_time(desk: Desk) -> None:
    desk.choose('window')
    desk.section.low.setValue(100)
    assert desk.transform.window == (0, 1)
    assert 'empty' in desk.section.error.text()
    desk.section.high.setValue(300)
    assert desk.transform.window == (100, 300)
    assert not desk.section.error.isVisible()


def test_the_window_can_be_that_of_the_viewer(desk: Desk) -> None:
    desk.choose('window')
    desk.image.contrast_limits = (20, 90)
    desk.section.as_shown.click()
    assert desk.transform.window == (20, 90)


def test_a_fixed_range_is_offered_only_where_images_have_their_own(desk: Desk) -> None:
    assert not desk.section.fixed.isVisible()
    desk.choose('scaled')
    desk.section.fixed.click()
    assert desk.settings.fixed_ranges
    desk.choose('window')
    assert not desk.settings.fixed_ranges
    assert not desk.section.fixed.isVisible()


def test_inputs_that_do_not_fit_the_image_are_disabled_with_a_reason(qtbot: QtBot) -> None:
    desk = Desk(qtbot, (2, 40, 50), axis_labels=('c', 'y', 'x'))
    model = desk.section.kind.model()
    items = {model.index(row, 0).data(): model.index(row, 0) for row in range(model.rowCount())}
    for text, reason in (('Lab colour', 'not RGB'), ('as LibIFT', '2 channels')):
        assert not items[text].flags() & Qt.ItemFlag.ItemIsEnabled
        assert reason in items[text].data(Qt.ItemDataRole.ToolTipRole)


def test_lab_is_offered_for_rgb(qtbot: QtBot) -> None:
    desk = Desk(qtbot, (40, 50, 3), rgb=True)
    desk.choose('Lab')
    assert desk.transform.kind == 'lab'
    model = desk.section.kind.model()
    assert model.index(1, 0).flags() & Qt.ItemFlag.ItemIsEnabled


def test_channels_of_a_colour_image_are_chosen_by_colour(qtbot: QtBot) -> None:
    desk = Desk(qtbot, (40, 50, 3), rgb=True)
    assert not desk.section.channel_row.isVisible()
    desk.choose('scaled')
    assert [box.text() for box in desk.section.channels] == ['red', 'green', 'blue']
    desk.section.channels[1].click()
    assert desk.transform.channels == (0, 2)
    desk.section.channels[1].click()
    assert desk.transform.channels == ()


def test_channels_are_forgotten_by_an_input_that_reads_colours(qtbot: QtBot) -> None:
    desk = Desk(qtbot, (40, 50, 3), rgb=True)
    desk.choose('scaled')
    desk.section.channels[0].click()
    desk.choose('automatic')
    assert desk.transform == InputTransform('auto')


def test_the_last_channel_cannot_be_taken_away(qtbot: QtBot) -> None:
    desk = Desk(qtbot, (2, 40, 50), axis_labels=('c', 'y', 'x'))
    desk.section.channels[0].click()
    desk.section.channels[1].click()
    assert desk.transform.channels == (1,)
    assert desk.section.channels[1].isChecked()
    assert 'at least one' in desk.section.error.text()


def test_percentiles_and_scales_are_set(desk: Desk) -> None:
    desk.choose('multi')
    desk.section.more.open(True)
    desk.section.darkest.setValue(2)
    desk.section.scales.setText('1.5, 3')
    desk.section.scales.editingFinished.emit()
    assert desk.transform.percentiles == (2, 99.9)
    assert desk.transform.scales == (1.5, 3)


def test_impossible_scales_are_explained_and_refused(desk: Desk) -> None:
    desk.choose('multi')
    desk.section.scales.setText('1, many')
    desk.section.scales.editingFinished.emit()
    assert desk.transform.scales == (1, 2, 4)
    assert "'many'" in desk.section.error.text()
    assert desk.section.scales.text() == '1, 2, 4'


def test_what_is_being_typed_survives_a_change_elsewhere(desk: Desk) -> None:
    desk.choose('multi')
    desk.section.scales.setText('1, 2, 4, 8')
    desk.change(options=LearningOptions(seed=7))
    assert desk.section.scales.text() == '1, 2, 4, 8'


def test_kernel_estimation_is_set_and_shown(desk: Desk) -> None:
    fields = desk.section.kernels.fields
    fields['seed'].setValue(5)
    fields['representative'].setCurrentIndex(1)
    fields['representative'].activated.emit(1)
    assert desk.settings.options == LearningOptions(seed=5, representative='medoid')
    desk.session.undo()
    desk.session.undo()
    assert fields['seed'].value() == 0
    assert fields['representative'].currentText() == 'mean'


def test_options_that_exclude_each_other_are_explained_and_refused(desk: Desk) -> None:
    desk.change(options=LearningOptions(statistics='image'))
    consensus = desk.section.kernels.fields['consensus']
    consensus.setCurrentIndex(2)
    consensus.activated.emit(2)
    assert desk.settings.options.consensus == 'kmeans'
    assert consensus.currentText() == 'clusters of all'
    assert 'pca' in desk.section.kernels.error.text()


def test_the_preview_is_switched_on_and_off_and_by_deleting_its_layer(
    desk: Desk, qtbot: QtBot
) -> None:
    key = str(desk.image.unique_id)
    desk.section.show_input.click()
    qtbot.waitUntil(lambda: desk.controller.results.find('input', key) is not None, timeout=20000)
    desk.viewer.layers.remove(desk.controller.results.find('input', key))
    assert not desk.section.show_input.isChecked()


def test_the_preview_goes_with_its_dock(desk: Desk, qtbot: QtBot) -> None:
    key, results = str(desk.image.unique_id), desk.controller.results
    section = InputSection(desk.controller)
    section.show_input.click()
    qtbot.waitUntil(lambda: results.find('input', key) is not None, timeout=20000)
    section.deleteLater()
    QCoreApplication.sendPostedEvents(section, QEvent.Type.DeferredDelete.value)
    assert results.find('input', key) is None
    assert list(desk.viewer.layers) == [desk.image]


def test_every_control_is_named_and_nothing_is_wider_than_the_dock(desk: Desk) -> None:
    desk.choose('multi')
    desk.section.more.open(True)
    desk.section.estimation.open(True)
    desk.choose('window')
    assert desk.section.minimumSizeHint().width() <= 300
    fields = [desk.section.kind, desk.section.low, desk.section.high, desk.section.darkest]
    fields += [desk.section.scales, *desk.section.kernels.fields.values()]
    assert all(field.accessibleName() for field in fields)
