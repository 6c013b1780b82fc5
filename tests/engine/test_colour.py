from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import torch

from napari_flim.engine.colour import heat_lab, lab_norm2
from napari_flim.engine.full_scale import normalization_value
from napari_flim.errors import ImageError

GOLDEN = Path(__file__).parents[1] / 'golden' / 'libift'

# One unit of a truncated 8-bit number changes a channel by more, so this also compares those.
TOLERANCE = 1e-6


def read_mimg(path):
    content = path.read_bytes()
    x, y, z, channels = map(int, content.split(b'\n')[1].split())
    values = np.frombuffer(content[-4 * x * y * z * channels :], '<f4')
    return np.moveaxis(values.reshape(z, y, x, channels), -1, 0)


def lab_in_float64(rgb, maximum):
    """LabNorm2 of (..., 3) whole numbers, step by step and in double precision throughout."""
    steps = (maximum + 1) // 256
    light = rgb / maximum
    luma = 0.2627 * light[..., 0] + 0.678 * light[..., 1] + 0.0593 * light[..., 2]
    blue = np.clip((light[..., 2] - luma) / 1.8814, -0.5, 0.5)
    red = np.clip((light[..., 0] - luma) / 1.4746, -0.5, 0.5)
    y = np.trunc(luma * 219 * steps) + 16 * steps - 16 / 255 * maximum
    cb = np.trunc(blue * 224 * steps) + 128 * steps - 128 / 255 * maximum
    cr = np.trunc(red * 224 * steps) + 128 * steps - 128 / 255 * maximum
    back = np.stack(
        [
            1.164383562 * y + 1.596026786 * cr,
            1.164383562 * y - 0.39176229 * cb - 0.812967647 * cr,
            1.164383562 * y + 2.017232143 * cb,
        ],
        axis=-1,
    )
    linear = np.clip(np.trunc(back), 0, maximum) / maximum
    matrix = np.array(
        [
            [0.4123955889674142, 0.3575834307637148, 0.1804926473817016],
            [0.2125862307855956, 0.7151703037034108, 0.0722004986433362],
            [0.0192972154917469, 0.1191838645808485, 0.9504971251315798],
        ]
    )
    t = linear @ matrix.T / [0.950456, 1.0, 1.088754]
    x, y, z = np.moveaxis(
        np.where(t >= 0.00885645167903563, np.cbrt(t), 841 / 108 * t + 4 / 29), -1, 0
    )
    return np.stack(
        [
            (116 * y - 16) / 99.998337,
            (500 * (x - y) + 86.182236) / 184.440834,
            (200 * (y - z) + 107.867744) / 202.349426,
        ]
    )


@pytest.mark.parametrize('name', ['img1', 'img2'])
def test_rgb_images_get_the_colours_libift_gave_them(name):
    rgb = torch.from_numpy(np.moveaxis(imageio.imread(GOLDEN / f'orig/{name}.png'), -1, 0).copy())
    expected = read_mimg(GOLDEN / f'lab/{name}.mimg')[:, 0]
    np.testing.assert_allclose(lab_norm2(rgb).numpy(), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize('maximum', [255, 65535])
def test_any_colour_is_truncated_as_in_double_precision(maximum):
    rgb = np.random.default_rng(0).integers(0, maximum + 1, (300_000, 3))
    result = lab_norm2(torch.from_numpy(rgb.T.copy()), maximum).numpy()
    np.testing.assert_allclose(result, lab_in_float64(rgb, maximum), rtol=0, atol=TOLERANCE)


def test_colours_at_the_limits_of_the_cube_are_truncated_as_in_double_precision():
    # Multiples of 85 give numbers that are whole before truncation.
    rgb = np.stack(np.meshgrid(*[[0, 1, 84, 85, 86, 170, 254, 255]] * 3), -1).reshape(-1, 3)
    result = lab_norm2(torch.from_numpy(rgb.T.copy())).numpy()
    np.testing.assert_allclose(result, lab_in_float64(rgb, 255), rtol=0, atol=TOLERANCE)


def test_the_type_of_the_values_does_not_matter_and_the_input_is_kept():
    rgb = torch.randint(0, 256, (3, 4, 5, 6), dtype=torch.uint8)
    as_double = rgb.to(torch.float64)
    expected = lab_norm2(rgb)
    assert expected.shape == rgb.shape
    assert expected.dtype == torch.float32
    for values in (as_double, rgb.to(torch.float32), rgb.to(torch.int64)):
        assert torch.equal(lab_norm2(values), expected)
    assert torch.equal(as_double, rgb.to(torch.float64))


def test_sixteen_bits_and_eight_bits_of_the_same_picture_nearly_agree():
    rgb = torch.randint(0, 256, (3, 40, 50), dtype=torch.int32)
    difference = (lab_norm2(rgb * 257, 65535) - lab_norm2(rgb)).abs().flatten(1).mean(dim=1)
    assert difference.max() < 0.01
    assert difference.min() > 0


def test_grey_volumes_get_the_colours_libift_gave_them():
    content = (GOLDEN / 'h_3d/orig/v.scn').read_bytes()
    x, y, z = map(int, content.split(b'\n')[1].split())
    grey = np.frombuffer(content[-2 * x * y * z :], '<u2').reshape(z, y, x)
    maximum = normalization_value(grey.max())
    result = heat_lab(torch.from_numpy(grey.astype(np.int32)), maximum)
    expected = read_mimg(GOLDEN / 'h_3d/lab_v.mimg')
    np.testing.assert_allclose(result.numpy(), expected, rtol=0, atol=TOLERANCE)


def test_grey_runs_from_blue_to_red():
    _, green_to_red, blue_to_yellow = heat_lab(torch.tensor([0, 255]), 255)
    assert green_to_red[1] > 0.8
    assert blue_to_yellow[0] < 0.2 < blue_to_yellow[1]


def test_grey_fractions_are_dropped_and_values_outside_are_clipped():
    result = heat_lab(torch.tensor([7.9, -3.0, 300.0]), 255)
    assert torch.equal(result, heat_lab(torch.tensor([7, 0, 255], dtype=torch.uint8), 255))


@pytest.mark.parametrize(
    ('largest', 'scale'), [(0, 255), (1, 255), (255, 255), (256, 4095), (4096, 65535)]
)
def test_the_full_scale_is_the_smallest_that_holds_the_image(largest, scale):
    assert normalization_value(largest) == scale


@pytest.mark.parametrize('largest', [-1, 65536, float('nan')])
def test_an_image_out_of_every_scale_gives_a_clear_error(largest):
    with pytest.raises(ImageError, match='0 to 65535'):
        normalization_value(largest)


@pytest.mark.parametrize('convert', [lab_norm2, heat_lab])
def test_an_unknown_full_scale_gives_a_clear_error(convert):
    with pytest.raises(ImageError, match='255, 4095 and 65535'):
        convert(torch.zeros(3, 2, 2), 1000)


def test_colours_need_three_channels():
    with pytest.raises(ImageError, match='red, green and blue'):
        lab_norm2(torch.zeros(4, 2, 2))
