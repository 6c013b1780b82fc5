import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_flim.engine.feature_sizes import multiscale_channels, multiscale_halo
from napari_flim.engine.multiscale import multiscale_features


def oracle(image, scale, steps):
    """Gaussian, gradient magnitude and eigenvalues by scipy and numpy in float64."""
    sigmas = [scale / step for step in steps]
    smooth = image
    for axis, sigma in enumerate(sigmas):
        radius = max(1, int(np.ceil(3 * sigma)))
        smooth = ndimage.gaussian_filter1d(smooth, sigma, axis, mode='nearest', radius=radius)
    gradient = [np.gradient(smooth, step, axis=axis) for axis, step in enumerate(steps)]
    second = [
        [np.gradient(g, step, axis=axis) for axis, step in enumerate(steps)] for g in gradient
    ]
    hessian = np.moveaxis(np.array(second), (0, 1), (-2, -1))
    values = scale**2 * np.linalg.eigvalsh((hessian + np.swapaxes(hessian, -1, -2)) / 2)
    magnitude = scale * np.sqrt(sum(g**2 for g in gradient))
    return [smooth, magnitude, *np.moveaxis(values[..., ::-1], -1, 0)]


@pytest.mark.parametrize(
    ('shape', 'spacing'),
    [
        ((24, 27), (1, 1)),
        ((24, 27), (0.5, 1.5)),
        ((14, 15, 16), (1, 1, 1)),
        ((10, 15, 16), (2.5, 1, 0.5)),
    ],
)
@pytest.mark.parametrize('scale', [1.0, 2.0])
def test_features_agree_with_scipy_and_the_eigenvalues_of_numpy(shape, spacing, scale):
    image = np.random.default_rng(0).random(shape)
    result = multiscale_features(torch.from_numpy(image)[None], (scale,), spacing)
    expected = oracle(image, scale, [step / min(spacing) for step in spacing])
    assert torch.equal(result[0], torch.from_numpy(image))
    for one, other in zip(result[1:], expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6 * np.abs(other).max())


@pytest.mark.parametrize('shape', [(24, 27), (14, 15, 16)])
def test_single_precision_is_enough(shape):
    image = torch.from_numpy(np.random.default_rng(0).random(shape))[None]
    scales, spacing = (1.0, 3.0), (1.0,) * len(shape)
    exact = multiscale_features(image, scales, spacing)
    single = multiscale_features(image.float(), scales, spacing)
    assert single.dtype == torch.float32
    for one, other in zip(single, exact, strict=True):
        assert (one - other).abs().max() < 2e-3 * other.abs().max()


@pytest.mark.parametrize('ndim', [2, 3])
def test_features_are_counted(ndim):
    channels = torch.randn(2, *(9,) * ndim)
    for scales in ((), (1.0,), (1.0, 2.0, 4.0)):
        count = multiscale_channels(ndim, scales)
        assert count == 1 + len(scales) * (2 + ndim)
        assert len(multiscale_features(channels, scales, (1.0,) * ndim)) == 2 * count


def test_all_features_of_a_channel_come_before_the_next_channel():
    channels = torch.randn(2, 9, 10)
    together = multiscale_features(channels, (1.0, 2.0), (1.0, 1.0))
    apart = [multiscale_features(c[None], (1.0, 2.0), (1.0, 1.0)) for c in channels]
    assert torch.equal(together, torch.cat(apart))


@pytest.mark.parametrize('shape', [(9, 10), (7, 8, 9)])
def test_a_constant_image_has_no_structure(shape):
    result = multiscale_features(torch.full((1, *shape), 5.0), (2.0,), (1.0,) * len(shape))
    torch.testing.assert_close(result[:2], torch.full((2, *shape), 5.0))
    assert result[2:].abs().max() < 1e-5


@pytest.mark.parametrize('axis', [0, 1, 2])
def test_the_gradient_of_a_ramp_is_its_slope_in_finest_voxels_times_the_scale(axis):
    spacing = (3.0, 1.0, 0.5)
    world = np.arange(40) * spacing[axis]
    shape = [1, 1, 1]
    shape[axis] = 40
    ramp = np.broadcast_to(world.reshape(shape), [40 if i == axis else 5 for i in range(3)])
    result = multiscale_features(torch.tensor(ramp)[None], (2.0,), spacing)
    middle = tuple(20 if i == axis else 2 for i in range(3))
    # A slope of 1 in world units is 0.5 for each finest voxel.
    assert result[2][middle] == pytest.approx(2.0 * 0.5)


def test_a_sphere_of_the_world_looks_the_same_along_coarse_and_fine_axes():
    spacing = (2.0, 1.0, 1.0)
    z, y, x = (s * (np.arange(n) - n // 2) for s, n in zip(spacing, (41, 81, 81), strict=True))
    distance = np.sqrt(z[:, None, None] ** 2 + y[None, :, None] ** 2 + x[None, None] ** 2)
    sphere = torch.from_numpy(1 / (1 + np.exp((distance - 15) / 2)))[None]
    errors = []
    for assumed in (spacing, (1.0, 1.0, 1.0)):
        features = multiscale_features(sphere, (4.0,), assumed)[1:]
        along_z, along_x = features[:, 20:33, 40, 40], features[:, 20, 40, 40:65:2]
        errors.append((along_z - along_x).abs().amax(dim=1) / features.flatten(1).abs().amax(dim=1))
    # Finite differences over two voxels smooth more along the coarse axis.
    assert errors[0].max() < 0.08
    assert errors[1].max() > 0.3


@pytest.mark.parametrize('spacing', [(1, 1), (2, 0.5), (3, 1, 1)])
def test_a_voxel_changes_nothing_beyond_the_halo_and_something_at_it(spacing):
    scales = (1.0, 2.0)
    halo = multiscale_halo(scales, spacing)
    shape = tuple(2 * h + 5 for h in halo)
    centre = tuple(h + 2 for h in halo)
    image = torch.from_numpy(np.random.default_rng(0).random((1, *shape)))
    changed = image.clone()
    changed[(0, *centre)] += 1e6
    first, second = (multiscale_features(x, scales, spacing) for x in (image, changed))
    different = ((first - second).abs() > 1e-9).any(dim=0).nonzero()
    reach = (different - torch.tensor(centre)).abs().amax(dim=0)
    assert tuple(reach.tolist()) == halo


def test_without_scales_there_is_hardly_a_halo():
    assert multiscale_halo((), (1, 1)) == (2, 2)


@pytest.mark.parametrize('shape', [(1, 8, 9), (2, 3, 1)])
def test_thin_volumes_are_no_trouble(shape):
    result = multiscale_features(torch.rand(1, *shape), (4.0,), (1.0, 1.0, 1.0))
    assert result.shape == (6, *shape)
    assert torch.isfinite(result).all()


def test_eigenvalues_come_in_descending_order():
    for shape in ((20, 21), (10, 11, 12)):
        image = torch.from_numpy(np.random.default_rng(1).random((1, *shape)).astype(np.float32))
        values = multiscale_features(image, (1.0,), (1.0,) * len(shape))[3:]
        assert (values[:-1] >= values[1:] - 1e-6).all()
