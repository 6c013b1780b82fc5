"""What block 1 reads, shown as one layer over its image for as long as the user wants to see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_flim.bridge.layer_grids import Grid, at_frame, channel_grid, grid_of, move_to
from napari_flim.bridge.preferences import Preferences, memory_budget, on_device
from napari_flim.engine.preprocessing import InputTransform
from napari_flim.progress import Job, Progress
from napari_flim.session.items import TrainingImage
from napari_flim.session.jobs import Target
from napari_flim.session.problems import input_problem
from napari_flim.session.session import Message, Session

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer
    from napari.utils.events import Event

    from napari_flim.bridge.applier import Applier
    from napari_flim.bridge.layer_items import LayerItems
    from napari_flim.bridge.result_layers import ResultLayers
    from napari_flim.session.running import Runner

INPUT = 'input'
LEAST_CONTRAST = 1e-6
"""For an input that is the same everywhere."""


@dataclass(frozen=True, eq=False)
class InputRequest:
    """What to show the input of.

    Attributes
    ----------
    target : Target
        A whole image of the stack, never a plane.
    transform : InputTransform
        As chosen, or as the model has it where nothing changed since.
    fixed : bool
        Ranges are still to be taken from ``images``.
    images : tuple of TrainingImage
    """

    target: Target
    transform: InputTransform
    fixed: bool
    images: tuple[TrainingImage, ...]

    @property
    def content(self) -> tuple[object, ...]:
        """Equal for two requests that would show the same."""
        images = [(one.source.content, one.frame) for one in self.images if self.fixed]
        return (self.target.place, self.transform, self.fixed, images)


def read_input(request: InputRequest) -> Job[NDArray[np.float32]]:
    """Features of an image as block 1 reads them, (C, \\*S) float32.

    Yields
    ------
    Progress

    Raises
    ------
    ImageError
        When the image has not the channels that the transform needs.
    """
    target = request.target
    yield Progress(f'reading {target.source.name}', 0, 1)
    from napari_flim.engine.input_features import input_features

    image = target.source.frame(target.frame)
    images = [one.source.frame(one.frame) for one in request.images] if request.fixed else []
    transform = request.transform.resolved(images or [image], fixed=request.fixed)
    read = image.in_memory()
    features: NDArray[np.float32] = input_features(transform, read).numpy(force=True)
    return features


class InputPreview:
    """Shows what block 1 reads of the current item, and keeps it true while it is switched on.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
    session : Session
    items : LayerItems
    results : ResultLayers
    applier : Applier
    runner : Runner
        Its own, so that a preview never delays saliency.
    preferences : callable
        Gives the `Preferences` as they are now.
    """

    switched = Signal(bool)
    """The preview went on or off, also because the user deleted its layer."""

    def __init__(
        self,
        viewer: ViewerModel,
        session: Session,
        items: LayerItems,
        results: ResultLayers,
        applier: Applier,
        runner: Runner,
        preferences: Callable[[], Preferences],
    ) -> None:
        self._session = session
        self._items = items
        self._results = results
        self._applier = applier
        self._runner = runner
        self._preferences = preferences
        self._on = False
        self._layer: Layer | None = None
        self._target: Target | None = None
        self._content: tuple[object, ...] = ()
        viewer.dims.events.current_step.connect(self._on_dims_changed)
        viewer.layers.events.removed.connect(self._on_layers_removed)
        items.moved.connect(self._on_image_moved)
        items.closed.connect(self._on_image_closed)
        for name in ('state', 'current', 'items'):
            session.events[name].connect(self.refresh, max_args=0)

    def show(self, on: bool) -> None:
        """Switch the preview on or off; off takes its layer away."""
        if on == self._on:
            return
        self._on, self._content = on, ()
        if on:
            self.refresh()
        else:
            self.close()
        self.switched.emit(on)

    def close(self, _dock: object = None) -> None:
        """Take the layer away and tell nobody, for when the dock that switches it is gone."""
        self._on = False
        self._runner.cancel()
        self._take_away()

    def refresh(self) -> None:
        """Read the input anew if the preview is on and something changed."""
        request = self._request() if self._on else None
        if request is None or request.content == self._content:
            return
        self._content = request.content
        source, budget = request.target.source, memory_budget(self._preferences())
        problem = input_problem(request.transform, source, budget)
        if problem:
            self._take_away()
            self._session.message = Message(problem)
            return

        def job(_device: str) -> Job[NDArray[np.float32]]:
            return read_input(request)

        def show(features: NDArray[np.float32]) -> None:
            self._put(request, features)

        self._runner.submit(
            on_device(self._preferences(), job), done=show, failed=self._on_job_failed
        )

    def _request(self) -> InputRequest | None:
        view = self._applier.target_in_view()
        if view is None:
            return None
        settings, learned = self._session.settings, self._session.learned
        transform, fixed = settings.transform, settings.fixed_ranges
        if fixed and learned is not None:
            before = learned.settings
            if (before.transform, before.fixed_ranges) == (transform, fixed):
                transform, fixed = learned.model.transform, False
        images = self._session.training_images()
        return InputRequest(replace(view, plane=None), transform, fixed, images)

    def _put(self, request: InputRequest, features: NDArray[np.float32]) -> None:
        """Put features into the layer, with a contrast that fits when the input is another."""
        target = request.target
        layer = self._items.layer_of(target.source)
        if layer is None or not self._on:
            return
        data, grid = _placed(target, features), _grid(target, layer, several=len(features) > 1)
        shown = self._results.find(INPUT, target.source.key)
        if shown is not self._layer or (shown is not None and shown.ndim != data.ndim):
            self._take_away()
        darkest = float(data.min())
        limits = (darkest, max(float(data.max()), darkest + LEAST_CONTRAST))
        made = self._results.show_image(
            INPUT,
            target.source.key,
            f'{target.source.name} input',
            data,
            grid,
            contrast_limits=limits,
            blending='translucent',
            opacity=1.0,
        )
        updated = made is self._layer
        self._layer, self._target = made, target
        if updated:
            made.contrast_limits_range = limits
            made.contrast_limits = limits

    def _take_away(self) -> None:
        # Forgotten first, so that its removal is not taken for the user's.
        target, self._layer, self._target = self._target, None, None
        if target is not None:
            self._results.remove(INPUT, target.source.key)

    def _on_dims_changed(self, event: Event | None = None) -> None:
        self.refresh()

    def _on_image_moved(self, key: str) -> None:
        """The input lies over its image, wherever that goes; of other voxels it is read anew."""
        target, shown = self._target, self._layer
        if target is None or shown is None or target.source.key != key:
            return
        layer = self._items.layer_of(target.source)
        if layer is not None:
            move_to(shown, _grid(target, layer, several=_several(target, shown)))

    def _on_image_closed(self, key: str) -> None:
        if self._target is not None and self._target.source.key == key:
            self._content = ()
            self._take_away()
            self.refresh()

    def _on_layers_removed(self, event: Event) -> None:
        if self._layer is not None and event.value is self._layer:
            self.show(False)

    def _on_job_failed(self, error: Exception) -> None:
        self._session.message = Message(str(error), error=True)


def _placed(target: Target, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Features as the array of a layer; several have a leading axis."""
    data = features if len(features) > 1 else features[0]
    return np.expand_dims(data, data.ndim - target.source.ndim) if target.stacked else data


def _several(target: Target, shown: Layer) -> bool:
    return bool(shown.ndim > target.source.ndim + target.stacked)


def _grid(target: Target, layer: Image, *, several: bool) -> Grid:
    """Where features lie; several have a leading axis."""
    source = target.source
    grid = grid_of(layer, source.axes)
    if several:
        grid = channel_grid(layer, source.axes, (1,) * source.ndim)
        grid['axis_labels'] = ('feature', *grid['axis_labels'][1:])
    return at_frame(grid, int(several), target.frame) if target.stacked else grid
