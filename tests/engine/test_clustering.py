import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from napari_flim.engine.clustering import (
    kmeans,
    medoids,
    nearest,
    principal_axes,
    representatives,
    share_slots,
    unit_norm,
)


def blobs(count, dimension, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(6, dimension)) * 2
    return centres[rng.integers(6, size=count)] + rng.normal(size=(count, dimension)) * 0.5


def inertia(points, centres, assignment):
    return float(((points - centres[assignment]) ** 2).sum())


@pytest.mark.parametrize(('count', 'dimension', 'groups'), [(81, 27, 5), (300, 4, 12), (40, 48, 8)])
def test_groups_are_as_tight_as_those_of_scikit_learn(count, dimension, groups):
    points = blobs(count, dimension)
    reference = KMeans(groups, n_init=20, random_state=0).fit(points).inertia_
    result = kmeans(points, groups, np.random.default_rng(0), starts=20)
    assert inertia(points, *result) < 1.03 * reference


def test_more_starts_are_never_worse():
    points = blobs(60, 5)
    one, many = (
        inertia(points, *kmeans(points, 7, np.random.default_rng(3), starts)) for starts in (1, 30)
    )
    assert many <= one


def test_every_point_belongs_to_its_nearest_centre_and_every_centre_is_a_mean():
    points = blobs(120, 6)
    centres, assignment = kmeans(points, 5, np.random.default_rng(1))
    distances = ((points[:, None] - centres[None]) ** 2).sum(axis=2)
    np.testing.assert_array_equal(assignment, distances.argmin(axis=1))
    for group, centre in enumerate(centres):
        # It stops when no centre moves more than this.
        assert np.linalg.norm(points[assignment == group].mean(axis=0) - centre) < 1e-3


def test_the_same_stream_gives_the_same_bits():
    points = blobs(100, 9)
    first, second = (kmeans(points, 6, np.random.default_rng(5), starts=3) for _ in range(2))
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])


def test_an_empty_group_takes_a_point():
    points = np.repeat([[0.0, 0.0], [4.0, 0.0]], 5, axis=0)
    centres, assignment = kmeans(points, 4, np.random.default_rng(0))
    assert {tuple(c) for c in centres.tolist()} == {(0, 0), (4, 0)}
    assert inertia(points, centres, assignment) == 0


def test_equal_points_are_one_group_however_many_are_asked_for():
    points = np.ones((10, 3))
    centres, assignment = kmeans(points, 4, np.random.default_rng(0))
    np.testing.assert_array_equal(centres, np.ones((4, 3)))
    assert len(set(assignment.tolist())) == 1
    vectors, indices = representatives(points, 4, np.random.default_rng(0))
    assert indices.tolist() == [0]
    assert vectors.tolist() == [[1, 1, 1]]


def test_a_tie_goes_to_the_first_centre():
    assert nearest(np.array([[1.0], [3.0]]), np.array([[0.0], [2.0], [2.0]])).tolist() == [0, 1]


def test_the_medoid_of_a_tie_is_the_first_point():
    points = np.array([[9.0], [2.0], [0.0], [8.0]])
    result = medoids(points, np.array([[1.0], [8.5]]), np.array([1, 0, 0, 1]))
    assert result.tolist() == [0, 1]


def test_a_group_without_points_has_no_medoid():
    points = np.array([[0.0], [1.0]])
    assert medoids(points, np.array([[0.0], [5.0]]), np.array([0, 0])).tolist() == [0]


def test_a_medoid_belongs_to_the_group_it_stands_for():
    points = np.array([[0.0], [1.0], [2.9], [3.2], [6.0]])
    # The point 2.9 is nearest to the second centre but belongs to the first group.
    result = medoids(points, np.array([[1.3], [2.8]]), np.array([0, 0, 0, 1, 1]))
    assert result.tolist() == [1, 3]


def test_few_points_stand_for_themselves():
    points = blobs(5, 3)
    for kind in ('centroid', 'medoid'):
        vectors, indices = representatives(points, 5, np.random.default_rng(0), kind)
        np.testing.assert_array_equal(vectors, points)
        assert indices.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize('starts', [1, 10])
def test_a_medoid_is_one_of_the_points(starts):
    points = blobs(50, 3)
    vectors, indices = representatives(points, 6, np.random.default_rng(0), 'medoid', starts)
    np.testing.assert_array_equal(vectors, points[indices])
    assert len(set(indices.tolist())) == 6


def test_a_centroid_names_the_point_nearest_to_it():
    points = blobs(50, 3)
    vectors, indices = representatives(points, 6, np.random.default_rng(0), 'centroid')
    distances = ((points[:, None] - vectors[None]) ** 2).sum(axis=2)
    np.testing.assert_array_equal(indices, distances.argmin(axis=0))


def test_vectors_without_direction_are_told_apart():
    vectors, usable = unit_norm(np.array([[3.0, 4.0], [0.0, 0.0], [1e-3, 0.0], [0.0, -2e-3]]))
    assert usable.tolist() == [True, False, False, True]
    np.testing.assert_allclose(vectors[usable], [[0.6, 0.8], [0, -1]])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=6), st.integers(1, 40))
def test_slots_are_shared_fairly(counts, slots):
    counts = np.array(counts)
    result = share_slots(counts, slots)
    assert result.sum() == min(max(slots, (counts > 0).sum()), counts.sum())
    assert (result <= counts).all()
    assert (result[counts > 0] >= 1).all()
    larger = counts[:, None] > counts[None]
    assert (result[:, None] >= result[None])[larger].all()


def test_slots_follow_the_candidates():
    assert share_slots(np.array([30, 60, 10]), 10).tolist() == [3, 6, 1]
    assert share_slots(np.array([5, 500]), 1).tolist() == [1, 1]


@pytest.mark.parametrize('count', [40, 6])
def test_principal_axes_are_those_of_numpy_turned_to_the_heavier_side(count):
    vectors = np.random.default_rng(2).gamma(1.0, size=(count, 9)) - 0.7
    axes = principal_axes(vectors, 4, 0.01)
    scaled = (vectors - vectors.mean(axis=0)) / (vectors.std(axis=0) + 0.01)
    covariance = scaled.T @ scaled
    values, expected = np.linalg.eigh(covariance)
    np.testing.assert_allclose(np.abs(axes @ expected[:, ::-1][:, :4]), np.eye(4), atol=1e-7)
    np.testing.assert_allclose(((scaled @ axes.T) ** 2).sum(axis=0), values[::-1][:4], rtol=1e-7)
    assert (((vectors @ axes.T) ** 3).sum(axis=0) >= 0).all()


def test_there_are_no_more_principal_axes_than_the_rank():
    vectors = np.random.default_rng(0).normal(size=(4, 9))
    assert len(principal_axes(vectors, 9, 0.01)) == 3


def test_principal_axes_bear_a_coordinate_that_never_varies():
    vectors = np.random.default_rng(0).normal(size=(20, 4))
    vectors[:, 1] = 0.5
    axes = principal_axes(vectors, 4, 0.0)
    assert np.isfinite(axes).all()
    np.testing.assert_allclose(axes[:, 1], 0, atol=1e-12)
    assert len(axes) == 3
