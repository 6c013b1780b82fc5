"""Choosing by markers left out: the winner, its reason, and what it was learned without."""

from __future__ import annotations

import numpy as np
import pytest

import napari_flim as flim
from napari_flim.choosing import Candidate, Tried, candidates, choose, pick
from napari_flim.engine.architecture import Architecture, Block, preset
from napari_flim.engine.image import read_array
from napari_flim.engine.markers import MarkerSet
from napari_flim.errors import LearningError
from napari_flim.progress import finish

TINY = Architecture((Block(channels=4), Block(channels=4)))


def painted(scene) -> np.ndarray:
    """The markers of the scene, with one more of the second object and of the background."""
    markers = scene.markers.copy()
    markers[32:36, 30:34] = 2
    markers[2:5, 2:5] = 1
    return markers


def chosen(scene, markers, which, **options):
    image = read_array(scene.image)
    return finish(choose([image], [MarkerSet.from_labels(markers)], candidates=which, **options))


def tried(surprise: float, of_markers: list[float], name: str) -> Tried:
    candidate = Candidate(name, preset('small'), False, 'linear')
    classes = np.array([1, 1, 2, 2])
    return Tried(candidate, 0.9, 0.1, surprise, np.array(of_markers), classes, np.eye(2), 1.0)


def test_every_decoder_of_an_encoder_is_tried_on_markers_left_out(scene) -> None:
    choice = chosen(scene, painted(scene), candidates('tiny', TINY, multiscale=False))
    assert [one.candidate.decoder for one in choice.tried] == ['linear', 'mean']
    assert choice.left_out == 'markers'
    assert choice.winner in [one.candidate for one in choice.tried]
    for one in choice.tried:
        assert one.agreement > 0.9
        assert one.of_markers.shape == (5,)
        np.testing.assert_allclose(one.confusion.sum(axis=1), 1)


def test_the_same_seed_gives_the_same_choice(scene) -> None:
    which = candidates('tiny', TINY)
    first, second = (chosen(scene, painted(scene), which).content() for _ in range(2))
    for content in (first, second):
        for row in content['tried']:
            del row['seconds']
    assert first == second


def test_a_marker_painted_with_the_wrong_class_is_the_most_surprising(scene) -> None:
    markers = painted(scene)
    markers[20:24, 2:6] = 2
    choice = chosen(scene, markers, candidates('tiny', TINY, 'linear', multiscale=False))
    wrong = MarkerSet.from_labels(markers)
    [number] = np.unique(wrong.markers[(wrong.coordinates == (20, 2)).all(axis=1)])
    assert np.nanargmax(choice.tried[0].of_markers) == number


def test_with_a_single_marker_of_a_class_the_steadiest_is_taken_and_said(scene) -> None:
    choice = chosen(scene, scene.markers, candidates())
    assert choice.tried == ()
    assert choice.winner == candidates()[0]
    assert 'single marker of class 2' in choice.reason


def test_without_time_only_the_first_encoder_is_tried(scene) -> None:
    choice = chosen(scene, painted(scene), candidates(), seconds=0.0)
    assert [one.candidate.words() for one in choice.tried] == ['small, linear', 'small, mean']


def test_a_candidate_that_cannot_be_learned_is_passed_over(scene) -> None:
    wrong = Candidate('wrong', TINY, False, 'manual')
    with pytest.raises(LearningError, match='No configuration could be learned'):
        chosen(scene, painted(scene), [wrong])
    fine = Candidate('tiny', TINY, False, 'mean')
    assert chosen(scene, painted(scene), [wrong, fine]).winner == fine


def test_a_steadier_candidate_wins_within_the_error() -> None:
    steady = tried(0.11, [0.1, 0.12, 0.11, 0.11], 'steady')
    noisy = tried(0.10, [0.02, 0.25, 0.01, 0.12], 'noisy')
    winner, reason = pick([steady, noisy])
    assert winner is steady
    assert 'noisy, linear is as good' in reason


def test_a_candidate_that_is_better_on_every_marker_wins() -> None:
    steady = tried(0.20, [0.2, 0.21, 0.19, 0.2], 'steady')
    better = tried(0.10, [0.1, 0.11, 0.09, 0.1], 'better')
    winner, reason = pick([steady, better])
    assert winner is better
    assert '0.100; the next is 0.200' in reason


def test_what_is_left_open_is_tried_and_what_is_named_is_not() -> None:
    assert {one.decoder for one in candidates(decoder='label')} == {'label'}
    assert {one.name for one in candidates('tiny', TINY)} == {'tiny'}
    assert not any(one.multiscale for one in candidates(multiscale=False))


def test_learning_with_auto_keeps_the_choice_in_the_saved_model(scene, tmp_path) -> None:
    model = flim.learn(scene.image, painted(scene), TINY, 'auto')
    model.save(tmp_path / 'm.flim')
    loaded = flim.load(tmp_path / 'm.flim')
    assert loaded.provenance['choice']['chosen'].startswith('your blocks')
    np.testing.assert_array_equal(loaded.saliency(scene.image), model.saliency(scene.image))
    assert flim_dice(loaded.segment(scene.image) > 0, scene.truth > 0) > 0.9


def flim_dice(found: np.ndarray, truth: np.ndarray) -> float:
    return 2 * (found & truth).sum() / (found.sum() + truth.sum())


def test_auto_and_blocks_to_keep_exclude_each_other(scene) -> None:
    with pytest.raises(LearningError, match='need an architecture and a decoder by name'):
        flim.learn(scene.image, painted(scene), 'auto', block=2)
