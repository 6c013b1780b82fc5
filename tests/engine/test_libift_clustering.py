import numpy as np
import pytest

from napari_flim.engine.libift_clustering import (
    choose,
    distances,
    glibc_random,
    medoids,
    running_sum,
    unit_norm,
)

RNG = np.random.default_rng(1)


def choose_one_by_one(total, count):
    """The choice as LibIFT words it: draw, count down, take an item whose counter is used up."""
    items, counters, last, taken = list(range(total)), [100] * total, total - 1, []
    draws = iter(glibc_random(400 * total).tolist())
    while len(taken) < count:
        slot = min(int(next(draws) / (2147483647 + 0.5) * (last + 1.0)), last)
        if counters[slot]:
            counters[slot] -= 1
            continue
        taken.append(items[slot])
        items[slot], items[last] = items[last], items[slot]
        counters[slot], counters[last] = counters[last], counters[slot]
        last -= 1
    return taken


def test_random_numbers_are_those_of_glibc_after_seeding_with_42():
    first = [71876166, 708592740, 1483128881, 907283241, 442951012]
    assert glibc_random(5).tolist() == first
    assert glibc_random(1000)[:5].tolist() == first


@pytest.mark.parametrize(('total', 'count'), [(2, 1), (5, 4), (17, 3), (60, 59), (400, 7)])
def test_items_are_chosen_as_by_drawing_one_by_one(total, count):
    assert choose(total, count).tolist() == choose_one_by_one(total, count)


def test_all_items_are_chosen_in_order():
    assert choose(6, 6).tolist() == [0, 1, 2, 3, 4, 5]


def test_sums_run_in_float32_in_array_order():
    values = RNG.normal(size=(1000, 3)).astype(np.float32)
    total = np.zeros(3, dtype=np.float32)
    for row in values:
        total += row
    assert np.array_equal(running_sum(values, axis=0), total)
    assert np.array_equal(running_sum(values.T, axis=1), total)
    assert not np.array_equal(values.sum(axis=0, dtype=np.float64).astype(np.float32), total)


def test_distances_sum_squares_element_by_element_in_float32():
    centres, samples = RNG.normal(size=(2, 4, 60)).astype(np.float32)
    total = np.zeros((4, 4), dtype=np.float32)
    for element in range(60):
        total += (centres[:, element, None] - samples[None, :, element]) ** 2
    assert np.array_equal(distances(centres, samples), np.sqrt(total))


def test_rows_get_unit_norm_unless_they_are_nearly_zero():
    samples = np.array([[3, 4], [0, 0], [0.0006, 0.0006]], dtype=np.float32)
    expected = np.array([[0.6, 0.8], [0, 0], [0.0006, 0.0006]], dtype=np.float32)
    assert np.array_equal(unit_norm(samples), expected)


def test_every_distant_group_has_its_own_medoid():
    corners = np.array([[0, 0], [100, 0], [0, 100]])
    samples = (corners[:, None] + RNG.normal(size=(3, 9, 2))).reshape(-1, 2)
    assert sorted(medoids(samples, 3) // 9) == [0, 1, 2]


def test_medoids_are_samples_nearest_to_the_mean_of_their_group():
    samples = np.array([[0.0], [1.0], [2.0], [50.0], [51.0], [52.0], [53.5]])
    assert medoids(samples, 2).tolist() == [1, 5]


def test_groups_that_run_empty_give_no_medoid():
    assert medoids(np.array([[0.0], [0.0], [2.0], [0.0], [1.0]]), 4).tolist() == [0, 2]


def test_samples_that_are_all_zero_still_give_medoids():
    assert len(medoids(np.zeros((6, 3)), 2)) == 2
