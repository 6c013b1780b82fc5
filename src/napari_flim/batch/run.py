"""Running a plan: a generator of events that can be paused, closed, and given orders."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType

from napari_flim.batch.events import Advanced, Done, Event, Failed, Skipped, Started, Summary
from napari_flim.batch.orders import Orders, Queue
from napari_flim.batch.plan import BatchPlan
from napari_flim.batch.run_folder import RunFolder
from napari_flim.batch.segment_file import FileEvents, FileWork, segment_file
from napari_flim.batch.tasks import FileTask
from napari_flim.errors import BatchError
from napari_flim.inference.mapping import Mapper, one_by_one

NextTask = Callable[[], FileTask | None]


def run(
    plan: BatchPlan,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    orders: Orders | None = None,
    debug: bool = False,
) -> Generator[Event, None, None]:
    """Segment the files of a plan.

    A file that fails does not end the run. Not asking for the next event is a pause: files that
    workers have are finished, no new ones begin. Closing the generator stops the run; what is
    finished is in the report, and planning with ``earlier='resume'`` goes on from there.

    Parameters
    ----------
    plan : BatchPlan
    workers : int
        Processes of this machine; one is this process, without dask.
    scheduler : str, optional
        Address of a dask scheduler, whose workers are used instead; they must see the files under
        the same paths.
    orders : Orders
        Files to skip or to try again.
    debug : bool
        Whether the error of a file ends the run.

    Yields
    ------
    Event
        `Started`, `Advanced`, then `Done` or `Failed` for every file; `Skipped`; one `Summary`.

    Raises
    ------
    BatchError
        When there is no such cluster, or workers cannot be had.
    FileError
        When the folder of the run cannot be written.
    """
    if workers < 1:
        raise BatchError(f'{workers} workers were asked for; expected one or more.')
    start = time.monotonic()
    tally = _Tally()
    queue = Queue(plan.tasks, orders or Orders())
    with ExitStack() as afterwards, _crew(plan, workers, scheduler, debug) as segment:
        folder = RunFolder(plan)
        # Workers that are ended while they write leave what they have begun.
        afterwards.callback(folder.remove_unfinished)
        try:
            with closing(segment(queue.next_task)) as events:
                for event in _with_skipped(events, queue):
                    if isinstance(event, Done | Failed | Skipped):
                        folder.record(event)
                        tally.count(event)
                    if isinstance(event, Failed):
                        queue.failed(event.task)
                    yield event
        finally:
            folder.finish()
    yield tally.summary(len(plan.kept), time.monotonic() - start, plan.out)


@contextmanager
def _crew(
    plan: BatchPlan, workers: int, scheduler: str | None, debug: bool
) -> Iterator[Callable[[NextTask], FileEvents]]:
    """Whoever segments files: this process, processes of this machine, or a cluster."""
    here = scheduler is None
    memory = plan.memory // workers if here and plan.memory else plan.memory
    stems = frozenset(task.stem for task in plan.tasks) | {row.stem for row in plan.kept}
    work = FileWork(plan.model, plan.out.resolve(), plan.outputs, plan.axes, memory, stems, debug)
    if not plan.tasks or (here and workers == 1):
        yield partial(_segment_here, work)
        return
    cluster = import_cluster()
    reached = cluster.workers_here(workers) if scheduler is None else cluster.workers_at(scheduler)
    with reached as client:
        if len(plan.tasks) == 1:
            # The workers would have nothing to share but the tiles of this file.
            from napari_flim.batch.tile_mapper import mapper_on

            yield partial(_segment_here, work, mapper=mapper_on(client))
        else:
            yield partial(cluster.segment_on, client, work)


def import_cluster() -> ModuleType:
    """The module that uses dask.

    Raises
    ------
    BatchError
        When the extra ``cluster`` is not installed.
    """
    try:
        from napari_flim.batch import cluster
    except ModuleNotFoundError as error:
        raise BatchError(
            f'Several workers need the package {error.name}, which is not installed; run: '
            'pip install "napari-flim[cluster]". One worker needs nothing more.'
        ) from error
    return cluster


def _segment_here(work: FileWork, next_task: NextTask, mapper: Mapper = one_by_one) -> FileEvents:
    while (task := next_task()) is not None:
        yield from segment_file(work, task, mapper)


def _with_skipped(
    events: FileEvents, queue: Queue
) -> Generator[Started | Advanced | Done | Failed | Skipped, None, None]:
    """The events of files, and of those that were taken out while they waited."""
    for event in events:
        yield from map(Skipped, queue.skipped())
        yield event
    yield from map(Skipped, queue.skipped())


class _Tally:
    """What has become of the files so far; one that was tried again counts as it ended."""

    def __init__(self) -> None:
        self._last: dict[FileTask, Done | Failed | Skipped] = {}

    def count(self, event: Done | Failed | Skipped) -> None:
        self._last[event.task] = event

    def summary(self, earlier: int, seconds: float, folder: Path) -> Summary:
        last = self._last.values()
        done = [event for event in last if isinstance(event, Done)]
        return Summary(
            done=len(done),
            failed=sum(isinstance(event, Failed) for event in last),
            skipped=sum(isinstance(event, Skipped) for event in last),
            earlier=earlier,
            objects=sum(event.objects for event in done),
            seconds=seconds,
            folder=folder,
        )
