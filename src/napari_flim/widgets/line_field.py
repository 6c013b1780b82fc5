"""A line of text, such as a path, that never loses what is being typed."""

from __future__ import annotations

from pathlib import Path

from psygnal import Signal
from qtpy.QtCore import QUrl
from qtpy.QtWidgets import QLineEdit

from napari_flim.widgets.fields import NARROWEST

BETWEEN = '; '


class LineField(QLineEdit):
    """A line of text that says ``edited(text)`` when the user is done with it.

    Parameters
    ----------
    name, tip : str
        What screen readers call it, and what it is for.
    empty : str
        What is meant when nothing is written.
    """

    edited = Signal(str)

    def __init__(self, name: str, tip: str, empty: str = '') -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setToolTip(tip)
        self.setPlaceholderText(empty)
        self.setMinimumWidth(NARROWEST)
        self.editingFinished.connect(self._on_editing_finished)

    def show_value(self, text: str) -> None:
        """Show a text, unless another one is being typed."""
        if not self.isModified() and self.text() != text:
            self.setText(text)
            self.setCursorPosition(0)

    def _on_editing_finished(self) -> None:
        if self.isModified():
            self.setModified(False)
            self.edited.emit(self.text().strip())


def paths_in(text: str) -> tuple[Path, ...]:
    """Paths that were typed, or dropped as addresses of files.

    Examples
    --------
    >>> [path.as_posix() for path in paths_in('a.tif; file:///data/b.tif')]
    ['a.tif', '/data/b.tif']
    """
    parts = [part.strip() for part in text.split(BETWEEN.strip()) if part.strip()]
    local = [QUrl(part).toLocalFile() if part.startswith('file:') else part for part in parts]
    return tuple(Path(part).expanduser() for part in local)
