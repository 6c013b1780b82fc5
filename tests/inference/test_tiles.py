import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_flim.inference.tiles import tiles

axis = st.tuples(
    st.integers(1, 40), st.integers(1, 50), st.integers(0, 12), st.sampled_from([1, 2, 4])
)


@given(st.lists(axis, min_size=1, max_size=3))
def test_cores_cover_an_image_once(axes):
    shape, size, halo, alignment = zip(*axes, strict=True)
    covered = np.zeros(shape, dtype=int)
    for number, tile in enumerate(tiles(shape, size, halo, alignment)):
        assert tile.number == number
        covered[tile.core] += 1
    assert (covered == 1).all()


@given(st.lists(axis, min_size=1, max_size=3))
def test_a_tile_reads_its_core_with_the_halo_from_an_aligned_place(axes):
    shape, size, halo, alignment = zip(*axes, strict=True)
    voxels = np.arange(np.prod(shape)).reshape(shape)
    for tile in tiles(shape, size, halo, alignment):
        np.testing.assert_array_equal(voxels[tile.read][tile.inside], voxels[tile.core])
        for core, read, length, margin, step in zip(
            tile.core, tile.read, shape, halo, alignment, strict=True
        ):
            assert read.start % step == core.start % step == 0
            assert read.start <= max(0, core.start - margin)
            assert read.stop >= min(length, core.stop + margin)
            assert read.stop <= length


@pytest.mark.parametrize('stride', [(1, 1), (2, 2), (2, 4)])
def test_cores_cover_a_subsampled_grid_once(stride):
    shape = (13, 22)
    grid = np.zeros([-(-n // s) for n, s in zip(shape, stride, strict=True)], dtype=int)
    places = np.arange(grid.size).reshape(grid.shape)
    for tile in tiles(shape, (4, 8), (3, 3), (4, 4)):
        core, inside = tile.on_grid(stride)
        grid[core] += 1
        read = tuple(
            slice(part.start // s, -(-part.stop // s))
            for part, s in zip(tile.read, stride, strict=True)
        )
        np.testing.assert_array_equal(places[read][inside], places[core])
    assert (grid == 1).all()
