"""Activations dock: what the kernels of a block answer to an image, as layers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QComboBox, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_flim.bridge.channel_layers import STRONGEST
from napari_flim.bridge.controller import CONTROLLERS, Controller
from napari_flim.session.jobs import readable
from napari_flim.session.words import count_words, memory_words
from napari_flim.widgets.connections import Connections
from napari_flim.widgets.docking import Docked
from napari_flim.widgets.parts import fill, wrapped_label
from napari_flim.widgets.tab_order import order_tabs

if TYPE_CHECKING:
    import napari.viewer

    from napari_flim.model import FlimModel
    from napari_flim.session.sources import ImageSource

EXPLANATION = (
    'The channels become one layer. Its first axis is called kernel: walk through the kernels with '
    'this slider below the picture.'
)
NOTHING_LEARNED = (
    'Nothing is learned yet: paint and press Learn in the Train dock, or open a model.'
)
NO_IMAGE = 'No image is chosen: select one in the layer list, or add it in the Train dock.'
FLOAT_BYTES = 4
NARROWEST = 12
"""Letters of a block that stay readable in a narrow dock."""


class Activations(QWidget):
    """Shows the channels of a block as a layer.

    Parameters
    ----------
    controller : Controller
    parent : QWidget, optional
    """

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self.image = wrapped_label()
        self.block = _block_box()
        self.all = QPushButton('Show all channels')
        self.strongest = QPushButton(f'Show the {STRONGEST} strongest')
        self.strongest.setToolTip('The channels with the highest mean over the image.')
        self.note = wrapped_label()
        self._lay_out()
        self.block.currentIndexChanged.connect(self._on_block_chosen)
        self.all.clicked.connect(self._on_all_clicked)
        self.strongest.clicked.connect(self._on_strongest_clicked)
        connections = Connections(self)
        for name in ('state', 'current', 'items', 'message'):
            connections.hear(controller.session.events[name], self._on_session_changed)
        self._on_session_changed()

    def _lay_out(self) -> None:
        explanation = wrapped_label(EXPLANATION)
        layout = QVBoxLayout(self)
        for widget in (self.image, self.block, self.all, self.strongest, self.note, explanation):
            layout.addWidget(widget)
        layout.addStretch(1)
        order_tabs(self)

    def _on_session_changed(self) -> None:
        learned, target = (
            self._controller.session.learned,
            self._controller.applier.target_in_view(),
        )
        source = None if target is None else target.source
        self.image.setText('' if source is None else f'Channels of {source.name}')
        self.image.setVisible(source is not None)
        entries = [] if learned is None else block_entries(learned.model, source)
        last = len(entries) - 1
        chosen = self.block.currentIndex() if self.block.count() else last
        fill(self.block, entries, min(chosen, last))
        self._update()

    def _on_block_chosen(self) -> None:
        self._update()

    def _on_all_clicked(self) -> None:
        self._controller.channels.show_all(self.block.currentIndex() + 1)

    def _on_strongest_clicked(self) -> None:
        self._controller.channels.show_strongest(self.block.currentIndex() + 1)

    def _update(self) -> None:
        """Say what the buttons would do, or why they can do nothing."""
        session = self._controller.session
        learned, target = session.learned, self._controller.applier.target_in_view()
        problem, needs, count = '', '', 0
        if learned is None:
            problem = NOTHING_LEARNED
        elif target is None:
            problem = NO_IMAGE
        elif not readable(learned.model, target):
            problem = (
                f'The model cannot be applied to {target.source.name}: it reads '
                f'{learned.model.reads()}. Select another image, or learn a model from this one.'
            )
        else:
            block = self.block.currentIndex() + 1
            count = len(learned.model.blocks[block - 1].bank)
            needs = memory_needs(learned.model, target.source, block)
        self.block.setEnabled(learned is not None)
        self.all.setEnabled(not problem)
        self.strongest.setEnabled(count > STRONGEST)
        if 0 < count <= STRONGEST:
            needs = f'The block has only {count_words(count, "kernel")}: show all. {needs}'
        error = session.message.text if session.message.error else ''
        note = ' '.join(words for words in (problem or needs, error) if words)
        self.note.setText(note)
        self.note.setVisible(bool(note))


class ActivationsDock(Docked):
    """The Activations dock of a viewer.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Injected by napari because of this annotation.
    parent : QWidget, optional
    """

    title = 'Activations'

    def __init__(self, viewer: napari.viewer.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.activations = Activations(CONTROLLERS.of(viewer, dock=self))
        self.hold(self.activations)


def _block_box() -> QComboBox:
    box = QComboBox()
    box.setAccessibleName('Block whose channels are shown')
    box.setToolTip('Its number of kernels, and the size of one channel in voxels.')
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(NARROWEST)
    box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return box


def block_entries(model: FlimModel, source: ImageSource | None) -> list[str]:
    """Every block in words: its kernels, and the size of its channels on an image."""
    entries = []
    for number, block in enumerate(model.blocks, start=1):
        words = f'block {number}: {count_words(len(block.bank), "kernel")}'
        if source is not None and source.ndim == model.ndim:
            words += ', ' + ' x '.join(map(str, map_shape(model, source, number)))
        entries.append(words)
    return entries


def map_shape(model: FlimModel, source: ImageSource, block: int) -> tuple[int, ...]:
    """Voxels of a channel along each axis: pooling keeps one in ``stride``, from the first on."""
    strides = model.architecture.strides(source.ndim)[block - 1]
    return tuple(math.ceil(n / s) for n, s in zip(source.shape, strides, strict=True))


def memory_needs(model: FlimModel, source: ImageSource, block: int) -> str:
    """What the channels of a volume take; nothing to mention for an image."""
    if source.ndim == 2:
        return ''
    one = FLOAT_BYTES * math.prod(map_shape(model, source, block))
    count = len(model.blocks[block - 1].bank)
    words = f'All {count_words(count, "channel")} of this volume take {memory_words(count * one)}'
    if count > STRONGEST:
        words += f', the {STRONGEST} strongest {memory_words(STRONGEST * one)}'
    return f'{words} of memory.'
