import dask.array as da
import numpy as np
import pytest

from napari_flim.engine.image import guess_axes, read_array, read_stack
from napari_flim.errors import FlimWarning, ImageError


def numbered(*shape, dtype=np.float32):
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


@pytest.mark.parametrize(
    ('shape', 'dtype', 'axes'),
    [
        ((4, 5), 'uint8', 'YX'),
        ((4, 3), 'uint8', 'YX'),
        ((4, 5, 6), 'uint16', 'ZYX'),
        ((4, 5, 3), 'uint8', 'YXS'),
        ((4, 5, 4), 'uint8', 'YXS'),
        ((4, 5, 3), 'uint16', 'ZYX'),
        ((3, 4, 5), 'uint8', 'ZYX'),
        ((2, 4, 5, 3), 'uint8', 'ZYXS'),
    ],
)
def test_axes_are_guessed_by_one_rule(shape, dtype, axes):
    assert guess_axes(shape, dtype) == axes


@pytest.mark.parametrize(
    ('shape', 'dtype'), [((5,), 'uint8'), ((2, 3, 4, 5), 'float32'), ((2, 2, 4, 5, 3), 'uint8')]
)
def test_axes_that_cannot_be_guessed_must_be_named(shape, dtype):
    with pytest.raises(ImageError, match='name them, for example axes="CZYX"'):
        guess_axes(shape, dtype)


@pytest.mark.parametrize(
    ('axes', 'shape', 'channels', 'spatial'),
    [
        ('YX', (4, 5), 1, (4, 5)),
        ('XY', (4, 5), 1, (5, 4)),
        ('CYX', (2, 4, 5), 2, (4, 5)),
        ('YXC', (4, 5, 2), 2, (4, 5)),
        ('zyx', (3, 4, 5), 1, (3, 4, 5)),
        ('CZYX', (2, 3, 4, 5), 2, (3, 4, 5)),
        ('ZCYX', (3, 2, 4, 5), 2, (3, 4, 5)),
        ('YXS', (4, 5, 3), 3, (4, 5)),
        ('SYX', (3, 4, 5), 3, (4, 5)),
        ('ZYXS', (2, 4, 5, 3), 3, (2, 4, 5)),
    ],
)
def test_named_axes_are_brought_into_one_order(axes, shape, channels, spatial):
    image = read_array(numbered(*shape), axes)
    assert image.channels == channels
    assert image.shape == spatial
    assert image.ndim == len(spatial)
    assert image.rgb is ('S' in axes)
    assert image.data.dtype == np.float32


def test_every_value_arrives_at_its_place():
    array = numbered(3, 2, 4, 5)
    image = read_array(array, 'ZCXY')
    for z, c, x, y in np.ndindex(array.shape):
        assert image.data[c, z, y, x] == array[z, c, x, y]


def test_the_samples_of_a_colour_volume_become_channels():
    array = numbered(2, 4, 5, 3, dtype=np.uint8)
    image = read_array(array)
    np.testing.assert_array_equal(image.data, np.moveaxis(array, -1, 0))


@pytest.mark.parametrize('axes', ['YXS', 'SYX'])
def test_an_alpha_channel_is_left_out_with_a_warning(axes):
    array = numbered(4, 5, 4, dtype=np.uint8)
    named = array if axes == 'YXS' else np.moveaxis(array, -1, 0)
    with pytest.warns(FlimWarning, match='cells has an alpha channel'):
        image = read_array(named, axes, name='cells')
    np.testing.assert_array_equal(image.data, np.moveaxis(array[..., :3], -1, 0))


@pytest.mark.parametrize('axes', ['TYX', 'YTX'])
def test_a_stack_gives_one_named_image_for_each_step(axes):
    array = numbered(3, 4, 5)
    images = read_stack(np.moveaxis(array, 0, axes.index('T')), axes, name='cells')
    assert [image.name for image in images] == ['cells[0]', 'cells[1]', 'cells[2]']
    for image, step in zip(images, array, strict=True):
        np.testing.assert_array_equal(image.data, step[None])
        assert image.spacing == (1.0, 1.0)


