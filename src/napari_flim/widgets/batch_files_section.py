"""The table of files, and what can be done with them."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QModelIndex, Qt, QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QGridLayout, QHeaderView, QVBoxLayout, QWidget

from napari_flim.bridge.controller import Controller
from napari_flim.session.batch_files import FileRow
from napari_flim.session.batch_words import about
from napari_flim.widgets.batch_table import FILE, OBJECTS, STATE, FileModel
from napari_flim.widgets.connections import Connections
from napari_flim.widgets.parts import MARGIN, StillText, enable, narrow_button
from napari_flim.widgets.tables import sorted_table

LEAST_HEIGHT = 110
OBJECTS_WIDTH = 62
FILE_WIDTH = 110
DETAIL_LINES = 1
SEVERAL = 'Select one file'


class FilesSection(QWidget):
    """Rows of files.

    Parameters
    ----------
    controller : Controller
    parent : QWidget, optional
    """

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._batch = controller.batch
        self.model = FileModel(controller.batch.run, self)
        self._selected: list[int] = []
        self._make_table()
        self.detail = StillText(DETAIL_LINES)
        self.detail.setAccessibleName('about the selected file')
        self.skip = narrow_button('Skip', self._on_skip_clicked)
        self.retry = narrow_button('Retry failed', self._on_retry_clicked)
        self.open = narrow_button('Open result', self._on_open_clicked)
        self.folder = narrow_button('Open folder', self._on_folder_clicked)
        buttons = QGridLayout()
        buttons.setSpacing(MARGIN)
        for place, button in enumerate((self.open, self.folder, self.skip, self.retry)):
            buttons.addWidget(button, place // 2, place % 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(MARGIN, 0, MARGIN, 0)
        layout.setSpacing(MARGIN)
        layout.addWidget(self.view, 1)
        layout.addWidget(self.detail)
        layout.addLayout(buttons)
        heard = Connections(self)
        heard.hear(controller.batch.run.changed, self._refresh)
        heard.hear(controller.batch.changed, self._refresh)
        self._refresh()

    def _make_table(self) -> None:
        self.view = sorted_table(self.model, 'files', by=FILE, least_height=LEAST_HEIGHT)
        self.view.setWordWrap(False)
        self.view.setTextElideMode(Qt.TextElideMode.ElideRight)
        header = self.view.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setSectionResizeMode(STATE, QHeaderView.ResizeMode.Stretch)
        header.resizeSection(FILE, FILE_WIDTH)
        header.resizeSection(OBJECTS, OBJECTS_WIDTH)
        self.view.selectionModel().selectionChanged.connect(self._on_selection_changed)
        # A reset takes the selection away without a word.
        self.model.modelReset.connect(self._on_selection_changed)
        self.view.doubleClicked.connect(self._on_row_double_clicked)
        self.view.activated.connect(self._on_row_double_clicked)

    def selected(self) -> list[FileRow]:
        """Rows that are selected."""
        return [self.model.row_at(place) for place in self._selected]

    def _on_selection_changed(self) -> None:
        """Remember what is selected: to ask for thousands of rows at every step takes too long."""
        ranges: Any = self.view.selectionModel().selection()
        rows = sorted({row for one in ranges for row in range(one.top(), one.bottom() + 1)})
        self._selected = [self.model.place(row) for row in rows]
        self._refresh()

    def _refresh(self) -> None:
        """What is said of the selected file, and what can be done."""
        rows = self.selected()
        text = ''
        if len(rows) == 1:
            text = about(rows[0])
        elif rows:
            text = f'{len(rows)} files are selected.'
        if text != self.detail.text():
            self.detail.setText(text)
        folder = self._batch.folder
        exists = folder is not None and folder.is_dir()
        for button, reason, tip in (
            (self.skip, self._skip_problem(rows), 'Leave the selected files out of this run'),
            (self.retry, self._batch.retry_problem(), 'Segment the files again that have failed'),
            (self.open, _open_problem(rows), 'Show image and objects in the viewer (double click)'),
            (self.folder, '' if exists else 'There are no results yet', str(folder)),
        ):
            enable(button, reason, tip)

    def _skip_problem(self, rows: list[FileRow]) -> str:
        if self._batch.run.phase not in ('running', 'paused'):
            return 'Files can be left out while a run goes on'
        waiting = any(row.state == 'waiting' for row in rows)
        return '' if waiting else 'Select files that wait first (Shift, Ctrl for several)'

    def _on_skip_clicked(self) -> None:
        self._batch.skip(self.selected())

    def _on_retry_clicked(self) -> None:
        self._batch.retry_failed()

    def _on_open_clicked(self) -> None:
        rows = self.selected()
        if not _open_problem(rows):
            self._batch.open_result(rows[0])

    def _on_row_double_clicked(self, index: QModelIndex) -> None:
        row = self.model.row(index)
        if not _open_problem([row]):
            self._batch.open_result(row)

    def _on_folder_clicked(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._batch.folder)))


def _open_problem(rows: list[FileRow]) -> str:
    if len(rows) != 1:
        return SEVERAL
    return '' if rows[0].state == 'done' else 'This file is not done yet'
