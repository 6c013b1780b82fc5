"""Images and markers: one row for each item, and a way to add more."""

from __future__ import annotations

from functools import partial
from html import escape

from napari.layers import Image, Labels
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QMenu,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_flim.bridge.controller import Controller
from napari_flim.bridge.layer_axes import possible_axes
from napari_flim.bridge.preferences import PLUGIN
from napari_flim.errors import FlimError, ImageError
from napari_flim.session.items import Item
from napari_flim.session.session import Message
from napari_flim.session.sources import axes_in_words
from napari_flim.session.words import marked_words
from napari_flim.widgets.connections import Connections
from napari_flim.widgets.fields import guard_wheel
from napari_flim.widgets.parts import fill, small_button, wrapped_label
from napari_flim.widgets.tab_order import order_tabs

NO_MARKERS = 'no markers'
FIRST_STEPS = (
    '1. Open an image, or the sample below.\n'
    '2. Paint a little of the object and of the background.\n'
    '3. Watch the saliency follow your brush.'
)
SAMPLE = 'coins'
OBJECT = 2


class ItemsSection(QWidget):
    """Rows of images with their markers.

    Parameters
    ----------
    controller : Controller
    parent : QWidget, optional
    """

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._rows: dict[str, ItemRow] = {}
        self._first_steps = wrapped_label(FIRST_STEPS)
        self._sample = QPushButton('Open the sample "coins"')
        self._sample.setToolTip('The same as File > Open Sample > FLIM > Coins')
        self._sample.clicked.connect(self._on_sample_clicked)
        self._menu = QMenu(self)
        self._menu.aboutToShow.connect(self._on_menu_opened)
        self.add_button = QPushButton('Add image')
        self.add_button.setMenu(self._menu)
        self._list = QVBoxLayout()
        layout = QVBoxLayout(self)
        layout.addWidget(self._first_steps)
        layout.addWidget(self._sample)
        layout.addLayout(self._list)
        layout.addWidget(self.add_button)
        heard = Connections(self)
        for name in ('items', 'classes', 'current', 'state'):
            heard.hear(controller.session.events[name], self._on_session_changed)
        heard.hear(controller.items.layers_changed, self._on_session_changed)
        self._on_session_changed()

    def row(self, key: str) -> ItemRow:
        """The row of an item."""
        return self._rows[key]

    def _on_session_changed(self) -> None:
        items = {item.source.key: item for item in self._controller.session.items}
        for key in [key for key in self._rows if key not in items]:
            row = self._rows.pop(key)
            self._list.removeWidget(row)
            row.hide()
            row.deleteLater()
        for key, item in items.items():
            if key not in self._rows:
                self._rows[key] = ItemRow(self._controller, key, self)
                self._list.addWidget(self._rows[key])
                order_tabs(self)
            self._rows[key].show_item(item)
        self._first_steps.setVisible(not items)
        self._sample.setVisible(not items)
        free = bool(self._controller.items.free_images())
        self.add_button.setVisible(free or bool(items))
        self.add_button.setEnabled(free)
        self.add_button.setToolTip(
            'Learn from another open image too'
            if free
            else 'Every open image is in the list; open another one first'
        )

    def _on_menu_opened(self) -> None:
        self._menu.clear()
        for layer in self._controller.items.free_images():
            action = self._menu.addAction(layer.name)
            action.triggered.connect(partial(self._on_image_chosen, layer))

    def _on_image_chosen(self, layer: Image, _checked: bool = False) -> None:
        try:
            self._controller.session.current = self._controller.items.add(layer)
        except FlimError as error:
            self._controller.session.message = Message(str(error), error=True)

    def _on_sample_clicked(self) -> None:
        self._controller.viewer.open_sample(PLUGIN, SAMPLE)
        self._controller.items.paint_class(OBJECT)


