"""Measures of the objects that are shown, brought up to date after every correction."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_flim.bridge.delineator import Delineator
from napari_flim.io.results import write_table
from napari_flim.progress import Job, Progress
from napari_flim.session.delineating import Draft
from napari_flim.session.object_measures import measured

if TYPE_CHECKING:
    import pandas

    from napari_flim.session.running import Runner


class ObjectTable:
    """The table of the objects in view.

    Parameters
    ----------
    delineator : Delineator
    make_runner : callable
        Makes a `Runner`.

    Attributes
    ----------
    frame : pandas.DataFrame, optional
        See `napari_flim.session.object_measures.measured`.
    draft : Draft, optional
        The objects that it measures.
    """

    changed = Signal()
    """`frame` is another one."""

    def __init__(self, delineator: Delineator, make_runner: Callable[[], Runner]) -> None:
        self._delineator = delineator
        self._runner = make_runner()
        self._saving = make_runner()
        self._wanted: Draft | None = None
        self.frame: pandas.DataFrame | None = None
        self.draft: Draft | None = None
        delineator.changed.connect(self.refresh)

    def refresh(self) -> None:
        """Measure the objects in view if they are other ones."""
        draft = self._delineator.draft
        if draft is self._wanted:
            return
        self._wanted = draft
        if draft is None:
            self._runner.cancel()
            self._show(None, None)
            return
        self._runner.submit(
            measured(draft), done=partial(self._show, draft), failed=self._on_measuring_failed
        )

    def save(self, path: Path) -> None:
        """Write the table as CSV."""
        if self.frame is not None:
            self._saving.submit(
                _save(path, self.frame),
                done=partial(self._on_saved, path),
                failed=self._on_saving_failed,
            )

    def _show(self, draft: Draft | None, frame: pandas.DataFrame | None) -> None:
        self.draft, self.frame = draft, frame
        self.changed.emit()

    def _on_saved(self, path: Path, rows: int) -> None:
        self._delineator.say(f'Saved {rows} rows to {path.name}.', error=False)

    def _on_measuring_failed(self, error: Exception) -> None:
        # Rows of other objects must not stay beside those in view.
        self._show(None, None)
        self._delineator.say(str(error))

    def _on_saving_failed(self, error: Exception) -> None:
        self._delineator.say(str(error))


def _save(path: Path, frame: pandas.DataFrame) -> Job[int]:
    yield Progress(f'saving {path.name}', 0, 1)
    write_table(path, frame)
    return len(frame)
