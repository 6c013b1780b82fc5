"""Cards of kernels, worked out by hand for a block that tells bright voxels from dark ones."""

from __future__ import annotations

from dataclasses import replace

import dask.array as da
import numpy as np
import pytest

from napari_flim.engine.architecture import Block
from napari_flim.engine.decoder_settings import DecoderSettings
from napari_flim.engine.image import read_array
from napari_flim.engine.kernels import KernelBank, LearnedBlock
from napari_flim.engine.normalization import Normalization
from napari_flim.engine.preprocessing import InputTransform
from napari_flim.model import FlimModel
from napari_flim.progress import finish
from napari_flim.session.card_faces import card_faces, drop_words, off_words, sorted_cards
from napari_flim.session.gallery import GalleryRequest, KernelCard, gallery, nearest_cells
from napari_flim.session.history import State
from napari_flim.session.jobs import Target
from napari_flim.session.kernel_edits import KernelEdits
from napari_flim.session.kernel_patches import contrast, cut_patch, plane_picture
from napari_flim.session.learned import Learned, Origin
from napari_flim.session.session import Session
from napari_flim.session.settings import Settings
from napari_flim.session.sources import ImageSource, Strokes


def make_learned(ndim: int = 2, stride: int = 1, taps: int = 1, voxel: tuple = (0, 1)) -> Learned:
    """Kernel 0 answers x - 0.5 where that is positive, kernel 1 0.5 - x."""
    weights = np.zeros((2, 1, *(taps,) * ndim), np.float32)
    weights[(slice(None), 0, *(taps // 2,) * ndim)] = [1.0, -1.0]
    voxels = np.full((2, ndim), -1)
    voxels[0, -2:] = voxel
    voxels[0, :-2] = 2
    bank = KernelBank(
        weights=weights,
        bias=np.zeros(2, np.float32),
        classes=np.array([2, 1]),
        images=np.array([0, -1]),
        markers=np.array([3, -1]),
        voxels=voxels,
    )
    spec = Block(kernel_size=taps, pooling='max', pool_size=1, stride=stride, channels=2)
    normal = Normalization(np.full(1, 0.5, np.float32), np.ones(1, np.float32))
    model = FlimModel(
        InputTransform('window', window=(0.0, 1.0)), (LearnedBlock(spec, normal, bank),)
    )
    return Learned(model, Settings(), (Origin('key', 0, 'cells'),), digest='painted')


def make_request(
    data, axes: str = 'YX', learned: Learned | None = None, **options
) -> GalleryRequest:
    ndim = 3 if 'Z' in axes else 2
    source = ImageSource('key', 'cells', data, axes, (1.0,) * ndim)
    target = Target(source, options.pop('frame', 0), options.pop('slab', None))
    options = {'plane': None, 'sources': {'key': source}, **options}
    learned = learned or make_learned(ndim)
    return GalleryRequest(
        learned, DecoderSettings('label'), target, options.pop('plane'), 1, **options
    )


def cards_of(request: GalleryRequest) -> tuple[KernelCard, ...]:
    cards, _ = finish(gallery(request))
    return cards


def strokes(coordinates: list, labels: list, shape: tuple) -> Strokes:
    return Strokes(np.array(coordinates), np.array(labels), shape)


HALF = np.array([[1.0, 1.0], [0.0, 0.25]], np.float32)


def test_cards_of_a_block_share_one_contrast() -> None:
    bright, dark = cards_of(make_request(HALF))
    assert bright.picture.tolist() == [[255, 255], [0, 0]]
    assert dark.picture.tolist() == [[0, 0], [255, 128]]
    assert (bright.mean, dark.mean) == pytest.approx((0.5, 0.375))
    assert (bright.number, dark.number) == (2, 1)


def test_a_small_object_stays_in_sight_in_the_picture_of_a_large_image() -> None:
    image = np.full((480, 960), 0.5, np.float32)
    image[100, 500] = 1.0
    picture = cards_of(make_request(image))[0].picture
    assert picture.shape == (48, 96)
    assert np.argwhere(picture == 255).tolist() == [[10, 50]]


def test_relevance_without_truth_parts_the_strokes_of_a_class_from_the_others() -> None:
    marked = strokes([[0, 0], [0, 1], [1, 0], [1, 1]], [2, 1, 1, 1], (2, 2))
    bright, dark = cards_of(make_request(HALF, strokes=marked))
    # The object voxel ties with one of three others: (0.5 + 1 + 1) / 3.
    assert bright.relevance == pytest.approx(2.5 / 3)
    # Of the background voxels two are above the object voxel and one ties.
    assert dark.relevance == pytest.approx(2.5 / 3)


def test_relevance_is_unknown_where_one_class_is_marked_or_none() -> None:
    one_class = make_request(HALF, strokes=strokes([[0, 0]], [2], (2, 2)))
    for request in (one_class, make_request(HALF)):
        assert all(np.isnan(card.relevance) for card in cards_of(request))


def test_relevance_with_a_truth_is_the_dice_of_the_cut_channel() -> None:
    truth = np.array([[7, 0], [0, 0]])
    bright, dark = cards_of(make_request(HALF, truth=truth))
    assert bright.relevance == pytest.approx(2 * 1 / (2 + 1))
    # The dark channel holds 0, 0, 0.5 and 0.25; Otsu's cut keeps the latter two, both background.
    assert dark.relevance == pytest.approx(2 * 2 / (2 + 3))


def test_kernels_of_unknown_class_are_ranked_by_the_objects_of_the_truth() -> None:
    learned = make_learned()
    block = learned.model.blocks[0]
    bank = replace(block.bank, classes=np.zeros(2, np.int64))
    model = replace(learned.model, blocks=(replace(block, bank=bank),))
    request = make_request(HALF, learned=replace(learned, model=model), truth=HALF > 0.5)
    request = replace(request, decoder=DecoderSettings('tristate'))
    assert [card.relevance for card in cards_of(request)] == [1.0, 0.0]


def test_strokes_move_to_the_nearest_cell_of_a_strided_block_as_in_learning() -> None:
    image = np.zeros((1, 9), np.float32)
    image[0, 4] = 1.0
    marked = strokes([[0, 2], [0, 1], [0, 8]], [2, 1, 1], (1, 9))
    request = make_request(image, learned=make_learned(stride=4), strokes=marked)
    # Cells lie at voxels 0, 4, 8: voxel 2 is half way and goes up, to the bright cell.
    assert cards_of(request)[0].relevance == 1.0
    assert cards_of(request)[0].picture.tolist() == [[0, 255, 0]]


def test_cells_follow_the_grid_of_the_markers() -> None:
    from napari_flim.engine.markers import MarkerSet

    voxels = np.array([[0, y] for y in range(10)])
    marked = MarkerSet.from_points(voxels, np.full(10, 2), (1, 10))
    cells, covered = nearest_cells(voxels, (0, 0), (1, 3), (1, 4))
    assert covered.all()
    on_grid = marked.on_grid((1, 3), (1, 4)).coordinates
    assert {tuple(cell) for cell in cells} == {tuple(cell) for cell in on_grid}


def test_the_truth_is_read_at_the_voxels_of_the_cells() -> None:
    image = np.zeros((5, 5), np.float32)
    image[2, 4] = 1.0
    truth = np.zeros((5, 5), np.uint8)
    truth[2, 4] = 1
    request = make_request(image, learned=make_learned(stride=2), truth=da.from_array(truth))
    assert cards_of(request)[0].relevance == 1.0


def test_the_plane_nearest_to_the_one_in_view_is_drawn() -> None:
    volume = np.full((9, 2, 2), 0.5, np.float32)
    volume[4] = 1.0
    learned = make_learned(3, stride=4)
    drawn = [
        cards_of(make_request(volume, 'ZYX', learned, plane=z))[0].picture.max() for z in range(9)
    ]
    assert drawn == [0, 0, 255, 255, 255, 255, 0, 0, 0]
    assert cards_of(make_request(volume, 'ZYX', learned))[0].picture.max() == 255


def test_a_slab_counts_only_strokes_where_its_channels_are_exact() -> None:
    volume = np.zeros((40, 2, 2), np.float32)
    volume[20] = 1.0
    learned = make_learned(3, taps=3)
    marked = strokes([[20, 0, 0], [20, 1, 1], [21, 0, 0]], [2, 1, 2], (40, 2, 2))
    slab = make_request(volume, 'ZYX', learned, slab=20, plane=20, strokes=marked)
    whole = replace(slab, target=replace(slab.target, plane=None))
    # On plane 20 alone both classes are equally bright; plane 21 is dark and cut off in the slab.
    assert cards_of(slab)[0].relevance == 0.5
    assert cards_of(whole)[0].relevance == 0.25
    cut = replace(slab, truth=np.arange(40)[:, None, None] * np.ones((1, 2, 2)) == 20)
    # Otsu cannot cut a plane of one value.
    assert cards_of(cut)[0].relevance == 0.0
    assert cards_of(replace(cut, target=whole.target))[0].relevance == 1.0


def test_the_image_of_a_stack_is_drawn_at_its_own_place() -> None:
    stack = np.stack([np.zeros((2, 2)), np.ones((2, 2))]).astype(np.float32)
    assert cards_of(make_request(stack, 'TYX', frame=1))[0].picture.min() == 255
    assert cards_of(make_request(stack, 'TYX', frame=0))[0].picture.max() == 0


def test_weights_are_those_of_the_decoder() -> None:
    request = make_request(np.array([[1.0, 0.0], [0.0, 0.0]], np.float32))
    for name in ('label', 'mean'):
        cards = cards_of(replace(request, decoder=DecoderSettings(name)))
        assert [np.sign(card.weight) for card in cards] == [1.0, -1.0]
    by_hand = DecoderSettings('manual', weights=(-2.0, 0.0))
    assert [card.weight for card in cards_of(replace(request, decoder=by_hand))] == [-2.0, 0.0]


def test_a_patch_shows_what_the_block_sees_and_says_where() -> None:
    image = np.array([[10, 20, 30], [40, 50, 60], [70, 80, 90]], np.uint8)
    bright, dark = cards_of(make_request(image, learned=make_learned(taps=3)))
    assert bright.patch is not None
    assert bright.patch[..., 0].tolist() == [[0, 0, 0], [10, 20, 30], [40, 50, 60]]
    assert bright.origin == 'marker 4 of cells, voxel (0, 1)'
    assert (dark.patch, dark.origin) == (None, '')


def test_a_patch_of_a_volume_reads_one_plane_only() -> None:
    read = []

    def plane(block_info=None):
        read.append(block_info[None]['chunk-location'][0])
        return np.full((1, 4, 4), 7, np.uint8)

    lazy = da.map_blocks(plane, chunks=((1,) * 5, 4, 4), dtype=np.uint8, meta=np.empty((0, 0, 0)))
    elsewhere = ImageSource('key', 'cells', lazy, 'ZYX', (1.0, 1.0, 1.0))
    request = make_request(np.zeros((5, 4, 4), np.float32), 'ZYX')
    card = cards_of(replace(request, sources={'key': elsewhere}))[0]
    assert card.patch is not None and card.patch.tolist() == [[[7, 7, 7]]]
    assert set(read) == {2}


@pytest.mark.parametrize(
    'source',
    [
        ImageSource('key', 'cells', np.zeros((1, 1), np.uint8), 'YX', (1.0, 1.0)),
        ImageSource('key', 'cells', np.zeros((3, 4, 4), np.uint8), 'ZYX', (1.0, 1.0, 1.0)),
    ],
)
def test_an_image_that_has_changed_gives_no_patch(source: ImageSource) -> None:
    card = cards_of(replace(make_request(HALF), sources={'key': source}))[0]
    assert card.patch is None
    assert card.origin == 'marker 4 of cells, voxel (0, 1)'


def test_a_closed_image_gives_no_patch() -> None:
    assert cards_of(replace(make_request(HALF), sources={}))[0].patch is None


def test_a_patch_far_outside_is_black() -> None:
    picture = np.full((3, 3, 3), 9, np.uint8)
    assert cut_patch(picture, (1, 1), (5, 5)).sum() == 9 * 27
    assert cut_patch(picture, (1, 1), (5, 5)).shape == (11, 11, 3)


def picture_of(data: np.ndarray, axes: str = 'YX') -> np.ndarray:
    image = read_array(data, axes)
    return plane_picture(image, contrast(image))


def test_the_picture_of_a_plane_has_a_contrast_that_fits_it() -> None:
    ramp = np.linspace(1000, 1100, 101).reshape(1, 101)
    picture = picture_of(ramp.astype(np.uint16))
    assert (picture.min(), picture.max(), picture.shape) == (0, 255, (1, 101, 3))
    colours = np.zeros((2, 2, 3), np.uint8)
    colours[0, 1] = (10, 20, 30)
    assert picture_of(colours, 'YXS').tolist() == colours.tolist()
    broken = np.array([[0.0, np.nan, 1.0]], np.float32)
    assert picture_of(broken).tolist()[0][1] == [0, 0, 0]


def card(kernel: int, number: int, relevance: float, weight: float = 1.0) -> KernelCard:
    picture = np.zeros((2, 2), np.uint8)
    return KernelCard(1, kernel, number, picture, None, 0.25, relevance, weight, 'marker 1 of a')


CARDS = (card(0, 2, 0.4), card(1, 1, np.nan, -1.0), card(2, 1, 0.9, -1.0))


def test_cards_are_sorted_as_learned_by_class_and_by_relevance() -> None:
    def kernels(order) -> list[int]:
        return [one.kernel for one in sorted_cards(CARDS, order)]

    assert kernels('learned') == [0, 1, 2]
    assert kernels('class') == [1, 2, 0]
    assert kernels('relevance') == [2, 0, 1]


def test_a_face_tells_what_the_expert_decided() -> None:
    session = Session()
    edits = KernelEdits(frozenset({(1, 1), (3, 0)}), {(1, 0): -1.0})
    session.state = State(Settings(), make_learned(), edits)
    faces = card_faces(session, CARDS)
    assert [face.sign for face in faces] == ['-', '-', '-']
    assert [face.ticked for face in faces] == [True, False, True]
    assert [face.relevance for face in faces] == ['0.40', '-', '0.90']
    assert faces[0].name == (
        'kernel 1, object, on, counts for background (set by hand), relevance 0.40'
    )
    assert faces[1].weight_words() == 'counts for background (automatic)'
    assert 'Off: takes no part' in faces[1].tooltip()
    assert off_words(session, 1, 3) == '1 of 3 off, 1 off in other blocks'
    assert drop_words(session) == 'Drop 2 unticked kernels'


def test_weights_of_a_block_that_is_not_decoded_have_no_sign() -> None:
    session = Session()
    learned = make_learned()
    model = replace(learned.model, blocks=learned.model.blocks * 2)
    session.state = State(Settings(), replace(learned, model=model))
    face = card_faces(session, CARDS)[0]
    assert face.sign == ''
    assert face.weight_words() == 'no weight: block 2 is decoded, not block 1'
    assert 'weight' not in face.name
