"""The Kernels dock: what its cards show, and what clicks and keys on them do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Layer
from qtpy.QtCore import QItemSelectionModel, QPoint, Qt
from qtpy.QtGui import QContextMenuEvent
from qtpy.QtWidgets import QApplication

from napari_flim.bridge.controller import CONTROLLERS, Controller
from napari_flim.bridge.preferences import Preferences
from napari_flim.engine.architecture import Architecture, Block
from napari_flim.session.expert import drop_unticked, switch_kernels, weigh_kernels
from napari_flim.session.running import InlineDebouncer, InlineRunner
from napari_flim.session.session import Message
from napari_flim.session.settings import Settings
from napari_flim.widgets.kernel_card import card_parts, to_pixmap
from napari_flim.widgets.kernel_menu import KernelMenu
from napari_flim.widgets.kernels import HELP, KernelGrid, KernelsDock

SMALL = Architecture((Block(channels=4, kernels_per_marker=2), Block(channels=6)))
LEFT = Qt.MouseButton.LeftButton


class Bench:
    """A grid on a viewer without window, threads or clocks."""

    def __init__(self, qtbot) -> None:
        self.qtbot = qtbot
        self.viewer = ViewerModel()
        self.debouncers: list[InlineDebouncer] = []
        self.controller = Controller(self.viewer, InlineRunner, self._debouncer, Preferences)
        self.session = self.controller.session
        self.session.state = replace(self.session.state, settings=Settings(SMALL))
        self.grid = KernelGrid(self.controller)
        qtbot.addWidget(self.grid)
        self.grid.resize(320, 500)
        self.grid.show()
        self.list = self.grid.list

    def _debouncer(self, function, _delay: int) -> InlineDebouncer:
        self.debouncers.append(InlineDebouncer(function))
        return self.debouncers[-1]

    def open(self, scene, name: str = 'cells') -> None:
        self.viewer.add_image(scene.image, name=name)
        self.viewer.add_labels(scene.markers, name=f'{name} markers')
        self.settle()

    def settle(self) -> None:
        for debouncer in self.debouncers:
            debouncer.flush()

    @property
    def faces(self) -> list:
        model = self.list.cards
        return [
            model.index(row, 0).data(Qt.ItemDataRole.UserRole) for row in range(model.rowCount())
        ]

    def choose_block(self, number: int) -> None:
        self.grid.block.setCurrentIndex(number - 1)
        self.grid.block.activated.emit(number - 1)

    def place(self, row: int, part: str) -> QPoint:
        rect = self.list.visualRect(self.list.cards.index(row, 0))
        return getattr(card_parts(rect, self.list.fontMetrics()), part).center()

    def click(self, row: int, part: str = 'picture', keys=Qt.KeyboardModifier.NoModifier) -> None:
        self.qtbot.mouseClick(self.list.viewport(), LEFT, keys, self.place(row, part))

    def select(self, *rows: int) -> None:
        self.list.setCurrentIndex(self.list.cards.index(rows[0], 0))
        for row in rows[1:]:
            self.list.selectionModel().select(
                self.list.cards.index(row, 0), QItemSelectionModel.SelectionFlag.Select
            )

    def selected(self) -> list[int]:
        return [face.card.kernel for face in self.list.selected()]

    def menu(self) -> KernelMenu:
        current = self.list.currentIndex()
        face = current.data(Qt.ItemDataRole.UserRole)
        return KernelMenu(self.controller, face, self.list.acted_on(current), self.grid)


@pytest.fixture
def bench(qtbot, scene) -> Bench:
    made = Bench(qtbot)
    made.open(scene)
    made.controller.gallery.show_block(1)
    assert len(made.faces) == 4
    return made


def choose(menu: KernelMenu, *words: str) -> None:
    for word in words:
        action = next(one for one in menu.actions() if one.text().startswith(word))
        if action.menu() is not None:
            menu = action.menu()
        else:
            action.trigger()


def test_a_dock_without_kernels_says_what_to_do(qtbot) -> None:
    empty = Bench(qtbot).grid
    assert empty.pages.currentWidget() is empty.empty
    assert 'paint, then press Learn in the Train dock' in empty.empty.text()
    assert not empty.drop.isEnabled() and not empty.history.undo.isEnabled()
    assert 'No kernel is unticked' in empty.drop.toolTip()


def test_the_cards_are_those_of_the_decoded_block_until_another_is_chosen(qtbot, scene) -> None:
    bench = Bench(qtbot)
    bench.open(scene)
    assert bench.grid.block.currentText() == 'block 2'
    assert {face.card.block for face in bench.faces} == {2}
    bench.choose_block(1)
    assert {face.card.block for face in bench.faces} == {1}


def test_an_encoder_decoded_at_its_first_block_opens_there(qtbot, scene) -> None:
    bench = Bench(qtbot)
    settings = bench.session.settings
    settings = replace(settings, decoder=replace(settings.decoder, block=1))
    bench.session.state = replace(bench.session.state, settings=settings)
    bench.open(scene)
    assert bench.grid.block.currentText() == 'block 1'


def test_cards_appear_when_something_is_learned(bench: Bench) -> None:
    assert bench.grid.pages.currentWidget() is bench.list
    assert bench.grid.block.currentText() == 'block 1'
    assert bench.grid.item.currentText() == 'cells'
    assert bench.grid.count.text() == 'all 4 on'


def test_a_click_on_the_tick_switches_the_kernel_and_saliency_follows(bench: Bench) -> None:
    bench.click(1, 'tick')
    assert bench.session.edits.off == {(1, 1)}
    assert [face.ticked for face in bench.faces] == [True, False, True, True]
    assert bench.grid.count.text() == '1 of 4 off'
    assert bench.grid.history.undo.toolTip() == 'Undo: switching 1 kernel off'
    assert bench.selected() == []
    bench.click(1, 'tick')
    assert not bench.session.edits.off


def test_the_tick_of_a_selected_card_is_meant_for_the_selection(bench: Bench) -> None:
    bench.select(0, 2)
    bench.click(2, 'tick')
    assert bench.session.edits.off == {(1, 0), (1, 2)}
    bench.click(3, 'tick')
    assert bench.session.edits.off == {(1, 0), (1, 2), (1, 3)}
    assert bench.selected() == [0, 2]


def test_a_click_on_the_weight_cycles_it_in_the_decoded_block(bench: Bench) -> None:
    bench.choose_block(2)
    seen = []
    for _ in range(4):
        bench.click(0, 'sign')
        seen.append((bench.session.edits.weights.get((2, 0)), bench.faces[0].sign))
    automatic = bench.faces[0].sign
    assert seen == [(1.0, '+'), (0.0, '0'), (-1.0, '-'), (None, automatic)]


def test_a_weight_that_does_not_count_is_not_set_but_explained(bench: Bench) -> None:
    bench.click(0, 'sign')
    assert not bench.session.edits.weights
    assert bench.grid.message.text() == 'No weight: block 2 is decoded, not block 1.'


def test_one_click_shows_the_channel_after_no_second_one_came(bench: Bench, qtbot) -> None:
    bench.click(2)
    name = 'cells block 1 kernel 3'
    assert name not in [layer.name for layer in bench.viewer.layers]
    wait = QApplication.doubleClickInterval() + 2000
    qtbot.waitUntil(lambda: name in [one.name for one in bench.viewer.layers], timeout=wait)


def shown_channel(bench: Bench, row: int) -> Layer:
    bench.grid._on_picture_asked(bench.faces[row])
    name = f'cells block 1 kernel {bench.faces[row].card.kernel + 1}'
    (layer,) = [one for one in bench.viewer.layers if one.name == name]
    assert layer.visible
    return layer


def test_a_second_click_on_the_card_hides_its_channel_and_a_third_shows_it(bench: Bench) -> None:
    layer = shown_channel(bench, 2)
    assert 'click its card again' in bench.grid.message.text()
    bench.grid._on_picture_asked(bench.faces[2])
    assert not layer.visible
    assert bench.grid.message.text() == HELP
    assert shown_channel(bench, 2) is layer


def test_a_click_on_another_card_shows_its_channel_in_the_same_layer(bench: Bench) -> None:
    layer = shown_channel(bench, 2)
    layer.visible = False
    assert shown_channel(bench, 1) is layer


def test_escape_in_the_list_hides_the_channel(bench: Bench, qtbot) -> None:
    layer = shown_channel(bench, 0)
    qtbot.keyClick(bench.list, Qt.Key.Key_Escape)
    assert not layer.visible
    assert bench.grid.message.text() == HELP


def test_the_menu_hides_a_channel_that_is_shown(bench: Bench) -> None:
    layer = shown_channel(bench, 1)
    bench.select(1)
    choose(bench.menu(), 'Hide channel of kernel 2')
    assert not layer.visible
    choose(bench.menu(), 'Show channel of kernel 2')
    assert layer.visible


def test_every_card_tells_what_clicks_do(bench: Bench) -> None:
    tip = bench.list.cards.index(0, 0).data(Qt.ItemDataRole.ToolTipRole)
    assert tip.endswith('Click: show its channel or hide it. Double click: go to its stroke')
    assert bench.grid.message.text() == HELP


@pytest.mark.parametrize('width', [320, 480])
def test_nothing_moves_when_a_message_comes_or_goes(bench: Bench, qtbot, width: int) -> None:
    bench.grid.resize(width, 500)
    QApplication.processEvents()
    parts = (bench.grid.drop, bench.grid.history, bench.grid.count, bench.list)
    before = [part.geometry() for part in parts]
    bench.session.message = Message('Something went wrong in many words. ' * 12, error=True)
    QApplication.processEvents()
    assert [part.geometry() for part in parts] == before
    message = bench.grid.message
    assert message.verticalScrollBar().maximum() > 0
    assert message.widget().toolTip() == bench.session.message.text
    bench.session.message = Message()
    QApplication.processEvents()
    assert [part.geometry() for part in parts] == before
    assert message.verticalScrollBar().maximum() == 0


def test_a_message_goes_with_the_next_thing_that_is_done(bench: Bench) -> None:
    def told() -> None:
        bench.controller.gallery.go_to_origin(1, 2)
        assert bench.grid.message.text().startswith('Kernel 3 of block 1')

    told()
    bench.click(1, 'tick')
    assert bench.grid.message.text() == HELP
    told()
    bench.choose_block(2)
    assert bench.grid.message.text() == HELP
    told()
    bench.session.live = False
    bench.viewer.layers['cells markers'].paint((30, 30), 2)
    bench.settle()
    assert bench.grid.message.text() == HELP


def test_a_double_click_jumps_and_shows_no_channel(bench: Bench, qtbot) -> None:
    bench.click(2)
    qtbot.mouseDClick(bench.list.viewport(), LEFT, pos=bench.place(2, 'picture'))
    assert bench.session.message.text.startswith('Kernel 3 of block 1: marker')
    qtbot.wait(QApplication.doubleClickInterval() + 100)
    assert not any('kernel' in layer.name for layer in bench.viewer.layers)


def test_control_and_shift_only_select(bench: Bench, qtbot) -> None:
    bench.click(0)
    bench.list._timer.stop()
    bench.click(2, keys=Qt.KeyboardModifier.ControlModifier)
    assert bench.selected() == [0, 2]
    bench.click(0)
    bench.list._timer.stop()
    bench.click(2, keys=Qt.KeyboardModifier.ShiftModifier)
    assert bench.selected() == [0, 1, 2]
    assert not bench.list._timer.isActive()


def test_keys_select_tick_and_jump(bench: Bench, qtbot) -> None:
    bench.select(0)
    qtbot.keyClick(bench.list, Qt.Key.Key_Right)
    assert bench.selected() == [1]
    qtbot.keyClick(bench.list, Qt.Key.Key_Space)
    assert bench.session.edits.off == {(1, 1)}
    qtbot.keyClick(bench.list, Qt.Key.Key_Return)
    assert bench.session.message.text.startswith('Kernel 2 of block 1')
    qtbot.keyClick(bench.list, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    assert bench.selected() == [0, 1, 2, 3]


def test_the_menu_acts_on_the_selection(bench: Bench) -> None:
    bench.select(0, 2)
    weights = bench.session.learned.model.blocks[0].bank.weights
    choose(bench.menu(), 'Invert 2 kernels')
    after = bench.session.learned.model.blocks[0].bank.weights
    assert np.array_equal(after[[0, 2]], -weights[[0, 2]])
    assert np.array_equal(after[[1, 3]], weights[[1, 3]])
    choose(bench.menu(), 'Untick 2 kernels')
    assert bench.session.edits.off == {(1, 0), (1, 2)}
    choose(bench.menu(), 'Go to stroke of kernel 1')
    assert bench.session.message.text.startswith('Kernel 1 of block 1')
    choose(bench.menu(), 'Show channel of kernel 1')
    assert 'cells block 1 kernel 1' in [layer.name for layer in bench.viewer.layers]


def test_the_menu_keeps_only_one_class(bench: Bench) -> None:
    numbers = [face.card.number for face in bench.faces]
    bench.select(numbers.index(2))
    choose(bench.menu(), 'Only object')
    off = {(1, kernel) for kernel, number in enumerate(numbers) if number == 1}
    assert off and bench.session.edits.off == off


def test_the_menu_weighs_kernels_of_the_decoded_block_only(bench: Bench) -> None:
    bench.select(0)
    weight = next(one for one in bench.menu().actions() if one.text().startswith('Weight'))
    assert not weight.isEnabled()
    bench.controller.gallery.show_block(2)
    bench.select(0, 1)
    choose(bench.menu(), 'Weight', '- background')
    assert bench.session.edits.weights == {(2, 0): -1.0, (2, 1): -1.0}
    choose(bench.menu(), 'Weight', 'automatic')
    assert not bench.session.edits.weights


def test_the_menu_opens_by_mouse_and_by_key(bench: Bench) -> None:
    bench.select(1)
    for reason in (QContextMenuEvent.Reason.Mouse, QContextMenuEvent.Reason.Keyboard):
        place = bench.place(1, 'picture')
        event = QContextMenuEvent(reason, place, bench.list.viewport().mapToGlobal(place))
        QApplication.sendEvent(bench.list.viewport(), event)
        menu = QApplication.activePopupWidget()
        assert isinstance(menu, KernelMenu)
        menu.close()


def test_dropping_removes_the_kernels_and_learns_later_blocks_again(bench: Bench) -> None:
    switch_kernels(bench.session, [(1, 0), (1, 2)], False)
    assert bench.grid.drop.text() == 'Drop 2 unticked kernels'
    later = bench.session.learned.model.blocks[1]
    bench.grid.drop.click()
    blocks = bench.session.learned.model.blocks
    assert len(blocks[0].bank) == 2
    assert blocks[1] is not later
    assert 'stale' not in bench.session.block_states()
    assert len(bench.faces) == 2
    assert not bench.grid.drop.isEnabled()


def test_one_undo_takes_back_dropping_and_the_learning_it_caused(bench: Bench) -> None:
    switch_kernels(bench.session, [(1, 0), (1, 2)], False)
    before = bench.session.state
    bench.grid.drop.click()
    bench.settle()
    after = bench.session.state
    assert after.learned.model.blocks[1] is not before.learned.model.blocks[1]
    assert bench.grid.history.undo.toolTip() == 'Undo: dropping 2 kernels'
    bench.grid.history.undo.click()
    bench.settle()
    assert bench.session.state is before
    assert bench.grid.history.undo.toolTip() == 'Undo: switching 2 kernels off'
    bench.grid.history.redo.click()
    assert bench.session.state is after
    assert not bench.grid.history.redo.isEnabled()


def test_one_undo_takes_back_inverting_and_the_live_learning_after_it(bench: Bench) -> None:
    before = bench.session.state
    bench.select(0)
    choose(bench.menu(), 'Invert')
    bench.settle()
    assert 'stale' not in bench.session.block_states()
    bench.grid.history.undo.click()
    assert bench.session.state is before


def test_undo_and_redo_name_the_change(bench: Bench) -> None:
    switch_kernels(bench.session, [(1, 0)], False)
    bench.grid.history.undo.click()
    assert not bench.session.edits.off
    assert bench.grid.history.redo.toolTip() == 'Redo: switching 1 kernel off'
    assert all(face.ticked for face in bench.faces)
    bench.grid.history.redo.click()
    assert bench.session.edits.off == {(1, 0)}
    assert not bench.grid.history.redo.isEnabled()


def test_new_pictures_change_cards_in_place(bench: Bench) -> None:
    bench.select(1, 3)
    resets = []
    bench.list.cards.modelReset.connect(lambda: resets.append(1))
    before = bench.faces[1].card
    bench.controller.gallery.draw()
    assert bench.faces[1].card is not before
    assert bench.selected() == [1, 3]
    assert not resets


def test_sorting_keeps_the_selected_kernels_selected(bench: Bench) -> None:
    bench.select(0, 1)
    chosen = set(bench.selected())
    bench.grid.order.setCurrentIndex(1)
    bench.grid.order.activated.emit(1)
    numbers = [face.card.number for face in bench.faces]
    assert numbers == sorted(numbers)
    assert [face.card.kernel for face in bench.faces] != [0, 1, 2, 3]
    assert set(bench.selected()) == chosen


def test_cards_of_kernels_that_are_gone_cannot_be_edited(bench: Bench) -> None:
    bench.grid.hide()
    switch_kernels(bench.session, [(1, 0)], False)
    drop_unticked(bench.session)
    assert len(bench.faces) == 4
    assert not bench.controller.gallery.up_to_date
    bench.grid._on_ticks_asked(bench.faces[3], [bench.faces[3]])
    bench.select(3)
    choose(bench.menu(), 'Untick')
    choose(bench.menu(), 'Show channel')
    choose(bench.menu(), 'Go to stroke')
    assert not bench.session.edits.off
    bench.grid.show()
    assert len(bench.faces) == 3


def test_a_hidden_dock_computes_nothing(bench: Bench) -> None:
    bench.grid.hide()
    drawn = []
    bench.controller.gallery.drawn.connect(drawn.append)
    switch_kernels(bench.session, [(1, 0)], False)
    bench.controller.gallery.draw()
    assert not drawn
    bench.grid.show()
    assert len(drawn) == 1


def test_another_image_shows_the_kernels_on_it(bench: Bench, scene) -> None:
    bench.session.live = False
    bench.open(replace(scene, image=255 - scene.image), 'inverse')
    before = bench.faces[0].card.picture
    assert bench.grid.item.currentText() == 'inverse'
    row = bench.grid.item.findText('cells')
    bench.grid.item.setCurrentIndex(row)
    bench.grid.item.activated.emit(row)
    assert bench.session.current == bench.session.items[0].source.key
    assert not np.array_equal(bench.faces[0].card.picture, before)


def test_a_ground_truth_is_offered_and_ranks_the_kernels(bench: Bench, scene) -> None:
    truth = bench.viewer.add_labels(scene.truth, name='by hand')
    combo = bench.grid.truth
    assert [combo.itemText(row) for row in range(combo.count())] == ['none', 'by hand']
    combo.setCurrentIndex(1)
    combo.activated.emit(1)
    assert bench.controller.gallery.truth is truth
    bench.viewer.layers.remove(truth)
    assert combo.count() == 1


def test_every_card_speaks_and_every_control_has_a_name(bench: Bench) -> None:
    index = bench.list.cards.index(0, 0)
    assert index.data(Qt.ItemDataRole.AccessibleTextRole).startswith('kernel 1, ')
    assert 'Mean activation' in index.data(Qt.ItemDataRole.ToolTipRole)
    grid = bench.grid
    for control in (grid.block, grid.item, grid.order, grid.truth, grid.list):
        assert control.accessibleName()


def test_off_cards_and_weights_by_hand_look_different(bench: Bench) -> None:
    bench.controller.gallery.show_block(2)
    plain = bench.list.grab().toImage()
    weigh_kernels(bench.session, [(2, 0)], bench.faces[0].weight)
    by_hand = bench.list.grab().toImage()
    assert by_hand != plain
    switch_kernels(bench.session, [(2, 0)], False)
    assert bench.list.grab().toImage() != by_hand


def test_an_array_keeps_its_values_as_a_pixmap(qtbot) -> None:
    grey = np.array([[0, 128, 255]], np.uint8)
    image = to_pixmap(grey).toImage()
    assert [image.pixelColor(x, 0).getRgb()[:3] for x in range(3)] == [(v, v, v) for v in grey[0]]
    colour = np.array([[[10, 20, 30]], [[40, 50, 60]]], np.uint8)
    image = to_pixmap(colour).toImage()
    assert image.pixelColor(0, 1).getRgb()[:3] == (40, 50, 60)


def test_the_dock_of_a_real_viewer_shows_what_its_controller_learned(
    make_napari_viewer_proxy, scene, qtbot
) -> None:
    viewer = make_napari_viewer_proxy()
    dock = KernelsDock(viewer)
    viewer.window.add_dock_widget(dock)
    dock.grid.show()
    controller = CONTROLLERS.of(viewer)
    controller.session.state = replace(controller.session.state, settings=Settings(SMALL))
    viewer.add_image(scene.image, name='cells')
    viewer.add_labels(scene.markers, name='cells markers')
    controller.gallery.watch(True)
    qtbot.waitUntil(lambda: dock.grid.list.cards.rowCount() == 6, timeout=60_000)
    qtbot.waitUntil(lambda: controller.session.work is None, timeout=60_000)
