"""Models, sessions and scripts of a viewer, to files and back."""

from __future__ import annotations

import runpy
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers import Image, Labels
from npe2 import PluginManager

from napari_flim.bridge.controller import Controller
from napari_flim.bridge.files import (
    copy_script,
    open_model,
    open_session,
    save_model,
    save_session,
)
from napari_flim.bridge.preferences import Preferences
from napari_flim.engine.architecture import Architecture, Block
from napari_flim.errors import LearningError
from napari_flim.io.session_file import read_session, write_session
from napari_flim.model import load_model
from napari_flim.samples import coins
from napari_flim.session.classes import MarkedClass, with_change, with_new_class
from napari_flim.session.expert import drop_unticked, switch_kernels, weigh_kernels
from napari_flim.session.kernel_edits import edited_model
from napari_flim.session.running import InlineDebouncer, InlineRunner

TINY = Architecture((Block(channels=6), Block(channels=4)))


class Desk:
    """A viewer with a controller, whose debouncers can be flushed."""

    def __init__(self, copies: Path | None = None) -> None:
        self.viewer = ViewerModel()
        self.debouncers: list[InlineDebouncer] = []
        self.controller = Controller(
            self.viewer, InlineRunner, self._debouncer, lambda: Preferences(device='cpu'), copies
        )
        self.session = self.controller.session

    def _debouncer(self, function, _milliseconds) -> InlineDebouncer:
        self.debouncers.append(InlineDebouncer(function))
        return self.debouncers[-1]

    def settle(self) -> None:
        for debouncer in self.debouncers:
            debouncer.flush()

    def open_scene(self, scene, path: Path) -> None:
        """An image from a file, and its markers, learned."""
        tifffile.imwrite(path, scene.image)
        self.viewer.open(str(path), plugin='napari')
        self.session.change('x', replace(self.session.state, settings=tiny(self.session.settings)))
        name = self.viewer.layers[-1].name
        self.viewer.add_labels(scene.markers.copy(), name=f'{name} markers')
        self.settle()
        assert self.session.block_states() == ('learned', 'learned')

    def markers(self) -> list[Labels]:
        return [layer for layer in self.viewer.layers if isinstance(layer, Labels)]

    def images(self) -> list[Image]:
        layers = self.viewer.layers
        return [one for one in layers if isinstance(one, Image) and 'saliency' not in one.name]


def tiny(settings):
    return replace(settings, architecture=TINY)


def weights(controller: Controller) -> list[np.ndarray]:
    return [block.bank.weights for block in controller.session.learned.model.blocks]


