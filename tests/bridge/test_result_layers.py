"""Our layers in the user's viewer."""

from __future__ import annotations

import sys
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_flim.bridge.layer_grids import channel_grid, grid_of
from napari_flim.bridge.marker_layers import class_colormap, new_marker_layer
from napari_flim.bridge.result_layers import ResultLayers, saliency_colormap
from napari_flim.session.classes import FIRST_CLASSES

SHAPE = (12, 15)


class Scene:
    """A viewer with two images, the first of them with markers that are being painted."""

    def __init__(self) -> None:
        self.viewer = ViewerModel()
        self.layers = self.viewer.layers
        self.image = self.viewer.add_image(
            np.zeros(SHAPE, np.uint8), name='cells', scale=(0.5, 0.25), units='um'
        )
        self.other = self.viewer.add_image(np.zeros(SHAPE, np.uint8), name='other', units='um')
        self.markers = new_marker_layer(self.image, 'YX', FIRST_CLASSES)
        self.viewer.add_layer(self.markers)
        self.results = ResultLayers(self.layers)
        self.item = str(self.image.unique_id)

    def saliency(self, value: float = 0.5, **options) -> Image:
        options = {'data': np.full(SHAPE, value, np.float32), **options}
        grid = options.pop('grid', grid_of(self.image, 'YX'))
        item = options.pop('item', self.item)
        return self.results.show_image(
            'saliency', item, 'cells saliency', options.pop('data'), grid, **options
        )

    def objects(self, value: int = 2, **options) -> Labels:
        data = np.full(SHAPE, value, np.uint8)
        grid = grid_of(self.image, 'YX')
        options = {'colormap': None, **options}
        return self.results.show_labels(
            'objects', self.item, 'cells objects', data, grid, **options
        )


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_new_result_lies_over_its_image_and_below_its_markers(scene: Scene) -> None:
    layer = scene.saliency(colormap='magma', contrast_limits=(0, 2), opacity=0.4)
    names = [one.name for one in scene.layers]
    assert names == ['cells', 'other', 'cells saliency', 'cells markers']
    assert (layer.colormap.name, layer.contrast_limits, layer.opacity) == ('magma', [0, 2], 0.4)
    assert layer.blending == 'additive'
    assert tuple(layer.scale) == (0.5, 0.25)
    scene.objects()
    assert [one.name for one in scene.layers][2:4] == ['cells saliency', 'cells objects']


def test_without_markers_of_ours_a_result_lies_directly_over_its_image(scene: Scene) -> None:
    scene.layers.remove(scene.markers)
    scene.viewer.add_labels(np.zeros(SHAPE, np.uint8), name='cells markers')
    scene.saliency()
    scene.objects()
    names = [one.name for one in scene.layers]
    assert names == ['cells', 'cells saliency', 'cells objects', 'other', 'cells markers']


def test_an_update_keeps_the_layer_and_what_the_user_set(scene: Scene) -> None:
    layer = scene.saliency()
    layer.colormap, layer.contrast_limits, layer.opacity = 'viridis', (0.2, 0.8), 0.3
    layer.blending, layer.visible, layer.name = 'translucent', False, 'mine'
    again = scene.saliency(0.9, colormap='red', contrast_limits=(0, 1), opacity=1)
    assert again is layer
    assert (layer.data == np.float32(0.9)).all()
    assert (layer.colormap.name, layer.contrast_limits) == ('viridis', [0.2, 0.8])
    assert (layer.opacity, layer.blending, layer.visible) == (0.3, 'translucent', False)
    assert layer.name == 'mine'


def test_an_update_in_place_is_drawn(scene: Scene) -> None:
    layer = scene.saliency()
    drawn = []
    layer.events.set_data.connect(lambda event: drawn.append(layer.data.max()))
    scene.saliency(0.75)
    assert drawn == [0.75]


def test_another_shape_keeps_the_layer_and_its_contrast(scene: Scene) -> None:
    layer = scene.saliency()
    layer.contrast_limits = (0.2, 0.8)
    image = scene.image
    image.data = np.zeros((20, 30), np.uint8)
    assert scene.saliency(data=np.ones((20, 30), np.float32)) is layer
    assert layer.data.shape == (20, 30)
    assert layer.contrast_limits == [0.2, 0.8]
    image.data = np.zeros((4, 20, 30), np.uint8)
    image.scale = (3, 0.5, 0.25)
    volume = np.ones((4, 20, 30), np.float32)
    assert scene.saliency(data=volume, grid=grid_of(image, 'ZYX')) is layer
    assert tuple(layer.scale) == (3, 0.5, 0.25)
    assert layer.units == image.units


def test_results_follow_the_image_when_it_is_placed_again(scene: Scene) -> None:
    layer = scene.saliency()
    scene.image.translate, scene.image.rotate = (5, 6), 30
    scene.saliency()
    assert layer.data_to_world((3, 4)) == pytest.approx(scene.image.data_to_world((3, 4)))


