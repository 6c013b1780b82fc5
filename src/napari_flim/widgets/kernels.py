"""The Kernels dock: what every kernel sees, where it came from, and which of them take part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QHideEvent, QShowEvent
from qtpy.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from napari_flim.bridge.controller import CONTROLLERS, Controller
from napari_flim.session.card_faces import (
    CardFace,
    Order,
    card_faces,
    drop_words,
    off_words,
    sorted_cards,
)
from napari_flim.session.expert import drop_unticked, switch_kernels, weigh_kernels
from napari_flim.session.kernel_edits import next_weight
from napari_flim.session.session import Message
from napari_flim.widgets.connections import Connections
from napari_flim.widgets.docking import Docked
from napari_flim.widgets.kernel_card import FACE
from napari_flim.widgets.kernel_list import CardList
from napari_flim.widgets.kernel_menu import KernelMenu, names_of, switch_channel
from napari_flim.widgets.parts import MARGIN, StillText, fill, wrapped_label
from napari_flim.widgets.tab_order import order_tabs
from napari_flim.widgets.undo_buttons import SessionUndo

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Labels

ORDERS: tuple[tuple[str, Order], ...] = (
    ('as learned', 'learned'),
    ('by class', 'class'),
    ('by relevance', 'relevance'),
)
HELP = 'Click: show or hide a channel. Double click: go to its stroke. Right click: more.'
MESSAGE_LINES = 3
SHORTEST = 7
"""Letters that every list shows at least."""


class KernelsDock(Docked):
    """Dock of a viewer; see `KernelGrid`.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    parent : QWidget, optional
    """

    title = 'Kernels'

    def __init__(self, viewer: napari.viewer.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.grid = KernelGrid(CONTROLLERS.of(viewer, dock=self))
        self.hold(self.grid)


class KernelGrid(QWidget):
    """Cards of the kernels of a block, with what the expert can do to them.

    Parameters
    ----------
    controller : Controller
    parent : QWidget, optional
    """

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._session = controller.session
        self._gallery = controller.gallery
        self._keys: list[str] = []
        self._truths: list[Labels | None] = [None]
        self._make_controls()
        self._lay_out()
        self._connect()
        self._refresh_items()
        self._refresh_cards()
        self._on_message_changed()

    def _make_controls(self) -> None:
        self.block = _combo('Block', 'Whose kernels to show')
        self.item = _combo('Image', 'On which image to show what the kernels see')
        self.order = _combo('Order', 'How to sort the kernels')
        self.order.addItems([words for words, _ in ORDERS])
        self.truth = _combo(
            'Ground truth',
            'Labels of this image to rank kernels by. Without, relevance says how well a kernel '
            'parts the strokes of its class from the others.',
        )
        self.list = CardList()
        self.list.setAccessibleName('Kernels')
        self.empty = wrapped_label()
        self.empty.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.pages = QStackedWidget()
        self.drop = QPushButton()
        self.history = SessionUndo(self._session)
        self.count = wrapped_label()
        self.message = StillText(MESSAGE_LINES)

    def _lay_out(self) -> None:
        self.pages.addWidget(self.list)
        self.pages.addWidget(self.empty)
        header = QGridLayout()
        header.setHorizontalSpacing(MARGIN)
        rows = ((self.block, 'on', self.item), (self.order, 'truth', self.truth))
        for row, (first, words, second) in enumerate(rows):
            label = QLabel(words)
            label.setBuddy(second)
            header.addWidget(first, row, 0)
            header.addWidget(label, row, 1)
            header.addWidget(second, row, 2)
        header.setColumnStretch(0, 1)
        header.setColumnStretch(2, 1)
        buttons = QHBoxLayout()
        buttons.addWidget(self.drop, 1)
        buttons.addWidget(self.history)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        layout.addLayout(header)
        layout.addWidget(self.pages, 1)
        layout.addWidget(self.count)
        layout.addLayout(buttons)
        layout.addWidget(self.message)
        order_tabs(self)

    def _connect(self) -> None:
        self.block.activated.connect(self._on_view_activated)
        self.truth.activated.connect(self._on_view_activated)
        self.item.activated.connect(self._on_item_activated)
        self.order.activated.connect(self._on_order_activated)
        self.list.ticks_asked.connect(self._on_ticks_asked)
        self.list.weights_asked.connect(self._on_weights_asked)
        self.list.picture_asked.connect(self._on_picture_asked)
        self.list.image_asked.connect(self._on_image_asked)
        self.list.origin_asked.connect(self._on_origin_asked)
        self.list.menu_asked.connect(self._on_menu_asked)
        self.drop.clicked.connect(self._on_drop_clicked)
        connections = Connections(self)
        events = self._session.events
        connections.hear(events['state'], self._on_state_changed)
        connections.hear(events['classes'], self._on_state_changed)
        connections.hear(events['items'], self._on_items_changed)
        connections.hear(events['current'], self._on_items_changed)
        connections.hear(events['message'], self._on_message_changed)
        connections.hear(self._gallery.drawn, self._on_gallery_drawn)
        connections.hear(self._gallery.truths_changed, self._on_truths_changed)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._gallery.watch(True)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._gallery.watch(False)

    def _on_view_activated(self) -> None:
        """Another block or ground truth was chosen; what was said of cards before is over."""
        self._session.message = Message()
        truth = self._truths[max(self.truth.currentIndex(), 0)]
        self._gallery.show_block(max(self.block.currentIndex(), 0) + 1, truth)

    def _on_item_activated(self, row: int) -> None:
        self._session.message = Message()
        self._session.current = self._keys[row]

    def _on_order_activated(self) -> None:
        self._refresh_cards()

    def _on_ticks_asked(self, face: CardFace, faces: list[CardFace]) -> None:
        if self._gallery.up_to_date:
            switch_kernels(self._session, names_of(faces), not face.ticked)

    def _on_weights_asked(self, face: CardFace, faces: list[CardFace]) -> None:
        if not face.weighs:
            words = face.weight_words()
            self._session.message = Message(f'{words[0].upper()}{words[1:]}.')
        elif self._gallery.up_to_date:
            weigh_kernels(self._session, names_of(faces), next_weight(face.by_hand))

    def _on_picture_asked(self, face: CardFace) -> None:
        if self._gallery.up_to_date:
            switch_channel(self._controller, face)

    def _on_image_asked(self) -> None:
        self._controller.channels.hide_one()
        self._session.message = Message()

    def _on_origin_asked(self, face: CardFace) -> None:
        if self._gallery.up_to_date:
            self._gallery.go_to_origin(face.card.block, face.card.kernel)

    def _on_menu_asked(self, place: QPoint) -> None:
        current = self.list.currentIndex()
        if current.isValid():
            faces = self.list.acted_on(current)
            KernelMenu(self._controller, current.data(FACE), faces, self).popup(place)

    def _on_drop_clicked(self) -> None:
        if drop_unticked(self._session):
            self._controller.learner.finish_change()

    def _on_state_changed(self) -> None:
        # Until new cards are drawn, edits of new kernels must not appear on those of before.
        if self._gallery.up_to_date or not self._gallery.cards:
            self._refresh_cards()
        else:
            self._refresh_buttons()

    def _on_items_changed(self) -> None:
        self._refresh_items()

    def _on_truths_changed(self) -> None:
        self._refresh_truths()

    def _on_message_changed(self) -> None:
        self.message.setText(self._session.message.text or HELP)

    def _on_gallery_drawn(self) -> None:
        self._refresh_cards()

    def _refresh_items(self) -> None:
        """The images that are open."""
        opened = [item.source for item in self._session.items if item.opened]
        self._keys = [source.key for source in opened]
        current = self._session.current
        row = self._keys.index(current) if current in self._keys else -1
        fill(self.item, [source.name for source in opened], row)
        self.item.setEnabled(bool(opened))
        self._refresh_truths()

    def _refresh_truths(self) -> None:
        """The labels that fit the current image."""
        self._truths = [None, *self._gallery.truths()]
        names = ['none', *(layer.name for layer in self._truths if layer is not None)]
        chosen = self._gallery.truth
        fill(self.truth, names, self._truths.index(chosen) if chosen in self._truths else 0)

    def _refresh_cards(self) -> None:
        """Cards as they were drawn last, with the edits as they are now."""
        learned, cards = self._session.learned, self._gallery.cards
        count = 0 if learned is None else len(learned.model.blocks)
        names = [f'block {number}' for number in range(1, count + 1)]
        fill(self.block, names, min(self._gallery.block, count) - 1)
        self.block.setEnabled(count > 0)
        order = ORDERS[self.order.currentIndex()][1]
        self.list.cards.show_faces(card_faces(self._session, sorted_cards(cards, order)))
        self.empty.setText(self._gallery.reason)
        self.pages.setCurrentWidget(self.list if cards else self.empty)
        self._refresh_buttons()

    def _refresh_buttons(self) -> None:
        """What can be dropped."""
        session, count = self._session, len(self._gallery.cards)
        off = len(session.edits.off)
        self.drop.setText(drop_words(session))
        self.drop.setEnabled(bool(off) and session.learned is not None)
        self.drop.setToolTip(
            'Remove them for good and learn the later blocks again; Undo brings them back'
            if off
            else 'No kernel is unticked: untick those that the model is to do without'
        )
        self.count.setText(off_words(session, self._gallery.block, count) if count else '')


def _combo(name: str, tip: str) -> QComboBox:
    """A list to choose from that narrows with the dock."""
    combo = QComboBox()
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(SHORTEST)
    combo.setAccessibleName(name)
    combo.setToolTip(tip)
    return combo
