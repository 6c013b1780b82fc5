"""Jobs in a thread beside the window, and calls that wait for a pause in the painting."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from threading import Event
from typing import Any

from qtpy.compat import isalive
from qtpy.QtCore import QObject, QTimer
from superqt.utils import QSignalDebouncer

from napari_flim.bridge.preferences import PLUGIN
from napari_flim.progress import Job, Progress, Result
from napari_flim.session.running import Delivery, Request

LOOK_MS = 4
"""How often the window looks for news from the thread, while a job runs."""

MOST_YOUNG = 20_000
"""Objects after which the window collects while a job runs; a few milliseconds of work."""

PROGRESS_SECONDS = 0.05
"""Least time between two deliveries of progress: more often than that no one can read it."""


class Collection:
    """Python's cyclic collector, kept out of the threads of jobs.

    It runs in whatever thread happens to allocate. What it finds may be visuals of a layer that was
    just removed, or widgets: freed beside the window's thread, they tear the canvas down with a
    segmentation fault at its next drawing. So it rests while jobs run, and the window collects.
    """

    def __init__(self) -> None:
        self._jobs = 0
        self._was_enabled = True

    def rest(self) -> None:
        """A job begins; called in the window's thread."""
        if not self._jobs:
            self._was_enabled = gc.isenabled()
            gc.disable()
        self._jobs += 1

    def catch_up(self) -> None:
        """Collect what is young, if there is much of it; called in the window's thread."""
        if self._was_enabled and gc.get_count()[0] > MOST_YOUNG:
            gc.collect(0)

    def resume(self) -> None:
        """A job has ended."""
        self._jobs -= 1
        if not self._jobs and self._was_enabled:
            gc.enable()


COLLECTION = Collection()
"""One for the process, as the collector itself."""


def always() -> bool:
    """Results are wanted as long as their owner exists."""
    return True


class WorkerRunner:
    """A `Runner` whose jobs run in a thread of their own; see there for `submit` and `cancel`.

    Results, failures and progress arrive on the thread of the window. Progress arrives at most 20
    times a second, the last step always.

    Parameters
    ----------
    parent : QObject
        Owner, such as a dock widget: the runner lives as long as it. When it is destroyed the
        runner shuts down.
    wanted : callable
        Asked before anything is delivered; False shuts the runner down. For owners that outlive
        those who wait for results.

    Notes
    -----
    No Qt object is touched in the thread; a timer of the window looks for news instead. The
    workers of superqt and napari are not used: PySide 6.11 keeps a third of them for ever, the
    task list of napari keeps all until its window is closed, and calls from a thread through
    superqt crashed under many short jobs.
    """

    def __init__(self, parent: QObject, wanted: Callable[[], bool] = always) -> None:
        self._wanted = wanted
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=PLUGIN)
        self._flight: _Flight | None = None
        self._waiting: Request[Any] | None = None
        self._shut = False
        self._timer = QTimer(parent)
        self._timer.setInterval(LOOK_MS)
        self._timer.timeout.connect(self._on_timer_timeout)
        parent.destroyed.connect(partial(_on_parent_destroyed, self))

    @property
    def busy(self) -> bool:
        return self._flight is not None or self._waiting is not None

    def submit(
        self,
        job: Job[Result],
        *,
        done: Callable[[Result], None],
        failed: Callable[[Exception], None],
        progressed: Callable[[Progress], None] | None = None,
        stopped: Callable[[], None] | None = None,
    ) -> None:
        if self._shut:
            job.close()
            return
        self._replace(Request(job, done, failed, progressed, stopped))
        if self._flight is None:
            self._start_waiting()

    def cancel(self) -> None:
        self._replace(None)

    def shutdown(self, wait_seconds: float = 0) -> None:
        """Ask the running job to stop and deliver nothing any more; later jobs are not run.

        Parameters
        ----------
        wait_seconds : float
            How long to wait, at most, for the job to come to the end of its step.
        """
        self._shut = True
        flight, self._flight = self._flight, None
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.job.close()
        if flight is not None:
            flight.stop()
            flight.wait(wait_seconds)
            flight.abandon()
        self._thread.shutdown(wait=False)

    def _replace(self, request: Request[Any] | None) -> None:
        """Put a request in the place of those that run or wait."""
        if self._flight is not None:
            self._flight.stop()
        replaced, self._waiting = self._waiting, request
        if replaced is not None:
            replaced.drop()

    def _start_waiting(self) -> None:
        if self._waiting is not None:
            request, self._waiting = self._waiting, None
            COLLECTION.rest()
            self._flight = _Flight(request, self._thread)
            self._timer.start()

    def _on_timer_timeout(self) -> None:
        if not self._wanted():
            self.shutdown()
        flight = self._flight
        if flight is None:
            self._timer.stop()
            return
        COLLECTION.catch_up()
        has_ended = flight.has_ended
        flight.report(at_once=has_ended)
        # A callback may have let the window look for news, or have shut the runner down.
        if has_ended and flight is self._flight:
            self._land(flight)

    def _land(self, flight: _Flight) -> None:
        """Deliver what came of a job, and start the one that waits."""
        self._flight = None
        COLLECTION.resume()
        try:
            flight.deliver()
        finally:
            if self._flight is None:
                self._start_waiting()