def assert_same_weights(one: Controller, other: Controller) -> None:
    for mine, theirs in zip(weights(one), weights(other), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.fixture(autouse=True)
def plugins() -> None:
    """napari knows its readers, and the bundled samples."""
    PluginManager.instance().discover()


@pytest.fixture
def desk(scene, tmp_path) -> Desk:
    desk = Desk()
    desk.open_scene(scene, tmp_path / 'cells.tif')
    return desk


def test_what_is_seen_is_what_is_saved_as_model(desk, scene, tmp_path) -> None:
    switch_kernels(desk.session, [(2, 1)], False)
    weigh_kernels(desk.session, [(2, 3)], 0.0)
    assert save_model(desk.controller, tmp_path / 'a.flim')
    model = load_model(tmp_path / 'a.flim')
    seen = edited_model(
        desk.session.learned.model, desk.session.edits, desk.session.settings.decoder
    )
    np.testing.assert_array_equal(model.saliency(scene.image), seen.saliency(scene.image))
    assert len(model.blocks[1].bank) == 3
    assert desk.session.message.text.startswith('Saved a.flim')


def test_failures_are_said_and_not_raised(desk, tmp_path) -> None:
    (tmp_path / 'bad.flim-session').write_text('nothing')
    missing = tmp_path / 'no folder' / 'a'
    for act, path in (
        (save_model, missing),
        (save_session, missing),
        (open_model, missing),
        (open_session, missing),
        (open_session, tmp_path / 'bad.flim-session'),
    ):
        before = desk.session.state
        assert not act(desk.controller, path)
        assert desk.session.message.error
        assert path.name in desk.session.message.text or 'no folder' in desk.session.message.text
        assert desk.session.state is before
    assert not save_model(Desk().controller, tmp_path / 'x.flim')


def test_an_opened_model_is_one_change_and_is_not_learned_over(desk, tmp_path) -> None:
    weigh_kernels(desk.session, [(2, 3)], 0.0)
    save_model(desk.controller, tmp_path / 'a.flim')
    other = Desk()
    other.viewer.add_image(np.random.default_rng(1).random((40, 40)), name='more')
    other.settle()
    assert open_model(other.controller, tmp_path / 'a.flim')
    other.settle()
    assert_same_weights(other.controller, desk.controller)
    assert other.session.edits.weights == {(2, 3): 0.0}
    assert other.session.settings.architecture == TINY
    assert 'more saliency' in [layer.name for layer in other.viewer.layers]
    assert set(other.session.block_states()) <= {'learned', 'kept'}
    assert other.session.history.done[-1].name == 'opening a.flim'
    other.session.undo()
    assert other.session.learned is None


def test_classes_of_an_opened_model_can_be_painted(desk, scene, tmp_path) -> None:
    markers = desk.markers()[0]
    markers.data[30:33, 28:31] = 3
    markers.refresh()
    markers.events.set_data()
    desk.settle()
    save_model(desk.controller, tmp_path / 'a.flim')
    other = Desk()
    open_model(other.controller, tmp_path / 'a.flim')
    assert [one.label for one in other.session.classes] == [1, 2, 3]


def test_a_session_opens_as_it_was_saved(desk, scene, tmp_path) -> None:
    session = desk.session
    session.classes = with_change(
        with_new_class(session.classes), MarkedClass(2, 'cell', (0.1, 0.9, 0.3), 'object')
    )
    switch_kernels(session, [(1, 2)], False)
    assert save_session(desk.controller, tmp_path / 'a.flim-session')
    assert not session.unsaved
    other = Desk()
    assert open_session(other.controller, tmp_path / 'a.flim-session')
    other.settle()
    assert other.session.message.text == 'Opened a.flim-session.'
    assert other.session.block_states() == session.block_states() == ('kept', 'learned')
    assert other.session.classes == session.classes
    assert other.session.edits == session.edits
    assert other.session.settings == session.settings
    assert other.session.live
    assert not other.session.unsaved
    assert [layer.name for layer in other.images()] == ['cells']
    assert [layer.name for layer in other.markers()] == ['cells markers']
    np.testing.assert_array_equal(other.markers()[0].data, scene.markers)
    assert_same_weights(other.controller, desk.controller)
    item = other.session.item(other.session.current)
    assert (item.source.name, item.markers) == ('cells', 'cells markers')
    assert 'cells saliency' in [layer.name for layer in other.viewer.layers]
    assert other.session.history.done == ()


def test_a_stroke_after_opening_learns_again(desk, scene, tmp_path) -> None:
    save_session(desk.controller, tmp_path / 'a.flim-session')
    other = Desk()
    open_session(other.controller, tmp_path / 'a.flim-session')
    other.settle()
    before = other.session.learned
    other.markers()[0].paint((32, 30), 2)
    other.settle()
    assert other.session.learned is not before
    other.session.undo()
    assert other.session.learned is before


def test_opening_a_session_where_it_was_saved_adds_no_layers(desk, tmp_path) -> None:
    save_session(desk.controller, tmp_path / 'a.flim-session')
    before = [layer.name for layer in desk.viewer.layers]
    model = desk.session.learned.model
    open_session(desk.controller, tmp_path / 'a.flim-session')
    desk.settle()
    assert [layer.name for layer in desk.viewer.layers] == before
    assert desk.session.block_states() == ('learned', 'learned')
    assert desk.session.learned.model is not model


def test_markers_painted_since_are_not_overwritten(desk, scene, tmp_path) -> None:
    save_session(desk.controller, tmp_path / 'a.flim-session')
    mine = desk.markers()[0]
    mine.paint((32, 30), 2)
    desk.settle()
    painted = mine.data.copy()
    open_session(desk.controller, tmp_path / 'a.flim-session')
    desk.settle()
    np.testing.assert_array_equal(mine.data, painted)
    added = [layer for layer in desk.markers() if layer is not mine]
    np.testing.assert_array_equal(added[0].data, scene.markers)
    assert desk.controller.items.marker_layer(desk.session.current) is added[0]


def test_strokes_of_an_image_that_is_gone_are_shown_and_join_it_when_it_is_opened(
    desk, scene, tmp_path
) -> None:
    save_session(desk.controller, tmp_path / 'a.flim-session')
    (tmp_path / 'cells.tif').rename(tmp_path / 'moved.tif')
    other = Desk()
    open_session(other.controller, tmp_path / 'a.flim-session')
    other.settle()
    assert 'cells was not found' in other.session.message.text
    assert not other.session.items[0].opened
    np.testing.assert_array_equal(other.markers()[0].data, scene.markers)
    assert_same_weights(other.controller, desk.controller)
    other.viewer.add_image(scene.image, name='cells')
    other.settle()
    assert [item.opened for item in other.session.items] == [True]
    item = other.session.items[0]
    assert item.strokes[0].digest == desk.session.items[0].strokes[0].digest
    assert item.markers == 'cells markers'
    assert_same_weights(other.controller, desk.controller)


def test_an_absent_image_is_kept_when_the_session_is_saved_again(desk, tmp_path) -> None:
    first, second = tmp_path / 'a.flim-session', tmp_path / 'b.flim-session'
    save_session(desk.controller, first)
    (tmp_path / 'cells.tif').rename(tmp_path / 'moved.tif')
    other = Desk()
    open_session(other.controller, first)
    save_session(other.controller, second)
    (tmp_path / 'moved.tif').rename(tmp_path / 'cells.tif')
    third = Desk()
    open_session(third.controller, second)
    third.settle()
    one, two = read_session(first).images[0], read_session(second).images[0]
    for name in ('name', 'path', 'shape', 'dtype', 'axes', 'scale', 'units', 'digest'):
        assert getattr(one, name) == getattr(two, name), name
    np.testing.assert_array_equal(one.strokes[0][0], two.strokes[0][0])


def test_other_voxels_are_told_and_nothing_is_learned_from_them_unasked(
    desk, scene, tmp_path
) -> None:
    save_session(desk.controller, tmp_path / 'a.flim-session')
    tifffile.imwrite(tmp_path / 'cells.tif', scene.image + 1)
    other = Desk()
    open_session(other.controller, tmp_path / 'a.flim-session')
    other.settle()
    assert 'cells has other voxels than when the session was saved' in other.session.message.text
    assert_same_weights(other.controller, desk.controller)


def test_a_script_named_in_a_session_is_never_run(desk, tmp_path) -> None:
    path = tmp_path / 'a.flim-session'
    save_session(desk.controller, path)
    saved = read_session(path)
    script = tmp_path / 'cells.py'
    script.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    hostile = replace(saved, images=(replace(saved.images[0], path=str(script)),))
    write_session(path, hostile)
    other = Desk()
    open_session(other.controller, path)
    assert not (tmp_path / 'ran').exists()
    assert 'was not found' in other.session.message.text


def test_a_hostile_session_changes_nothing(desk, tmp_path) -> None:
    path = tmp_path / 'a.flim-session'
    save_session(desk.controller, path)
    saved = read_session(path)
    write_session(path, replace(saved, learned={**saved.learned, 'kept': 99}))
    before, layers = desk.session.items, list(desk.viewer.layers)
    assert not open_session(desk.controller, path)
    assert 'kept blocks is 99' in desk.session.message.text
    assert desk.session.items is before
    assert list(desk.viewer.layers) == layers
    assert desk.session.live


def test_deleted_markers_stay_deleted_but_can_be_brought_back(desk, scene, tmp_path) -> None:
    desk.session.live = False
    desk.viewer.layers.remove(desk.markers()[0])
    desk.settle()
    save_session(desk.controller, tmp_path / 'a.flim-session')
    other = Desk()
    open_session(other.controller, tmp_path / 'a.flim-session')
    other.settle()
    assert other.markers() == []
    assert not other.session.live
    other.controller.items.new_markers(other.session.current)
    np.testing.assert_array_equal(other.markers()[0].data, scene.markers)


def test_scales_given_by_hand_come_back(desk, tmp_path) -> None:
    image = desk.images()[0]
    image.scale, image.units = (0.5, 0.25), ('um', 'um')
    image.name = 'my cells'
    desk.settle()
    save_session(desk.controller, tmp_path / 'a.flim-session')
    other = Desk()
    open_session(other.controller, tmp_path / 'a.flim-session')
    other.settle()
    reopened = other.images()[0]
    assert (reopened.name, tuple(reopened.scale)) == ('my cells', (0.5, 0.25))
    assert other.session.items[0].source.unit == 'µm'
    assert 'stale' not in other.session.block_states()


def test_stacks_and_unticked_images_come_back(scene, tmp_path) -> None:
    stack = np.stack([scene.image, 255 - scene.image, scene.image])
    tifffile.imwrite(tmp_path / 'stack.tif', stack, photometric='minisblack')
    desk = Desk()
    desk.session.live = False
    desk.viewer.open(str(tmp_path / 'stack.tif'), plugin='napari')
    desk.settle()
    key = desk.session.current
    desk.controller.items.set_axes(key, 'TYX')
    markers = desk.controller.items.new_markers(key)
    markers.data[1][scene.markers > 0] = scene.markers[scene.markers > 0]
    markers.refresh()
    markers.events.set_data()
    desk.settle()
    desk.session.include(key, False)
    save_session(desk.controller, tmp_path / 'a.flim-session')
    other = Desk()
    open_session(other.controller, tmp_path / 'a.flim-session')
    other.settle()
    item = other.session.items[0]
    assert (item.source.axes, item.included, list(item.strokes)) == ('TYX', False, [1])
    np.testing.assert_array_equal(other.markers()[0].data, markers.data)


def test_a_bundled_sample_is_opened_again_without_its_own_markers(tmp_path) -> None:
    desk = Desk()
    desk.session.live = False
    desk.viewer.open_sample('napari-flim', 'coins')
    desk.settle()
    desk.markers()[0].paint((10, 10), 2)
    desk.settle()
    save_session(desk.controller, tmp_path / 'a.flim-session')
    other = Desk()
    open_session(other.controller, tmp_path / 'a.flim-session')
    other.settle()
    assert other.session.message.text == 'Opened a.flim-session.'
    assert [layer.name for layer in other.images()] == ['coins']
    assert [layer.name for layer in other.markers()] == ['coins markers']
    np.testing.assert_array_equal(other.markers()[0].data, desk.markers()[0].data)


def test_the_script_learns_what_is_seen(desk, tmp_path, monkeypatch) -> None:
    switch_kernels(desk.session, [(1, 2)], False)
    assert drop_unticked(desk.session)
    desk.controller.learner.learn_all()
    switch_kernels(desk.session, [(2, 1)], False)
    weigh_kernels(desk.session, [(2, 3)], 0.0)
    (tmp_path / 'script.py').write_text(copy_script(desk.controller), encoding='utf-8')
    save_model(desk.controller, tmp_path / 'seen.flim')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'argv', ['script.py'])
    runpy.run_path('script.py', run_name='__main__')
    learned, seen = load_model('model.flim'), load_model('seen.flim')
    assert learned.decoder == seen.decoder
    for one, two in zip(learned.blocks, seen.blocks, strict=True):
        np.testing.assert_array_equal(one.bank.weights, two.bank.weights)


