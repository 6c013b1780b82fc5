"""Objects of one image, and what strokes and edits make of them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_flim.delineation.delineation_settings import DelineationSettings
from napari_flim.delineation.inputs import BACKGROUND
from napari_flim.delineation.seed_settings import SeedSettings
from napari_flim.errors import DelineationError
from napari_flim.progress import finish
from napari_flim.session.corrections import LONGEST, Corrections
from napari_flim.session.delineating import (
    Draft,
    Material,
    compile_forests,
    corrected,
    delineated,
)
from napari_flim.session.drafting import DraftRequest, draft_of
from napari_flim.session.jobs import Target
from napari_flim.session.object_edits import accept, delete, merge, redo, release, split, undo
from napari_flim.session.object_words import ignored_words
from napari_flim.session.planting import ignored_over
from napari_flim.session.sources import ImageSource, Strokes

SHAPE = (96, 96)
CENTRES = ((20, 20), (20, 36), (70, 70), (70, 22))
"""Of disks of radius 9; the first two touch."""


def material(shape: tuple[int, ...] = SHAPE, spacing: Any = (1.0, 1.0)) -> Material:
    rng = np.random.default_rng(0)
    image = np.zeros(shape, np.float32)
    planes = np.indices(shape)
    for row, column in CENTRES:
        image[(planes[-2] - row) ** 2 + (planes[-1] - column) ** 2 < 82] = 1
    if len(shape) == 3:
        image[:3] = image[-3:] = 0
    image += rng.normal(0, 0.05, shape).astype(np.float32)
    saliency = np.clip(ndimage.gaussian_filter(image, 1), 0, 1)[None]
    source = ImageSource('k', 'cells', image, 'ZYX'[-len(shape) :], spacing)
    return Material(None, Target(source), image[None], image[None], saliency, (2,))  # type: ignore[arg-type]


def found(of: Material, corrections: Corrections | None = None) -> Draft:
    return finish(delineated(of, DelineationSettings(), None, corrections or Corrections()))


def edited(draft: Draft, *edits: Any) -> Draft:
    """What the docks ask a worker for, one edit after the other."""
    for edit in edits:
        request = DraftRequest(
            None,  # type: ignore[arg-type]
            draft.material.target,
            draft.settings,
            None,
            draft.corrections,
            (edit,),
            draft=draft,
        )
        done = finish(draft_of(request))
        for error in done.refused:
            raise error
        draft = done.draft
    return draft


def stroked(draft: Draft, voxels: Any, label: int) -> Draft:
    """The objects after one more stroke."""
    before = draft.corrections.strokes
    places = np.array(voxels).reshape(-1, draft.labels.ndim)
    labels = np.full(len(places), label)
    if before is not None:
        places = np.concatenate([before.coordinates, places])
        labels = np.concatenate([before.labels, labels])
    strokes = Strokes(places, labels, draft.labels.shape)
    anchors = {**draft.found.anchors, **draft.corrections.anchors}
    changed = replace(draft.corrections, strokes=strokes, anchors=anchors)
    return finish(corrected(draft, changed))


def object_at(draft: Draft, centre: tuple[int, int]) -> int:
    return int(draft.labels[centre])


@pytest.fixture(scope='module')
def draft() -> Draft:
    return found(material())


def test_touching_disks_are_one_object_and_fall_apart_where_they_are_narrow(draft):
    assert draft.ids() == [1, 2, 3]
    assert object_at(draft, CENTRES[0]) == object_at(draft, CENTRES[1]) == 1
    parts = edited(draft, partial(split, ids=(1,)))
    assert len(parts.ids()) == 4
    assert object_at(parts, CENTRES[0]) != object_at(parts, CENTRES[1])
    for other in (2, 3):
        assert np.array_equal(parts.labels == other, draft.labels == other)


def test_merging_the_parts_and_undoing_brings_back_just_what_was(draft):
    parts = edited(draft, partial(split, ids=(1,)))
    ids = (object_at(parts, CENTRES[0]), object_at(parts, CENTRES[1]))
    whole = edited(parts, partial(merge, ids=ids))
    assert object_at(whole, CENTRES[0]) == object_at(whole, CENTRES[1]) == min(ids)
    assert np.array_equal(edited(whole, undo).labels, parts.labels)
    assert np.array_equal(edited(whole, undo, undo).labels, draft.labels)
    assert np.array_equal(edited(whole, undo, undo, redo).labels, parts.labels)


def test_a_deleted_object_stays_deleted_when_objects_are_found_anew(draft):
    gone = edited(draft, partial(delete, ids=(2,)))
    assert gone.ids() == [1, 3]
    lower = DelineationSettings(seeds=SeedSettings(threshold=0.3))
    again = finish(delineated(draft.material, lower, None, gone.corrections))
    place = np.argwhere(draft.labels == 2).mean(axis=0).astype(int)
    assert again.labels[tuple(place)] == 0
    assert {1, 3} <= set(again.ids())


def test_without_corrections_objects_found_anew_have_the_same_ids(draft):
    again = found(draft.material)
    assert np.array_equal(again.labels, draft.labels)


def test_corrected_objects_found_anew_are_the_same_with_the_same_ids(draft):
    number = draft.next_id()
    after = stroked(draft, [(45, x) for x in range(40, 52)], number + 1)
    after = edited(after, partial(split, ids=(1,)), partial(accept, ids=(3,)))
    again = found(draft.material, after.corrections)
    assert again.ids() == after.ids()
    assert (again.labels != after.labels).mean() < 0.01


def test_a_stroke_of_background_over_an_object_takes_just_that_away(draft):
    number = object_at(draft, CENTRES[2])
    row, column = CENTRES[2]
    after = stroked(draft, [(row, column + step) for step in range(-8, 9)], BACKGROUND)
    assert number not in after.ids()
    others = (draft.labels > 0) & (draft.labels != number)
    assert np.array_equal(after.labels[others], draft.labels[others])


def test_a_stroke_of_a_new_object_lets_it_grow_where_there_was_background(draft):
    image = draft.material.features.copy()
    image[0, 40:52, 60:72] += 1
    unseen = found(replace(draft.material, features=image, learned=image))
    assert unseen.labels[46, 66] == 0
    number = unseen.next_id()
    after = stroked(unseen, [(46, x) for x in range(63, 69)], number + 1)
    assert after.ids() == [*unseen.ids(), number]
    assert ((after.labels == number)[41:51, 61:71]).mean() > 0.95
    assert (after.labels == number).sum() < 12 * 12 + 30


def test_taking_strokes_back_gives_the_objects_of_before(draft):
    after = stroked(draft, [(70, x) for x in range(62, 79)], BACKGROUND)
    assert (after.labels != draft.labels).any()
    before = finish(corrected(after, replace(after.corrections, strokes=None)))
    assert np.array_equal(before.labels, draft.labels)


def test_a_stroke_of_one_object_over_another_joins_what_it_covers(draft):
    parts = edited(draft, partial(split, ids=(1,)))
    left, right = object_at(parts, CENTRES[0]), object_at(parts, CENTRES[1])
    after = stroked(parts, [(20, x) for x in range(16, 42)], left + 1)
    assert object_at(after, CENTRES[1]) == left
    assert (after.labels == right).sum() < (parts.labels == right).sum() / 2


def test_strokes_that_name_a_merged_object_mean_the_other_one(draft):
    parts = edited(draft, partial(split, ids=(1,)))
    left, right = object_at(parts, CENTRES[0]), object_at(parts, CENTRES[1])
    painted = stroked(parts, [CENTRES[1]], right + 1)
    whole = edited(painted, partial(merge, ids=(left, right)))
    assert object_at(whole, CENTRES[1]) == min(left, right)


def test_an_accepted_object_stays_as_it_is_when_objects_are_found_anew(draft):
    kept = edited(draft, partial(accept, ids=(2,)))
    higher = DelineationSettings('none', SeedSettings(threshold=0.9, smallest=0))
    again = finish(delineated(draft.material, higher, None, kept.corrections))
    assert np.array_equal(again.labels == 2, draft.labels == 2)
    freed = edited(kept, partial(release, ids=(2,)))
    assert freed.corrections.decisions.accepted == {}


def test_edits_of_objects_that_are_gone_say_so(draft):
    for edit in (delete, split, accept):
        with pytest.raises(DelineationError, match='no object 9 any more'):
            edited(draft, partial(edit, ids=(9,)))
    with pytest.raises(DelineationError, match='two or more'):
        edited(draft, partial(merge, ids=(1,)))


def test_an_object_without_a_neck_is_named_when_it_cannot_be_split(draft):
    number = object_at(draft, CENTRES[2])
    assert number > 1
    with pytest.raises(DelineationError, match=f'^Object {number} has .* Paint New object over'):
        edited(draft, partial(split, ids=(number,)))


def test_only_so_many_edits_can_be_taken_back(draft):
    edits = draft.corrections.edits
    for number in range(LONGEST + 5):
        edits = edits.changed(str(number), edits.now)
    assert len(edits.done) == LONGEST
    assert edits.done[-1][0] == str(LONGEST + 4)


def test_after_a_new_edit_nothing_can_be_made_again(draft):
    after = edited(draft, partial(delete, ids=(2,)), undo, partial(delete, ids=(3,)))
    assert after.corrections.edits.undone == ()


def test_the_method_that_only_cuts_is_corrected_just_where_strokes_are():
    cut_only = DelineationSettings('none')
    draft = finish(delineated(material(), cut_only, None, Corrections()))
    after = stroked(draft, [(70, x) for x in range(62, 79)], BACKGROUND)
    others = (draft.labels > 0) & (draft.labels != object_at(draft, CENTRES[2]))
    assert np.array_equal(after.labels[others], draft.labels[others])
    assert object_at(after, CENTRES[2]) == 0


def test_volumes_are_corrected_like_images():
    draft = found(material((12, *SHAPE), (2.0, 1.0, 1.0)))
    assert len(draft.ids()) == 3
    number = int(draft.labels[6, 70, 70])
    place = [(z, 70, x) for z in range(3, 9) for x in range(61, 80)]
    after = stroked(draft, place, BACKGROUND)
    assert number not in after.ids()
    assert len(after.ids()) == 2


def test_seeds_of_an_image_without_objects_can_still_be_painted():
    usual = material()
    flat = replace(usual, saliency=np.zeros_like(usual.saliency))
    draft = found(flat)
    assert draft.ids() == []
    after = stroked(draft, [(70, x) for x in range(66, 75)], draft.next_id() + 1)
    assert after.ids() == [1]
    assert object_at(after, CENTRES[2]) == 1


@pytest.mark.parametrize('edit', [delete, merge, split, accept])
def test_an_edit_of_no_object_says_that_none_is_chosen(draft, edit):
    with pytest.raises(DelineationError, match='No object is chosen'):
        edited(draft, partial(edit, ids=()))


def test_compiling_is_a_job_like_others():
    finish(compile_forests())


KINDS = {'delete': delete, 'merge': merge, 'split': split, 'accept': accept, 'release': release}


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(KINDS)), st.randoms()), min_size=1, max_size=5))
def test_taking_all_edits_back_gives_the_objects_of_before(draft, steps):
    after, made = draft, 0
    for kind, random in steps:
        ids = after.ids()
        chosen = tuple(random.sample(ids, min(len(ids), 2 if kind == 'merge' else 1)))
        try:
            after = edited(after, partial(KINDS[kind], ids=chosen))
        except DelineationError:
            continue
        made += 1
        assert set(after.corrections.decisions.accepted) <= set(after.ids())
    assert np.array_equal(edited(after, *[undo] * made).labels, draft.labels)


@pytest.mark.parametrize('label', [BACKGROUND, 9])
def test_an_accepted_object_is_not_lost_to_a_stroke_which_is_said(draft, label):
    kept = edited(draft, partial(accept, ids=(2,)))
    row, column = (int(n) for n in np.argwhere(draft.labels == 2).mean(axis=0))
    after = stroked(kept, [(row, column + step) for step in range(-20, 21)], label)
    assert np.array_equal(after.labels == 2, draft.labels == 2)
    assert ignored_over(after.corrections) == [2]
    assert ignored_words([2]).startswith('Object 2 is accepted, so strokes over it count')


def test_of_several_objects_those_with_a_neck_are_split_and_the_others_counted(draft):
    request = DraftRequest(
        None,  # type: ignore[arg-type]
        draft.material.target,
        draft.settings,
        None,
        draft.corrections,
        (partial(split, ids=(1, 2, 3)),),
        draft=draft,
    )
    done = finish(draft_of(request))
    assert len(done.draft.ids()) == 4
    (refused,) = done.refused
    assert str(refused).startswith('2 of the 3 chosen objects have no neck and stay whole')
    assert done.draft.corrections.edits.done[-1][0] == 'split object 1'
