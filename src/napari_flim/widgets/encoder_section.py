"""Encoder: a preset or blocks of one's own, what they see and need, and the card of each block."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from qtpy.QtWidgets import QFileDialog, QGridLayout, QPushButton, QVBoxLayout, QWidget

from napari_flim.bridge.controller import Controller
from napari_flim.engine.architecture import PRESETS
from napari_flim.errors import FlimError
from napari_flim.session.learned import BlockState
from napari_flim.session.planning import block_problem
from napari_flim.session.problems import bytes_needed
from napari_flim.session.session import Message
from napari_flim.session.settings import (
    Settings,
    with_architecture,
    with_block,
    with_block_moved,
    with_new_block,
    without_block,
)
from napari_flim.session.words import field_words, memory_words
from napari_flim.widgets.block_card import LABELS, BlockCard, CardContent
from napari_flim.widgets.choice_section import ChoiceSection
from napari_flim.widgets.connections import Connections
from napari_flim.widgets.fields import ChoiceField, Option
from napari_flim.widgets.parts import wrapped_label
from napari_flim.widgets.saving import ask_where_to_save
from napari_flim.widgets.tab_order import order_tabs

ARCHITECTURE_FILES = 'Architecture (*.json)'
CUSTOM = 'custom'
PRESET_OPTIONS = (
    Option('small', 'small', 'Three light blocks at full resolution; suits most images'),
    Option('wide', 'wide', 'Four blocks that see far; the published demo for parasite eggs'),
    Option('deep', 'deep', 'Four blocks that subsample, with many kernels; for large objects'),
    Option(
        'flyweight',
        'flyweight',
        'Three separable blocks, each at several dilations; few numbers to store',
    ),
    Option(CUSTOM, CUSTOM, 'Blocks of your own'),
)


class EncoderSection(QWidget):
    """The blocks of the encoder.

    Parameters
    ----------
    controller : Controller
    parent : QWidget, optional
    """

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._session = controller.session
        self.preset = ChoiceField('preset', 'preset of the encoder', PRESET_OPTIONS)
        self.preset.edited.connect(self._on_preset_edited)
        self.reach = wrapped_label()
        self.choice = ChoiceSection(controller)
        self.cards: list[BlockCard] = []
        self.add = QPushButton('+ block')
        self.add.setAccessibleName('add a block')
        self.add.setToolTip('Add a block like the last one')
        self.add.clicked.connect(self._on_add_clicked)
        self.open = QPushButton('Open arch.json...')
        self.open.setToolTip('Take the blocks from an architecture file of the LIDS tools')
        self.open.clicked.connect(self._on_open_clicked)
        self.save = QPushButton('Save arch.json...')
        self.save.setToolTip('Write the blocks to an architecture file for the LIDS tools')
        self.save.clicked.connect(self._on_save_clicked)
        self._lay_out()
        connections = Connections(self)
        for name in ('state', 'items', 'current', 'classes'):
            connections.hear(self._session.events[name], self._on_session_changed)
        self._on_session_changed()

    def _lay_out(self) -> None:
        self._cards = QVBoxLayout()
        buttons = QGridLayout()
        buttons.addWidget(self.add, 0, 0, 1, 2)
        buttons.addWidget(self.open, 1, 0)
        buttons.addWidget(self.save, 1, 1)
        layout = QVBoxLayout(self)
        layout.addWidget(self.preset)
        layout.addWidget(self.reach)
        layout.addWidget(self.choice)
        layout.addLayout(self._cards)
        layout.addLayout(buttons)

    def _on_session_changed(self) -> None:
        """Bring cards up to date in place; make or take away only what is missing or too many."""
        settings = self._session.settings
        name = settings.preset or CUSTOM
        self.preset.allow(CUSTOM, '' if name == CUSTOM else 'Change a block to make your own')
        self.preset.show_value(name)
        self.reach.setText(self._reach_words())
        while len(self.cards) < len(settings.architecture):
            self._add_card()
        while len(self.cards) > len(settings.architecture):
            card = self.cards.pop()
            self._cards.removeWidget(card)
            card.hide()
            card.deleteLater()
        states = self._session.block_states()
        problems = self._controller.learner.problems()
        for number, card in enumerate(self.cards, start=1):
            obstacle = problems[0] if problems else block_problem(states, number)
            card.show_content(self._content(number, states[number - 1], obstacle))

    def _content(self, number: int, state: BlockState, obstacle: str) -> CardContent:
        settings, learned = self._session.settings, self._session.learned
        item = self._session.item(self._session.current)
        kernels = 0
        if learned is not None and state != 'missing':
            kernels = len(learned.model.blocks[number - 1].bank)
        return CardContent(
            block=settings.architecture.blocks[number - 1],
            ndim=2 if item is None else item.source.ndim,
            state=state,
            kernels=kernels,
            count=len(settings.architecture),
            obstacle=obstacle,
        )

    def _reach_words(self) -> str:
        settings = self._session.settings
        item = self._session.item(self._session.current)
        source = None if item is None else item.source
        try:
            words = field_words(settings, source)
            if source is not None:
                words += f'; needs about {memory_words(bytes_needed(settings, source))}'
        except FlimError as error:
            return str(error)
        return words

    def _add_card(self) -> None:
        card = BlockCard(len(self.cards) + 1)
        card.edited.connect(self._on_block_edited)
        card.learn_asked.connect(self._on_block_learn_asked)
        card.moved.connect(self._on_block_moved)
        card.removed.connect(self._on_block_removed)
        self.cards.append(card)
        self._cards.addWidget(card)
        order_tabs(self)

    def _change(self, name: str, settings: Settings, *, repeats: bool = False) -> None:
        state = replace(self._session.state, settings=settings)
        self._session.change(name, state, repeats=repeats)

    def _on_preset_edited(self, _field: str, name: str) -> None:
        if name != CUSTOM:
            self._change(
                'choice of encoder',
                with_architecture(self._session.settings, PRESETS[name]),
                repeats=True,
            )

    def _on_block_edited(self, number: int, field: str, value: object) -> None:
        settings = self._session.settings
        blocks = settings.architecture.blocks
        try:
            block = replace(blocks[number - 1], **{field: value})  # type: ignore[arg-type]
        except FlimError as error:
            self.cards[number - 1].refuse(str(error))
            return
        changed = with_block(settings, number, block)
        self._change(f'{LABELS[field]} of block {number}', changed, repeats=True)

    def _on_block_learn_asked(self, number: int) -> None:
        self._controller.learner.learn_block(number)

    def _on_block_moved(self, number: int, to: int) -> None:
        settings = with_block_moved(self._session.settings, number, to)
        self._change(f'move block {number}', settings)

    def _on_block_removed(self, number: int) -> None:
        self._change(f'remove block {number}', without_block(self._session.settings, number))

    def _on_add_clicked(self) -> None:
        self._change('add a block', with_new_block(self._session.settings))

    def _on_open_clicked(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, 'Open arch.json', '', ARCHITECTURE_FILES)
        if path:
            self.open_architecture(path)

    def _on_save_clicked(self) -> None:
        path = ask_where_to_save(self, 'Save arch.json', 'arch.json', ARCHITECTURE_FILES, '.json')
        if path is not None:
            self.save_architecture(str(path))

    def open_architecture(self, path: str) -> None:
        """Take the blocks of an `arch.json`; what is wrong with it becomes the message."""
        from napari_flim.io.lids_architecture import read_architecture

        def take() -> None:
            blocks = with_architecture(self._session.settings, read_architecture(path))
            self._change('open arch.json', blocks)

        self._tell(take, f'Blocks taken from {path}.')

    def save_architecture(self, path: str) -> None:
        """Write the blocks as an `arch.json`; what is wrong with them becomes the message."""
        from napari_flim.io.lids_architecture import write_architecture

        architecture = self._session.settings.architecture
        item = self._session.item(self._session.current)
        ndim = None if item is None else item.source.ndim
        write = partial(write_architecture, path, architecture, ndim)
        self._tell(write, f'Blocks written to {path}.')

    def _tell(self, work: Callable[[], object], done: str) -> None:
        """Do something with a file, and tell what came of it, warnings included."""
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter('always')
                work()
        except FlimError as error:
            self._session.message = Message(str(error), error=True)
            return
        self._session.message = Message(' '.join([done, *(str(one.message) for one in caught)]))
