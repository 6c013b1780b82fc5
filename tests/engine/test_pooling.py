from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_flim.engine import pooling
from napari_flim.engine.pooling import pool
from napari_flim.errors import ArchitectureError

GOLDEN = Path(__file__).parents[1] / 'golden' / 'operations'


def golden_cases():
    for name in ('pooling2d', 'pooling3d'):
        with np.load(GOLDEN / f'{name}.npz') as content:
            yield from ((name, key) for key in content.files if key != 'image')


@pytest.mark.parametrize(('file', 'key'), list(golden_cases()))
def test_pooling_agrees_with_its_formula(file, key):
    with np.load(GOLDEN / f'{file}.npz') as golden:
        image, expected = torch.from_numpy(golden['image']), golden[key]
    kind, size, stride, pad = key.rsplit('_', 3)
    ndim, number = image.ndim - 1, int(size[4:])
    result = pool(
        image,
        (number,) * ndim,
        (int(stride[6:]),) * ndim,
        'average' if kind.startswith('avg') else kind,
        padded=pad != 'pad0',
        over_valid=kind == 'avg_valid',
    )
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-12)


def test_the_golden_files_hold_every_kind_of_pooling():
    cases = list(golden_cases())
    assert len(cases) == 40
    assert {key.split('_size')[0] for _, key in cases} == {'max', 'min', 'avg_full', 'avg_valid'}


def each_axis(ndim, number):
    return st.lists(number, min_size=ndim, max_size=ndim)


@st.composite
def poolings(draw, padded):
    ndim = draw(st.integers(2, 3))
    shape = draw(each_axis(ndim, st.integers(1, 9 if ndim == 2 else 6)))
    if padded:
        size = draw(each_axis(ndim, st.sampled_from([1, 3, 5])))
    else:
        size = [draw(st.integers(1, min(4, n))) for n in shape]
    stride = draw(each_axis(ndim, st.integers(1, 4)))
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    seed = draw(st.integers(0, 2**16))
    features = torch.randn(3, *shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return features, size, stride


def native(features, size, stride, margins, kind, over_valid=False):
    """Pooling by torch itself, of an image continued by voxels that do not count."""
    three = features.ndim == 4
    around = [m for margin in reversed(margins) for m in (margin, margin)]
    if kind == 'average':
        function = F.avg_pool3d if three else F.avg_pool2d
        means = function(F.pad(features, around)[None], size, stride)[0]
        inside = function(F.pad(torch.ones_like(features), around)[None], size, stride)[0]
        return means / inside if over_valid else means
    sign = -1 if kind == 'min' else 1
    function = F.max_pool3d if three else F.max_pool2d
    padded = F.pad(sign * features, around, value=-torch.inf)
    return sign * function(padded[None], size, stride)[0]


@settings(max_examples=50, deadline=None)
@given(poolings(padded=True), st.sampled_from(['max', 'min', 'average']), st.booleans())
def test_centred_windows_equal_those_of_torch(case, kind, over_valid):
    features, size, stride = case
    result = pool(features, size, stride, kind, over_valid=over_valid)
    expected = native(features, size, stride, [w // 2 for w in size], kind, over_valid)
    assert result.dtype == features.dtype
    assert result.shape[1:] == tuple(
        -(-n // s) for n, s in zip(features.shape[1:], stride, strict=True)
    )
    tolerance = 0 if kind != 'average' else 1e-5
    torch.testing.assert_close(result, expected, rtol=tolerance, atol=tolerance)


@settings(max_examples=50, deadline=None)
@given(poolings(padded=False), st.sampled_from(['max', 'min', 'average']))
def test_windows_inside_the_image_equal_those_of_torch(case, kind):
    features, size, stride = case
    result = pool(features, size, stride, kind, padded=False)
    tolerance = 0 if kind != 'average' else 1e-5
    expected = native(features, size, stride, [0] * len(size), kind)
    torch.testing.assert_close(result, expected, rtol=tolerance, atol=tolerance)


@settings(max_examples=30, deadline=None)
@given(poolings(padded=True), st.sampled_from(['max', 'min', 'average']))
def test_overwriting_the_features_gives_the_same_result(case, kind):
    features, size, stride = case
    kept = features.clone()
    expected = pool(features, size, stride, kind)
    assert torch.equal(features, kept)
    assert torch.equal(pool(features, size, stride, kind, overwrite=True), expected)


def test_overwriting_saves_the_memory_of_the_result():
    features = torch.randn(3, 8, 9)
    assert pool(features, (3, 3), (1, 1), overwrite=True).data_ptr() == features.data_ptr()
    assert pool(features, (3, 3), (1, 1)).data_ptr() != features.data_ptr()


@pytest.mark.parametrize('kind', ['max', 'min', 'average'])
@pytest.mark.parametrize('overwrite', [False, True])
@pytest.mark.parametrize('channels_at_once', [0, 2])
def test_groups_of_channels_do_not_change_the_result(
    monkeypatch, kind, overwrite, channels_at_once
):
    features = torch.randn(5, 9, 8, 7)
    settings_of = ((3, 5, 1), (1, 1, 1), kind)
    expected = pool(features.clone(), *settings_of)
    strided = pool(features, (3, 3, 3), (2, 1, 3), kind)
    monkeypatch.setattr(pooling, 'CHUNK_BYTES', channels_at_once * features[0].numel() * 4)
    assert torch.equal(pool(features, (3, 3, 3), (2, 1, 3), kind), strided)
    assert torch.equal(pool(features, *settings_of, overwrite=overwrite), expected)


def test_no_pooling_leaves_the_features_alone():
    features = torch.randn(2, 4, 5)
    assert pool(features, (3, 3), (2, 2), 'none') is features


@pytest.mark.parametrize('kind', ['max', 'min'])
def test_voxels_outside_never_win(kind):
    sign = -1.0 if kind == 'max' else 1.0
    features = torch.full((1, 3, 3), 5.0 * sign)
    assert torch.equal(pool(features, (5, 5), (1, 1), kind), features)


def test_a_centred_window_needs_an_odd_size():
    with pytest.raises(ArchitectureError, match=r'\(3, 2\).*odd sizes, or padded=False'):
        pool(torch.zeros(1, 4, 4), (3, 2), (1, 1))


def test_a_window_larger_than_the_image_gives_a_clear_error():
    with pytest.raises(ArchitectureError, match=r'\(5, 1\) does not fit into \(4, 4\)'):
        pool(torch.zeros(1, 4, 4), (5, 1), (1, 1), padded=False)
