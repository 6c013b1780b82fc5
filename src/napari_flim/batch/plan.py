"""BatchPlan: everything a run does, decided before anything is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import napari_flim
from napari_flim.batch.carried_model import CarriedModel
from napari_flim.batch.outputs import LABELS, Outputs
from napari_flim.batch.report import EarlierRun, Row, read_earlier_run
from napari_flim.batch.tasks import FileTask, find_tasks
from napari_flim.engine.image import check_axes
from napari_flim.errors import BatchError

Earlier = Literal['refuse', 'resume', 'overwrite']
"""What to do where an earlier run has left its report."""


@dataclass(frozen=True, eq=False)
class BatchPlan:
    """A run over files.

    Attributes
    ----------
    model : CarriedModel
    tasks : tuple of FileTask
        What is to be done, in this order.
    out : Path
        The folder of the run: results, ``report.csv``, ``objects.csv``, ``run.json`` and
        ``model.flim``.
    outputs : Outputs
    axes : str, optional
        One letter for each axis of the files; by default what the files say.
    memory : int, optional
        Bytes that the run may take; a quarter of the free memory by default.
    left_out : tuple of Path
        Results of earlier runs that lie among the inputs.
    kept : tuple of Row
        Files that the run which is resumed has finished.
    resumed : EarlierRun, optional
        The run that goes on.
    replaced : EarlierRun, optional
        The run whose results are removed first.
    notes : tuple of str
        What the user should know before the start.
    """

    model: CarriedModel
    tasks: tuple[FileTask, ...]
    out: Path
    outputs: Outputs = LABELS
    axes: str | None = None
    memory: int | None = None
    left_out: tuple[Path, ...] = ()
    kept: tuple[Row, ...] = ()
    resumed: EarlierRun | None = None
    replaced: EarlierRun | None = None
    notes: tuple[str, ...] = ()

    @property
    def settings(self) -> dict[str, Any]:
        """What results depend on beside model and images, ready for JSON."""
        return {**self.model.settings, 'axes': self.axes, 'outputs': asdict(self.outputs)}


def plan(
    model: CarriedModel,
    inputs: Sequence[Path | str],
    out: Path | str,
    outputs: Outputs = LABELS,
    *,
    axes: str | None = None,
    pattern: str | None = None,
    memory: int | None = None,
    earlier: Earlier = 'refuse',
) -> BatchPlan:
    """Decide what a run does; looks at files, but writes nothing.

    Parameters
    ----------
    model : CarriedModel
    inputs : sequence of path
        Files and folders, see `napari_flim.batch.tasks.find_tasks`.
    out : path
        The folder of the run; made when it starts.
    outputs : Outputs
    axes : str, optional
        One letter for each axis of the files.
    pattern : str, optional
        Which images of the folders are meant, such as ``'*.tif'``.
    memory : int, optional
        Bytes.
    earlier : {'refuse', 'resume', 'overwrite'}
        Where an earlier run has left its report: refuse to start, do what it has not done, or
        remove its results and start anew.

    Raises
    ------
    FileError
        When an input is missing or not supported.
    ImageError
        When ``axes`` describe no image.
    BatchError
        When two files would write the same results; when there is an earlier run that is not to
        be resumed or overwritten, or that was made with another model or other settings.
    """
    check_axes(axes)
    folder = Path(out)
    tasks, left_out = find_tasks(inputs, folder, pattern)
    whole = BatchPlan(
        model, tuple(tasks), folder, outputs, axes and axes.upper(), memory, tuple(left_out)
    )
    before = read_earlier_run(folder)
    if before is None:
        return whole
    if earlier == 'overwrite':
        return replace(whole, replaced=before)
    if earlier == 'resume':
        return _resumed(whole, before)
    total = max(len(before.header['inputs']), len(before.rows))
    raise BatchError(
        f'{folder} holds a run of {before.header["started"]} that has finished {len(before.done)} '
        f'of {total} files. Resume it, overwrite it, or choose another folder.'
    )


def _resumed(whole: BatchPlan, before: EarlierRun) -> BatchPlan:
    """What an earlier run has not finished."""
    _check_same(whole, before)
    finished = {row.stem.lower(): row for row in before.done}
    tasks, kept = [], dict(finished)
    for task in whole.tasks:
        row = finished.get(task.stem.lower())
        if row is None:
            tasks.append(task)
        elif not _is_current(task, row, before, whole.out):
            tasks.append(task)
            del kept[task.stem.lower()]
    notes = []
    version = before.header.get('versions', {}).get('napari_flim')
    if version != napari_flim.__version__:
        notes.append(
            f'The run was started with napari-flim {version}; this is {napari_flim.__version__}.'
        )
    return replace(
        whole, tasks=tuple(tasks), kept=tuple(kept.values()), resumed=before, notes=tuple(notes)
    )


def _check_same(whole: BatchPlan, before: EarlierRun) -> None:
    """Raise `BatchError` unless model and settings are those of the earlier run."""
    advice = 'Resume with those, overwrite that run, or choose another folder.'
    known = before.header['model']
    if known.get('sha256') != whole.model.sha256:
        raise BatchError(
            f'The run in {whole.out} was made with another model, {known.get("name")} (sha256 '
            f'{str(known.get("sha256"))[:8]}), not {whole.model.name} (sha256 '
            f'{whole.model.sha256[:8]}). {advice}'
        )
    changed = [*_differences(before.header['settings'], whole.settings)]
    if changed:
        raise BatchError(
            f'The run in {whole.out} was made with other settings: {"; ".join(changed)}. {advice}'
        )


def _differences(old: Any, new: Any, name: str = '') -> Iterator[str]:
    """In words, where two settings differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*new, *(key for key in old if key not in new)]:
            yield from _differences(old.get(key), new.get(key), f'{name} {key}'.strip())
    elif old != new:
        yield f'{name} was {_value(old)}, now {_value(new)}'


def _value(value: Any) -> str:
    return 'not set' if value is None else str(value)


def _is_current(task: FileTask, row: Row, before: EarlierRun, out: Path) -> bool:
    """Whether a finished file is still what was read, and its results are there.

    Raises
    ------
    BatchError
        When it is another file of the same name.
    """
    read = before.header['inputs'].get(row.file)
    same = read == [task.size, task.modified]
    if not same and row.file != str(task.source):
        raise BatchError(
            f'The run in {out} has finished {row.file}; {task.source} would have results of the '
            'same names. Choose another folder.'
        )
    return same and all((out / name).exists() for name in row.results)
