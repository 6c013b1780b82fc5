import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_flim.inference.block_memory import band_size, block_size
from napari_flim.inference.object_groups import Bands, packed


@given(
    st.lists(
        st.tuples(st.integers(0, 90), st.integers(0, 90), st.integers(1, 30), st.integers(1, 30)),
        max_size=30,
    )
)
def test_every_box_is_packed_into_one_window_or_left_over(boxes):
    shape, size = (120, 120), (20, 24)
    low = np.array([box[:2] for box in boxes], dtype=np.int64).reshape(-1, 2)
    high = low + np.array([box[2:] for box in boxes], dtype=np.int64).reshape(-1, 2)
    members = [np.array([number]) for number in range(1, len(boxes) + 1)]
    rounds, left = packed(np.arange(len(boxes)), members, low, high, shape, size)
    seen = [left + 1]
    for windows in rounds:
        touched = np.zeros(shape, dtype=int)
        for window in windows:
            seen.append(window.objects)
            # Processes write whole chunks of half a tile: no two windows of a round share one.
            chunks = tuple(
                slice(side.start // (n // 2) * (n // 2), -(-side.stop // (n // 2)) * (n // 2))
                for side, n in zip(window.core, size, strict=True)
            )
            touched[chunks] += 1
            for number in window.objects - 1:
                for axis, side in enumerate(window.core):
                    assert side.start <= low[number, axis] < high[number, axis] <= side.stop
        assert touched.max(initial=0) <= 1
    assert sorted(np.concatenate(seen).tolist()) == list(range(1, len(boxes) + 1))
    small = ((high - low) <= np.array(size) // 2).all(axis=1)
    assert not small[left].any()


def test_distances_in_a_tile_are_exact_as_far_as_the_reach():
    rng = np.random.default_rng(0)
    regions = np.zeros((60, 50), dtype=np.int32)
    for number, (y, x) in enumerate(rng.integers(0, 45, (6, 2)), start=1):
        regions[y : y + 3, x : x + 3] = number
    spacing = (1.0, 2.0)
    whole = Bands(regions, regions.shape, spacing, 1e3).distance((slice(0, 60), slice(0, 50)))
    near = Bands(regions, regions.shape, spacing, 7.0)
    for box in ((slice(0, 20), slice(0, 50)), (slice(20, 40), slice(13, 14))):
        wanted, got = whole[box], near.distance(box)
        np.testing.assert_array_equal(got <= 7, wanted <= 7)
        np.testing.assert_allclose(got[wanted <= 7], wanted[wanted <= 7])


def test_tiles_are_whole_chunks_where_these_are_smaller():
    plain = block_size((5000, 5000), 1, 1, 10**9)
    assert plain[0] == plain[1] > 512
    assert plain[0] % 2 == 0
    assert block_size((5000, 5000), 1, 1, 10**9, (512, 100)) == (
        plain[0] // 512 * 512,
        plain[0] // 100 * 100,
    )
    assert block_size((5000, 5000), 1, 1, 10**9, (4096, 4096)) == plain
    assert block_size((33, 5000), 1, 1, 10**9) == (34, plain[1])


def test_tiles_shrink_where_a_wide_halo_has_to_be_seen():
    assert band_size((128, 128), (5, 5), 10**7) == (128, 128)
    assert max(band_size((128, 128), (100, 100), 10**7)) < 128
