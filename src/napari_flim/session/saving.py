"""A session as plain data that a file can hold.

All but undo is kept. Reading voxels may be slow, so `saved_session` reads none; see `recognising`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from napari_flim.io.session_file import SavedSession
from napari_flim.session.items import Item
from napari_flim.session.saved_images import saved_image
from napari_flim.session.saved_model import saved_model
from napari_flim.session.session import Session
from napari_flim.session.settings import settings_to_dict


def copy_of(session: Session) -> Session:
    """A session of the same values that nobody changes, to be read in a worker."""
    return Session(
        items=session.items,
        classes=session.classes,
        state=session.state,
        live=session.live,
        current=session.current,
    )


def is_unchanged(session: Session, copied: Session) -> bool:
    """Whether what is kept of a session is as it was when it was copied."""
    now = (session.items, session.classes, session.state)
    return now == (copied.items, copied.classes, copied.state)


def is_worth_keeping(session: Session) -> bool:
    """Whether anything is painted, corrected or learned."""
    worked_on = any(item.strokes or any(item.corrections.values()) for item in session.items)
    return session.learned is not None or worked_on


def saved_session(session: Session) -> SavedSession:
    """Everything of a session but its history, without reading any image."""
    # napari closes every layer before a window; that must not close the images of the session.
    opened = [item.opened for item in session.items]
    items = session.items if any(opened) else tuple(_reopened(item) for item in session.items)
    keys = [item.source.key for item in items]
    settings = {
        **settings_to_dict(session.settings),
        'current': keys.index(session.current) if session.current in keys else None,
        'live': session.live,
        'opened': [number for number, item in enumerate(items) if item.opened],
    }
    learned = session.learned
    return SavedSession(
        images=tuple(saved_image(item) for item in items),
        classes=tuple(
            {
                'label': one.label,
                'name': one.name,
                'colour': tuple(float(part) for part in one.colour),
                'role': one.role,
            }
            for one in session.classes
        ),
        settings=settings,
        learned=None if learned is None else saved_model(learned, session, items),
        blocks=() if learned is None else learned.model.blocks,
        saved_at=datetime.now().astimezone().isoformat(timespec='seconds'),
    )


def _reopened(item: Item) -> Item:
    return replace(item, opened=True, markers=item.markers or f'{item.source.name} markers')
