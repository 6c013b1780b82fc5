"""Models, sessions and scripts of a viewer, to files and back."""

from __future__ import annotations

import runpy
import sys
import threading
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from napari.components import ViewerModel
from napari.layers import Image, Labels
from npe2 import PluginManager
from qtpy.QtCore import QObject

from napari_flim.bridge.controller import Controller
from napari_flim.bridge.files import Files, copy_script
from napari_flim.bridge.preferences import Preferences
from napari_flim.bridge.workers import WorkerRunner
from napari_flim.engine.architecture import Architecture, Block
from napari_flim.errors import FileError, LearningError, MarkerError
from napari_flim.io.session_file import read_session, write_session
from napari_flim.model_loading import load_model
from napari_flim.progress import Progress
from napari_flim.samples import coins
from napari_flim.session.classes import MarkedClass, with_change, with_new_class
from napari_flim.session.expert import drop_unticked, switch_kernels, weigh_kernels
from napari_flim.session.items import Item
from napari_flim.session.kernel_edits import edited_model
from napari_flim.session.running import InlineDebouncer, InlineRunner
from napari_flim.session.session import Message
from napari_flim.session.sources import ImageSource

TINY = Architecture((Block(channels=6), Block(channels=4)))


class Desk:
    """A viewer with a controller, whose debouncers can be flushed."""

    def __init__(self, copies: Path | None = None, make_runner: Any = InlineRunner) -> None:
        self.viewer = ViewerModel()
        self.debouncers: list[InlineDebouncer] = []
        self.controller = Controller(
            self.viewer, make_runner, self._debouncer, lambda: Preferences(device='cpu'), copies
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
    desk.controller.files.save_model(tmp_path / 'a.flim')
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
    files = desk.controller.files
    for act, path in (
        (files.save_model, missing),
        (files.save_session, missing),
        (files.open_model, missing),
        (files.open_session, missing),
        (files.open_session, tmp_path / 'bad.flim-session'),
    ):
        before = desk.session.state
        desk.session.message = Message()
        act(path)
        assert desk.session.message.error
        assert path.name in desk.session.message.text or 'no folder' in desk.session.message.text
        assert desk.session.state is before
        assert desk.session.work is None
    other = Desk()
    other.controller.files.save_model(tmp_path / 'x.flim')
    assert 'press Learn first' in other.session.message.text
    assert not (tmp_path / 'x.flim').exists()


def test_an_opened_model_is_one_change_and_is_not_learned_over(desk, tmp_path) -> None:
    weigh_kernels(desk.session, [(2, 3)], 0.0)
    desk.controller.files.save_model(tmp_path / 'a.flim')
    other = Desk()
    other.viewer.add_image(np.random.default_rng(1).random((40, 40)), name='more')
    other.settle()
    other.controller.files.open_model(tmp_path / 'a.flim')
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
    desk.controller.files.save_model(tmp_path / 'a.flim')
    other = Desk()
    other.controller.files.open_model(tmp_path / 'a.flim')
    assert [one.label for one in other.session.classes] == [1, 2, 3]


def test_a_session_opens_as_it_was_saved(desk, scene, tmp_path) -> None:
    session = desk.session
    session.classes = with_change(
        with_new_class(session.classes), MarkedClass(2, 'cell', (0.1, 0.9, 0.3), 'object')
    )
    switch_kernels(session, [(1, 2)], False)
    desk.controller.files.save_session(tmp_path / 'a.flim-session')
    assert not session.unsaved
    other = Desk()
    other.controller.files.open_session(tmp_path / 'a.flim-session')
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
    desk.controller.files.save_session(tmp_path / 'a.flim-session')
    other = Desk()
    other.controller.files.open_session(tmp_path / 'a.flim-session')
    other.settle()
    before = other.session.learned
    other.markers()[0].paint((32, 30), 2)
    other.settle()
    assert other.session.learned is not before
    other.session.undo()
    assert other.session.learned is before


def test_opening_a_session_where_it_was_saved_adds_no_layers(desk, tmp_path) -> None:
    desk.controller.files.save_session(tmp_path / 'a.flim-session')
    before = [layer.name for layer in desk.viewer.layers]
    model = desk.session.learned.model
    desk.controller.files.open_session(tmp_path / 'a.flim-session')
    desk.settle()
    assert [layer.name for layer in desk.viewer.layers] == before
    assert desk.session.block_states() == ('learned', 'learned')
    assert desk.session.learned.model is not model


def test_markers_painted_since_are_not_overwritten(desk, scene, tmp_path) -> None:
    desk.controller.files.save_session(tmp_path / 'a.flim-session')
    mine = desk.markers()[0]
    mine.paint((32, 30), 2)
    desk.settle()
    painted = mine.data.copy()
    desk.controller.files.open_session(tmp_path / 'a.flim-session')
    desk.settle()
    np.testing.assert_array_equal(mine.data, painted)
    added = [layer for layer in desk.markers() if layer is not mine]
    np.testing.assert_array_equal(added[0].data, scene.markers)
    assert desk.controller.items.marker_layer(desk.session.current) is added[0]


def test_strokes_of_an_image_that_is_gone_are_shown_and_join_it_when_it_is_opened(
    desk, scene, tmp_path
) -> None:
    desk.controller.files.save_session(tmp_path / 'a.flim-session')
    (tmp_path / 'cells.tif').rename(tmp_path / 'moved.tif')
    other = Desk()
    other.controller.files.open_session(tmp_path / 'a.flim-session')
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
    desk.controller.files.save_session(first)
    (tmp_path / 'cells.tif').rename(tmp_path / 'moved.tif')
    other = Desk()
    other.controller.files.open_session(first)
    other.controller.files.save_session(second)
    (tmp_path / 'moved.tif').rename(tmp_path / 'cells.tif')
    third = Desk()
    third.controller.files.open_session(second)
    third.settle()
    one, two = read_session(first).images[0], read_session(second).images[0]
    for name in ('name', 'path', 'shape', 'dtype', 'axes', 'scale', 'units', 'digest'):
        assert getattr(one, name) == getattr(two, name), name
    np.testing.assert_array_equal(one.strokes[0][0], two.strokes[0][0])


def test_other_voxels_are_told_and_nothing_is_learned_from_them_unasked(
    desk, scene, tmp_path
) -> None:
    desk.controller.files.save_session(tmp_path / 'a.flim-session')
    tifffile.imwrite(tmp_path / 'cells.tif', scene.image + 1)
    other = Desk()
    other.controller.files.open_session(tmp_path / 'a.flim-session')
    other.settle()
    assert 'cells has other voxels than when the session was saved' in other.session.message.text
    assert_same_weights(other.controller, desk.controller)


def test_a_script_named_in_a_session_is_never_run(desk, tmp_path) -> None:
    path = tmp_path / 'a.flim-session'
    desk.controller.files.save_session(path)
    saved = read_session(path)
    script = tmp_path / 'cells.py'
    script.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    hostile = replace(saved, images=(replace(saved.images[0], path=str(script)),))
    write_session(path, hostile)
    other = Desk()
    other.controller.files.open_session(path)
    assert not (tmp_path / 'ran').exists()
    assert 'was not found' in other.session.message.text


def test_a_hostile_session_changes_nothing(desk, tmp_path) -> None:
    path = tmp_path / 'a.flim-session'
    desk.controller.files.save_session(path)
    saved = read_session(path)
    write_session(path, replace(saved, learned={**saved.learned, 'kept': 99}))
    before, layers = desk.session.items, list(desk.viewer.layers)
    desk.controller.files.open_session(path)
    assert desk.session.message.error
    assert 'kept blocks is 99' in desk.session.message.text
    assert desk.session.items is before
    assert list(desk.viewer.layers) == layers
    assert desk.session.live


def test_deleted_markers_stay_deleted_but_can_be_brought_back(desk, scene, tmp_path) -> None:
    desk.session.live = False
    desk.viewer.layers.remove(desk.markers()[0])
    desk.settle()
    desk.controller.files.save_session(tmp_path / 'a.flim-session')
    other = Desk()
    other.controller.files.open_session(tmp_path / 'a.flim-session')
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
    desk.controller.files.save_session(tmp_path / 'a.flim-session')
    other = Desk()
    other.controller.files.open_session(tmp_path / 'a.flim-session')
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
    desk.controller.files.save_session(tmp_path / 'a.flim-session')
    other = Desk()
    other.controller.files.open_session(tmp_path / 'a.flim-session')
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
    desk.controller.files.save_session(tmp_path / 'a.flim-session')
    other = Desk()
    other.controller.files.open_session(tmp_path / 'a.flim-session')
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
    desk.controller.files.save_model(tmp_path / 'seen.flim')
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
    desk.controller.files.save_model(tmp_path / 'a.flim')
    desk.controller.files.open_model(tmp_path / 'a.flim')
    with pytest.raises(LearningError, match='opened from a file'):
        copy_script(desk.controller)


def test_several_images_keep_their_order_and_the_one_in_view(desk, scene, tmp_path) -> None:
    for data, meta, kind in coins():
        getattr(desk.viewer, f'add_{kind}')(data, **meta)
    desk.settle()
    assert len(desk.session.items) == 2
    desk.session.current = desk.session.items[0].source.key
    desk.controller.files.save_session(tmp_path / 'a.flim-session')
    other = Desk()
    other.viewer.add_image(coins()[0][0], name='coins')
    other.controller.files.open_session(tmp_path / 'a.flim-session')
    other.settle()
    assert [item.source.name for item in other.session.items] == ['cells', 'coins']
    assert other.session.current == other.session.items[0].source.key
    assert set(other.session.block_states()) == {'learned'}


class SlowImage:
    """A lazy array that notes the thread in which its voxels are read."""

    def __init__(self, voxels: np.ndarray) -> None:
        self._voxels = voxels
        self.shape, self.dtype, self.ndim = voxels.shape, voxels.dtype, voxels.ndim
        self.readers: list[str] = []

    def __getitem__(self, place: Any) -> np.ndarray:
        self.readers.append(threading.current_thread().name)
        return self._voxels[place]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype=dtype)


