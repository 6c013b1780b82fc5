"""With what model, and which files: the first part of the Batch dock."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QMenu,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_flim.bridge.controller import Controller
from napari_flim.io.images import SUFFIXES
from napari_flim.session.batch_words import found_words
from napari_flim.widgets.connections import Connections
from napari_flim.widgets.fields import NARROWEST, guard_wheel, labelled
from napari_flim.widgets.line_field import BETWEEN, LineField, paths_in
from napari_flim.widgets.model_section import MODELS
from napari_flim.widgets.parts import fill, small_button, wrapped_label

CURRENT = 'current model of Train'
IMAGES = f'Images ({" ".join("*" + ending for ending in SUFFIXES)})'


class ImagesSection(QWidget):
    """Model, folder or files, and a pattern; what was found of them.

    Parameters
    ----------
    controller : Controller
    parent : QWidget, optional
    """

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = controller.session
        self._batch = controller.batch
        self._models: list[Path] = []
        self._make_fields()
        self._lay_out()
        heard = Connections(self)
        heard.hear(controller.batch.changed, self._on_batch_changed)
        heard.hear(controller.batch.run.changed, self._on_batch_changed)
        heard.hear(controller.session.events['state'], self._on_batch_changed)
        self._on_batch_changed()

    def _make_fields(self) -> None:
        self.model = QComboBox()
        self.model.setAccessibleName('model')
        self.model.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.model.setMinimumWidth(NARROWEST)
        guard_wheel(self.model)
        self.model.activated.connect(self._on_model_activated)
        self.model_file = small_button('...', 'choose a model file', 'Choose a .flim file')
        self.model_file.clicked.connect(self._on_model_file_clicked)
        tip = 'A folder, or files with ; between them'
        self.inputs = LineField('images', tip, 'folder with images')
        self.inputs.edited.connect(self._on_inputs_edited)
        self.browse = small_button('...', 'choose images', 'Choose a folder, or some files')
        self.browse.clicked.connect(self._on_browse_clicked)
        self.kinds = QMenu(self.browse)
        self.kinds.addAction('Folder...', self._on_folder_clicked)
        self.kinds.addAction('Files...', self._on_files_clicked)
        self.pattern = LineField(
            'pattern',
            'Which images of the folder, such as *.tif or egg_*; **/*.tif looks into the folders '
            'in it too. All images when it is empty.',
            'all images',
        )
        self.pattern.edited.connect(self._on_pattern_edited)
        self.found = wrapped_label()
        self.found.setAccessibleName('what was found')

    def _lay_out(self) -> None:
        grid = labelled({'model': self.model, 'images': self.inputs, 'only': self.pattern})
        grid.addWidget(self.model_file, 0, 2)
        grid.addWidget(self.browse, 1, 2)
        layout = QVBoxLayout(self)
        layout.addLayout(grid)
        layout.addWidget(self.found)

    def _on_batch_changed(self) -> None:
        batch, choices = self._batch, self._batch.choices
        if choices.model is not None and choices.model not in self._models:
            self._models.append(choices.model)
        row = 0 if choices.model is None else 1 + self._models.index(choices.model)
        fill(self.model, [CURRENT, *(path.name for path in self._models)], row)
        learned = self._session.learned
        reads = 'Nothing is learned yet' if learned is None else f'Reads {learned.model.reads()}'
        self.model.setToolTip(reads if choices.model is None else str(choices.model))
        self.inputs.show_value(BETWEEN.join(map(str, choices.inputs)))
        self.pattern.show_value(choices.pattern)
        self.found.setText('' if batch.found is None else found_words(batch.found))
        self.setEnabled(not batch.run.active)

    def _on_model_activated(self, row: int) -> None:
        self._batch.choose(model=self._models[row - 1] if row else None)

    def _on_model_file_clicked(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, 'Choose a model', '', MODELS)
        if path:
            self._batch.choose(model=Path(path))

    def _on_inputs_edited(self, text: str) -> None:
        self._batch.choose(inputs=paths_in(text))

    def _on_pattern_edited(self, text: str) -> None:
        self._batch.choose(pattern=text)

    def _on_browse_clicked(self) -> None:
        self.kinds.popup(self.browse.mapToGlobal(self.browse.rect().bottomLeft()))

    def _on_folder_clicked(self) -> None:
        path = QFileDialog.getExistingDirectory(self, 'Folder with images', '')
        if path:
            self._batch.choose(inputs=(Path(path),))

    def _on_files_clicked(self) -> None:
        paths, _ = QFileDialog.getOpenFileNames(self, 'Images', '', IMAGES)
        if paths:
            self._batch.choose(inputs=tuple(map(Path, paths)))
