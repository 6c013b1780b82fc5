"""A histogram of saliency with a threshold that can be dragged."""

from __future__ import annotations

from collections.abc import Sequence

from psygnal import Signal
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_flim.session.classes import Colour
from napari_flim.widgets.parts import to_qcolor

HEIGHT = 74
BELOW = 14
"""Pixels for the words under the bars."""

STEP = 0.01
HANDLE = 5.0
GREY: Colour = (0.6, 0.6, 0.6)


class Histogram(QWidget):
    """Heights of bars from 0 to 1, a line for the threshold, and a mark where a rule would put it.

    Parameters
    ----------
    parent : QWidget, optional
    """

    dragged = Signal(float)
    """The line is at this saliency while the mouse holds it."""

    dropped = Signal(float)
    """The user is done with moving the line."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._heights: tuple[float, ...] = ()
        self._colour = GREY
        self._mark: float | None = None
        self._held = False
        self.threshold: float | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName('threshold of the saliency')
        self.setToolTip(
            'How often each saliency occurs. Drag the line, or use the arrow keys: what lies to '
            'the right of it is object.'
        )
        self.setCursor(Qt.CursorShape.SplitHCursor)

    def sizeHint(self) -> QSize:
        """Low and wide."""
        return QSize(200, HEIGHT)

    def show_values(
        self,
        heights: Sequence[float],
        mark: float | None,
        threshold: float | None,
        colour: Colour,
    ) -> None:
        """Show other bars, and the line unless it is being moved.

        Parameters
        ----------
        heights : sequence of float
            From 0 to 1, of bars from saliency 0 to 1.
        mark : float, optional
            Where the rule puts the threshold.
        threshold : float, optional
        colour : tuple of float
            Of the class.
        """
        self._heights, self._mark, self._colour = tuple(heights), mark, colour
        if not self._held:
            self.threshold = threshold
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Bars, the mark with its word, and the line on top."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        floor = self.height() - BELOW
        text = self.palette().windowText().color()
        width = self.width() / max(1, len(self._heights))
        painter.setPen(Qt.PenStyle.NoPen)
        for place, height in enumerate(self._heights):
            above = self.threshold is not None and (place + 0.5) / len(self._heights) > (
                self.threshold
            )
            painter.setBrush(to_qcolor(self._colour if above else GREY))
            painter.drawRect(QRectF(place * width, floor * (1 - height), width, floor * height))
        painter.setPen(QPen(text, 1))
        painter.drawLine(QPointF(0, floor), QPointF(self.width(), floor))
        if self._mark is not None:
            self._draw_mark(painter, self._mark, floor, text)
        if self.threshold is not None:
            self._draw_line(painter, self.threshold, floor, text)
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(self.palette().highlight().color(), 1, Qt.PenStyle.DotLine))
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))

    def _draw_mark(self, painter: QPainter, value: float, floor: float, colour: QColor) -> None:
        x = value * self.width()
        painter.setPen(QPen(colour, 1, Qt.PenStyle.DashLine))
        painter.drawLine(QPointF(x, 0), QPointF(x, floor))
        half = painter.fontMetrics().horizontalAdvance('Otsu') / 2
        left = min(max(x - half, 0.0), self.width() - 2 * half)
        painter.drawText(QPointF(left, self.height() - 2.0), 'Otsu')

    def _draw_line(self, painter: QPainter, value: float, floor: float, colour: QColor) -> None:
        x = value * self.width()
        painter.setPen(QPen(colour, 2))
        painter.drawLine(QPointF(x, 0), QPointF(x, floor))
        painter.setBrush(colour)
        painter.drawPolygon(
            QPolygonF([QPointF(x - HANDLE, 0), QPointF(x + HANDLE, 0), QPointF(x, 2 * HANDLE)])
        )

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Take the line to the mouse."""
        if event.button() == Qt.MouseButton.LeftButton and self._heights:
            self._held = True
            self._move(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Move the line along."""
        if self._held:
            self._move(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Let go of the line."""
        if self._held and event.button() == Qt.MouseButton.LeftButton:
            self._held = False
            self._drop()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Left and right move the line by one percent."""
        steps = {Qt.Key.Key_Left: -STEP, Qt.Key.Key_Right: STEP}
        step = steps.get(Qt.Key(event.key()))
        if step is None or self.threshold is None:
            super().keyPressEvent(event)
            return
        self.threshold = _within(self.threshold + step)
        self.update()
        self._drop()

    def _move(self, event: QMouseEvent) -> None:
        self.threshold = _within(event.position().x() / max(1, self.width()))
        self.update()
        self.dragged.emit(self.threshold)

    def _drop(self) -> None:
        if self.threshold is not None:
            self.dropped.emit(self.threshold)


def _within(value: float) -> float:
    return round(min(max(value, 0.0), 1.0), 3)
