"""Seed files, models and sessions, opened by napari."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Image, Labels, Layer
from napari.utils.notifications import notification_manager
from pytestqt.qtbot import QtBot

import napari_flim
from napari_flim.bridge.controller import CONTROLLERS
from napari_flim.bridge.marker_layers import find_markers, link_of
from napari_flim.bridge.readers import read_model, read_seeds_layers, seeds_layer
from napari_flim.engine.architecture import preset
from napari_flim.engine.image import read_array
from napari_flim.engine.markers import MarkerSet
from napari_flim.errors import FileError, FlimWarning, MarkerError
from napari_flim.progress import finish
from napari_flim.session.classes import COLOURS
from napari_flim.training import learn_model

SHAPE = (6, 8)
PATIENCE_MS = 20_000


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    """Background at (y, x) = (1, 3), two objects at (4, 5) and (2, 0), on 6 x 8 voxels."""
    path = tmp_path / 'cells-seeds.txt'
    path.write_text('3 8 6\n3 1 1 0\n5 4 2 1\n0 2 3 2\n')
    return path


def image(name: str, shape: tuple[int, ...] = SHAPE, **options) -> Image:
    return Image(np.zeros(shape, np.uint8), name=name, **options)


def opened(path: Path, *layers: Layer, active: Layer | None = None) -> Labels:
    data, options, kind = seeds_layer(str(path), layers, active)
    assert kind == 'labels'
    return Labels(data, **options)


def marked(layer: Labels) -> dict[tuple[int, ...], int]:
    return {tuple(place.tolist()): layer.data[tuple(place)] for place in np.argwhere(layer.data)}


def test_without_an_image_seeds_become_markers_of_their_own_size(seeds: Path) -> None:
    layer = opened(seeds)
    assert layer.data.shape == SHAPE
    assert marked(layer) == {(1, 3): 1, (4, 5): 2, (2, 0): 3}
    assert (layer.name, link_of(layer)) == ('cells markers', {})


def test_every_class_has_its_colour(seeds: Path) -> None:
    layer = opened(seeds)
    for label in (1, 2, 3):
        np.testing.assert_allclose(layer.get_color(label)[:3], COLOURS[label - 1], atol=1e-6)


def test_seeds_lie_over_the_image_of_their_name_and_belong_to_it(seeds: Path) -> None:
    other, cells = image('other'), image('cells', scale=(2, 0.5), units='um', rotate=30)
    layer = opened(seeds, other, cells, active=other)
    assert tuple(layer.scale) == (2, 0.5)
    assert layer.units == cells.units
    np.testing.assert_allclose(layer.data_to_world((4, 5)), cells.data_to_world((4, 5)))
    assert find_markers(cells, 'YX', [other, cells, layer]) is layer
    assert find_markers(other, 'YX', [other, cells, layer]) is None


def test_seeds_of_a_renamed_image_go_to_the_only_one_of_their_size(seeds: Path) -> None:
    small, fitting = image('small', (3, 4)), image('renamed')
    layer = opened(seeds, small, fitting, active=small)
    assert link_of(layer)['item'] == str(fitting.unique_id)


def test_of_several_images_of_their_size_the_active_one_is_taken(seeds: Path) -> None:
    one, two = image('one'), image('two')
    assert link_of(opened(seeds, one, two, active=one))['item'] == str(one.unique_id)
    assert not link_of(opened(seeds, one, two))


def test_seeds_of_another_size_are_scaled_to_the_active_image_with_a_warning(seeds: Path) -> None:
    twice = image('twice', (12, 16))
    with pytest.warns(FlimWarning, match='rescaled'):
        layer = opened(seeds, twice, active=twice)
    assert layer.data.shape == (12, 16)
    assert marked(layer) == {(3, 7): 1, (9, 11): 2, (5, 1): 3}


@pytest.mark.parametrize(
    ('shape', 'options'),
    [((*SHAPE, 3), {'rgb': True}), ((2, *SHAPE), {'axis_labels': ('c', 'y', 'x')})],
)
def test_channels_of_the_image_are_no_axis_of_the_markers(
    seeds: Path, shape: tuple[int, ...], options: dict
) -> None:
    cells = image('cells', shape, **options)
    layer = opened(seeds, cells)
    assert layer.data.shape == SHAPE
    assert link_of(layer)['item'] == str(cells.unique_id)


def test_a_stack_a_volume_and_a_result_are_no_image_for_flat_seeds(seeds: Path) -> None:
    stack = image('cells', (1, *SHAPE), axis_labels=('t', 'y', 'x'))
    volume = image('cells', (4, *SHAPE, 9), axis_labels=('t', 'z', 'y', 'x'))
    result = image('cells', metadata={'napari_flim': {'role': 'saliency', 'item': 'x'}})
    assert not link_of(opened(seeds, volume, result, active=result))
    assert opened(seeds, stack).data.shape == SHAPE


def test_seeds_of_a_volume_lie_over_the_volume(tmp_path: Path) -> None:
    path = tmp_path / 'brain-seeds.txt'
    path.write_text('1 5 4 3\n4 3 2 1 1 0\n')
    volume = image('brain', (3, 4, 5), scale=(2, 1, 1))
    layer = opened(path, volume)
    assert marked(layer) == {(2, 3, 4): 2}
    assert tuple(layer.scale) == (2, 1, 1)


def test_a_damaged_seed_file_says_in_which_line(tmp_path: Path) -> None:
    path = tmp_path / 'cells-seeds.txt'
    path.write_text('2 8 6\n3 1 1 0\n')
    with pytest.raises(FileError, match='cells-seeds.txt, line 1: 2 seeds are announced'):
        read_seeds_layers([str(path)])


def test_more_classes_than_a_marker_layer_holds_are_refused(tmp_path: Path) -> None:
    path = tmp_path / 'cells-seeds.txt'
    path.write_text('2 8 6\n3 1 1 0\n5 4 2 300\n')
    with pytest.raises(MarkerError, match='holds the label 300'):
        read_seeds_layers(str(path))


def test_without_a_window_a_model_says_where_to_open_it() -> None:
    with pytest.raises(FileError, match='needs a napari window'):
        read_model('some.flim')


def test_two_models_at_once_are_refused() -> None:
    with pytest.raises(FileError, match='2 files were given'):
        read_model(['one.flim', 'two.flim'])


@pytest.fixture
def plugin(npe2pm: Any) -> Iterator[Any]:
    manifest = Path(napari_flim.__file__).with_name('napari.yaml')
    with npe2pm.tmp_plugin(manifest=str(manifest)):
        yield npe2pm


@pytest.fixture
def model(scene: Any, tmp_path: Path) -> Path:
    """A model of the small scene, saved."""
    image, markers = read_array(scene.image), MarkerSet.from_labels(scene.markers)
    path = tmp_path / 'cells.flim'
    finish(learn_model([image], [markers], preset('flyweight'))).save(path)
    return path


def train_docks(viewer: Any) -> list[str]:
    return [title for title in viewer.window.dock_widgets if title.startswith('Train')]


@pytest.mark.usefixtures('plugin')
def test_seeds_dropped_on_a_window_lie_over_its_image(make_napari_viewer: Any, seeds: Path) -> None:
    viewer = make_napari_viewer()
    cells = viewer.add_image(np.zeros(SHAPE), name='cells', scale=(0.5, 0.5), units='um')
    (layer,) = viewer.open(seeds, plugin='napari-flim')
    assert link_of(layer)['item'] == str(cells.unique_id)
    assert {f'{unit:~P}' for unit in viewer.dims.units} == {'µm'}
    assert not train_docks(viewer)


@pytest.mark.usefixtures('plugin')
def test_a_model_opens_the_train_dock_once_and_adds_no_layer(
    make_napari_viewer: Any, qtbot: QtBot, model: Path
) -> None:
    viewer = make_napari_viewer()
    session = CONTROLLERS.of(viewer).session
    for _ in range(2):
        before = session.learned
        assert viewer.open(model, plugin='napari-flim') == []
        qtbot.waitUntil(lambda before=before: session.learned is not before, timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: bool(train_docks(viewer)), timeout=PATIENCE_MS)
    assert train_docks(viewer) == ['Train (FLIM - Feature Learning from Image Markers)']
    assert session.learned is not None and session.learned.model.ndim == 2


@pytest.mark.usefixtures('plugin')
def test_the_train_dock_that_a_menu_opened_is_shown_again(
    make_napari_viewer: Any, qtbot: QtBot, model: Path
) -> None:
    from napari._app_model import get_app_model

    viewer = make_napari_viewer(show=True)
    get_app_model().commands.execute_command('napari-flim.train').result()
    (title,) = train_docks(viewer)
    dock = viewer.window.dock_widgets[title].parentWidget()
    dock.hide()
    viewer.open(model, plugin='napari-flim')
    qtbot.waitUntil(lambda: not dock.isHidden(), timeout=PATIENCE_MS)
    assert train_docks(viewer) == [title]


@pytest.mark.usefixtures('plugin')
@pytest.mark.parametrize('ending', ['.flim', '.flim-session'])
def test_a_damaged_file_is_told_by_napari_and_changes_nothing(
    make_napari_viewer: Any, qtbot: QtBot, tmp_path: Path, ending: str
) -> None:
    viewer = make_napari_viewer()
    path = tmp_path / f'broken{ending}'
    path.write_bytes(b'no model at all')
    session = CONTROLLERS.of(viewer).session
    state, said = session.state, []

    def note(notification: Any) -> None:
        said.append(notification.message)

    notification_manager.notification_ready.connect(note)
    viewer.open(path, plugin='napari-flim')
    qtbot.waitUntil(lambda: bool(said), timeout=PATIENCE_MS)
    notification_manager.notification_ready.disconnect(note)
    (text,) = said
    assert text.startswith(f'{path} is not a readable {ending} ')
    assert text.endswith(f'Choose a {ending} file saved by napari-flim.')
    assert session.state is state
    assert not train_docks(viewer)
    assert not viewer.layers
