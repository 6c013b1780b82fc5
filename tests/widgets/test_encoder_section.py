"""The encoder section: blocks changed there and elsewhere, and what their cards say."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt

from napari_flim.bridge.controller import CONTROLLERS, Controller
from napari_flim.bridge.preferences import Preferences
from napari_flim.engine.architecture import PRESETS, Architecture, Block
from napari_flim.engine.decoder_settings import DecoderSettings
from napari_flim.session.running import InlineDebouncer, InlineRunner
from napari_flim.session.settings import Settings
from napari_flim.widgets.block_card import BlockCard
from napari_flim.widgets.encoder_section import EncoderSection

LEARNED_BLOCKS = Architecture((Block(channels=4), Block(channels=4, dilation=2)))


def debouncer(function: Callable[[], None], _delay: int) -> InlineDebouncer:
    return InlineDebouncer(function)


class Desk:
    """A section of a viewer with one painted image; nothing is learned by itself."""

    def __init__(self, qtbot: QtBot, scene: Any) -> None:
        self.viewer = ViewerModel()
        self.controller = Controller(self.viewer, InlineRunner, debouncer, Preferences)
        self.session = self.controller.session
        self.session.live = False
        self.viewer.add_image(scene.image, name='cells', scale=(0.5, 0.5), units='um')
        self.viewer.add_labels(
            scene.markers, name='cells markers', scale=(0.5, 0.5), units=('um', 'um')
        )
        self.controller.items.settle()
        self.section = EncoderSection(self.controller)
        qtbot.addWidget(self.section)
        self.section.show()

    @property
    def settings(self) -> Settings:
        return self.session.settings

    @property
    def blocks(self) -> tuple[Block, ...]:
        return self.settings.architecture.blocks

    @property
    def cards(self) -> list[BlockCard]:
        return self.section.cards

    def states(self) -> list[str]:
        return [card.state.text().split(' ', 1)[1] for card in self.cards]

    def choose(self, name: str) -> None:
        box = self.section.preset
        box.setCurrentIndex(box.findText(name))
        box.activated.emit(box.currentIndex())

    def set_blocks(self, *blocks: Block, **values: object) -> None:
        settings = replace(self.settings, architecture=Architecture(blocks), **values)
        self.session.change('test', replace(self.session.state, settings=settings))


@pytest.fixture
def desk(qtbot: QtBot, scene: Any) -> Desk:
    return Desk(qtbot, scene)


def test_a_preset_brings_its_blocks_and_their_cards(desk: Desk) -> None:
    desk.choose('wide')
    assert desk.settings.architecture == PRESETS['wide']
    assert [card.summary.text() for card in desk.cards] == [
        '3x3, dilation 3, 12 kernels, max 3',
        '3x3, dilation 5, 10 kernels, average 3',
        '3x3, dilation 7, 8 kernels, max 5',
        '3x3, dilation 7, 8 kernels, max 5',
    ]


def test_a_preset_with_fewer_blocks_has_the_decoder_read_the_last(desk: Desk) -> None:
    desk.set_blocks(*PRESETS['wide'].blocks, decoder=DecoderSettings(block=4))
    desk.choose('small')
    assert desk.settings.decoder.block == 0


def test_blocks_of_ones_own_are_called_custom(desk: Desk) -> None:
    assert desk.section.preset.currentText() == 'small'
    desk.set_blocks(Block())
    assert desk.section.preset.currentText() == 'custom'
    desk.session.undo()
    assert desk.section.preset.currentText() == 'small'


def test_the_section_says_how_far_the_encoder_sees_and_what_it_needs(desk: Desk) -> None:
    assert desk.section.reach.text().startswith('sees 19 px = 9.5 µm; needs about ')
    desk.set_blocks(Block(dilation=3))
    assert desk.section.reach.text().startswith('sees 9 px = 4.5 µm; ')


def test_a_number_is_set_in_its_block_only(desk: Desk) -> None:
    desk.cards[1].fields['dilation'].setValue(7)
    assert [block.dilation for block in desk.blocks] == [1, 7, 3]
    assert 'dilation 7' in desk.cards[1].summary.text()
    desk.session.undo()
    assert desk.cards[1].fields['dilation'].value() == 2


def test_choices_and_lists_are_set(desk: Desk) -> None:
    fields = desk.cards[0].fields
    fields['pooling'].setCurrentIndex(1)
    fields['pooling'].activated.emit(1)
    fields['extra_dilations'].setText('2, 3')
    fields['extra_dilations'].editingFinished.emit()
    assert desk.blocks[0].pooling == 'average'
    assert desk.blocks[0].extra_dilations == (2, 3)


def test_a_row_of_changes_of_one_number_is_one_undo(desk: Desk) -> None:
    for value in (20, 24, 32):
        desk.cards[0].fields['channels'].setValue(value)
    desk.session.undo()
    assert desk.blocks[0].channels == 16


def test_an_even_kernel_is_explained_at_its_card_and_refused(desk: Desk) -> None:
    desk.cards[1].fields['kernel_size'].setValue(4)
    assert desk.settings.architecture == PRESETS['small']
    assert desk.cards[1].error.text().startswith('kernel_size is 4; only odd sizes')
    assert desk.cards[1].error.isVisible()
    assert desk.cards[1].fields['kernel_size'].value() == 3
    desk.cards[1].fields['kernel_size'].setValue(5)
    assert desk.blocks[1].kernel_size == 5
    assert not desk.cards[1].error.isVisible()


def test_words_in_place_of_numbers_are_explained_and_refused(desk: Desk) -> None:
    field = desk.cards[0].fields['extra_dilations']
    field.setText('two')
    field.editingFinished.emit()
    assert "'two'" in desk.cards[0].error.text()
    assert field.text() == ''


def test_a_value_is_taken_when_typing_ends_and_not_on_each_key(desk: Desk, qtbot: QtBot) -> None:
    field = desk.cards[0].fields['channels']
    desk.cards[0].fold.click()
    field.selectAll()
    qtbot.keyClicks(field, '32')
    assert desk.blocks[0].channels == 16
    desk.set_blocks(*desk.blocks[:2])
    assert field.cleanText() == '32'
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert desk.blocks[0].channels == 32


def test_sizes_that_differ_along_the_axes_are_shown_in_words_and_kept(desk: Desk) -> None:
    desk.set_blocks(Block(kernel_size=(1, 3, 3)))
    field = desk.cards[0].fields['kernel_size']
    assert field.text() == '1 x 3 x 3'
    assert field.isReadOnly()
    desk.cards[0].fields['dilation'].setValue(2)
    assert desk.blocks[0] == Block(kernel_size=(1, 3, 3), dilation=2)
    desk.set_blocks(Block(kernel_size=1))
    assert field.text() == '1'
    assert not field.isReadOnly()


def test_without_pooling_its_values_are_disabled_with_a_reason(desk: Desk) -> None:
    desk.set_blocks(Block(pooling='none'))
    stride = desk.cards[0].fields['stride']
    assert not stride.isEnabled()
    assert stride.toolTip() == 'Choose a pooling first'


def test_blocks_are_added_moved_and_removed(desk: Desk) -> None:
    desk.section.add.click()
    assert [block.dilation for block in desk.blocks] == [1, 2, 3, 3]
    desk.cards[0].down.trigger()
    assert [block.dilation for block in desk.blocks] == [2, 1, 3, 3]
    desk.cards[2].up.trigger()
    assert [block.dilation for block in desk.blocks] == [2, 3, 1, 3]
    desk.cards[1].remove.trigger()
    assert [block.dilation for block in desk.blocks] == [2, 1, 3]
    assert len(desk.cards) == 3


def test_the_only_block_stays(desk: Desk) -> None:
    desk.set_blocks(Block())
    card = desk.cards[0]
    assert not (card.up.isEnabled() or card.down.isEnabled() or card.remove.isEnabled())


def test_cards_are_the_same_widgets_after_a_change(desk: Desk) -> None:
    before = list(desk.cards)
    before[1].fold.click()
    desk.set_blocks(Block(dilation=9), *desk.blocks[1:])
    assert desk.cards == before
    assert before[1].fields['dilation'].isVisible()


def test_blocks_are_learned_one_after_the_other(desk: Desk) -> None:
    desk.set_blocks(*LEARNED_BLOCKS.blocks)
    assert desk.states() == ['not yet', 'not yet']
    assert not desk.cards[1].learn.isEnabled()
    assert desk.cards[1].learn.toolTip().startswith('Block 1 is not learned yet')
    desk.cards[0].learn.click()
    assert desk.states() == ['learned', 'not yet']
    assert desk.cards[0].summary.text().endswith('max 3; 4 learned')
    desk.cards[1].learn.click()
    assert desk.states() == ['learned', 'learned']


def test_a_changed_block_and_those_after_it_are_stale(desk: Desk) -> None:
    desk.set_blocks(*LEARNED_BLOCKS.blocks)
    desk.controller.learner.learn_all()
    desk.cards[1].fields['dilation'].setValue(3)
    assert desk.states() == ['learned', 'stale']
    desk.cards[0].fields['dilation'].setValue(3)
    assert desk.states() == ['stale', 'stale']


def test_learning_says_what_is_missing(desk: Desk) -> None:
    desk.session.include(desk.session.items[0].source.key, False)
    assert not desk.cards[0].learn.isEnabled()
    assert desk.cards[0].learn.toolTip() == desk.controller.learner.problems()[0]


def test_an_architecture_goes_to_a_file_and_comes_back(desk: Desk, tmp_path: Path) -> None:
    path = str(tmp_path / 'arch.json')
    wanted = Architecture((Block(dilation=3, channels=12), Block(pooling='average', stride=2)))
    desk.set_blocks(*wanted.blocks)
    desk.section.save_architecture(path)
    desk.choose('small')
    desk.section.open_architecture(path)
    opened = [(one.dilation, one.channels, one.stride, one.pooling) for one in desk.blocks]
    assert opened == [(3, 12, 1, 'max'), (1, 16, 2, 'average')]
    assert desk.session.message.text.startswith(f'Blocks taken from {path}.')


def test_a_file_that_is_no_architecture_gives_one_clear_message(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / 'arch.json'
    path.write_text(json.dumps(['not', 'blocks']))
    desk.section.open_architecture(str(path))
    assert desk.session.message.error
    assert str(path) in desk.session.message.text
    assert desk.settings.architecture == PRESETS['small']


def test_a_file_that_cannot_be_written_gives_one_clear_message(desk: Desk, tmp_path: Path) -> None:
    desk.section.save_architecture(str(tmp_path / 'missing' / 'arch.json'))
    assert desk.session.message.error


def test_every_control_is_named_and_nothing_is_wider_than_the_dock(desk: Desk) -> None:
    for card in desk.cards:
        card.fold.click()
    assert desk.section.minimumSizeHint().width() <= 300
    assert desk.cards[1].fields['dilation'].accessibleName() == 'dilation of block 2'
    for card in desk.cards:
        named = [card.fold, card.learn, card.menu, *card.fields.values()]
        assert all(widget.accessibleName() for widget in named)


def test_with_live_on_a_preset_changes_the_saliency(
    make_napari_viewer_proxy: Any, qtbot: QtBot, scene: Any
) -> None:
    viewer = make_napari_viewer_proxy()
    controller = CONTROLLERS.of(viewer)
    viewer.add_image(scene.image, name='cells')
    viewer.add_labels(scene.markers, name='cells markers')
    section = EncoderSection(controller)
    viewer.window.add_dock_widget(section, name='encoder')

    def learned_with(name: str) -> bool:
        learned = controller.session.learned
        fresh = learned is not None and learned.settings.preset == name
        return fresh and bool(controller.results.all()) and controller.session.work is None

    qtbot.waitUntil(lambda: learned_with('small'), timeout=30000)
    (saliency,) = controller.results.all()
    before = np.array(saliency.data)
    section.preset.edited.emit('preset', 'flyweight')
    qtbot.waitUntil(lambda: learned_with('flyweight'), timeout=30000)
    assert controller.results.all() == [saliency]
    assert saliency.data.shape == before.shape
    assert not np.array_equal(saliency.data, before)
