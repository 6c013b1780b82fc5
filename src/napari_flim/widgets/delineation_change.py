"""Changes of how objects are found, as the session remembers them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from napari_flim.bridge.controller import Controller
from napari_flim.delineation.delineation_settings import DelineationSettings
from napari_flim.errors import FlimError

Change = Callable[[DelineationSettings], DelineationSettings]


def change_delineation(controller: Controller, words: str, change: Change) -> None:
    """Change how objects are found; one undo takes several changes of the same name back.

    Parameters
    ----------
    controller : Controller
    words : str
        What the change is called.
    change : callable
        Takes settings and gives other ones; what it may not do is said and not done.
    """
    session = controller.session
    before = session.settings.delineation
    try:
        after = change(before)
    except FlimError as error:
        controller.delineator.say(str(error))
        return
    if after != before:
        settings = replace(session.settings, delineation=after)
        session.change(words, replace(session.state, settings=settings), repeats=True)
