"""Jobs in a thread of Qt: single flight, nothing lost, nothing delivered to the dead."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QObject

from napari_flim.bridge.workers import QtDebouncer, WorkerRunner
from napari_flim.errors import EngineError, FlimError, FlimWarning, LearningError
from napari_flim.progress import Job, Progress
from napari_flim.session.running import InlineRunner


class Diary:
    """What the callbacks of several jobs were told, in order, and on which thread."""

    def __init__(self) -> None:
        self.entries: list[tuple[Any, ...]] = []
        self.errors: list[Exception] = []
        self.steps: list[int] = []
        self.threads: set[int] = set()

    def callbacks(self, name: str) -> dict[str, Callable[..., None]]:
        return {
            'done': partial(self._write, name, 'done'),
            'failed': partial(self._fail, name),
            'progressed': self._step,
            'stopped': partial(self._write, name, 'stopped'),
        }

    def _write(self, *entry: Any) -> None:
        self.threads.add(threading.get_ident())
        self.entries.append(entry)

    def _fail(self, name: str, error: Exception) -> None:
        self.errors.append(error)
        self._write(name, 'failed')

    def _step(self, step: Progress) -> None:
        self.threads.add(threading.get_ident())
        self.steps.append(step.done)


class Endless:
    """A job that goes on until it is stopped, and counts its steps."""

    def __init__(self) -> None:
        self.steps = 0
        self.closed = threading.Event()
        self.closed_on = 0

    def job(self):
        try:
            while True:
                self.steps += 1
                time.sleep(0.002)
                yield Progress('going on', self.steps, 0)
        finally:
            self.closed_on = threading.get_ident()
            self.closed.set()


def counting(steps: int, result: Any = None):
    for step in range(1, steps + 1):
        yield Progress('counting', step, steps)
    return result


def failing(error: Exception):
    yield Progress('failing', 1, 2)
    raise error


def stubborn(release: threading.Event):
    release.wait(5)
    yield Progress('stubborn', 1, 1)


@pytest.fixture
def diary() -> Diary:
    return Diary()


@pytest.fixture
def runner(qtbot: QtBot) -> Iterator[WorkerRunner]:
    owner = QObject()
    one = WorkerRunner(owner)
    yield one
    one.shutdown(wait_seconds=5)


def wait_until_idle(qtbot: QtBot, runner: WorkerRunner) -> None:
    qtbot.waitUntil(lambda: not runner.busy, timeout=5000)


def test_a_job_works_in_another_thread_and_delivers_on_this_one(
    qtbot: QtBot, runner: WorkerRunner, diary: Diary
) -> None:
    worked_on: list[int] = []

    def job():
        worked_on.append(threading.get_ident())
        yield Progress('working', 1, 1)
        return 'result'

    runner.submit(job(), **diary.callbacks('a'))
    assert runner.busy
    wait_until_idle(qtbot, runner)
    assert diary.entries == [('a', 'done', 'result')]
    assert diary.steps == [1]
    assert worked_on != [threading.get_ident()]
    assert diary.threads == {threading.get_ident()}


@pytest.mark.parametrize('error', [RuntimeError('shapes differ'), ZeroDivisionError('by zero')])
def test_an_unforeseen_error_in_a_worker_reaches_the_panel_with_its_cause(
    qtbot: QtBot,
    runner: WorkerRunner,
    diary: Diary,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    with caplog.at_level(logging.ERROR):
        runner.submit(failing(error), **diary.callbacks('a'))
        wait_until_idle(qtbot, runner)
    assert diary.entries == [('a', 'failed')]
    assert isinstance(diary.errors[0], EngineError)
    assert diary.errors[0].__cause__ is error
    assert 'in failing' in caplog.text
    assert diary.threads == {threading.get_ident()}


def test_a_foreseen_error_in_a_worker_arrives_as_it_is(
    qtbot: QtBot, runner: WorkerRunner, diary: Diary
) -> None:
    error = LearningError('no markers')
    runner.submit(failing(error), **diary.callbacks('a'))
    wait_until_idle(qtbot, runner)
    assert diary.errors == [error]


def test_cancelling_stops_within_one_step_and_says_so_once(
    qtbot: QtBot, runner: WorkerRunner, diary: Diary
) -> None:
    endless = Endless()
    runner.submit(endless.job(), **diary.callbacks('a'))
    qtbot.waitUntil(lambda: endless.steps > 3)
    runner.cancel()
    steps_then, seen_then = endless.steps, len(diary.steps)
    runner.cancel()
    wait_until_idle(qtbot, runner)
    assert endless.steps <= steps_then + 1
    assert endless.closed.is_set()
    assert endless.closed_on != threading.get_ident()
    qtbot.wait(50)
    assert diary.entries == [('a', 'stopped')]
    assert len(diary.steps) == seen_then


def test_a_job_cancelled_while_it_waits_does_no_work(
    qtbot: QtBot, runner: WorkerRunner, diary: Diary
) -> None:
    release = threading.Event()
    endless = Endless()
    runner.submit(stubborn(release), **diary.callbacks('a'))
    runner.submit(endless.job(), **diary.callbacks('b'))
    runner.cancel()
    assert diary.entries == [('b', 'stopped')]
    assert runner.busy
    release.set()
    wait_until_idle(qtbot, runner)
    assert diary.entries == [('b', 'stopped'), ('a', 'stopped')]
    assert endless.steps == 0


def test_a_result_that_was_ready_when_it_was_cancelled_is_not_delivered(
    qtbot: QtBot, runner: WorkerRunner, diary: Diary
) -> None:
    ended = threading.Event()

    def job():
        yield Progress('working', 1, 1)
        ended.set()

    runner.submit(job(), **diary.callbacks('a'))
    assert ended.wait(5)
    runner.cancel()
    wait_until_idle(qtbot, runner)
    assert diary.entries == [('a', 'stopped')]


def test_of_twenty_jobs_submitted_at_once_only_the_last_delivers(
    qtbot: QtBot, runner: WorkerRunner, diary: Diary
) -> None:
    completed: list[int] = []

    def job(number: int):
        for step in range(1, 21):
            time.sleep(0.001)
            yield Progress('counting', step, 20)
        completed.append(number)
        return number

    for number in range(20):
        runner.submit(job(number), **diary.callbacks(str(number)))
    wait_until_idle(qtbot, runner)
    assert len(completed) <= 2
    assert diary.entries[-1] == ('19', 'done', 19)
    assert sorted(diary.entries[:-1]) == sorted((str(n), 'stopped') for n in range(19))


def test_a_job_can_be_followed_by_another_from_its_callback(
    qtbot: QtBot, runner: WorkerRunner, diary: Diary
) -> None:
    def done(result: str) -> None:
        assert not runner.busy
        runner.submit(counting(1, result + ' and second'), **diary.callbacks('b'))

    runner.submit(counting(1, 'first'), done=done, failed=diary.errors.append)
    qtbot.waitUntil(lambda: bool(diary.entries))
    assert diary.entries == [('b', 'done', 'first and second')]


def test_an_error_in_a_callback_does_not_block_the_next_job(
    qtbot: QtBot, runner: WorkerRunner, diary: Diary
) -> None:
    def done(_result: object) -> None:
        raise KeyError('in the panel')

    with qtbot.captureExceptions() as raised:
        runner.submit(counting(1), done=done, failed=diary.errors.append)
        wait_until_idle(qtbot, runner)
    assert [one[0] for one in raised] == [KeyError]
    runner.submit(counting(1, 7), **diary.callbacks('next'))
    wait_until_idle(qtbot, runner)
    assert diary.entries == [('next', 'done', 7)]


def test_progress_arrives_at_most_twenty_times_a_second(
    qtbot: QtBot, runner: WorkerRunner, diary: Diary
) -> None:
    endless = Endless()
    started = time.monotonic()
    runner.submit(endless.job(), **diary.callbacks('a'))
    qtbot.wait(400)
    seconds = time.monotonic() - started
    assert 2 <= len(diary.steps) <= 1 + 20 * seconds
    assert diary.steps == sorted(set(diary.steps))


def test_the_last_step_arrives_although_it_follows_another_closely(
    qtbot: QtBot, runner: WorkerRunner, diary: Diary
) -> None:
    def job():
        yield Progress('first', 1, 3)
        while not diary.steps:
            time.sleep(0.001)
        yield Progress('skipped', 2, 3)
        yield Progress('last', 3, 3)

    runner.submit(job(), **diary.callbacks('a'))
    wait_until_idle(qtbot, runner)
    assert diary.steps == [1, 3]
    assert diary.entries == [('a', 'done', None)]


def test_when_its_owner_is_destroyed_the_job_stops_and_nothing_is_delivered(
    qtbot: QtBot, diary: Diary
) -> None:
    owner = QObject()
    runner = WorkerRunner(owner)
    endless = Endless()
    runner.submit(endless.job(), **diary.callbacks('a'))
    qtbot.waitUntil(lambda: endless.steps > 3)
    owner.deleteLater()
    qtbot.waitUntil(endless.closed.is_set)
    seen = len(diary.steps)
    wait_until_idle(qtbot, runner)
    runner.submit(counting(1), **diary.callbacks('late'))
    qtbot.wait(50)
    assert diary.entries == []
    assert len(diary.steps) == seen


def test_a_runner_that_only_its_owner_keeps_stops_its_job_with_it(
    qtbot: QtBot, diary: Diary
) -> None:
    owner = QObject()
    runner = WorkerRunner(owner)
    kept = weakref.ref(runner)
    endless = Endless()
    runner.submit(endless.job(), **diary.callbacks('a'))
    del runner
    qtbot.waitUntil(lambda: endless.steps > 3)
    gc.collect()
    assert kept() is not None
    del owner
    qtbot.waitUntil(endless.closed.is_set)
    qtbot.wait(50)
    gc.collect()
    assert kept() is None
    assert diary.entries == []


def test_shutting_down_waits_for_the_step_and_delivers_nothing(
    qtbot: QtBot, runner: WorkerRunner, diary: Diary
) -> None:
    endless = Endless()
    runner.submit(endless.job(), **diary.callbacks('a'))
    qtbot.waitUntil(lambda: endless.steps > 3)
    runner.shutdown(wait_seconds=5)
    assert endless.closed.is_set()
    qtbot.wait(50)
    assert not runner.busy
    assert diary.entries == []


def test_shutting_down_does_not_wait_longer_than_asked(
    qtbot: QtBot, runner: WorkerRunner, diary: Diary
) -> None:
    release = threading.Event()
    runner.submit(stubborn(release), **diary.callbacks('a'))
    qtbot.wait(50)
    runner.submit(counting(1), **diary.callbacks('waiting'))
    started = time.monotonic()
    runner.shutdown(wait_seconds=0.1)
    assert 0.09 < time.monotonic() - started < 2
    release.set()
    qtbot.wait(50)
    assert not runner.busy
    assert diary.entries == []


def test_closing_napari_ends_the_program_although_a_job_runs() -> None:
    code = (
        'import napari\n'
        'from qtpy.QtCore import QTimer\n'
        'from qtpy.QtWidgets import QWidget\n'
        'from napari_flim.bridge.workers import WorkerRunner\n'
        'from napari_flim.progress import Progress\n'
        'def job():\n'
        '    while True:\n'
        "        yield Progress('going on', 1, 2)\n"
        'viewer = napari.Viewer(show=True)\n'
        'panel = QWidget()\n'
        'viewer.window.add_dock_widget(panel)\n'
        'WorkerRunner(panel).submit(job(), done=print, failed=print, stopped=print)\n'
        'QTimer.singleShot(500, viewer.close)\n'
        'napari.run(force=True)\n'
        "print('closed')"
    )
    ran = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, timeout=30, check=True
    )
    assert ran.stdout.strip() == 'closed'


def test_a_warning_inside_a_job_is_given_as_any_other(
    qtbot: QtBot, runner: WorkerRunner, diary: Diary
) -> None:
    def warning():
        yield Progress('warning', 1, 1)
        warnings.warn('two markers lie outside', FlimWarning, stacklevel=1)

    with pytest.warns(FlimWarning, match='two markers lie outside'):
        runner.submit(warning(), **diary.callbacks('a'))
        wait_until_idle(qtbot, runner)
    assert diary.entries == [('a', 'done', None)]


def test_jobs_leave_nothing_behind(qtbot: QtBot, runner: WorkerRunner) -> None:
    large: list[weakref.ref[Any]] = []

    class Large:
        pass

    def job(number: int, thing: Large):
        yield Progress('holding', 1, 2)
        if number % 3 == 1:
            raise FlimError('on purpose')
        yield Progress('holding', 2, 2)
        return number

    for number in range(50):
        thing = Large()
        large.append(weakref.ref(thing))
        runner.submit(job(number, thing), done=lambda result: None, failed=lambda error: None)
        del thing
        if number % 2:
            wait_until_idle(qtbot, runner)
    wait_until_idle(qtbot, runner)
    gc.collect()
    assert [one for one in large if one() is not None] == []


def test_both_runners_tell_the_same_story(qtbot: QtBot, runner: WorkerRunner, diary: Diary) -> None:
    headless = Diary()
    for name, job, args in [
        ('good', counting, (3, 'result')),
        ('bad', failing, (LearningError('no markers'),)),
        ('worse', failing, (RuntimeError('shapes differ'),)),
    ]:
        InlineRunner().submit(job(*args), **headless.callbacks(name))
        runner.submit(job(*args), **diary.callbacks(name))
        wait_until_idle(qtbot, runner)
    assert diary.entries == headless.entries
    assert [str(error) for error in diary.errors] == [str(error) for error in headless.errors]


@pytest.fixture
def owner() -> QObject:
    return QObject()


def test_a_debouncer_calls_once_after_a_burst(qtbot: QtBot, owner: QObject) -> None:
    calls: list[float] = []
    debouncer = QtDebouncer(
        lambda: calls.append(time.monotonic()), delay_ms=lambda: 300, parent=owner
    )
    for _ in range(5):
        debouncer.call()
        last = time.monotonic()
        qtbot.wait(10)
    assert calls == []
    qtbot.waitUntil(lambda: bool(calls), timeout=2000)
    assert calls[0] - last > 0.28
    qtbot.wait(400)
    assert len(calls) == 1


def test_a_debouncer_can_be_flushed_cancelled_and_given_another_delay(
    qtbot: QtBot, owner: QObject
) -> None:
    calls: list[int] = []
    delays = [10_000]
    debouncer = QtDebouncer(partial(calls.append, 1), delay_ms=lambda: delays[-1], parent=owner)
    debouncer.call()
    debouncer.flush()
    debouncer.flush()
    assert calls == [1]
    delays.append(20)
    debouncer.call()
    debouncer.cancel()
    qtbot.wait(100)
    assert calls == [1]
    debouncer.call()
    qtbot.waitUntil(lambda: calls == [1, 1], timeout=2000)


def test_a_debounced_function_may_ask_to_be_called_again(qtbot: QtBot, owner: QObject) -> None:
    calls: list[int] = []

    def again() -> None:
        calls.append(1)
        if len(calls) < 3:
            debouncer.call()

    debouncer = QtDebouncer(again, delay_ms=lambda: 10, parent=owner)
    debouncer.call()
    debouncer.flush()
    assert calls == [1]
    qtbot.waitUntil(lambda: len(calls) == 3, timeout=2000)


def test_a_debouncer_forgets_its_call_when_its_owner_is_destroyed(
    qtbot: QtBot, owner: QObject
) -> None:
    calls: list[int] = []
    debouncer = QtDebouncer(partial(calls.append, 1), delay_ms=lambda: 30, parent=owner)
    debouncer.call()
    owner.deleteLater()
    qtbot.wait(150)
    for late in (debouncer.call, debouncer.flush, debouncer.cancel):
        late()
    assert calls == []


def test_importing_the_workers_leaves_torch_alone() -> None:
    code = (
        'import sys, napari_flim.bridge.workers, napari_flim.bridge.preferences\n'
        "print('torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == 'False'


class Visual:
    """Garbage that only the cyclic collector finds, and that notes where it was freed."""

    def __init__(self, freed_in: list[str]) -> None:
        self.itself = self
        self._freed_in = freed_in

    def __del__(self) -> None:
        self._freed_in.append(threading.current_thread().name)


def test_what_the_window_dropped_is_never_freed_in_the_thread_of_a_job(
    qtbot: QtBot, owner: QObject
) -> None:
    freed_in: list[str] = []
    dropped = threading.Event()

    def allocate() -> Job[int]:
        yield Progress('waiting', 0, 1)
        dropped.wait(5)
        return sum(len([{}, {}]) for _ in range(100_000) if [[]])

    runner = WorkerRunner(owner)
    done: list[int] = []
    runner.submit(allocate(), done=done.append, failed=pytest.fail)
    assert not gc.isenabled()
    Visual(freed_in)
    dropped.set()
    qtbot.waitUntil(lambda: bool(done), timeout=10_000)
    assert gc.isenabled()
    gc.collect()
    assert freed_in == [threading.main_thread().name]
