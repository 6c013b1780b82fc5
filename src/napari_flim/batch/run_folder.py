"""RunFolder: what a run writes beside the results, so that killing it loses nothing."""

from __future__ import annotations

import csv
import json
import platform
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import napari_flim
from napari_flim.batch.events import Done, Failed, Skipped
from napari_flim.batch.outputs import ENDINGS
from napari_flim.batch.plan import BatchPlan
from napari_flim.batch.report import (
    COLUMNS,
    DONE,
    FAILED,
    HEADER,
    MODEL,
    REPORT,
    SKIPPED,
    TABLE,
    UNDECODED,
    WAITING,
    Row,
    lines,
)
from napari_flim.errors import FileError
from napari_flim.io.atomic import make_folder, write_atomically
from napari_flim.io.images import stem

PACKAGES = ('numpy', 'scipy', 'torch', 'scikit-image', 'numba')
UNFINISHED = re.compile(r'\.[0-9a-f]{8}\.(.+)')
"""Names that files have until they are whole."""
PARTIAL = re.compile(r'\.(.+)\.partial')
"""Names of folders with the finished part of a large result."""


class RunFolder:
    """The folder of a run that has begun.

    The report comes first and says what is finished: it is written whole when a run begins or goes
    on, grows by one line with every file, and is sorted when the run ends.

    Parameters
    ----------
    plan : BatchPlan

    Raises
    ------
    FileError
        When the folder or a file in it cannot be written.
    """

    def __init__(self, plan: BatchPlan) -> None:
        self._plan = plan
        self._rows = {row.file: row for row in plan.kept}
        self._header: dict[str, Any] = {}
        make_folder(plan.out)
        self.remove_unfinished()
        if plan.resumed is None:
            self._remove(PARTIAL)
        self._remove_replaced()
        self._write_report(self._rows.values())
        write_atomically(plan.out / MODEL, lambda file: file.write_bytes(plan.model.content))
        resumed = None if plan.resumed is None else plan.resumed.header
        self._header = _header_of(plan, resumed)
        self._write_header()

    def record(self, event: Done | Failed | Skipped) -> None:
        """Say in the report what became of a file."""
        row = _row_of(event)
        self._rows[row.file] = row
        path = self._plan.out / REPORT
        try:
            with path.open('a', encoding='utf-8', errors=UNDECODED, newline='') as file:
                file.write(lines([row]))
        except OSError as error:
            raise FileError(
                f'{path} cannot be written: {error.strerror or error}. '
                'Close it in other programs, or make room.'
            ) from error

    def finish(self) -> None:
        """Sort the report, name the files that wait, and join the tables of objects."""
        rows = [self._rows.get(file, Row(file, WAITING)) for file in self._header['inputs']]
        self._write_report(rows)
        if self._plan.outputs.table:
            write_atomically(self._plan.out / TABLE, lambda file: self._join_tables(file, rows))
        self._header['ended'] = _now()
        self._header['files'] = {
            status: sum(row.status == status for row in rows)
            for status in (DONE, FAILED, SKIPPED, WAITING)
        }
        self._write_header()

    def remove_unfinished(self) -> None:
        """Remove what a killed process, or a lost worker, has begun to write."""
        self._remove(UNFINISHED)

    def _write_report(self, rows: Iterable[Row]) -> None:
        text = ','.join(COLUMNS) + '\n' + lines(rows)
        content = text.encode('utf-8', errors=UNDECODED)
        write_atomically(self._plan.out / REPORT, lambda file: file.write_bytes(content))

    def _write_header(self) -> None:
        text = json.dumps(self._header, indent=1) + '\n'
        write_atomically(self._plan.out / HEADER, lambda file: file.write_text(text, 'utf-8'))

    def _join_tables(self, target: Path, rows: list[Row]) -> None:
        """Rows of all tables, with the name of the image before and the columns of any of them."""
        tables = [(name, file) for row in rows for name, file in _tables(row, self._plan.out)]
        columns = dict.fromkeys(column for _, file in tables for column in _records(file)[0])
        with target.open('w', encoding='utf-8', errors=UNDECODED, newline='') as joined:
            writer = csv.DictWriter(joined, ['file', *columns], lineterminator='\n')
            writer.writeheader()
            for name, file in tables:
                _, records = _records(file)
                writer.writerows({'file': name, **record} for record in records)

    def _remove(self, names: re.Pattern[str]) -> None:
        """Remove hidden files and folders that belong to results of runs."""
        for path in list(self._plan.out.iterdir()):
            found = names.fullmatch(path.name)
            ours = (REPORT, HEADER, TABLE, MODEL)
            if found and (found[1] in ours or stem(found[1]).endswith(ENDINGS)):
                _remove(path)

    def _remove_replaced(self) -> None:
        """Remove the results of the run that this one overwrites."""
        if self._plan.replaced is not None:
            names = [name for row in self._plan.replaced.rows for name in row.results]
            for name in [*names, TABLE]:
                _remove(self._plan.out / name)


def _header_of(plan: BatchPlan, resumed: dict[str, Any] | None) -> dict[str, Any]:
    """The content of ``run.json`` when a run begins."""
    before = {} if resumed is None else resumed['inputs']
    read = {row.file: before.get(row.file) for row in plan.kept}
    read |= {str(task.source): [task.size, task.modified] for task in plan.tasks}
    return {
        'model': {'name': plan.model.name, 'sha256': plan.model.sha256},
        'settings': plan.settings,
        'versions': _versions(),
        'started': _now() if resumed is None else resumed['started'],
        'resumed': [] if resumed is None else [*resumed.get('resumed', []), _now()],
        'ended': None,
        # The order in which files were named, over all parts of a run.
        'inputs': {file: read[file] for file in [*before, *read] if file in read},
    }


def _versions() -> dict[str, str]:
    """Of what computes results."""
    found = {'napari_flim': napari_flim.__version__, 'python': platform.python_version()}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec='seconds')


def _row_of(event: Done | Failed | Skipped) -> Row:
    file = str(event.task.source)
    if isinstance(event, Done):
        return Row(file, DONE, event.seconds, event.objects, event.message, event.results)
    if isinstance(event, Failed):
        return Row(file, FAILED, event.seconds, message=event.reason)
    return Row(file, SKIPPED)


def _tables(row: Row, folder: Path) -> Iterator[tuple[str, Path]]:
    """Names of the images of a file with their tables of objects."""
    tables = [name for name in row.results if name.endswith('_objects.csv')]
    for number, name in enumerate(tables):
        image = Path(row.file).name + (f'[{number}]' if len(tables) > 1 else '')
        yield image, folder / name


def _records(file: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Columns and rows of a table."""
    with file.open(newline='', encoding='utf-8') as text:
        reader = csv.DictReader(text)
        return list(reader.fieldnames or []), list(reader)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
