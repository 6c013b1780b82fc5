"""Digests by which images are recognised, and how little of an image they look at."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_flim.engine.image_sample import ALL
from napari_flim.io.image_digest import DIGEST_BOX, comparable, image_digest


@pytest.mark.parametrize(
    ('shape', 'axes'),
    [((300, 500), 'YX'), ((40, 60, 50), 'ZYX'), ((7, 2, 9, 31, 33), 'TCZYX'), ((70, 80, 4), 'YXS')],
)
def test_numpy_dask_and_zarr_have_one_digest(shape, axes) -> None:
    data = np.random.default_rng(0).integers(0, 4000, shape).astype(np.uint16)
    lazy = da.from_array(data, chunks=tuple(max(1, n // 3) for n in shape))
    digests = {
        image_digest(one, axes) for one in (data, lazy, zarr.array(data), data.astype('>u2'))
    }
    assert len(digests) == 1
    assert image_digest(data + 1, axes) not in digests
    assert image_digest(data.astype(np.int32), axes) not in digests
    assert image_digest(data[..., :-1, :], axes) not in digests


def test_a_digest_reads_few_voxels_of_a_huge_image() -> None:
    read = []

    def plane(block_info=None) -> np.ndarray:
        read.append(block_info[None]['chunk-location'])
        return np.zeros(block_info[None]['chunk-shape'], np.uint8)

    chunks = ((1,) * 1000, (2000,), (3000,))
    stack = da.map_blocks(plane, chunks=chunks, dtype=np.uint8, meta=np.zeros((0, 0, 0), np.uint8))
    image_digest(stack, 'TYX')
    assert 8 <= len(read) <= 16


def test_a_digest_of_a_large_image_reads_few_chunks_and_is_that_of_the_same_in_memory() -> None:
    read: list[tuple[int, ...]] = []

    def block(block_info=None) -> np.ndarray:
        info = block_info[None]
        read.append(info['chunk-location'])
        return np.full(info['chunk-shape'], len(info['chunk-location']) + sum(read[-1]), np.uint8)

    chunks = ((100,) * 60, (100,) * 60)
    lazy = da.map_blocks(block, chunks=chunks, dtype=np.uint8, meta=np.zeros((0, 0), np.uint8))
    digest = image_digest(lazy, 'YX')
    assert 64 <= len(read) <= 4 * 64
    data = lazy.compute()
    assert image_digest(data, 'YX') == digest
    assert image_digest(zarr.array(data, chunks=(1000, 1000)), 'YX') == digest
    data[3000:4000] += 1
    assert image_digest(data, 'YX') != digest


class Counted:
    """An array that counts the voxels asked of it."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape, self.voxels = shape, 0

    def __getitem__(self, key: tuple[slice, ...]) -> np.ndarray:
        sizes = [len(range(*one.indices(n))) for one, n in zip(key, self.shape, strict=True)]
        self.voxels += int(np.prod(sizes))
        return np.zeros(sizes, np.uint8)


@settings(deadline=None)
@given(axes=st.sampled_from(['YX', 'ZYX', 'TCZYX', 'TYXS', 'TCYX']), data=st.data())
def test_a_digest_never_reads_more_than_65536_voxels(axes, data) -> None:
    array = Counted(tuple(data.draw(st.integers(1, 100_000)) for _ in axes))
    image_digest(array, axes)
    assert 1 <= array.voxels <= 65_536


class Looked(Counted):
    """An array of zeros that notes the boxes asked of it."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(shape)
        self.boxes: list[tuple[slice, ...]] = []

    def __getitem__(self, key: tuple[slice, ...]) -> np.ndarray:
        self.boxes.append(key)
        return super().__getitem__(key)


@pytest.mark.parametrize(
    ('shape', 'axes', 'places'),
    [
        ((40_000, 40_000), 'YX', 64),
        ((40_000, 40_000, 3), 'YXS', 20),
        ((2, 40_000, 40_000), 'CYX', 30),
        ((500, 2000, 2000), 'ZYX', 4),
        ((20, 4_000_000), 'YX', 64),
    ],
)
def test_a_large_image_is_looked_at_all_over_however_many_channels_it_has(
    shape, axes, places
) -> None:
    array = Looked(shape)
    image_digest(array, axes)
    y, x = axes.index('Y'), axes.index('X')
    assert len({(box[y].start, box[x].start) for box in array.boxes}) == places
    assert array.voxels >= 0.6 * min(shape[y], DIGEST_BOX) / DIGEST_BOX * 65_536
    for place in (y, x):
        ends = [box[place].stop for box in array.boxes]
        assert shape[place] / 2 < max(ends) <= shape[place]
    for letter, size in zip(axes, shape, strict=True):
        if letter in 'CS':
            spans = {
                (box[axes.index(letter)].start, box[axes.index(letter)].stop) for box in array.boxes
            }
            assert spans == {(0, size)}


def test_an_rgb_slide_is_told_from_one_that_differs_in_a_corner() -> None:
    slide = da.zeros((8000, 8000, 3), chunks=(1000, 1000, 3), dtype=np.uint8)
    other = da.concatenate([slide[:6000], slide[6000:] + np.uint8(1)])
    assert image_digest(slide, 'YXS') != image_digest(other, 'YXS')


def test_digests_of_large_images_made_the_earlier_way_are_not_compared() -> None:
    small, large = (100, 100), (8000, 8000)
    assert ALL < 64_000_000
    now = image_digest(da.zeros(large, chunks=1000, dtype=np.uint8), 'YX')
    assert comparable(now, large) == now
    assert comparable(now.removeprefix('boxes:'), large) == ''
    digest = image_digest(np.zeros(small), 'YX')
    assert comparable(digest, small) == digest
    assert comparable('', small) == comparable('', large) == ''
