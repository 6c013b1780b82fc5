"""What a run writes, how and where; and what is to become of an earlier run there."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QVBoxLayout,
    QWidget,
)

from napari_flim.bridge.controller import Controller
from napari_flim.io.results import RESULT_FORMATS
from napari_flim.session.batch_words import earlier_words
from napari_flim.widgets.connections import Connections
from napari_flim.widgets.fields import ChoiceField, Option, form, labelled
from napari_flim.widgets.line_field import LineField
from napari_flim.widgets.optional_field import OptionalField
from napari_flim.widgets.parts import MARGIN, small_button, wrapped_label

TICKS = (
    ('labels', 'objects', 'A label image: each object with a number of its own'),
    ('saliency', 'saliency', 'A map for each object class, as 32-bit numbers'),
    ('table', 'table', 'A CSV file for each image, and objects.csv of all of them'),
    ('outlines', 'outlines', 'A PNG of the image with the outlines of its objects'),
)
WORDS = {
    'tif': ('TIFF', 'OME-TIFF, with voxel size and unit'),
    'ome-zarr': ('OME-Zarr', 'A folder in pieces, with coarser levels: for large images'),
    'nii.gz': ('NIfTI', 'Compressed .nii.gz, with the orientation of the scan'),
}
EARLIER = (
    Option('resume', 'Resume it', 'Segment what is not done; results that are there stay'),
    Option('overwrite', 'Overwrite it', 'Remove its results first, and segment all files anew'),
)


class ResultsSection(QWidget):
    """Ticks, format and folder.

    Parameters
    ----------
    controller : Controller
    parent : QWidget, optional
    """

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._batch = controller.batch
        self.ticks = {field: _tick(words, tip) for field, words, tip in TICKS}
        self.format = ChoiceField(
            'format', 'format of objects and saliency', [_option(name) for name in RESULT_FORMATS]
        )
        self.out = LineField('folder for results', 'Made when the run starts')
        self.choose_folder = small_button('...', 'choose a folder', 'Choose a folder for results')
        self.earlier_text = wrapped_label()
        self.earlier = ChoiceField('earlier', 'what to do with the earlier run', EARLIER)
        self._lay_out()
        self._connect(controller)
        self._on_batch_changed()

    def _lay_out(self) -> None:
        ticks = QGridLayout()
        ticks.setSpacing(MARGIN)
        for place, tick in enumerate(self.ticks.values()):
            ticks.addWidget(tick, place // 2, place % 2)
        rows = labelled({'as': self.format, 'to': self.out})
        rows.addWidget(self.choose_folder, 1, 2)
        below = QHBoxLayout()
        below.addWidget(self.earlier)
        layout = QVBoxLayout(self)
        layout.addLayout(ticks)
        layout.addLayout(rows)
        layout.addWidget(self.earlier_text)
        layout.addLayout(below)

    def _connect(self, controller: Controller) -> None:
        for tick in self.ticks.values():
            tick.clicked.connect(self._on_tick_clicked)
        self.format.edited.connect(self._on_choice_edited)
        self.earlier.edited.connect(self._on_choice_edited)
        self.out.edited.connect(self._on_out_edited)
        self.choose_folder.clicked.connect(self._on_choose_folder_clicked)
        heard = Connections(self)
        heard.hear(controller.batch.changed, self._on_batch_changed)
        heard.hear(controller.batch.run.changed, self._on_batch_changed)

    def _on_batch_changed(self) -> None:
        batch, choices = self._batch, self._batch.choices
        for field, tick in self.ticks.items():
            tick.setChecked(getattr(choices, field))
        self.format.show_value(choices.format)
        self.out.show_value('' if choices.folder is None else str(choices.folder))
        found = batch.found
        words = '' if found is None else found.problem or earlier_words(found)
        self.earlier_text.setText(words)
        self.earlier_text.setVisible(bool(words))
        self.earlier.show_value(choices.earlier)
        self.earlier.setVisible(found is not None and found.earlier is not None)
        self.setEnabled(not batch.run.active)

    def _on_tick_clicked(self) -> None:
        self._batch.choose(**{field: tick.isChecked() for field, tick in self.ticks.items()})

    def _on_choice_edited(self, field: str, value: object) -> None:
        self._batch.choose(**{field: value})

    def _on_out_edited(self, text: str) -> None:
        self._batch.choose(out=Path(text).expanduser() if text else None)

    def _on_choose_folder_clicked(self) -> None:
        path = QFileDialog.getExistingDirectory(self, 'Folder for results', '')
        if path:
            self._batch.choose(out=Path(path))


class MoreSection(QWidget):
    """What is seldom needed: axes, and how much memory to take.

    Parameters
    ----------
    controller : Controller
    parent : QWidget, optional
    """

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._batch = controller.batch
        self.axes = LineField(
            'axes of the files',
            'Only needed where the files do not say, or say something wrong. One letter for each '
            'axis: T stack, C channels, Z Y X space, S colours. For example ZYX, CYX, TYXS.',
            'as the files say',
        )
        self.memory = OptionalField('memory_gb', 'memory for the work', 'automatic')
        self.memory.setSuffix(' GB')
        self.memory.setToolTip(
            'What the work may take beside what napari holds. Automatic: as in the preferences, '
            'else a quarter of what is free. Larger images are segmented in parts.'
        )
        rows: QFormLayout = form(self)
        rows.addRow('axes', self.axes)
        rows.addRow('memory', self.memory)
        self.axes.edited.connect(self._on_axes_edited)
        self.memory.edited.connect(self._on_memory_edited)
        heard = Connections(self)
        heard.hear(controller.batch.changed, self._on_batch_changed)
        heard.hear(controller.batch.run.changed, self._on_batch_changed)
        self._on_batch_changed()

    def _on_batch_changed(self) -> None:
        choices = self._batch.choices
        self.axes.show_value(choices.axes)
        self.memory.show_optional(choices.memory_gb)
        self.setEnabled(not self._batch.run.active)

    def _on_axes_edited(self, text: str) -> None:
        self._batch.choose(axes=text.upper())

    def _on_memory_edited(self, field: str, value: float | None) -> None:
        # No memory at all is no budget.
        self._batch.choose(**{field: value or None})


def _tick(words: str, tip: str) -> QCheckBox:
    tick = QCheckBox(words)
    tick.setToolTip(tip)
    return tick


def _option(name: str) -> Option:
    words, tip = WORDS.get(name, (name, ''))
    return Option(name, words, tip)
