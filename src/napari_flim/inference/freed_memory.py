"""Memory that was freed goes back to the system after every tile.

The allocator of Linux (glibc) keeps what it gets back for later. The arrays of a tile are of many
sizes and are freed in several threads, so what is kept grows from tile to tile, beyond what any
tile needs.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import TypeVar

from napari_flim.inference.tiles import Tile

Result = TypeVar('Result')


def tidily(function: Callable[[Tile], Result], tile: Tile) -> Result:
    """What a function makes of a tile; what it has freed is given back."""
    result = function(tile)
    trim = _trim()
    if trim is not None:
        trim(0)
    return result


@cache
def _trim() -> Callable[[int], int] | None:
    """``malloc_trim`` of glibc; None on systems that do without."""
    try:
        found: Callable[[int], int] | None = getattr(ctypes.CDLL(None), 'malloc_trim', None)
    except (OSError, TypeError):
        # Windows knows no handle of the program itself.
        return None
    return found
