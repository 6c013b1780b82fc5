"""Input: what an image becomes before block 1 sees it, and a look at that."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from qtpy.QtWidgets import QCheckBox, QGridLayout, QPushButton, QVBoxLayout, QWidget
from superqt.utils import signals_blocked

from napari_flim.bridge.controller import Controller
from napari_flim.bridge.input_preview import InputPreview
from napari_flim.bridge.workers import WorkerRunner
from napari_flim.engine.preprocessing import InputTransform
from napari_flim.errors import FlimError
from napari_flim.session.sources import ImageSource
from napari_flim.widgets.connections import Connections
from napari_flim.widgets.fields import ChoiceField, DecimalField, ListField, Option, form
from napari_flim.widgets.kernel_options import KernelOptions
from napari_flim.widgets.parts import Section, wrapped_label
from napari_flim.widgets.tab_order import order_tabs

COLUMNS = 3
COLOURS = ('red', 'green', 'blue')
KINDS = (
    Option(
        'auto',
        'automatic (Lab for RGB, else scaled)',
        'Lab colour for RGB images, scaled by percentiles for all others',
    ),
    Option('lab', 'Lab colour', 'Lightness and two colour axes, as the eye tells colours apart'),
    Option(
        'scaled',
        'scaled by percentiles',
        'Every channel brought to 0 to 1, without its few darkest and brightest voxels',
    ),
    Option(
        'window',
        'window (for CT)',
        'One fixed intensity range brought to 0 to 1; for CT, where values have a meaning',
    ),
    Option(
        'multiscale',
        'multi-scale (Gaussian, gradient, Hessian)',
        'Blurred images, edges (gradient) and blobs and ridges (Hessian) at several scales',
    ),
    Option('libift', 'as LibIFT', 'Lab colour also for grey images, as the LIDS tools compute it'),
)
SCALED = ('auto', 'scaled', 'multiscale')
FIXABLE = ('scaled', 'multiscale')


class InputSection(QWidget):
    """How voxels become features, and how kernels are estimated from them.

    Parameters
    ----------
    controller : Controller
    parent : QWidget, optional
    """

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._session = controller.session
        self.preview = InputPreview(
            controller.viewer,
            controller.session,
            controller.items,
            controller.results,
            controller.applier,
            WorkerRunner(self),
            controller.preferences,
        )
        self.kind = ChoiceField('kind', 'input of block 1', KINDS)
        self.kind.edited.connect(self._on_kind_edited)
        self.channels: list[QCheckBox] = []
        self.fixed = QCheckBox('fixed: same range for all images')
        self.fixed.setToolTip(
            'Take the range from the training images once; off: every image has its own'
        )
        self.fixed.toggled.connect(self._on_fixed_toggled)
        self.error = wrapped_label()
        self.error.hide()
        self.show_input = QCheckBox('Preview input')
        self.show_input.setToolTip('Show what block 1 reads as a layer, for as long as this is on')
        self.show_input.toggled.connect(self.preview.show)
        self._make_window()
        self._make_more()
        self._lay_out()
        connections = Connections(self)
        for name in ('state', 'current', 'items'):
            connections.hear(self._session.events[name], self._on_session_changed)
        self.preview.switched.connect(self._on_preview_switched)
        # A partial is kept by Qt, and keeps the preview until then.
        self.destroyed.connect(partial(InputPreview.close, self.preview))
        self._on_session_changed()

    def _make_window(self) -> None:
        self.low = DecimalField('low', 'lowest intensity of the window')
        self.low.setToolTip('This intensity and all below become 0')
        self.high = DecimalField('high', 'highest intensity of the window')
        self.high.setToolTip('This intensity and all above become 1')
        for field in (self.low, self.high):
            field.edited.connect(self._on_window_edited)
        self.as_shown = QPushButton('As shown')
        self.as_shown.setAccessibleName('window as shown in the viewer')
        self.as_shown.setToolTip('Take the contrast limits of the current image layer')
        self.as_shown.clicked.connect(self._on_as_shown_clicked)
        self.window_row = QWidget()
        rows = form(self.window_row)
        rows.addRow('from', self.low)
        rows.addRow('to', self.high)
        rows.addRow(self.as_shown)

    def _make_more(self) -> None:
        self.darkest = DecimalField('darkest', 'percentile that becomes 0', (0, 100), 2)
        self.darkest.setToolTip('The share of voxels, in per cent, that lies below 0')
        self.brightest = DecimalField('brightest', 'percentile that becomes 1', (0, 100), 2)
        self.brightest.setToolTip('The share of voxels, in per cent, that lies below 1')
        for field in (self.darkest, self.brightest):
            field.edited.connect(self._on_percentiles_edited)
        self.scales = ListField('scales', 'scales of the multi-scale input', float)
        self.scales.setToolTip('In voxels of the finest axis, with commas, such as 1, 2, 4')
        self.scales.edited.connect(self._on_scales_edited)
        self._percentiles = QWidget()
        rows = form(self._percentiles)
        rows.addRow('percentile for 0', self.darkest)
        rows.addRow('percentile for 1', self.brightest)
        rows.addRow('scales', self.scales)
        self._rows = rows
        self.kernels = KernelOptions(self._session)
        self.more = Section('more', self._percentiles, opened=False)
        self.estimation = Section('kernel estimation', self.kernels, opened=False)

    def _lay_out(self) -> None:
        self.channel_row = QWidget()
        self._channel_grid = QGridLayout(self.channel_row)
        self._channel_grid.setContentsMargins(0, 0, 0, 0)
        layout = QVBoxLayout(self)
        for widget in (
            self.kind,
            self.window_row,
            self.channel_row,
            self.fixed,
            self.error,
            self.show_input,
            self.more,
            self.estimation,
        ):
            layout.addWidget(widget)

    def _source(self) -> ImageSource | None:
        item = self._session.item(self._session.current)
        return None if item is None else item.source

    def _on_session_changed(self) -> None:
        """Show the settings, and only what has a meaning for them."""
        settings, source = self._session.settings, self._source()
        transform = settings.transform
        self._allow_kinds(source)
        self.kind.show_value(transform.kind)
        self.window_row.setVisible(transform.kind == 'window')
        self.low.show_value(transform.window[0])
        self.high.show_value(transform.window[1])
        self.fixed.setVisible(transform.kind in FIXABLE)
        with signals_blocked(self.fixed):
            self.fixed.setChecked(settings.fixed_ranges)
        self.darkest.show_value(transform.percentiles[0])
        self.brightest.show_value(transform.percentiles[1])
        self.scales.show_value(transform.scales)
        self._rows.setRowVisible(self.scales, transform.kind == 'multiscale')
        self.more.setVisible(transform.kind in SCALED)
        self._show_channels(source, transform)

    def _allow_kinds(self, source: ImageSource | None) -> None:
        lab = libift = ''
        if source is not None and not source.rgb:
            lab = f'{source.name} is not RGB, so it has no Lab colour'
            if source.channels > 1:
                libift = f'{source.name} has {source.channels} channels; LibIFT reads RGB or grey'
        self.kind.allow('lab', lab)
        self.kind.allow('libift', libift)

    def _show_channels(self, source: ImageSource | None, transform: InputTransform) -> None:
        count = 0 if source is None or not _has_choice(source, transform) else source.channels
        while len(self.channels) < count:
            self._add_channel()
        self.channel_row.setVisible(count > 0)
        used = transform.channels or range(count)
        for number, box in enumerate(self.channels):
            name = COLOURS[number] if source is not None and source.rgb else f'channel {number}'
            box.setText(name)
            box.setVisible(number < count)
            with signals_blocked(box):
                box.setChecked(number in used)

    def _add_channel(self) -> None:
        number = len(self.channels)
        box = QCheckBox()
        box.setToolTip('Let block 1 read this channel')
        box.toggled.connect(self._on_channel_toggled)
        self.channels.append(box)
        self._channel_grid.addWidget(box, number // COLUMNS, number % COLUMNS)
        order_tabs(self)

    def _change(
        self, name: str, *, fixed: bool | None = None, keep: bool = False, **values: object
    ) -> None:
        """Change the transform; what is impossible is refused and, unless kept, goes from view."""
        state = self._session.state
        settings = state.settings
        self.error.hide()
        try:
            transform = replace(settings.transform, **values)  # type: ignore[arg-type]
        except FlimError as error:
            self.error.setText(str(error))
            self.error.show()
            if not keep:
                self._on_session_changed()
            return
        fixed = settings.fixed_ranges if fixed is None else fixed
        settings = replace(settings, transform=transform, fixed_ranges=fixed)
        self._session.change(name, replace(state, settings=settings), repeats=True)

    def _on_kind_edited(self, _field: str, kind: str) -> None:
        settings, source = self._session.settings, self._source()
        transform = settings.transform
        fixed = settings.fixed_ranges and kind in FIXABLE
        changed = replace(transform, kind=kind)  # type: ignore[arg-type]
        channels = transform.channels
        if source is not None and not _has_choice(source, changed):
            channels = ()
        self._change('input', fixed=fixed, kind=kind, channels=channels)

    def _on_window_edited(self, _field: str, _value: float) -> None:
        # Kept, since moving a window up needs two steps with an empty window between them.
        self._change('window', keep=True, window=(self.low.value(), self.high.value()))

    def _on_as_shown_clicked(self) -> None:
        layer = self._controller.items.image_layer(self._session.current)
        if layer is not None:
            low, high = layer.contrast_limits
            self._change('window', window=(float(low), float(high)))

    def _on_fixed_toggled(self, fixed: bool) -> None:
        self._change('fixed range of intensities', fixed=fixed)

    def _on_percentiles_edited(self, _field: str, _value: float) -> None:
        self._change('percentiles', percentiles=(self.darkest.value(), self.brightest.value()))

    def _on_scales_edited(self, _field: str, scales: tuple[object, ...]) -> None:
        self._change('scales', scales=scales)

    def _on_channel_toggled(self, _checked: bool) -> None:
        count = len([box for box in self.channels if not box.isHidden()])
        chosen = [number for number in range(count) if self.channels[number].isChecked()]
        if not chosen:
            self.error.setText('Block 1 has to read at least one channel.')
            self.error.show()
            self._on_session_changed()
            return
        self._change('channels', channels=() if len(chosen) == count else tuple(chosen))

    def _on_preview_switched(self, on: bool) -> None:
        with signals_blocked(self.show_input):
            self.show_input.setChecked(on)


def _has_choice(source: ImageSource, transform: InputTransform) -> bool:
    """Whether channels can be chosen: there are several, and they are not read as colours."""
    coloured = transform.kind in ('lab', 'libift') or (transform.kind == 'auto' and source.rgb)
    return source.channels > 1 and not coloured
