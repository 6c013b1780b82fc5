"""Asking where to save, so that no file is overwritten without a question."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QMessageBox, QWidget


def ask_where_to_save(
    parent: QWidget, title: str, name: str, kinds: str, ending: str
) -> Path | None:
    """The file that the user chose, with its ending; None if there is none.

    The dialog asks before it takes a file that exists, but it does not know of an ending that is
    added afterwards.

    Parameters
    ----------
    parent : QWidget
    title : str
    name : str
        Proposed.
    kinds : str
        Filter of the dialog.
    ending : str
        With its dot.
    """
    while True:
        chosen, _ = QFileDialog.getSaveFileName(parent, title, name, kinds)
        if not chosen:
            return None
        if chosen.lower().endswith(ending):
            return Path(chosen)
        path = Path(chosen + ending)
        if not path.exists() or _agrees(parent, title, path.name):
            return path
        name = str(path)


def _agrees(parent: QWidget, title: str, name: str) -> bool:
    question = f'{name} already exists. Replace it?'
    return QMessageBox.question(parent, title, question) == QMessageBox.StandardButton.Yes
