"""Methods that learn from the same markers, judged alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_flim.api import learn
from napari_flim.compared_methods import (
    METHODS,
    PEERS,
    Classify,
    Method,
    Setup,
    finished,
    flim,
    our_methods,
)
from napari_flim.comparing import compare, images_to_test
from napari_flim.engine.image import Image, read_array
from napari_flim.engine.markers import MarkerSet
from napari_flim.errors import EvaluationError
from napari_flim.evaluation.overlap import dice
from napari_flim.progress import Job, Progress, finish


@dataclass
class Spy:
    """A method that knows the bright voxels, and remembers what it was shown."""

    learned: list[list[int]] = field(default_factory=list)
    seeds: set[int] = field(default_factory=set)
    applied: list[str] = field(default_factory=list)

    def learn(
        self, images: Sequence[Image], markers: Sequence[MarkerSet], seed: int
    ) -> Job[Classify]:
        yield Progress('looking', 1, 2)
        self.learned.append([drawn.count for drawn in markers])
        self.seeds.add(seed)
        return self.classes

    def classes(self, image: Image) -> NDArray[np.int64]:
        self.applied.append(image.name)
        return np.where(image.data[0] > 120, 2, 1)


@pytest.fixture
def scenes(draw: Callable) -> list:
    return [draw(number) for number in range(4)]


def images_of(scenes: list) -> list[Image]:
    return [read_array(one.image, name=str(number)) for number, one in enumerate(scenes)]


def markers_of(scenes: list) -> list[MarkerSet]:
    return [MarkerSet.from_labels(one.markers) for one in scenes]


def test_ours_and_the_forest_are_compared_on_images_that_nobody_has_seen(scenes: list) -> None:
    images, markers = images_of(scenes), [*markers_of(scenes)[:2], None, None]
    truths = [one.truth for one in scenes]
    rows = finish(compare(images, markers, truths))
    assert [row.method for row in rows] == [method.name for method in METHODS]
    for row in rows:
        assert row.agreement is not None
        assert 0.5 < row.agreement.share <= 1
        assert 0 < row.worst_dice <= row.dice <= 1
        assert row.seconds_to_learn > 0
        assert row.seconds_to_apply > 0
    assert rows[0].dice > 0.8


def test_dice_is_that_of_a_model_learned_from_all_markers(scenes: list) -> None:
    images, markers = images_of(scenes)[:2], [markers_of(scenes)[0], None]
    truths = [None, scenes[1].truth]
    (row,) = finish(compare(images, markers, truths, [flim('ours', 'mean')], seed=2))
    model = learn(images[:1], markers[:1], seed=2)
    assert row.dice == dice(model.segment(images[1]), truths[1])
    assert row.agreement is None


def test_nothing_is_judged_by_markers_that_it_has_learned_from(scenes: list) -> None:
    spy = Spy()
    finish(compare(images_of(scenes)[:2], markers_of(scenes)[:2], None, [Method('spy', spy.learn)]))
    # Each image has two markers of the background and one of an object.
    *parts, whole = spy.learned
    assert whole == [3, 3]
    assert [sum(counts) for counts in parts] == [4, 4, 5, 5]
    assert spy.seeds == {0}


def test_whole_images_are_left_out_when_three_are_marked(scenes: list) -> None:
    spy = Spy()
    images, method = images_of(scenes), Method('spy', spy.learn)
    (row,) = finish(compare(images, markers_of(scenes), None, [method], seed=5))
    assert spy.learned == [[3, 3, 3]] * 4 + [[3, 3, 3, 3]]
    assert spy.applied == ['0', '1', '2', '3'] * 2
    assert spy.seeds == {5}
    assert (row.agreement.share, row.agreement.error) == (1, 0)
    assert row.dice is row.worst_dice is None


def test_agreement_counts_the_held_out_voxels_that_get_their_class(scene) -> None:
    labels = scene.markers.copy()
    labels[30:32, 30:33] = 2
    labels[2:5, 2:4] = 2
    markers = MarkerSet.from_labels(labels)
    (row,) = finish(
        compare([read_array(scene.image)], [markers], None, [Method('bright', Spy().learn)])
    )
    # 16 and 6 voxels of the objects are bright, 6 others are not; the background is dark.
    assert row.agreement.share == pytest.approx((1 + 22 / 28) / 2)
    assert row.agreement.error > 0


def test_a_finished_model_is_not_judged_by_markers_it_may_know(scenes: list) -> None:
    images, markers = images_of(scenes)[:2], [markers_of(scenes)[0], None]
    model = learn(images[:1], markers[:1])
    truths = [None, scenes[1].truth]
    (row,) = finish(compare(images, markers, truths, [finished('mine', model)]))
    assert (row.method, row.agreement, row.seconds_to_learn) == ('mine', None, None)
    assert row.dice == dice(model.segment(images[1]), truths[1])


def test_what_a_model_was_learned_with_is_learned_with_again(scene) -> None:
    image, markers = read_array(scene.image), MarkerSet.from_labels(scene.markers)
    model = learn(image, markers, 'flyweight', input='scaled:fixed', seed=4)
    setup = Setup.of(model.with_delineation(method='watershed'))
    (ours, _) = our_methods(setup)
    classify = finish(ours.learn([image], [markers], 4))
    expected = model.with_delineation(method='watershed')
    np.testing.assert_array_equal(classify(image), expected.class_map(image))
    assert (setup.fixed_ranges, setup.transform.ranges) == (True, None)


def test_images_without_markers_are_tested_if_there_are_any() -> None:
    marked, truth = MarkerSet.from_labels(np.eye(3, dtype=int)), np.eye(3)
    assert images_to_test([marked, None, None], [truth, truth, None]) == [1]
    assert images_to_test([marked, marked, None], [truth, truth, None]) == [0, 1]
    assert images_to_test([marked], [None]) == []


def test_progress_goes_on_through_all_methods_to_the_end(scenes: list) -> None:
    methods = [Method(name, Spy().learn) for name in ('first', 'second')]
    steps: list[Progress] = []
    finish(compare(images_of(scenes), markers_of(scenes), None, methods), steps.append)
    shares = [step.done / step.total for step in steps]
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.2 < 0.9 < shares[-1] < 1
    assert {step.stage for step in steps} == {
        f'{name}: {what}' for name in ('first', 'second') for what in ('looking', 'applying')
    }


def test_the_forest_is_judged_by_markers_that_no_tree_has_seen(scenes: list) -> None:
    noise = [read_array(np.random.default_rng(n).random((48, 48)).astype('f4')) for n in range(4)]
    (row,) = finish(compare(noise, markers_of(scenes), None, PEERS))
    assert row.agreement.share < 0.75


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (lambda i, m, t: (i, m[:1], t), '2 images came with 1 sets of markers and 2 truths'),
        (lambda i, m, t: (i, m, t[:1]), '2 sets of markers and 1 truths'),
        (lambda i, m, t: (i, m, [t[0], t[1][:5]]), r'shape \(48, 48\), but its truth \(5, 48\)'),
        (lambda i, m, t: (i, [None, None], t), r'classes \[\] were given; expected two or more'),
        (lambda i, m, t: (i, [m[0].of_class(1), None], t), r'classes \[1\] were given'),
    ],
)
def test_what_cannot_be_compared_is_said_before_anything_is_learned(
    change: Callable, words: str, scenes: list
) -> None:
    spy = Spy()
    truths = [one.truth for one in scenes[:2]]
    given = change(images_of(scenes)[:2], markers_of(scenes)[:2], truths)
    with pytest.raises(EvaluationError, match=words):
        finish(compare(*given, [Method('spy', spy.learn)]))
    assert not spy.learned
