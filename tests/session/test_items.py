"""Items, and the training images that come of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_flim.session.classes import FIRST_CLASSES, with_change, with_new_class, with_role
from napari_flim.session.items import digest_of, training_images

THREE = with_new_class(FIRST_CLASSES)


@pytest.mark.parametrize('without', [{'included': False}, {'opened': False}, {'markers': None}])
def test_an_item_takes_part_only_if_ticked_open_and_with_markers(item, without) -> None:
    assert len(training_images([item], THREE)) == 1
    assert training_images([replace(item, **without)], THREE) == ()


def test_roles_of_classes_map_labels_to_what_is_learned(scene, make_item) -> None:
    markers = scene.markers.copy()
    markers[20:22, 2:4] = 3
    item = make_item(scene.image, markers)
    (image,) = training_images([item], THREE)
    assert image.strokes.counts == item.counts == {1: 42, 2: 16, 3: 4}
    (image,) = training_images([item], with_role(THREE, 3, 'background'))
    assert image.strokes.counts == {1: 46, 2: 16}
    (image,) = training_images([item], FIRST_CLASSES)
    assert image.strokes.counts == {1: 42, 2: 16, 3: 4}


def test_every_marked_image_of_a_stack_is_one_training_image_in_order(
    scene, make_item, paint
) -> None:
    stack = np.stack([scene.image] * 4)
    item = make_item(stack, scene.markers, 'TYX')
    item = replace(item, strokes={3: paint(scene.markers), 1: paint(scene.markers)})
    assert [image.frame for image in training_images([item], FIRST_CLASSES)] == [1, 3]
    assert item.counts == {1: 84, 2: 32}


def test_the_image_is_read_with_markers_as_connected_regions(item) -> None:
    (image,) = training_images([item], FIRST_CLASSES)
    read, markers = image.read()
    assert read.data is not None and read.shape == markers.shape == (48, 48)
    assert markers.count == 3
    assert markers.class_counts == {1: 42, 2: 16}


def test_touching_voxels_of_two_classes_are_one_marker_only_across_classes(
    scene, make_item
) -> None:
    markers = np.zeros((48, 48), np.uint8)
    markers[4, 4:8], markers[4, 8:12] = 1, 2
    (image,) = training_images([make_item(scene.image, markers)], FIRST_CLASSES)
    assert image.read()[1].count == 2
    assert image.read(across_classes=True)[1].count == 1


def digest(items, classes=THREE) -> str:
    return digest_of(training_images(items, classes))


def test_the_digest_changes_with_strokes_images_and_roles_but_not_with_names(
    scene, make_item, item
) -> None:
    painted = scene.markers.copy()
    painted[45, 45] = 3
    same = make_item(scene.image.copy(), scene.markers)
    assert digest([item]) == digest([same])
    named = with_change(THREE, replace(THREE[1], name='cell', colour=(0.0, 0.0, 0.0)))
    assert digest([item]) == digest([item], named)
    assert digest([item]) == digest([replace(item, source=replace(item.source, name='other'))])
    other = make_item(scene.image, painted)
    different = [
        digest([item]),
        digest([other]),
        digest([other], with_role(THREE, 3, 'background')),
        digest([replace(item, source=replace(item.source, revision=1))]),
        digest([item, make_item(scene.image, scene.markers, key='b')]),
        digest([]),
    ]
    assert len(set(different)) == len(different)


def test_without_training_images_the_digest_is_empty(item) -> None:
    assert digest([]) == digest([replace(item, included=False)]) == ''
