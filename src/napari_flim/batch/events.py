"""What a run tells while it goes on: one frozen event after the other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_flim.batch.tasks import FileTask
from napari_flim.progress import Progress


@dataclass(frozen=True, slots=True)
class Started:
    """A worker has begun with a file; with a second time if its worker was lost."""

    task: FileTask


@dataclass(frozen=True, slots=True)
class Advanced:
    """How far a worker has come with a file."""

    task: FileTask
    progress: Progress


@dataclass(frozen=True, slots=True)
class Done:
    """All results of a file are written.

    Attributes
    ----------
    task : FileTask
    objects : int
        Of all images of a stack.
    seconds : float
        From reading to writing.
    results : tuple of str
        Names of the files in the folder of the run.
    message : str
        What the user should know, such as warnings; empty if there is nothing.
    read_as : str
        What was understood of the file, in words.
    """

    task: FileTask
    objects: int
    seconds: float
    results: tuple[str, ...]
    message: str
    read_as: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A file could not be segmented.

    Attributes
    ----------
    task : FileTask
    reason : str
        One sentence, or two: what is wrong, and what to do about it.
    seconds : float
    """

    task: FileTask
    reason: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Skipped:
    """A waiting file was taken out of the run, as ordered."""

    task: FileTask


@dataclass(frozen=True, slots=True)
class Summary:
    """The last event of a run that was not stopped.

    Attributes
    ----------
    done, failed, skipped : int
        Files of this run.
    earlier : int
        Files that an earlier run has finished.
    objects : int
        In the files that are done now.
    seconds : float
        Of the whole run, pauses included.
    folder : Path
        Where ``report.csv`` and the results are.
    """

    done: int
    failed: int
    skipped: int
    earlier: int
    objects: int
    seconds: float
    folder: Path


Event = Started | Advanced | Done | Failed | Skipped | Summary
