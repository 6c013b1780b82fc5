"""Learning as the user paints, scrolls, edits and changes the mind meanwhile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from napari.layers import Labels

from napari_flim.bridge.marker_layers import link_of
from napari_flim.engine.architecture import Architecture, Block
from napari_flim.session.classes import with_change
from napari_flim.session.expert import switch_kernels
from napari_flim.session.jobs import learn_and_apply


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
    known = desk.controller.applier.known[-1]
    model = replace(desk.session.learned.model, decoder=desk.session.settings.decoder)
    read = [known.activations[block - 1] for block in model.read_blocks]
    maps = model.decode(known.features, read, (1, 1))
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
    assert desk.controller.applier.known[-1].target.source.key == key


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


def test_two_labels_of_background_are_one_class(desk):
    markers = desk.markers
    desk.stroke(markers, (slice(30, 34), slice(2, 6)), 3)
    desk.rest()
    classes = desk.session.classes
    desk.session.classes = with_change(classes, replace(classes[2], role='background'))
    desk.controller.items.debouncer.call()
    desk.rest()
    assert [link_of(layer)['role'] for layer in desk.saliency()] == ['saliency 2']


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
    desk.controller.applier.show_rest()
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


def test_learning_goes_on_while_an_image_of_another_rank_is_in_view(desk, scene):
    flat = Architecture((Block(channels=4, stride=(2, 2)),))
    settings = replace(desk.session.settings, architecture=flat)
    desk.session.change('strides', replace(desk.session.state, settings=settings))
    volume = desk.viewer.add_image(np.stack([scene.image] * 5), name='volume')
    markers, learned = desk.markers, len(desk.learned)
    desk.session.current = desk.controller.items.add(volume, axes='ZYX')
    desk.rest()
    assert desk.controller.applier.target_in_view().source.ndim == 3
    act_paint(markers)
    desk.rest()
    assert len(desk.learned) > learned
    assert not desk.controller.applier.held
    learned = len(desk.learned)
    act_setitem(markers)
    desk.rest()
    assert len(desk.learned) == learned + 1


@pytest.mark.parametrize('fits', (True, False))
def test_images_are_read_whole_only_where_all_fit(desk, monkeypatch, fits):
    asked = []

    def noted(request, target, *others):
        asked.append((request.whole, target is not None))
        return learn_and_apply(request, target, *others)

    monkeypatch.setattr('napari_flim.bridge.learner.learn_and_apply', noted)
    monkeypatch.setattr('napari_flim.bridge.learner.learned_whole', lambda *_: fits)
    act_paint(desk.markers)
    desk.rest()
    assert asked == [(fits, fits)]
    assert len(desk.learned) == 2
