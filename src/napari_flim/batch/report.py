"""``report.csv`` and ``run.json``: what became of every file, and with what settings."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_flim.batch.outputs import ENDINGS
from napari_flim.errors import BatchError
from napari_flim.io.images import stem

REPORT, HEADER, TABLE, MODEL = 'report.csv', 'run.json', 'objects.csv', 'model.flim'
COLUMNS = ('file', 'status', 'seconds', 'objects', 'message', 'results')
DONE, FAILED, SKIPPED, WAITING = 'done', 'failed', 'skipped', 'waiting'
UNDECODED = 'surrogateescape'
"""Names of files need not be text; such bytes are written as they are."""
BETWEEN = '|'
"""Between the names of results."""


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one file.

    Attributes
    ----------
    file : str
        Its path.
    status : str
        ``done``, ``failed``, ``skipped`` or ``waiting``.
    seconds : float, optional
    objects : int, optional
    message : str
        Why it failed, or warnings.
    results : tuple of str
        Names of files in the folder of the run.
    """

    file: str
    status: str
    seconds: float | None = None
    objects: int | None = None
    message: str = ''
    results: tuple[str, ...] = ()

    @property
    def stem(self) -> str:
        """What the names of its results begin with."""
        return stem(self.file)


@dataclass(frozen=True, eq=False)
class EarlierRun:
    """What an earlier run has left in its folder.

    Attributes
    ----------
    header : dict
        The content of ``run.json``.
    rows : tuple of Row
        The last one of every file.
    """

    header: dict[str, Any]
    rows: tuple[Row, ...]

    @property
    def done(self) -> tuple[Row, ...]:
        """Rows of the files that were finished."""
        return tuple(row for row in self.rows if row.status == DONE)


def read_earlier_run(folder: Path) -> EarlierRun | None:
    """What an earlier run has left; None where no file was finished, so that nothing is lost.

    Raises
    ------
    BatchError
        When there is a report that no run of napari-flim has left.
    """
    try:
        text = (folder / REPORT).read_bytes().decode('utf-8', errors=UNDECODED)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise BatchError(
            f'{folder / REPORT} cannot be read: {error}. Choose another folder.'
        ) from error
    rows = _rows(text, folder)
    if not any(row.status == DONE for row in rows):
        return None
    try:
        header = json.loads((folder / HEADER).read_text(encoding='utf-8'))
        known = {'model', 'settings', 'inputs', 'started'} <= header.keys()
    except (OSError, ValueError, AttributeError):
        known = False
    if not known:
        raise BatchError(
            f'{folder} holds a {REPORT}, but no {HEADER} that says how it was made; choose another '
            f'folder, or remove {REPORT}.'
        )
    return EarlierRun(header, rows)


def lines(rows: Iterable[Row]) -> str:
    """Rows as lines of a CSV file, without its header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    for row in rows:
        seconds = '' if row.seconds is None else f'{row.seconds:.3f}'
        objects = '' if row.objects is None else row.objects
        # A row is one line, so that one that was cut off can be told from a whole one; names of
        # files hold no line breaks.
        message = ' '.join(row.message.split())
        results = BETWEEN.join(row.results)
        writer.writerow([row.file, row.status, seconds, objects, message, results])
    return text.getvalue()


def _rows(text: str, folder: Path) -> tuple[Row, ...]:
    """Rows of a report; the last line does not count if it was cut off."""
    whole = text[: text.rfind('\n') + 1]
    parsed = list(csv.reader(whole.split('\n')[:-1]))
    if not parsed:
        return ()
    if tuple(parsed[0]) != COLUMNS:
        raise BatchError(
            f'{folder / REPORT} was not written by napari-flim: it has other columns than '
            f'{", ".join(COLUMNS)}. Choose another folder.'
        )
    found: dict[str, Row] = {}
    try:
        for file, status, seconds, objects, message, results in parsed[1:]:
            names = tuple(name for name in results.split(BETWEEN) if _is_result(name))
            found[file] = Row(
                file,
                status,
                float(seconds) if seconds else None,
                int(objects) if objects else None,
                message,
                names,
            )
    except ValueError as error:
        raise BatchError(
            f'{folder / REPORT} was changed: {error}. Choose another folder.'
        ) from error
    return tuple(found.values())


def _is_result(name: str) -> bool:
    """Whether a name can be that of a result in the folder; reports may be changed by hand."""
    return Path(name).name == name and stem(name).endswith(ENDINGS)