def test_no_script_is_made_of_what_is_not_learned(desk, tmp_path) -> None:
    with pytest.raises(LearningError, match='press Learn first'):
        copy_script(Desk().controller)
    desk.session.live = False
    desk.markers()[0].paint((32, 30), 2)
    desk.settle()
    with pytest.raises(LearningError, match='press Learn first'):
        copy_script(desk.controller)
    save_model(desk.controller, tmp_path / 'a.flim')
    open_model(desk.controller, tmp_path / 'a.flim')
    with pytest.raises(LearningError, match='opened from a file'):
        copy_script(desk.controller)


def test_several_images_keep_their_order_and_the_one_in_view(desk, scene, tmp_path) -> None:
    for data, meta, kind in coins():
        getattr(desk.viewer, f'add_{kind}')(data, **meta)
    desk.settle()
    assert len(desk.session.items) == 2
    desk.session.current = desk.session.items[0].source.key
    save_session(desk.controller, tmp_path / 'a.flim-session')
    other = Desk()
    other.viewer.add_image(coins()[0][0], name='coins')
    open_session(other.controller, tmp_path / 'a.flim-session')
    other.settle()
    assert [item.source.name for item in other.session.items] == ['cells', 'coins']
    assert other.session.current == other.session.items[0].source.key
    assert set(other.session.block_states()) == {'learned'}
