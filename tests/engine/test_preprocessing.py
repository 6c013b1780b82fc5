from dataclasses import replace
from pathlib import Path

import dask.array as da
import imageio.v3 as imageio
import numpy as np
import pytest
import torch

from napari_flim.engine import image_sample
from napari_flim.engine.image import Image, read_array
from napari_flim.engine.input_features import input_features
from napari_flim.engine.preprocessing import InputTransform, parse_input
from napari_flim.errors import FlimWarning, ImageError

GOLDEN = Path(__file__).parents[1] / 'golden' / 'libift'
SCALED = InputTransform('scaled', percentiles=(0, 100))
GREY_KINDS = ['scaled', 'window', 'multiscale', 'libift']
DTYPES = [
    'bool',
    *('int8', 'int16', 'int32', 'int64', 'uint8', 'uint16', 'uint32', 'uint64'),
    *('float16', 'float32', 'float64'),
]


def read_mimg(path):
    content = path.read_bytes()
    x, y, z, channels = map(int, content.split(b'\n')[1].split())
    values = np.frombuffer(content[-4 * x * y * z * channels :], '<f4')
    return np.moveaxis(values.reshape(z, y, x, channels), -1, 0)


def grey(values, spacing=None):
    return read_array(np.asarray(values), axes='ZYX'[-np.ndim(values) :], spacing=spacing)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).random(shape)


@pytest.mark.parametrize('name', ['img1', 'img2'])
@pytest.mark.parametrize('kind', ['lab', 'libift', 'auto'])
def test_colours_become_what_libift_reads(name, kind):
    image = read_array(imageio.imread(GOLDEN / f'orig/{name}.png'))
    result = input_features(InputTransform(kind).resolved([image]), image)
    assert result.dtype == torch.float32
    expected = read_mimg(GOLDEN / f'lab/{name}.mimg')[:, 0]
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-6)


def test_grey_volumes_become_what_libift_reads():
    content = (GOLDEN / 'h_3d/orig/v.scn').read_bytes()
    x, y, z = map(int, content.split(b'\n')[1].split())
    image = grey(np.frombuffer(content[-2 * x * y * z :], '<u2').reshape(z, y, x))
    result = input_features(InputTransform('libift'), image)
    np.testing.assert_allclose(result, read_mimg(GOLDEN / 'h_3d/lab_v.mimg'), rtol=0, atol=1e-6)


def test_colours_of_any_type_are_the_same_colours():
    rgb = np.random.default_rng(0).integers(0, 256, (6, 7, 3)).astype(np.uint8)
    expected = input_features(InputTransform('lab'), read_array(rgb))
    wide = read_array(rgb.astype(np.float64) / 255, axes='YXS')
    torch.testing.assert_close(
        input_features(InputTransform('lab'), wide), expected, rtol=0, atol=2e-6
    )
    sixteen = read_array(rgb.astype(np.uint16) * 257, axes='YXS')
    assert (input_features(InputTransform('lab'), sixteen) - expected).abs().mean() < 0.01


@pytest.mark.parametrize(('axes', 'kind'), [('YX', 'scaled'), ('YXS', 'lab'), ('CYX', 'scaled')])
def test_auto_is_decided_by_the_first_image(axes, kind):
    shape = [3 if letter in 'CS' else 5 for letter in axes]
    image = read_array(noise(*shape), axes)
    assert InputTransform().resolved([image, image]).kind == kind


def test_an_undecided_transform_cannot_be_applied():
    with pytest.raises(ImageError, match=r'still "auto"; call resolved\(\)'):
        input_features(InputTransform(), grey(noise(4, 5)))


def test_images_of_a_model_must_be_alike():
    with pytest.raises(ImageError, match='b is .* but a .*same axes and channels'):
        InputTransform().resolved(
            [replace(grey(noise(4, 5)), name='a'), replace(grey(noise(3, 4, 5)), name='b')]
        )


