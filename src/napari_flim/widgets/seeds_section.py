"""Seeds: where saliency is cut, which objects count, and how far seeds keep from their borders."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLabel, QSizePolicy, QWidget
from superqt.utils import signals_blocked

from napari_flim.bridge.controller import Controller
from napari_flim.delineation.area_range import AreaRange, learned_range
from napari_flim.delineation.seed_settings import SeedSettings
from napari_flim.errors import FlimError
from napari_flim.session.classes import class_named
from napari_flim.session.object_words import range_words, sizes_words, unit_of
from napari_flim.session.seed_preview import accepted_sizes
from napari_flim.session.settings import SizesFrom
from napari_flim.session.sources import ImageSource
from napari_flim.session.words import count_words
from napari_flim.widgets.connections import Connections
from napari_flim.widgets.delineation_change import change_delineation
from napari_flim.widgets.fields import form, guard_wheel
from napari_flim.widgets.histogram import GREY, Histogram
from napari_flim.widgets.optional_field import OptionalField
from napari_flim.widgets.parts import fill, narrow_button, small_button, wrapped_label

AS_MARKED = 'Look for objects like those that you have marked, measured after each learning'
OTSU = "Let Otsu's rule find the threshold of every image"


class SeedsSection(QWidget):
    """Everything about seeds.

    Parameters
    ----------
    controller : Controller
    parent : QWidget, optional
    """

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._make_controls()
        self._lay_out()
        heard = Connections(self)
        for name in ('state', 'current', 'classes'):
            heard.hear(controller.session.events[name], self._on_something_changed)
        heard.hear(controller.seeds.found, self._on_something_changed)
        heard.hear(controller.delineator.changed, self._on_objects_changed)
        self._on_something_changed()

    def _make_controls(self) -> None:
        self.shown_class = QComboBox()
        self.shown_class.setAccessibleName('class whose saliency is shown')
        self.shown_class.activated.connect(self._on_something_changed)
        self.shown_class.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        guard_wheel(self.shown_class)
        self.histogram = Histogram()
        self.histogram.dragged.connect(self._on_threshold_dragged)
        self.histogram.dropped.connect(self._on_threshold_dropped)
        self.threshold = OptionalField('threshold', 'threshold of the saliency', 'by Otsu')
        self.threshold.setMaximum(1.0)
        self.threshold.setDecimals(3)
        self.threshold.setToolTip('Saliency above which a voxel is object')
        self.otsu = small_button('Otsu', 'threshold by Otsu', OTSU)
        self.otsu.clicked.connect(self._on_otsu_clicked)
        self.smallest = OptionalField('smallest', 'smallest size of an object', 'any')
        self.largest = OptionalField('largest', 'largest size of an object', 'any')
        self.sizes = wrapped_label()
        self.marked_sizes = narrow_button('as marked', self._on_marked_sizes_clicked)
        self.marked_sizes.setCheckable(True)
        self.marked_sizes.setToolTip(AS_MARKED)
        self.accepted_sizes = narrow_button('as accepted', self._on_accepted_sizes_clicked)
        self.any_size = narrow_button('any', self._on_any_size_clicked)
        self.any_size.setToolTip('Look for objects of any size')
        self.erosion = OptionalField(
            'erosion', 'how far inner seeds keep from the border', 'automatic'
        )
        self.erosion.setToolTip('How far inner seeds keep from the border of their object')
        self.dilation = OptionalField(
            'dilation', 'how far from objects background grows', 'automatic'
        )
        self.dilation.setToolTip('How far from every object the background is sure to begin')
        self.border = QCheckBox('without those that the border cuts')
        self.border.toggled.connect(self._on_border_toggled)
        self.preview = QCheckBox('show seeds')
        self.preview.setToolTip('Seeds as a layer; it changes with the settings')
        self.preview.toggled.connect(self._on_preview_toggled)
        self.count = QLabel()
        self.count.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.count.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        for control in (self.threshold, self.erosion, self.dilation):
            control.edited.connect(self._on_field_edited)
        for control in (self.smallest, self.largest):
            control.edited.connect(self._on_size_edited)

    def _lay_out(self) -> None:
        cut = QHBoxLayout()
        cut.addWidget(self.threshold, 1)
        cut.addWidget(self.otsu)
        taken = QHBoxLayout()
        # As their words are long.
        taken.addWidget(self.marked_sizes, 3)
        taken.addWidget(self.accepted_sizes, 4)
        taken.addWidget(self.any_size, 2)
        seen = QHBoxLayout()
        seen.addWidget(self.preview)
        seen.addWidget(self.count, 1)
        self._form = form(self)
        self._form.addRow('saliency of', self.shown_class)
        self._form.addRow(self.histogram)
        self._form.addRow('threshold', cut)
        self._form.addRow('smallest', self.smallest)
        self._form.addRow('largest', self.largest)
        self._form.addRow('sizes', taken)
        self._form.addRow(self.sizes)
        self._form.addRow('erosion', self.erosion)
        self._form.addRow('background', self.dilation)
        self._form.addRow(self.border)
        self._form.addRow(seen)

    def _settings(self) -> SeedSettings:
        return self._controller.session.settings.delineation.seeds

    def _on_something_changed(self) -> None:
        settings = self._settings()
        target = self._controller.delineator.target()
        source = None if target is None else target.source
        ndim = 2 if source is None else source.ndim
        spacing = (1.0,) if source is None else source.spacing
        self.threshold.show_optional(settings.threshold)
        sizes = settings.sizes or AreaRange()
        for field, value in ((self.smallest, sizes.smallest), (self.largest, sizes.largest)):
            field.show_unit(unit_of(source, ndim), math.prod(spacing))
            field.show_optional(value)
        for field, value in ((self.erosion, settings.erosion), (self.dilation, settings.dilation)):
            field.show_unit(unit_of(source), min(spacing))
            field.show_optional(value)
        with signals_blocked(self.border):
            self.border.setChecked(settings.border is not None)
        with signals_blocked(self.preview):
            self.preview.setChecked(self._controller.seeds.shown)
        self._show_saliency()
        self._on_objects_changed()

    def _show_saliency(self) -> None:
        """The histogram of the chosen class, and what seeds there would be."""
        preview, classes = self._controller.seeds.preview, self._controller.session.classes
        numbers = {} if preview is None else preview.numbers
        known = list(numbers)
        row = min(max(self.shown_class.currentIndex(), 0), len(known) - 1)
        fill(self.shown_class, [class_named(classes, one).name for one in known], row)
        self.shown_class.setEnabled(len(known) > 1)
        threshold = self._settings().threshold
        if preview is None or not known:
            self.histogram.show_values((), None, threshold, GREY)
            self.count.setText('')
            return
        one = numbers[known[row]]
        self.histogram.show_values(
            one.heights(),
            one.otsu,
            one.otsu if threshold is None else threshold,
            class_named(classes, known[row]).colour,
        )
        self.count.setText(f'seeds of {count_words(preview.count, "object")}')

    def _on_objects_changed(self) -> None:
        """What marked and accepted objects say of sizes."""
        unit, accepted = self._size_unit(), self._accepted_sizes()
        settings = self._controller.session.settings
        self.marked_sizes.setChecked(settings.sizes_from != 'chosen')
        self.sizes.setText(sizes_words(settings, self._shown_sizes(), unit))
        self.accepted_sizes.setEnabled(bool(accepted))
        self.accepted_sizes.setToolTip(
            f'Look for objects like the {len(accepted)} that you have accepted: '
            f'{range_words(learned_range(accepted), unit)}'
            if accepted
            else 'No object is accepted yet'
        )

    def _source(self) -> ImageSource | None:
        target = self._controller.delineator.target()
        return None if target is None else target.source

    def _size_unit(self) -> str:
        source = self._source()
        return unit_of(source, 2 if source is None else source.ndim)

    def _shown_sizes(self) -> tuple[float, ...]:
        preview = self._controller.seeds.preview
        return () if preview is None else preview.shown

    def _accepted_sizes(self) -> tuple[float, ...]:
        source = self._source()
        corrections = self._controller.delineator.corrections_of()
        return () if source is None else accepted_sizes(corrections, source.spacing)

    def _on_threshold_dragged(self, value: float) -> None:
        self._controller.seeds.refresh(value)

    def _on_threshold_dropped(self, value: float) -> None:
        self._change('changing the threshold', threshold=value)

    def _on_otsu_clicked(self) -> None:
        self._change('changing the threshold', threshold=None)

    def _on_field_edited(self, field: str, value: float | None) -> None:
        self._change(f'changing the {field}', **{field: value})

    def _on_size_edited(self, field: str, value: float | None) -> None:
        sizes = self._settings().sizes or AreaRange()
        try:
            changed = replace(sizes, **{field: value})
        except FlimError as error:
            self._controller.delineator.say(str(error))
            self._on_something_changed()
            return
        self._choose_sizes(changed)

    def _on_marked_sizes_clicked(self) -> None:
        now = self._settings().sizes
        chosen = self._controller.session.settings.sizes_from == 'chosen'
        self._choose_sizes(now, sizes_from='due' if chosen else 'chosen')

    def _on_accepted_sizes_clicked(self) -> None:
        self._choose_sizes(learned_range(self._accepted_sizes()))

    def _on_any_size_clicked(self) -> None:
        self._choose_sizes(None)

    def _choose_sizes(self, sizes: AreaRange | None, sizes_from: SizesFrom = 'chosen') -> None:
        change_delineation(
            self._controller,
            'changing the size of objects',
            lambda now: replace(now, seeds=replace(now.seeds, sizes=sizes)),
            sizes_from=sizes_from,
        )
        self._on_something_changed()

    def _on_border_toggled(self, checked: bool) -> None:
        self._change('changing the border', border=1 if checked else None)

    def _on_preview_toggled(self, checked: bool) -> None:
        self._controller.seeds.show(checked)

    def _change(self, words: str, **values: Any) -> None:
        change_delineation(
            self._controller, words, lambda now: replace(now, seeds=replace(now.seeds, **values))
        )
        self._on_something_changed()
