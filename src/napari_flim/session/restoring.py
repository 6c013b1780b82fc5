"""A saved session, checked before it takes the place of another one."""

from __future__ import annotations

from dataclasses import dataclass

from napari_flim.errors import FlimError
from napari_flim.io.session_file import SavedSession
from napari_flim.session.classes import Classes, MarkedClass, with_change
from napari_flim.session.kernel_edits import KernelEdits
from napari_flim.session.learned import Learned
from napari_flim.session.saved_model import learned_of
from napari_flim.session.saved_values import IMPOSSIBLE, damaged, whole
from napari_flim.session.settings import Settings, settings_from_dict


@dataclass(frozen=True)
class View:
    """What the docks of a session show.

    Attributes
    ----------
    current : int, optional
        Which image the docks show results of.
    live : bool
        Learn again whenever the brush rests.
    opened : tuple of int
        Images whose layers are to be open.
    """

    current: int | None
    live: bool
    opened: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class CheckedSession:
    """A saved session in which nothing is missing or impossible; see `checked`.

    Attributes
    ----------
    saved : SavedSession
    classes : tuple of MarkedClass
    settings : Settings
    view : View
    learned : Learned, optional
        As an opened model; see `with_origins` and `strokes_digest`.
    edits : KernelEdits
    """

    saved: SavedSession
    classes: Classes
    settings: Settings
    view: View
    learned: Learned | None
    edits: KernelEdits


def checked(saved: SavedSession) -> CheckedSession:
    """Everything of a saved session, ready to be put in the place of another one.

    Imports torch if there is a model, so it is for workers.

    Raises
    ------
    FileError
        When something is missing, impossible, or does not fit together.
    """
    learned, edits = learned_of(saved)
    return CheckedSession(
        saved, classes_of(saved), settings_of_saved(saved), view_of(saved), learned, edits
    )


def classes_of(saved: SavedSession) -> Classes:
    """The classes of a saved session.

    Raises
    ------
    FileError
        When they are no classes that can be painted with.
    """
    classes = tuple(sorted((MarkedClass(**one) for one in saved.classes), key=_label))
    try:
        for one in classes:
            with_change(classes, one)
    except FlimError as error:
        raise damaged('classes', error) from error
    if [one.role for one in classes[:1]] != ['background'] or classes[0].label != 1:
        raise damaged('classes', 'there is no background with label 1')
    if all(one.role == 'background' for one in classes):
        raise damaged('classes', 'there is no object')
    return classes


def settings_of_saved(saved: SavedSession) -> Settings:
    """The settings of a saved session.

    Raises
    ------
    FileError
        When something is missing or impossible.
    """
    try:
        return settings_from_dict(saved.settings)
    except IMPOSSIBLE as error:
        raise damaged('settings', error) from error


def view_of(saved: SavedSession) -> View:
    """What the docks showed when the session was saved.

    Raises
    ------
    FileError
        When something is missing or impossible.
    """
    try:
        current, opened = saved.settings['current'], tuple(saved.settings['opened'])
        for number in (*opened, *(() if current is None else (current,))):
            whole('image', number, 0, len(saved.images) - 1)
        return View(current, bool(saved.settings['live']), opened)
    except IMPOSSIBLE as error:
        raise damaged('settings', error) from error


def _label(one: MarkedClass) -> int:
    return one.label