def test_every_image_is_scaled_by_its_own_percentiles():
    values = np.arange(1001.0).reshape(7, 143)
    transform = InputTransform('scaled', percentiles=(10, 90))
    for factor, shift in ((1, 0), (30, -500)):
        image = grey(values * factor + shift)
        ((low, high),) = transform.statistics(image)
        assert (low, high) == pytest.approx((100 * factor + shift, 900 * factor + shift))
        expected = (values - 100) / 800
        np.testing.assert_allclose(input_features(transform, image)[0], expected, atol=1e-5)


def test_channels_are_scaled_apart():
    image = read_array(noise(3, 5, 6) * np.array([1, 10, 1000])[:, None, None], 'CYX')
    result = input_features(SCALED, image)
    assert result.flatten(1).amin(dim=1).tolist() == [0, 0, 0]
    assert result.flatten(1).amax(dim=1).tolist() == [1, 1, 1]


def test_fixed_ranges_span_all_training_images_and_then_stay():
    first, second = grey([[2.0, 4.0]]), grey([[0.0, 3.0]])
    transform = SCALED.resolved([first, second], fixed=True)
    assert transform.ranges == ((0.0, 4.0),)
    other = grey([[8.0, -4.0]])
    assert transform.statistics(other) == ((0.0, 4.0),)
    assert input_features(transform, other).tolist() == [[[2.0, -1.0]]]


def test_a_window_is_clipped():
    transform = InputTransform('window', window=(-100, 300))
    result = input_features(transform, grey(np.array([[-1000, -100, 0, 100, 300, 3000]], np.int16)))
    np.testing.assert_allclose(result[0, 0], [0, 0, 0.25, 0.5, 1, 1])


def test_chosen_channels_are_used_in_their_order():
    image = read_array(noise(4, 5, 6), 'CYX')
    result = input_features(replace(SCALED, channels=(2, 0)), image)
    assert torch.equal(result, input_features(SCALED, image)[[2, 0]])
    assert replace(SCALED, channels=(2, 0)).features(4, 2) == 2


@pytest.mark.parametrize('channels', [(4,), (0, 7)])
def test_channels_that_do_not_exist_give_a_clear_error(channels):
    image = read_array(noise(4, 5, 6), 'CYX')
    with pytest.raises(ImageError, match='has channels 0 to 3'):
        replace(SCALED, channels=channels).resolved([image])


def test_images_without_colour_are_refused_where_colour_is_needed():
    with pytest.raises(ImageError, match='not RGB .*scaled, multiscale or window'):
        input_features(InputTransform('lab'), grey(noise(4, 5)))
    with pytest.raises(ImageError, match='2 channels; LibIFT reads RGB or grey'):
        input_features(InputTransform('libift'), read_array(noise(2, 4, 5), 'CYX'))


@pytest.mark.parametrize('shape', [(9, 10), (6, 7, 8)])
@pytest.mark.parametrize('coloured', [False, True])
def test_multiscale_features_start_with_the_plain_ones(shape, coloured):
    axes = 'ZYX'[-len(shape) :]
    image = read_array(noise(*shape, 3), axes + 'S') if coloured else grey(noise(*shape))
    plain = input_features(InputTransform('lab' if coloured else 'scaled'), image)
    transform = InputTransform('multiscale', scales=(1.0, 2.0))
    result = input_features(transform, image)
    per_channel = 1 + 2 * (2 + len(shape))
    assert len(result) == transform.features(image.channels, len(shape))
    assert torch.equal(result[::per_channel], plain)


@pytest.mark.parametrize(
    ('kind', 'coloured'),
    [*((kind, False) for kind in GREY_KINDS), *((kind, True) for kind in ['lab', *GREY_KINDS])],
)
def test_the_announced_number_of_features_is_made(kind, coloured):
    image = read_array(noise(8, 9, 3), 'YXS') if coloured else grey(noise(8, 9))
    transform = InputTransform(kind)
    assert len(input_features(transform, image)) == transform.features(image.channels, 2)


