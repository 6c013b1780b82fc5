import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage.measure import label

from napari_flim.delineation.candidates import frame, numbered_in_raster_order
from napari_flim.inference.connected_tiles import decided, find_components, known_tiles
from napari_flim.inference.stages import Stages
from napari_flim.inference.tile_components import Finding
from napari_flim.inference.tiles import tiles
from napari_flim.progress import finish


class Kinds:
    """An array that is read box by box."""

    def __init__(self, array):
        self.array = array

    def __call__(self, box):
        return self.array[box]


def run(kinds, size, connectivity, everything=False):
    ndim = kinds.ndim
    parts = tiles(kinds.shape, size, (0,) * ndim, (1,) * ndim)
    finding = Finding(Kinds(kinds), kinds.shape, connectivity, everything=everything)
    reports, found = finish(find_components('finding', finding, parts, Stages(1)))
    return parts, finding, reports, found


kinds_in_tiles = st.integers(2, 3).flatmap(
    lambda ndim: st.tuples(
        hnp.arrays(
            np.uint8,
            st.tuples(*[st.integers(1, 8)] * ndim),
            elements=st.sampled_from([0, 0, 1, 2]),
        ),
        st.tuples(*[st.integers(1, 5)] * ndim),
        st.integers(1, ndim),
        st.booleans(),
    )
)


def expected(kinds, connectivity):
    found = label(kinds.astype(int), background=0, connectivity=connectivity)
    return numbered_in_raster_order(found)[0]


@settings(max_examples=80, deadline=None)
@given(kinds_in_tiles)
def test_components_joined_at_seams_are_those_of_the_whole(case):
    kinds, size, connectivity, as_mask = case
    kinds = kinds > 0 if as_mask else kinds
    parts, finding, reports, found = run(kinds, size, connectivity, everything=True)
    wanted = expected(kinds, connectivity)
    ids = np.arange(1, len(found.facts) + 1)
    got = np.zeros(kinds.shape, dtype=int)
    for tile in known_tiles(parts, reports, found, ids):
        got[tile.core] = decided(finding, tile, lambda facts: np.zeros(len(facts), int))
    np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(found.facts.voxels, np.bincount(wanted.ravel())[1:])
    for index, box in enumerate(ndimage.find_objects(wanted)):
        assert found.facts.low[index].tolist() == [side.start for side in box]
        assert found.facts.high[index].tolist() == [side.stop for side in box]
        own = np.flatnonzero(wanted.ravel() == index + 1)
        assert found.facts.first[index] == own[0]
        assert found.facts.kinds[index] == kinds.ravel()[own[0]]


@settings(max_examples=80, deadline=None)
@given(kinds_in_tiles, st.integers(1, 6))
def test_a_rule_decides_alike_within_tiles_and_across_seams(case, smallest):
    kinds, size, connectivity, _ = case

    def rule(facts):
        return (facts.voxels >= smallest) & ~facts.in_frame

    parts, finding, reports, found = run(kinds > 0, size, connectivity)
    got = np.zeros(kinds.shape, dtype=bool)
    for tile in known_tiles(parts, reports, found, rule(found.facts)):
        got[tile.core] = decided(finding, tile, rule)
    wanted = expected(kinds > 0, connectivity)
    kept = np.bincount(wanted.ravel()) >= smallest
    kept[0] = False
    kept[np.unique(wanted[frame(kinds.shape, 1, True)])] = False
    np.testing.assert_array_equal(got, kept[wanted])


def test_only_components_at_seams_are_reported():
    mask = np.zeros((8, 16), dtype=bool)
    mask[2:4, 2:4] = mask[5, 6:10] = True
    _, _, reports, found = run(mask, (8, 8), 2)
    assert [len(report) for report in reports] == [1, 1]
    assert found.facts.voxels.tolist() == [4]


def test_one_component_may_pass_through_every_tile():
    snake = np.zeros((21, 21), dtype=bool)
    snake[::4] = True
    snake[2::8, -1] = snake[1::8, -1] = snake[3::8, -1] = True
    snake[6::8, 0] = snake[5::8, 0] = snake[7::8, 0] = True
    *_, found = run(snake, (2, 2), 1, everything=True)
    assert found.facts.voxels.tolist() == [snake.sum()]


@pytest.mark.parametrize('connectivity', [1, 2, 3])
def test_tiles_that_share_a_corner_only_meet_by_full_connectivity(connectivity):
    corners = np.zeros((4, 4, 4), dtype=bool)
    corners[1, 1, 1] = corners[2, 2, 2] = True
    *_, found = run(corners, (2, 2, 2), connectivity, everything=True)
    assert len(found.facts) == (1 if connectivity == 3 else 2)


def test_how_components_are_found_can_be_sent_to_another_process():
    _, finding, _, _ = run(np.ones((4, 4), dtype=bool), (2, 2), 1)
    tile = tiles((4, 4), (2, 2), (0, 0), (1, 1))[0]
    again = pickle.loads(pickle.dumps(finding))
    np.testing.assert_array_equal(again.report(tile).voxels, [4])
