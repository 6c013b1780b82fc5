"""Learning and applying as the user paints, scrolls, edits and changes the mind meanwhile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from napari.layers import Labels

from napari_flim.bridge.marker_layers import link_of
from napari_flim.session.classes import with_change
from napari_flim.session.expert import switch_kernels
from napari_flim.session.settings import without_block


def act_paint(markers: Labels) -> None:
    markers.brush_size = 3
    markers.paint((30, 30), 2)


def act_erase(markers: Labels) -> None:
    markers.brush_size = 3
    markers.paint((12, 12), 0)


def act_fill(markers: Labels) -> None:
    markers.fill((12, 12), 3)


def act_polygon(markers: Labels) -> None:
    markers.paint_polygon([(30, 28), (30, 34), (36, 34), (36, 28)], 2)


def act_setitem(markers: Labels) -> None:
    markers.data_setitem(np.nonzero(_square(markers.data.shape)), 2)


def _square(shape: tuple[int, ...]) -> np.ndarray:
    square = np.zeros(shape, dtype=bool)
    square[30:33, 30:33] = True
    return square


def act_new_data(markers: Labels) -> None:
    data = markers.data.copy()
    data[30:33, 30:33] = 2
    markers.data = data


def act_write_and_refresh(markers: Labels) -> None:
    markers.data[30:33, 30:33] = 2
    markers.refresh()


CHANGES = (
    act_paint, act_erase, act_fill, act_polygon, act_setitem, act_new_data, act_write_and_refresh
)  # fmt: skip


@pytest.mark.parametrize('act', CHANGES)
def test_each_way_to_change_markers_leads_to_exactly_one_relearning(desk, act):
    before = desk.shown().copy()
    act(desk.markers)
    desk.rest()
    assert len(desk.learned) == 2
    assert all(state == 'learned' for state in desk.session.block_states())
    desk.rest()
    assert len(desk.learned) == 2
    if act is not act_fill:
        assert not np.array_equal(desk.shown(), before)


def test_undo_and_redo_of_a_stroke_lead_to_one_relearning_each(desk):
    markers = desk.markers
    act_setitem(markers)
    desk.rest()
    markers.undo()
    desk.rest()
    assert len(desk.learned) == 3
    assert desk.learned[2].digest == desk.learned[0].digest
    markers.redo()
    desk.rest()
    assert len(desk.learned) == 4
    assert desk.learned[3].digest == desk.learned[1].digest


def test_a_burst_of_strokes_leads_to_one_relearning(desk):
    markers = desk.markers
    for act in (act_paint, act_erase, act_setitem):
        act(markers)
    desk.rest()
    assert len(desk.learned) == 2


def act_same_label(markers: Labels) -> None:
    markers.brush_size = 1
    markers.paint((12, 12), 2)


def act_same_data(markers: Labels) -> None:
    markers.data = markers.data.copy()


def act_refresh(markers: Labels) -> None:
    markers.refresh()


def act_rename(markers: Labels) -> None:
    markers.name = 'something else'


def act_hide(markers: Labels) -> None:
    markers.visible = False


@pytest.mark.parametrize('act', (act_same_label, act_same_data, act_refresh, act_rename, act_hide))
def test_what_changes_no_stroke_leads_to_no_relearning(desk, act):
    act(desk.markers)
    desk.rest()
    assert len(desk.learned) == 1


@pytest.mark.parametrize('axes', ('TYX', 'ZYX'))
def test_stacks_and_volumes_relearn_once_for_each_change_and_never_for_a_slider_step(
    new_desk, scene, axes
):
    desk = new_desk()
    labels = ('time' if axes[0] == 'T' else 'z', 'y', 'x')
    _, markers = desk.open(np.stack([scene.image] * 6), axis_labels=labels)
    desk.paint_both(markers, 2)
    assert [item.source.axes for item in desk.session.items] == [axes]
    assert len(desk.learned) == 1
    for step in (1, 4, 2):
        desk.viewer.dims.set_current_step(0, step)
        desk.rest()
    assert len(desk.learned) == 1
    desk.stroke(markers, (4, slice(30, 33), slice(30, 33)), 2)
    desk.stroke(markers, (5, slice(2, 5), slice(30, 36)), 1)
    desk.rest()
    assert len(desk.learned) == 2
    (item,) = desk.session.items
    assert sum(item.counts.values()) == np.count_nonzero(markers.data)
    markers.undo()
    markers.undo()
    desk.rest()
    assert len(desk.learned) == 3
    assert desk.learned[2].digest == desk.learned[0].digest


def test_painting_with_live_off_marks_blocks_stale_until_live_is_switched_on(desk):
    desk.session.live = False
    act_setitem(desk.markers)
    desk.rest()
    assert len(desk.learned) == 1
    assert set(desk.session.block_states()) == {'stale'}
    desk.session.live = True
    desk.rest()
    assert len(desk.learned) == 2
    assert set(desk.session.block_states()) == {'learned'}


def test_undo_of_live_learning_stays_until_the_next_stroke(desk):
    desk.session.undo()
    desk.rest()
    assert desk.session.learned is None
    assert desk.saliency() == []
    desk.session.redo()
    desk.rest()
    assert desk.session.learned is desk.learned[0]
    assert len(desk.saliency()) == 1
    desk.session.undo()
    act_setitem(desk.markers)
    desk.rest()
    assert len(desk.learned) == 2


def test_a_slider_step_does_not_start_the_running_learning_again(held):
    desk, runner = held
    act_setitem(desk.markers)
    desk.rest()
    submitted = runner.submitted
    desk.markers.refresh()
    desk.rest()
    desk.session.change('decoder', with_decoder(desk, 'label'))
    desk.rest()
    assert runner.submitted == submitted
    runner.go_on()
    assert len(desk.learned) == 2


def with_decoder(desk: Any, name: str) -> Any:
    state = desk.session.state
    decoder = replace(state.settings.decoder, name=name)
    return replace(state, settings=replace(state.settings, decoder=decoder))


def test_cancel_keeps_the_earlier_result_and_a_slider_step_does_not_undo_the_cancel(held):
    desk, runner = held
    before = desk.shown().copy()
    act_setitem(desk.markers)
    desk.rest()
    desk.controller.learner.cancel()
    assert desk.session.message.text == 'Stopped; the earlier result stays.'
    assert desk.session.work is None
    np.testing.assert_array_equal(desk.shown(), before)
    desk.markers.refresh()
    desk.rest()
    assert not runner.busy
    act_paint(desk.markers)
    desk.rest()
    runner.go_on()
    assert len(desk.learned) == 2


def test_live_switched_off_and_on_learns_what_was_cancelled(held):
    desk, runner = held
    act_setitem(desk.markers)
    desk.rest()
    desk.controller.learner.cancel()
    desk.session.live = False
    desk.session.live = True
    desk.rest()
    runner.go_on()
    assert len(desk.learned) == 2


@pytest.mark.parametrize('ending', ('go_on', 'cancel'))
def test_a_decoder_chosen_while_learning_runs_is_shown_in_the_end(held, ending):
    desk, runner = held
    act_setitem(desk.markers)
    desk.rest()
    desk.session.change('decoder', with_decoder(desk, 'label'))
    getattr(runner, ending)()
    runner.go_on()
    known = desk.controller.learner.known[-1]
    model = replace(desk.session.learned.model, decoder=desk.session.settings.decoder)
    maps = model.decode(known.activations[model.decoded_block - 1], known.features.shape[1:])
    np.testing.assert_allclose(desk.shown(), maps[0], atol=1e-6)


def test_a_kernel_switched_off_while_learning_runs_is_not_forgotten(held):
    desk, runner = held
    act_setitem(desk.markers)
    desk.rest()
    before = len(desk.session.learned.model.blocks[0].bank)
    switch_kernels(desk.session, [(1, 0)], on=False)
    runner.go_on()
    assert len(desk.learned) == 2
    assert len(desk.session.learned.model.blocks[0].bank) == before - 1
    assert desk.session.block_states()[0] == 'kept'


def test_taking_back_while_learning_runs_wins(held):
    desk, runner = held
    act_setitem(desk.markers)
    desk.rest()
    desk.session.undo()
    runner.go_on()
    desk.rest()
    assert desk.session.learned is None
    assert not runner.busy


def test_the_current_item_changed_while_learning_runs_is_shown_too(held, wide_scene):
    desk, runner = held
    other = desk.viewer.add_image(wide_scene.image, name='others')
    key = desk.controller.items.add(other)
    desk.rest()
    runner.go_on()
    act_setitem(desk.markers)
    desk.rest()
    desk.session.current = key
    runner.go_on()
    assert len(desk.learned) == 2
    assert {link_of(layer)['item'] for layer in desk.saliency()} == {
        item.source.key for item in desk.session.items
    }
    assert desk.controller.learner.known[-1].target.source.key == key


def test_a_failed_job_is_told_and_not_tried_again_by_a_slider_step(desk, monkeypatch):
    def fail(*_args: Any, **_kwargs: Any) -> Any:
        raise RuntimeError('out of luck')

    monkeypatch.setattr('napari_flim.training.learn_model', fail)
    before = desk.shown().copy()
    act_setitem(desk.markers)
    desk.rest()
    assert desk.session.message.error
    assert 'out of luck' in desk.session.message.text
    np.testing.assert_array_equal(desk.shown(), before)
    monkeypatch.undo()
    desk.markers.refresh()
    desk.rest()
    assert len(desk.learned) == 1
    desk.controller.learner.learn_all()
    assert len(desk.learned) == 2
    assert not desk.session.message.error


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


def test_two_labels_of_background_are_one_class(desk):
    markers = desk.markers
    desk.stroke(markers, (slice(30, 34), slice(2, 6)), 3)
    desk.rest()
    classes = desk.session.classes
    desk.session.classes = with_change(classes, replace(classes[2], role='background'))
    desk.controller.items.debouncer.call()
    desk.rest()
    assert [link_of(layer)['role'] for layer in desk.saliency()] == ['saliency 2']


def test_a_deleted_saliency_layer_is_made_anew_after_the_next_stroke(desk):
    (gone,) = desk.saliency()
    desk.viewer.layers.remove(gone)
    desk.rest()
    act_setitem(desk.markers)
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

    desk.controller.learner.applied.connect(on_applied)
    desk.paint_both(markers, 20)
    runner.go_on()
    assert [plane for plane, _ in places] == [20, None]
    assert places[0][1] == 1
    assert places[1][1] > 30


KINDS = {
    'CYX': lambda image: (np.stack([image, image // 2, 255 - image]), {'axis_labels': 'cyx'}),
    'YXS': lambda image: (np.stack([image, image // 2, 255 - image], axis=-1), {}),
    'RGBA': lambda image: (
        np.stack([image, image // 2, 255 - image, np.full_like(image, 255)], axis=-1), {}
    ),
    'uint16': lambda image: (image.astype(np.uint16) * 200, {}),
    'multiscale': lambda image: ([image, image[::2, ::2]], {'multiscale': True}),
}  # fmt: skip


@pytest.mark.filterwarnings('ignore:.*alpha channel')
@pytest.mark.parametrize('kind', KINDS)
def test_every_kind_of_image_is_learned_and_shown(new_desk, scene, kind):
    data, kwargs = KINDS[kind](scene.image)
    desk = new_desk()
    _, markers = desk.open(data, **kwargs)
    desk.paint_both(markers)
    assert not desk.session.message.error, desk.session.message
    assert len(desk.learned) == 1
    shown = desk.shown()
    assert shown.shape == scene.image.shape
    assert shown[9:17, 9:17].mean() > shown[20:27, 40:47].mean()


@pytest.mark.filterwarnings('ignore:.*not finite')
def test_voxels_that_are_not_finite_are_told_and_learned_as_dark(new_desk, scene):
    image = scene.image.astype(np.float32) / 255
    image[0, :5] = np.nan
    desk = new_desk()
    _, markers = desk.open(image)
    desk.paint_both(markers)
    assert len(desk.learned) == 1
    assert np.isfinite(desk.shown()).all()
    message = desk.session.message
    assert message.text.startswith('cells holds 5 voxels that are not finite numbers')
    assert not message.error


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
    desk.controller.learner.show_rest()
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


def test_a_zarr_stack_is_learned_frame_by_frame(new_desk, scene, tmp_path):
    import zarr

    stack = zarr.create_array(
        store=tmp_path / 'stack.zarr', shape=(5, 48, 48), chunks=(1, 48, 48), dtype='uint8'
    )
    stack[:] = np.stack([scene.image] * 5)
    desk = new_desk()
    _, markers = desk.open(stack, axis_labels=('t', 'y', 'x'), contrast_limits=(0, 255))
    desk.paint_both(markers, 2)
    desk.viewer.dims.set_current_step(0, 2)
    desk.rest()
    assert desk.shown()[2].max() > 0


def test_images_of_two_kinds_are_a_problem_in_words_and_nothing_is_learned(desk, scene):
    colour = np.stack([scene.image] * 3, axis=-1)
    other = desk.viewer.add_image(colour, name='colours')
    key = desk.controller.items.add(other)
    markers = desk.controller.items.new_markers(key)
    desk.paint_both(markers)
    assert len(desk.learned) == 1
    (problem,) = desk.controller.learner.problems()
    assert 'same axes and channels' in problem
    desk.session.include(key, False)
    assert desk.controller.learner.problems() == ()


def test_other_voxels_in_the_image_are_learned_from_and_the_layer_may_change_its_shape(desk, scene):
    image = desk.controller.items.image_layer(desk.session.current)
    image.data = 255 - scene.image
    desk.rest()
    assert len(desk.learned) == 2
    image.data = np.stack([scene.image] * 4)
    desk.controller.learner.show_rest()
    desk.rest()
    assert desk.session.message.error
    assert 'another shape' in desk.session.message.text
    assert desk.session.items[0].source.axes == 'ZYX'
    assert desk.session.items[0].counts == {}
    image.data = scene.image
    desk.rest()
    assert desk.session.items[0].source.axes == 'YX'


def test_all_layers_may_go_while_a_job_runs(held):
    desk, runner = held
    act_setitem(desk.markers)
    desk.rest()
    desk.viewer.layers.clear()
    runner.go_on()
    desk.rest()
    runner.go_on()
    assert not runner.busy
    assert list(desk.viewer.layers) == []
    assert not desk.session.message.error
