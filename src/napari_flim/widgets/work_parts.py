"""What bars at the foot of a dock show of work: a thin line, patience before it, and words."""

from __future__ import annotations

from qtpy.QtCore import QObject, QTimer
from qtpy.QtWidgets import QProgressBar

from napari_flim.progress import Progress
from napari_flim.session.session import Message

PATIENCE_MS = 400
"""Work that ends sooner is not worth a progress bar that flashes."""

BAR_HEIGHT = 6
STEPS = 1000


class ThinProgress(QProgressBar):
    """A line that keeps its place while nothing is done, so that nothing jumps under the mouse.

    Parameters
    ----------
    name : str
        What screen readers call it.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setTextVisible(False)
        self.setFixedHeight(BAR_HEIGHT)
        self.setRange(0, STEPS)
        self.setAccessibleName(name)

    def show_share(self, share: float) -> None:
        """Show how much is done, from 0 to 1."""
        self.setValue(round(STEPS * share))


class Patience(QTimer):
    """Tells work that lasts from work that ends at once; times out when it has begun to last.

    Parameters
    ----------
    parent : QObject

    Attributes
    ----------
    over : bool
        Whether the work that goes on has lasted.
    """

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.over = False
        self.setSingleShot(True)
        self.setInterval(PATIENCE_MS)
        self.timeout.connect(self._on_timeout)

    def follow(self, working: bool) -> None:
        """Work begins, goes on, or has ended."""
        if not working:
            self.stop()
            self.over = False
        elif not self.over and not self.isActive():
            self.start()

    def _on_timeout(self) -> None:
        self.over = True


def stage_words(work: Progress) -> str:
    """What is being done, as a line.

    Examples
    --------
    >>> stage_words(Progress('growing trees', 1, 4))
    'Growing trees ...'
    """
    return f'{work.stage[:1].upper()}{work.stage[1:]} ...'


def message_words(message: Message) -> str:
    """What happened last, with a sign if it went wrong; empty if there is nothing to say."""
    return f'⚠ {message.text}' if message.error and message.text else message.text
