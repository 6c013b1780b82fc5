"""What the commands share: messages, progress bars, and how errors end the program."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from napari_flim.errors import FlimError, FlimWarning
from napari_flim.progress import Job, Progress, finish

Result = TypeVar('Result')

FAILED, STOPPED = 1, 130

messages = Console(stderr=True, highlight=False, soft_wrap=True)
# A table that goes to a file must not be cut to the width of a terminal.
results = Console(highlight=False, width=None if sys.stdout.isatty() else 200)


def say(text: str) -> None:
    """One line for the user, beside the results."""
    messages.print(escape(text))


def complain(text: str) -> None:
    """One line about something that failed."""
    messages.print(f'[bold red]error:[/] {escape(text)}')


@contextmanager
def bars() -> Iterator[Bars]:
    """Progress bars that disappear when done."""
    columns = (
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    disabled = not messages.is_terminal
    with Bars(*columns, console=messages, transient=True, disable=disabled) as shown:
        yield shown


def run_job(job: Job[Result], title: str) -> Result:
    """Run a job to its end behind a progress bar."""
    with bars() as shown:
        task = shown.add_task(title, total=None)

        def report(step: Progress) -> None:
            shown.update(task, description=step.stage, completed=step.done, total=step.total)

        return finish(job, report)


@contextmanager
def usage() -> Iterator[None]:
    """Errors inside are about what was typed: they end the program with exit code 2."""
    try:
        yield
    except FlimError as error:
        raise typer.BadParameter(str(error)) from error


@contextmanager
def guarded(debug: bool) -> Iterator[None]:
    """Show warnings as notes and errors as one line, with a traceback only on request."""
    with warnings.catch_warnings():
        warnings.simplefilter('always', FlimWarning)
        warnings.showwarning = _note
        try:
            yield
        except KeyboardInterrupt:
            complain('stopped; the files written so far are complete.')
            sys.exit(STOPPED)
        except FlimError as error:
            if debug:
                raise
            complain(str(error))
            sys.exit(FAILED)
        except (RuntimeError, MemoryError) as error:
            if debug or isinstance(error, typer.Exit):
                raise
            complain(f'{type(error).__name__}: {error}. Run again with --debug to see where.')
            sys.exit(FAILED)


def _note(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    if issubclass(category, FlimWarning):
        messages.print(f'[yellow]note:[/] {escape(str(message))}')
