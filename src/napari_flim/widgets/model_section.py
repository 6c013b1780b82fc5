"""Model and session: save, open, recover, and the same as a Python script."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import (
    QApplication,
    QFileDialog,
    QGridLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_flim.bridge.controller import Controller
from napari_flim.bridge.files import copy_script
from napari_flim.errors import FlimError
from napari_flim.session.session import Message
from napari_flim.widgets.connections import Connections
from napari_flim.widgets.saving import ask_where_to_save

MODELS = 'FLIM models (*.flim)'
SESSIONS = 'FLIM sessions (*.flim-session)'


class ModelSection(QWidget):
    """Buttons for files.

    Parameters
    ----------
    controller : Controller
    parent : QWidget, optional
    """

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self.save_model = self._button('Save model...', self._on_save_model_clicked)
        self.open_model = self._button('Open model...', self._on_open_model_clicked)
        self.save_session = self._button('Save session...', self._on_save_session_clicked)
        self.open_session = self._button('Open session...', self._on_open_session_clicked)
        self.script = self._button('Copy as Python', self._on_script_clicked)
        self.open_model.setToolTip('A .flim file: kernels and decoder, ready for other images')
        self.save_session.setToolTip('Images, markers, settings, kernel edits and model, one file')
        self.open_session.setToolTip('Go on where a saved session ended')
        grid = QGridLayout()
        grid.addWidget(self.save_model, 0, 0)
        grid.addWidget(self.open_model, 0, 1)
        grid.addWidget(self.save_session, 1, 0)
        grid.addWidget(self.open_session, 1, 1)
        grid.addWidget(self.script, 2, 0, 1, 2)
        layout = QVBoxLayout(self)
        layout.addLayout(grid)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.timeout.connect(self._on_session_changed)
        heard = Connections(self)
        for name in ('items', 'state'):
            heard.hear(controller.session.events[name], self._soon.start)
        self._on_session_changed()

    def _button(self, text: str, clicked: Callable[[], None]) -> QPushButton:
        button = QPushButton(text)
        button.clicked.connect(clicked)
        return button

    def _on_session_changed(self) -> None:
        session = self._controller.session
        learned = session.learned is not None
        self.save_model.setEnabled(learned)
        self.save_model.setToolTip(
            'What you see, as a .flim file for other images'
            if learned
            else 'Nothing is learned yet'
        )
        self.script.setEnabled(learned)
        self.script.setToolTip(
            'A script that learns the same model without napari, to the clipboard'
            if learned
            else 'Nothing is learned yet'
        )
        self.save_session.setEnabled(bool(session.items))

    def _on_save_model_clicked(self) -> None:
        path = ask_where_to_save(self, 'Save model', 'model.flim', MODELS, '.flim')
        if path is not None:
            self._controller.files.save_model(path)

    def _on_open_model_clicked(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, 'Open model', '', MODELS)
        if path:
            self._controller.files.open_model(Path(path))

    def _on_save_session_clicked(self) -> None:
        name = 'session.flim-session'
        path = ask_where_to_save(self, 'Save session', name, SESSIONS, '.flim-session')
        if path is not None:
            self._controller.files.save_session(path)

    def _on_open_session_clicked(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, 'Open session', '', SESSIONS)
        if path:
            self._controller.files.open_session(Path(path))

    def _on_script_clicked(self) -> None:
        session = self._controller.session
        try:
            text = copy_script(self._controller)
        except FlimError as error:
            session.message = Message(str(error), error=True)
            return
        QApplication.clipboard().setText(text)
        session.message = Message('The script is in the clipboard.')