def _on_job_abandoned(_delivery: Future[Delivery]) -> None:
    COLLECTION.resume()


def _on_parent_destroyed(runner: WorkerRunner, _parent: QObject | None = None) -> None:
    runner.shutdown()


class _Flight:
    """One request on its way through the thread, seen from the window."""

    def __init__(self, request: Request[Any], thread: ThreadPoolExecutor) -> None:
        self._request = request
        self._stop = Event()
        self._latest: Progress | None = None
        self._reported: Progress | None = None
        self._reported_at = -math.inf
        self._delivery: Future[Delivery] = thread.submit(
            request.carry_out, self._stop, self._on_job_progressed
        )

    @property
    def has_ended(self) -> bool:
        """Whether the thread has done its work."""
        return self._delivery.done()

    def stop(self) -> None:
        """Ask for an end after the present step; only `stopped` will be delivered."""
        self._stop.set()

    def wait(self, seconds: float) -> None:
        """Wait for the thread, at most so long."""
        wait([self._delivery], timeout=seconds)

    def abandon(self) -> None:
        """Nobody looks for news any more."""
        self._delivery.add_done_callback(_on_job_abandoned)

    def report(self, at_once: bool) -> None:
        """Pass on the latest step if it is new and, unless at once, some time has gone by."""
        step = self._latest
        now = time.monotonic()
        is_time = at_once or now - self._reported_at >= PROGRESS_SECONDS
        if step is not None and step is not self._reported and is_time and not self._stop.is_set():
            self._reported, self._reported_at = step, now
            self._request.report(step)

    def deliver(self) -> None:
        """Hand over what came of the request."""
        # The result may have been ready when the job was asked to stop.
        delivery = self._request.drop if self._stop.is_set() else self._delivery.result()
        delivery()

    def _on_job_progressed(self, step: Progress) -> None:
        self._latest = step


class QtDebouncer:
    """A `Debouncer` that calls when no request has come for a while.

    Parameters
    ----------
    function : callable
        What to call, on the GUI thread.
    delay_ms : callable
        Gives the milliseconds without a request after which the function is called; asked at each
        request, so that a preference holds at once.
    parent : QObject
        Owner: when it is destroyed, what was asked for is forgotten.
    wanted : callable
        Asked before the function is called.
    """

    def __init__(
        self,
        function: Callable[[], None],
        *,
        delay_ms: Callable[[], int],
        parent: QObject,
        wanted: Callable[[], bool] = always,
    ) -> None:
        self._function = function
        self._wanted = wanted
        self._delay_ms = delay_ms
        # Owned by Qt, because Python may collect this object in the thread of a job, where a
        # timer must not be destroyed.
        self._signal = QSignalDebouncer(parent=parent)
        self._signal.triggered.connect(self._on_pause_ended)

    def _on_pause_ended(self) -> None:
        if self._wanted():
            self._function()

    def call(self) -> None:
        if isalive(self._signal):
            self._signal.setTimeout(self._delay_ms())
            self._signal.throttle()

    def flush(self) -> None:
        if isalive(self._signal):
            self._signal.flush()

    def cancel(self) -> None:
        if isalive(self._signal):
            self._signal.cancel()
