"""How one kernel is painted in the list, and which parts of its card can be clicked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QModelIndex, QPersistentModelIndex, QPoint, QRect, QSize, Qt
from qtpy.QtGui import QFontMetrics, QImage, QPainter, QPalette, QPixmap
from qtpy.QtWidgets import (
    QApplication,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionButton,
    QStyleOptionViewItem,
)

from napari_flim.widgets.parts import to_qcolor

if TYPE_CHECKING:
    from napari_flim.session.card_faces import CardFace

Index = QModelIndex | QPersistentModelIndex

FACE = int(Qt.ItemDataRole.UserRole)
PICTURES = FACE + 1
"""Roles under which a model gives the `CardFace` and the `CardPictures` of a row."""

PICTURE = QSize(88, 72)
PATCH = 26
EDGE = 4
GAP = 2
OFF_OPACITY = 0.35


@dataclass(frozen=True, eq=False)
class CardPictures:
    """What a card shows, ready to paint."""

    activation: QPixmap
    patch: QPixmap | None


def to_pixmap(picture: NDArray[np.uint8]) -> QPixmap:
    """A (Y, X) grey or (Y, X, 3) RGB array for Qt."""
    pixels = np.ascontiguousarray(picture)
    height, width = pixels.shape[:2]
    grey = pixels.ndim == 2
    kind = QImage.Format.Format_Grayscale8 if grey else QImage.Format.Format_RGB888
    image = QImage(pixels.tobytes(), width, height, pixels.strides[0], kind)
    return QPixmap.fromImage(image)


@dataclass(frozen=True, slots=True)
class CardParts:
    """Where the parts of a card lie."""

    picture: QRect
    swatch: QRect
    name: QRect
    sign: QRect
    tick: QRect
    relevance: QRect


def card_size(metrics: QFontMetrics) -> QSize:
    """Size of every card in a font."""
    lines = 2 * (metrics.height() + GAP)
    return QSize(PICTURE.width() + 2 * EDGE, PICTURE.height() + lines + 2 * EDGE)


def card_parts(card: QRect, metrics: QFontMetrics) -> CardParts:
    """Parts of a card that lies somewhere."""
    inside = card.adjusted(EDGE, EDGE, -EDGE, -EDGE)
    line = metrics.height()
    left, right = inside.left(), inside.right() + 1
    first = inside.top() + PICTURE.height() + GAP
    second = first + line + GAP
    small = max(8, line - 6)
    name_left = left + small + EDGE
    return CardParts(
        picture=QRect(inside.topLeft(), QSize(inside.width(), PICTURE.height())),
        swatch=QRect(left, first + (line - small) // 2, small, small),
        name=QRect(name_left, first, right - name_left, line),
        tick=QRect(left, second, line, line),
        sign=QRect(left + line + 2 * EDGE, second, line, line),
        relevance=QRect(left + 2 * (line + EDGE), second, right - left - 2 * (line + EDGE), line),
    )


class CardDelegate(QStyledItemDelegate):
    """Paints kernel cards in the colours of the palette, so that every theme shows through."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return card_size(option.fontMetrics)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        face: CardFace = index.data(FACE)
        pictures: CardPictures = index.data(PICTURES)
        parts = card_parts(option.rect, option.fontMetrics)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        style = option.widget.style() if option.widget else QApplication.style()
        style.drawPrimitive(
            QStyle.PrimitiveElement.PE_PanelItemViewItem, option, painter, option.widget
        )
        if option.state & QStyle.StateFlag.State_Selected:
            painter.setPen(option.palette.color(QPalette.ColorRole.Text))
            painter.drawRect(option.rect.adjusted(1, 1, -2, -2))
        self._paint_picture(painter, parts.picture, face, pictures)
        _paint_words(painter, parts, face, option)
        _paint_tick(painter, parts.tick, face, option)
        painter.restore()

    def _paint_picture(
        self, painter: QPainter, place: QRect, face: CardFace, pictures: CardPictures
    ) -> None:
        painter.setOpacity(1.0 if face.ticked else OFF_OPACITY)
        painter.fillRect(place, Qt.GlobalColor.black)
        painter.drawPixmap(_fitting(pictures.activation, place), pictures.activation)
        if pictures.patch is not None:
            corner = QRect(place.left(), place.bottom() - PATCH + 1, PATCH, PATCH)
            painter.drawPixmap(corner, pictures.patch)
            painter.setPen(to_qcolor(face.marked.colour))
            painter.drawRect(corner.adjusted(0, 0, -1, -1))
        painter.setOpacity(1.0)
        number = f'#{face.card.kernel + 1}'
        metrics = painter.fontMetrics()
        width = metrics.horizontalAdvance(number) + EDGE
        badge = QRect(place.right() - width + 1, place.top(), width, metrics.height())
        painter.fillRect(badge, Qt.GlobalColor.black)
        painter.setPen(Qt.GlobalColor.white)
        painter.drawText(badge, Qt.AlignmentFlag.AlignCenter, number)


def _fitting(pixmap: QPixmap, place: QRect) -> QRect:
    """The largest rectangle of the shape of a picture in the middle of a place."""
    size = pixmap.size().scaled(place.size(), Qt.AspectRatioMode.KeepAspectRatio)
    fitted = QRect(QPoint(0, 0), size)
    fitted.moveCenter(place.center())
    return fitted


def _paint_words(
    painter: QPainter, parts: CardParts, face: CardFace, option: QStyleOptionViewItem
) -> None:
    """Class, weight and relevance. A weight set by hand is bold in a box; others are plain."""
    metrics, middle = option.fontMetrics, Qt.AlignmentFlag.AlignVCenter
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(to_qcolor(face.marked.colour))
    painter.drawRoundedRect(parts.swatch, 2, 2)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(option.palette.color(QPalette.ColorRole.Text))
    name = metrics.elidedText(face.marked.name, Qt.TextElideMode.ElideRight, parts.name.width())
    painter.drawText(parts.name, middle | Qt.AlignmentFlag.AlignLeft, name)
    painter.drawText(parts.relevance, middle | Qt.AlignmentFlag.AlignRight, face.relevance)
    if face.by_hand is not None and face.weighs:
        font = painter.font()
        font.setBold(True)
        painter.setFont(font)
        painter.drawRoundedRect(parts.sign.adjusted(0, 0, -1, -1), 3, 3)
    painter.drawText(parts.sign, Qt.AlignmentFlag.AlignCenter, face.sign)


def _paint_tick(
    painter: QPainter, place: QRect, face: CardFace, option: QStyleOptionViewItem
) -> None:
    """A check box as the theme draws it."""
    box = QStyleOptionButton()
    box.rect = place
    box.palette = option.palette
    state = QStyle.StateFlag.State_On if face.ticked else QStyle.StateFlag.State_Off
    box.state = QStyle.StateFlag.State_Enabled | state
    style = option.widget.style() if option.widget else QApplication.style()
    style.drawPrimitive(
        QStyle.PrimitiveElement.PE_IndicatorItemViewItemCheck, box, painter, option.widget
    )
