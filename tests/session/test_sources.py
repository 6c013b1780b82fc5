"""Image sources and strokes, cut loose from layers."""

from __future__ import annotations

from dataclasses import replace

import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from napari_flim.errors import FlimWarning
from napari_flim.session.sources import ImageSource, Strokes


def source_of(data, axes: str) -> ImageSource:
    spacing = (2.0,) * sum(letter in 'ZYX' for letter in axes)
    return ImageSource('a', 'cells', data, axes, spacing)


@pytest.mark.parametrize(
    ('shape', 'axes', 'spatial', 'frames', 'channels'),
    [
        ((5, 6), 'YX', (5, 6), 1, 1),
        ((4, 5, 6), 'ZYX', (4, 5, 6), 1, 1),
        ((4, 5, 6), 'TYX', (5, 6), 4, 1),
        ((2, 5, 6), 'CYX', (5, 6), 1, 2),
        ((5, 6, 3), 'YXS', (5, 6), 1, 3),
        ((4, 2, 3, 5, 6), 'TCZYX', (3, 5, 6), 4, 2),
    ],
)
def test_what_is_said_of_a_source_is_what_is_read_of_it(
    shape, axes: str, spatial, frames: int, channels: int
) -> None:
    data = np.arange(np.prod(shape)).reshape(shape).astype(np.uint16)
    source = source_of(data, axes)
    image = source.frame(frames - 1)
    assert (source.shape, source.frames, source.channels) == (spatial, frames, channels)
    assert (image.shape, image.channels, image.rgb) == (spatial, channels, source.rgb)
    assert image.spacing == source.spacing
    last = data[-1] if 'T' in axes else data
    assert image.data.sum() == last.sum()


def test_only_the_frame_that_is_asked_for_is_read_of_a_lazy_stack() -> None:
    read: list[int] = []

    def block(block_info=None) -> np.ndarray:
        read.append(block_info[None]['chunk-location'][0])
        return np.full((1, 5, 6), read[-1], dtype=np.uint8)

    stack = da.map_blocks(block, chunks=((1,) * 4, (5,), (6,)), dtype=np.uint8)
    source = source_of(stack, 'TYX')
    image = source.frame(2)
    assert (image.name, image.lazy, read) == ('cells[2]', True, [])
    assert (image.in_memory().data == 2).all()
    assert read == [2]
    assert source.frame(2) is image


def test_an_array_in_memory_is_looked_at_anew_each_time() -> None:
    source = source_of(np.zeros((5, 6)), 'YX')
    assert not source.frame().lazy
    assert source.unread_bytes == 0
    source.data[0] = 1
    assert source.frame().data.sum() == 6


@pytest.mark.parametrize('make', [da.from_array, zarr.array])
def test_the_bytes_that_are_not_read_are_those_of_one_image(make) -> None:
    stack = make(np.zeros((4, 2, 5, 6), np.uint16))
    assert source_of(stack, 'TCYX').unread_bytes == 2 * 5 * 6 * 2


def test_alpha_is_not_a_channel() -> None:
    source = source_of(np.zeros((5, 6, 4), np.uint8), 'YXS')
    with pytest.warns(FlimWarning, match='alpha'):
        assert source.frame().channels == source.channels == 3


def test_content_tells_other_voxels_and_other_readings_apart_but_not_names() -> None:
    source = source_of(np.zeros((4, 5, 6)), 'ZYX')
    assert replace(source, name='other').content == source.content
    others = [
        replace(source, revision=1),
        replace(source, axes='TYX', spacing=(2.0, 2.0)),
        replace(source, spacing=(1.0, 2.0, 2.0)),
        replace(source, key='b'),
    ]
    assert len({one.content for one in (source, *others)}) == 5


voxels = st.lists(
    st.tuples(st.integers(0, 7), st.integers(0, 8), st.integers(1, 4)),
    min_size=1,
    max_size=12,
    unique_by=lambda voxel: voxel[:2],
)


def strokes_from(listed: list[tuple[int, int, int]]) -> Strokes:
    table = np.array(sorted(listed), dtype=np.int64)
    return Strokes(table[:, :2].copy(), table[:, 2].copy(), (8, 9))


@given(voxels, voxels)
def test_the_digest_is_equal_exactly_for_equal_strokes(one, other) -> None:
    assert (strokes_from(one).digest == strokes_from(other).digest) == (
        sorted(one) == sorted(other)
    )


@given(voxels)
def test_counts_are_those_of_the_labels(listed) -> None:
    strokes = strokes_from(listed)
    assert sum(strokes.counts.values()) == len(strokes) == len(listed)
    assert all(
        count == sum(label == known for *_, label in listed)
        for known, count in strokes.counts.items()
    )


def test_strokes_cannot_be_written() -> None:
    strokes = strokes_from([(1, 1, 1)])
    with pytest.raises(ValueError, match='read-only'):
        strokes.labels[0] = 2
    with pytest.raises(ValueError, match='read-only'):
        strokes.coordinates[0] = 2


def test_what_strokes_are_known_by_is_computed_once() -> None:
    strokes = Strokes(np.array([[0, 1], [2, 3]]), np.array([1, 2]), (5, 5))
    digest, counts = strokes.digest, strokes.counts
    assert strokes.digest is digest
    assert strokes.counts is counts
    assert counts == {1: 1, 2: 1}


class OwnType:
    """A type of values that numpy does not know, as arrays of tensorstore have."""

    numpy_dtype = np.dtype('uint16')


class OnServer:
    """An array that is read where it is indexed and tells nothing of chunks."""

    def __init__(self, array, dtype) -> None:
        self.array, self.shape, self.ndim, self.dtype = array, array.shape, array.ndim, dtype
        self.voxels = 0

    def __getitem__(self, key):
        part = self.array[key]
        self.voxels += part.size
        return part

    def __array__(self, dtype=None, copy=None):
        raise AssertionError('read as a whole')


@pytest.mark.parametrize('dtype', [np.dtype('uint16'), OwnType()])
def test_one_frame_is_read_of_a_stack_that_tells_nothing_of_chunks(dtype) -> None:
    stack = np.arange(20 * 30 * 40, dtype=np.uint16).reshape(20, 30, 40)
    array = OnServer(stack, dtype)
    source = source_of(array, 'TYX')
    assert source.unread_bytes == 30 * 40 * 2
    image = source.frame(7)
    assert (image.lazy, array.voxels) == (True, 0)
    np.testing.assert_array_equal(image.in_memory().data[0], stack[7])
    assert array.voxels <= 30 * 40
