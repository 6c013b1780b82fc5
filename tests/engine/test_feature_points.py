import numpy as np
import pytest
import torch

from napari_flim.engine import candidates
from napari_flim.engine.feature_points import choose_feature_points
from napari_flim.engine.marked_regions import MarkedRegions
from napari_flim.engine.markers import MarkerSet
from napari_flim.engine.normalization import Normalization

NOTHING = Normalization(np.zeros(1, np.float32), np.ones(1, np.float32))


def image(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def whole(*shape, seed=0):
    return MarkedRegions.whole(image(*shape, seed=seed))


def stripes(extra=False):
    """One background marker and two markers of objects."""
    labels = np.zeros((24, 30), int)
    labels[2:6, 2:12] = 1
    labels[10:14, 2:12] = 2
    labels[18:22, 2:12] = 3
    if extra:
        labels[0:2, 24:30] = 2
    return MarkerSet.from_labels(labels)


def test_objects_get_three_points_and_the_background_one():
    (points,) = choose_feature_points([whole(1, 24, 30)], [stripes()], NOTHING)
    assert np.bincount(points.classes).tolist() == [0, 1, 3, 3]


@pytest.mark.parametrize(('on_background', 'on_objects'), [(2, 2), (4, 1)])
def test_the_number_of_points_can_be_chosen(on_background, on_objects):
    (points,) = choose_feature_points(
        [whole(1, 24, 30)],
        [stripes()],
        NOTHING,
        on_background=on_background,
        on_objects=on_objects,
    )
    assert np.bincount(points.classes).tolist() == [0, on_background, on_objects, on_objects]


def test_every_point_is_a_marked_voxel_and_a_marker_of_its_own():
    markers = stripes()
    (points,) = choose_feature_points([whole(1, 24, 30)], [markers], NOTHING)
    marked = dict(zip(map(tuple, markers.coordinates.tolist()), markers.classes, strict=True))
    assert [marked[tuple(v)] for v in points.coordinates.tolist()] == points.classes.tolist()
    assert points.markers.tolist() == list(range(len(points)))
    assert points.shape == markers.shape


def test_points_represent_the_different_surroundings_of_a_marker():
    features = torch.zeros(1, 20, 40)
    features[:, :, 20:] = 5.0
    labels = np.zeros((20, 40), int)
    labels[8:12, 4:36] = 2
    (points,) = choose_feature_points(
        [MarkedRegions.whole(features)], [MarkerSet.from_labels(labels)], NOTHING, on_objects=2
    )
    columns = sorted(points.coordinates[:, 1].tolist())
    assert columns[0] < 20 <= columns[1]


def test_the_radius_bounds_what_is_compared():
    markers = MarkerSet.from_labels(np.pad(np.full((3, 3), 2), 9))
    plain, distant = image(1, 21, 21), image(1, 21, 21)
    distant[:, :5], distant[:, -5:] = 99.0, 99.0
    near, far = (
        [
            choose_feature_points([MarkedRegions.whole(x)], [markers], NOTHING, radius=r)[0]
            for x in (plain, distant)
        ]
        for r in (3.0, 8.0)
    )
    assert np.array_equal(near[0].coordinates, near[1].coordinates)
    assert not np.array_equal(far[0].coordinates, far[1].coordinates)


def test_a_marker_of_few_voxels_gives_all_of_them():
    markers = MarkerSet.from_points(np.array([[3, 3], [3, 4]]), np.array([2, 2]), (9, 9))
    (points,) = choose_feature_points([whole(1, 9, 9)], [markers], NOTHING)
    assert points.coordinates.tolist() == [[3, 3], [3, 4]]


def test_an_image_without_markers_has_no_points():
    empty = MarkerSet.from_labels(np.zeros((24, 30), int))
    pair = [whole(1, 24, 30), whole(1, 24, 30, seed=1)]
    none, some = choose_feature_points(pair, [empty, stripes()], NOTHING)
    assert len(none) == 0
    assert len(some) == 7


def test_another_marker_far_away_moves_no_point():
    features = [whole(1, 24, 30)]
    few, more = (
        choose_feature_points(features, [stripes(extra)], NOTHING)[0] for extra in (False, True)
    )
    before, after = ({tuple(v) for v in p.coordinates.tolist()} for p in (few, more))
    assert len(after) == len(before) + 3
    assert before <= after


def test_the_same_seed_gives_the_same_points():
    features = [whole(1, 24, 30)]
    first, again, other = (
        choose_feature_points(features, [stripes()], NOTHING, seed=s)[0] for s in (4, 4, 5)
    )
    assert np.array_equal(first.coordinates, again.coordinates)
    assert not np.array_equal(first.coordinates, other.coordinates)


def test_volumes_have_points_too():
    labels = np.zeros((10, 11, 12), int)
    labels[2:4, 2:8, 2:8], labels[6:8, 2:8, 2:8] = 1, 2
    markers = MarkerSet.from_labels(labels)
    (points,) = choose_feature_points([whole(1, 10, 11, 12)], [markers], NOTHING)
    assert np.bincount(points.classes).tolist() == [0, 1, 3]


def test_a_huge_marker_is_compared_at_evenly_spaced_voxels_only(monkeypatch):
    monkeypatch.setattr(candidates, 'LARGEST_MARKER', 10)
    labels = np.zeros((12, 60), int)
    labels[3, 4:44] = 2
    markers = MarkerSet.from_labels(labels)
    (points,) = choose_feature_points([whole(1, 12, 60)], [markers], NOTHING, on_objects=40)
    assert points.coordinates[:, 1].tolist() == list(range(4, 44, 4))
