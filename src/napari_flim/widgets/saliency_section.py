"""Saliency: which decoder reads which block, and how strongly its map is shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLabel, QSlider, QWidget
from superqt.utils import signals_blocked

from napari_flim.bridge.controller import Controller
from napari_flim.delineation.changes import for_probabilities
from napari_flim.engine.decoder_settings import DECODERS, DecoderSettings
from napari_flim.errors import FlimError
from napari_flim.session.session import Message
from napari_flim.widgets.connections import Connections
from napari_flim.widgets.fields import ChoiceField, DecimalField, Option, form, guard_wheel
from napari_flim.widgets.parts import fill

TITLES = {
    'mean': 'mean per pixel',
    'probability': 'probability per pixel',
    'label': 'by class',
    'label_balanced': 'by class, balanced',
    'hybrid': 'hybrid',
    'tristate': 'tri-state',
    'original': 'original',
    'attention': 'attention',
    'linear': 'linear, learned',
    'manual': 'weights by hand',
}
BY_HAND = 'Weights of single kernels are set in the Kernels dock'
LARGEST_RATIO = 10
LARGEST_BAND = 5
DIGITS = 2

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
        options = [Option(name, TITLES[name], DECODERS[name].description) for name in TITLES]
        self.decoder = ChoiceField('name', 'decoder', options)
        self.decoder.edited.connect(self._on_decoder_edited)
        self.block = QComboBox()
        self.block.setAccessibleName('decoded block')
        self.block.setToolTip('The block whose channels are turned into saliency')
        self.block.activated.connect(self._on_block_activated)
        guard_wheel(self.block)
        words = 'weight of the mean background channel'
        self.ratio = DecimalField('ratio', words, (0, LARGEST_RATIO), DIGITS)
        self.ratio.setToolTip(words.capitalize())
        self.ratio.edited.connect(self._on_ratio_edited)
        words = 'undecided band around the threshold, in deviations'
        self.band = DecimalField('band', words, (0, LARGEST_BAND), DIGITS)
        self.band.setToolTip(words.capitalize())
        self.band.edited.connect(self._on_band_edited)
        self.by_sum = QCheckBox('compare sums, not means')
        self.by_sum.setToolTip('As the lecture prints it; the class with more kernels tends to win')
        self.by_sum.toggled.connect(self._on_by_sum_toggled)
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, PERCENT)
        self.opacity.setAccessibleName('opacity of the saliency')
        self.opacity.setToolTip('Opacity of the saliency layers of the current image')
        self.opacity.valueChanged.connect(self._on_opacity_changed)
        guard_wheel(self.opacity)
        self._lay_out()
        heard = Connections(self)
        heard.hear(controller.session.events['state'], self._on_state_changed)
        heard.hear(controller.session.events['current'], self._on_results_changed)
        heard.hear(controller.applier.applied, self._on_results_changed)
        self._on_state_changed()
        self._on_results_changed()

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.addWidget(self.decoder, 1)
        top.addWidget(QLabel('of block'))
        top.addWidget(self.block)
        self._form = form(self)
        self._form.addRow(top)
        self._form.addRow('background', self.ratio)
        self._form.addRow('band', self.band)
        self._form.addRow(self.by_sum)
        self._form.addRow('opacity', self.opacity)

    def _on_state_changed(self) -> None:
        settings = self._controller.session.settings
        decoder = settings.decoder
        self.decoder.allow('manual', '' if decoder.name == 'manual' else BY_HAND)
        self.decoder.show_value(decoder.name)
        blocks = range(1, len(settings.architecture) + 1)
        fill(self.block, ['last', *map(str, blocks)], decoder.block)
        self.ratio.show_value(decoder.ratio)
        self.band.show_value(decoder.band)
        with signals_blocked(self.by_sum):
            self.by_sum.setChecked(decoder.by_sum)
        self._show_row(self.ratio, decoder.name in WITH_RATIO)
        self._show_row(self.band, decoder.name in WITH_BAND)
        self._show_row(self.by_sum, decoder.name == 'mean')

    def _show_row(self, control: QWidget, visible: bool) -> None:
        """Show or hide a row; a row that stays as it is would lay out the whole dock again."""
        if self._form.isRowVisible(control) != visible:
            self._form.setRowVisible(control, visible)

    def _on_results_changed(self) -> None:
        layers = self._controller.saliency.of_item(self._controller.session.current)
        self._show_row(self.opacity, bool(layers))
        if layers and not self.opacity.isSliderDown():
            with signals_blocked(self.opacity):
                self.opacity.setValue(round(PERCENT * layers[0].opacity))

    def _on_decoder_edited(self, _field: str, name: str) -> None:
        self._change('changing the decoder', name=name)

    def _on_block_activated(self, index: int) -> None:
        self._change('decoding another block', block=index)

    def _on_ratio_edited(self, _field: str, value: float) -> None:
        self._change('changing the weight of the background', ratio=value)

    def _on_band_edited(self, _field: str, value: float) -> None:
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
            self._on_state_changed()
            return
        if decoder != session.settings.decoder:
            probable = decoder.name == 'linear'
            delineation = session.settings.delineation
            if probable != (session.settings.decoder.name == 'linear'):
                delineation = for_probabilities(delineation, probable)
            settings = replace(session.settings, decoder=decoder, delineation=delineation)
            session.change(words, replace(session.state, settings=settings), repeats=True)
