"""What napari reads about the plugin before any of its code runs."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from npe2 import PluginManifest

import napari_flim

PATH = Path(napari_flim.__file__).with_name('napari.yaml')
MANIFEST = PluginManifest.from_file(PATH)
CONTRIBUTIONS = MANIFEST.contributions
DOCKS = ('Train', 'Kernels', 'Activations', 'Delineate', 'Batch segmentation')


@pytest.fixture
def plugin(npe2pm: Any) -> Iterator[Any]:
    with npe2pm.tmp_plugin(manifest=str(PATH)):
        yield npe2pm


def target_of(python_name: str) -> object:
    module, name = python_name.split(':')
    return getattr(importlib.import_module(module), name)


def test_the_manifest_carries_the_name_of_the_distribution() -> None:
    assert MANIFEST.name == 'napari-flim'
    assert 'Feature Learning from Image Markers' in str(MANIFEST.display_name)


@pytest.mark.parametrize('command', CONTRIBUTIONS.commands, ids=lambda one: one.id)
def test_every_command_names_something_that_can_be_called(command: Any) -> None:
    assert callable(target_of(command.python_name))


def test_every_contribution_uses_a_command_that_exists() -> None:
    known = {command.id for command in CONTRIBUTIONS.commands}
    kinds = ('widgets', 'readers', 'writers', 'sample_data')
    used = {one.command for kind in kinds for one in getattr(CONTRIBUTIONS, kind)}
    for items in CONTRIBUTIONS.menus.values():
        used |= {item.command for item in items if hasattr(item, 'command')}
    assert used == known


def test_the_icon_is_a_picture_that_is_shipped() -> None:
    package, name = str(MANIFEST.icon).split(':')
    assert (resources.files(package) / name).read_text().startswith('<svg')


def test_no_menu_asks_the_internet_for_an_icon() -> None:
    assert all(menu.icon is None for menu in CONTRIBUTIONS.submenus)
    assert all(command.icon is None for command in CONTRIBUTIONS.commands)


def test_no_sample_hides_a_command() -> None:
    tails = {command.id.removeprefix('napari-flim.') for command in CONTRIBUTIONS.commands}
    assert not tails & {sample.key for sample in CONTRIBUTIONS.sample_data}


def test_looking_at_what_the_plugin_offers_loads_neither_torch_nor_a_window() -> None:
    modules = sorted({one.python_name.split(':')[0] for one in CONTRIBUTIONS.commands})
    lines = ['import sys', 'import napari_flim.samples', "assert 'napari' not in sys.modules"]
    lines += [f'import {module}' for module in modules]
    lines += ["assert 'torch' not in sys.modules, 'torch'"]
    subprocess.run([sys.executable, '-c', '\n'.join(lines)], check=True)


@pytest.mark.parametrize(
    ('path', 'command'),
    [
        ('/a/cells-seeds.txt', 'read_seeds'),
        ('/a/cells.flim', 'read_model'),
        ('/a/cells.flim-session', 'read_session'),
        ('/a/brain.nii', 'read_image'),
        ('/a/brain.nii.gz', 'read_image'),
        ('/a/brain.scn', 'read_image'),
    ],
)
def test_each_kind_of_file_has_one_reader(plugin: Any, path: str, command: str) -> None:
    readers = [one.command for one in plugin.iter_compatible_readers(path)]
    assert readers == [f'napari-flim.{command}']


@pytest.mark.parametrize('path', ['/a/notes.txt', '/a/cells.tif'])
def test_files_of_others_are_left_alone(plugin: Any, path: str) -> None:
    assert not list(plugin.iter_compatible_readers(path))


def test_labels_can_be_saved_as_seeds(plugin: Any) -> None:
    writers = [one.command for one in plugin.iter_compatible_writers(['labels'])]
    assert writers == ['napari-flim.write_seeds']
    assert not list(plugin.iter_compatible_writers(['image']))


@pytest.mark.usefixtures('plugin')
def test_the_menus_of_a_window_hold_our_commands(make_napari_viewer: Any) -> None:
    from napari._app_model import get_app_model

    make_napari_viewer()
    menus = dict(get_app_model().menus)
    titles = {item.command.title for item in menus['napari-flim'] if hasattr(item, 'command')}
    names = (*DOCKS, 'Saliency of the selected images')
    assert len(titles) == len(names)
    assert all(any(title.startswith(name) for title in titles) for name in names)
    submenus = {getattr(item, 'submenu', None) for item in menus['napari/layers/segment']}
    assert 'napari-flim' in submenus
    annotate = [getattr(item, 'command', None) for item in menus['napari/layers/annotate']]
    assert 'napari-flim.new_markers' in {command.id for command in annotate if command}
    measure = [getattr(item, 'command', None) for item in menus['napari/layers/measure']]
    assert 'napari-flim.measure_objects' in {command.id for command in measure if command}


@pytest.mark.usefixtures('plugin')
@pytest.mark.parametrize('name', DOCKS)
def test_every_dock_opens_in_a_window(make_napari_viewer_proxy: Any, name: str) -> None:
    viewer = make_napari_viewer_proxy()
    _, widget = viewer.window.add_plugin_dock_widget('napari-flim', name)
    assert type(widget).__name__ == f'{name.split()[0]}Dock'
