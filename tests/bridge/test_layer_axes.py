"""What the axes of image layers are taken for."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import zarr
from napari.components import ViewerModel
from napari.layers import Image
from npe2 import PluginManager
from skimage.io import imsave

from napari_flim.bridge.layer_axes import (
    default_axes,
    image_source,
    marker_axes,
    marker_shape,
    possible_axes,
    short_unit,
)
from napari_flim.errors import ImageError
from napari_flim.samples import SAMPLES


def layer_of(*shape: int, **options) -> Image:
    return Image(np.zeros(shape, np.uint8), **options)


@pytest.mark.parametrize(
    ('shape', 'axes'),
    [((8, 9), 'YX'), ((7, 8, 9), 'ZYX'), ((6, 7, 8, 9), 'TZYX'), ((1, 8, 9), 'TYX')],
)
def test_unnamed_axes_are_read_by_their_number(shape: tuple[int, ...], axes: str) -> None:
    assert default_axes(layer_of(*shape, rgb=False)) == axes


def test_two_single_planes_in_front_are_an_image() -> None:
    assert default_axes(layer_of(1, 1, 8, 9)) == 'CTYX'
    assert default_axes(layer_of(1, 7, 8, 9)) == 'TZYX'


def test_rgb_layers_end_with_samples_and_have_no_channels() -> None:
    assert possible_axes(layer_of(8, 9, 3, rgb=True)) == ('YXS',)
    assert possible_axes(layer_of(7, 8, 9, 4, rgb=True)) == ('ZYXS', 'TYXS')


@pytest.mark.parametrize(
    ('labels', 'axes'),
    [
        (('time', 'y', 'x'), 'TYX'),
        (('Channel', 'row', 'col'), 'CYX'),
        (('-3', 'y', 'x'), 'ZYX'),
        (('frame', '-2', '-1'), 'TYX'),
        (('depth', 'Y', 'X'), 'ZYX'),
        (('c', 'z', 'y', 'x'), 'CZYX'),
        (('c', 't', 'y', 'x'), 'CTYX'),
        (('c', 't', 'z', 'y', 'x'), 'CTZYX'),
    ],
)
def test_axis_labels_that_are_names_decide(labels: tuple[str, ...], axes: str) -> None:
    layer = layer_of(*range(4, 4 + len(labels)), axis_labels=labels)
    assert default_axes(layer) == axes
    assert possible_axes(layer)[0] == axes


def test_channels_are_only_ever_offered_in_front() -> None:
    for ndim in (3, 4):
        readings = possible_axes(layer_of(*range(5, 5 + ndim), rgb=False))
        assert all('C' not in axes[1:] for axes in readings)
        assert any(axes.startswith('C') for axes in readings)


@pytest.mark.parametrize('shape', [(2, 3, 4, 5, 6), (1, 2, 3, 4, 5, 6)])
def test_too_many_axes_without_names_say_what_to_do(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match=r'has shape \(.*Take out axes of length 1'):
        default_axes(layer_of(*shape))


def test_markers_have_neither_channels_nor_samples() -> None:
    assert marker_axes('CTYX') == 'TYX'
    assert marker_shape(layer_of(2, 8, 9, rgb=False), 'CYX') == (8, 9)
    assert marker_shape(layer_of(5, 8, 9, 3, rgb=True), 'TYXS') == (5, 8, 9)


def test_a_source_has_the_voxel_size_along_space_only() -> None:
    layer = layer_of(5, 7, 8, 9, scale=(30, -2, 0.5, 0.25), units=('s', 'um', 'um', 'um'))
    source = image_source(layer)
    assert (source.axes, source.spacing, source.unit) == ('TZYX', (2, 0.5, 0.25), 'µm')
    assert (source.shape, source.frames) == ((7, 8, 9), 5)
    assert source.data is layer.data


def test_voxel_sizes_are_brought_to_one_unit() -> None:
    layer = layer_of(7, 8, 9, scale=(2, 500, 250), units=('um', 'nm', 'nm'))
    assert image_source(layer).spacing == pytest.approx((2000, 500, 250))
    assert image_source(layer).unit == 'nm'


def test_a_unit_that_does_not_convert_leaves_the_size_as_it_is() -> None:
    layer = layer_of(7, 8, 9, scale=(2, 0.5, 0.25), units=('pixel', 'um', 'um'))
    assert image_source(layer).spacing == (2, 0.5, 0.25)


def test_layers_without_unit_are_in_pixels() -> None:
    assert short_unit(layer_of(8, 9)) == 'pixel'
    assert short_unit(layer_of(8, 9, units='dimensionless')) == 'pixel'


def test_a_source_keeps_its_key_when_the_layer_is_renamed() -> None:
    layer = layer_of(8, 9, name='cells')
    before = image_source(layer)
    layer.name = 'nuclei'
    assert image_source(layer).key == before.key
    assert (before.name, image_source(layer).name) == ('cells', 'nuclei')
    assert image_source(layer_of(8, 9)).key != before.key


def test_axes_chosen_by_the_user_are_taken() -> None:
    layer = layer_of(20, 8, 9)
    assert image_source(layer, 'TYX').frames == 20
    assert image_source(layer, 'CYX').channels == 20


@pytest.mark.parametrize('axes', ['YX', 'YXC', 'ZXY', 'CYXS', ''])
def test_axes_that_the_layer_cannot_have_are_refused(axes: str) -> None:
    with pytest.raises(ImageError, match='choose one of: ZYX, TYX, CYX'):
        image_source(layer_of(20, 8, 9), axes)


def test_lazy_arrays_are_not_read_to_be_understood(tmp_path) -> None:
    read = []

    def watched(block: np.ndarray) -> np.ndarray:
        read.append(block.shape)
        return block

    lazy = da.zeros((4, 64, 64), chunks=(1, 64, 64)).map_blocks(watched, meta=np.array([]))
    layer = Image(lazy, contrast_limits=(0, 1))
    read.clear()
    assert image_source(layer).data is lazy
    assert read == []
    stored = zarr.create_array(tmp_path / 'a.zarr', shape=(4, 64, 64), dtype='u1')
    assert image_source(Image(stored, contrast_limits=(0, 1))).data is stored


def test_a_multiscale_layer_gives_its_finest_level() -> None:
    levels = [np.zeros((64, 48)), np.zeros((32, 24))]
    source = image_source(Image(levels, multiscale=True))
    assert source.data is levels[0]
    assert (source.axes, source.shape) == ('YX', (64, 48))


def test_a_bundled_sample_is_known_by_its_name() -> None:
    PluginManager.instance().discover()
    name = next(iter(SAMPLES))
    image, _ = ViewerModel().open_sample('napari-flim', name)
    assert image_source(image).sample == name


def test_an_opened_file_is_known_by_its_path(tmp_path) -> None:
    path = tmp_path / 'cells.png'
    imsave(path, np.zeros((8, 9), np.uint8), check_contrast=False)
    (layer,) = ViewerModel().open(path, plugin='napari')
    assert image_source(layer).path == str(path)
    assert image_source(layer).sample is None
