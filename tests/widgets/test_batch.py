"""The Batch segmentation dock on a viewer without a window: what it shows, what its controls do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from qtpy.QtCore import Qt, QUrl
from qtpy.QtGui import QAccessible, QDesktopServices
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QFileDialog,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QTableView,
    QToolButton,
)

from napari_flim.batch import Advanced, Done, FileTask, Started
from napari_flim.progress import Progress
from napari_flim.session.batch_files import FileRow
from napari_flim.session.batch_run import BatchRun
from napari_flim.widgets.batch import BatchPanel
from napari_flim.widgets.batch_table import FILE, OBJECTS, STATE, FileModel

LEFT = Qt.MouseButton.LeftButton
MANY = 10_000


@pytest.fixture
def panel(desk: Any, qtbot: Any, scene: Any, six_images: Path) -> BatchPanel:
    """The dock, with a model and six images."""
    desk.open(scene)
    made = BatchPanel(desk.controller)
    qtbot.addWidget(made)
    made.resize(320, 900)
    made.show()
    qtbot.keyClicks(made.images.inputs, str(six_images))
    qtbot.keyClick(made.images.inputs, Qt.Key.Key_Return)
    return made


@pytest.fixture
def segmented(panel: BatchPanel, qtbot: Any) -> BatchPanel:
    """The dock, after a run."""
    qtbot.mouseClick(panel.bar.start, LEFT)
    return panel


def rows(panel: BatchPanel) -> list[list[str]]:
    model = panel.files.model
    return [
        [model.index(row, column).data() for column in range(model.columnCount())]
        for row in range(model.rowCount())
    ]


def test_what_is_missing_is_said_and_buttons_that_sleep_say_why(desk: Any, qtbot: Any) -> None:
    panel = BatchPanel(desk.controller)
    qtbot.addWidget(panel)
    assert panel.bar.start.text() == 'Segment files'
    assert not panel.bar.start.isEnabled()
    assert 'Nothing is learned yet' in panel.bar.start.toolTip()
    assert panel.bar.state.text().startswith('• Nothing is learned yet')
    asleep = [one for one in panel.findChildren(QPushButton) if not one.isEnabled()]
    assert len(asleep) == 8
    assert all(one.toolTip() for one in asleep)


def test_the_folder_is_described_and_the_button_says_what_it_will_do(
    panel: BatchPanel, six_images: Path
) -> None:
    said = '6 files, 48 x 48, grey; 1 cannot be read: 2.png'
    assert panel.images.found.text() == said
    assert panel.bar.start.text() == 'Segment 6 files'
    assert panel.bar.start.isEnabled()
    assert panel.results.out.text() == str(six_images / 'flim')
    assert [row[STATE] for row in rows(panel)] == ['\N{WHITE CIRCLE} waiting'] * 6


def test_a_pattern_leaves_files_out(panel: BatchPanel, qtbot: Any) -> None:
    qtbot.keyClicks(panel.images.pattern, '[34].png')
    qtbot.keyClick(panel.images.pattern, Qt.Key.Key_Return)
    assert panel.bar.start.text() == 'Segment 2 files'
    assert [row[FILE] for row in rows(panel)] == ['3.png', '4.png']


def test_a_run_fills_the_table_and_says_why_a_file_has_failed(segmented: BatchPanel) -> None:
    shown = rows(segmented)
    assert [row[STATE] for row in shown if row[FILE] != '2.png'] == ['\N{CHECK MARK} done'] * 5
    assert all(int(row[OBJECTS]) > 0 for row in shown if row[FILE] != '2.png')
    assert shown[2][STATE].startswith('\N{WARNING SIGN} failed: cannot be read')
    assert segmented.bar.state.text().startswith('5 files done, 1 failed in ')
    segmented.files.view.selectRow(2)
    assert segmented.files.detail.text().startswith('2.png: failed: cannot be read')
    assert not segmented.files.open.isEnabled()
    assert segmented.files.open.toolTip() == 'This file is not done yet'
    segmented.files.view.selectRow(0)
    assert 'done, ' in segmented.files.detail.text()
    assert segmented.files.open.isEnabled()


def test_an_earlier_run_is_named_and_the_choice_is_in_plain_words(
    segmented: BatchPanel, qtbot: Any
) -> None:
    assert segmented.results.earlier_text.text().endswith('5 of 6 files are done.')
    assert segmented.results.earlier.isVisible()
    assert segmented.bar.start.text() == 'Resume: 1 of 6 files left'
    segmented.results.earlier.setCurrentIndex(1)
    segmented.results.earlier.activated.emit(1)
    assert segmented.bar.start.text() == 'Overwrite: segment 6 files'
    qtbot.mouseClick(segmented.bar.start, LEFT)
    assert segmented.bar.start.text() == 'Resume: 1 of 6 files left'


def test_another_folder_for_results_starts_anew(
    segmented: BatchPanel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> None:
    chosen = str(tmp_path / 'other')
    monkeypatch.setattr(QFileDialog, 'getExistingDirectory', lambda *_: chosen)
    qtbot.mouseClick(segmented.results.choose_folder, LEFT)
    assert segmented.results.out.text() == chosen
    assert segmented.results.earlier.isHidden()
    assert segmented.bar.start.text() == 'Segment 6 files'
    assert not segmented.files.folder.isEnabled()
    assert segmented.files.folder.toolTip() == 'There are no results yet'


def test_trying_the_first_file_gives_an_estimate_of_time(
    desk: Any, panel: BatchPanel, qtbot: Any
) -> None:
    qtbot.mouseClick(panel.bar.try_first, LEFT)
    assert '0.png objects' in desk.viewer.layers
    assert panel.bar.state.text().startswith('0.png: ')
    assert panel.bar.start.text().startswith('Segment 6 files, about ')


def test_a_double_click_opens_the_result_and_a_button_the_folder(
    desk: Any, segmented: BatchPanel, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = segmented.files.view
    place = view.visualRect(view.model().index(1, FILE)).center()
    qtbot.mouseClick(view.viewport(), LEFT, pos=place)
    qtbot.mouseDClick(view.viewport(), LEFT, pos=place)
    assert '1.png objects' in desk.viewer.layers
    assert sum(layer.name == '1.png' for layer in desk.viewer.layers) == 1
    view.selectRow(3)
    qtbot.mouseClick(segmented.files.open, LEFT)
    assert '3.png objects' in desk.viewer.layers
    opened: list[QUrl] = []
    monkeypatch.setattr(QDesktopServices, 'openUrl', opened.append)
    qtbot.mouseClick(segmented.files.folder, LEFT)
    assert [Path(url.toLocalFile()).name for url in opened] == ['flim']


def test_ticks_format_axes_and_memory_are_what_a_run_takes(desk: Any, panel: BatchPanel) -> None:
    choices = lambda: desk.controller.batch.choices  # noqa: E731 - read anew each time
    panel.results.ticks['saliency'].click()
    panel.results.ticks['table'].click()
    panel.results.format.setCurrentIndex(2)
    panel.results.format.activated.emit(2)
    panel.more.memory.setValue(1.5)
    panel.more.axes.setText('yx')
    panel.more.axes.setModified(True)
    panel.more.axes.editingFinished.emit()
    assert (choices().saliency, choices().table, choices().format) == (True, False, 'nii.gz')
    assert (choices().axes, choices().memory_gb) == ('YX', 1.5)
    panel.more.memory.setValue(0)
    assert choices().memory_gb is None
    assert panel.more.memory.text() == 'automatic'
    panel.results.ticks['saliency'].click()
    panel.results.ticks['labels'].click()
    assert not panel.bar.start.isEnabled()
    assert 'Nothing is to be written' in panel.bar.state.text()


def test_a_model_file_can_be_chosen_and_left_again(
    desk: Any, panel: BatchPanel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> None:
    desk.controller.files.save_model(tmp_path / 'eggs.flim')
    monkeypatch.setattr(
        QFileDialog, 'getOpenFileName', lambda *_: (str(tmp_path / 'eggs.flim'), '')
    )
    assert panel.images.model.toolTip() == 'Reads images (y, x) with 1 channel'
    qtbot.mouseClick(panel.images.model_file, LEFT)
    assert panel.images.model.currentText() == 'eggs.flim'
    assert desk.controller.batch.choices.model == tmp_path / 'eggs.flim'
    panel.images.model.activated.emit(0)
    assert desk.controller.batch.choices.model is None
    assert panel.images.model.count() == 2


def test_files_can_be_chosen_one_by_one(
    panel: BatchPanel, six_images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = [str(six_images / '4.png'), str(six_images / '5.png')]
    monkeypatch.setattr(QFileDialog, 'getOpenFileNames', lambda *_: (chosen, ''))
    panel.images.kinds.actions()[1].trigger()
    assert panel.images.inputs.text() == '; '.join(chosen)
    assert panel.bar.start.text() == 'Segment 2 files'


def test_what_is_being_typed_is_not_taken_away(desk: Any, panel: BatchPanel, qtbot: Any) -> None:
    panel.images.pattern.setFocus()
    qtbot.keyClicks(panel.images.pattern, '*.p')
    desk.controller.batch.changed.emit()
    assert panel.images.pattern.text() == '*.p'


def test_a_second_dock_shows_the_same_run(desk: Any, segmented: BatchPanel, qtbot: Any) -> None:
    other = BatchPanel(desk.controller)
    qtbot.addWidget(other)
    assert rows(other) == rows(segmented)
    assert other.bar.state.text() == segmented.bar.state.text()
    assert other.images.inputs.text() == segmented.images.inputs.text()


def test_while_a_run_goes_on_it_can_be_paused_and_settings_sleep(
    desk: Any, panel: BatchPanel, qtbot: Any
) -> None:
    seen: list[str] = []

    def act() -> None:
        phase = desk.controller.batch.run.phase
        if phase == 'running' and 'paused' not in seen and rows(panel)[0][OBJECTS]:
            assert not panel.bar.start.isEnabled()
            assert panel.bar.start.toolTip() == 'A run goes on'
            assert not panel.images.isEnabled() and not panel.results.isEnabled()
            assert ' of 6 files' in panel.bar.state.text()
            assert ' left' in panel.bar.state.text()
            assert panel.bar.progress.value() > 0
            qtbot.mouseClick(panel.bar.pause, LEFT)
        elif phase == 'paused' and seen.count('paused') == 2:
            assert panel.bar.pause.text() == 'Go on'
            assert panel.bar.state.text().startswith('Paused. ')
            qtbot.mouseClick(panel.bar.pause, LEFT)
        seen.append(desk.controller.batch.run.phase)

    desk.controller.batch.run.changed.connect(act)
    qtbot.mouseClick(panel.bar.start, LEFT)
    assert seen.count('paused') >= 2
    assert panel.bar.pause.text() == 'Pause'
    assert panel.images.isEnabled()
    assert panel.bar.state.text().startswith('5 files done')


def test_selected_files_are_skipped(desk: Any, panel: BatchPanel, qtbot: Any) -> None:
    clicked: list[int] = []

    def act() -> None:
        if desk.controller.batch.run.phase == 'running' and not clicked:
            panel.files.view.selectRow(4)
            if panel.files.skip.isEnabled():
                clicked.append(4)
                qtbot.mouseClick(panel.files.skip, LEFT)

    assert panel.files.skip.toolTip() == 'Files can be left out while a run goes on'
    desk.controller.batch.run.changed.connect(act)
    qtbot.mouseClick(panel.bar.start, LEFT)
    assert rows(panel)[4][STATE] == '\N{EN DASH} skipped'


def test_failed_files_are_tried_again_by_a_button(
    panel: BatchPanel, six_images: Path, qtbot: Any
) -> None:
    assert panel.files.retry.toolTip() == 'No file has failed'
    qtbot.mouseClick(panel.bar.start, LEFT)
    (six_images / '2.png').write_bytes((six_images / '3.png').read_bytes())
    qtbot.mouseClick(panel.files.retry, LEFT)
    assert rows(panel)[2][STATE] == '\N{CHECK MARK} done'


def test_rows_are_sorted_by_urgency_and_by_number(segmented: BatchPanel) -> None:
    view = segmented.files.view
    view.selectRow(0)
    view.sortByColumn(STATE, Qt.SortOrder.AscendingOrder)
    assert rows(segmented)[0][FILE] == '2.png'
    assert [row.source.name for row in segmented.files.selected()] == ['0.png']
    view.sortByColumn(OBJECTS, Qt.SortOrder.DescendingOrder)
    numbers = [int(row[OBJECTS] or -1) for row in rows(segmented)]
    assert numbers == sorted(numbers, reverse=True)


def test_of_ten_thousand_files_only_those_that_change_are_drawn_again(qtbot: Any) -> None:
    run = BatchRun()
    tasks = [FileTask(n, Path(f'{n}.tif'), str(n), 1, 0) for n in range(MANY)]
    model = FileModel(run)
    run.show(FileRow(task.source) for task in tasks)
    assert model.rowCount() == MANY
    model.sort(FILE, Qt.SortOrder.DescendingOrder)
    drawn: list[tuple[int, int]] = []
    model.dataChanged.connect(lambda first, last, *_: drawn.append((first.row(), last.row())))
    run.apply(Started(tasks[7]))
    run.apply(Advanced(tasks[7], Progress('growing trees', 1, 4)))
    assert drawn == []
    run.changed.emit()
    assert drawn == [(MANY - 8, MANY - 8)]
    assert model.index(MANY - 8, STATE).data().endswith('running, 25 %: growing trees')
    for task in tasks[:200]:
        run.apply(Done(task, 3, 0.1, (), '', ''))
    run.changed.emit()
    assert drawn[1:] == [(MANY - 200, MANY - 1)]
    assert run.count('done') == 200


def test_everything_fits_into_a_narrow_dock(segmented: BatchPanel) -> None:
    for section in segmented.sections.values():
        section.open(True)
    segmented.resize(320, 900)
    (area,) = segmented.findChildren(QScrollArea, options=Qt.FindChildOption.FindDirectChildrenOnly)
    assert area.widget().minimumSizeHint().width() <= area.viewport().width()
    assert segmented.minimumSizeHint().width() <= 320


def test_a_folded_section_leaves_its_height_to_the_table(segmented: BatchPanel, qtbot: Any) -> None:
    before = segmented.files.view.height()
    for section in segmented.sections.values():
        section.open(False)
    qtbot.waitUntil(lambda: segmented.files.view.height() > before + 100)


def test_what_has_no_text_of_its_own_has_a_name(panel: BatchPanel) -> None:
    panel.sections['more'].open(True)
    kinds = (
        QAbstractSpinBox, QCheckBox, QComboBox, QLineEdit, QTableView, QToolButton, QPushButton
    )  # fmt: skip
    nameless = [
        one
        for kind in kinds
        for one in panel.findChildren(kind)
        if one.isVisible()
        and one.objectName() != 'qt_spinbox_lineedit'
        and not QAccessible.queryAccessibleInterface(one).text(QAccessible.Text.Name)
    ]
    assert nameless == []


def test_the_tab_key_goes_from_above_to_below(panel: BatchPanel) -> None:
    stops = [
        panel.images.model,
        panel.images.inputs,
        panel.images.pattern,
        panel.results.ticks['labels'],
        panel.results.format,
        panel.results.out,
        panel.files.view,
        panel.files.open,
        panel.bar.start,
        panel.bar.cancel,
    ]
    seen, one = [], panel.images.model
    for _ in range(80):
        seen.append(one)
        one = one.nextInFocusChain()
    places = [seen.index(stop) for stop in stops]
    assert places == sorted(places)
