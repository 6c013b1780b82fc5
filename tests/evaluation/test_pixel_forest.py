"""The random forest of scikit-image's gallery, as a peer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from skimage.feature import multiscale_basic_features
from sklearn.ensemble import RandomForestClassifier

from napari_flim.errors import EvaluationError
from napari_flim.evaluation.overlap import dice
from napari_flim.evaluation.pixel_forest import learn_forest


def test_the_forest_is_that_of_the_gallery(draw: Callable) -> None:
    image, other = draw(0), draw(1)
    markers = np.zeros(image.image.shape, np.uint8)
    markers[image.truth == 0], markers[image.truth == 1] = 1, 2
    assert (markers > 0).sum() * 0.05 > 100
    forest = learn_forest([image.image[None]], [markers], seed=3)
    features = [
        multiscale_basic_features(one.image.astype(np.float32), sigma_min=1, sigma_max=16)
        for one in (image, other)
    ]
    peer = RandomForestClassifier(50, max_depth=10, max_samples=0.05, random_state=3)
    peer.fit(features[0][markers > 0], markers[markers > 0])
    expected = peer.predict(features[1].reshape(-1, features[1].shape[-1]))
    np.testing.assert_array_equal(forest.classes(other.image[None]).ravel(), expected)


def test_one_image_shows_the_background_and_another_the_objects(draw: Callable) -> None:
    first, second, unseen = draw(0), draw(1), draw(2)
    labels = [1 - first.truth, 2 * second.truth]
    forest = learn_forest([first.image[None], second.image[None]], labels)
    assert dice(forest.classes(unseen.image[None]) > 1, unseen.truth) > 0.95


def test_trees_see_all_voxels_when_a_share_of_them_would_be_few(draw: Callable) -> None:
    scene = draw(0)
    assert learn_forest([scene.image[None]], [scene.markers]).forest.max_samples is None


def test_probabilities_of_all_classes_add_up_to_one_and_name_the_class() -> None:
    rng = np.random.default_rng(0)
    labels = np.zeros((20, 20), np.uint8)
    labels[:5, :8], labels[:5, 12:], labels[14:, 4:9] = 1, 3, 7
    image = rng.random((3, 20, 20)) + labels
    forest = learn_forest([image], [labels])
    votes = forest.probabilities(image)
    assert (votes.shape, votes.dtype, forest.numbers) == ((3, 20, 20), np.float32, (1, 3, 7))
    np.testing.assert_allclose(votes.sum(axis=0), 1, atol=1e-5)
    np.testing.assert_array_equal(
        forest.classes(image), np.array(forest.numbers)[votes.argmax(axis=0)]
    )
    assert (forest.classes(image) == labels)[labels > 0].all()


def test_volumes_are_read_in_three_dimensions() -> None:
    labels = np.zeros((8, 12, 12), np.uint8)
    labels[3:5, 4:8, 4:8], labels[:, 0] = 2, 1
    volume = np.zeros((1, 8, 12, 12), np.int16)
    volume[0, 2:6, 3:9, 3:9] = 900
    forest = learn_forest([volume], [labels])
    assert forest.forest.n_features_in_ == 25
    assert dice(forest.classes(volume) > 1, volume[0]) > 0.8


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.int32, np.float64])
def test_the_same_numbers_mean_the_same_whatever_their_type(dtype: type, draw: Callable) -> None:
    scene, unseen = draw(0), draw(1)
    forest = learn_forest([scene.image[None]], [scene.markers])
    np.testing.assert_array_equal(
        forest.classes(unseen.image[None].astype(dtype)), forest.classes(unseen.image[None])
    )


def test_voxels_that_are_no_numbers_count_as_dark(draw: Callable) -> None:
    scene = draw(0)
    forest = learn_forest([scene.image[None]], [scene.markers])
    image = scene.image[None].astype(np.float32)
    dark, broken = image.copy(), image.copy()
    dark[0, 30, 30], broken[0, 30, 30] = image.min(), np.nan
    np.testing.assert_array_equal(forest.classes(broken), forest.classes(dark))


def test_the_same_seed_gives_the_same_forest(draw: Callable) -> None:
    scene = draw(0)
    images, labels = [scene.image[None]], [scene.markers]
    votes = [learn_forest(images, labels, seed).probabilities(images[0]) for seed in (4, 4, 5)]
    np.testing.assert_array_equal(votes[0], votes[1])
    assert not np.array_equal(votes[0], votes[2])


@pytest.mark.parametrize(
    ('images', 'labels', 'words'),
    [
        (np.zeros((1, 1, 9, 9)), np.ones((1, 9, 8), int), r'shapes \[\(9, 9\)\] came with'),
        (np.zeros((1, 1, 9, 9)), np.ones((1, 9, 9), int), r'classes \[1\] were given'),
        (np.zeros((1, 1, 9, 9)), np.zeros((1, 9, 9), int), r'classes \[\] were given'),
    ],
)
def test_markers_that_cannot_be_learned_from_are_refused(
    images: np.ndarray, labels: np.ndarray, words: str
) -> None:
    with pytest.raises(EvaluationError, match=words):
        learn_forest(list(images), list(labels))


def test_an_image_with_other_channels_is_refused(draw: Callable) -> None:
    scene = draw(0)
    forest = learn_forest([scene.image[None]], [scene.markers])
    with pytest.raises(EvaluationError, match='has 3 channels, but the forest'):
        forest.classes(np.zeros((3, 9, 9)))
    with pytest.raises(EvaluationError, match=r'Images with \[1, 3\] channels'):
        learn_forest([scene.image[None], np.zeros((3, 48, 48))], [scene.markers] * 2)
