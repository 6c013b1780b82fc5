"""napari-flim: Feature Learning from Image Markers (not fluorescence lifetime).

Paint a few markers, learn a small CNN encoder from them without backpropagation, and segment.

>>> import napari_flim as flim
>>> model = flim.learn(images, markers)  # doctest: +SKIP
>>> labels = model.segment(image)  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_flim.api import learn, load
    from napari_flim.engine.architecture import Architecture, Block
    from napari_flim.engine.markers import MarkerSet
    from napari_flim.model import FlimModel

__version__ = '0.1.0'

__all__ = ['Architecture', 'Block', 'FlimModel', 'MarkerSet', '__version__', 'learn', 'load']

_HOMES = {
    'learn': 'napari_flim.api',
    'load': 'napari_flim.api',
    'Architecture': 'napari_flim.engine.architecture',
    'Block': 'napari_flim.engine.architecture',
    'MarkerSet': 'napari_flim.engine.markers',
    'FlimModel': 'napari_flim.model',
}


def __getattr__(name: str) -> Any:
    """Import the parts when they are first used: torch takes seconds, and few need all of it."""
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
