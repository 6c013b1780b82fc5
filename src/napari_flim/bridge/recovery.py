"""Copies of a session that outlive a crash: written while one works, offered afterwards."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import platformdirs
import psutil
from psygnal import Signal

from napari_flim.bridge.preferences import PLUGIN
from napari_flim.engine.markers import MarkerSet
from napari_flim.errors import FileError
from napari_flim.io.atomic import make_folder
from napari_flim.io.session_file import SESSION, SavedSession, read_session, write_session
from napari_flim.progress import Job, Progress
from napari_flim.session.recognising import Digests, recognised, with_digests
from napari_flim.session.saved_images import strokes_of
from napari_flim.session.saving import copy_of, is_worth_keeping
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


class CopyFile:
    """The file with the copy of one session, in which an older copy never replaces a newer one.

    A thread may still be about to write when the window closes, or when the session is saved.

    Parameters
    ----------
    path : pathlib.Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()
        self._numbered = 0
        self._written = 0

    def number(self) -> int:
        """A number for a copy that is made now; called in the window's thread."""
        self._numbered += 1
        return self._numbered

    def write(self, number: int, saved: SavedSession) -> None:
        """Write a copy, unless a newer one is written, or was removed.

        Raises
        ------
        FileError
            When it cannot be written.
        """
        with self._lock:
            if number > self._written:
                make_folder(self.path.parent)
                write_session(self.path, saved)
                self._written = number

    def remove(self) -> None:
        """Remove the copy, and let no copy that was made before be written.

        Raises
        ------
        OSError
            When it cannot be removed.
        """
        with self._lock:
            self._written = self._numbered
            self.path.unlink(missing_ok=True)


class Recovery:
    """Keeps a copy of the session of one viewer while there is something that is not saved.

    Parameters
    ----------
    controller : Controller
    folder : pathlib.Path
        Where copies are kept; made when the first one is written.
    make_runner : callable
        Makes a `Runner`; one writes copies, one looks for those of others.
    make_debouncer : callable
        See `napari_flim.bridge.controller.MakeDebouncer`.

    Attributes
    ----------
    found : tuple of Found
        What sessions of programs that no longer run have left, newest first, as far as `look` has
        found it.
    """

    looked = Signal()
    """`found` is known."""

    def __init__(
        self,
        controller: Controller,
        folder: Path,
        make_runner: Callable[[], Runner],
        make_debouncer: MakeDebouncer,
    ) -> None:
        self._controller = controller
        self._session = controller.session
        self._folder = folder
        self._runner = make_runner()
        self._looking = make_runner()
        self._failing = False
        self._replaced: list[Path] = []
        self._copy = CopyFile(_new_path(folder))
        self.found: tuple[Found, ...] = ()
        self.debouncer = make_debouncer(self._on_session_settled, _delay_ms)
        for name in ('items', 'state'):
            self._session.events[name].connect(self._on_session_changed, max_args=0)
        self._session.events['classes'].connect(self._on_classes_changed, max_args=0)
        self._session.events['unsaved'].connect(self._on_unsaved_changed, max_args=0)

    @property
    def path(self) -> Path:
        """Where the copy of this session is, if there is one."""
        return self._copy.path

    def look(self) -> None:
        """Look for what other sessions have left, in a worker."""
        self._looking.submit(
            _look(self._folder, self._own_files()),
            done=self._on_looked,
            failed=self._on_looking_failed,
        )

    def recover(self, found: Found) -> None:
        """Go on with a session that was found.

        Its file stays until the session is kept under another name, or saved.
        """
        if found.saved is None:
            self._session.message = Message(found.words, error=True)
            return
        then = partial(self._on_recovered, found)
        self._controller.files.recover(found.saved, found.words, then)

    def discard(self, found: Found) -> None:
        """Remove what was found for good."""
        self._remove(found.path)

    def keep_now(self) -> None:
        """Write what is not saved here and now, because the window is about to close.

        No image is read: by what is not known yet of its voxels it will not be recognised.
        """
        self.debouncer.cancel()
        if not self._session.unsaved or not is_worth_keeping(self._session):
            return
        self._runner.cancel()
        saved = with_digests(copy_of(self._session), self._controller.files.digests)
        try:
            self._copy.write(self._copy.number(), saved)
        except FileError as error:
            self._on_job_failed(error)
        else:
            self._on_copied(self._copy)

    def set_aside(self) -> None:
        """Keep what is not saved, and go on in another file: another session takes its place."""
        if self._session.unsaved:
            self.keep_now()
            self._copy = CopyFile(_new_path(self._folder))

    def _on_session_changed(self) -> None:
        self.debouncer.call()

    def _on_classes_changed(self) -> None:
        self._session.unsaved = True
        self.debouncer.call()

    def _on_session_settled(self) -> None:
        """Write a copy in a worker."""
        if self._session.unsaved and is_worth_keeping(self._session):
            known = self._controller.files.digests
            self._runner.submit(
                _keep(self._copy, self._copy.number(), copy_of(self._session), known),
                done=partial(self._on_job_done, self._copy),
                failed=self._on_job_failed,
            )

    def _on_unsaved_changed(self) -> None:
        if not self._session.unsaved:
            self.debouncer.cancel()
            self._runner.cancel()
            self._remove_copies()

    def _on_looked(self, found: tuple[Found, ...]) -> None:
        self.found = found
        self.looked.emit()

    def _on_looking_failed(self, error: Exception) -> None:
        text = f'It cannot be told whether an earlier session was not saved: {error}'
        self._session.message = Message(text, error=True)

    def _on_recovered(self, found: Found) -> None:
        self._replaced.append(found.path)
        self.debouncer.call()

    def _on_job_done(self, copied: CopyFile, digests: Digests) -> None:
        self._controller.files.digests = digests
        self._on_copied(copied)

    def _on_copied(self, copied: CopyFile) -> None:
        self._failing = False
        if copied is self._copy:
            self._remove_replaced()
        for path in _old_files(self._folder, self._own_files())[MOST_FILES:]:
            self._remove(path)

    def _on_job_failed(self, error: Exception) -> None:
        """Say once that copies cannot be kept, not after every stroke."""
        if not self._failing:
            self._failing = True
            text = f'No copy of your work can be kept in case of a crash: {error}'
            self._session.message = Message(text, error=True)

    def _remove_copies(self) -> None:
        """Remove the copies of a session that is saved."""
        try:
            self._copy.remove()
        except OSError as error:
            self._say_what_stays(self.path, error)
        self._remove_replaced()

    def _remove_replaced(self) -> None:
        while self._replaced:
            self._remove(self._replaced.pop())

    def _remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            self._say_what_stays(path, error)

    def _say_what_stays(self, path: Path, error: OSError) -> None:
        text = f'{path} cannot be removed: {error.strerror or error}. Remove it by hand.'
        self._session.message = Message(text, error=True)

    def _own_files(self) -> frozenset[Path]:
        return frozenset((self.path, *self._replaced))


