"""The Activations dock."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_flim.bridge.controller import CONTROLLERS, Controller
from napari_flim.bridge.preferences import Preferences
from napari_flim.samples import beads, coins
from napari_flim.session.running import InlineDebouncer, InlineRunner
from napari_flim.session.session import Message
from napari_flim.widgets.activations import Activations, ActivationsDock


class Bench:
    """A viewer model whose jobs run at once."""

    def __init__(self) -> None:
        self.waiting: list[InlineDebouncer] = []
        self.viewer = ViewerModel()
        self.controller = Controller(self.viewer, InlineRunner, self._debouncer, Preferences)
        self.session = self.controller.session

    def _debouncer(self, function: Any, delay: int) -> InlineDebouncer:
        self.waiting.append(InlineDebouncer(function))
        return self.waiting[-1]

    def settle(self) -> None:
        for debouncer in self.waiting:
            debouncer.flush()

    def open(self, layers: Any) -> None:
        for data, options, kind in layers:
            getattr(self.viewer, f'add_{kind}')(data, **options)
        self.settle()

    def learn(self, image: np.ndarray, markers: np.ndarray, **options: Any) -> Any:
        layer = self.viewer.add_image(image, name='cells', **options)
        grid = {name: one for name, one in options.items() if name != 'rgb'}
        self.viewer.add_labels(markers, name='cells markers', **grid)
        self.settle()
        assert self.session.learned is not None, self.session.message
        return layer

    def block(self, **fields: Any) -> None:
        """Change the first block, and learn again."""
        settings = self.session.settings
        first, *rest = settings.architecture.blocks
        changed = replace(settings.architecture, blocks=(replace(first, **fields), *rest))
        state = replace(self.session.state, settings=replace(settings, architecture=changed))
        self.session.change('a block', state)
        self.settle()


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def dock(bench: Bench, qtbot: Any) -> Activations:
    dock = Activations(bench.controller)
    qtbot.addWidget(dock)
    return dock


def channels(bench: Bench) -> Any:
    (layer,) = [one for one in bench.viewer.layers if one.name.endswith(' channels')]
    return layer


def test_before_learning_the_buttons_are_dead_and_say_why(dock: Activations) -> None:
    assert not dock.all.isEnabled() and not dock.strongest.isEnabled()
    assert 'Nothing is learned yet' in dock.note.text()


def test_blocks_are_named_with_their_kernels_and_the_size_of_a_channel(
    dock: Activations, bench: Bench, scene: Any
) -> None:
    bench.learn(scene.image, scene.markers)
    bench.block(stride=2)
    blocks = bench.session.learned.model.blocks
    texts = [dock.block.itemText(index) for index in range(dock.block.count())]
    counts = [len(block.bank) for block in blocks]
    assert texts == [f'block {n}: {c} kernels, 24 x 24' for n, c in enumerate(counts, start=1)]
    assert dock.block.currentIndex() == len(blocks) - 1


def test_showing_all_channels_makes_one_layer_with_an_axis_of_kernels(
    dock: Activations, bench: Bench
) -> None:
    bench.open(beads())
    dock.block.setCurrentIndex(0)
    dock.all.click()
    layer = channels(bench)
    count = len(bench.session.learned.model.blocks[0].bank)
    assert layer.data.shape == (count, 40, 96, 96)
    assert layer.axis_labels == ('kernel', 'z', 'y', 'x')
    assert [f'{unit:~P}' for unit in bench.viewer.dims.units[1:]] == ['µm', 'µm', 'µm']


def test_the_strongest_are_eight_of_them(dock: Activations, bench: Bench, scene: Any) -> None:
    bench.learn(scene.image, scene.markers)
    dock.block.setCurrentIndex(0)
    dock.strongest.click()
    assert channels(bench).data.shape == (8, 48, 48)


def test_memory_is_named_for_volumes_only(dock: Activations, bench: Bench) -> None:
    bench.open(coins())
    assert dock.note.text() == ''
    bench.open(beads())
    bench.controller.learner.cancel()
    bench.session.current = bench.session.items[-1].source.key
    assert 'cannot be applied to beads' in dock.note.text()
    assert not dock.all.isEnabled()


def test_memory_of_a_volume_counts_four_bytes_for_each_voxel_of_each_channel(
    dock: Activations, bench: Bench
) -> None:
    bench.open(beads())
    count = len(bench.session.learned.model.blocks[-1].bank)
    needed = round(4 * count * 40 * 96 * 96 / 2**20)
    assert f'All {count} channels of this volume take {needed} MB' in dock.note.text()


def test_a_block_with_few_kernels_says_that_all_can_be_shown(
    dock: Activations, bench: Bench, scene: Any
) -> None:
    bench.learn(scene.image, scene.markers)
    dock.block.setCurrentIndex(0)
    bench.block(channels=4)
    assert dock.all.isEnabled() and not dock.strongest.isEnabled()
    assert 'The block has only 4 kernels: show all.' in dock.note.text()


def test_the_chosen_block_stays_chosen_when_the_model_is_learned_again(
    dock: Activations, bench: Bench, scene: Any
) -> None:
    bench.learn(scene.image, scene.markers)
    dock.block.setCurrentIndex(1)
    bench.block(channels=4)
    assert dock.block.currentIndex() == 1
    assert dock.block.itemText(0).startswith('block 1: 4 kernels')


def test_a_failure_is_told_in_the_dock(dock: Activations, bench: Bench) -> None:
    bench.session.message = Message('The graphics card is full.', error=True)
    assert 'The graphics card is full.' in dock.note.text()


def test_what_has_no_text_of_its_own_has_a_name(dock: Activations) -> None:
    assert dock.block.accessibleName() == 'Block whose channels are shown'
    chain = [dock.block, dock.all, dock.strongest]
    for before, after in pairwise(chain):
        widget = before.nextInFocusChain()
        while widget not in chain:
            widget = widget.nextInFocusChain()
        assert widget is after


KINDS = ('grey', 'rgb', 'stack', 'volume')


def scene_of(kind: str, scene: Any) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    image, markers = scene.image, scene.markers
    if kind == 'rgb':
        return np.stack([image, 255 - image, image], axis=-1), markers, {'rgb': True}
    if kind == 'stack':
        labels = {'axis_labels': ('t', 'y', 'x')}
        return np.stack([image, image[::-1]]), np.stack([markers, 0 * markers]), labels
    if kind == 'volume':
        deep = np.repeat(image[np.newaxis], 7, axis=0)
        return deep, np.repeat(markers[np.newaxis], 7, axis=0), {'axis_labels': ('z', 'y', 'x')}
    return image, markers, {}


@pytest.mark.parametrize('kind', KINDS)
def test_channels_of_a_strided_block_lie_over_the_image_and_are_updated_in_place(
    dock: Activations, bench: Bench, scene: Any, kind: str
) -> None:
    data, markers, options = scene_of(kind, scene)
    image = bench.learn(data, markers, scale=(0.5,) * markers.ndim, units='um', **options)
    bench.block(stride=2)
    dock.block.setCurrentIndex(0)
    dock.all.click()
    layer = channels(bench)
    spatial = 3 if kind == 'volume' else 2
    voxel = np.arange(1, markers.ndim + 1)
    voxel[:-spatial] = 0
    stride = np.ones(markers.ndim)
    stride[-spatial:] = 2
    world = layer.data_to_world((0, *voxel))[1:]
    np.testing.assert_allclose(world, image.data_to_world(voxel * stride))
    assert {f'{unit:~P}' for unit in bench.viewer.dims.units[1:]} == {'µm'}

    before = layer.data.copy()
    bench.viewer.layers['cells markers'].data[..., 20:24, 4:8] = 1
    bench.viewer.layers['cells markers'].refresh()
    bench.settle()
    assert channels(bench) is layer
    assert layer.data.shape == before.shape
    assert (layer.data != before).any()


def test_the_dock_of_a_real_window_shows_channels(
    make_napari_viewer_proxy: Any, qtbot: Any
) -> None:
    viewer = make_napari_viewer_proxy()
    dock = ActivationsDock(viewer)
    viewer.window.add_dock_widget(dock)
    session = CONTROLLERS.of(viewer).session
    for data, options, kind in coins():
        getattr(viewer, f'add_{kind}')(data, **options)
    qtbot.waitUntil(lambda: session.learned is not None and session.work is None, timeout=30000)
    dock.activations.strongest.click()
    qtbot.waitUntil(
        lambda: any(one.name == 'coins block 3 channels' for one in viewer.layers), timeout=30000
    )
    assert viewer.dims.axis_labels == ('kernel', 'y', 'x')
