"""A linear decoder of a whole model: what it reads at markers, how they count, what it finds."""

from __future__ import annotations

import numpy as np
import pytest

import napari_flim as flim
from napari_flim.delineation.delineation_settings import DelineationSettings
from napari_flim.engine.image import read_array
from napari_flim.engine.linear_decoder import SCALES
from napari_flim.engine.markers import MarkerSet
from napari_flim.engine.multiscale import multiscale_features
from napari_flim.errors import ModelFileError
from napari_flim.inference.marker_values import block_values, input_values
from napari_flim.linear_training import MOST_VOXELS, marked_voxels

STRIDED = flim.Architecture((flim.Block(channels=4, stride=2), flim.Block(channels=5)))


def spots(markers: np.ndarray, size: int) -> np.ndarray:
    """The markers in a corner of a larger image."""
    wide = np.zeros((size, size), markers.dtype)
    wide[: markers.shape[0], : markers.shape[1]] = markers
    return wide


@pytest.fixture
def wide(scene):
    """An image of which only a corner is marked, so that crops are read."""
    image = np.random.default_rng(1).integers(0, 255, (400, 400)).astype(np.uint8)
    image[:48, :48] = scene.image
    return image, spots(scene.markers, 400)


@pytest.mark.parametrize('text', ['scaled', 'multiscale'])
def test_values_at_markers_are_those_of_the_whole_image(wide, text: str) -> None:
    image, markers = wide
    model = flim.learn(image, markers, STRIDED, input=text)
    voxels = MarkerSet.from_labels(markers).coordinates
    accepted = read_array(image)
    found = block_values(model.applying(accepted), voxels)
    expected = model.features(image, [1, 2])[(slice(None), *voxels.T)].T
    np.testing.assert_allclose(found, expected, atol=1e-5)
    base = model.transform.single_scale(model.input_features(image))
    features = multiscale_features(base, SCALES, (1, 1)).numpy()[(slice(None), *voxels.T)].T
    read = input_values(model.transform, accepted, voxels, SCALES)
    np.testing.assert_allclose(read, features, atol=1e-5)


def test_classes_count_alike_and_markers_by_the_root_of_their_size() -> None:
    labels = np.zeros((100, 100), np.uint8)
    labels[0:10, 0:10], labels[50:55, 50:55], labels[90:92, 90:92] = 1, 1, 2
    marked = marked_voxels([MarkerSet.from_labels(labels)], seed=0)
    large, small, other = (marked.weights[marked.markers == number].sum() for number in range(3))
    assert large / small == pytest.approx(2.0)
    assert large + small == pytest.approx(other)
    assert marked.weights.mean() == pytest.approx(1.0)


def test_of_many_voxels_some_are_looked_at_and_each_marker_keeps_its_say() -> None:
    labels = np.zeros((300, 300), np.uint8)
    labels[:200, :200], labels[250:255, 250:255], labels[0:20, 250:270] = 1, 1, 2
    marked = marked_voxels([MarkerSet.from_labels(labels)], seed=0)
    assert len(marked.voxels) < MOST_VOXELS + 3
    large, small = (marked.weights[(marked.markers == m)].sum() for m in (0, 2))
    assert large / small == pytest.approx(200 / 5)


def test_three_classes_are_told_apart(scene) -> None:
    image = scene.image.copy()
    image[28:40, 26:38] //= 2
    markers = scene.markers.copy()
    markers[32:36, 30:34] = 3
    model = flim.learn(image, markers, STRIDED, 'linear')
    classes = model.class_map(image)
    assert classes[12, 12] == 2
    assert classes[34, 32] == 3
    maps = model.saliency(image)
    assert maps.shape == (2, 48, 48)
    assert (maps.sum(axis=0) <= 1 + 1e-6).all()


def test_an_image_without_objects_stays_empty(scene) -> None:
    model = flim.learn(scene.image, scene.markers, STRIDED, 'linear')
    noise = np.random.default_rng(3).normal(60, 8, (48, 48)).clip(0, 255).astype(np.uint8)
    fixed = flim.learn(scene.image, scene.markers, STRIDED, 'linear', input='scaled:fixed')
    assert fixed.segment(noise).max() == 0
    assert model.segment(scene.image).max() == 2


def test_touching_markers_of_two_classes_as_libift_has_them_are_learned(scene) -> None:
    markers = scene.markers.copy()
    markers[5:11, 11:13] = 1
    model = flim.learn(scene.image, markers, 'small', 'linear', input='libift')
    assert model.object_classes == [2]
    assert model.saliency(scene.image)[12, 12] > 0.5


def test_a_volume_with_anisotropic_voxels_is_learned_and_found() -> None:
    rng = np.random.default_rng(0)
    truth = np.zeros((10, 40, 40), bool)
    truth[3:7, 10:24, 12:26] = True
    volume = (60 + 100 * truth + rng.normal(0, 8, truth.shape)).astype(np.float32)
    markers = np.zeros(truth.shape, np.uint8)
    markers[5, 14:18, 16:20], markers[4, 20:22, 20:22] = 2, 2
    markers[1, 2:6, 2:6], markers[8, 32:36, 30:36] = 1, 1
    model = flim.learn(volume, markers, 'small', 'linear', spacing=(3, 1, 1))
    found = model.segment(volume, spacing=(3, 1, 1)) > 0
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.9


def test_the_threshold_follows_the_decoder_and_leaves_a_chosen_one(scene) -> None:
    model = flim.learn(scene.image, scene.markers, STRIDED, 'linear')
    assert model.delineation.seeds.threshold == 0.5
    assert model.with_decoder('mean').delineation.seeds.threshold is None
    watershed = DelineationSettings('watershed')
    given = flim.learn(scene.image, scene.markers, STRIDED, 'linear', delineation=watershed)
    assert (given.delineation.method, given.delineation.seeds.threshold) == ('watershed', 0.5)


def test_another_block_than_was_learned_changes_nothing_and_breaks_nothing(scene) -> None:
    model = flim.learn(scene.image, scene.markers, STRIDED, 'linear')
    other = model.with_decoder(block=1)
    assert other.decoded_block == 2
    np.testing.assert_array_equal(other.saliency(scene.image), model.saliency(scene.image))


def test_a_file_with_an_impossible_linear_decoder_is_refused(scene, tmp_path) -> None:
    model = flim.learn(scene.image, scene.markers, STRIDED, 'linear')
    object.__setattr__(model.linear, 'deviations', (0.0,) * len(model.linear.deviations))
    model.save(tmp_path / 'm.flim')
    with pytest.raises(ModelFileError, match='damaged or was changed by hand'):
        flim.load(tmp_path / 'm.flim')
