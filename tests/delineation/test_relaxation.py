import numpy as np
import pytest

from napari_flim.delineation.relaxation import relaxed_labels, relaxed_saliency


def relaxed_by_hand(start, features, passes):
    """The formula, voxel by voxel."""
    current = start.astype(np.float64)
    reach = list(np.ndindex((3,) * start.ndim))
    for _ in range(passes):
        after = np.zeros_like(current)
        for p in np.ndindex(start.shape):
            heard = total = 0.0
            for offset in reach:
                q = tuple(np.add(p, offset) - 1)
                steps = np.subtract(p, q)
                inside = all(0 <= i < n for i, n in zip(q, start.shape, strict=True))
                if inside and (steps**2).sum() <= 1.5**2:
                    weight = 100 * np.linalg.norm(features[:, *p] - features[:, *q])
                    heard += current[q] / (1 + weight)
                    total += 1 / (1 + weight)
            after[p] = heard / total
        current = after
    return np.where(current < 0.01, 0, current)


@pytest.mark.parametrize('shape', [(7, 9), (4, 5, 6), (1, 8)])
@pytest.mark.parametrize('passes', [1, 2])
def test_relaxation_is_the_published_formula(shape, passes):
    rng = np.random.default_rng(0)
    objects, saliency = rng.random(shape) < 0.4, rng.random(shape).astype(np.float32)
    features = rng.random((3, *shape)).astype(np.float32) * 0.1
    result = relaxed_saliency(objects, saliency, features, passes=passes)
    expected = relaxed_by_hand(objects + 0.001 * saliency, features.astype(float), passes)
    np.testing.assert_allclose(result, expected, atol=1e-5)


def test_seeds_keep_their_value():
    objects = np.zeros((7, 7), bool)
    objects[3, 3] = True
    fixed = objects.copy()
    result = relaxed_saliency(objects, np.zeros((7, 7)), np.zeros((7, 7)), fixed)
    assert result[3, 3] == 1
    assert relaxed_saliency(objects, np.zeros((7, 7)), np.zeros((7, 7)))[3, 3] < 0.2


def test_spikes_go_where_the_image_is_smooth_and_stay_at_its_borders():
    labels = np.zeros((20, 20), np.int32)
    labels[5:15, 5:15] = labels[3:5, 9] = 1
    nothing = np.zeros((20, 20), bool)
    smooth = relaxed_labels(labels, np.zeros((20, 20)), np.zeros((1, 20, 20), np.float32), nothing)
    assert not smooth[3, 9]
    edges = (labels > 0).astype(np.float32)[None]
    kept = relaxed_labels(labels, np.zeros((20, 20)), edges, nothing)
    np.testing.assert_array_equal(kept, labels)


def test_relaxed_objects_keep_their_ids():
    labels = np.zeros((12, 20), np.int32)
    labels[2:10, 2:8], labels[2:10, 12:18] = 70_000, 3
    labels[5, 5] = 0
    result = relaxed_labels(
        labels, np.zeros((12, 20)), np.zeros((1, 12, 20), np.float32), np.zeros((12, 20), bool)
    )
    assert result[5, 5] == 70_000
    assert set(np.unique(result)) == {0, 3, 70_000}


def test_no_object_stays_none():
    labels = np.zeros((4, 5), np.int32)
    result = relaxed_labels(labels, np.ones((4, 5)), np.ones((1, 4, 5), np.float32), labels > 0)
    assert not result.any()
