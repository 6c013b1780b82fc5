"""Cards of the kernels of one viewer, and the way back to their strokes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_flim.bridge.applier import Applier
from napari_flim.bridge.layer_axes import marker_axes
from napari_flim.bridge.layer_grids import world_of
from napari_flim.bridge.layer_items import LayerItems
from napari_flim.bridge.marker_layers import link_of
from napari_flim.bridge.preferences import Preferences, on_device
from napari_flim.progress import Job
from napari_flim.session.gallery import GalleryRequest, KernelCard, gallery
from napari_flim.session.items import training_images
from napari_flim.session.jobs import Applied, Target
from napari_flim.session.learned import Learned
from napari_flim.session.session import Message, Session

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels

    from napari_flim.session.running import Runner

NOTHING_LEARNED = 'Nothing is learned yet: paint, then press Learn in the Train dock.'
ZOOM = 4.0
Drawn = tuple[tuple[KernelCard, ...], Applied]


class KernelGallery:
    """Draws the kernels of a block on what is in view, and finds their strokes.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
    session : Session
    items : LayerItems
    applier : Applier
    runner : Runner
        Its own, so that drawing cards never delays saliency.
    preferences : callable
        Gives the `Preferences` as they are now.
    """

    drawn = Signal(tuple)
    """New cards: a tuple of KernelCard."""
    truths_changed = Signal()
    """Layers came or went, so that other ground truths may fit."""

    def __init__(
        self,
        viewer: ViewerModel,
        session: Session,
        items: LayerItems,
        applier: Applier,
        runner: Runner,
        preferences: Callable[[], Preferences],
    ) -> None:
        self._viewer = viewer
        self._session = session
        self._items = items
        self._applier = applier
        self._runner = runner
        self._preferences = preferences
        self._watched = False
        self._learned: Learned | None = None
        # The decoded one, as soon as there are cards.
        self.block = 0
        self.truth: Labels | None = None
        self.cards: tuple[KernelCard, ...] = ()
        self.reason = NOTHING_LEARNED
        applier.applied.connect(self._on_model_applied)
        session.events['current'].connect(self.draw, max_args=0)
        session.events['state'].connect(self._on_state_changed, max_args=0)
        viewer.layers.events.inserted.connect(self._on_layers_changed)
        viewer.layers.events.removed.connect(self._on_layers_changed)

    @property
    def up_to_date(self) -> bool:
        """Whether the cards show the kernels that are learned now, so that they may be edited."""
        return self._learned is not None and self._learned is self._session.learned

    def watch(self, watched: bool) -> None:
        """Draw cards only while somebody looks at them."""
        self._watched = watched
        if watched:
            self.draw()
        else:
            self._runner.cancel()

    def show_block(self, block: int, truth: Labels | None = None) -> None:
        """Show the kernels of a block; rank them by a ground truth if one is given."""
        self.block, self.truth = block, truth
        self.draw()

    def truths(self) -> list[Labels]:
        """Labels of the user that can be the ground truth of the current item."""
        used = [self._items.marker_layer(item.source.key) for item in self._session.items]
        fitting = self._items.fitting_markers(self._session.current or '')
        return [layer for layer in fitting if layer not in used and not link_of(layer)]

    def draw(self) -> None:
        """Draw the cards of the block on what is in view, if somebody looks."""
        if not self._watched:
            return
        learned, target = self._session.learned, self._applier.target_in_view()
        if learned is None or target is None or target.source.ndim != learned.model.ndim:
            self._show_reason(_why_empty(learned, target))
            return
        problem = self._applier.memory_problem(learned.model, target)
        if problem:
            self._show_reason(problem)
            return
        count = len(learned.model.blocks)
        self.block = min(self.block or self._session.settings.decoder.block or count, count)
        request = self._request(learned, target)

        def job(device: str) -> Job[Drawn]:
            return gallery(request, device)

        self._runner.submit(
            on_device(self._preferences(), job),
            done=partial(self._on_cards_drawn, learned),
            failed=self._on_job_failed,
        )

    def _request(self, learned: Learned, view: Target) -> GalleryRequest:
        known = self._applier.known
        # Channels of the whole volume serve for every plane.
        whole = replace(view, plane=None)
        here = any(one.reads_same(whole, learned.model) for one in known)
        return GalleryRequest(
            learned=learned,
            decoder=self._session.settings.decoder,
            target=whole if here else view,
            plane=view.plane,
            block=self.block,
            sources={item.source.key: item.source for item in self._session.items if item.opened},
            strokes=self._strokes(view.source.key, view.frame),
            truth=self._truth(view.frame),
            known=known,
        )

    def go_to_origin(self, block: int, kernel: int) -> None:
        """Move the viewer to the voxel a kernel came from."""
        learned = self._session.learned
        if learned is None:
            return
        bank = learned.model.blocks[block - 1].bank
        index, voxel = int(bank.images[kernel]), bank.voxels[kernel]
        if not 0 <= index < len(learned.origins):
            self._session.message = Message(
                'Where this kernel came from is not known: its model was opened from a file.'
            )
            return
        origin = learned.origins[index]
        layer, item = self._items.image_layer(origin.item), self._session.item(origin.item)
        if layer is None or item is None:
            self._session.message = Message(f'{origin.name} is closed; open it to see the stroke.')
            return
        place = (origin.frame,) * ('T' in item.source.axes) + tuple(int(v) for v in voxel)
        world = world_of(layer, item.source.axes, place)
        self._session.current = origin.item
        layer.visible = True
        first = self._viewer.dims.ndim - len(world)
        for axis, value in enumerate(world, start=first):
            self._viewer.dims.set_point(axis, value)
        shown = [a - first for a in self._viewer.dims.displayed if a >= first]
        centre = [world[axis] for axis in shown]
        camera = self._viewer.scene.camera
        camera.center = tuple(centre) if len(centre) == 3 else (0.0, *centre)
        camera.zoom = max(camera.zoom, ZOOM / min(item.source.spacing))
        markers = self._items.marker_layer(origin.item)
        if markers is not None:
            markers.visible = True
            self._viewer.layers.selection.active = markers
        number = int(bank.markers[kernel]) + 1
        self._session.message = Message(
            f'Kernel {kernel + 1} of block {block}: marker {number} of {origin.name}.'
        )

    def _strokes(self, key: str, frame: int) -> Any:
        item = self._session.item(key)
        if item is None:
            return None
        marked = training_images([replace(item, included=True)], self._session.classes)
        return next((one.strokes for one in marked if one.frame == frame), None)

    def _truth(self, frame: int) -> Any:
        """The ground truth of what is in view, if one was chosen and fits."""
        item = self._session.item(self._session.current)
        if self.truth is None or item is None or self.truth not in self.truths():
            return None
        data = self.truth.data
        return data[frame] if 'T' in marker_axes(item.source.axes) else data

    def _show_reason(self, reason: str) -> None:
        self._runner.cancel()
        self.cards, self.reason, self._learned = (), reason, None
        self.drawn.emit(self.cards)

    def _on_model_applied(self, _applied: Applied) -> None:
        self.draw()

    def _on_state_changed(self) -> None:
        """Draw where nothing is applied that would lead to drawing."""
        if self._session.learned is None or not self.cards:
            self.draw()

    def _on_layers_changed(self, event: object = None) -> None:
        if self.truth is not None and self.truth not in self._viewer.layers:
            self.truth = None
            self.draw()
        self.truths_changed.emit()

    def _on_cards_drawn(self, learned: Learned, outcome: Drawn) -> None:
        self.cards, applied = outcome
        self._learned = learned
        if applied.target.source.key == self._session.current:
            self._applier.remember(applied)
        self.drawn.emit(self.cards)

    def _on_job_failed(self, error: Exception) -> None:
        self._session.message = Message(str(error), error=True)
        self._show_reason(str(error))


def _why_empty(learned: Learned | None, target: Target | None) -> str:
    """Why there are no cards."""
    if learned is None:
        return NOTHING_LEARNED
    if target is None:
        return 'No image is open: open one to see what the kernels make of it.'
    kind = 'an image' if target.source.ndim == 2 else 'a volume'
    return f'The kernels read {learned.model.reads()}; {target.source.name} is {kind}.'
