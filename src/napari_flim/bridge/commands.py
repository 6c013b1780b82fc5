"""What the menus of napari offer for the selected images; napari passes the viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image
from napari.utils.notifications import show_info, show_warning
from npe2 import PluginManager
from qtpy.QtWidgets import QDockWidget

from napari_flim.bridge.controller import CONTROLLERS, Controller
from napari_flim.bridge.preferences import PLUGIN
from napari_flim.errors import ImageError

if TYPE_CHECKING:
    import napari.viewer

NO_IMAGE = 'Select an image in the layer list first.'
NO_MODEL = (
    'There is no model yet. Open Train (Layers > Segment > FLIM), paint a little of the object '
    'and of the background, and press Learn; or open a .flim file.'
)


def new_markers(viewer: napari.viewer.Viewer) -> None:
    """Add a marker layer for the selected image; select the one it has, if it has one."""
    controller = CONTROLLERS.of(viewer)
    keys = selected_items(controller)
    for key in keys:
        existing = controller.items.marker_layer(key)
        if existing is None:
            controller.items.new_markers(key)
        else:
            controller.viewer.layers.selection.active = existing
            show_info(f'Paint on {existing.name}: the image has this marker layer already.')
    if not keys:
        show_warning(NO_IMAGE)


def show_saliency(viewer: napari.viewer.Viewer) -> None:
    """Apply the model to every selected image; say what to do if there is none."""
    controller = CONTROLLERS.of(viewer)
    learned = controller.session.learned
    if learned is None:
        show_warning(NO_MODEL)
        return
    keys = selected_items(controller)
    refused = controller.applier.apply_to(keys)
    if refused:
        show_warning(
            f'The model cannot be applied to {", ".join(refused)}: '
            f'it reads {learned.model.reads()}. '
            'Check in Train how the axes of the image are read, or learn a model from it.'
        )
    if not keys:
        show_warning(NO_IMAGE)


def measure_objects(viewer: napari.viewer.Viewer) -> None:
    """Open the dock with the table of objects; find them if that is still to be done."""
    open_dock(viewer, 'Delineate')
    delineator = CONTROLLERS.of(viewer).delineator
    if delineator.draft is None:
        delineator.delineate()


def open_dock(viewer: napari.viewer.Viewer, name: str) -> QDockWidget:
    """Show a dock of ours in front, the one that is there or a new one.

    It gets the title that napari's menus give it, so that the menus find it.
    `Window.add_plugin_dock_widget` gives another one, and the menus would open a second dock.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    name : str
        Of the widget in the manifest, such as ``Train``.
    """
    manager = PluginManager.instance()
    manifest = manager.get_manifest(PLUGIN)
    offered = manifest.contributions.widgets or []
    widget = next(one for one in offered if one.display_name == name)
    kind: Any = widget.get_callable()
    docked = [one for one in viewer.window.dock_widgets.values() if isinstance(one, kind)]
    if not docked:
        docked = [kind(viewer)]
        title = f'{name} ({manifest.display_name})'
        viewer.window.add_dock_widget(docked[0], name=title, tabify=True)
    dock: Any = docked[0]
    while not isinstance(dock, QDockWidget):
        dock = dock.parentWidget()
    dock.show()
    dock.raise_()
    return dock


def selected_items(controller: Controller) -> list[str]:
    """Keys of the selected images, which become items; of a result, that of its image.

    Images whose axes cannot be understood are left out with a warning.
    """
    keys = []
    for layer in list(controller.viewer.layers.selection):
        if not isinstance(layer, Image):
            continue
        key = controller.items.item_of(layer)
        try:
            keys.append(controller.items.add(layer) if key is None else key)
        except ImageError as error:
            show_warning(str(error))
    return list(dict.fromkeys(keys))
