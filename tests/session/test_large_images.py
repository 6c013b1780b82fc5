"""Images larger than memory: only the blocks near what is asked for are ever computed."""

from __future__ import annotations

from dataclasses import replace

import dask.array as da
import numpy as np
import pytest

from napari_flim.engine.architecture import Architecture, Block
from napari_flim.engine.preprocessing import InputTransform
from napari_flim.inference import marked_windows
from napari_flim.progress import finish
from napari_flim.session import marked_sizes
from napari_flim.session.classes import FIRST_CLASSES
from napari_flim.session.history import State
from napari_flim.session.items import Item, digest_of, training_images
from napari_flim.session.jobs import Target, apply, learn, learn_and_apply
from napari_flim.session.kernel_patches import kernel_patches
from napari_flim.session.marked_sizes import measured_range, sizes_request
from napari_flim.session.planning import plan_all
from napari_flim.session.problems import bytes_needed
from napari_flim.session.recognising import compared, recognised
from napari_flim.session.saved_images import saved_image
from napari_flim.session.session import Session
from napari_flim.session.settings import Settings
from napari_flim.session.sources import ImageSource, Strokes

SIDE = 40_000
CHUNK = 400
RADIUS = 20
DISKS = ((300, 500), (620, 260))
WINDOW = InputTransform('window', window=(0.0, 255.0))


