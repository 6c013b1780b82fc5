"""Commands of napari's menus."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.utils.notifications import notification_manager

from napari_flim.bridge.commands import new_markers, show_saliency
from napari_flim.bridge.controller import CONTROLLERS
from napari_flim.bridge.marker_layers import link_of


class Bench:
    """A viewer with its controller, and what napari was told to say."""

    def __init__(self, qtbot: Any) -> None:
        self.qtbot = qtbot
        self.viewer = ViewerModel()
        self.controller = CONTROLLERS.of(self.viewer)
        self.session = self.controller.session
        self.said: list[str] = []
        notification_manager.notification_ready.connect(self._on_notification_ready)

    def _on_notification_ready(self, notification: Any) -> None:
        self.said.append(notification.message)

    def forget(self) -> None:
        notification_manager.notification_ready.disconnect(self._on_notification_ready)

    def add(self, data: np.ndarray, name: str, **options: Any) -> Any:
        return self.viewer.add_image(data, name=name, **options)

    def select(self, *layers: Any) -> None:
        self.viewer.layers.selection = set(layers)

    def names(self) -> set[str]:
        return {layer.name for layer in self.viewer.layers}

    def learn(self, scene: Any) -> Any:
        """An image that a model was learned from."""
        image = self.add(scene.image, 'cells')
        self.viewer.add_labels(scene.markers, name='cells markers')
        self.qtbot.waitUntil(lambda: self.session.learned is not None, timeout=20000)
        self.rest()
        return image

    def rest(self) -> None:
        self.qtbot.waitUntil(lambda: 'cells saliency' in self.names(), timeout=20000)
        self.qtbot.waitUntil(lambda: self.session.work is None, timeout=20000)

    def wait_for(self, *names: str) -> None:
        self.qtbot.waitUntil(lambda: set(names) <= self.names(), timeout=20000)


@pytest.fixture
def bench(qtbot: Any) -> Iterator[Bench]:
    bench = Bench(qtbot)
    yield bench
    bench.forget()


def test_new_markers_lie_over_the_selected_image_and_belong_to_it(bench: Bench) -> None:
    bench.add(np.zeros((6, 8)), 'other')
    cells = bench.add(np.zeros((6, 8)), 'cells', scale=(0.5, 0.25), units='um')
    bench.select(cells)
    new_markers(bench.viewer)
    markers = bench.viewer.layers['cells markers']
    assert tuple(markers.scale) == (0.5, 0.25)
    assert link_of(markers)['item'] == str(cells.unique_id)
    assert bench.viewer.layers.selection.active is markers
    assert bench.controller.items.marker_layer(str(cells.unique_id)) is markers


def test_an_image_keeps_the_markers_it_has(bench: Bench) -> None:
    cells = bench.add(np.zeros((6, 8)), 'cells')
    bench.select(cells)
    new_markers(bench.viewer)
    markers = bench.viewer.layers['cells markers']
    bench.select(cells)
    new_markers(bench.viewer)
    assert len(bench.viewer.layers) == 2
    assert bench.viewer.layers.selection.active is markers
    assert bench.said == ['Paint on cells markers: the image has this marker layer already.']


def test_an_image_that_is_no_image_is_named_with_what_to_do(bench: Bench) -> None:
    bench.select(bench.add(np.zeros((2, 2, 2, 2, 4, 4)), 'strange'))
    bench.said.clear()
    new_markers(bench.viewer)
    assert 'strange has shape (2, 2, 2, 2, 4, 4)' in bench.said[0]
    assert bench.names() == {'strange'}


@pytest.mark.parametrize('command', [new_markers, show_saliency])
def test_without_a_selected_image_both_commands_say_so(
    bench: Bench, command: Any, scene: Any
) -> None:
    bench.learn(scene)
    bench.select()
    bench.said.clear()
    command(bench.viewer)
    assert bench.said == ['Select an image in the layer list first.']


def test_without_a_model_the_user_hears_how_to_get_one(bench: Bench) -> None:
    bench.select(bench.add(np.zeros((6, 8)), 'cells'))
    show_saliency(bench.viewer)
    assert len(bench.said) == 1
    assert 'press Learn' in bench.said[0]


def test_saliency_appears_on_every_selected_image_without_markers_or_a_tick(
    bench: Bench, scene: Any
) -> None:
    bench.learn(scene)
    one, two = (bench.add(scene.image[::-1].copy(), name) for name in ('one', 'two'))
    key = bench.controller.items.add(two)
    bench.session.include(key, False)
    bench.select(one, two)
    show_saliency(bench.viewer)
    bench.wait_for('one saliency', 'two saliency')
    assert bench.names() & {'one markers', 'two markers'} == set()
    assert bench.said == []


def test_a_deleted_saliency_layer_comes_back_when_asked_for(bench: Bench, scene: Any) -> None:
    cells = bench.learn(scene)
    bench.viewer.layers.remove('cells saliency')
    bench.select(cells)
    show_saliency(bench.viewer)
    bench.wait_for('cells saliency')


def test_an_image_that_the_model_cannot_read_is_named(bench: Bench, scene: Any) -> None:
    bench.learn(scene)
    bench.select(bench.add(np.zeros((6, 32, 32)), 'volume'))
    show_saliency(bench.viewer)
    assert 'cannot be applied to volume: it reads images (y, x) with 1 channel' in bench.said[-1]
    assert 'volume saliency' not in bench.names()
