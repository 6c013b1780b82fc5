"""Saliency of what is in view and of the rest: shown, kept true, and taken away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from napari_flim.bridge.marker_layers import link_of
from napari_flim.session.settings import without_block


def test_every_object_class_has_a_saliency_layer_and_a_class_that_is_gone_has_none(desk):
    markers = desk.markers
    desk.stroke(markers, (slice(30, 34), slice(28, 32)), 3)
    desk.rest()
    assert [layer.name for layer in desk.saliency()] == [
        'cells saliency',
        'cells saliency object 3',
    ]
    desk.stroke(markers, (slice(30, 34), slice(28, 32)), 0)
    desk.rest()
    assert [link_of(layer)['role'] for layer in desk.saliency()] == ['saliency 2']


def test_a_deleted_saliency_layer_is_made_anew_after_the_next_stroke(desk):
    (gone,) = desk.saliency()
    desk.viewer.layers.remove(gone)
    desk.rest()
    desk.stroke(desk.markers, (slice(30, 33), slice(30, 33)), 2)
    desk.rest()
    (made,) = desk.saliency()
    assert made is not gone


def test_results_lie_over_their_image_wherever_it_is_and_goes(new_desk, scene):
    desk = new_desk()
    image, markers = desk.open(
        scene.image,
        scale=(0.5, 0.25),
        translate=(3, 4),
        rotate=20,
        shear=[0.1],
        affine=np.array([[1, 0.1, 2], [0, 1, 0], [0, 0, 1]]),
        units=('um', 'um'),
        axis_labels=('row', 'column'),
    )
    desk.paint_both(markers)
    (saliency,) = desk.saliency()
    corners = np.array([[0, 0], [47, 0], [0, 47], [47, 47]])

    def same_place() -> bool:
        pairs = [(image.data_to_world(one), saliency.data_to_world(one)) for one in corners]
        return np.allclose(*zip(*pairs, strict=True))

    assert same_place()
    assert saliency.units == image.units
    assert saliency.axis_labels == image.axis_labels
    image.translate = (10, 20)
    desk.rest()
    assert len(desk.learned) == 1
    assert same_place()
    image.scale = (1, 1)
    desk.rest()
    assert same_place()


def test_a_volume_shows_its_plane_first_and_then_all_of_it(held_desk, scene):
    desk, runner = held_desk
    volume = np.stack([scene.image] * 40)
    _, markers = desk.open(volume, axis_labels=('z', 'y', 'x'))
    small = without_block(without_block(desk.session.settings, 3), 2)
    desk.session.change('fewer blocks', replace(desk.session.state, settings=small))
    desk.viewer.dims.set_current_step(0, 20)
    places: list[tuple[int | None, int]] = []

    def on_applied(applied: Any) -> None:
        filled = np.count_nonzero(desk.shown().any(axis=(1, 2)))
        places.append((applied.target.plane, filled))

    desk.controller.applier.applied.connect(on_applied)
    desk.paint_both(markers, 20)
    runner.go_on()
    assert [plane for plane, _ in places] == [20, None]
    assert places[0][1] == 1
    assert places[1][1] > 30


@pytest.mark.filterwarnings('ignore:.*not finite')
def test_voxels_that_are_not_finite_are_told_of_an_image_without_markers(desk, scene):
    image = scene.image.astype(np.float32)
    image[3, 3] = np.inf
    desk.session.current = desk.controller.items.add(desk.viewer.add_image(image, name='others'))
    desk.rest()
    assert desk.session.message.text.startswith('others holds 1 voxels that are not finite')


def test_the_saliency_of_a_closed_or_forgotten_image_goes_and_that_of_others_stays(desk, scene):
    first = desk.controller.items.image_layer(desk.session.current)
    other = desk.viewer.add_image(scene.image, name='others')
    key = desk.controller.items.add(other)
    desk.rest()
    assert len(desk.saliency()) == 2
    desk.viewer.layers.remove(first)
    desk.rest()
    assert [link_of(layer)['item'] for layer in desk.saliency()] == [key]
    assert desk.session.current == key
    desk.controller.items.remove(key)
    desk.rest()
    assert desk.saliency() == []
    assert other in desk.viewer.layers


def test_an_image_that_comes_back_gets_its_saliency_back(desk):
    image, before = desk.controller.items.image_layer(desk.session.current), desk.shown().copy()
    desk.viewer.layers.remove(image)
    desk.rest()
    assert desk.saliency() == []
    desk.viewer.add_layer(image)
    desk.rest()
    np.testing.assert_array_equal(desk.shown(), before)
    desk.controller.items.remove(str(image.unique_id))
    desk.rest()
    assert desk.saliency() == []
    desk.controller.items.add(image, desk.viewer.layers['cells markers'])
    desk.rest()
    np.testing.assert_array_equal(desk.shown(), before)


def test_layers_may_go_many_at_once(desk, scene):
    other = desk.viewer.add_image(scene.image, name='others')
    desk.session.current = desk.controller.items.add(other)
    desk.rest()
    mask = desk.viewer.add_labels(scene.truth, name='mask')
    del desk.viewer.layers[:-1]
    desk.rest()
    assert list(desk.viewer.layers) == [mask]


def test_the_saliency_of_items_that_are_ticked_needs_no_current_image(held, wide_scene):
    desk, runner = held
    first = desk.controller.items.image_layer(desk.session.current)
    key = desk.controller.items.add(desk.viewer.add_image(wide_scene.image, name='others'))
    # While the closed one is still the current item.
    desk.session.current = str(first.unique_id)
    desk.viewer.layers.remove(first)
    desk.controller.applier.show_rest()
    runner.go_on()
    assert key in {link_of(layer)['item'] for layer in desk.saliency()}


@pytest.mark.parametrize('axes', ('TYX', 'TZYX'))
def test_images_of_a_stack_out_of_view_never_show_the_saliency_of_an_earlier_model(
    new_desk, scene, axes
):
    desk = new_desk()
    names = {'T': 'time', 'Z': 'z', 'Y': 'y', 'X': 'x'}
    shape = (5, 3)[: len(axes) - 2]
    stack = np.broadcast_to(scene.image, (*shape, 48, 48)).copy()
    _, markers = desk.open(stack, axis_labels=[names[letter] for letter in axes])
    front = (2, 1)[: len(shape)]
    desk.viewer.dims.set_current_step(0, 2)
    desk.paint_both(markers, *front)
    for frame in (4, 1):
        desk.viewer.dims.set_current_step(0, frame)
        desk.rest()
    (layer,) = desk.saliency()

    def shown():
        return np.flatnonzero(desk.shown().reshape(5, -1).any(axis=1)).tolist()

    assert shown() == [1, 2, 4]
    layer.opacity, layer.contrast_limits = 0.3, (0.1, 0.6)
    before = layer.data[4].copy()
    desk.stroke(markers, (*front, slice(30, 33), slice(30, 33)), 2)
    desk.rest()
    assert len(desk.learned) == 2
    assert desk.saliency() == [layer]
    assert shown() == [1]
    assert (layer.opacity, layer.contrast_limits) == (0.3, [0.1, 0.6])
    desk.viewer.dims.set_current_step(0, 4)
    desk.rest()
    assert shown() == [1, 4]
    assert not np.array_equal(layer.data[4], before)
    np.testing.assert_array_equal(layer.data[4], layer.data[1])


def test_live_learning_writes_into_the_same_array_of_a_stack(new_desk, scene):
    desk = new_desk()
    _, markers = desk.open(np.stack([scene.image] * 4), axis_labels=('t', 'y', 'x'))
    desk.viewer.dims.set_current_step(0, 2)
    desk.paint_both(markers, 2)
    (layer,) = desk.saliency()
    voxels = layer.data
    for row in (30, 34):
        desk.stroke(markers, (2, slice(row, row + 3), slice(30, 33)), 2)
        desk.rest()
    assert len(desk.learned) == 3
    assert layer.data is voxels


def recording(image: np.ndarray, count: int) -> tuple[Any, list[int]]:
    """A lazy stack whose frames are remembered when they are computed."""
    import dask
    import dask.array as da

    computed: list[int] = []

    def frame(index: int) -> np.ndarray:
        computed.append(index)
        return image

    frames = [
        da.from_delayed(dask.delayed(frame, pure=False)(index), image.shape, image.dtype)
        for index in range(count)
    ]
    return da.stack(frames), computed


def test_of_a_lazy_stack_only_the_frames_in_view_are_read_and_shown(new_desk, scene):
    stack, computed = recording(scene.image, 12)
    desk = new_desk()
    _, markers = desk.open(stack, axis_labels=('t', 'y', 'x'), contrast_limits=(0, 255))
    desk.viewer.dims.set_current_step(0, 3)
    desk.rest()
    computed.clear()
    desk.paint_both(markers, 3)
    assert set(computed) == {3}
    assert np.flatnonzero(desk.shown().any(axis=(1, 2))).tolist() == [3]
    computed.clear()
    desk.viewer.dims.set_current_step(0, 7)
    desk.rest()
    assert set(computed) == {7}
    assert np.flatnonzero(desk.shown().any(axis=(1, 2))).tolist() == [3, 7]
    assert len(desk.learned) == 1
