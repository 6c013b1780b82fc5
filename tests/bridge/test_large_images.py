"""An image larger than memory in a viewer: its markers are learned from, nothing is read whole."""

from __future__ import annotations

from dataclasses import replace

import dask.array as da
import numpy as np
import pytest

from napari_flim.bridge.input_preview import InputPreview
from napari_flim.engine.architecture import Architecture, Block
from napari_flim.engine.preprocessing import InputTransform
from napari_flim.session.running import InlineRunner

SIDE = 40_000
CHUNK = 400


@pytest.fixture
def slide(new_desk):
    """A slide with bright squares, and the blocks that are computed of it.

    It has a coarse level, as slides do, since napari would read all of a level that it shows.
    """
    blocks = []

    def block(block_info=None):
        place = block_info[None]['chunk-location']
        blocks.append(place)
        values = np.random.default_rng(place).integers(40, 60, (CHUNK, CHUNK)).astype(np.uint8)
        values[100:140, 100:140] += 150
        return values

    chunks = ((CHUNK,) * (SIDE // CHUNK),) * 2
    fine = da.map_blocks(block, chunks=chunks, dtype=np.uint8, meta=np.zeros((0, 0), np.uint8))
    desk = new_desk()
    desk.viewer.add_image([fine, np.zeros((400, 400), np.uint8)], multiscale=True, name='slide')
    settings = replace(
        desk.session.settings,
        architecture=Architecture((Block(channels=6), Block(channels=5))),
        transform=InputTransform('window', window=(0.0, 255.0)),
    )
    desk.session.change('settings', replace(desk.session.state, settings=settings))
    key = desk.session.current
    markers = desk.controller.items.new_markers(key)
    desk.rest()
    return desk, key, markers, blocks


def paint(desk, markers):
    markers.brush_size = 10
    for place, label in (((120, 120), 2), ((60, 60), 1), ((520, 120), 2)):
        markers.paint(place, label)
    desk.rest()


def test_markers_are_learned_from_and_only_blocks_around_them_are_computed(slide):
    desk, _, markers, blocks = slide
    assert blocks == []
    paint(desk, markers)
    assert len(desk.learned) == 1
    assert not desk.session.message.error
    assert {axis for place in blocks for axis in place} <= {0, 1, 2, 3}
    sizes = desk.session.settings.delineation.seeds.sizes
    assert sizes is not None
    assert sizes.smallest < 40 * 40 < sizes.largest


def test_no_saliency_is_shown_and_the_item_says_why_and_what_to_do(slide):
    desk, key, markers, _ = slide
    paint(desk, markers)
    assert desk.saliency() == []
    text = desk.session.message.text
    assert 'slide needs about' in text
    assert 'its markers are learned from' in text
    assert 'dock Batch segmentation, which works in parts, or crop it' in text
    words = desk.controller.applier.too_large_words(desk.session.item(key).source)
    assert words.startswith('Too large for saliency here')
    assert words.endswith('use the dock Batch segmentation, or crop it.')


def test_a_smaller_image_beside_it_is_applied(slide, scene):
    desk, _, markers, blocks = slide
    desk.viewer.add_image(scene.image, name='cells')
    small = desk.controller.items.add(desk.viewer.layers['cells'])
    desk.session.current = small
    paint(desk, markers)
    (shown,) = desk.saliency()
    assert shown.name == 'cells saliency'
    assert {axis for place in blocks for axis in place} <= {0, 1, 2, 3}


def test_docks_beside_train_read_nothing_of_it(slide):
    desk, _, markers, blocks = slide
    paint(desk, markers)
    blocks.clear()
    controller = desk.controller
    controller.gallery.watch(True)
    assert 'over the budget' in controller.gallery.reason
    controller.channels.show_all(1)
    assert 'over the budget' in desk.session.message.text
    controller.delineator.delineate()
    assert 'over the budget' in controller.delineator.message.text
    preview = InputPreview(
        desk.viewer,
        desk.session,
        controller.items,
        controller.results,
        controller.applier,
        InlineRunner(),
        controller.preferences,
    )
    preview.show(True)
    assert 'too large for its input to be shown' in desk.session.message.text
    assert blocks == []
    assert [layer.name for layer in desk.viewer.layers] == ['slide', 'slide markers']


def test_saving_and_opening_the_session_reads_a_few_blocks(slide, new_desk, tmp_path):
    desk, _, markers, blocks = slide
    paint(desk, markers)
    blocks.clear()
    path = tmp_path / 'slide.flim-session'
    desk.controller.files.save_session(path)
    assert path.is_file()
    assert 0 < len(set(blocks)) <= 4 * 64
    other = new_desk()
    other.viewer.add_image(list(desk.viewer.layers['slide'].data), multiscale=True, name='slide')
    blocks.clear()
    other.controller.files.open_session(path)
    other.rest()
    assert len(set(blocks)) <= 4 * 64
    (item,) = other.session.items
    assert item.counts == desk.session.items[0].counts
    assert other.markers.data.shape == (SIDE, SIDE)


def test_what_was_not_measured_is_said(desk, monkeypatch):
    said = []
    desk.session.events['message'].connect(lambda message: said.append(message.text))
    monkeypatch.setattr('napari_flim.training.WHOLE', 100)
    monkeypatch.setattr('napari_flim.inference.marked_windows.SIDE', {2: 8})
    desk.stroke(desk.markers, (slice(30, 34), slice(30, 34)), 2)
    desk.rest()
    assert any('were not measured' in text for text in said)
