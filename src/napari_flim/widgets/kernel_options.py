"""How kernels are estimated: choices for those who compare methods."""

from __future__ import annotations

from dataclasses import replace

from qtpy.QtWidgets import QWidget

from napari_flim.errors import FlimError
from napari_flim.session.session import Session
from napari_flim.widgets.connections import Connections
from napari_flim.widgets.fields import ChoiceField, Field, NumberField, Option, form
from napari_flim.widgets.parts import wrapped_label

LARGEST_SEED = 2**31 - 1
LABELS = {
    'method': 'method',
    'statistics': 'normalisation',
    'representative': 'kernel of a cluster',
    'consensus': 'reduction',
    'seed': 'seed',
}
METHODS = (
    Option('cluster', 'clusters', 'FLIM-Cluster: patches of every stroke are clustered per block'),
    Option(
        'bofp',
        'feature points',
        'FLIM-BoFP: points are chosen once on the input, and each gives one kernel per block',
    ),
)
STATISTICS = (
    Option('channel', 'per channel', 'One mean and deviation for each channel, over all strokes'),
    Option(
        'coordinate',
        'per patch coordinate',
        'One mean and deviation for each place in the patch, over all strokes',
    ),
    Option(
        'image',
        'per image',
        'One mean and deviation for each place in the patch, for every image by itself',
    ),
)
REPRESENTATIVES = (
    Option('centroid', 'mean', 'The mean of the patches of a cluster'),
    Option('medoid', 'nearest patch', 'The real patch nearest to the mean of its cluster'),
)
CONSENSUS = (
    Option('kmeans', 'clusters of all', 'k-means over the candidates of all classes together'),
    Option('class', 'clusters of each class', 'k-means over the candidates of each class'),
    Option('pca', 'principal axes', 'Principal axes of the candidates, in place of clusters'),
)


class KernelOptions(QWidget):
    """Fields for `LearningOptions`.

    Parameters
    ----------
    session : Session
    parent : QWidget, optional
    """

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        seed = NumberField('seed', 'seed of kernel estimation', (0, LARGEST_SEED))
        seed.setToolTip('Two runs with the same seed give the same kernels')
        fields: list[Field] = [
            ChoiceField('method', 'method of kernel estimation', METHODS),
            ChoiceField('statistics', 'marker-based normalisation', STATISTICS),
            ChoiceField('representative', 'what stands for a cluster', REPRESENTATIVES),
            ChoiceField('consensus', 'reduction of kernel candidates', CONSENSUS),
            seed,
        ]
        self.fields = {field.field: field for field in fields}
        self.error = wrapped_label()
        self.error.hide()
        rows = form(self)
        for field in fields:
            rows.addRow(LABELS[field.field], field)
            field.edited.connect(self._on_field_edited)
        rows.addRow(self.error)
        Connections(self).hear(session.events['state'], self._on_state_changed)
        self._on_state_changed()

    def _on_state_changed(self) -> None:
        options = self._session.settings.options
        for field in self.fields.values():
            field.show_value(getattr(options, field.field))

    def _on_field_edited(self, field: str, value: object) -> None:
        state = self._session.state
        self.error.hide()
        try:
            options = replace(state.settings.options, **{field: value})  # type: ignore[arg-type]
        except FlimError as error:
            self.error.setText(str(error))
            self.error.show()
            self._on_state_changed()
            return
        changed = replace(state, settings=replace(state.settings, options=options))
        self._session.change(f'{LABELS[field]} of kernels', changed, repeats=True)
