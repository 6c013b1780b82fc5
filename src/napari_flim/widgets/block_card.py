"""The card of one block: what it does, whether it is learned, and its values when unfolded."""

from __future__ import annotations

from dataclasses import dataclass

from psygnal import Signal
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_flim.engine.architecture import LARGEST_CHANNELS, LARGEST_WINDOW, Block
from napari_flim.errors import ArchitectureError
from napari_flim.session.learned import BlockState
from napari_flim.session.words import STATE_WORDS, block_words
from napari_flim.widgets.fields import ChoiceField, Field, ListField, NumberField, Option, form
from napari_flim.widgets.parts import small_button, wrapped_label

LARGEST_KERNEL = 15
KINDS = (
    Option('regular', 'regular', 'Every kernel looks at all channels at once'),
    Option(
        'separable',
        'separable',
        'Every kernel is split into one kernel per channel and a weighting of the channels: '
        'fewer numbers, faster',
    ),
)
ACTIVATIONS = (
    Option('relu', 'ReLU', 'Negative responses become 0'),
    Option('none', 'none', 'Responses stay as they are, negative ones too'),
)
POOLINGS = (
    Option('max', 'max', 'The strongest response in the window'),
    Option('average', 'average', 'The mean response in the window'),
    Option('min', 'min', 'The weakest response in the window'),
    Option('none', 'none', 'No pooling, and no stride'),
)
TIPS = {
    'kernel_size': 'Voxels along each side of a kernel; odd',
    'dilation': 'Distance in voxels between neighbouring taps of a kernel: larger sees further',
    'extra_dilations': 'More dilations, with commas, such as 2, 3: the same kernels are applied at '
    'each and the responses are summed. Empty for none',
    'kernels_per_marker': 'Candidates taken from each stroke',
    'channels': 'Kernels that are kept at most; every class keeps at least one',
    'pool_size': 'Voxels along each side of the pooling window; odd',
    'stride': 'Keep every n-th voxel after pooling: faster and coarser',
}
LABELS = {
    'kernel_size': 'kernel size',
    'dilation': 'dilation',
    'extra_dilations': 'more dilations',
    'kernels_per_marker': 'kernels per marker',
    'channels': 'kernels',
    'kind': 'kind',
    'activation': 'activation',
    'pooling': 'pooling',
    'pool_size': 'pool size',
    'stride': 'stride',
}
POOLED = ('pool_size', 'stride')


@dataclass(frozen=True)
class CardContent:
    """What a card shows.

    Attributes
    ----------
    block : Block
    ndim : int
        Spatial rank of the images, 2 or 3.
    state : {'learned', 'kept', 'stale', 'missing'}
    kernels : int
        Really learned, 0 if none are.
    count : int
        Number of blocks.
    obstacle : str
        Why the block cannot be learned alone now; empty if it can.
    """

    block: Block
    ndim: int
    state: BlockState
    kernels: int
    count: int
    obstacle: str


