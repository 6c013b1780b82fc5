"""Copies of a session that outlive a crash."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from napari.components import ViewerModel
from napari.layers import Labels
from qtpy.QtCore import QObject

from napari_flim.bridge.controller import Controller
from napari_flim.bridge.files import Files
from napari_flim.bridge.marker_layers import link_of
from napari_flim.bridge.preferences import Preferences
from napari_flim.bridge.recovery import (
    MOST_FILES,
    Found,
    Recovery,
    _keep,
    recovery_folder,
)
from napari_flim.bridge.workers import WorkerRunner
from napari_flim.engine.architecture import Architecture, Block
from napari_flim.io import atomic
from napari_flim.io.session_file import read_session
from napari_flim.progress import finish
from napari_flim.session.classes import with_new_class
from napari_flim.session.items import Item
from napari_flim.session.running import InlineDebouncer, InlineRunner
from napari_flim.session.saving import copy_of
from napari_flim.session.session import Message
from napari_flim.session.sources import ImageSource, Strokes

TINY = Architecture((Block(channels=6), Block(channels=4)))

CRASH = """
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, sys.argv[3])
from test_recovery import Desk

folder, results = Path(sys.argv[1]), Path(sys.argv[2])
scene = np.load(results / 'scene.npz')
desk = Desk(folder)
desk.paint_scene(scene['image'], scene['markers'])
desk.settle()
arrays = {str(n): one.bank.weights for n, one in enumerate(desk.session.learned.model.blocks)}
np.savez(results / 'model.npz', **arrays)
print('ready', flush=True)
while True:
    desk.markers().paint((30, 30), 2)
    desk.markers().paint((30, 30), 0)
"""


CRASH_CORRECTING = """
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, sys.argv[3])
from test_recovery import Desk

folder, results = Path(sys.argv[1]), Path(sys.argv[2])
scene = np.load(results / 'scene.npz')
desk = Desk(folder)
desk.paint_scene(scene['image'], scene['markers'])
desk.settle()
delineator = desk.controller.delineator
delineator.delineate()
first, *_, last = delineator.draft.ids()
delineator.accept([first])
delineator.delete([last])
desk.controller.brush.paint_new(2)
strokes = desk.layer('corrections')
strokes.paint((30, 4), strokes.selected_label)
desk.controller.brush.paint_background()
strokes.paint((5, 44), 1)
desk.settle()
np.savez(results / 'made.npz', strokes=strokes.data, objects=desk.layer('objects').data)
print('ready', flush=True)
while True:
    time.sleep(1)
