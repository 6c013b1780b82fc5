"""Single flight without threads: the latest wins, failures are told, chains need no recursion."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from napari_flim.errors import EngineError, LearningError
from napari_flim.progress import Progress
from napari_flim.session.running import InlineDebouncer, InlineRunner


class Diary:
    """What the callbacks of several jobs were told, in order."""

    def __init__(self) -> None:
        self.entries: list[Any] = []
        self.errors: list[Exception] = []

    def callbacks(self, name: str) -> dict[str, Callable[..., None]]:
        return {
            'done': partial(self._write, name, 'done'),
            'failed': partial(self._fail, name),
            'stopped': partial(self._write, name, 'stopped'),
        }

    def _write(self, *entry: Any) -> None:
        self.entries.append(entry)

    def _fail(self, name: str, error: Exception) -> None:
        self.errors.append(error)
        self.entries.append((name, 'failed'))


@pytest.fixture
def diary() -> Diary:
    return Diary()


def counting(steps: int, closed: list[int] | None = None):
    try:
        for step in range(1, steps + 1):
            yield Progress('counting', step, steps)
    finally:
        if closed is not None:
            closed.append(steps)
    return steps


def failing(error: Exception):
    yield Progress('failing', 1, 2)
    raise error


def test_a_job_reports_its_steps_and_then_its_result(diary: Diary) -> None:
    runner = InlineRunner()
    seen: list[int] = []
    busy: list[bool] = []

    def progressed(step: Progress) -> None:
        seen.append(step.done)
        busy.append(runner.busy)

    runner.submit(counting(3), progressed=progressed, **diary.callbacks('a'))
    assert seen == [1, 2, 3]
    assert busy == [True] * 3
    assert diary.entries == [('a', 'done', 3)]
    assert not runner.busy


def test_an_error_that_was_foreseen_arrives_as_it_is(diary: Diary) -> None:
    error = LearningError('no markers')
    InlineRunner().submit(failing(error), **diary.callbacks('a'))
    assert diary.entries == [('a', 'failed')]
    assert diary.errors == [error]


@pytest.mark.parametrize('error', [RuntimeError('shapes differ'), ZeroDivisionError('by zero')])
def test_an_unforeseen_error_is_explained_logged_and_keeps_its_cause(
    diary: Diary, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    with caplog.at_level(logging.ERROR):
        InlineRunner().submit(failing(error), **diary.callbacks('a'))
    (told,) = diary.errors
    assert isinstance(told, EngineError)
    assert str(error) in str(told)
    assert 'other settings' in str(told)
    assert told.__cause__ is error
    assert error.__traceback__ is not None
    assert 'in failing' in caplog.text


@pytest.mark.parametrize(
    'error',
    [
        MemoryError(),
        MemoryError('Unable to allocate 9.0 TiB'),
        RuntimeError('[enforce fail] DefaultCPUAllocator: not enough memory: you tried to get 9'),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 9"),
        RuntimeError('CUDA out of memory. Tried to allocate 9 GiB.\nSee the documentation'),
        RuntimeError('MPS backend out of memory (MPS allocated: 9 GB)'),
    ],
)
def test_a_lack_of_memory_is_named_with_what_to_do(diary: Diary, error: Exception) -> None:
    InlineRunner().submit(failing(error), **diary.callbacks('a'))
    text = str(diary.errors[0])
    assert 'not enough memory' in text
    assert 'use a smaller image or fewer channels' in text
    assert '\n' not in text


def test_a_real_lack_of_memory_in_torch_is_recognised(diary: Diary) -> None:
    import torch

    def greedy():
        yield Progress('asking', 1, 2)
        return torch.empty(2**50)

    InlineRunner().submit(greedy(), **diary.callbacks('a'))
    assert 'use a smaller image' in str(diary.errors[0])


def test_cancelling_stops_the_job_at_its_step_and_closes_it(diary: Diary) -> None:
    runner = InlineRunner()
    closed: list[int] = []
    seen: list[int] = []

    def progressed(step: Progress) -> None:
        seen.append(step.done)
        runner.cancel()

    runner.submit(counting(9, closed), progressed=progressed, **diary.callbacks('a'))
    assert seen == [1]
    assert closed == [9]
    assert diary.entries == [('a', 'stopped')]
    assert not runner.busy


def test_cancelling_an_idle_runner_leaves_the_next_job_alone(diary: Diary) -> None:
    runner = InlineRunner()
    runner.cancel()
    runner.submit(counting(1), **diary.callbacks('a'))
    assert diary.entries == [('a', 'done', 1)]


def test_of_several_jobs_submitted_during_one_only_the_last_runs(diary: Diary) -> None:
    runner = InlineRunner()

    def progressed(step: Progress) -> None:
        for number in range(2, 6):
            runner.submit(counting(number), **diary.callbacks(str(number)))

    runner.submit(counting(1), progressed=progressed, **diary.callbacks('1'))
    dropped = [(name, 'stopped') for name in ('2', '3', '4', '1')]
    assert diary.entries == [*dropped, ('5', 'done', 5)]


def test_a_long_chain_of_jobs_needs_no_recursion(diary: Diary) -> None:
    runner = InlineRunner()
    ended: list[int] = []
    length = 2 * sys.getrecursionlimit()

    def done(number: int) -> None:
        assert not runner.busy
        ended.append(number)
        if number < length:
            runner.submit(counting(number + 1), done=done, failed=diary.errors.append)
            assert runner.busy
            assert ended[-1] == number

    def counting(number: int):
        yield Progress('counting', 1, 1)
        return number

    runner.submit(counting(1), done=done, failed=diary.errors.append)
    assert ended == list(range(1, length + 1))


def test_an_error_in_a_callback_reaches_the_caller_and_leaves_the_runner_free(
    diary: Diary,
) -> None:
    runner = InlineRunner()

    def done(_result: int) -> None:
        runner.submit(counting(2), **diary.callbacks('waiting'))
        raise KeyError('in the panel')

    with pytest.raises(KeyError, match='in the panel'):
        runner.submit(counting(1), done=done, failed=diary.errors.append)
    assert not runner.busy
    assert diary.entries == [('waiting', 'stopped')]
    runner.submit(counting(3), **diary.callbacks('next'))
    assert diary.entries[1:] == [('next', 'done', 3)]


def test_an_error_in_a_progress_callback_closes_the_job(diary: Diary) -> None:
    runner = InlineRunner()
    closed: list[int] = []

    def progressed(step: Progress) -> None:
        raise KeyError('in the panel')

    with pytest.raises(KeyError, match='in the panel') as caught:
        runner.submit(counting(9, closed), progressed=progressed, **diary.callbacks('a'))
    assert closed == [9], 'even while its traceback is kept'
    assert caught.tb is not None
    assert diary.entries == []
    assert not runner.busy


def test_an_error_while_a_cancelled_job_closes_is_logged_and_not_delivered(
    diary: Diary, caplog: pytest.LogCaptureFixture
) -> None:
    runner = InlineRunner()

    def careless():
        try:
            yield Progress('careless', 1, 2)
        finally:
            raise ValueError('while closing')

    def progressed(step: Progress) -> None:
        runner.cancel()

    runner.submit(careless(), progressed=progressed, **diary.callbacks('a'))
    assert diary.entries == [('a', 'stopped')]
    assert 'while closing' in caplog.text


def test_a_debouncer_without_a_clock_waits_until_it_is_flushed() -> None:
    calls: list[int] = []
    debouncer = InlineDebouncer(partial(calls.append, 1))
    debouncer.call()
    debouncer.call()
    assert calls == []
    debouncer.flush()
    debouncer.flush()
    assert calls == [1]
    debouncer.call()
    debouncer.cancel()
    debouncer.flush()
    assert calls == [1]


def test_a_call_from_within_the_debounced_function_waits_for_the_next_flush() -> None:
    calls: list[int] = []

    def again() -> None:
        calls.append(1)
        debouncer.call()

    debouncer = InlineDebouncer(again)
    debouncer.call()
    debouncer.flush()
    assert calls == [1]
    debouncer.flush()
    assert calls == [1, 1]


def test_running_jobs_needs_neither_qt_nor_napari_nor_torch() -> None:
    code = (
        'import sys, napari_flim.session.running\n'
        "print([name for name in ('torch', 'napari', 'qtpy') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == '[]'
