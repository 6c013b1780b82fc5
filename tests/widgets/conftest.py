"""A viewer without a window, whose jobs run at once and whose pauses end when told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels

from napari_flim.bridge.controller import Controller
from napari_flim.bridge.preferences import Preferences
from napari_flim.session.running import InlineDebouncer, InlineRunner


class Desk:
    """A controller on a viewer model."""

    def __init__(self) -> None:
        self.viewer = ViewerModel()
        self._pauses: list[InlineDebouncer] = []
        self.controller = Controller(self.viewer, InlineRunner, self._debouncer, Preferences)
        self.session = self.controller.session

    def _debouncer(self, function: Callable[[], None], _delay: int) -> InlineDebouncer:
        self._pauses.append(InlineDebouncer(function))
        return self._pauses[-1]

    def rest(self) -> None:
        """Let the brush rest."""
        for pause in self._pauses:
            pause.flush()

    def open(self, scene: Any, name: str = 'cells', *, markers: bool = True) -> str:
        """Open a scene, with its markers or without; the key of its item."""
        image = self.viewer.add_image(scene.image, name=name)
        if markers:
            self.viewer.add_labels(scene.markers.copy(), name=f'{name} markers')
        self.rest()
        return str(image.unique_id)

    def markers(self, name: str = 'cells') -> Labels:
        layer = self.viewer.layers[f'{name} markers']
        assert isinstance(layer, Labels)
        return layer

    def saliency(self, name: str = 'cells') -> np.ndarray:
        return np.array(self.viewer.layers[f'{name} saliency'].data)


@pytest.fixture
def desk() -> Desk:
    return Desk()
