"""``napari-flim segment``: a model applied to files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import typer
from rich.progress import Progress as Bars
from rich.progress import TaskID

from napari_flim.batch import (
    Advanced,
    BatchPlan,
    Done,
    Event,
    Failed,
    Outputs,
    Started,
    Summary,
    carried,
    plan,
)
from napari_flim.batch.plan import Earlier
from napari_flim.batch.run import run as run_plan
from napari_flim.cli.console import FAILED, bars, complain, say, usage
from napari_flim.cli.delineation_options import DelineationOptions
from napari_flim.errors import BatchError, FileError
from napari_flim.model import FlimModel
from napari_flim.model_loading import load_model

UNITS = {'': 1, 'k': 10**3, 'm': 10**6, 'g': 10**9, 't': 10**12}


@dataclass(frozen=True, slots=True)
class Crew:
    """Who does the work, and with how much memory.

    Attributes
    ----------
    workers : int
    scheduler : str, optional
        Address of a dask scheduler.
    memory : str, optional
        As typed, such as 2GB.
    """

    workers: int
    scheduler: str | None
    memory: str | None


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is taken from the inputs and how it is applied.

    Attributes
    ----------
    axes, pattern, decoder : str, optional
    block : int, optional
    delineation : DelineationOptions
    """

    axes: str | None
    pattern: str | None
    decoder: str | None
    block: int | None
    delineation: DelineationOptions


def run(
    model_file: Path,
    inputs: Sequence[Path],
    out: Path,
    outputs: Outputs,
    chosen: Chosen,
    crew: Crew,
    earlier: Earlier,
    debug: bool,
) -> None:
    """Write the results of every file; name the files that fail and go on."""
    with usage():
        if not model_file.exists():
            raise FileError(f'The model {model_file} does not exist; check the path.')
        memory = None if crew.memory is None else bytes_of(crew.memory)
    model = load_model(model_file)
    with usage():
        applied = _applied(model, chosen)
        planned = plan(
            carried(applied, model_file),
            inputs,
            out,
            outputs,
            axes=chosen.axes,
            pattern=chosen.pattern,
            memory=memory,
            earlier=earlier,
        )
    _say_plan(planned)
    summary = _told(planned, crew, debug)
    files = len(planned.tasks) + len(planned.kept)
    say(f'{summary.done + summary.earlier} of {files} files are segmented in {out}.')
    if summary.failed:
        say(f'{out / "report.csv"} says why files have failed; --resume tries them again.')
        raise typer.Exit(FAILED)


def outputs_of(saliency: bool, table: bool, outlines: bool, kind: str) -> Outputs:
    """What is to be written, as typed."""
    with usage():
        return Outputs(saliency=saliency, table=table, outlines=outlines, format=kind)


def bytes_of(text: str) -> int:
    """Bytes that a user means.

    Raises
    ------
    BatchError
        When it is no amount of memory.

    Examples
    --------
    >>> bytes_of('2GB'), bytes_of('500 MB'), bytes_of('1.5GiB')
    (2000000000, 500000000, 1610612736)
    """
    found = re.fullmatch(r'(\d+\.?\d*)\s*([kmgt]?)(i?)b?', text.strip().lower())
    if not found or not float(found[1]) or (found[3] and not found[2]):
        raise BatchError(f'{text!r} is no amount of memory; give one such as 2GB or 500MB.')
    unit = 1024 ** ' kmgt'.index(found[2]) if found[3] else UNITS[found[2]]
    return int(float(found[1]) * unit)


def _applied(model: FlimModel, chosen: Chosen) -> FlimModel:
    """The model with the decoder and delineation of this run."""
    block = {} if chosen.block is None else {'block': chosen.block}
    model = model.with_decoder(chosen.decoder, **block)
    return replace(model, delineation=chosen.delineation.applied_to(model.delineation))


def _say_plan(planned: BatchPlan) -> None:
    if planned.left_out:
        count = len(planned.left_out)
        say(f'{count} results of earlier runs in {planned.out} are not segmented.')
    if planned.replaced is not None:
        count = sum(len(row.results) for row in planned.replaced.rows)
        say(f'{count} results of the earlier run in {planned.out} are removed first.')
    if planned.kept:
        say(f'{len(planned.kept)} files were finished before; {len(planned.tasks)} are left.')
    for note in planned.notes:
        say(note)


def _told(planned: BatchPlan, crew: Crew, debug: bool) -> Summary:
    """Run a plan and tell what happens."""
    teller = _Teller()
    with bars() as shown:
        total = shown.add_task('segmenting', total=len(planned.tasks))
        events = run_plan(planned, workers=crew.workers, scheduler=crew.scheduler, debug=debug)
        with closing(events):
            for event in events:
                if isinstance(event, Summary):
                    return event
                teller.tell(event, shown, total)
    raise AssertionError('a run ends with its summary')


class _Teller:
    """Says what is new; what was said of another file already is not said again."""

    def __init__(self) -> None:
        self._understood = ''
        self._noted: set[str] = set()

    def tell(self, event: Event, shown: Bars, total: TaskID) -> None:
        """One event, as lines and as a bar."""
        match event:
            case Started(task):
                shown.update(total, description=task.source.name)
            case Advanced(task, progress):
                shown.update(total, description=f'{task.source.name}: {progress.stage}')
            case Failed(task, reason):
                complain(reason if task.source.name in reason else f'{task.source}: {reason}')
                shown.advance(total)
            case Done():
                self._tell_done(event)
                shown.advance(total)
            case _:
                shown.advance(total)

    def _tell_done(self, event: Done) -> None:
        name = event.task.source.name
        if event.read_as != self._understood:
            say(f'{name} is read as {event.read_as}')
            self._understood = event.read_as
        note = event.message.replace(name, '')
        if note and note not in self._noted:
            say(f'note: {event.message}')
            self._noted.add(note)
        say(f'{name}: {event.objects} object{"s" * (event.objects != 1)}')