@pytest.fixture
def held(held_desk: Any, desk: Desk) -> tuple[Desk, Any]:
    """The learned desk, with a runner that holds what is done with files."""
    runner = type(held_desk[1])()
    desk.controller.files = Files(desk.controller, lambda: runner)
    return desk, runner


def test_saving_is_a_job_that_nothing_depends_on(held, scene, tmp_path) -> None:
    desk, runner = held
    path = tmp_path / 'a.flim-session'
    desk.controller.files.save_session(path)
    assert desk.session.work == Progress('saving a.flim-session', 0, 1)
    assert desk.session.unsaved
    assert not path.exists()
    runner.go_on()
    assert path.exists()
    assert not desk.session.unsaved
    assert desk.session.work is None
    assert desk.session.message == Message('Saved a.flim-session.')


def test_what_is_painted_while_a_session_is_saved_is_not_in_it_and_stays_unsaved(
    held, scene, tmp_path
) -> None:
    desk, runner = held
    desk.controller.files.save_session(tmp_path / 'a.flim-session')
    desk.markers()[0].paint((32, 30), 2)
    desk.settle()
    runner.go_on()
    assert desk.session.unsaved
    assert 'What changed meanwhile is not in it' in desk.session.message.text
    (image,) = read_session(tmp_path / 'a.flim-session').images
    assert len(image.strokes[0][1]) == (scene.markers > 0).sum()


