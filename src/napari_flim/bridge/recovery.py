"""Copies of a session that outlive a crash: written while one works, offered afterwards."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
import psutil

from napari_flim.bridge.files import restore
from napari_flim.engine.markers import MarkerSet
from napari_flim.errors import FileError, FlimError
from napari_flim.io.atomic import make_folder
from napari_flim.io.session_file import SESSION, SavedSession, read_session, write_session
from napari_flim.progress import Job, Progress, finish
from napari_flim.session.saving import (
    Digests,
    copy_of,
    is_worth_keeping,
    recognised,
    saved_session,
    strokes_of,
)
from napari_flim.session.session import Message
from napari_flim.session.words import count_words

if TYPE_CHECKING:
    from napari_flim.bridge.controller import Controller, MakeDebouncer
    from napari_flim.session.running import Runner
    from napari_flim.session.session import Session

DELAY_MS = 3000
MOST_FILES = 10
STARTED = '%Y%m%dT%H%M%S%f'
"""How file names tell the time at which a session began, in UTC."""


@dataclass(frozen=True, eq=False)
class Found:
    """What is left of a session that did not end well.

    Attributes
    ----------
    path : pathlib.Path
    words : str
        What it holds, or why it cannot be read.
    saved : SavedSession, optional
        None if it cannot be read.
    """

    path: Path
    words: str
    saved: SavedSession | None


class Recovery:
    """Keeps a copy of the session of one viewer while there is something that is not saved.

    Parameters
    ----------
    controller : Controller
    folder : pathlib.Path
        Where copies are kept; made when the first one is written.
    runner : Runner
        Writes them.
    make_debouncer : callable
        Makes a `Debouncer` from a function and milliseconds.
    """

    def __init__(
        self, controller: Controller, folder: Path, runner: Runner, make_debouncer: MakeDebouncer
    ) -> None:
        self._controller = controller
        self._session = controller.session
        self._folder = folder
        self._runner = runner
        self._digests: Digests = {}
        self._replaced: list[Path] = []
        self._failing = False
        self.path = _new_path(folder)
        self.debouncer = make_debouncer(self._on_session_settled, DELAY_MS)
        for name in ('items', 'state'):
            self._session.events[name].connect(self._on_session_changed, max_args=0)
        self._session.events['classes'].connect(self._on_classes_changed, max_args=0)
        self._session.events['unsaved'].connect(self._on_unsaved_changed, max_args=0)

    def found(self) -> list[Found]:
        """What sessions of programs that no longer run have left, newest first."""
        return [_found(path) for path in self._old_files()]

    def recover(self, found: Found) -> bool:
        """Go on with a session that was found; whether that worked.

        Its file stays until the session is kept under another name, or saved.
        """
        try:
            if found.saved is None:
                raise FileError(found.words)
            warnings = restore(self._controller, found.saved)
        except FlimError as error:
            self._session.message = Message(str(error), error=True)
            return False
        self._replaced.append(found.path)
        self._session.unsaved = True
        self.debouncer.call()
        self._session.message = Message(' '.join([f'Recovered {found.words}.', *warnings]))
        return True

    def discard(self, found: Found) -> None:
        """Remove what was found for good."""
        self._remove(found.path)

    def keep_now(self) -> None:
        """Write what is not saved here and now, because the window is about to close."""
        self.debouncer.cancel()
        if not self._session.unsaved or not is_worth_keeping(self._session):
            return
        if self._runner.busy:
            # A worker may be about to write an older copy, which must not replace this one.
            self._runner.cancel()
            self._replaced.append(self.path)
            self.path = _new_path(self._folder)
        try:
            self._on_job_done(finish(_keep(self.path, copy_of(self._session), self._digests)))
        except FlimError as error:
            self._on_job_failed(error)

    def set_aside(self) -> None:
        """Keep what is not saved, and go on in another file: another session takes its place."""
        if self._session.unsaved:
            self.keep_now()
            self.path = _new_path(self._folder)

    def _on_session_changed(self) -> None:
        self.debouncer.call()

    def _on_classes_changed(self) -> None:
        self._session.unsaved = True
        self.debouncer.call()

    def _on_session_settled(self) -> None:
        """Write a copy in a worker."""
        if self._session.unsaved and is_worth_keeping(self._session):
            self._runner.submit(
                _keep(self.path, copy_of(self._session), self._digests),
                done=self._on_job_done,
                failed=self._on_job_failed,
                stopped=self._remove_if_saved,
            )

    def _on_unsaved_changed(self) -> None:
        if not self._session.unsaved:
            self.debouncer.cancel()
            self._runner.cancel()
            self._remove_if_saved()

    def _on_job_done(self, digests: Digests) -> None:
        self._digests = digests
        self._failing = False
        self._remove_replaced()
        for path in self._old_files()[MOST_FILES:]:
            self._remove(path)
        self._remove_if_saved()

    def _on_job_failed(self, error: Exception) -> None:
        """Say once that copies cannot be kept, not after every stroke."""
        if not self._failing:
            self._failing = True
            text = f'No copy of your work can be kept in case of a crash: {error}'
            self._session.message = Message(text, error=True)

    def _remove_if_saved(self) -> None:
        """Remove the copy of a saved session; a worker may have written one meanwhile."""
        if not self._session.unsaved:
            self._remove(self.path)
            self._remove_replaced()

    def _remove_replaced(self) -> None:
        while self._replaced:
            self._remove(self._replaced.pop())

    def _remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            text = f'{path} cannot be removed: {error.strerror or error}. Remove it by hand.'
            self._session.message = Message(text, error=True)

    def _old_files(self) -> list[Path]:
        """Files of programs that no longer run, newest first."""
        paths = self._folder.glob(f'*{SESSION.ending}')
        taken = (self.path, *self._replaced)
        old = [path for path in paths if path not in taken and _is_left_behind(path)]
        return sorted(old, key=lambda path: path.name, reverse=True)


def recovery_folder() -> Path:
    """Where this user's copies are kept."""
    return platformdirs.user_data_path('napari-flim') / 'recovery'


