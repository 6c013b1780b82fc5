import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_flim.engine import crops as module
from napari_flim.engine.crops import Crop, marker_crops, whole_image
from napari_flim.engine.markers import MarkerSet


def ranges(box):
    return [(part.start, part.stop) for part in box]


def holds(box, voxel):
    return all(part.start <= v < part.stop for part, v in zip(box, voxel, strict=True))


@st.composite
def markings(draw):
    ndim = draw(st.sampled_from([2, 3]))
    shape = tuple(draw(st.integers(200, 900)) for _ in range(ndim))
    voxels = [
        tuple(draw(st.integers(0, n - 1)) for n in shape) for _ in range(draw(st.integers(1, 12)))
    ]
    halo = tuple(draw(st.integers(0, 30)) for _ in range(ndim))
    return np.array(voxels), shape, halo, tuple(draw(st.integers(1, 5)) for _ in range(ndim))


@settings(max_examples=60, deadline=None)
@given(markings())
def test_every_marker_voxel_lies_in_a_core_that_is_read_with_its_halo(case):
    voxels, shape, halo, alignment = case
    found = marker_crops(voxels, shape, halo, alignment)
    assert all(any(holds(crop.core, v) for crop in found) for v in voxels.tolist())
    if found == whole_image(shape):
        return
    for crop in found:
        axes = zip(crop.core, crop.read, shape, halo, alignment, strict=True)
        for core, read, length, margin, step in axes:
            assert read.start % step == 0
            assert read.start <= max(0, core.start - margin) < read.start + step
            assert read.stop == min(length, core.stop + margin)


def test_near_markers_share_a_crop_and_far_ones_do_not():
    voxels = np.array([[100, 100], [110, 140], [3000, 2000]])
    near, far = marker_crops(voxels, (4000, 4000), (9, 9), (1, 1))
    assert ranges(near.core) == [(100, 111), (100, 141)]
    assert ranges(far.read) == [(2991, 3010), (1991, 2010)]


def test_a_long_diagonal_marker_is_covered_piece_by_piece():
    line = np.arange(10_000)
    found = marker_crops(np.stack([line, line], axis=1), (10_000, 10_000), (20, 20), (1, 1))
    area = sum(np.prod([part.stop - part.start for part in crop.read]) for crop in found)
    assert area < 0.05 * 10_000**2


def test_markers_all_over_an_image_are_read_with_all_of_it():
    everywhere = np.array(list(itertools.product(range(0, 300, 30), repeat=2)))
    assert marker_crops(everywhere, (300, 300), (5, 5), (2, 2)) == whole_image((300, 300))
    assert marker_crops(everywhere[:1], (60, 60), (5, 5), (2, 2)) == whole_image((60, 60))


def test_of_an_image_without_markers_only_a_corner_is_read():
    (crop,) = marker_crops(np.zeros((0, 2), int), (5000, 5000), (7, 3), (2, 2))
    assert crop == Crop((slice(0, 1),) * 2, (slice(0, 8), slice(0, 4)))


def test_many_scattered_markers_are_first_gathered_in_larger_cells(monkeypatch):
    monkeypatch.setattr(module, 'MOST_CELLS', 20)
    voxels = np.random.default_rng(0).integers(0, 60_000, (300, 2))
    found = marker_crops(voxels, (100_000, 100_000), (9, 9), (1, 1))
    assert len(found) <= 20
    assert all(any(holds(crop.core, v) for crop in found) for v in voxels.tolist())


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 60), st.integers(1, 7), st.data())
def test_the_cells_of_a_core_are_those_of_its_voxels(length, step, data):
    first = data.draw(st.integers(0, length - 1))
    last = data.draw(st.integers(first, length - 1))
    count = -(-length // step)
    voxels = np.stack([np.zeros(last + 1 - first, int), np.arange(first, last + 1)], axis=1)
    grid = MarkerSet.from_points(voxels, np.ones(len(voxels), int), (1, length)).on_grid(
        (1, step), (1, count)
    )
    crop = Crop((slice(0, 1), slice(first, last + 1)), (slice(0, 1), slice(0, length)))
    _, cells = crop.cells((1, step), (1, count))
    assert sorted(set(grid.coordinates[:, 1].tolist())) == list(range(cells.start, cells.stop))


@pytest.mark.parametrize('ndim', [2, 3])
def test_one_stroke_is_one_crop(ndim):
    stroke = np.array(list(itertools.product(*[range(100, 108)] * (ndim - 1), range(50, 150))))
    assert len(marker_crops(stroke, (1000,) * ndim, (9,) * ndim, (1,) * ndim)) == 1