"""


class Desk:
    """A viewer with a controller that keeps copies, whose debouncers can be flushed."""

    def __init__(self, folder: Path | None) -> None:
        self.viewer = ViewerModel()
        self.debouncers: list[InlineDebouncer] = []
        self.controller = Controller(
            self.viewer, InlineRunner, self._debouncer, lambda: Preferences(device='cpu'), folder
        )
        self.session = self.controller.session
        self.recovery = self.controller.recovery

    def _debouncer(self, function, _milliseconds) -> InlineDebouncer:
        self.debouncers.append(InlineDebouncer(function))
        return self.debouncers[-1]

    def settle(self) -> None:
        for _ in range(2):
            for debouncer in self.debouncers:
                debouncer.flush()

    def paint_scene(self, image: np.ndarray, markers: np.ndarray) -> None:
        settings = replace(self.session.settings, architecture=TINY)
        self.session.change('settings', replace(self.session.state, settings=settings))
        self.viewer.add_image(image, name='cells')
        self.viewer.add_labels(markers.copy(), name='cells markers')

    def layer(self, role: str) -> Labels:
        return next(one for one in self.viewer.layers if link_of(one).get('role') == role)

    def markers(self) -> Labels:
        return next(layer for layer in self.viewer.layers if isinstance(layer, Labels))


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob('*')) if folder.exists() else []


def found_by(desk: Desk) -> tuple[Found, ...]:
    desk.recovery.look()
    return desk.recovery.found


def left_behind(folder: Path, scene, number: int = 0) -> Path:
    """A copy as of a program that no longer runs."""
    desk = Desk(folder)
    desk.paint_scene(scene.image, scene.markers)
    desk.settle()
    dead = next(n for n in range(2**22 - 1, 0, -1) if not psutil.pid_exists(n))
    path = folder / f'2020010{number % 9 + 1}T12000000000{number % 10}-{dead}.flim-session'
    return desk.recovery.path.rename(path)


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / 'data' / 'recovery'


@pytest.fixture
def desk(folder, scene) -> Desk:
    desk = Desk(folder)
    desk.paint_scene(scene.image, scene.markers)
    desk.settle()
    return desk


def crash(code: str, folder: Path, scene, tmp_path: Path) -> None:
    """Run a program until it says that it is ready, and kill it."""
    np.savez(tmp_path / 'scene.npz', image=scene.image, markers=scene.markers)
    (tmp_path / 'crash.py').write_text(code)
    arguments = [tmp_path / 'crash.py', folder, tmp_path, Path(__file__).parent]
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline().strip() == 'ready'
        assert found_by(Desk(folder)) == ()
        child.kill()


def test_strokes_and_model_survive_a_crash_bit_for_bit(folder, scene, tmp_path) -> None:
    crash(CRASH, folder, scene, tmp_path)
    desk = Desk(folder)
    (found,) = found_by(desk)
    assert found.words.startswith('cells: 1 image, 3 markers, learned; ')
    desk.recovery.recover(found)
    np.testing.assert_array_equal(desk.markers().data, scene.markers)
    desk.viewer.add_image(scene.image, name='cells')
    desk.settle()
    weights = np.load(tmp_path / 'model.npz')
    for number, block in enumerate(desk.session.learned.model.blocks):
        np.testing.assert_array_equal(block.bank.weights, weights[str(number)])


def test_corrections_survive_a_crash_bit_for_bit(folder, scene, tmp_path) -> None:
    crash(CRASH_CORRECTING, folder, scene, tmp_path)
    desk = Desk(folder)
    (found,) = found_by(desk)
    desk.recovery.recover(found)
    desk.viewer.add_image(scene.image, name='cells')
    desk.settle()
    delineator = desk.controller.delineator
    delineator.delineate()
    made = np.load(tmp_path / 'made.npz')
    np.testing.assert_array_equal(desk.layer('corrections').data, made['strokes'])
    np.testing.assert_array_equal(desk.layer('objects').data, made['objects'])
    assert set(np.unique(made['strokes'])) > {0, 1}
    corrections = delineator.corrections_of()
    ((number, voxels),) = corrections.decisions.accepted.items()
    np.testing.assert_array_equal(voxels, np.flatnonzero(made['objects'] == number))
    assert set(corrections.classes.values()) == {2}


def test_nothing_is_written_before_something_is_painted(folder, scene) -> None:
    desk = Desk(folder)
    desk.viewer.add_image(scene.image, name='cells')
    desk.settle()
    assert files(folder) == []
    desk.viewer.add_labels(scene.markers, name='cells markers')
    desk.settle()
    assert files(folder) == [desk.recovery.path.name]


def test_every_change_is_kept(desk) -> None:
    for change in (
        lambda: desk.markers().paint((30, 30), 2),
        lambda: setattr(desk.session, 'classes', with_new_class(desk.session.classes)),
        lambda: desk.session.undo(),
    ):
        desk.recovery.path.unlink()
        change()
        desk.settle()
        assert desk.recovery.path.exists()


def test_a_saved_session_leaves_no_copy_and_the_next_stroke_makes_one(
    desk, folder, tmp_path
) -> None:
    assert files(folder)
    desk.controller.files.save_session(tmp_path / 'a.flim-session')
    assert files(folder) == []
    desk.settle()
    assert files(folder) == []
    desk.markers().paint((30, 30), 2)
    desk.settle()
    assert files(folder) == [desk.recovery.path.name]


def test_closing_the_viewer_keeps_everything_in_the_copy(desk, folder, scene) -> None:
    strokes = desk.session.items[0].strokes[0].digest
    desk.viewer.layers.clear()
    desk.settle()
    desk.controller.rest()
    other = Desk(folder)
    saved = Found(desk.recovery.path, 'cells', read_session(desk.recovery.path))
    other.viewer.add_image(scene.image, name='cells')
    other.recovery.recover(saved)
    other.settle()
    assert other.session.items[0].strokes[0].digest == strokes
    np.testing.assert_array_equal(other.markers().data, scene.markers)
    assert other.session.block_states() == ('learned', 'learned')
    assert other.session.unsaved


def test_closing_the_docks_writes_what_waits(desk) -> None:
    desk.recovery.path.unlink()
    desk.session.include(desk.session.current, False)
    desk.controller.rest()
    assert not read_session(desk.recovery.path).images[0].included


def test_two_viewers_keep_two_copies(desk, folder, scene) -> None:
    other = Desk(folder)
    other.paint_scene(255 - scene.image, scene.markers)
    other.settle()
    assert len(files(folder)) == 2
    assert found_by(desk) == found_by(other) == ()
    desk.controller.files.save_session(folder.parent / 'a.flim-session')
    assert files(folder) == [other.recovery.path.name]


def test_a_recovered_session_keeps_its_file_until_it_is_kept_again(folder, scene) -> None:
    path = left_behind(folder, scene)
    desk = Desk(folder)
    (found,) = found_by(desk)
    desk.recovery.recover(found)
    assert found_by(desk) == ()
    assert files(folder) == [path.name]
    desk.settle()
    assert files(folder) == [desk.recovery.path.name]
    np.testing.assert_array_equal(
        read_session(desk.recovery.path).images[0].strokes[0][1],
        found.saved.images[0].strokes[0][1],
    )


def test_a_recovered_session_that_is_saved_leaves_no_copy(folder, scene, tmp_path) -> None:
    left_behind(folder, scene)
    desk = Desk(folder)
    desk.recovery.recover(found_by(desk)[0])
    desk.controller.files.save_session(tmp_path / 'a.flim-session')
    assert files(folder) == []


def test_what_is_discarded_is_gone(folder, scene) -> None:
    left_behind(folder, scene)
    desk = Desk(folder)
    desk.recovery.discard(found_by(desk)[0])
    assert found_by(desk) == ()
    assert files(folder) == []


def test_unreadable_copies_are_told_and_left_alone(folder, scene) -> None:
    path = left_behind(folder, scene)
    path.write_bytes(path.read_bytes()[:100])
    desk = Desk(folder)
    (found,) = found_by(desk)
    assert 'not a readable .flim-session session' in found.words
    desk.recovery.recover(found)
    assert desk.session.message == Message(found.words, error=True)
    assert files(folder) == [path.name]


def test_the_newest_copies_come_first_and_few_are_kept(folder, scene) -> None:
    for number in range(12):
        left_behind(folder, scene, number)
    desk = Desk(folder)
    names = [found.path.name for found in found_by(desk)]
    assert names == sorted(names, reverse=True)
    desk.paint_scene(scene.image, scene.markers)
    desk.settle()
    assert [one.path.name for one in found_by(desk)] == names[:MOST_FILES]


def test_files_of_other_names_are_left_alone(folder) -> None:
    folder.mkdir(parents=True)
    for name in (
        'mine.flim-session',
        '2020-99.flim-session',
        f'20200101T120000000000-{"9" * 40}.x',
    ):
        (folder / name).write_text('')
    assert found_by(Desk(folder)) == ()


def test_the_number_of_a_dead_program_may_be_in_use_again(folder, scene) -> None:
    path = left_behind(folder, scene)
    path.rename(folder / f'20200101T120000000000-{os.getpid()}.flim-session')
    assert len(found_by(Desk(folder))) == 1


def test_a_full_disk_is_told_once_and_not_after_every_stroke(desk, monkeypatch) -> None:
    def full(*_args):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(atomic.Path, 'write_bytes', full)
    told = []
    desk.session.events['message'].connect(told.append)
    for x in (20, 25, 30):
        desk.markers().paint((30, x), 2)
        desk.settle()
    errors = [one.text for one in told if one.error]
    assert len(errors) == 1
    assert 'No space left on device' in errors[0]
    monkeypatch.undo()
    desk.recovery.path.unlink(missing_ok=True)
    desk.markers().paint((10, 30), 2)
    desk.settle()
    assert desk.recovery.path.exists()


def test_a_folder_that_cannot_be_made_is_told_once(scene, tmp_path) -> None:
    (tmp_path / 'file').write_text('')
    desk = Desk(tmp_path / 'file' / 'recovery')
    told = []
    desk.session.events['message'].connect(told.append)
    desk.paint_scene(scene.image, scene.markers)
    desk.settle()
    desk.markers().paint((30, 30), 2)
    desk.settle()
    assert sum(one.error for one in told) == 1


def test_opening_another_session_sets_the_present_one_aside(desk, folder, scene, tmp_path) -> None:
    desk.controller.files.save_session(tmp_path / 'a.flim-session')
    desk.markers().paint((30, 30), 2)
    desk.settle()
    first = desk.recovery.path
    painted = len(desk.session.items[0].strokes[0])
    desk.controller.files.open_session(tmp_path / 'a.flim-session')
    desk.settle()
    assert desk.recovery.path != first
    assert files(folder) == [first.name]
    assert len(read_session(first).images[0].strokes[0][1]) == painted


def test_copies_are_written_in_a_worker(qtbot, folder, scene, monkeypatch) -> None:
    owner, writers = QObject(), []
    write = atomic.Path.write_bytes

    def noting(path, content):
        writers.append(threading.current_thread())
        return write(path, content)

    monkeypatch.setattr(atomic.Path, 'write_bytes', noting)
    debouncers: list[InlineDebouncer] = []

    def debouncer(function, _milliseconds):
        debouncers.append(InlineDebouncer(function))
        return debouncers[-1]

    controller = Controller(
        ViewerModel(),
        lambda: WorkerRunner(owner),
        debouncer,
        lambda: Preferences(device='cpu'),
        folder,
    )
    controller.session.live = False
    controller.viewer.add_image(scene.image, name='cells')
    controller.viewer.add_labels(scene.markers, name='cells markers')
    for one in debouncers:
        one.flush()
    qtbot.waitUntil(lambda: files(folder) == [controller.recovery.path.name], timeout=5000)
    assert writers
    assert threading.main_thread() not in writers
    controller.session.unsaved = False
    qtbot.waitUntil(lambda: files(folder) == [], timeout=5000)


def test_the_folder_of_the_user_is_not_touched_without_a_viewer() -> None:
    assert Desk(None).recovery is None
    assert recovery_folder().name == 'recovery'


def test_closing_while_a_copy_is_being_written_leaves_the_newest_one_alone(
    desk, folder, scene
) -> None:
    copied, older = desk.recovery._copy, copy_of(desk.session)
    job = _keep(copied, copied.number(), older, {})
    next(job)
    desk.session.live = False
    desk.markers().paint((30, 30), 2)
    desk.controller.items.debouncer.flush()
    desk.recovery.keep_now()
    # The worker is past the point where it could be stopped.
    finish(job)
    assert files(folder) == [desk.recovery.path.name]
    (image,) = read_session(desk.recovery.path).images
    assert len(image.strokes[0][1]) > (scene.markers > 0).sum()


def test_a_copy_of_a_session_that_is_saved_does_not_come_back(desk, folder, tmp_path) -> None:
    number = desk.recovery._copy.number()
    job = _keep(desk.recovery._copy, number, copy_of(desk.session), {})
    next(job)
    desk.controller.files.save_session(tmp_path / 'a.flim-session')
    finish(job)
    assert files(folder) == []
    desk.markers().paint((30, 30), 2)
    desk.settle()
    assert files(folder) == [desk.recovery.path.name]


def test_closing_reads_no_voxels(folder, scene) -> None:
    class Lazy:
        shape, dtype, ndim = scene.image.shape, scene.image.dtype, 2

        def __getitem__(self, place):
            raise AssertionError('Voxels were read.')

    desk = Desk(folder)
    source = ImageSource('x', 'lazy', Lazy(), 'YX', (1.0, 1.0))
    voxels = np.argwhere(scene.markers)
    strokes = Strokes(voxels, np.ones(len(voxels), np.int64), scene.image.shape)
    desk.session.put_item(Item(source, {0: strokes}, 'markers'))
    desk.controller.rest()
    (image,) = read_session(desk.recovery.path).images
    assert len(image.strokes[0][1]) == len(voxels)


def test_closing_while_a_session_is_saved_leaves_a_copy(held_desk, desk, folder, tmp_path) -> None:
    runner = type(held_desk[1])()
    desk.controller.files = Files(desk.controller, lambda: runner)
    desk.controller.files.save_session(tmp_path / 'a.flim-session')
    desk.recovery.path.unlink()
    desk.controller.rest()
    assert files(folder) == [desk.recovery.path.name]
    # The window is still there, and so is the job.
    runner.go_on()
    assert (tmp_path / 'a.flim-session').exists()
    assert files(folder) == []


def test_what_others_left_is_read_in_a_worker(qtbot, folder, scene) -> None:
    left_behind(folder, scene)
    owner = QObject()
    desk = Desk(folder)
    desk.controller.recovery = recovery = Recovery(
        desk.controller,
        folder,
        lambda: WorkerRunner(owner),
        lambda function, _delay_ms: InlineDebouncer(function),
    )
    with qtbot.waitCallback() as called:
        recovery.looked.connect(called)
        recovery.look()
        assert recovery.found == ()
    assert recovery.found[0].words.startswith('cells: 1 image, 3 markers, learned; ')
    owner.deleteLater()
