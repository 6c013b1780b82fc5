"""What tests of live layers share: a controller whose brush rests when it is told to."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_flim.bridge.controller import Controller
from napari_flim.bridge.marker_layers import link_of
from napari_flim.bridge.preferences import Preferences
from napari_flim.progress import Job, Progress
from napari_flim.session.running import InlineDebouncer, InlineRunner, Request

BACKGROUND = (slice(2, 5), slice(30, 36))
OBJECT = (slice(11, 15), slice(11, 15))


class HeldRunner:
    """A `Runner` that holds its job until it is told to go on."""

    def __init__(self) -> None:
        self._held: Request[Any] | None = None
        self.submitted = 0

    @property
    def busy(self) -> bool:
        return self._held is not None

    def submit(
        self,
        job: Job[Any],
        *,
        done: Callable[[Any], None],
        failed: Callable[[Exception], None],
        progressed: Callable[[Progress], None] | None = None,
        stopped: Callable[[], None] | None = None,
    ) -> None:
        self.submitted += 1
        self._hold(Request(job, done, failed, progressed, stopped))

    def cancel(self) -> None:
        self._hold(None)

    def go_on(self) -> None:
        """Run what is held, and what is submitted on the way."""
        while self._held is not None:
            self.step()

    def step(self) -> None:
        """Run what is held; what that submits is held."""
        request, self._held = self._held, None
        if request is not None:
            request.carry_out(Event(), request.report)()

    def _hold(self, request: Request[Any] | None) -> None:
        replaced, self._held = self._held, request
        if replaced is not None:
            replaced.drop()


class Desk:
    """A controller whose brush rests when told to, and which counts what it learned."""

    def __init__(self, make_runner: Callable[[], Any] = InlineRunner) -> None:
        self.viewer = ViewerModel()
        self.debouncers: list[InlineDebouncer] = []
        self.controller = Controller(
            self.viewer, make_runner, self._debouncer, lambda: Preferences(memory_gb=1)
        )
        self.session = self.controller.session
        self.learned: list[Any] = []
        self.session.events['state'].connect(self._on_state_changed, max_args=0)

    def _debouncer(self, function: Callable[[], None], _delay: int) -> InlineDebouncer:
        self.debouncers.append(InlineDebouncer(function))
        return self.debouncers[-1]

    def _on_state_changed(self) -> None:
        learned = self.session.learned
        if learned is not None and all(learned is not one for one in self.learned):
            self.learned.append(learned)

    def rest(self) -> None:
        for debouncer in self.debouncers:
            debouncer.flush()

    def open(self, image: np.ndarray, name: str = 'cells', **kwargs: Any) -> tuple[Image, Labels]:
        """An image, and markers that napari's own button would make."""
        layer = self.viewer.add_image(image, name=name, **kwargs)
        markers = self.controller.items.new_markers(str(layer.unique_id))
        self.rest()
        assert markers is not None
        return layer, markers

    @property
    def markers(self) -> Labels:
        """The marker layer of the current item."""
        layer = self.controller.items.marker_layer(self.session.current)
        assert layer is not None
        return layer

    def stroke(self, markers: Labels, place: tuple[Any, ...], label: int) -> None:
        """What the brush does: some voxels at once."""
        mask = np.zeros(markers.data.shape, dtype=bool)
        mask[place] = True
        markers.data_setitem(np.nonzero(mask), label)

    def paint_both(self, markers: Labels, *front: Any) -> None:
        """A spot of background and one of object, as in the scene, on one plane."""
        self.stroke(markers, (*front, *BACKGROUND), 1)
        self.stroke(markers, (*front, *OBJECT), 2)
        self.rest()

    def saliency(self) -> list[Image]:
        roles = [(layer, link_of(layer).get('role', '')) for layer in self.viewer.layers]
        return [layer for layer, role in roles if role.startswith('saliency ')]

    def layer(self, role: str) -> Labels:
        """The only layer of ours with a role."""
        (layer,) = [one for one in self.viewer.layers if link_of(one).get('role') == role]
        return layer

    def shown(self) -> np.ndarray:
        (layer,) = self.saliency()
        return np.asarray(layer.data)


@pytest.fixture
def desk(scene) -> Desk:
    """A small image with both classes painted and learned once."""
    desk = Desk()
    _, markers = desk.open(scene.image)
    desk.paint_both(markers)
    assert len(desk.learned) == 1
    return desk


@pytest.fixture
def drawn(desk) -> Desk:
    """Objects of the small image are found."""
    desk.controller.delineator.delineate()
    return desk


@pytest.fixture
def new_desk() -> type[Desk]:
    """Makes an empty one."""
    return Desk


@pytest.fixture
def held_desk() -> tuple[Desk, HeldRunner]:
    """An empty one whose learner is held."""
    runners: list[HeldRunner] = []

    def make() -> HeldRunner:
        runners.append(HeldRunner())
        return runners[-1]

    return Desk(make), runners[0]


@pytest.fixture
def held(held_desk, scene) -> tuple[Desk, HeldRunner]:
    """A small image learned once, with a runner that holds what comes next."""
    desk, runner = held_desk
    _, markers = desk.open(scene.image)
    desk.paint_both(markers)
    runner.go_on()
    desk.rest()
    runner.go_on()
    assert len(desk.learned) == 1
    assert not runner.busy
    return desk, runner