@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('kind', GREY_KINDS)
def test_every_type_of_number_is_read(kind, dtype):
    values = ((noise(8, 9) > 0.5) * 100).astype(dtype)
    result = input_features(InputTransform(kind, window=(0.0, 200.0), scales=(1.0,)), grey(values))
    assert result.dtype == torch.float32
    assert torch.isfinite(result).all()
    assert result[0].std() > 0


@pytest.mark.parametrize('dtype', [d for d in DTYPES if d not in ('bool', 'float16')])
def test_the_type_does_not_change_the_scaled_values(dtype):
    values = np.random.default_rng(0).integers(0, 100, (8, 9))
    expected = (values - values.min()) / (values.max() - values.min())
    np.testing.assert_allclose(
        input_features(SCALED, grey(values.astype(dtype)))[0], expected, atol=1e-6
    )


def test_a_mask_keeps_zero_and_one():
    mask = noise(5, 6) > 0.99
    mask[0, 0] = True
    np.testing.assert_array_equal(input_features(InputTransform('scaled'), grey(mask))[0], mask)


@pytest.mark.parametrize(
    ('dtype', 'base'), [('uint16', 60_000), ('int64', 2**40), ('float64', 1e9), ('int32', -(2**30))]
)
def test_a_small_contrast_on_a_large_value_survives(dtype, base):
    values = np.arange(12).reshape(3, 4)
    result = input_features(SCALED, grey((base + values).astype(dtype)))[0]
    np.testing.assert_allclose(result, values / 11, atol=1e-6)


@pytest.mark.parametrize('value', [0, 7])
def test_a_constant_image_becomes_zero(value):
    for dtype in ('uint8', 'float32', 'int64'):
        result = input_features(InputTransform('scaled'), grey(np.full((4, 5), value, dtype)))
        assert not result.any()


def test_a_few_bright_voxels_on_black_are_not_lost():
    values = np.zeros((100, 100), np.uint8)
    values[5, 5:8] = 200
    result = input_features(InputTransform('scaled'), grey(values))
    assert result.max() == 1
    assert result.count_nonzero() == 3


@pytest.mark.parametrize('dtype', ['float32', 'float64'])
@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_voxels_that_are_not_finite_become_zero_with_a_warning(value, dtype):
    values = noise(6, 7).astype(dtype)
    expected = values.copy()
    expected[2, 3] = values.min()
    values[2, 3] = value
    with pytest.warns(FlimWarning, match='1 voxels that are not finite'):
        result = input_features(SCALED, grey(values))
    assert result[0, 2, 3] == 0
    ordinary = np.ones((6, 7), bool)
    ordinary[2, 3] = False
    clean = input_features(SCALED, grey(expected))
    np.testing.assert_allclose(result[0][ordinary], clean[0][ordinary], atol=1e-6)


@pytest.mark.parametrize('kind', ['scaled', 'multiscale'])
def test_an_image_without_one_finite_number_becomes_zero(kind):
    with pytest.warns(FlimWarning, match='not finite'):
        result = input_features(InputTransform(kind, scales=(1.0,)), grey(np.full((5, 6), np.nan)))
    assert not result.any()


def test_colours_that_are_not_finite_become_finite():
    values = noise(5, 6, 3)
    values[2, 2] = np.nan
    values[3, 3, 0] = np.inf
    assert torch.isfinite(input_features(InputTransform('lab'), read_array(values, 'YXS'))).all()


def test_an_outlier_beyond_float32_stays_finite():
    values = noise(40, 50)
    values[3, 3] = 1e300
    result = input_features(InputTransform('scaled', percentiles=(1, 99)), grey(values))
    assert torch.isfinite(result).all()


def part_of(image, start, stop):
    window = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    return Image(image.data[(slice(None), *window)], image.spacing, image.rgb)