def test_a_stack_may_hold_channels_colours_and_volumes():
    assert read_stack(numbered(2, 3, 4, 5, 6), 'TCZYX')[1].data.shape == (3, 4, 5, 6)
    coloured = read_stack(numbered(2, 4, 5, 3), 'TYXS')[1]
    assert coloured.data.shape == (3, 4, 5)
    assert coloured.rgb


def test_a_stack_of_one_image_is_that_image():
    assert read_array(numbered(1, 4, 5), 'TYX', name='cells').name == 'cells'
    with pytest.raises(ImageError, match='stack of 2 images; expected one'):
        read_array(numbered(2, 4, 5), 'TYX')


def test_spacing_follows_the_spatial_axes():
    assert read_array(numbered(3, 4, 5)).spacing == (1.0, 1.0, 1.0)
    assert read_array(numbered(2, 3, 4, 5), 'CZYX', spacing=[2, 0.5, 0.5]).spacing == (2, 0.5, 0.5)
    assert read_array(numbered(4, 5, 3), 'YXS', spacing=(2, 1)).spacing == (2, 1)


@pytest.mark.parametrize('spacing', [(1,), (1, 1, 1), (0, 1), (-1, 1), (np.nan, 1), (np.inf, 1)])
def test_an_impossible_spacing_gives_a_clear_error(spacing):
    with pytest.raises(ImageError, match='voxel size .* expected 2 positive numbers'):
        read_array(numbered(4, 5), spacing=spacing)


@pytest.mark.parametrize(
    ('axes', 'shape'),
    [
        ('YX', (3, 4, 5)),
        ('YY', (4, 5)),
        ('ZX', (4, 5)),
        ('QYX', (3, 4, 5)),
        ('CYXS', (2, 4, 5, 3)),
        ('', (4, 5)),
    ],
)
def test_axes_that_do_not_fit_give_a_clear_error(axes, shape):
    with pytest.raises(ImageError, match='do not describe cells .* one letter for each axis'):
        read_array(numbered(*shape), axes, name='cells')


def test_colours_have_three_or_four_samples():
    with pytest.raises(ImageError, match='2 samples on axis S; RGB has 3 and RGBA 4'):
        read_array(numbered(4, 5, 2), 'YXS')


@pytest.mark.parametrize('array', [np.zeros((2, 2), complex), np.array([['a']]), [[None]]])
def test_values_that_are_not_numbers_give_a_clear_error(array):
    with pytest.raises(ImageError, match='expected numbers'):
        read_array(array)


def test_an_empty_image_gives_a_clear_error():
    with pytest.raises(ImageError, match='holds no voxel'):
        read_array(np.zeros((0, 5)))


@pytest.mark.parametrize('dtype', ['bool', 'uint8', 'int16', 'uint64', 'float16', 'float64'])
def test_values_keep_their_type(dtype):
    assert read_array(np.ones((4, 5), dtype)).data.dtype == dtype


def test_lists_and_lazy_arrays_are_read():
    assert read_array([[1, 2], [3, 4]]).data.tolist() == [[[1, 2], [3, 4]]]
    array = numbered(3, 4, 5)
    image = read_array(da.from_array(array, chunks=2))
    assert isinstance(image.data, np.ndarray)
    np.testing.assert_array_equal(image.data[0], array)


@pytest.mark.parametrize(
    ('image', 'words'),
    [
        (read_array(numbered(4, 5)), 'image of 4 x 5 pixels (y, x), float32'),
        (
            read_array(numbered(2, 3, 4, 5), 'CZYX', spacing=(2, 0.5, 0.5)),
            'volume of 3 x 4 x 5 voxels (z, y, x), 2 channels, float32, voxel 2 x 0.5 x 0.5',
        ),
        (
            read_array(numbered(4, 5, 3, dtype=np.uint8)),
            'image of 4 x 5 pixels (y, x), RGB, uint8',
        ),
    ],
)
def test_an_image_is_described_in_words(image, words):
    assert image.describe() == words
