"""What all docks of ours have in common: a short title, and tabs instead of a pile."""

from __future__ import annotations

from typing import ClassVar

from qtpy.QtCore import QEvent, QTimer
from qtpy.QtWidgets import QDockWidget, QLabel, QMainWindow, QSizePolicy, QVBoxLayout, QWidget


class Docked(QWidget):
    """A widget that settles among the docks of ours as soon as napari has docked it.

    Its tab is called after the widget in the manifest. The title that napari gives, with the name
    of the whole plugin in it, is too long for a tab, and a dock opened from the menu would come
    below the others.

    Parameters
    ----------
    parent : QWidget, optional
    """

    title: ClassVar[str]
    """Name of the widget in the manifest."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._settled: QDockWidget | None = None
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.timeout.connect(self._on_docked)

    def hold(self, panel: QWidget) -> None:
        """Let one widget fill the dock."""
        # napari adds an empty stretch below a dock of which no part wants all of the height.
        panel.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(panel)

    def changeEvent(self, event: QEvent) -> None:
        """Notice the dock, of which napari tells nothing."""
        if event.type() == QEvent.Type.ParentChange:
            self._soon.start()
        super().changeEvent(event)

    def _on_docked(self) -> None:
        dock = self.parentWidget()
        if not isinstance(dock, QDockWidget) or dock is self._settled:
            return
        self._join_tabs(dock)
        self._settled = dock
        self._on_title_made()
        # napari makes a new title whenever the dock floats or moves to another side.
        dock.topLevelChanged.connect(self._on_title_made)
        dock.dockLocationChanged.connect(self._on_title_made)

    def _join_tabs(self, dock: QDockWidget) -> None:
        """Become a tab beside a dock of ours that was there before, unless it is one already."""
        window = dock.parentWidget()
        if not isinstance(window, QMainWindow) or dock.isFloating():
            return
        ours = [
            other
            for other in window.findChildren(QDockWidget)
            if _is_settled(other)
            and not other.isFloating()
            and other.toggleViewAction().isChecked()
        ]
        tabbed = window.tabifiedDockWidgets(dock)
        if ours and not any(other in tabbed for other in ours):
            window.tabifyDockWidget(ours[-1], dock)
            dock.show()
            dock.raise_()

    def _on_title_made(self) -> None:
        dock = self.parentWidget()
        if not isinstance(dock, QDockWidget):
            return
        dock.setWindowTitle(self.title)
        for label in dock.titleBarWidget().findChildren(QLabel):
            if label.text():
                label.setText(f'FLIM - {self.title}')


def _is_settled(dock: QDockWidget) -> bool:
    """Whether a dock holds a widget of ours that found its place before."""
    widget = dock.widget()
    return isinstance(widget, Docked) and widget._settled is dock
