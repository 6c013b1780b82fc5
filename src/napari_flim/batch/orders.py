"""Orders: what the user wants of a run that is under way."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from napari_flim.batch.tasks import FileTask


class Orders:
    """Given from any thread, followed between files.

    Examples
    --------
    >>> from pathlib import Path
    >>> first, second = (FileTask(n, Path(f'{n}.tif'), str(n), 0, 0) for n in range(2))
    >>> orders = Orders()
    >>> orders.skip(first)
    >>> queue = Queue([first, second], orders)
    >>> queue.next_task().stem, queue.next_task()
    ('1', None)
    >>> [task.stem for task in queue.skipped()]
    ['0']
    """

    def __init__(self) -> None:
        self.given: deque[tuple[str, FileTask]] = deque()

    def skip(self, task: FileTask) -> None:
        """Leave a file out, unless a worker has it already."""
        self.given.append(('skip', task))

    def retry(self, task: FileTask) -> None:
        """Take a file that has failed, or was skipped, once more, after the others."""
        self.given.append(('retry', task))


class Queue:
    """Files that wait for a worker, as far as orders allow.

    Parameters
    ----------
    tasks : iterable of FileTask
    orders : Orders
    """

    def __init__(self, tasks: Iterable[FileTask], orders: Orders) -> None:
        self._waiting = deque(tasks)
        self._orders = orders
        self._ended: set[FileTask] = set()
        self._skipped: list[FileTask] = []

    def next_task(self) -> FileTask | None:
        """The next file, which then waits no more; None when there is none."""
        self._follow()
        return self._waiting.popleft() if self._waiting else None

    def failed(self, task: FileTask) -> None:
        """From now on the file may be tried again."""
        self._ended.add(task)

    def skipped(self) -> list[FileTask]:
        """Files that were left out since the last call."""
        self._follow()
        told, self._skipped = self._skipped, []
        return told

    def _follow(self) -> None:
        while self._orders.given:
            order, task = self._orders.given.popleft()
            if order == 'skip' and task in self._waiting:
                self._waiting.remove(task)
                self._ended.add(task)
                self._skipped.append(task)
            elif order == 'retry' and task in self._ended:
                self._ended.remove(task)
                self._waiting.append(task)
