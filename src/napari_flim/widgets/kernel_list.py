"""The list of kernel cards: what is in it, and what clicks and keys on it ask for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psygnal import Signal
from qtpy.QtCore import QAbstractListModel, QModelIndex, QPoint, QSize, Qt, QTimer
from qtpy.QtGui import QContextMenuEvent, QKeyEvent, QMouseEvent
from qtpy.QtWidgets import QAbstractItemView, QApplication, QListView, QWidget

from napari_flim.session.card_faces import CardFace
from napari_flim.widgets.kernel_card import (
    FACE,
    PICTURES,
    CardDelegate,
    CardPictures,
    Index,
    card_parts,
    card_size,
    to_pixmap,
)

ROOT = QModelIndex()


class CardModel(QAbstractListModel):
    """Kernel cards in the order shown; changed in place as long as the kernels stay the same."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._faces: list[CardFace] = []
        self._pictures: list[CardPictures] = []

    def show_faces(self, faces: Sequence[CardFace]) -> None:
        """Show these cards. Selected kernels stay selected, wherever they move."""
        new = list(faces)
        if {_name(face) for face in new} != {_name(face) for face in self._faces}:
            self.beginResetModel()
            self._take(new)
            self.endResetModel()
            return
        before = [_name(face) for face in self._faces]
        rows = {_name(face): row for row, face in enumerate(new)}
        if before == list(rows):
            self._take(new)
        else:
            self.layoutAboutToBeChanged.emit()
            old = self.persistentIndexList()
            moved = [self.index(rows[before[index.row()]], 0) for index in old]
            self._take(new)
            self.changePersistentIndexList(old, moved)
            self.layoutChanged.emit()
        if new:
            self.dataChanged.emit(self.index(0, 0), self.index(len(new) - 1, 0))

    def _take(self, faces: list[CardFace]) -> None:
        """Keep the faces, and the pictures that are the same objects as before."""
        drawn = {
            id(face.card): pictures
            for face, pictures in zip(self._faces, self._pictures, strict=True)
        }
        self._pictures = [drawn.get(id(face.card)) or _pictures(face) for face in faces]
        self._faces = faces

    def rowCount(self, parent: Index = ROOT) -> int:
        return 0 if parent.isValid() else len(self._faces)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        face = self._faces[index.row()]
        if role == FACE:
            return face
        if role == PICTURES:
            return self._pictures[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return str(face.card.kernel + 1)
        if role == Qt.ItemDataRole.ToolTipRole:
            return face.tooltip()
        return face.name if role == Qt.ItemDataRole.AccessibleTextRole else None


def _name(face: CardFace) -> tuple[int, int]:
    return face.card.block, face.card.kernel


def _pictures(face: CardFace) -> CardPictures:
    patch = face.card.patch
    return CardPictures(
        activation=to_pixmap(face.card.picture), patch=None if patch is None else to_pixmap(patch)
    )


class CardList(QListView):
    """Cards side by side, as many in a row as fit.

    A click on the tick or the weight of a selected card asks for all selected cards, on another
    card for that one alone; neither changes the selection. A click on the rest of a card is only
    told of when no second click made it a double click. Signals that ask for a change give the
    card in question and all cards to change.
    """

    ticks_asked = Signal(CardFace, list)
    weights_asked = Signal(CardFace, list)
    picture_asked = Signal(CardFace)
    image_asked = Signal()
    """The image alone is wanted, without a channel over it."""
    origin_asked = Signal(CardFace)
    menu_asked = Signal(QPoint)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.cards = CardModel(self)
        self.setModel(self.cards)
        self.setItemDelegate(CardDelegate(self))
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setMovement(QListView.Movement.Static)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setUniformItemSizes(True)
        self.setSpacing(1)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumHeight(card_size(self.fontMetrics()).height())
        self._pressed: tuple[str, QModelIndex] | None = None
        self._clicked: CardFace | None = None
        self._second_click = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._on_timer_timeout)
        self.clicked.connect(self._on_card_clicked)

    def sizeHint(self) -> QSize:
        size = card_size(self.fontMetrics())
        return QSize(3 * size.width(), 2 * size.height())

    def selected(self) -> list[CardFace]:
        """Selected cards in the order shown."""
        rows = sorted(index.row() for index in self.selectionModel().selectedIndexes())
        return [self.cards.index(row, 0).data(FACE) for row in rows]

    def acted_on(self, index: QModelIndex) -> list[CardFace]:
        """What an action on one card is meant for: the selection, if the card is part of it."""
        if self.selectionModel().isSelected(index):
            return self.selected()
        return [index.data(FACE)]

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._second_click = False
        self._pressed = self._part_at(event)
        if self._pressed is None:
            super().mousePressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        pressed, self._pressed = self._pressed, None
        if pressed is None:
            super().mouseReleaseEvent(event)
        elif pressed == self._part_at(event):
            part, index = pressed
            asked = self.ticks_asked if part == 'tick' else self.weights_asked
            asked.emit(index.data(FACE), self.acted_on(index))

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self._pressed = self._part_at(event)
        index = self.indexAt(event.position().toPoint())
        if self._pressed is None and index.isValid():
            self._second_click = True
            self._timer.stop()
            self.origin_asked.emit(index.data(FACE))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        index = self.currentIndex()
        if index.isValid() and event.key() == Qt.Key.Key_Space:
            self.ticks_asked.emit(index.data(FACE), self.acted_on(index))
        elif index.isValid() and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.origin_asked.emit(index.data(FACE))
        elif event.key() == Qt.Key.Key_Escape:
            self.image_asked.emit()
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        place = event.pos()
        if event.reason() == QContextMenuEvent.Reason.Keyboard:
            place = self.visualRect(self.currentIndex()).center()
        if self.indexAt(place).isValid():
            self.menu_asked.emit(self.viewport().mapToGlobal(place))

    def _part_at(self, event: QMouseEvent) -> tuple[str, QModelIndex] | None:
        """The tick or the weight under the left button."""
        place = event.position().toPoint()
        index = self.indexAt(place)
        if not index.isValid() or event.button() != Qt.MouseButton.LeftButton:
            return None
        parts = card_parts(self.visualRect(index), self.fontMetrics())
        if parts.tick.contains(place):
            return 'tick', index
        return ('weight', index) if parts.sign.contains(place) else None

    def _on_card_clicked(self, index: QModelIndex) -> None:
        plain = QApplication.keyboardModifiers() == Qt.KeyboardModifier.NoModifier
        if plain and not self._second_click:
            self._clicked = index.data(FACE)
            self._timer.start(QApplication.doubleClickInterval())

    def _on_timer_timeout(self) -> None:
        self.picture_asked.emit(self._clicked)
