"""Who runs a job, and when: one at a time, the newest first in line."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from threading import Event
from typing import Any, Generic, Protocol

from napari_flim.errors import EngineError, FlimError
from napari_flim.progress import Job, Progress, Result

Delivery = Callable[[], None]

logger = logging.getLogger(__name__)

# The wordings of torch on the CPU, on CUDA and on MPS.
OUT_OF_MEMORY = ('not enough memory', "can't allocate memory", 'out of memory')


class Runner(Protocol):
    """Runs jobs in single flight: one at a time, and the latest wins.

    Submitting while a job runs asks that job to stop at its next step and keeps only the newest
    request. A job that was superseded or cancelled never delivers `done` or `failed`; its
    `stopped` is called once. Everything is delivered on the thread that submits.

    Attributes
    ----------
    busy : bool
        Whether a job runs or waits. False while the last job delivers `done`, `failed` or
        `stopped`, so that they may read it and may submit again.
    """

    @property
    def busy(self) -> bool: ...

    def submit(
        self,
        job: Job[Result],
        *,
        done: Callable[[Result], None],
        failed: Callable[[Exception], None],
        progressed: Callable[[Progress], None] | None = None,
        stopped: Callable[[], None] | None = None,
    ) -> None:
        """Run a job, in place of the one that runs or waits.

        Parameters
        ----------
        job : generator of Progress
            The work, not started yet. It must not read what its caller may change.
        done : callable
            Takes the result.
        failed : callable
            Takes the exception. It is always a `FlimError`, whose text is meant for the user;
            an error that nobody foresaw arrives as an `EngineError` with the original as its
            ``__cause__``, and is logged.
        progressed : callable, optional
            Takes some of the steps, in order.
        stopped : callable, optional
            Called if the job was superseded or cancelled, whether or not it had started.
        """

    def cancel(self) -> None:
        """Ask the running job to stop, and forget the one that waits."""


class Debouncer(Protocol):
    """Calls a function once after a burst of requests for it."""

    def call(self) -> None:
        """Ask for the function to be called when the burst has ended."""

    def flush(self) -> None:
        """Call the function now if that is still to be done."""

    def cancel(self) -> None:
        """Forget what was asked for."""


@dataclass(frozen=True, eq=False)
class Request(Generic[Result]):
    """A job with those who wait for it; the arguments of `Runner.submit`."""

    job: Job[Result]
    done: Callable[[Result], None]
    failed: Callable[[Exception], None]
    progressed: Callable[[Progress], None] | None = None
    stopped: Callable[[], None] | None = None

    def carry_out(self, stop: Event, progressed: Callable[[Progress], None]) -> Delivery:
        """Do the work here and now; what is returned delivers what came of it.

        Parameters
        ----------
        stop : threading.Event
            Set, perhaps from another thread, to end the job after its present step.
        progressed : callable
            Takes every step.
        """
        work = self._work()
        try:
            while not stop.is_set():
                try:
                    step = next(work)
                except StopIteration as end:
                    delivery: Delivery = end.value
                    return delivery
                progressed(step)
            return self.drop
        finally:
            work.close()

    def report(self, step: Progress) -> None:
        """Pass on one step."""
        if self.progressed is not None:
            self.progressed(step)

    def drop(self) -> None:
        """Close the job and say that it has stopped."""
        self.job.close()
        if self.stopped is not None:
            self.stopped()

    def _work(self) -> Job[Delivery]:
        """The job as one that never fails; its result delivers what came of it."""
        try:
            result = yield from self.job
        except FlimError as error:
            return partial(self.failed, error)
        except Exception as error:
            # Whatever fails in a thread would end there unheard, and the dock wait for ever.
            logger.exception('A job failed for a reason that was not foreseen')
            return partial(self.failed, _explained(error))
        return partial(self.done, result)


def _explained(error: Exception) -> EngineError:
    """An error that nobody foresaw, in words for the user."""
    text = str(error).partition('\n')[0] or type(error).__name__
    if isinstance(error, MemoryError) or any(wording in text for wording in OUT_OF_MEMORY):
        message = (
            f'There is not enough memory for this ({text}); use a smaller image or fewer '
            'channels, or close other programs and try again.'
        )
    else:
        message = (
            f'The work stopped at an error that was not foreseen ({type(error).__name__}: '
            f'{text}); try other settings, and report it with the log if it comes back.'
        )
    explained = EngineError(message)
    explained.__cause__ = error
    return explained


class InlineRunner:
    """A `Runner` that does the whole job inside `submit`, without threads.

    A submit from within a callback is taken up when that callback has returned, so that a chain
    of jobs needs no recursion.

    Examples
    --------
    >>> def count():
    ...     yield Progress('counting', 1, 2)
    ...     return 7
    >>> InlineRunner().submit(count(), done=print, failed=print)
    7
    """

    def __init__(self) -> None:
        self._waiting: Request[Any] | None = None
        self._running = False
        self._stop = Event()
        self._looping = False

    @property
    def busy(self) -> bool:
        return self._running or self._waiting is not None

    def submit(
        self,
        job: Job[Result],
        *,
        done: Callable[[Result], None],
        failed: Callable[[Exception], None],
        progressed: Callable[[Progress], None] | None = None,
        stopped: Callable[[], None] | None = None,
    ) -> None:
        self._replace(Request(job, done, failed, progressed, stopped))
        if self._looping:
            return
        self._looping = True
        try:
            while (request := self._waiting) is not None:
                self._waiting = None
                self._run(request)()
        finally:
            self._looping = False
            self._replace(None)

    def cancel(self) -> None:
        self._replace(None)

    def _replace(self, request: Request[Any] | None) -> None:
        """Put a request in the place of those that run or wait."""
        self._stop.set()
        replaced, self._waiting = self._waiting, request
        if replaced is not None:
            replaced.drop()

    def _run(self, request: Request[Any]) -> Delivery:
        self._running = True
        self._stop.clear()
        try:
            return request.carry_out(self._stop, request.report)
        finally:
            self._running = False


class InlineDebouncer:
    """A `Debouncer` without a clock: it waits until it is flushed.

    Parameters
    ----------
    function : callable
        What to call.

    Examples
    --------
    >>> debouncer = InlineDebouncer(lambda: print('painted'))
    >>> debouncer.call()
    >>> debouncer.call()
    >>> debouncer.flush()
    painted
    >>> debouncer.flush()
    """

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function
        self._pending = False

    def call(self) -> None:
        self._pending = True

    def flush(self) -> None:
        if self._pending:
            self._pending = False
            self._function()

    def cancel(self) -> None:
        self._pending = False
