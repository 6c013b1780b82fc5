"""The command line, ``napari-flim``; its commands: `napari_flim.cli.app`."""

from __future__ import annotations


def main() -> None:
    """Entry point; the program itself is imported when it is called."""
    from napari_flim.cli.app import run

    run()
