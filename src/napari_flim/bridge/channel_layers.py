"""Activation channels as layers, kept true when the model is learned again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from napari_flim.bridge.applier import Applier
from napari_flim.bridge.layer_axes import finest
from napari_flim.bridge.layer_grids import Grid, at_frame, channel_grid, grid_of, move_to
from napari_flim.bridge.layer_items import LayerItems
from napari_flim.bridge.marker_layers import LINK
from napari_flim.bridge.preferences import Preferences, on_device
from napari_flim.bridge.result_layers import ResultLayers
from napari_flim.progress import Job
from napari_flim.session.jobs import Applied, Target, apply
from napari_flim.session.learned import Learned
from napari_flim.session.session import Message, Session

if TYPE_CHECKING:
    from napari.layers import Image, Layer

    from napari_flim.session.running import Runner

Role = Literal['channel', 'channels']
STRONGEST = 8
DARKEST = 1e-6
"""Least top of the contrast, for channels of zeros."""
Found = tuple[Applied, list[int], NDArray[np.float32]]


class ChannelLayers:
    """Shows one channel, or many channels of a block, as a layer of the current item.

    Parameters
    ----------
    session : Session
    items : LayerItems
    results : ResultLayers
    applier : Applier
    make_runner : callable
        Makes a `Runner` for each of the two layers.
    preferences : callable
        Gives the `Preferences` as they are now.
    """

    def __init__(
        self,
        session: Session,
        items: LayerItems,
        results: ResultLayers,
        applier: Applier,
        make_runner: Callable[[], Runner],
        preferences: Callable[[], Preferences],
    ) -> None:
        self._session = session
        self._items = items
        self._results = results
        self._applier = applier
        self._runners: dict[Role, Runner] = {'channel': make_runner(), 'channels': make_runner()}
        self._preferences = preferences
        self._drawn: dict[tuple[Role, str], tuple[Learned, Target]] = {}
        applier.applied.connect(self._on_model_applied)
        items.moved.connect(self._on_image_moved)
        items.closed.connect(self._on_image_closed)
        session.events['state'].connect(self._remove_gone, max_args=0)
        session.events['current'].connect(self.refresh, max_args=0)

    def show_one(self, block: int, kernel: int) -> None:
        """Show the channel of one kernel, in the layer of the channel shown before."""
        layer = self._layer_of_one(block, kernel)
        if layer is not None:
            layer.visible = True
        self._show('channel', block, [kernel])

    def shows_one(self, block: int, kernel: int) -> bool:
        """Whether the channel of this kernel lies over the current item."""
        layer = self._layer_of_one(block, kernel)
        return layer is not None and layer.visible

    def hide_one(self) -> None:
        """Hide the channel of one kernel, so that the current item can be seen again."""
        self._runners['channel'].cancel()
        layer = self._results.find('channel', self._session.current or '')
        if layer is not None:
            layer.visible = False

    def _layer_of_one(self, block: int, kernel: int) -> Layer | None:
        layer = self._results.find('channel', self._session.current or '')
        shows = None if layer is None else layer.metadata[LINK].get('shows')
        return layer if shows == (block, (kernel,)) else None

    def show_all(self, block: int) -> None:
        """Show all channels of a block as one layer with a leading axis ``kernel``."""
        learned = self._session.learned
        if learned is not None:
            self._show('channels', block, list(range(len(learned.model.blocks[block - 1].bank))))

    def show_strongest(self, block: int) -> None:
        """Show the few channels of the highest mean."""
        self._show('channels', block, None)

    def refresh(self) -> None:
        """Bring the visible channel layers of the current item up to date."""
        self._remove_gone()
        learned, target = self._session.learned, self._applier.target_in_view()
        if learned is None or target is None:
            return
        for role in self._runners:
            layer = self._results.find(role, target.source.key)
            if layer is None or not layer.visible:
                continue
            before, drawn = self._drawn[role, target.source.key]
            if before is not learned or drawn.place != replace(target, plane=None).place:
                block, kernels = layer.metadata[LINK]['shows']
                self._show(role, block, _existing(learned, block, kernels))

    def cancel(self) -> None:
        """Stop what is being computed."""
        for runner in self._runners.values():
            runner.cancel()

    def _show(self, role: Role, block: int, kernels: Sequence[int] | None) -> None:
        learned, view = self._session.learned, self._applier.target_in_view()
        if learned is None or view is None:
            self._session.message = Message('Nothing is learned yet, so there are no channels.')
            return
        target, known = replace(view, plane=None), self._applier.known
        problem = self._applier.memory_problem(learned.model, target)
        if problem:
            self._session.message = Message(problem, error=True)
            return

        def job(device: str) -> Job[Found]:
            applied = yield from apply(learned.model, target, device, known)
            channels = applied.activations[block - 1]
            chosen = kernels
            if chosen is None:
                means = channels.flatten(1).mean(dim=1).numpy(force=True)
                chosen = np.sort(np.argsort(-means)[:STRONGEST]).tolist()
            values = channels[list(chosen)].numpy(force=True)
            return applied, list(chosen), values

        def show(found: Found) -> None:
            self._put(learned, role, block, found)

        self._runners[role].submit(
            on_device(self._preferences(), job), done=show, failed=self._on_job_failed
        )

    def _put(self, learned: Learned, role: Role, block: int, found: Found) -> None:
        """Put channels into their layer, with a contrast that fits new ones."""
        applied, kernels, values = found
        source = applied.target.source
        layer = self._items.layer_of(source)
        if layer is None or learned is not self._session.learned:
            return
        grid, data = self._grid(role, layer, learned, applied.target, block), values
        name = f'{source.name} block {block} channels'
        if role == 'channel':
            data, name = values[0], f'{source.name} block {block} kernel {kernels[0] + 1}'
        if applied.target.stacked:
            data = np.expand_dims(data, data.ndim - source.ndim)
        shown = self._results.find(role, source.key)
        before = None if shown is None else shown.metadata[LINK].get('shows')
        self._drawn[role, source.key] = learned, applied.target
        limits = (0.0, max(float(data.max()), DARKEST))
        made = self._results.show_image(
            role,
            source.key,
            name,
            data,
            grid,
            colormap='magma',
            contrast_limits=limits,
            blending='translucent',
            opacity=1.0,
        )
        shows = (block, tuple(kernels))
        if shown is not made:
            made.events.visible.connect(self._on_layer_seen)
        if before not in (None, shows):
            made.contrast_limits_range = limits
            made.contrast_limits = limits
            made.name = name
            made.visible = True
        made.metadata[LINK]['shows'] = shows

    def _grid(self, role: Role, layer: Image, learned: Learned, target: Target, block: int) -> Grid:
        """Where channels lie: over their image, and over their frame of a stack."""
        source = target.source
        stride = learned.model.architecture.strides(source.ndim)[block - 1]
        if role == 'channel':
            grid = grid_of(layer, source.axes, stride=stride)
        else:
            grid = channel_grid(layer, source.axes, stride)
        if target.stacked:
            grid = at_frame(grid, len(grid['scale']) - source.ndim - 1, target.frame)
        return grid

    def _on_model_applied(self, applied: Applied) -> None:
        """Follow; the channels of a volume wait until all of it is computed."""
        if applied.target.plane is None:
            self.refresh()

    def _on_layer_seen(self, event: object = None) -> None:
        self.refresh()

    def _remove_gone(self) -> None:
        """Take away layers that show only kernels which are gone."""
        learned = self._session.learned
        for role, key in list(self._drawn):
            layer = self._results.find(role, key)
            if layer is not None and not _existing(learned, *layer.metadata[LINK]['shows']):
                self._results.remove(role, key)

    def _on_image_moved(self, key: str) -> None:
        image = self._items.image_layer(key)
        for role in self._runners:
            layer = self._results.find(role, key)
            if layer is None or image is None:
                continue
            learned, target = self._drawn[role, key]
            if target.source.data is finest(image):
                block, _ = layer.metadata[LINK]['shows']
                move_to(layer, self._grid(role, image, learned, target, block))
            else:
                self._results.remove(role, key)

    def _on_image_closed(self, key: str) -> None:
        for role in self._runners:
            self._drawn.pop((role, key), None)
            self._results.remove(role, key)

    def _on_job_failed(self, error: Exception) -> None:
        self._session.message = Message(str(error), error=True)


def _existing(learned: Learned | None, block: int, kernels: Sequence[int]) -> list[int]:
    """Those of the kernels of a block that are there."""
    if learned is None or block > len(learned.model.blocks):
        return []
    count = len(learned.model.blocks[block - 1].bank)
    return [kernel for kernel in kernels if kernel < count]
