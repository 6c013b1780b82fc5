"""When kernel cards are drawn in a viewer, and the way back to the strokes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_flim.bridge.controller import Controller
from napari_flim.bridge.preferences import Preferences
from napari_flim.engine.architecture import Architecture, Block
from napari_flim.session.expert import drop_unticked, invert_kernels, switch_kernels
from napari_flim.session.running import InlineDebouncer, InlineRunner
from napari_flim.session.settings import Settings

SMALL = Architecture((Block(channels=4, kernels_per_marker=2), Block(channels=4)))


class Watched:
    """A controller without threads or clocks, and how often its gallery was drawn."""

    def __init__(self) -> None:
        self.viewer = ViewerModel()
        self.debouncers: list[InlineDebouncer] = []
        self.controller = Controller(self.viewer, InlineRunner, self._debouncer, Preferences)
        self.session = self.controller.session
        self.session.state = replace(self.session.state, settings=Settings(SMALL))
        self.gallery = self.controller.gallery
        self.count = 0
        self.gallery.drawn.connect(self._on_gallery_drawn)

    def _debouncer(self, function, _delay: int) -> InlineDebouncer:
        self.debouncers.append(InlineDebouncer(function))
        return self.debouncers[-1]

    def _on_gallery_drawn(self, _cards) -> None:
        self.count += 1

    def settle(self) -> None:
        for debouncer in self.debouncers:
            debouncer.flush()

    def open(self, image: np.ndarray, markers: np.ndarray, name: str = 'cells', **options) -> None:
        self.viewer.add_image(image, name=name, **options)
        options.pop('rgb', None)
        self.viewer.add_labels(markers, name=f'{name} markers', **options)
        self.settle()


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
def learned(watched: Watched, scene) -> Watched:
    watched.gallery.watch(True)
    watched.open(scene.image, scene.markers)
    assert watched.gallery.cards
    return watched


def volume_of(scene) -> tuple[np.ndarray, np.ndarray]:
    image = np.repeat(scene.image[None], 6, axis=0)
    markers = np.zeros_like(image)
    markers[4] = scene.markers
    return image, markers


def test_nothing_is_drawn_while_nobody_looks(watched: Watched, scene) -> None:
    watched.open(scene.image, scene.markers)
    assert watched.session.learned is not None
    assert (watched.gallery.cards, watched.count) == ((), 0)
    watched.gallery.watch(True)
    assert len(watched.gallery.cards) == 4
    watched.gallery.watch(False)
    drawn = watched.count
    invert_kernels(watched.session, 1, [0])
    assert watched.count == drawn


def test_an_empty_gallery_says_why(watched: Watched, scene) -> None:
    watched.gallery.watch(True)
    assert watched.gallery.reason.startswith('Nothing is learned yet')
    watched.open(scene.image, scene.markers)
    watched.session.live = False
    image, markers = volume_of(scene)
    watched.open(image, markers, 'volume')
    watched.session.current = watched.session.items[1].source.key
    assert watched.gallery.cards == ()
    assert watched.gallery.reason.endswith('volume is a volume.')
    assert not watched.gallery.up_to_date


def test_undoing_the_first_learning_empties_the_gallery(learned: Watched) -> None:
    learned.session.live = False
    while learned.session.history.done:
        learned.session.undo()
    assert learned.session.learned is None
    assert learned.gallery.cards == ()
    assert learned.gallery.reason.startswith('Nothing is learned yet')


def test_a_failure_empties_the_gallery_and_is_told(learned: Watched, monkeypatch) -> None:
    learned.session.live = False
    wrong = replace(learned.session.settings.decoder, name='manual', weights=(1.0,))
    settings = replace(learned.session.settings, decoder=wrong)
    learned.session.change('decoder', replace(learned.session.state, settings=settings))
    learned.gallery.draw()
    assert learned.gallery.cards == ()
    assert 'weights were given' in learned.gallery.reason
    assert learned.session.message.error


def test_cards_show_kernels_that_are_off_too(learned: Watched) -> None:
    learned.gallery.show_block(1)
    switch_kernels(learned.session, [(1, 0)], False)
    assert [card.kernel for card in learned.gallery.cards] == [0, 1, 2, 3]
    drop_unticked(learned.session)
    assert [card.kernel for card in learned.gallery.cards] == [0, 1, 2]
    assert learned.gallery.up_to_date


def test_ticking_computes_no_block_again(learned: Watched) -> None:
    classes = learned.session.learned.model.blocks[1].bank.classes
    commonest = int(np.flatnonzero(classes == np.bincount(classes).argmax())[0])
    switch_kernels(learned.session, [(2, commonest)], False)
    known = learned.controller.applier.known
    assert [one.blocks == learned.session.learned.model.blocks for one in known] == [True]
    switch_kernels(learned.session, [(1, 0)], False)
    later = learned.controller.applier.known
    assert later[0].blocks != later[1].blocks
    switch_kernels(learned.session, [(1, 0)], True)
    again = learned.controller.applier.known[-1]
    assert again.activations[1] is known[0].activations[1]


def test_the_block_stays_one_that_exists(learned: Watched) -> None:
    learned.gallery.show_block(7)
    assert learned.gallery.block == 2
    assert {card.block for card in learned.gallery.cards} == {2}


def test_ground_truths_are_fitting_labels_of_the_user(learned: Watched, scene) -> None:
    told = []
    learned.gallery.truths_changed.connect(lambda: told.append(1))
    truth = learned.viewer.add_labels(scene.truth, name='truth')
    learned.viewer.add_labels(np.zeros((5, 5), int), name='other shape')
    assert learned.gallery.truths() == [truth]
    assert len(told) == 2


def test_a_ground_truth_ranks_kernels_until_it_is_closed(learned: Watched, scene) -> None:
    by_strokes = [card.relevance for card in learned.gallery.cards]
    truth = learned.viewer.add_labels(scene.truth, name='truth')
    learned.gallery.show_block(1, truth)
    by_truth = [card.relevance for card in learned.gallery.cards]
    assert by_truth != by_strokes
    assert max(by_truth) > 0.9
    learned.viewer.layers.remove(truth)
    assert learned.gallery.truth is None
    assert [card.relevance for card in learned.gallery.cards] == by_strokes


def test_a_truth_of_another_shape_is_left_out_of_account(learned: Watched) -> None:
    other = learned.viewer.add_labels(np.ones((5, 5), int), name='other shape')
    before = [card.relevance for card in learned.gallery.cards]
    learned.gallery.show_block(1, other)
    assert [card.relevance for card in learned.gallery.cards] == before


def test_the_way_back_leads_to_the_voxel_in_world_units(watched: Watched, scene) -> None:
    image, markers = volume_of(scene)
    watched.gallery.watch(True)
    watched.open(image, markers, scale=(4, 0.5, 0.5), translate=(100, 0, 0))
    watched.viewer.dims.set_point(0, 100)
    bank = watched.session.learned.model.blocks[0].bank
    watched.gallery.go_to_origin(1, 0)
    z, y, x = bank.voxels[0]
    assert watched.viewer.dims.point[0] == 100 + 4 * z == 116
    assert tuple(watched.viewer.scene.camera.center)[1:] == (y / 2, x / 2)
    assert watched.viewer.layers.selection.active.name == 'cells markers'
    marker = bank.markers[0] + 1
    assert watched.session.message.text == f'Kernel 1 of block 1: marker {marker} of cells.'


def test_the_way_back_in_a_stack_leads_to_its_image(watched: Watched, scene) -> None:
    stack = np.stack([scene.image] * 3)
    markers = np.zeros_like(stack)
    markers[2] = scene.markers
    watched.viewer.add_image(stack, name='stack')
    watched.controller.items.set_axes(watched.session.items[0].source.key, 'TYX')
    watched.viewer.add_labels(markers, name='stack markers')
    watched.settle()
    watched.viewer.dims.set_point(0, 0)
    watched.gallery.go_to_origin(1, 0)
    assert watched.viewer.dims.point[0] == 2


def test_a_closed_image_is_named(learned: Watched) -> None:
    learned.session.live = False
    learned.viewer.layers.remove('cells')
    learned.gallery.go_to_origin(1, 0)
    assert learned.session.message.text == 'cells is closed; open it to see the stroke.'


def test_kernels_of_an_opened_model_have_no_way_back(learned: Watched) -> None:
    opened = replace(learned.session.learned, origins=(), digest='')
    learned.session.change('opening', replace(learned.session.state, learned=opened))
    learned.gallery.go_to_origin(1, 0)
    assert learned.session.message.text.startswith('Where this kernel came from is not known')


def test_cards_that_need_too_much_memory_are_not_drawn(learned: Watched, monkeypatch) -> None:
    monkeypatch.setattr('napari_flim.bridge.applier.memory_budget', lambda _preferences: 1000)
    learned.gallery.draw()
    assert learned.gallery.cards == ()
    assert 'over the budget' in learned.gallery.reason
