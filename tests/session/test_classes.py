"""Classes of markers: numbers, names and roles."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_flim.engine.markers import LARGEST_LABEL
from napari_flim.errors import MarkerError
from napari_flim.session.classes import (
    COLOURS,
    FIRST_CLASSES,
    class_named,
    colour_of,
    with_change,
    with_labels,
    with_new_class,
    with_role,
    without,
)

THREE = with_new_class(FIRST_CLASSES)


def test_background_is_learned_as_one_whatever_its_label_and_objects_keep_their_label() -> None:
    several = with_role(THREE, 3, 'background')
    assert [one.learned_as for one in THREE] == [1, 2, 3]
    assert [one.learned_as for one in several] == [1, 2, 1]


def test_a_new_class_takes_the_smallest_free_label() -> None:
    four = with_new_class(THREE)
    gap = without(four, 3)
    assert [one.label for one in with_new_class(gap)] == [1, 2, 3, 4]


@given(st.sets(st.integers(1, LARGEST_LABEL), max_size=20))
def test_every_label_of_an_opened_file_gets_one_class_of_its_own(labels: set[int]) -> None:
    classes = with_labels(FIRST_CLASSES, list(labels))
    assert [one.label for one in classes] == sorted(labels | {1, 2})
    assert len({one.name for one in classes}) == len(classes)
    assert classes == with_labels(classes, list(labels))


def test_there_are_never_more_classes_than_labels() -> None:
    full = with_labels(FIRST_CLASSES, range(1, LARGEST_LABEL + 1))
    with pytest.raises(MarkerError, match='255 classes; a marker layer holds no more'):
        with_new_class(full)


def test_label_one_stays_background() -> None:
    with pytest.raises(MarkerError, match='Label 1 is always background'):
        with_role(THREE, 1, 'object')


def test_a_class_needs_a_name() -> None:
    with pytest.raises(MarkerError, match='Class 2 has no name'):
        with_change(THREE, replace(THREE[1], name=' '))


def test_the_only_object_class_can_be_neither_removed_nor_made_background() -> None:
    with pytest.raises(MarkerError, match='at least one object class'):
        without(FIRST_CLASSES, 2)
    with pytest.raises(MarkerError, match='the only object class'):
        with_role(FIRST_CLASSES, 2, 'background')
    assert [one.role for one in with_role(THREE, 2, 'background')][1] == 'background'


def test_background_cannot_be_removed() -> None:
    with pytest.raises(MarkerError, match='Background and at least one object'):
        without(THREE, 1)


def test_a_class_is_found_by_the_number_that_was_learned() -> None:
    several = with_role(THREE, 2, 'background')
    assert class_named(several, 1).label == 1
    assert class_named(several, 3).label == 3
    assert class_named(several, 2).name == 'unknown class'


def test_colours_start_again_when_all_are_used() -> None:
    assert colour_of(1) == COLOURS[0]
    assert colour_of(len(COLOURS) + 1) == COLOURS[0]
