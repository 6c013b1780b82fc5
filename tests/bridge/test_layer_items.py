"""Layers become items, and items stay true to their layers."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Labels

from napari_flim.bridge.marker_layers import link_of
from napari_flim.errors import ImageError


def blank(shape, **kwargs):
    return Labels(np.zeros(shape, dtype=np.uint8), **kwargs)


def names(desk):
    return [item.source.name for item in desk.session.items]


def test_images_with_markers_become_items_and_of_the_others_only_the_first(new_desk, scene):
    desk = new_desk()
    desk.viewer.add_image(scene.image, name='first')
    desk.viewer.add_image(scene.image, name='second')
    assert names(desk) == ['first']
    desk.viewer.add_image(scene.image, name='third')
    desk.viewer.add_labels(scene.markers, name='third-seeds')
    assert names(desk) == ['first', 'third']
    desk.rest()
    assert desk.session.items[1].counts == {1: 42, 2: 16}


def test_layers_that_were_open_before_the_docks_become_items(new_desk, scene):
    desk = new_desk()
    desk.viewer.add_labels(scene.markers, name='cells markers')
    desk.viewer.add_image(scene.image, name='cells')
    assert names(desk) == ['cells']
    assert desk.markers.name == 'cells markers'


def test_a_blank_layer_made_by_the_viewer_is_adopted_by_the_current_item(new_desk, scene):
    desk = new_desk()
    desk.viewer.add_image(scene.image, name='first')
    second = desk.viewer.add_image(scene.image, name='second')
    key = desk.controller.items.add(second)
    desk.session.current = key
    labels = desk.viewer.add_labels(np.zeros_like(scene.markers))
    assert desk.controller.items.marker_layer(key) is labels
    assert desk.session.items[0].markers is None


@pytest.mark.parametrize('painted', (True, False))
def test_labels_that_do_not_fit_or_hold_a_segmentation_are_not_adopted(new_desk, scene, painted):
    desk = new_desk()
    desk.viewer.add_image(scene.image, name='cells')
    data = scene.truth if painted else np.zeros((7, 7), dtype=np.uint8)
    desk.viewer.add_labels(data, name='something')
    assert desk.controller.items.marker_layer(desk.session.current) is None


def test_new_markers_go_to_the_item_they_are_made_for_and_to_no_other(new_desk, scene):
    desk = new_desk()
    desk.viewer.add_image(scene.image, name='first')
    second = desk.viewer.add_image(scene.image, name='second')
    key = desk.controller.items.add(second)
    markers = desk.controller.items.new_markers(key)
    first = desk.session.items[0].source.key
    assert desk.controller.items.marker_layer(key) is markers
    assert desk.controller.items.marker_layer(first) is None


def test_an_image_does_not_take_markers_that_another_item_uses(new_desk, scene):
    desk = new_desk()
    first = desk.viewer.add_image(scene.image, name='first')
    labels = desk.viewer.add_labels(scene.markers, name='second seeds')
    desk.controller.items.set_markers(str(first.unique_id), labels)
    desk.viewer.add_image(scene.image, name='second')
    assert names(desk) == ['first']


def test_renaming_image_markers_and_results_changes_words_only(desk):
    image = desk.controller.items.image_layer(desk.session.current)
    (saliency,) = desk.saliency()
    image.name, desk.markers.name, saliency.name = 'a', 'b', 'c'
    desk.rest()
    (item,) = desk.session.items
    assert (item.source.name, item.markers) == ('a', 'b')
    assert len(desk.learned) == 1
    desk.stroke(desk.markers, (slice(30, 33), slice(30, 33)), 2)
    desk.rest()
    assert len(desk.learned) == 2
    assert desk.saliency() == [saliency]
    assert saliency.name == 'c'


@pytest.mark.parametrize('stack', (False, True))
def test_strokes_of_a_deleted_marker_layer_come_back_voxel_for_voxel(new_desk, scene, stack):
    desk = new_desk()
    image = np.stack([scene.image] * 3) if stack else scene.image
    labels = ('t', 'y', 'x')[-image.ndim :]
    _, markers = desk.open(image, axis_labels=labels)
    desk.paint_both(markers, *(2,) * stack)
    before = markers.data.copy()
    desk.viewer.layers.remove(markers)
    desk.rest()
    (item,) = desk.session.items
    assert item.markers is None
    assert item.counts == {1: 18, 2: 16}
    made = desk.controller.items.new_markers(item.source.key)
    assert made is not markers
    np.testing.assert_array_equal(made.data, before)


@pytest.mark.parametrize('same_layer', (False, True))
@pytest.mark.parametrize('with_markers', (False, True))
def test_closing_and_opening_an_image_again_keeps_its_strokes(desk, same_layer, with_markers):
    image = desk.controller.items.image_layer(desk.session.current)
    counts = desk.session.items[0].counts
    markers = desk.markers
    desk.viewer.layers.remove(image)
    if with_markers:
        desk.viewer.layers.remove(markers)
    desk.rest()
    assert [item.opened for item in desk.session.items] == [False]
    if same_layer:
        desk.viewer.add_layer(image)
    else:
        image = desk.viewer.add_image(image.data, name=image.name)
    desk.rest()
    (item,) = desk.session.items
    assert item.opened
    assert item.source.key == str(image.unique_id)
    assert item.counts == counts
    assert desk.controller.items.marker_layer(item.source.key) is (
        None if with_markers else markers
    )


def test_reading_the_axes_another_way_unlinks_markers_that_no_longer_fit(new_desk, scene):
    desk = new_desk()
    _, markers = desk.open(np.stack([scene.image] * 3), axis_labels=('z', 'y', 'x'))
    desk.paint_both(markers, 1)
    key = desk.session.current
    desk.controller.items.set_axes(key, 'TYX')
    assert desk.controller.items.marker_layer(key) is markers
    assert list(desk.session.item(key).strokes) == [1]
    desk.controller.items.set_axes(key, 'CYX')
    desk.rest()
    assert desk.controller.items.marker_layer(key) is None
    assert desk.session.item(key).counts == {}
    assert np.count_nonzero(markers.data) == 34
    with pytest.raises(ImageError, match='cannot have axes'):
        desk.controller.items.set_axes(key, 'YX')


def test_a_label_above_255_gives_a_message_until_it_is_gone(new_desk, scene):
    desk = new_desk()
    desk.viewer.add_image(np.stack([scene.image] * 4), name='cells')
    markers = desk.viewer.add_labels(np.zeros((4, 48, 48), dtype=np.int32), name='cells markers')
    desk.paint_both(markers, 1)
    desk.stroke(markers, (2, 20, 20), 300)
    desk.rest()
    assert '300' in desk.session.message.text
    (item,) = desk.session.items
    assert item.problem == desk.session.message.text
    assert item.markers == 'cells markers'
    assert desk.controller.learner.problems() == (item.problem,)
    desk.stroke(markers, (3, 20, 20), 2)
    desk.rest()
    assert '300' in desk.session.message.text
    assert len(desk.learned) == 1
    desk.stroke(markers, (2, 20, 20), 2)
    desk.rest()
    assert not desk.session.message.error
    assert desk.session.items[0].problem == ''
    assert sum(desk.session.items[0].counts.values()) == np.count_nonzero(markers.data)
    assert len(desk.learned) == 2


@pytest.mark.parametrize('way', ('erase', 'unlink'))
def test_the_problem_of_a_label_above_255_ends_with_it(new_desk, scene, way):
    desk = new_desk()
    desk.viewer.add_image(scene.image, name='cells')
    labels = np.zeros((48, 48), dtype=np.int32)
    labels[20, 20] = 300
    markers = desk.viewer.add_labels(labels, name='cells markers')
    desk.rest()
    assert desk.session.items[0].problem
    if way == 'erase':
        desk.stroke(markers, (20, 20), 0)
    else:
        desk.controller.items.set_markers(desk.session.current, None)
    desk.rest()
    assert desk.session.items[0].problem == ''
    assert '300' not in desk.session.message.text


@pytest.mark.parametrize('dtype', (np.int16, np.uint32, np.int64, bool))
def test_markers_of_any_whole_dtype_are_read(new_desk, scene, dtype):
    desk = new_desk()
    desk.viewer.add_image(scene.image, name='cells')
    labels = scene.markers == 1 if dtype is bool else scene.markers.astype(dtype)
    desk.viewer.add_labels(labels, name='cells markers')
    expected = {1: 42} if dtype is bool else {1: 42, 2: 16}
    assert desk.session.items[0].counts == expected


def test_markers_that_lost_their_shape_are_let_go_and_their_strokes_kept(desk):
    markers, counts = desk.markers, desk.session.items[0].counts
    markers.data = np.ones((9, 9), dtype=np.uint8)
    desk.rest()
    assert 'another shape' in desk.session.message.text
    assert desk.session.items[0].counts == counts
    made = desk.controller.items.new_markers(desk.session.current)
    assert np.count_nonzero(made.data) == sum(counts.values())


def test_markers_of_an_image_that_changed_its_shape_are_not_brought_back(desk, scene):
    image = desk.controller.items.image_layer(desk.session.current)
    desk.viewer.layers.remove(desk.markers)
    image.data = scene.image[:20]
    desk.rest()
    made = desk.controller.items.new_markers(desk.session.current)
    assert made.data.shape == (20, 48)
    assert not made.data.any()


def test_an_image_that_cannot_be_read_any_more_gives_a_message(desk):
    image = desk.controller.items.image_layer(desk.session.current)
    image.data = np.zeros((2, 2, 2, 2, 8, 8), dtype=np.uint8)
    desk.rest()
    assert desk.session.message.error
    assert 'expected an image, a volume' in desk.session.message.text


def test_the_layers_of_the_user_are_never_written_replaced_or_removed(new_desk, scene):
    desk = new_desk()
    image = desk.viewer.add_image(scene.image, name='cells', metadata={'mine': 1}, scale=(2, 2))
    markers = desk.viewer.add_labels(scene.markers.copy(), name='cells markers', metadata={'a': 2})
    mask = desk.viewer.add_labels(scene.truth, name='mask')
    copies = [(layer, layer.data, layer.data.copy()) for layer in (image, markers, mask)]
    looks = [layer.as_layer_data_tuple()[1] | {'data': None} for layer in (image, markers, mask)]
    desk.rest()
    controller = desk.controller
    controller.channels.show_one(1, 0)
    controller.channels.show_all(2)
    desk.session.undo()
    desk.session.redo()
    controller.learner.learn_block(2)
    controller.applier.apply_to([desk.session.current])
    controller.items.remove(desk.session.current)
    controller.items.add(image)
    desk.rest()
    assert len(desk.learned) >= 2
    assert [layer for layer in desk.viewer.layers if not link_of(layer)] == [image, markers, mask]
    for layer, data, copy in copies:
        assert layer.data is data
        np.testing.assert_array_equal(data, copy)
    for layer, look in zip((image, markers, mask), looks, strict=True):
        after = layer.as_layer_data_tuple()[1]
        for name in ('name', 'metadata', 'scale', 'translate', 'visible', 'opacity', 'blending'):
            assert np.all(after[name] == look[name]), name


def test_a_copy_of_a_result_that_the_user_keeps_is_not_updated(desk):
    (saliency,) = desk.saliency()
    kept = desk.viewer.add_image(saliency.data.copy(), name='kept', metadata=saliency.metadata)
    before = kept.data.copy()
    desk.stroke(desk.markers, (slice(30, 33), slice(30, 33)), 2)
    desk.rest()
    np.testing.assert_array_equal(kept.data, before)
    assert kept in desk.viewer.layers


def test_two_viewers_do_not_mix(new_desk, scene):
    one, other = new_desk(), new_desk()
    _, markers = one.open(scene.image)
    other.viewer.add_image(scene.image, name='cells')
    one.paint_both(markers)
    other.rest()
    assert len(one.learned) == 1
    assert other.learned == []
    assert [layer.name for layer in other.viewer.layers] == ['cells']
    assert other.session.items[0].markers is None


def test_an_image_opened_while_only_closed_ones_are_in_the_list_becomes_an_item(desk, scene):
    first = desk.controller.items.image_layer(desk.session.current)
    desk.viewer.layers.remove(first)
    desk.rest()
    other = desk.viewer.add_image(scene.image[:40], name='another')
    assert names(desk) == ['cells', 'another']
    desk.rest()
    assert desk.session.current == str(other.unique_id)
    desk.viewer.add_image(scene.image[:30], name='third')
    assert names(desk) == ['cells', 'another']
