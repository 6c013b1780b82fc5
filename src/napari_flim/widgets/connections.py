"""Signals of the session heard by a widget, for as long as the widget exists."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from psygnal import SignalInstance
from qtpy.QtCore import QObject


class Connections:
    """Connections that are cut when their widget is destroyed.

    napari takes a dock apart without telling it, and a signal that still reached the remains of
    its widgets would raise.

    Parameters
    ----------
    widget : QObject
    """

    def __init__(self, widget: QObject) -> None:
        self._pairs: list[tuple[SignalInstance, Callable[..., object]]] = []
        # A partial is kept by Qt; a bound method of an object that is no QObject may not be.
        widget.destroyed.connect(partial(_cut, self._pairs))

    def hear(self, signal: SignalInstance, slot: Callable[[], object]) -> None:
        """Call a bound method without arguments whenever the signal is emitted."""
        signal.connect(slot, max_args=0)
        self._pairs.append((signal, slot))


def _cut(
    pairs: list[tuple[SignalInstance, Callable[..., object]]], _widget: QObject | None = None
) -> None:
    while pairs:
        signal, slot = pairs.pop()
        signal.disconnect(slot, missing_ok=True)