@pytest.mark.parametrize('kind', GREY_KINDS)
@pytest.mark.parametrize(('shape', 'spacing'), [((40, 46), (1, 1)), ((24, 34, 36), (2, 1, 1))])
def test_a_part_equals_the_whole_within_its_halo(kind, shape, spacing):
    image = grey((noise(*shape) * 255).astype(np.uint8), spacing)
    transform = InputTransform(kind, window=(10.0, 200.0), scales=(1.0, 2.0))
    whole, statistics = input_features(transform, image), transform.statistics(image)
    halo = transform.halo(spacing)
    start, stop = (5,) * len(shape), tuple(n - 3 for n in shape)
    part = input_features(transform, part_of(image, start, stop), statistics)
    inner = tuple(slice(h, n - h) for h, n in zip(halo, part.shape[1:], strict=True))
    outer = tuple(slice(a + h, b - h) for a, b, h in zip(start, stop, halo, strict=True))
    expected = whole[(slice(None), *outer)]
    assert expected.numel()
    # Eigenvalues of nearly equal size are a root of rounding errors.
    tolerance = 1e-3 if kind == 'multiscale' else 0
    torch.testing.assert_close(part[(slice(None), *inner)], expected, rtol=0, atol=tolerance)


def test_a_transform_leaves_the_image_as_it_is():
    for dtype in ('uint8', 'float32', 'float64'):
        image = grey((noise(6, 7) * 100).astype(dtype))
        before = image.data.copy()
        for kind in GREY_KINDS:
            input_features(InputTransform(kind, scales=(1.0,)), image)
        np.testing.assert_array_equal(image.data, before)


@pytest.mark.parametrize(
    ('text', 'kind', 'fixed'),
    [
        ('auto', 'auto', False),
        ('lab', 'lab', False),
        ('scaled', 'scaled', False),
        ('scaled:fixed', 'scaled', True),
        ('multiscale:fixed', 'multiscale', True),
        ('libift', 'libift', False),
        ('window:-100,300', 'window', False),
        ('window:1e3, 2e3', 'window', False),
    ],
)
def test_inputs_are_named_by_words(text, kind, fixed):
    transform, is_fixed = parse_input(text)
    assert (transform.kind, is_fixed) == (kind, fixed)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'There is no input'),
        ('rgb', "no input 'rgb'; choose auto, lab"),
        ('scaled:float', "no input 'scaled:float'"),
        ('window', 'window:LOW,HIGH'),
        ('window:5', 'window:LOW,HIGH'),
        ('window:1,2,3', 'window:LOW,HIGH'),
        ('window:a,b', 'window:LOW,HIGH'),
        ('window:3,3', 'The window 3.0, 3.0 is empty'),
        ('window:5,1', 'The window 5.0, 1.0 is empty'),
        ('window:nan,1', 'window holds nan; expected finite'),
    ],
)
def test_inputs_that_cannot_be_understood_give_a_clear_error(text, message):
    with pytest.raises(ImageError, match=message):
        parse_input(text)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'kind': 'hsv'}, "no input 'hsv'; choose one of auto, lab"),
        ({'window': (1.0, np.inf)}, 'window'),
        ({'scales': (0.0,)}, 'between 0 and 100'),
        ({'scales': (1.0, np.nan)}, 'scales holds nan; expected finite'),
        ({'scales': ('1',)}, "scales holds '1'; expected numbers"),
        ({'channels': (-1,)}, 'channels holds -1; expected whole numbers from 0'),
        ({'channels': (True,)}, 'channels holds True'),
        ({'channels': (0.5,)}, 'channels holds 0.5'),
        ({'percentiles': (0.1, 250)}, '0.1, 250.0 were given; expected two from 0 to 100'),
        ({'percentiles': (99, 1)}, 'expected two from 0 to 100'),
        ({'percentiles': (1,)}, 'expected pairs'),
        ({'ranges': ((0, 'x'),)}, "ranges holds 'x'"),
        ({'ranges': ((0, 1, 2),)}, 'expected pairs'),
    ],
)
def test_an_impossible_transform_gives_a_clear_error(options, message):
    with pytest.raises(ImageError, match=message):
        InputTransform(**options)


