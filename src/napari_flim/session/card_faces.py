"""What a kernel card says, decided from the session: order, sign, tick and words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from napari_flim.session.classes import MarkedClass, class_named
from napari_flim.session.gallery import KernelCard
from napari_flim.session.session import Session
from napari_flim.session.words import count_words

Order = Literal['learned', 'class', 'relevance']

SIGNS = {1.0: '+', 0.0: '0', -1.0: '-'}
MEANINGS = {1.0: 'counts for the object', 0.0: 'counts for nothing', -1.0: 'counts for background'}


def sorted_cards(cards: Iterable[KernelCard], order: Order) -> list[KernelCard]:
    """The cards as learned, by class, or by relevance with the most relevant first."""
    if order == 'class':
        return sorted(cards, key=lambda card: card.number)
    if order == 'relevance':
        return sorted(
            cards, key=lambda card: math.inf if math.isnan(card.relevance) else -card.relevance
        )
    return list(cards)


@dataclass(frozen=True, eq=False)
class CardFace:
    """A card with what the expert decided about its kernel.

    Attributes
    ----------
    card : KernelCard
    marked : MarkedClass
        The class it was learned from.
    ticked : bool
        Whether it takes part.
    by_hand : float, optional
        Weight set by hand.
    decoded : int
        Number of the block that is decoded; weights of others do not count.
    """

    card: KernelCard
    marked: MarkedClass
    ticked: bool
    by_hand: float | None
    decoded: int

    @property
    def weighs(self) -> bool:
        """Whether its weight counts."""
        return self.card.block == self.decoded

    @property
    def weight(self) -> float:
        """Its weight in the decoder as -1, 0 or 1, set by hand or not."""
        weight = self.card.weight if self.by_hand is None else self.by_hand
        return float((weight > 0) - (weight < 0))

    @property
    def sign(self) -> str:
        """Its weight in one letter; empty where weights do not count."""
        return SIGNS[self.weight] if self.weighs else ''

    @property
    def relevance(self) -> str:
        """Its relevance with two digits, or a dash."""
        value = self.card.relevance
        return '-' if math.isnan(value) else f'{value:.2f}'

    @property
    def name(self) -> str:
        """What a screen reader says of it."""
        words = [f'kernel {self.card.kernel + 1}', self.marked.name, 'on' if self.ticked else 'off']
        if self.weighs:
            words.append(self.weight_words())
        return ', '.join([*words, f'relevance {self.relevance}'])

    def weight_words(self) -> str:
        """Its weight, and who set it."""
        if not self.weighs:
            return f'no weight: block {self.decoded} is decoded, not block {self.card.block}'
        who = 'automatic' if self.by_hand is None else 'set by hand'
        return f'{MEANINGS[self.weight]} ({who})'

    def tooltip(self) -> str:
        """Everything that is known about the kernel, a line for each."""
        lines = [
            f'Kernel {self.card.kernel + 1} of block {self.card.block}: {self.marked.name}',
            f'From {self.card.origin}' if self.card.origin else 'Where it came from is not known',
            f'Relevance {self.relevance}',
            f'Mean activation {self.card.mean:.2g} of the largest of the block',
            f'In the decoder: {self.weight_words()}',
        ]
        if not self.ticked:
            lines.append('Off: takes no part in saliency')
        lines.append('Click: show its channel or hide it. Double click: go to its stroke')
        return '\n'.join(lines)


def card_faces(session: Session, cards: Sequence[KernelCard]) -> list[CardFace]:
    """Cards with what the expert decided about them."""
    if session.learned is None:
        return []
    count = len(session.learned.model.blocks)
    chosen = session.settings.decoder.block
    decoded = chosen if 0 < chosen <= count else count
    edits = session.edits
    faces = []
    for card in cards:
        name = (card.block, card.kernel)
        marked = class_named(session.classes, card.number)
        by_hand = edits.weights.get(name)
        faces.append(CardFace(card, marked, name not in edits.off, by_hand, decoded))
    return faces


def off_words(session: Session, block: int, count: int) -> str:
    """How many kernels of a block, and of the others, are off."""
    here = len(session.edits.off_in(block))
    elsewhere = len(session.edits.off) - here
    words = f'{here} of {count} off' if here else f'all {count} on'
    return f'{words}, {elsewhere} off in other blocks' if elsewhere else words


def drop_words(session: Session) -> str:
    """What the button for dropping kernels will do."""
    off = len(session.edits.off)
    return f'Drop {count_words(off, "unticked kernel")}' if off else 'Drop unticked kernels'
