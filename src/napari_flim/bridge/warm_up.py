"""The engine, imported before it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_flim.progress import Job, Progress
from napari_flim.session.session import Message

if TYPE_CHECKING:
    from napari_flim.bridge.controller import MakeDebouncer
    from napari_flim.session.running import Runner
    from napari_flim.session.session import Session

IDLE_MS = 1000
"""Milliseconds in which no image was added and nothing painted."""


class WarmUp:
    """Imports torch in a thread once there is a dock and an image, in the first pause after that.

    The first stroke that is learned from would otherwise wait for it, a second or two. Parts of the
    import hold up the window too, so it begins neither with the program nor in the midst of work;
    who opens no image never pays for it.

    Parameters
    ----------
    session : Session
    runner : Runner
    make_debouncer : callable
        See `napari_flim.bridge.controller.MakeDebouncer`.
    """

    def __init__(self, session: Session, runner: Runner, make_debouncer: MakeDebouncer) -> None:
        self._session = session
        self._runner = runner
        self._expected = self._started = False
        self.debouncer = make_debouncer(self._on_pause, _idle_ms)
        session.events['items'].connect(self._on_items_changed, max_args=0)

    def expect(self) -> None:
        """From now on learning is likely."""
        self._expected = True
        self._on_items_changed()

    def _on_items_changed(self) -> None:
        if self._expected and not self._started and self._session.items:
            self.debouncer.call()

    def _on_pause(self) -> None:
        self._started = True
        self._runner.submit(_import_engine(), done=_on_imported, failed=self._on_import_failed)

    def _on_import_failed(self, error: Exception) -> None:
        self._session.message = Message(str(error), error=True)


def _import_engine() -> Job[None]:
    yield Progress('starting the engine', 0, 1)
    import napari_flim.training  # noqa: F401


def _on_imported(_nothing: None) -> None:
    """The next job finds it."""


def _idle_ms() -> int:
    return IDLE_MS
