"""Small parts that several docks are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPixmap
from qtpy.QtWidgets import (
    QComboBox,
    QFrame,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_flim.session.classes import Colour

SWATCH = 14
MARGIN = 4


class Section(QWidget):
    """A part of a dock that folds under its title.

    superqt's QCollapsible would do, but napari paints its title like a pressed button, and rows
    that appear later are squeezed.

    Parameters
    ----------
    title : str
    content : QWidget
    opened : bool
    parent : QWidget, optional
    """

    def __init__(
        self, title: str, content: QWidget, *, opened: bool = True, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.content = content
        self.header = QToolButton()
        self.header.setText(title)
        self.header.setAutoRaise(True)
        self.header.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.header.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        font = self.header.font()
        font.setBold(True)
        self.header.setFont(font)
        self.header.clicked.connect(self._on_header_clicked)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.header)
        layout.addWidget(content)
        (content.layout() or content).setContentsMargins(3 * MARGIN, 0, MARGIN, 2 * MARGIN)
        self.open(opened)

    def open(self, opened: bool) -> None:
        """Unfold or fold."""
        self.content.setVisible(opened)
        arrow = Qt.ArrowType.DownArrow if opened else Qt.ArrowType.RightArrow
        self.header.setArrowType(arrow)
        state = 'open' if opened else 'folded'
        self.header.setAccessibleName(f'{self.header.text()}, {state}')

    @property
    def opened(self) -> bool:
        """Whether the content is unfolded."""
        return not self.content.isHidden()

    def _on_header_clicked(self) -> None:
        self.open(not self.opened)


def swatch(colour: Colour) -> QIcon:
    """A small square in the colour of a class."""
    pixmap = QPixmap(SWATCH, SWATCH)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(to_qcolor(colour))
    painter.drawRoundedRect(0, 0, SWATCH, SWATCH, 3, 3)
    painter.end()
    return QIcon(pixmap)


def to_qcolor(colour: Colour) -> QColor:
    """A class colour for Qt."""
    return QColor.fromRgbF(*colour)


def small_button(text: str, name: str, tip: str) -> QToolButton:
    """A button of a few letters or a sign, with a name for screen readers and a tooltip."""
    button = QToolButton()
    button.setText(text)
    button.setAccessibleName(name)
    button.setToolTip(tip)
    button.setIconSize(QSize(SWATCH, SWATCH))
    return button


def narrow_button(text: str, clicked: Callable[[], None]) -> QPushButton:
    """A button that shares its row with others, whatever the width of the dock.

    Parameters
    ----------
    text : str
    clicked : callable
        A bound method.
    """
    button = QPushButton(text)
    button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    button.clicked.connect(clicked)
    return button


def enable(button: QPushButton, reason: str, tip: str) -> None:
    """Let a button be pressed, with a tip; or say why it cannot, if there is a reason."""
    button.setEnabled(not reason)
    button.setToolTip(reason or tip)


def wrapped_label(text: str = '') -> QLabel:
    """A label that breaks its lines instead of widening the dock."""
    label = QLabel(text)
    label.setWordWrap(True)
    policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    policy.setHeightForWidth(True)
    label.setSizePolicy(policy)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


class StillText(QScrollArea):
    """Text in a place of fixed height, so that nothing moves when it changes; long text scrolls.

    Parameters
    ----------
    lines : int
        Lines that are seen at once.
    parent : QWidget, optional
    """

    def __init__(self, lines: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._label = wrapped_label()
        self._label.setAlignment(Qt.AlignmentFlag.AlignTop)
        # Otherwise Qt takes the height that the text would have if it were narrower.
        self._label.setMinimumHeight(1)
        self.setWidget(self._label)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._sample = QLabel('\n' * (lines - 1), self)
        self._sample.hide()

    def sizeHint(self) -> QSize:
        """As high as these lines are in the font of the theme."""
        self._sample.ensurePolished()
        return QSize(super().sizeHint().width(), self._sample.sizeHint().height())

    def text(self) -> str:
        """What is shown."""
        return self._label.text()

    def setText(self, text: str) -> None:
        """Show a text from its beginning, and all of it as a tooltip."""
        self._label.setText(text)
        self._label.setToolTip(text)
        self.verticalScrollBar().setValue(0)


def fill(combo: QComboBox, names: Sequence[str], row: int) -> None:
    """Offer these names without telling anybody, and choose one.

    A list that stays as it is is not filled again, which would lay out the dock with every stroke.
    """
    with signals_blocked(combo):
        if [combo.itemText(place) for place in range(combo.count())] != list(names):
            combo.clear()
            combo.addItems(names)
        combo.setCurrentIndex(row)


def scrolling(widgets: Sequence[QWidget], area: QScrollArea | None = None) -> QScrollArea:
    """Widgets one above the other, scrolled upwards only; in a plain area unless one is given."""
    inside = QWidget()
    layout = QVBoxLayout(inside)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(MARGIN)
    for widget in widgets:
        layout.addWidget(widget)
    layout.addStretch(1)
    if area is None:
        area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    # What is in it takes the focus, and is scrolled to.
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    area.setWidget(inside)
    return area
