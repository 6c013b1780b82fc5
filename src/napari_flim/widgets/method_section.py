"""The method by which objects grow from their seeds, and its parameters."""

from __future__ import annotations

from dataclasses import replace

from qtpy.QtWidgets import QCheckBox, QWidget
from superqt.utils import signals_blocked

from napari_flim.bridge.controller import Controller
from napari_flim.delineation.delineation_settings import DESCRIPTIONS, FORESTS, DelineationSettings
from napari_flim.widgets.connections import Connections
from napari_flim.widgets.delineation_change import change_delineation
from napari_flim.widgets.fields import ChoiceField, DecimalField, Option, form

TITLES = {
    'dynamic_trees': 'dynamic trees',
    'watershed': 'watershed',
    'random_walker': 'random walker',
    'none': 'threshold only',
}
MEANS = (
    Option('root', 'the mean of its tree', 'One mean for every seed voxel and what grew from it'),
    Option('label', 'the mean of its object', 'One mean for every object'),
    Option('exponential', 'the mean of its path', 'A mean in which near voxels count more'),
)
NEIGHBOURS = (
    Option(None, 'faces', 'Voxels that share a face: 4 in images, 6 in volumes'),
    Option(8, 'all 8', 'In images: diagonals too'),
    Option(18, '18', 'In volumes: edges too'),
    Option(26, 'all 26', 'In volumes: edges and corners too'),
)
LARGEST_BETA = 10_000
DIGITS = 2


class MethodSection(QWidget):
    """The choice of a method.

    Parameters
    ----------
    controller : Controller
    parent : QWidget, optional
    """

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        options = [Option(name, TITLES[name], DESCRIPTIONS[name]) for name in TITLES]
        self.method = ChoiceField('method', 'method', options)
        self.share = DecimalField('learned_share', 'share of what was learned', (0, 1), DIGITS)
        self.share.setToolTip(
            'How much of what is compared are the channels of block 1, and not the image'
        )
        self.mean = ChoiceField('mean', 'what a voxel is compared with', MEANS)
        self.alpha = DecimalField('alpha', 'share of the path', (0, 1), DIGITS)
        self.neighbours = ChoiceField('neighbours', 'neighbours', NEIGHBOURS)
        self.beta = DecimalField('beta', 'how much differences hinder', (0, LARGEST_BETA), DIGITS)
        self.smoothing = QCheckBox('smooth the saliency first')
        self.smoothing.setToolTip('It then follows the borders of the image')
        self.smoothing.toggled.connect(self._on_smoothing_toggled)
        self.relaxation = QCheckBox('smooth the borders at last')
        self.relaxation.toggled.connect(self._on_relaxation_toggled)
        self._form = form(self)
        self._form.addRow('grow by', self.method)
        self._form.addRow('learned share', self.share)
        self._form.addRow('compare with', self.mean)
        self._form.addRow('share of the path', self.alpha)
        self._form.addRow('neighbours', self.neighbours)
        self._form.addRow('beta', self.beta)
        self._form.addRow(self.smoothing)
        self._form.addRow(self.relaxation)
        numbers = (self.share, self.alpha, self.beta)
        for field in (self.method, self.mean, self.neighbours, *numbers):
            field.edited.connect(self._on_field_edited)
        Connections(self).hear(controller.session.events['state'], self._on_state_changed)
        self._on_state_changed()

    def _on_state_changed(self) -> None:
        settings = self._controller.session.settings.delineation
        self.method.show_value(settings.method)
        self.share.show_value(settings.learned_share)
        self.mean.show_value(settings.mean)
        self.alpha.show_value(settings.alpha)
        self.beta.show_value(settings.beta)
        known = {option.value for option in NEIGHBOURS}
        self.neighbours.show_value(settings.neighbours if settings.neighbours in known else None)
        for box, checked in (
            (self.smoothing, settings.smoothing),
            (self.relaxation, settings.relaxation),
        ):
            with signals_blocked(box):
                box.setChecked(checked)
        self._show_rows(settings)

    def _show_rows(self, settings: DelineationSettings) -> None:
        """Only what the method reads."""
        trees = settings.method == 'dynamic_trees'
        for field, wanted in (
            (self.share, settings.method in FORESTS),
            (self.mean, trees),
            (self.alpha, trees and settings.mean == 'exponential'),
            (self.neighbours, settings.method in FORESTS),
            (self.beta, settings.method == 'random_walker'),
        ):
            if self._form.isRowVisible(field) != wanted:
                self._form.setRowVisible(field, wanted)

    def _on_field_edited(self, name: str, value: object) -> None:
        self._change(name, value)

    def _on_smoothing_toggled(self, checked: bool) -> None:
        self._change('smoothing', checked)

    def _on_relaxation_toggled(self, checked: bool) -> None:
        self._change('relaxation', checked)

    def _change(self, name: str, value: object) -> None:
        words = f'changing the {name} of delineation'
        change_delineation(self._controller, words, lambda now: replace(now, **{name: value}))  # type: ignore[arg-type]
        self._on_state_changed()
