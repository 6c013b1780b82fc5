"""Long work as a generator: it yields `Progress`, returns its result, and stops when closed."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeVar

Result = TypeVar('Result')


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job has come.

    Attributes
    ----------
    stage : str
        What is being done, in words a user understands.
    done, total : int
        Finished and planned steps of the whole job.
    """

    stage: str
    done: int
    total: int


Job = Generator[Progress, None, Result]


def part_of(job: Job[Result], before: int, total: int | None = None) -> Job[Result]:
    """The same job, with its steps counted within a longer one.

    Parameters
    ----------
    job : generator of Progress
    before : int
        Steps of the longer job that come first.
    total : int, optional
        Steps of the longer job; by default those before and those of the job.
    """
    outcome: list[Result] = []
    for step in _steps(job, outcome):
        yield Progress(step.stage, before + step.done, total or before + step.total)
    return outcome[0]


def finish(job: Job[Result], report: Callable[[Progress], None] | None = None) -> Result:
    """Run a job to its end and return its result.

    Parameters
    ----------
    job : generator of Progress
        The work.
    report : callable, optional
        Called with every `Progress`.

    Examples
    --------
    >>> def count():
    ...     yield Progress('counting', 1, 2)
    ...     return 7
    >>> finish(count())
    7
    """
    outcome: list[Result] = []
    for step in _steps(job, outcome):
        if report is not None:
            report(step)
    return outcome[0]


def _steps(job: Job[Result], outcome: list[Result]) -> Generator[Progress, None, None]:
    """The steps of a job; its result is appended to ``outcome``, since a loop would drop it."""
    outcome.append((yield from job))
