"""The menu of kernel cards."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QMenu, QWidget

from napari_flim.bridge.controller import Controller
from napari_flim.session.card_faces import CardFace
from napari_flim.session.expert import invert_kernels, switch_kernels, weigh_kernels
from napari_flim.session.kernel_edits import KernelName
from napari_flim.session.session import Message
from napari_flim.session.words import count_words

WEIGHTS: tuple[tuple[str, float | None], ...] = (
    ('+ object', 1.0),
    ('0 nothing', 0.0),
    ('- background', -1.0),
    ('automatic', None),
)


def names_of(faces: Sequence[CardFace]) -> list[KernelName]:
    """Block and kernel of every card."""
    return [(face.card.block, face.card.kernel) for face in faces]


def switch_channel(controller: Controller, face: CardFace) -> None:
    """Show the channel of a kernel and say how to hide it, or hide it if it is shown."""
    block, kernel = face.card.block, face.card.kernel
    if controller.channels.shows_one(block, kernel):
        controller.channels.hide_one()
        controller.session.message = Message()
        return
    controller.channels.show_one(block, kernel)
    controller.session.message = Message(
        f'The channel of kernel {kernel + 1} covers the image: click its card again, or press Esc '
        'in the list, to hide it.'
    )


class KernelMenu(QMenu):
    """What can be done to some kernels, and with the one that was clicked.

    Parameters
    ----------
    controller : Controller
    face : CardFace
        The card that was clicked.
    faces : list of CardFace
        All cards that are meant.
    parent : QWidget
    """

    def __init__(
        self, controller: Controller, face: CardFace, faces: list[CardFace], parent: QWidget
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._controller = controller
        self._face = face
        self._faces = faces
        one = f'kernel {face.card.kernel + 1}'
        meant = one if len(faces) == 1 else count_words(len(faces), 'kernel')
        self.addAction(f'{"Untick" if face.ticked else "Tick"} {meant}', self._on_tick_chosen)
        classes = list(dict.fromkeys(face.marked.name for face in faces))
        self.addAction(f'Only {" and ".join(classes)}: untick others', self._on_only_chosen)
        self.addAction(f'Invert {meant}', self._on_invert_chosen)
        weights = self.addMenu(f'Weight of {meant}')
        weights.setEnabled(face.weighs)
        for words, weight in WEIGHTS:
            weights.addAction(words, partial(self._on_weight_chosen, weight))
        self.addSeparator()
        shown = controller.channels.shows_one(face.card.block, face.card.kernel)
        self.addAction(f'{"Hide" if shown else "Show"} channel of {one}', self._on_channel_chosen)
        self.addAction(f'Go to stroke of {one}', self._on_stroke_chosen)

    @property
    def _allowed(self) -> bool:
        """Whether the kernels are still those of the cards."""
        return self._controller.gallery.up_to_date

    def _on_tick_chosen(self) -> None:
        if self._allowed:
            session = self._controller.session
            switch_kernels(session, names_of(self._faces), not self._face.ticked)

    def _on_only_chosen(self) -> None:
        numbers = {face.card.number for face in self._faces}
        others = [
            (card.block, card.kernel)
            for card in self._controller.gallery.cards
            if card.number not in numbers
        ]
        if self._allowed and others:
            switch_kernels(self._controller.session, others, False)

    def _on_invert_chosen(self) -> None:
        if self._allowed:
            kernels = [face.card.kernel for face in self._faces]
            invert_kernels(self._controller.session, self._face.card.block, kernels)

    def _on_weight_chosen(self, weight: float | None) -> None:
        if self._allowed:
            weigh_kernels(self._controller.session, names_of(self._faces), weight)

    def _on_channel_chosen(self) -> None:
        if self._allowed:
            switch_channel(self._controller, self._face)

    def _on_stroke_chosen(self) -> None:
        if self._allowed:
            self._controller.gallery.go_to_origin(self._face.card.block, self._face.card.kernel)
