"""Undo and redo, with the name of what they would take back."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtWidgets import QHBoxLayout, QWidget

from napari_flim.session.session import Session
from napari_flim.widgets.connections import Connections
from napari_flim.widgets.parts import small_button


class UndoButtons(QWidget):
    """Two buttons for changes that can be taken back.

    Parameters
    ----------
    undo, redo : callable
        Bound methods.
    what : str
        What screen readers say is undone.
    parent : QWidget, optional
    """

    def __init__(
        self,
        undo: Callable[[], None],
        redo: Callable[[], None],
        what: str = '',
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._undo, self._redo = undo, redo
        self.undo = small_button(
            '\N{ANTICLOCKWISE TOP SEMICIRCLE ARROW}', f'undo {what}'.rstrip(), ''
        )
        self.undo.clicked.connect(self._on_undo_clicked)
        self.redo = small_button('\N{CLOCKWISE TOP SEMICIRCLE ARROW}', f'redo {what}'.rstrip(), '')
        self.redo.clicked.connect(self._on_redo_clicked)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.undo)
        layout.addWidget(self.redo)

    def show_latest(self, done: str, undone: str, *, hindered: str = '') -> None:
        """Show what would be undone and redone.

        Parameters
        ----------
        done, undone : str
            Names of the latest changes; empty without any.
        hindered : str
            Why neither is possible now.
        """
        for button, name, verb in ((self.undo, done, 'Undo'), (self.redo, undone, 'Redo')):
            button.setEnabled(bool(name) and not hindered)
            tip = f'{verb}: {name}' if name else f'Nothing to {verb.lower()}'
            button.setToolTip(hindered or tip)

    def _on_undo_clicked(self) -> None:
        self._undo()

    def _on_redo_clicked(self) -> None:
        self._redo()


class SessionUndo(UndoButtons):
    """Undo and redo of the history of a session.

    Parameters
    ----------
    session : Session
    parent : QWidget, optional
    """

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session.undo, session.redo, parent=parent)
        self._session = session
        Connections(self).hear(session.events['history'], self._on_history_changed)
        self._on_history_changed()

    def _on_history_changed(self) -> None:
        history = self._session.history
        self.show_latest(
            history.done[-1].name if history.done else '',
            history.undone[-1].name if history.undone else '',
        )
