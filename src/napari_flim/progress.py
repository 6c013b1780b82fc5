"""Long work as a generator: it yields `Progress`, returns its result, and stops when closed."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import wraps
from typing import ParamSpec, TypeVar

Result = TypeVar('Result')
Step = TypeVar('Step')

STEPS = 1000
"""Steps of progress that each of several equal parts counts for."""
Given = ParamSpec('Given')


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
    return (
        yield from retold(
            job,
            lambda step: Progress(step.stage, before + step.done, total or before + step.total),
        )
    )


def share_of(job: Job[Result], number: int, count: int) -> Job[Result]:
    """The same job as one of several equal parts of a longer one.

    Parameters
    ----------
    job : generator of Progress
    number : int
        Parts that come first.
    count : int
        Parts of the longer job.

    Examples
    --------
    >>> def halfway():
    ...     yield Progress('counting', 1, 2)
    >>> next(share_of(halfway(), 1, 2))
    Progress(stage='counting', done=1500, total=2000)
    """

    def within(step: Progress) -> Progress:
        share = step.done / step.total if step.total else 1.0
        return Progress(step.stage, int(STEPS * (number + share)), STEPS * count)

    return retold(job, within)


def retold(job: Job[Result], change: Callable[[Progress], Step]) -> Generator[Step, None, Result]:
    """The same job, telling its progress in another way.

    Parameters
    ----------
    job : generator of Progress
    change : callable
        What to tell instead of a step.
    """
    outcome: list[Result] = []
    for step in _steps(job, outcome):
        yield change(step)
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


def finished(work: Callable[Given, Job[Result]]) -> Callable[Given, Result]:
    """A function that does the same as one that returns a job, without a report of progress.

    Parameters
    ----------
    work : callable
        Its parameters and its documentation are those of the new function.

    Examples
    --------
    >>> def count_job(number):
    ...     yield Progress('counting', number, number)
    ...     return number
    >>> count = finished(count_job)
    >>> count(7)
    7
    """

    @wraps(work)
    def to_the_end(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        return finish(work(*args, **kwargs))

    return to_the_end


def _steps(job: Job[Result], outcome: list[Result]) -> Generator[Progress, None, None]:
    """The steps of a job; its result is appended to ``outcome``, since a loop would drop it."""
    outcome.append((yield from job))
