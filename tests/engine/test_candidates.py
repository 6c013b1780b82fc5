from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_flim.engine import candidates as module
from napari_flim.engine.architecture import Block
from napari_flim.engine.candidates import (
    cluster_markers,
    marker_patches,
    patch_statistics,
    thin_markers,
)
from napari_flim.engine.marked_regions import MarkedRegions
from napari_flim.engine.markers import MarkerSet
from napari_flim.engine.normalization import Normalization
from napari_flim.engine.options import LearningOptions

MEDOIDS = LearningOptions(representative='medoid')
NOTHING = Normalization(np.zeros(2, np.float32), np.ones(2, np.float32))


def marked_image(extra=False):
    labels = np.zeros((20, 30), np.uint8)
    labels[2:6, 2:9] = 1
    labels[10:15, 20:26] = 2
    labels[18, 3:6] = 2
    if extra:
        labels[0:3, 25:29] = 1
    features = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 20, 30)).astype('f4'))
    return features, MarkerSet.from_labels(labels)


def candidates_of(features, grid, spec, options=MEDOIDS, stream=(1, 0), stride=(1, 1)):
    patches = marker_patches(MarkedRegions.whole(features), NOTHING, grid, spec)
    return cluster_markers(patches, grid, stride, spec, options, stream)


def test_every_marker_gives_at_most_the_wanted_candidates_from_its_own_voxels():
    features, grid = marked_image()
    found = candidates_of(features, grid, Block(kernels_per_marker=4))
    assert np.bincount(found.markers).tolist() == [4, 4, 3]
    assert found.classes.tolist() == [1] * 4 + [2] * 4 + [2] * 3
    where = {tuple(v): n for v, n in zip(grid.coordinates.tolist(), grid.markers, strict=True)}
    assert [where[tuple(v)] for v in found.voxels.tolist()] == found.markers.tolist()


def test_a_medoid_candidate_is_the_patch_at_its_voxel():
    features, grid = marked_image()
    spec = Block(kernels_per_marker=4, dilation=2)
    found = candidates_of(features, grid, spec)
    at_origin = MarkerSet.from_points(found.voxels, found.classes, grid.shape)
    expected = marker_patches(MarkedRegions.whole(features), NOTHING, at_origin, spec)
    np.testing.assert_array_equal(found.vectors.astype(np.float32), expected)


@pytest.mark.parametrize('representative', ['centroid', 'medoid'])
def test_another_marker_far_away_changes_no_candidate(representative):
    options = LearningOptions(representative=representative)
    spec = Block(kernels_per_marker=4)
    few = candidates_of(*marked_image(), spec, options)
    more = candidates_of(*marked_image(extra=True), spec, options)
    kept = more.take(~((more.voxels[:, 0] < 3) & (more.voxels[:, 1] > 24)))
    assert len(more) == len(few) + 4
    order, kept_order = (np.lexsort(c.voxels.T) for c in (few, kept))
    for name in ('vectors', 'classes', 'voxels'):
        np.testing.assert_array_equal(getattr(few, name)[order], getattr(kept, name)[kept_order])


def test_the_seed_and_the_image_choose_other_candidates():
    features, grid = marked_image()
    spec = Block(kernels_per_marker=3)
    first = candidates_of(features, grid, spec)
    assert not np.array_equal(
        first.voxels, candidates_of(features, grid, spec, replace(MEDOIDS, seed=1)).voxels
    )
    assert not np.array_equal(
        first.voxels, candidates_of(features, grid, spec, stream=(1, 1)).voxels
    )


def test_voxels_are_those_of_the_image_and_not_of_the_grid():
    features, grid = marked_image()
    here, coarse = (candidates_of(features, grid, Block(), stride=s) for s in ((1, 1), (2, 4)))
    np.testing.assert_array_equal(coarse.voxels, here.voxels * [2, 4])


def test_an_image_gives_no_more_candidates_than_allowed():
    features, grid = marked_image()
    found = candidates_of(features, grid, Block(kernels_per_marker=5, kernels_per_image=6))
    assert len(found) == 6
    assert set(found.classes) == {1, 2}


def test_patches_without_contrast_are_no_candidates():
    _, grid = marked_image()
    features = torch.zeros(2, 20, 30)
    features[:, :8] = torch.randn(2, 8, 30)
    found = candidates_of(features, grid, Block(kernels_per_marker=2))
    assert set(found.markers.tolist()) == {0}


def test_an_image_without_markers_gives_no_candidate():
    features, _ = marked_image()
    empty = MarkerSet.from_labels(np.zeros((20, 30), np.uint8))
    found = candidates_of(features, empty, Block())
    assert len(found) == 0
    assert found.vectors.shape == (0, 18)
    assert found.voxels.shape == (0, 2)


def test_a_huge_marker_is_represented_by_evenly_spaced_voxels(monkeypatch):
    monkeypatch.setattr(module, 'LARGEST_MARKER', 10)
    labels = np.zeros((3, 40), np.uint8)
    labels[0] = 1
    labels[2, :7] = 2
    thin = thin_markers(MarkerSet.from_labels(labels))
    assert thin.coordinates[thin.markers == 0, 1].tolist() == list(range(0, 40, 4))
    assert thin.coordinates[thin.markers == 1, 1].tolist() == list(range(7))


def test_patch_statistics_are_population_statistics_plus_epsilon():
    statistics = patch_statistics(np.array([[0.0, 5.0], [2.0, 5.0]], np.float32), 0.01)
    assert statistics.mean.tolist() == [1, 5]
    np.testing.assert_allclose(statistics.std, [1.01, 0.01])