def test_a_deleted_result_is_made_again(scene: Scene) -> None:
    first = scene.saliency()
    scene.layers.remove(first)
    second = scene.saliency()
    assert second is not first
    assert second in scene.layers
    assert scene.results.all() == [second]


def test_results_of_two_images_and_of_two_roles_do_not_mix(scene: Scene) -> None:
    mine, other = scene.saliency(0.1), scene.saliency(0.2, item=str(scene.other.unique_id))
    objects = scene.objects()
    scene.saliency(0.3)
    assert (mine.data.max(), other.data.max()) == pytest.approx((0.3, 0.2))
    assert scene.results.of_item(scene.item) == [mine, objects]
    assert scene.results.find('objects', scene.item) is objects
    assert scene.results.find('objects', str(scene.other.unique_id)) is None


def test_names_mean_nothing(scene: Scene) -> None:
    layer = scene.saliency()
    layer.name = 'cells markers'
    theirs = scene.viewer.add_image(np.zeros(SHAPE, np.float32), name='cells saliency')
    scene.image.name, scene.markers.name = 'nuclei', 'strokes'
    scene.layers.move(scene.layers.index(layer), 0)
    assert scene.saliency(0.9) is layer
    assert theirs.data.max() == 0
    assert scene.results.all() == [layer]


def test_a_copy_that_the_user_keeps_is_not_written(scene: Scene) -> None:
    layer = scene.saliency(0.5)
    kept = Image(layer.data.copy(), name='before', metadata=dict(layer.metadata))
    scene.layers.insert(0, kept)
    scene.saliency(0.9)
    assert kept.data.max() == 0.5
    assert scene.results.all() == [layer]
    scene.results.remove('saliency', scene.item)
    assert kept in scene.layers


def test_painting_goes_on_while_results_come(scene: Scene) -> None:
    scene.layers.selection.active = scene.markers
    scene.markers.mode = 'paint'
    scene.saliency()
    scene.objects()
    assert scene.layers.selection.active is scene.markers
    assert set(scene.layers.selection) == {scene.markers}
    assert scene.markers.mode == 'paint'
    assert scene.viewer.cursor.style == scene.markers.cursor


@pytest.mark.parametrize('chosen', [[], [0, 1]])
def test_any_selection_stays(scene: Scene, chosen: list[int]) -> None:
    selected = {scene.layers[index] for index in chosen}
    scene.layers.selection = selected
    scene.saliency()
    assert set(scene.layers.selection) == selected
    assert scene.layers.selection.active is None


def test_only_the_region_is_written(scene: Scene) -> None:
    region = (slice(2, 5), slice(3, 7))
    part = np.ones((3, 4), np.float32)
    layer = scene.saliency(data=part, region=region, shape=SHAPE)
    assert layer.data.shape == SHAPE
    assert layer.data.sum() == 12
    scene.saliency(0.5)
    assert scene.saliency(data=part, region=region, shape=SHAPE) is layer
    assert (layer.data[region] == 1).all()
    assert layer.data.sum() == pytest.approx(12 + 0.5 * (12 * 15 - 12))


def test_a_region_of_an_image_of_another_shape_starts_anew(scene: Scene) -> None:
    layer = scene.saliency(0.5)
    region = (slice(0, 2), slice(0, 2))
    scene.saliency(data=np.ones((2, 2), np.float32), region=region, shape=(20, 30))
    assert layer.data.shape == (20, 30)
    assert layer.data.sum() == 4


def test_what_is_shown_is_a_copy(scene: Scene) -> None:
    frozen = np.zeros(SHAPE, np.float32)
    frozen.flags.writeable = False
    layer = scene.saliency(data=frozen)
    scene.saliency(0.9)
    assert layer.data.max() == np.float32(0.9)
    assert frozen.max() == 0


def test_lazy_results_are_shown_without_reading_all_of_them(scene: Scene) -> None:
    read = []

    def watched(block: np.ndarray) -> np.ndarray:
        read.append(block.shape)
        return block

    grid = grid_of(scene.image, 'YX')
    lazy = da.zeros((8, *SHAPE), chunks=(1, *SHAPE), dtype=np.float32)
    lazy = lazy.map_blocks(watched, dtype=np.float32, meta=np.zeros(0, np.float32))
    grid = channel_grid(scene.image, 'YX', (1, 1))
    read.clear()
    layer = scene.results.show_image('channels', scene.item, 'channels', lazy, grid)
    assert layer.data is lazy
    second = lazy + 1
    assert scene.results.show_image('channels', scene.item, 'channels', second, grid) is layer
    assert layer.data is second
    assert len(read) < 8
    whole = np.ones((8, *SHAPE), np.float32)
    scene.results.show_image('channels', scene.item, 'channels', whole, grid)
    assert isinstance(layer.data, np.ndarray)


