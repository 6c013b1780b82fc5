"""What block 1 reads, as a layer of the viewer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_flim.bridge.controller import Controller
from napari_flim.bridge.input_preview import InputPreview
from napari_flim.bridge.preferences import Preferences
from napari_flim.engine.preprocessing import InputTransform
from napari_flim.session.running import InlineDebouncer, InlineRunner


class Desk:
    """A viewer with a preview, and a way to change the input."""

    def __init__(self, data: np.ndarray, **options: object) -> None:
        self.viewer = ViewerModel()

        self._pauses: list[InlineDebouncer] = []

        def debouncer(function: Callable[[], None], _delay: int) -> InlineDebouncer:
            self._pauses.append(InlineDebouncer(function))
            return self._pauses[-1]

        self.controller = Controller(self.viewer, InlineRunner, debouncer, Preferences)
        self.session = self.controller.session
        self.session.live = False
        self.image = self.viewer.add_image(data, name='cells', **options)
        self.preview = InputPreview(
            self.viewer,
            self.session,
            self.controller.items,
            self.controller.results,
            self.controller.applier,
            InlineRunner(),
            Preferences,
        )

    def rest(self) -> None:
        for pause in self._pauses:
            pause.flush()

    def choose(self, *, fixed: bool = False, **values: object) -> None:
        state = self.session.state
        transform = InputTransform(**values)
        settings = replace(state.settings, transform=transform, fixed_ranges=fixed)
        self.session.change('input', replace(state, settings=settings), repeats=True)

    @property
    def layers(self) -> list[Image]:
        return [layer for layer in self.viewer.layers if layer is not self.image]

    @property
    def layer(self) -> Image:
        (layer,) = self.layers
        return layer


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 200, shape).astype(np.uint8)


def test_an_rgb_image_is_shown_as_three_features_over_its_pixels() -> None:
    desk = Desk(noise(20, 30, 3), rgb=True, scale=(0.5, 0.25), units='um', translate=(3, 4))
    desk.preview.show(True)
    assert desk.layer.name == 'cells input'
    assert desk.layer.data.shape == (3, 20, 30)
    assert desk.layer.axis_labels[0] == 'feature'
    assert desk.layer.scale.tolist() == [1, 0.5, 0.25]
    assert desk.layer.translate.tolist() == [0, 3, 4]


def test_a_grey_image_is_shown_as_one_scaled_map() -> None:
    desk = Desk(noise(20, 30))
    desk.preview.show(True)
    assert desk.layer.data.shape == (20, 30)
    np.testing.assert_allclose(np.percentile(desk.layer.data, (0.1, 99.9)), (0, 1), atol=0.02)


def test_a_volume_is_shown_whole() -> None:
    desk = Desk(noise(6, 20, 30), scale=(2, 1, 1))
    desk.preview.show(True)
    assert desk.layer.data.shape == (6, 20, 30)
    assert desk.layer.scale.tolist() == [2, 1, 1]


def test_of_a_stack_the_image_in_view_is_shown_in_its_place() -> None:
    stack = noise(4, 20, 30)
    desk = Desk(stack, axis_labels=('t', 'y', 'x'))
    desk.viewer.dims.set_current_step(0, 1)
    desk.preview.show(True)
    desk.viewer.dims.set_current_step(0, 3)
    assert desk.layer.data.shape == (1, 20, 30)
    assert desk.layer.translate.tolist() == [3, 0, 0]
    order = np.argsort(stack[3], axis=None, kind='stable')
    assert (np.diff(desk.layer.data[0].ravel()[order]) >= 0).all()


def test_the_layer_follows_the_settings_and_its_contrast_follows_the_values() -> None:
    desk = Desk(noise(20, 30))
    desk.preview.show(True)
    before = desk.layer
    desk.choose(kind='window', window=(0, 400))
    assert desk.layer is before
    assert desk.layer.data.max() == pytest.approx(199 / 400)
    assert desk.layer.contrast_limits[1] == pytest.approx(199 / 400)


def test_more_features_than_before_get_a_leading_axis() -> None:
    desk = Desk(noise(20, 30))
    desk.preview.show(True)
    desk.choose(kind='multiscale', scales=(1.0,))
    assert desk.layer.data.shape == (5, 20, 30)
    desk.choose(kind='scaled')
    assert desk.layer.data.shape == (20, 30)


def test_fixed_ranges_are_those_of_the_training_images() -> None:
    data = noise(20, 30)
    desk = Desk(data)
    bright = desk.viewer.add_image(data * 0 + np.arange(30, dtype=np.uint8) * 8, name='bright')
    key = desk.controller.items.add(bright)
    markers = desk.controller.items.new_markers(key)
    markers.data[2:4, 2:4] = 1
    markers.refresh()
    desk.controller.items.settle()
    desk.viewer.layers.selection.active = desk.image
    desk.preview.show(True)
    desk.choose(kind='scaled', fixed=True, percentiles=(0, 100))
    shown = desk.controller.results.find('input', str(desk.image.unique_id))
    np.testing.assert_allclose(shown.data, data / 232, rtol=1e-5)


def test_an_input_that_the_image_has_not_is_said_and_not_shown() -> None:
    desk = Desk(noise(20, 30))
    desk.choose(kind='lab')
    desk.preview.show(True)
    assert desk.layers == []
    assert desk.session.message.error
    assert 'not RGB' in desk.session.message.text


def test_switching_off_takes_the_layer_away() -> None:
    desk = Desk(noise(20, 30))
    desk.preview.show(True)
    desk.preview.show(False)
    assert desk.layers == []
    desk.choose(kind='window', window=(0, 400))
    assert desk.layers == []


def test_deleting_the_layer_switches_the_preview_off() -> None:
    desk = Desk(noise(20, 30))
    heard: list[bool] = []
    desk.preview.switched.connect(heard.append)
    desk.preview.show(True)
    desk.viewer.layers.remove(desk.layer)
    assert heard == [True, False]
    desk.choose(kind='window', window=(0, 400))
    assert desk.layers == []


def test_a_copy_that_the_user_keeps_is_left_alone() -> None:
    desk = Desk(noise(20, 30))
    desk.preview.show(True)
    copy = Image(desk.layer.data.copy(), name='mine', metadata=desk.layer.metadata)
    desk.viewer.add_layer(copy)
    desk.preview.show(False)
    assert desk.layers == [copy]


@pytest.mark.parametrize('way', ['close', 'forget'])
def test_the_input_goes_with_its_image_and_the_one_in_view_then_is_shown(way: str) -> None:
    desk = Desk(noise(20, 30))
    other = desk.viewer.add_image(noise(24, 24), name='others')
    key = desk.controller.items.add(other)
    desk.preview.show(True)
    assert [layer.name for layer in desk.layers if layer is not other] == ['cells input']
    if way == 'close':
        desk.viewer.layers.remove(desk.image)
    else:
        desk.controller.items.remove(str(desk.image.unique_id))
    desk.rest()
    shown = [layer.name for layer in desk.layers if layer is not other]
    assert shown == ['others input']
    assert desk.session.current == key
    desk.viewer.layers.remove(other)
    desk.rest()
    desk.choose(kind='window', window=(0, 400))
    assert desk.layers == []
    assert not desk.session.message.error


@pytest.mark.parametrize('rgb', [False, True])
def test_the_input_follows_an_image_that_is_moved(rgb: bool) -> None:
    desk = Desk(noise(4, 20, 30, *[3] * rgb), rgb=rgb, axis_labels=('t', 'y', 'x'))
    desk.viewer.dims.set_current_step(0, 2)
    desk.preview.show(True)
    desk.image.translate = (0, 5, 6)
    desk.image.rotate = 20
    desk.rest()
    place = desk.layer.data_to_world((*[0] * rgb, 0, 3, 4))[-3:]
    np.testing.assert_allclose(place, desk.image.data_to_world((2, 3, 4)))


def test_a_preview_whose_dock_is_gone_leaves_nothing_and_tells_nobody() -> None:
    desk = Desk(noise(20, 30))
    desk.preview.show(True)
    heard: list[bool] = []
    desk.preview.switched.connect(heard.append)
    desk.preview.close()
    assert desk.layers == []
    desk.choose(kind='window', window=(0, 400))
    assert (desk.layers, heard) == ([], [])