class BlockCard(QFrame):
    """One block of the encoder.

    Parameters
    ----------
    number : int
        From 1.
    parent : QWidget, optional
    """

    edited = Signal(int, str, object)
    """Block number, name of a field of `Block`, wanted value."""
    learn_asked = Signal(int)
    """Block number."""
    moved = Signal(int, int)
    """Block number, and where it is to go."""
    removed = Signal(int)
    """Block number."""

    def __init__(self, number: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self._number = number
        self._block: Block | None = None
        self._content: CardContent | None = None
        self.fold = QToolButton()
        self.fold.setText(f'block {number}')
        self.fold.setCheckable(True)
        self.fold.setAutoRaise(True)
        self.fold.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.fold.setAccessibleName(f'values of block {number}')
        self.fold.setToolTip('Show or hide the values of this block')
        self.fold.toggled.connect(self._on_fold_toggled)
        self.state = QLabel()
        self.learn = QPushButton('Learn')
        self.learn.setAccessibleName(f'learn block {number}')
        self.learn.clicked.connect(self._on_learn_clicked)
        self.summary = wrapped_label()
        self.error = wrapped_label()
        self.error.hide()
        self._make_menu()
        self.fields = self._make_fields()
        self._lay_out()
        self._on_fold_toggled(False)

    def show_content(self, content: CardContent) -> None:
        """Show a block and its state; a value that is being typed stays."""
        if content == self._content:
            return
        self._content = content
        block = content.block
        for field in self.fields.values():
            field.show_value(getattr(block, field.field))
        for name in POOLED:
            unused = block.pooling == 'none'
            self.fields[name].setEnabled(not unused)
            self.fields[name].setToolTip('Choose a pooling first' if unused else TIPS[name])
        self.state.setText(STATE_WORDS[content.state])
        self.summary.setText(_summary(content))
        self.learn.setEnabled(not content.obstacle)
        self.learn.setToolTip(
            content.obstacle or 'Learn this block anew on top of the ones before it'
        )
        self.up.setEnabled(self._number > 1)
        self.down.setEnabled(self._number < content.count)
        self.remove.setEnabled(content.count > 1)
        if block != self._block:
            self._block = block
            self.show_error('')

    def refuse(self, text: str) -> None:
        """Say why a value was refused, and show the old one again."""
        content, self._content = self._content, None
        if content is not None:
            self.show_content(content)
        self.show_error(text)

    def show_error(self, text: str) -> None:
        """Say why a value was refused; nothing for an empty text."""
        self.error.setText(text)
        self.error.setVisible(bool(text))

    def _make_menu(self) -> None:
        number = self._number
        self.menu = small_button('\N{VERTICAL ELLIPSIS}', f'more for block {number}', 'More')
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        self.up = menu.addAction('Move up')
        self.down = menu.addAction('Move down')
        self.remove = menu.addAction('Remove')
        self.up.triggered.connect(self._on_up_triggered)
        self.down.triggered.connect(self._on_down_triggered)
        self.remove.triggered.connect(self._on_remove_triggered)
        self.menu.setMenu(menu)
        self.menu.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)

    def _make_fields(self) -> dict[str, Field]:
        def name(field: str) -> str:
            return f'{LABELS[field]} of block {self._number}'

        def number(field: str, largest: int, step: int = 1) -> NumberField:
            return NumberField(field, name(field), (1, largest), step)

        fields: list[Field] = [
            number('kernel_size', LARGEST_KERNEL, 2),
            number('dilation', LARGEST_WINDOW),
            ListField('extra_dilations', name('extra_dilations'), int),
            number('kernels_per_marker', LARGEST_CHANNELS),
            number('channels', LARGEST_CHANNELS),
            ChoiceField('kind', name('kind'), KINDS),
            ChoiceField('activation', name('activation'), ACTIVATIONS),
            ChoiceField('pooling', name('pooling'), POOLINGS),
            number('pool_size', LARGEST_WINDOW, 2),
            number('stride', LARGEST_WINDOW),
        ]
        for field in fields:
            field.setToolTip(TIPS.get(field.field, ''))
            field.edited.connect(self._on_field_edited)
        return {field.field: field for field in fields}

    def _lay_out(self) -> None:
        self._body = QWidget()
        rows = form(self._body)
        for field in self.fields.values():
            rows.addRow(LABELS[field.field], field)
        head = QHBoxLayout()
        head.addWidget(self.fold)
        head.addWidget(self.state)
        head.addStretch(1)
        head.addWidget(self.learn)
        head.addWidget(self.menu)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.setSpacing(4)
        layout.addLayout(head)
        for widget in (self.summary, self._body, self.error):
            layout.addWidget(widget)

    def _on_fold_toggled(self, opened: bool) -> None:
        arrows = Qt.ArrowType
        self.fold.setArrowType(arrows.DownArrow if opened else arrows.RightArrow)
        self._body.setVisible(opened)

    def _on_field_edited(self, field: str, value: object) -> None:
        self.show_error('')
        self.edited.emit(self._number, field, value)

    def _on_learn_clicked(self) -> None:
        self.learn_asked.emit(self._number)

    def _on_up_triggered(self) -> None:
        self.moved.emit(self._number, self._number - 1)

    def _on_down_triggered(self) -> None:
        self.moved.emit(self._number, self._number + 1)

    def _on_remove_triggered(self) -> None:
        self.removed.emit(self._number)


def _summary(content: CardContent) -> str:
    try:
        words = block_words(content.block, content.ndim)
    except ArchitectureError as error:
        return str(error)
    if content.kernels:
        words += f'; {content.kernels} learned'
    return words