@pytest.mark.parametrize('number', [1, 3])
def test_ranges_must_be_as_many_as_the_used_channels(number):
    image = read_array(noise(4, 5, 6), 'CYX')
    transform = replace(SCALED, channels=(0, 2), ranges=((0.0, 1.0),) * number)
    with pytest.raises(ImageError, match=f'{number} intensity ranges were given for 2 channels'):
        input_features(transform, image)


@pytest.mark.parametrize('kind', ['lab', 'libift'])
def test_colours_are_converted_together_or_not_at_all(kind):
    image = read_array(noise(5, 6, 3), 'YXS')
    with pytest.raises(ImageError, match=f'{kind} converts colours and cannot use channels .0,.'):
        InputTransform(kind, channels=(0,)).resolved([image])


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize('kind', [*GREY_KINDS, 'lab'])
@pytest.mark.filterwarnings('ignore::napari_flim.errors.FlimWarning')
def test_what_is_no_finite_number_is_read_as_dark_in_every_kind(kind, value):
    shape, axes = ((9, 10, 3), 'YXS') if kind == 'lab' else ((9, 10), 'YX')
    values = noise(*shape)
    values[0, 0] = 0.0
    values[1, 1] = 1.0
    spoiled = values.copy()
    values[4, 5], spoiled[4, 5] = 0.0, value
    transform = InputTransform(
        kind, window=(0.0, 1.0), scales=(1.0,), ranges=((0.0, 1.0),) if kind != 'lab' else None
    )
    dark, unknown = (input_features(transform, read_array(v, axes)) for v in (values, spoiled))
    torch.testing.assert_close(unknown, dark)


def test_numbers_of_numpy_become_plain_numbers():
    transform = InputTransform(
        'scaled', channels=(np.int64(1),), scales=(np.float32(2),), ranges=([np.float64(0), 1],)
    )
    assert transform == InputTransform('scaled', (1,), scales=(2.0,), ranges=((0.0, 1.0),))
    assert {type(transform.channels[0]), type(transform.scales[0])} == {int, float}


def test_statistics_of_an_image_on_disk_are_measured_once_for_each_transform():
    read = []

    def block(block_info=None):
        read.append(block_info[None]['chunk-location'])
        return np.arange(64, dtype=np.uint8).reshape(8, 8)

    data = da.map_blocks(block, chunks=((8,), (8,)), dtype=np.uint8, meta=np.empty((0, 0)))
    image, scaled = read_array(data), InputTransform('scaled')
    first = scaled.statistics(image)
    assert scaled.statistics(image) == first
    assert len(read) == 1
    other = InputTransform('scaled', percentiles=(10, 90)).statistics(image)
    assert other != first
    assert len(read) == 2


def test_statistics_of_an_image_in_memory_follow_its_voxels():
    image, scaled = read_array(np.arange(16.0).reshape(4, 4)), InputTransform('scaled')
    before = scaled.statistics(image)
    image.data[:] *= 2
    assert scaled.statistics(image) != before


def test_the_full_scale_of_a_large_image_is_that_of_a_sample(monkeypatch):
    read = []

    def block(block_info=None):
        read.append(block_info[None]['chunk-location'])
        return np.full((100, 100, 3), 3000.0, np.float32)

    chunks = ((100,) * 20, (100,) * 20, (3,))
    data = da.map_blocks(block, chunks=chunks, dtype=np.float32, meta=np.empty((0, 0, 0)))
    monkeypatch.setattr(image_sample, 'ALL', 1000)
    monkeypatch.setattr(image_sample, 'SIDE', {2: 10})
    monkeypatch.setattr(image_sample, 'BOXES', 9)
    statistics = InputTransform('lab').statistics(read_array(data, 'YXS'))
    assert statistics == ((0.0, 4095.0),) * 3
    assert 9 <= len(set(read)) <= 4 * 9
