import dask.array as da
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_flim.engine.image import guess_axes, read_array, read_stack
from napari_flim.engine.placement import Placement
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


def test_lists_are_read():
    assert read_array([[1, 2], [3, 4]]).data.tolist() == [[[1, 2], [3, 4]]]


class Counting:
    """An array on disk that counts the voxels that are read of it."""

    chunks = (2, 3, 4)

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.ndim = array, array.shape, array.dtype, array.ndim
        self.voxels = 0

    def __getitem__(self, key):
        part = self.array[key]
        self.voxels += part.size
        return part


def test_an_array_in_chunks_is_read_where_it_is_cropped():
    array = Counting(numbered(20, 30, 40))
    image = read_array(array)
    assert (image.lazy, image.shape, image.nbytes) == (True, (20, 30, 40), 20 * 30 * 40 * 4)
    assert image.describe() == 'volume of 20 x 30 x 40 voxels (z, y, x), float32'
    assert array.voxels == 0
    part = image.crop((slice(3, 5), slice(7, 9), slice(10, 30)))
    assert not part.lazy
    np.testing.assert_array_equal(part.data[0], array.array[3:5, 7:9, 10:30])
    assert array.voxels <= 4 * 6 * 24


@pytest.mark.parametrize('axes', ['CZYX', 'XYZC', 'TCYX', 'TZYX', 'YXZC'])
def test_the_chunks_of_a_dask_array_are_kept_and_never_computed(axes):
    array = da.from_array(numbered(4, 6, 8, 10), chunks=(2, 3, 4, 5))
    expected = read_stack(array.compute(), axes)
    images = read_stack(array, axes)
    assert len(images) == len(expected)
    for image, whole in zip(images, expected, strict=True):
        assert image.lazy and not whole.lazy
        assert max(map(max, image.data.chunks)) <= 5
        np.testing.assert_array_equal(image.in_memory().data, whole.data)


def test_the_alpha_of_a_lazy_image_is_left_out_lazily():
    array = numbered(6, 8, 4, dtype=np.uint8)
    with pytest.warns(FlimWarning, match='alpha'):
        image = read_array(da.from_array(array, chunks=4))
    assert (image.lazy, image.rgb) == (True, True)
    np.testing.assert_array_equal(image.in_memory().data, np.moveaxis(array[..., :3], -1, 0))


def test_an_image_in_memory_stays_the_same_object():
    image = read_array(numbered(4, 5))
    assert image.in_memory() is image


@pytest.mark.parametrize('lazy', [False, True])
@given(st.data())
def test_a_crop_is_what_slicing_gives(lazy, data):
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=3, max_side=6))
    array = numbered(2, *shape)
    image = read_array(
        da.from_array(array, chunks=2) if lazy else array, 'C' + 'ZYX'[-len(shape) :]
    )
    box = tuple(
        slice(start, data.draw(st.integers(start + 1, size + 2)))
        for size in shape
        for start in [data.draw(st.integers(0, size - 1))]
    )
    part = image.crop(box)
    assert not part.lazy
    np.testing.assert_array_equal(part.data, array[(slice(None), *box)])
    assert (part.spacing, part.name, part.rgb) == (image.spacing, image.name, image.rgb)


def test_crops_together_are_those_one_by_one_and_read_their_chunks_once():
    read = []

    def block(block_info=None):
        read.append(block_info[None]['chunk-location'])
        return np.arange(16, dtype=np.uint8).reshape(4, 4) + len(read)

    lazy = da.map_blocks(block, chunks=((4,) * 5, (4,) * 5), dtype=np.uint8, meta=np.empty((0, 0)))
    boxes = [(slice(0, 6), slice(1, 3)), (slice(2, 4), slice(0, 4)), (slice(16, 20), slice(9, 10))]
    read_array(lazy).crops(boxes)
    assert sorted(read) == [(0, 0), (1, 0), (4, 2)]
    values = np.random.default_rng(0).random((20, 20))
    placed = read_array(da.from_array(values, chunks=4), placement=Placement('um', (1.0, 2.0)))
    for box, crop in zip(boxes, placed.crops(boxes), strict=True):
        np.testing.assert_array_equal(crop.data[0], values[box])
        assert crop.placement == placed.crop(box).placement


def test_what_was_measured_of_an_image_is_not_true_of_its_parts():
    lazy = read_array(da.from_array(np.arange(12.0).reshape(3, 4)))
    lazy.measured['mean'] = 5.5
    assert lazy.crop((slice(0, 1), slice(0, 1))).measured == lazy.in_memory().measured == {}


@pytest.mark.parametrize(
    'box', [(slice(0, 2),), (slice(2, 2), slice(0, 1)), (slice(9, 10), slice(0, 1))]
)
def test_a_crop_that_holds_no_voxel_is_refused(box):
    with pytest.raises(ImageError, match='cannot be cropped'):
        read_array(numbered(4, 5)).crop(box)


def test_a_crop_moves_its_placement():
    affine = ((0.0, -2.0, 0.0, 5.0), (0.5, 0.0, 0.0, 6.0), (0.0, 0.0, 3.0, 7.0), (0, 0, 0, 1))
    placement = Placement('millimeter', (7.0, 6.0, 5.0), affine)
    image = read_array(numbered(4, 5, 6), spacing=(3, 2, 0.5), placement=placement)
    moved = image.crop((slice(1, 3), slice(2, 4), slice(3, 6))).placement
    assert moved.origin == (10.0, 10.0, 6.5)
    expected = np.array(affine) @ (3, 2, 1, 1)
    np.testing.assert_allclose(np.array(moved.affine)[:, 3], expected)
    assert moved.unit == 'millimeter'


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
