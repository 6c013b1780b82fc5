"""Undo and redo, with the name of what they would take back."""

from __future__ import annotations

from qtpy.QtWidgets import QHBoxLayout, QWidget

from napari_flim.session.session import Session
from napari_flim.widgets.connections import Connections
from napari_flim.widgets.parts import small_button


class UndoButtons(QWidget):
    """Two buttons for the history of a session.

    Parameters
    ----------
    session : Session
    parent : QWidget, optional
    """

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.undo = small_button('\N{ANTICLOCKWISE TOP SEMICIRCLE ARROW}', 'undo', '')
        self.undo.clicked.connect(self._on_undo_clicked)
        self.redo = small_button('\N{CLOCKWISE TOP SEMICIRCLE ARROW}', 'redo', '')
        self.redo.clicked.connect(self._on_redo_clicked)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.undo)
        layout.addWidget(self.redo)
        Connections(self).hear(session.events['history'], self._on_history_changed)
        self._on_history_changed()

    def _on_history_changed(self) -> None:
        history = self._session.history
        for button, changes, verb in (
            (self.undo, history.done, 'Undo'),
            (self.redo, history.undone, 'Redo'),
        ):
            button.setEnabled(bool(changes))
            nothing = f'Nothing to {verb.lower()}'
            button.setToolTip(f'{verb}: {changes[-1].name}' if changes else nothing)

    def _on_undo_clicked(self) -> None:
        self._session.undo()

    def _on_redo_clicked(self) -> None:
        self._session.redo()
