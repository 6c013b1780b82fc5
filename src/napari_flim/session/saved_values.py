"""Values of a saved session, checked before anything is made of them."""

from __future__ import annotations

from typing import Any

from napari_flim.errors import FileError, FlimError

IMPOSSIBLE = (
    FlimError,
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    IndexError,
    OverflowError,
    RecursionError,
)


def whole(what: str, value: Any, lowest: int, highest: int | None = None) -> int:
    """A whole number of a file.

    Raises
    ------
    ValueError
        When it is none, or out of range; both ends belong to the range.
    """
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value < lowest or (highest is not None and value > highest):
        raise ValueError(f'{what} is {value!r}')
    return int(value)


def damaged(what: str, reason: object) -> FileError:
    """What is wrong with a part of a session file, and what to do."""
    return FileError(
        f'The {what} in this session file cannot be used ({str(reason).rstrip(".")}). '
        'Use a file that napari-flim saved, or start a new session.'
    )