class Slide:
    """A dark slide with bright disks in a corner, which notes the blocks that are computed."""

    def __init__(self, shape: tuple[int, ...] = (SIDE, SIDE), chunk: int = CHUNK) -> None:
        self.blocks: list[tuple[int, ...]] = []
        chunks = tuple((chunk,) * (size // chunk) for size in shape)
        self.array = da.map_blocks(self._block, chunks=chunks, dtype=np.uint8, meta=np.empty(0))

    def _block(self, block_info=None) -> np.ndarray:
        info = block_info[None]
        self.blocks.append(tuple(info['chunk-location']))
        axes = np.ogrid[tuple(slice(*span) for span in info['array-location'][-2:])]
        block = 60 + (axes[0] * 7 + axes[1] * 13) % 16
        for row, column in DISKS:
            block = block + 120 * ((axes[0] - row) ** 2 + (axes[1] - column) ** 2 <= RADIUS**2)
        return np.broadcast_to(block, info['chunk-shape']).astype(np.uint8)

    @property
    def farthest(self) -> int:
        """The farthest block that was computed, along any axis."""
        return max((max(place) for place in self.blocks), default=-1)


def corner_strokes(shape: tuple[int, ...]) -> Strokes:
    """A stroke on each disk, and two beside them."""
    stroke = np.argwhere(np.ones((3, 12), bool)) - (1, 6)
    places = np.array([*DISKS, (300, 420), (560, 330)])
    voxels = np.concatenate([stroke + place for place in places])
    labels = np.repeat([2, 2, 1, 1], len(stroke))
    front = np.zeros((len(voxels), len(shape) - 2), np.int64)
    order = np.lexsort(voxels.T[::-1])
    return Strokes(np.hstack([front, voxels])[order], labels[order], shape)


def session_of(array, axes: str = 'YX', transform: InputTransform = WINDOW) -> Session:
    source = ImageSource('a', 'slide', array, axes, (1.0,) * len(axes))
    item = Item(source, {0: corner_strokes(source.shape)}, 'slide markers')
    settings = Settings(Architecture((Block(channels=6), Block(channels=5))), transform)
    return Session(items=(item,), classes=FIRST_CLASSES, state=State(settings), current='a')


def learn_into(session: Session):
    learned = finish(learn(plan_all(session)))
    session.change('learning', State(replace(session.settings, sizes_from='due'), learned))
    return learned


@pytest.fixture
def slide() -> Slide:
    return Slide()


@pytest.fixture
def session(slide: Slide) -> Session:
    return session_of(slide.array)


def test_learning_computes_the_blocks_around_the_strokes_and_no_others(slide, session) -> None:
    learned = learn_into(session)
    assert set(slide.blocks) <= {(y, x) for y in (0, 1) for x in (0, 1)}
    assert {int(c) for c in learned.model.blocks[0].bank.classes} == {1, 2}
    assert learned.warning == ''


def test_the_model_is_that_of_the_same_image_in_memory() -> None:
    lazy = Slide((6000, 6000)).array
    transform = InputTransform('scaled')
    mine = learn_into(session_of(lazy, transform=transform)).model
    theirs = learn_into(session_of(lazy.compute(), transform=transform)).model
    for one, other in zip(mine.blocks, theirs.blocks, strict=True):
        np.testing.assert_array_equal(one.bank.weights, other.bank.weights)


def test_intensities_are_sampled_once_however_often_the_slide_is_learned_from(slide) -> None:
    session = session_of(slide.array, transform=InputTransform('scaled'))
    learn_into(session)
    assert 10 < len(slide.blocks) < 0.1 * (SIDE // CHUNK) ** 2
    assert slide.farthest > 2
    slide.blocks.clear()
    learn_into(session)
    assert slide.blocks
    assert slide.farthest <= 1


def test_learning_without_a_target_reads_no_more(slide, session) -> None:
    request = plan_all(session)
    learned, model, applied = finish(learn_and_apply(request, None, lambda model: model))
    assert (applied, model) == (None, learned.model)
    assert slide.farthest <= 1


def test_marked_objects_are_measured_in_windows_of_bounded_size(
    slide, session, monkeypatch
) -> None:
    monkeypatch.setattr(marked_windows, 'SIDE', {2: 160})
    learn_into(session)
    slide.blocks.clear()
    request = sizes_request(session)
    assert request is not None
    measured = finish(measured_range(request))
    assert slide.farthest <= 1
    assert measured.warning == ''
    assert measured.sizes is not None
    middle = np.sqrt(measured.sizes.smallest * measured.sizes.largest)
    assert np.pi * (RADIUS - 4) ** 2 < middle < np.pi * (RADIUS + 4) ** 2


def test_objects_larger_than_their_window_are_not_measured_and_that_is_said(
    session, monkeypatch
) -> None:
    monkeypatch.setattr(marked_windows, 'SIDE', {2: 24})
    learn_into(session)
    measured = finish(measured_range(sizes_request(session)))
    assert measured.sizes is None
    assert measured.warning.endswith(
        'marked objects of slide are too large for a look at their surroundings alone and were '
        'not measured.'
    )


def test_an_image_that_does_not_fit_is_measured_in_windows_too(monkeypatch) -> None:
    session = session_of(np.asarray(Slide((1200, 1200)).array))
    learned = learn_into(session)
    monkeypatch.setattr(marked_windows, 'SIDE', {2: 160})
    needed = bytes_needed(learned.model, session.items[0].source)
    request = sizes_request(session)
    whole = finish(measured_range(request, budget=needed))
    monkeypatch.setattr(marked_sizes, 'apply', lambda *_: pytest.fail('applied as a whole'))
    parts = finish(measured_range(request, budget=needed - 1))
    assert parts.sizes is not None and whole.sizes is not None
    np.testing.assert_allclose(parts.sizes.smallest, whole.sizes.smallest, rtol=0.15)


def test_what_the_session_knows_a_slide_by_is_not_read(slide, session) -> None:
    learn_into(session)
    slide.blocks.clear()
    digest_of(session.training_images())
    session.block_states()
    saved_image(session.items[0])
    assert slide.blocks == []


def test_saving_a_session_looks_at_a_few_places_of_a_slide(slide, session) -> None:
    learn_into(session)
    slide.blocks.clear()
    saved, known = finish(recognised(session, {}))
    assert 0 < len(set(slide.blocks)) <= 4 * 64
    assert saved.images[0].digest
    slide.blocks.clear()
    again, _ = finish(recognised(session, known))
    assert slide.blocks == []
    assert again.images[0].digest == saved.images[0].digest


def test_the_places_kernels_come_from_are_cut_out_of_a_slide(slide, session) -> None:
    learned = learn_into(session)
    slide.blocks.clear()
    cut = kernel_patches(learned, 1, {'a': session.items[0].source})
    assert all(patch is not None and patch.shape == (5, 5, 3) for patch, _ in cut)
    voxel, patch = learned.model.blocks[0].bank.voxels[0], cut[0][0]
    around = tuple(slice(int(at) - 2, int(at) + 3) for at in voxel)
    np.testing.assert_array_equal(patch[..., 0], np.asarray(slide.array[around]))
    assert slide.farthest <= 1


def test_a_plane_of_a_volume_on_disk_reads_what_it_depends_on() -> None:
    volume = Slide((400, 800, 800), 80)
    session = session_of(volume.array, 'ZYX')
    learned = learn_into(session)
    volume.blocks.clear()
    target = Target(session.items[0].source, plane=200)
    applied = finish(apply(learned.model, target))
    assert applied.saliency.shape == (1, 1, 800, 800)
    assert {z for z, _, _ in volume.blocks} == {2}
    small = session_of(volume.array[160:240].compute(), 'ZYX').items[0].source
    whole = finish(apply(learned.model, Target(small, plane=40)))
    np.testing.assert_allclose(applied.saliency, whole.saliency, atol=1e-6)


def test_voxels_that_are_not_numbers_are_not_looked_for_in_a_whole_slide(session) -> None:
    data = da.where(session.items[0].source.data == 0, np.nan, session.items[0].source.data)
    lazy = session_of(data.astype(np.float32))
    (image,) = training_images(lazy.items, FIRST_CLASSES)
    assert image.read()[0].lazy
    assert learn_into(lazy).warning == ''


def test_a_small_image_on_disk_is_read_whole_and_looked_through() -> None:
    data = np.asarray(Slide((800, 800)).array).astype(np.float32)
    data[790, 790] = np.nan
    session = session_of(da.from_array(data))
    (image,) = session.training_images()
    assert not image.read()[0].lazy
    assert learn_into(session).warning == (
        'slide holds 1 voxels that are not finite numbers; they are read as dark.'
    )


def test_a_small_image_on_disk_stays_there_when_images_do_not_fit_together() -> None:
    slide = Slide((2400, 2400))
    request = plan_all(session_of(slide.array))
    parts = finish(learn(replace(request, whole=False)))
    assert {axis for place in slide.blocks for axis in place} <= {0, 1}
    assert parts.warning == ''
    slide.blocks.clear()
    whole = finish(learn(request))
    assert slide.farthest == 5
    for one, other in zip(parts.model.blocks, whole.model.blocks, strict=True):
        np.testing.assert_array_equal(one.bank.weights, other.bank.weights)


def test_a_slide_saved_with_an_earlier_digest_is_not_said_to_have_other_voxels(session) -> None:
    saved, _ = finish(recognised(session, {}))
    image, source = saved.images[0], session.items[0].source

    def found(digest: str) -> tuple[str, ...]:
        return finish(compared([(replace(image, digest=digest), source)]))[0]

    assert found(image.digest) == found('5f' * 16) == found('') == ()
    assert found('boxes:' + '5f' * 16) == ('slide',)
