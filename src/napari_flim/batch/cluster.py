"""Files segmented by the workers of a dask cluster: processes of this machine, or any others.

Imported, and dask with it, when workers are asked for.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, cast

import dask
from distributed import (
    Client,
    Future,
    KilledWorker,
    LocalCluster,
    Worker,
    WorkerPlugin,
    get_worker,
)
from distributed.client import FutureCancelledError

import napari_flim
from napari_flim.batch.events import Advanced, Done, Failed, Started
from napari_flim.batch.segment_file import FileEvents, FileWork, segment_file
from napari_flim.batch.tasks import FileTask
from napari_flim.errors import BatchError
from napari_flim.progress import Progress

AHEAD = 2
"""Files that each thread of a worker is given, so that it need not wait for the next one."""
LOOK_SECONDS = 5.0
"""How often the number of workers is asked for, when nothing else happens."""
ANSWER_SECONDS = 10.0
"""How long a scheduler may take to answer."""
PROGRESS_SECONDS = 0.2
"""Least time between two steps of one stage that a worker tells."""
THREADS = ('OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'OPENBLAS_NUM_THREADS')


@contextmanager
def workers_here(count: int) -> Iterator[Client]:
    """A client of so many processes of this machine, which share its cores."""
    threads = str(max(1, (os.cpu_count() or 1) // count))
    # A copy of a process in which torch has started threads would wait for them for ever.
    spawning = {
        'distributed.worker.multiprocessing-method': 'spawn',
        # These would be set in this process too.
        'distributed.nanny.pre-spawn-environ': {},
    }
    with (
        dask.config.set(spawning),
        LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            host='127.0.0.1',
            dashboard_address='127.0.0.1:0',
            memory_limit=None,
            env=dict.fromkeys(THREADS, threads),
            silence_logs='ERROR',
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


@contextmanager
def workers_at(address: str) -> Iterator[Client]:
    """A client of a scheduler that runs already.

    Raises
    ------
    BatchError
        When nobody answers.
    """
    try:
        client = Client(address, set_as_default=False, timeout=ANSWER_SECONDS)
    except (OSError, ValueError) as error:
        raise BatchError(
            f'No scheduler answers at {address}: {error}. Start one with "dask scheduler" and give '
            'its address, such as tcp://host:8786.'
        ) from error
    with client:
        yield client


def segment_on(
    client: Client, work: FileWork, next_task: Callable[[], FileTask | None]
) -> FileEvents:
    """Events of all files, in the order in which they happen on the workers.

    Files are given out a few at a time. A worker that is lost costs only the files it had: others
    take them.

    Parameters
    ----------
    client : distributed.Client
    work : FileWork
        Sent to every worker once, also to those that join later.
    next_task : callable
        Gives files until there are no more.

    Raises
    ------
    BatchError
        When the workers cannot run this version of napari-flim.
    """
    errand = f'napari-flim-{secrets.token_hex(4)}'
    inbox: SimpleQueue[_News | int] = SimpleQueue()
    client.subscribe_topic(errand, lambda event: inbox.put(_News(*event[1])))
    _send(client, _Segmenter(work, errand))
    given: dict[int, tuple[FileTask, Future[Any]]] = {}
    try:
        while True:
            places = AHEAD * max(1, sum(client.nthreads().values()))
            while len(given) < places and (task := next_task()) is not None:
                future = client.submit(_segment, errand, task, pure=False)
                given[task.number] = (task, future)
                future.add_done_callback(partial(_tell_end, inbox, task.number))
            if not given:
                return
            yield from _next_events(inbox, given)
    finally:
        client.cancel([future for _, future in given.values()])
        client.unsubscribe_topic(errand)
        client.unregister_worker_plugin(errand)


@dataclass(frozen=True, slots=True)
class _News:
    """A step of a file that a worker has; without a stage when it begins."""

    number: int
    stage: str
    done: int
    total: int


def _tell_end(inbox: SimpleQueue[_News | int], number: int, _: Future[Any]) -> None:
    inbox.put(number)


def _next_events(
    inbox: SimpleQueue[_News | int], given: dict[int, tuple[FileTask, Future[Any]]]
) -> FileEvents:
    try:
        news = inbox.get(timeout=LOOK_SECONDS)
    except Empty:
        return
    if isinstance(news, _News):
        # News may arrive after the end of a file, since they take another way.
        if news.number in given:
            task, _ = given[news.number]
            if news.stage:
                yield Advanced(task, Progress(news.stage, news.done, news.total))
            else:
                yield Started(task)
        return
    task, future = given.pop(news)
    yield _outcome(task, future)


def _outcome(task: FileTask, future: Future[Any]) -> Done | Failed:
    try:
        outcome: Done | Failed = future.result()
    except (KilledWorker, FutureCancelledError) as error:
        # A scheduler gives a task up that has cost it several workers.
        lost = isinstance(error, KilledWorker)
        reason = 'Every worker that took this file was lost, as when memory is short'
        if not lost:
            reason = 'The scheduler was lost while this file was segmented'
        return Failed(task, f'{reason}; resume the run with fewer workers.', 0.0)
    return outcome


def _send(client: Client, segmenter: _Segmenter) -> None:
    try:
        client.register_plugin(segmenter, name=segmenter.errand)
    except BatchError:
        raise
    except Exception as error:
        # Whatever goes wrong on a worker while it unpacks what it is sent.
        raise BatchError(
            f'The workers cannot run napari-flim: {error}. Install napari-flim '
            f'{napari_flim.__version__} there, in an environment like this one.'
        ) from error


class _Segmenter(WorkerPlugin):
    """What every worker holds while a run lasts: the model, read when the first file comes."""

    def __init__(self, work: FileWork, errand: str) -> None:
        self.work = work
        self.errand = errand

    def setup(self, worker: Worker) -> None:
        if self.work.version != napari_flim.__version__:
            raise BatchError(
                f'The worker {worker.address} has napari-flim {napari_flim.__version__}, but the '
                f'run was started with {self.work.version}; install the same version there.'
            )


def _segment(errand: str, task: FileTask) -> Done | Failed:
    """Segment a file on this worker, and tell how far it is."""
    worker = get_worker()
    segmenter = cast(_Segmenter, worker.plugins[errand])
    told, stage = 0.0, ''
    for event in segment_file(segmenter.work, task):
        if isinstance(event, Started):
            worker.log_event(errand, (task.number, '', 0, 0))
        elif isinstance(event, Advanced):
            step, now = event.progress, time.monotonic()
            if step.stage != stage or now - told > PROGRESS_SECONDS:
                worker.log_event(errand, (task.number, step.stage, step.done, step.total))
                told, stage = now, step.stage
        else:
            return event
    raise AssertionError('segment_file ends with Done or Failed')