class ItemRow(QWidget):
    """One image: whether it takes part, its markers, what is painted, how it is read.

    Parameters
    ----------
    controller : Controller
    key : str
        Of the item.
    parent : QWidget, optional
    """

    def __init__(self, controller: Controller, key: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._key = key
        self._layers: list[Labels] = []
        self._readings: tuple[str, ...] = ()
        self.included = QCheckBox()
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.included.setSizePolicy(policy)
        self.included.toggled.connect(self._on_included_toggled)
        self.markers = QComboBox()
        self.markers.setToolTip('Labels layer whose strokes are learned from')
        self.markers.setSizePolicy(policy)
        self.markers.activated.connect(self._on_markers_activated)
        guard_wheel(self.markers)
        self._view = small_button('◉', '', 'Show this image and its layers, hide the others')
        self._view.clicked.connect(self._on_view_clicked)
        self._remove = small_button('✕', '', 'Take this image out of the list; its layers stay')
        self._remove.clicked.connect(self._on_remove_clicked)
        self.new_markers = QPushButton('New markers')
        self.new_markers.clicked.connect(self._on_new_markers_clicked)
        self._marked = wrapped_label()
        self.too_large = wrapped_label()
        self.axes = QComboBox()
        self.axes.setSizePolicy(policy)
        self.axes.setToolTip('What the axes of the image mean')
        self.axes.activated.connect(self._on_axes_activated)
        guard_wheel(self.axes)
        top = QHBoxLayout()
        top.addWidget(self.included, 1)
        top.addWidget(self._view)
        top.addWidget(self._remove)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(top)
        for widget in (self.markers, self.new_markers, self.axes, self._marked, self.too_large):
            layout.addWidget(widget)

    def show_item(self, item: Item) -> None:
        """Show an item as it is now."""
        source = item.source
        current = self._controller.session.current == self._key
        with signals_blocked(self.included):
            self.included.setText(source.name if item.opened else f'{source.name} (closed)')
            self.included.setChecked(item.included)
        self.included.setToolTip(f'Learn from {source.name}')
        font = self.included.font()
        if font.bold() != current:
            font.setBold(current)
            self.included.setFont(font)
        for widget, words in (
            (self.included, 'learn from'),
            (self.markers, 'marker layer of'),
            (self._view, 'show'),
            (self._remove, 'remove'),
            (self.axes, 'axes of'),
        ):
            widget.setAccessibleName(f'{words} {source.name}')
        self._show_markers(item)
        self._show_axes(item)
        self._marked.setText(self._counts_in_colour(item))
        self._marked.setToolTip(marked_words(item))
        words = self._controller.applier.too_large_words(source) if item.opened else ''
        self.too_large.setText(words)
        self.too_large.setVisible(bool(words))
        painted = item.markers is not None
        self._marked.setVisible(painted)
        self.markers.setVisible(painted or self.markers.count() > 1)
        verb = 'Bring back' if item.strokes else 'New'
        self.new_markers.setText(f'{verb} markers')
        self.new_markers.setAccessibleName(f'{verb} markers for {source.name}')
        self.new_markers.setVisible(not painted and bool(item.opened or item.strokes))
        possible = self._controller.items.can_have_markers(self._key)
        self.new_markers.setEnabled(possible)
        self.new_markers.setToolTip(
            f'Add a layer to paint on {source.name}' if possible else f'Open {source.name} first'
        )

    def _show_markers(self, item: Item) -> None:
        self._layers = self._controller.items.fitting_markers(self._key)
        chosen = self._controller.items.marker_layer(self._key)
        index = self._layers.index(chosen) if chosen in self._layers else len(self._layers)
        fill(self.markers, [*(layer.name for layer in self._layers), NO_MARKERS], index)
        self.markers.setEnabled(item.opened)

    def _show_axes(self, item: Item) -> None:
        layer = self._controller.items.image_layer(self._key)
        source = item.source
        try:
            choices = (source.axes,) if layer is None else possible_axes(layer)
        except ImageError:
            choices = (source.axes,)
        self._readings = choices
        words = [f'read as {axes_in_words(source.data.shape, axes)}' for axes in choices]
        fill(self.axes, words, choices.index(source.axes) if source.axes in choices else 0)
        self.axes.setVisible(len(choices) > 1)

    def _counts_in_colour(self, item: Item) -> str:
        if item.problem:
            return escape(item.problem)
        if not item.strokes:
            return 'nothing painted yet'
        parts = []
        classes = {one.label: one for one in self._controller.session.classes}
        for label, count in item.counts.items():
            one = classes.get(label)
            if one is not None:
                red, green, blue = (round(255 * part) for part in one.colour)
                dot = f'<span style="color: rgb({red}, {green}, {blue})">●</span>'
                parts.append(f'{dot}&nbsp;{escape(one.name)}:&nbsp;{count}')
        return ' '.join(parts)

    def _on_included_toggled(self, included: bool) -> None:
        self._controller.session.include(self._key, included)
        self._controller.items.debouncer.call()

    def _on_markers_activated(self, index: int) -> None:
        chosen = self._layers[index] if index < len(self._layers) else None
        self._controller.items.set_markers(self._key, chosen, recolour=True)

    def _on_axes_activated(self, index: int) -> None:
        self._controller.items.set_axes(self._key, self._readings[index])

    def _on_view_clicked(self) -> None:
        self._controller.items.show_only(self._key)

    def _on_remove_clicked(self) -> None:
        self._controller.items.remove(self._key)

    def _on_new_markers_clicked(self) -> None:
        self._controller.items.new_markers(self._key)
