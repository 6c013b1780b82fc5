"""A dock that keeps still for a moment while its work is done."""

from __future__ import annotations

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QWidget

from napari_flim.session.session import Session
from napari_flim.widgets.connections import Connections

LONGEST_MS = 350
"""After that the user wants to see progress."""


class Quiet:
    """Lets a dock be drawn once after short work, and not several times during it.

    Whatever changes in a dock makes Qt put the whole window together again, canvas included, which
    takes tens of milliseconds of all processors where there is no graphics card. Spent while a
    stroke is being learned from, they double the wait.

    Parameters
    ----------
    dock : QWidget
    session : Session
    """

    def __init__(self, dock: QWidget, session: Session) -> None:
        self._dock = dock
        self._session = session
        self._waited = False
        self._timer = QTimer(dock)
        self._timer.setSingleShot(True)
        self._timer.setInterval(LONGEST_MS)
        self._timer.timeout.connect(self._on_timer_timeout)
        Connections(dock).hear(session.events['work'], self._on_work_changed)

    def _on_work_changed(self) -> None:
        if self._session.work is None:
            self._timer.stop()
            self._waited = False
            self._dock.setUpdatesEnabled(True)
        elif not self._waited and not self._timer.isActive():
            self._timer.start()
            self._dock.setUpdatesEnabled(False)

    def _on_timer_timeout(self) -> None:
        self._waited = True
        self._dock.setUpdatesEnabled(True)