def _keep(path: Path, session: Session, known: Digests) -> Job[Digests]:
    """Write a session that nobody changes."""
    yield Progress('keeping a copy', 0, 1)
    sources = [item.source for item in session.items]
    saved, digests = yield from recognised(saved_session(session), sources, known)
    make_folder(path.parent)
    write_session(path, saved)
    return digests


def _new_path(folder: Path) -> Path:
    return folder / f'{datetime.now(UTC).strftime(STARTED)}-{os.getpid()}{SESSION.ending}'


def _is_left_behind(path: Path) -> bool:
    """Whether the program that wrote a copy has ended; its number may be in use again."""
    started, _, number = path.name.removesuffix(SESSION.ending).rpartition('-')
    try:
        began = datetime.strptime(started, STARTED).replace(tzinfo=UTC).timestamp()
        return bool(psutil.Process(int(number)).create_time() > began)
    except psutil.NoSuchProcess:
        return True
    except (ValueError, OverflowError, psutil.AccessDenied):
        return False


def _found(path: Path) -> Found:
    try:
        saved = read_session(path)
    except FileError as error:
        return Found(path, str(error), None)
    return Found(path, _words(saved), saved)


def _words(saved: SavedSession) -> str:
    """What a session holds: ``coins, nuclei: 2 images, 5 markers, learned; 22 Nov 14:02``."""
    names = ', '.join(image.name for image in saved.images)
    markers = sum(
        MarkerSet.from_points(one.coordinates, one.labels, one.shape).count
        for image in saved.images
        for one in strokes_of(image).values()
    )
    learned = 'learned' if saved.learned is not None else 'not learned'
    at = datetime.fromisoformat(saved.saved_at).strftime('%d %b %H:%M').lstrip('0')
    images = count_words(len(saved.images), 'image')
    return f'{names}: {images}, {count_words(markers, "marker")}, {learned}; {at}'