def test_a_result_never_takes_the_unit_of_the_viewer_away(scene: Scene) -> None:
    before = scene.viewer.layers.units
    assert [str(unit) for unit in before] == ['micrometer', 'micrometer']
    scene.saliency()
    scene.objects()
    assert scene.viewer.layers.units == before
    assert scene.viewer.dims.units == before


def test_labels_take_the_colours_of_the_classes(scene: Scene) -> None:
    layer = scene.objects(colormap=class_colormap(FIRST_CLASSES), opacity=0.9)
    assert isinstance(layer, Labels)
    assert tuple(layer.get_color(2)[:3]) == pytest.approx(FIRST_CLASSES[1].colour, abs=1 / 255)
    assert scene.objects(1) is layer
    assert (layer.data == 1).all()
    assert layer.opacity == 0.9


def test_labels_keep_what_the_user_chose_for_them(scene: Scene) -> None:
    layer = scene.objects()
    layer.selected_label, layer.mode, layer.contour = 7, 'pick', 2
    colours = layer.colormap = class_colormap(FIRST_CLASSES)
    assert scene.objects(3) is layer
    scene.image.data = np.zeros((20, 30), np.uint8)
    grid = grid_of(scene.image, 'YX')
    larger = np.ones((20, 30), np.uint8)
    again = scene.results.show_labels(
        'objects', scene.item, 'cells objects', larger, grid, colormap=None
    )
    assert again is layer
    assert (layer.selected_label, layer.mode, layer.contour) == (7, 'pick', 2)
    assert layer.colormap is colours


def test_labels_that_the_user_paints_on_are_never_written_again(scene: Scene) -> None:
    layer = scene.objects()
    layer.paint((5, 5), 4)
    painted = layer.data.copy()
    assert 4 in painted
    new = scene.objects(3)
    assert new is not layer
    assert (new.data == 3).all()
    assert scene.objects(5) is new
    np.testing.assert_array_equal(layer.data, painted)
    scene.results.remove('objects', scene.item)
    assert layer in scene.layers


def test_the_rest_of_a_region_can_be_emptied(scene: Scene) -> None:
    layer = scene.saliency(0.5)
    layer.contrast_limits, layer.colormap = (0.2, 0.8), 'viridis'
    region = (slice(2, 5), slice(3, 7))
    part = np.ones((3, 4), np.float32)
    assert scene.saliency(data=part, region=region, shape=SHAPE, emptied=True) is layer
    assert (layer.data[region] == 1).all()
    assert layer.data.sum() == 12
    assert (layer.contrast_limits, layer.colormap.name) == ([0.2, 0.8], 'viridis')


@pytest.mark.skipif(sys.platform != 'linux', reason='reads the pages of a process from /proc')
def test_a_large_stack_takes_memory_for_the_images_that_are_shown_only(scene: Scene) -> None:
    def resident() -> int:
        pages = Path('/proc/self/statm').read_text().split()[1]
        return int(pages) * 4096

    image = scene.viewer.add_image(np.broadcast_to(np.uint8(0), (256, 1024, 1024)), name='stack')
    region, shape = (slice(9, 10),), (256, 1024, 1024)
    part = np.ones((1, 1024, 1024), np.float32)
    before = resident()
    for emptied in (False, True):
        scene.results.show_image(
            'saliency', str(image.unique_id), 'saliency', part, grid_of(image, 'TYX'),
            region=region, shape=shape, emptied=emptied,
        )  # fmt: skip
    assert resident() - before < 256 * 2**20  # of 1024


def test_an_image_and_labels_of_one_role_are_two_layers(scene: Scene) -> None:
    layer = scene.saliency()
    data, grid = np.ones(SHAPE, np.uint8), grid_of(scene.image, 'YX')
    show, look = scene.results.show_labels, {'colormap': None}
    labels = show('saliency', scene.item, 'labels', data, grid, **look)
    assert show('saliency', scene.item, 'labels', data, grid, **look) is labels
    assert scene.saliency() is layer
    assert len(scene.results.all()) == 2


def test_removing_takes_only_our_layer(scene: Scene) -> None:
    scene.saliency()
    scene.results.remove('saliency', scene.item)
    scene.results.remove('saliency', scene.item)
    scene.results.remove('markers', scene.item)
    assert list(scene.layers) == [scene.image, scene.other, scene.markers]


def test_several_handles_on_one_viewer_share_the_layers(scene: Scene) -> None:
    layer = scene.saliency()
    assert ResultLayers(scene.layers).find('saliency', scene.item) is layer


def test_the_colours_of_saliency_start_transparent() -> None:
    colours = saliency_colormap((1.0, 0.5, 0.0)).map(np.array([0.0, 0.5, 1.0]))
    np.testing.assert_allclose(colours[0], [1, 0.5, 0, 0], atol=1e-6)
    np.testing.assert_allclose(colours[1], [1, 0.5, 0, 0.5], atol=0.01)
    np.testing.assert_allclose(colours[2], [1, 0.5, 0, 1], atol=1e-6)
