"""Saliency: which decoder reads which block, and how strongly its map is shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QSlider,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_flim.bridge.controller import Controller
from napari_flim.engine.decoder_settings import DECODERS, DecoderSettings
from napari_flim.errors import FlimError
from napari_flim.session.session import Message
from napari_flim.widgets.connections import Connections

TITLES = {
    'mean': 'mean per pixel',
    'probability': 'probability per pixel',
    'label': 'by class',
    'label_balanced': 'by class, balanced',
    'hybrid': 'hybrid',
    'tristate': 'tri-state',
    'original': 'original',
    'attention': 'attention',
}
"""Decoders to choose from; weights by hand are set in the Kernels dock."""

WITH_RATIO = ('label_balanced',)
WITH_BAND = ('original', 'tristate', 'hybrid')
PERCENT = 100


class SaliencySection(QWidget):
    """Decoder, its block and its parameters.

    Parameters
    ----------
    controller : Controller
    parent : QWidget, optional
    """

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.decoder = QComboBox()
        self.decoder.setSizePolicy(policy)
        self.decoder.setAccessibleName('decoder')
        for name, title in TITLES.items():
            self.decoder.addItem(title, name)
            tip = DECODERS[name].description
            place = self.decoder.count() - 1
            self.decoder.setItemData(place, tip, Qt.ItemDataRole.ToolTipRole)
        self.decoder.activated.connect(self._on_decoder_activated)
        self.block = QComboBox()
        self.block.setAccessibleName('decoded block')
        self.block.setToolTip('The block whose channels are turned into saliency')
        self.block.activated.connect(self._on_block_activated)
        self.ratio = _number(0.0, 10.0, 0.1, 'weight of the mean background channel')
        self.ratio.valueChanged.connect(self._on_ratio_changed)
        self.band = _number(0.0, 5.0, 0.1, 'undecided band around the threshold, in deviations')
        self.band.valueChanged.connect(self._on_band_changed)
        self.by_sum = QCheckBox('compare sums, not means')
        self.by_sum.setToolTip('As the lecture prints it; the class with more kernels tends to win')
        self.by_sum.toggled.connect(self._on_by_sum_toggled)
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, PERCENT)
        self.opacity.setAccessibleName('opacity of the saliency')
        self.opacity.setToolTip('Opacity of the saliency layers of the current image')
        self.opacity.valueChanged.connect(self._on_opacity_changed)
        top = QHBoxLayout()
        top.addWidget(self.decoder, 1)
        top.addWidget(QLabel('of block'))
        top.addWidget(self.block)
        self._form = QFormLayout(self)
        self._form.addRow(top)
        self._form.addRow('background', self.ratio)
        self._form.addRow('band', self.band)
        self._form.addRow(self.by_sum)
        self._form.addRow('opacity', self.opacity)
        heard = Connections(self)
        heard.hear(controller.session.events['state'], self._on_state_changed)
        heard.hear(controller.session.events['current'], self._on_results_changed)
        heard.hear(controller.learner.applied, self._on_results_changed)
        self._on_state_changed()
        self._on_results_changed()

    def _on_state_changed(self) -> None:
        settings = self._controller.session.settings
        decoder = settings.decoder
        with signals_blocked(self.ratio), signals_blocked(self.band), signals_blocked(self.by_sum):
            self.decoder.setCurrentIndex(self.decoder.findData(decoder.name))
            self.decoder.setToolTip(DECODERS[decoder.name].description)
            self._show_blocks(len(settings.architecture), decoder.block)
            for control, value in ((self.ratio, decoder.ratio), (self.band, decoder.band)):
                if not control.hasFocus():
                    control.setValue(value)
            self.by_sum.setChecked(decoder.by_sum)
        self._show_row(self.ratio, decoder.name in WITH_RATIO)
        self._show_row(self.band, decoder.name in WITH_BAND)
        self._show_row(self.by_sum, decoder.name == 'mean')

    def _show_row(self, control: QWidget, visible: bool) -> None:
        """Show or hide a row; a row that stays as it is would lay out the whole dock again."""
        if self._form.isRowVisible(control) != visible:
            self._form.setRowVisible(control, visible)

    def _show_blocks(self, count: int, chosen: int) -> None:
        if self.block.count() != count + 1:
            self.block.clear()
            self.block.addItem('last', 0)
            for number in range(1, count + 1):
                self.block.addItem(str(number), number)
        self.block.setCurrentIndex(chosen)

    def _on_results_changed(self) -> None:
        layers = self._controller.saliency.of_item(self._controller.session.current)
        self._show_row(self.opacity, bool(layers))
        if layers and not self.opacity.isSliderDown():
            with signals_blocked(self.opacity):
                self.opacity.setValue(round(PERCENT * layers[0].opacity))

    def _on_decoder_activated(self, index: int) -> None:
        self._change('changing the decoder', name=self.decoder.itemData(index))

    def _on_block_activated(self, index: int) -> None:
        self._change('decoding another block', block=index)

    def _on_ratio_changed(self, value: float) -> None:
        self._change('changing the weight of the background', ratio=value)

    def _on_band_changed(self, value: float) -> None:
        self._change('changing the undecided band', band=value)

    def _on_by_sum_toggled(self, checked: bool) -> None:
        self._change('changing the comparison', by_sum=checked)

    def _on_opacity_changed(self, value: int) -> None:
        for layer in self._controller.saliency.of_item(self._controller.session.current):
            layer.opacity = value / PERCENT

    def _change(self, words: str, **values: Any) -> None:
        session = self._controller.session
        try:
            decoder: DecoderSettings = replace(session.settings.decoder, **values)
        except FlimError as error:
            session.message = Message(str(error), error=True)
            return
        if decoder != session.settings.decoder:
            settings = replace(session.settings, decoder=decoder)
            session.change(words, replace(session.state, settings=settings), repeats=True)


def _number(low: float, high: float, step: float, tip: str) -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setRange(low, high)
    box.setSingleStep(step)
    box.setToolTip(tip)
    box.setAccessibleName(tip)
    return box
