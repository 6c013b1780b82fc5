"""A scrolled part of a dock that is never higher than what is in it."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, QSize
from qtpy.QtWidgets import QScrollArea, QSizePolicy, QWidget

LEAST_HEIGHT = 120


class FittingArea(QScrollArea):
    """Leaves what lies below the rest of the height, also when a section of it is folded.

    Parameters
    ----------
    parent : QWidget, optional
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._content: QWidget | None = None
        self.setMinimumHeight(LEAST_HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)

    def setWidget(self, widget: QWidget) -> None:
        """Scroll this widget."""
        super().setWidget(widget)
        self._content = widget
        widget.installEventFilter(self)

    def sizeHint(self) -> QSize:
        """As high as the content is in this width."""
        hint = super().sizeHint()
        layout = None if self._content is None else self._content.layout()
        if layout is None:
            return hint
        wanted = layout.totalHeightForWidth(max(1, self.viewport().width()))
        return QSize(hint.width(), max(wanted, layout.totalSizeHint().height()))

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Take another height when the content wants another one."""
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return False
