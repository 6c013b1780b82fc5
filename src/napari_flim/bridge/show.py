"""A napari window with our docks, as Plugins > FLIM opens them one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import napari

DOCKS = ('Kernels', 'Train')
"""In the order in which they are opened; the last one is in front."""

SMALLEST_DOCK = 340
"""Pixels of width in which nothing of a dock is cut off."""


def open_window(title: str) -> napari.Viewer:
    """Open a napari window with the docks as tabs."""
    import napari

    from napari_flim.bridge.commands import open_dock

    viewer = napari.Viewer(title=title)
    for name in DOCKS:
        open_dock(viewer, name).setMinimumWidth(SMALLEST_DOCK)
    return viewer


def show_window(title: str) -> None:
    """Open the window and wait until it is closed."""
    import napari

    open_window(title)
    napari.run()
