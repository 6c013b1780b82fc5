"""Changes of how objects are found, as the session remembers them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from napari_flim.bridge.controller import Controller
from napari_flim.delineation.delineation_settings import DelineationSettings
from napari_flim.errors import FlimError

Change = Callable[[DelineationSettings], DelineationSettings]


def change_delineation(controller: Controller, words: str, change: Change, **others: Any) -> None:
    """Change how objects are found; one undo takes several changes of the same name back.

    Parameters
    ----------
    controller : Controller
    words : str
        What the change is called.
    change : callable
        Takes settings and gives other ones; what it may not do is said and not done.
    **others
        Fields of `napari_flim.session.settings.Settings` that change with them.
    """
    session = controller.session
    before = session.settings
    try:
        settings = replace(before, delineation=change(before.delineation), **others)
    except FlimError as error:
        controller.delineator.say(str(error))
        return
    if settings != before:
        session.change(words, replace(session.state, settings=settings), repeats=True)