def test_a_cancelled_saving_writes_nothing_and_says_so(held, tmp_path) -> None:
    desk, runner = held
    desk.controller.files.save_session(tmp_path / 'a.flim-session')
    desk.controller.files.save_model(tmp_path / 'a.flim')
    desk.controller.cancel()
    runner.go_on()
    assert list(tmp_path.glob('a.*')) == []
    assert desk.session.message == Message('Stopped saving a.flim-session.')
    assert desk.session.work is None
    assert desk.session.unsaved


def test_files_are_done_one_after_the_other_and_none_is_left_out(held, tmp_path) -> None:
    desk, runner = held
    files = desk.controller.files
    files.save_session(tmp_path / 'a.flim-session')
    files.save_model(tmp_path / 'missing' / 'a.flim')
    files.save_model(tmp_path / 'b.flim')
    said = []
    desk.session.events['message'].connect(lambda message: said.append(message.error))
    runner.go_on()
    assert (tmp_path / 'a.flim-session').exists()
    assert (tmp_path / 'b.flim').exists()
    assert said == [False, True, False]


def test_an_opened_model_changes_nothing_until_it_is_read(held, tmp_path) -> None:
    desk, runner = held
    files = desk.controller.files
    files.save_model(tmp_path / 'a.flim')
    runner.go_on()
    before, opened = desk.session.learned, []
    files.open_model(tmp_path / 'a.flim', then=lambda: opened.append(desk.session.learned))
    assert desk.session.learned is before
    runner.go_on()
    assert opened == [desk.session.learned] != [before]
    files.open_model(tmp_path / 'missing.flim', then=lambda: opened.append(None))
    runner.go_on()
    assert len(opened) == 1


