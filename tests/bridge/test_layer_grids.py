"""Where maps lie in the world."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_flim.bridge.layer_axes import marker_axes, marker_shape
from napari_flim.bridge.layer_grids import channel_grid, grid_of, move_to, world_of

# napari says so of any rotation out of the slice; the world coordinates are right.
pytestmark = pytest.mark.filterwarnings('ignore:Non-orthogonal slicing')

AXES = ('YX', 'ZYX', 'TYX', 'CYX', 'TZYX', 'CZYX', 'CTYX', 'CTZYX', 'YXS', 'ZYXS', 'TYXS')
SPATIAL_ATTRIBUTES = {
    'scale',
    'translate',
    'rotate',
    'shear',
    'affine',
    'units',
    'axis_labels',
}
SIZES = {'T': 3, 'C': 2, 'Z': 7, 'Y': 12, 'X': 15, 'S': 3}


def image_of(axes: str, **spatial) -> Image:
    shape = tuple(SIZES[letter] for letter in axes)
    return Image(np.zeros(shape, np.uint8), rgb='S' in axes, **spatial)


@st.composite
def placed_images(draw) -> tuple[Image, str]:
    """An image somewhere in the world; channels and frames are not mixed with space."""
    axes = draw(st.sampled_from(AXES))
    letters = axes.rstrip('S')
    space = sum(letter in 'ZYX' for letter in letters)
    ndim = len(letters)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rotation, _ = np.linalg.qr(rng.normal(size=(space, space)))
    shear = np.triu(rng.uniform(-0.5, 0.5, (space, space)), 1) + np.eye(space)
    extra = np.eye(ndim + 1)
    extra[-space - 1 : -1, -space - 1 : -1] += rng.uniform(-0.3, 0.3, (space, space))
    extra[:-1, -1] = rng.uniform(-50, 50, ndim)
    image = image_of(
        axes,
        scale=rng.uniform(0.1, 5, ndim),
        translate=rng.uniform(-100, 100, ndim),
        rotate=rotation,
        shear=shear.T if draw(st.booleans()) else shear,
        affine=extra,
        units=['pixel'] * (ndim - space) + ['um'] * space,
    )
    return image, axes


@settings(max_examples=60, deadline=None)
@given(placed_images(), st.lists(st.integers(1, 4), min_size=3, max_size=3), st.data())
def test_voxel_i_of_a_map_lies_at_image_voxel_i_times_stride(placed, strides, data) -> None:
    image, axes = placed
    letters = marker_axes(axes)
    steps = [strides.pop() if letter in 'ZYX' else 1 for letter in letters]
    stride = [step for step, letter in zip(steps, letters, strict=True) if letter in 'ZYX']
    sizes = [-(-n // step) for n, step in zip(marker_shape(image, axes), steps, strict=True)]
    voxel = [data.draw(st.integers(0, n - 1)) for n in sizes]
    grid = grid_of(image, axes, stride=stride)
    mapped = Labels(np.zeros(sizes, np.uint8), **grid)
    there = [place * step for place, step in zip(voxel, steps, strict=True)]
    expected = world_of(image, axes, there)
    np.testing.assert_allclose(
        mapped.data_to_world(voxel), expected[-len(letters) :], rtol=1e-9, atol=1e-9
    )
    channels = Image(np.zeros((4, *sizes)), **channel_grid(image, axes, stride))
    np.testing.assert_allclose(
        channels.data_to_world([2, *voxel]), [2, *expected[-len(letters) :]], rtol=1e-9, atol=1e-9
    )


@settings(max_examples=20, deadline=None)
@given(placed_images())
def test_the_viewer_keeps_its_units_beside_maps(placed) -> None:
    image, axes = placed
    viewer = ViewerModel()
    viewer.add_layer(image)
    before = viewer.layers.units
    viewer.add_labels(np.zeros(marker_shape(image, axes), np.uint8), **grid_of(image, axes))
    assert viewer.layers.units == before


def test_channels_do_not_take_the_scale_bar_its_unit() -> None:
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((12, 15)), scale=(0.5, 0.25), units='um')
    viewer.add_image(np.zeros((4, 6, 8)), **channel_grid(image, 'YX', (2, 2)))
    assert [f'{unit:~P}' for unit in viewer.layers.units] == ['pixel', 'µm', 'µm']
    assert [f'{unit:~P}' for unit in viewer.dims.units] == ['pixel', 'µm', 'µm']
    assert viewer.dims.axis_labels[0] == 'kernel'


def test_a_map_without_stride_has_the_attributes_of_the_image() -> None:
    image = image_of('ZYX', scale=(2, 0.5, 0.5), units='um', axis_labels=('z', 'y', 'x'))
    grid = grid_of(image, 'ZYX')
    assert tuple(grid['scale']) == (2, 0.5, 0.5)
    assert grid['axis_labels'] == ('z', 'y', 'x')
    assert set(grid) == SPATIAL_ATTRIBUTES


def test_world_coordinates_have_one_number_for_each_axis_of_the_layer() -> None:
    image = image_of('CTYX', scale=(1, 10, 0.5, 0.25))
    assert world_of(image, 'CTYX', (2, 4, 8)) == (0, 20, 2, 2)
    assert world_of(image_of('YXS', scale=(2, 3)), 'YXS', (1, 1)) == (2, 3)


def test_a_layer_moves_along_when_its_image_is_placed_again() -> None:
    image = image_of('YX')
    layer = Labels(np.zeros((12, 15), np.uint8), **grid_of(image, 'YX'))
    image.scale, image.rotate, image.shear = (0.5, 0.25), 30, [0.2]
    image.units, image.axis_labels = ('um', 'um'), ('y', 'x')
    image.affine = [[1, 0.1, 5], [0, 1, 6], [0, 0, 1]]
    move_to(layer, grid_of(image, 'YX'))
    assert layer.data_to_world((3, 4)) == pytest.approx(image.data_to_world((3, 4)))
    assert (layer.units, layer.axis_labels) == (image.units, image.axis_labels)


def test_a_layer_that_is_in_place_is_left_alone() -> None:
    image = image_of('ZYX', scale=(2, 1, 1), rotate=(10, 20, 30), shear=[0.1, 0.2, 0.3])
    layer = Labels(np.zeros((7, 12, 15), np.uint8), **grid_of(image, 'ZYX'))
    seen = []
    for name in SPATIAL_ATTRIBUTES:
        getattr(layer.events, name).connect(lambda event: seen.append(event.type))
    move_to(layer, grid_of(image, 'ZYX'))
    assert seen == []