def recovery_folder() -> Path:
    """Where this user's copies are kept."""
    return platformdirs.user_data_path(PLUGIN) / 'recovery'


def _delay_ms() -> int:
    return DELAY_MS


def _keep(copied: CopyFile, number: int, session: Session, known: Digests) -> Job[Digests]:
    """Write a session that nobody changes; what is known of its images then."""
    yield Progress('keeping a copy', 0, 1)
    saved, digests = yield from recognised(session, known)
    copied.write(number, saved)
    return digests


def _look(folder: Path, own: Collection[Path]) -> Job[tuple[Found, ...]]:
    """Read what sessions of programs that no longer run have left."""
    paths = _old_files(folder, own)
    found = []
    for number, path in enumerate(paths):
        yield Progress('looking for unsaved sessions', number, len(paths))
        found.append(_found(path))
    return tuple(found)


def _old_files(folder: Path, own: Collection[Path]) -> list[Path]:
    """Files of programs that no longer run, newest first."""
    paths = folder.glob(f'*{SESSION.ending}')
    old = [path for path in paths if path not in own and _is_left_behind(path)]
    return sorted(old, key=lambda path: path.name, reverse=True)


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
    parts = [count_words(len(saved.images), 'image'), count_words(markers, 'marker'), learned]
    corrections = [one for image in saved.images for one in image.corrections.values()]
    accepted = sum(len(one.accepted) for one in corrections)
    if accepted:
        parts.append(count_words(accepted, 'accepted object'))
    if any(len(one.stroke_voxels) or len(one.decided_voxels) for one in corrections):
        parts.append('corrected objects')
    return f'{names}: {", ".join(parts)}; {at}'