def test_learning_goes_on_showing_its_progress_when_a_file_is_saved(held, tmp_path) -> None:
    desk, runner = held
    desk.controller.files.save_model(tmp_path / 'a.flim')
    desk.session.work = Progress('learning', 1, 3)
    request = runner._held
    request.carry_out(Event(), lambda _step: None)()
    assert desk.session.work == Progress('learning', 1, 3)


def test_voxels_of_a_large_volume_are_read_beside_the_window(qtbot, scene, tmp_path) -> None:
    owner = QObject()
    desk = Desk(make_runner=lambda: WorkerRunner(owner))
    voxels = SlowImage(scene.image)
    desk.session.live = False
    desk.session.items = (Item(ImageSource('x', 'lazy', voxels, 'YX', (1.0, 1.0))),)
    desk.controller.files.save_session(tmp_path / 'a.flim-session')
    qtbot.waitUntil(lambda: 'Saved' in desk.session.message.text, timeout=5000)
    assert voxels.readers
    assert threading.current_thread().name not in voxels.readers
    owner.deleteLater()


def test_the_voxels_of_a_saved_image_are_read_once(held, tmp_path) -> None:
    desk, runner = held
    (item,) = desk.session.items
    voxels = SlowImage(item.source.data)
    desk.session.items = (replace(item, source=replace(item.source, data=voxels)),)
    for name in ('a', 'b'):
        desk.controller.files.save_session(tmp_path / f'{name}.flim-session')
        runner.go_on()
    assert len(voxels.readers) == 1
    one, two = (read_session(tmp_path / f'{name}.flim-session').images for name in ('a', 'b'))
    assert one[0].digest == two[0].digest != ''


def test_a_session_opens_before_its_voxels_are_compared(held_desk, desk, scene, tmp_path) -> None:
    path = tmp_path / 'a.flim-session'
    desk.controller.files.save_session(path)
    tifffile.imwrite(tmp_path / 'cells.tif', scene.image + 1)
    other, runners = Desk(), []

    def make():
        runners.append(InlineRunner() if not runners else type(held_desk[1])())
        return runners[-1]

    other.controller.files = Files(other.controller, make)
    other.controller.files.open_session(path)
    other.settle()
    assert other.session.message == Message('Opened a.flim-session.')
    assert [layer.name for layer in other.markers()] == ['cells markers']
    # Until it is known, nothing is learned over the model.
    assert other.session.learned.digest == ''
    runners[1].go_on()
    assert 'cells has other voxels' in other.session.message.text
    assert other.session.message.error
    assert other.session.learned.digest == ''


def test_strokes_painted_while_voxels_are_compared_are_learned_from_afterwards(
    held_desk, desk, tmp_path
) -> None:
    path = tmp_path / 'a.flim-session'
    desk.controller.files.save_session(path)
    other, runners = Desk(), []

    def make():
        runners.append(InlineRunner() if not runners else type(held_desk[1])())
        return runners[-1]

    other.controller.files = Files(other.controller, make)
    other.controller.files.open_session(path)
    opened = other.session.learned.model
    other.markers()[0].paint((32, 30), 2)
    other.settle()
    assert other.session.learned.model is opened
    runners[1].go_on()
    other.settle()
    assert other.session.learned.model is not opened


def test_a_file_that_a_reader_fails_at_is_told_with_the_reason(desk, tmp_path) -> None:
    path = tmp_path / 'a.flim-session'
    desk.controller.files.save_session(path)
    saved = read_session(path)
    (tmp_path / 'cells.npy').write_bytes(b'no image')
    image = replace(saved.images[0], path=str(tmp_path / 'cells.npy'))
    write_session(path, replace(saved, images=(image,)))
    other = Desk()
    other.controller.files.open_session(path)
    assert 'cells cannot be opened (' in other.session.message.text
    assert other.session.message.error
    assert len(other.markers()) == 1


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'units': ('um', 'nonsense')}, "has the unit 'nonsense', which napari does not know"),
        ({'units': ('9**9**9**9', 'um')}, "has the unit '9**9**9**9'"),
        ({'units': ('m²', 'km⁹⁹⁹')}, "has the unit 'm²'"),
        ({'scale': (1.0, 1e-300)}, 'has a voxel of 1e-300 pixel; expected 1e-15 to 1e+15'),
    ],
)
def test_a_place_that_napari_cannot_draw_is_refused_before_anything_changes(
    desk, tmp_path, change, words
) -> None:
    path = tmp_path / 'a.flim-session'
    desk.controller.files.save_session(path)
    saved = read_session(path)
    write_session(path, replace(saved, images=(replace(saved.images[0], **change),)))
    before = everything(desk)
    desk.controller.files.open_session(path)
    assert words in desk.session.message.text
    assert desk.session.message.error
    assert everything(desk) == before


HOSTILE_IMAGES = st.fixed_dictionaries(
    {},
    optional={
        'name': st.sampled_from(['', ' ', 'cells', 'x' * 500, '\x00', '<b>']),
        'path': st.sampled_from([None, '', '.', '\x00.tif', '/', 'a.py', 'a.tif']),
        'sample': st.sampled_from([None, 'coins', '', '../x']),
        'scale': st.tuples(*[st.sampled_from([1.0, -2.0, 1e-300, 1e300, 5e-324, 1e-9])] * 2),
        'units': st.tuples(
            *[
                st.sampled_from(
                    ['pixel', 'um', 'furlong', 'nonsense', '', '9**9**9**9', 'degC', 's', "'", '(']
                )
            ]
            * 2
        ),
        'axes': st.sampled_from(['YX']),
        'dtype': st.sampled_from(['', 'uint8', 'object', 'no such']),
        'digest': st.sampled_from(['', 'x']),
        'included': st.booleans(),
        'marker_name': st.sampled_from(['', 'cells markers', 'cells']),
        'marker_shape': st.sampled_from([(48, 48), (1, 48, 48), (48, 1, 48)]),
    },
)
HOSTILE_SHAPES = st.sampled_from(
    [(48, 48), (2**31 - 1, 2**31 - 1), (49, 50), (2**31 - 1, 48), (2**17, 2**17)]
)
HOSTILE_VIEWS = st.fixed_dictionaries(
    {},
    optional={
        'opened': st.sampled_from([[], [0], [0, 0], [1], [-1], 'x', None]),
        'current': st.sampled_from([None, 0, 1, 'x', True]),
        'live': st.sampled_from([True, False, None, 'x']),
    },
)


def everything(desk: Desk) -> tuple[object, ...]:
    session, layers = desk.session, desk.viewer.layers
    kept = (session.items, session.classes, session.state, session.history, session.live)
    marks = [(layer, layer.data.tobytes()) for layer in desk.markers()]
    return (*kept, session.current, session.unsaved, list(layers), marks)


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(HOSTILE_IMAGES, HOSTILE_SHAPES, HOSTILE_VIEWS)
def test_a_hostile_session_opens_or_leaves_everything_as_it_was(
    desk, tmp_path, image, shape, view
) -> None:
    path = tmp_path / 'hostile.flim-session'
    saved = desk_saved(desk, tmp_path)
    fitting = {'shape': shape, 'marker_shape': image.get('marker_shape', shape), **image}
    try:
        images = (replace(saved.images[0], **fitting),)
        write_session(path, replace(saved, images=images, settings={**saved.settings, **view}))
    except FileError:
        return
    victim = Desk()
    victim.session.live = False
    victim.viewer.add_image(np.ones((20, 20)), name='mine')
    victim.viewer.add_labels(np.eye(20, dtype=np.uint8), name='mine markers')
    victim.settle()
    before = everything(victim)
    victim.controller.files.open_session(path)
    if victim.session.message.text.startswith('Opened'):
        (item,) = victim.session.items
        painted = item.strokes[0].coordinates
        np.testing.assert_array_equal(painted, saved.images[0].strokes[0][0])
        assert not victim.session.unsaved
    else:
        assert victim.session.message.error
        assert everything(victim) == before


def desk_saved(desk: Desk, folder: Path) -> Any:
    path = folder / 'good.flim-session'
    if not path.exists():
        desk.controller.files.save_session(path)
    return read_session(path)


def test_markers_that_do_not_fit_are_said_and_the_session_opens_all_the_same(
    desk, tmp_path, monkeypatch
) -> None:
    path = tmp_path / 'a.flim-session'
    desk.controller.files.save_session(path)
    other = Desk()

    def refuse(shape):
        raise MarkerError('Markers need 20 GB.')

    with monkeypatch.context() as patch:
        patch.setattr('napari_flim.bridge.marker_layers.blank_labels', refuse)
        other.controller.files.open_session(path)
        other.settle()
    assert other.markers() == []
    text = other.session.message.text
    assert 'has its strokes, but no layer of them: Markers need 20 GB.' in text
    (item,) = other.session.items
    assert item.counts == desk.session.items[0].counts
    assert_same_weights(other.controller, desk.controller)
    other.controller.items.new_markers(item.source.key)
    np.testing.assert_array_equal(other.markers()[0].data, desk.markers()[0].data)
