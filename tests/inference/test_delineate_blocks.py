import pickle
import warnings
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import zarr
from scipy import ndimage

from napari_flim.delineation.area_range import AreaRange
from napari_flim.delineation.delineate import delineate
from napari_flim.delineation.delineation_settings import DelineationSettings
from napari_flim.delineation.measure import measure
from napari_flim.delineation.seed_settings import SeedSettings
from napari_flim.errors import DelineationError, FlimWarning, MemoryBudgetError
from napari_flim.evaluation.overlap import dice
from napari_flim.inference.delineate_blocks import delineate_blocks
from napari_flim.inference.mapping import one_by_one
from napari_flim.io.checkpoints import FolderCheckpoint
from napari_flim.progress import finish

SHAPES = {2: (83, 101), 3: (25, 33, 39)}
TILES = {2: (42, 34), 3: (14, 18, 20)}
SPACING = {2: (1.0, 0.5), 3: (2.0, 1.0, 1.0)}


class Boxes:
    """What is known of an image, box by box."""

    def __init__(self, array):
        self.array = array

    def __call__(self, box):
        return self.array[:, *box]


class Scene:
    """Blobs of two classes with holes and specks, some on the border, some larger than tiles."""

    def __init__(self, ndim, classes=2, seed=0):
        rng = np.random.default_rng(seed)
        shape = SHAPES[ndim]
        smooth = [ndimage.gaussian_filter(rng.random(shape), 5 - ndim) for _ in range(classes)]
        maps = np.stack([(one - one.min()) / (one.max() - one.min()) for one in smooth])
        maps = np.clip(2 * (maps - 0.4), 0, 1)
        # Holes and specks.
        maps[:, rng.random(shape) < 0.01] = 0
        maps[0, rng.random(shape) < 0.005] = 1
        self.saliency = maps.astype(np.float32)
        noise = rng.normal(0, 0.1, (2, *shape))
        self.image = (maps.max(axis=0) + noise).astype(np.float32)
        self.learned = rng.random((3, *shape)).astype(np.float32)
        self.classes = tuple(range(2, 2 + classes))
        self.ndim = ndim

    def whole(self, choice, *, learned=False, spacing=None):
        return finish(
            delineate(
                self.image,
                self.saliency,
                choice,
                learned=self.learned if learned else None,
                spacing=spacing,
                classes=self.classes,
            )
        )

    def blocks(self, choice, *, learned=False, spacing=None, **options):
        labels = np.full(self.saliency.shape[1:], -1, dtype=np.int32)
        options = {'size': TILES[self.ndim], 'out': labels} | options
        out = options.pop('out')
        found = finish(
            delineate_blocks(
                self.saliency,
                Boxes(self.image),
                Boxes(self.learned) if learned else None,
                out,
                choice,
                spacing=spacing,
                classes=self.classes,
                **options,
            )
        )
        return found, out


PLAIN = SeedSettings(dilation=1.0)
CUTS = {
    'otsu': PLAIN,
    'otsu scaled': replace(PLAIN, scale=1.2),
    'component_otsu': replace(PLAIN, rule='component_otsu', scale=0.9),
    'percentile': replace(PLAIN, rule='percentile', percentile=83.3),
    'fixed': replace(PLAIN, threshold=0.55),
    'sizes': replace(PLAIN, sizes=AreaRange(12, 400)),
    'border': replace(PLAIN, border=2),
    'border in z': replace(PLAIN, threshold=0.7, border=1, border_in_z=True),
    'opened': replace(PLAIN, opening=1.5),
    'closed': replace(PLAIN, closing=1.5),
    'opened and closed': replace(PLAIN, opening=1.0, closing=2.0),
    'with holes': replace(PLAIN, fill_holes=False),
    'with specks': replace(PLAIN, smallest=0),
    'few': replace(PLAIN, smallest=60),
    'eroded': replace(PLAIN, erosion=2.5),
    'far seeds': replace(PLAIN, threshold=0.8, dilation=2.5),
}


@pytest.mark.parametrize('ndim', [2, 3])
@pytest.mark.parametrize('cut', CUTS)
def test_labels_from_tiles_are_those_of_the_whole_image(cut, ndim):
    scene = Scene(ndim)
    choice = DelineationSettings('none', CUTS[cut])
    whole = scene.whole(choice, spacing=SPACING[ndim])
    found, labels = scene.blocks(choice, spacing=SPACING[ndim])
    assert len(whole.classes) > 1
    np.testing.assert_array_equal(labels, whole.labels)
    assert found.classes == whole.classes


@pytest.mark.parametrize('ndim', [2, 3])
@pytest.mark.parametrize(
    'choice',
    [
        DelineationSettings('dynamic_trees'),
        DelineationSettings('dynamic_trees', mean='exponential'),
        DelineationSettings('watershed'),
        DelineationSettings('none', relaxation=True),
    ],
    ids=lambda choice: f'{choice.method} {choice.mean} {choice.relaxation}',
)
@pytest.mark.parametrize('learned', [False, True])
def test_objects_that_grow_in_windows_are_those_of_the_whole_image(choice, ndim, learned):
    scene = Scene(ndim)
    seeds = SeedSettings(threshold=0.82, smallest=4, dilation=2.0, sizes=AreaRange(6))
    choice = replace(choice, seeds=seeds)
    whole = scene.whole(choice, learned=learned)
    # No warning: nothing had to be approximated.
    found, labels = scene.blocks(
        choice, learned=learned, size=(40, 44) if ndim == 2 else (18, 20, 20)
    )
    assert len(whole.classes) > 3
    np.testing.assert_array_equal(labels, whole.labels)
    assert found.classes == whole.classes
    if choice.method != 'none':
        assert (labels > 0).sum() != (finish(_regions(scene, choice)).labels > 0).sum()


def _regions(scene, choice):
    plain = DelineationSettings('none', choice.seeds)
    return delineate(scene.image, scene.saliency, plain, classes=scene.classes)


@pytest.mark.parametrize('ndim', [2, 3])
def test_seeds_follow_the_depth_and_the_typical_size_of_objects(ndim):
    balls = [(9, 9), (30, 31), (60, 20), (62, 62)] if ndim == 2 else [(12, 9, 9), (12, 21, 29)]
    grid = np.indices(SHAPES[ndim])
    distance = np.min(
        [
            np.sqrt(sum((axis - at) ** 2 for axis, at in zip(grid, ball, strict=True)))
            for ball in balls
        ],
        axis=0,
    )
    scene = Scene(ndim, 1)
    scene.saliency = (1 / (1 + np.exp(distance - 6.3))).astype(np.float32)[None]
    scene.image = (scene.image + (distance < 7)).astype(np.float32)
    choice = DelineationSettings()
    whole = scene.whole(choice)
    _, labels = scene.blocks(choice, size=(44, 46) if ndim == 2 else (26, 32, 36))
    assert len(whole.classes) == len(balls)
    np.testing.assert_array_equal(labels, whole.labels)


def test_the_table_is_that_of_the_whole_image():
    scene = Scene(2)
    choice = DelineationSettings('none', PLAIN)
    whole = scene.whole(choice, spacing=SPACING[2])
    found, _ = scene.blocks(choice, spacing=SPACING[2], image=scene.image)
    wanted = measure(
        whole, spacing=SPACING[2], image=scene.image, saliency=scene.saliency, unit='µm'
    )
    got = found.table('µm')
    assert got.columns.tolist() == wanted.columns.tolist()
    np.testing.assert_allclose(got.to_numpy(), wanted.to_numpy())
    np.testing.assert_allclose(found.sizes, wanted['area (µm²)'])


def test_objects_too_crowded_for_a_window_grow_in_blocks_and_the_user_is_told():
    scene = Scene(2)
    choice = DelineationSettings(seeds=replace(PLAIN, dilation=3.0))
    with pytest.warns(FlimWarning, match='objects grow in parts of the image that overlap'):
        found, labels = scene.blocks(choice, size=(36, 36))
    whole = scene.whole(choice)
    assert dice(labels, whole.labels) > 0.99
    assert (labels == whole.labels).mean() > 0.98
    assert found.classes == whole.classes


def test_what_fits_into_memory_is_delineated_in_one_piece():
    scene = Scene(2)
    choice = DelineationSettings('random_walker', smoothing=True)
    found, labels = scene.blocks(choice, size=None)
    np.testing.assert_array_equal(labels, scene.whole(choice).labels)
    assert found.sums.ids.tolist() == list(range(1, len(found.classes) + 1))


@pytest.mark.parametrize(
    ('choice', 'name'),
    [
        (DelineationSettings('random_walker'), 'The method random_walker'),
        (DelineationSettings(smoothing=True), 'Smoothing of saliency'),
    ],
)
def test_what_needs_the_image_in_one_piece_is_refused_beyond_the_budget(choice, name):
    with pytest.raises(MemoryBudgetError, match=f'{name} needs the image in one piece'):
        Scene(2).blocks(choice)


def test_means_of_labels_come_with_a_warning():
    choice = DelineationSettings(seeds=replace(PLAIN, threshold=0.9), mean='label')
    with pytest.warns(FlimWarning, match="choose the mean 'root'"):
        _, labels = Scene(2).blocks(choice, size=(40, 40))
    assert labels.any()


@pytest.mark.parametrize('value', [0.0, 1.0])
def test_a_constant_map_holds_no_object(value):
    scene = Scene(2, 1)
    scene.saliency[:] = value
    found, labels = scene.blocks(DelineationSettings())
    assert found.classes == ()
    assert not labels.any()
    assert found.table().empty


def test_objects_that_leave_no_background_are_one_group():
    scene = Scene(2, 1)
    scene.saliency[:] = 1
    scene.saliency[0, 40, 40] = 0
    choice = DelineationSettings(seeds=SeedSettings(threshold=0.5, fill_holes=True))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', FlimWarning)
        _, labels = scene.blocks(choice)
    np.testing.assert_array_equal(labels, scene.whole(choice).labels)


def test_zarr_arrays_are_read_and_written_with_tiles_in_any_order(tmp_path):
    scene = Scene(3)
    saliency = zarr.create_array(
        tmp_path / 'saliency', shape=scene.saliency.shape, chunks=(1, 8, 8, 8), dtype='float32'
    )
    saliency[:] = scene.saliency
    out = zarr.create_array(tmp_path / 'out', shape=SHAPES[3], chunks=(7, 16, 16), dtype='int32')

    def elsewhere(function, parts):
        again = pickle.loads(pickle.dumps(function))
        yield from one_by_one(again, parts[::-1])

    choice = DelineationSettings(seeds=replace(PLAIN, threshold=0.85))
    whole = scene.whole(choice)
    scene.saliency = saliency
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        scene.blocks(choice, out=out, mapper=elsewhere, size=(18, 20, 22))
    np.testing.assert_array_equal(out[:], whole.labels)


class Killed(Exception):
    """Stands for a process that ends in the middle."""


@pytest.mark.parametrize('share', [0.02, 0.5, 0.8, 0.97])
def test_a_run_that_was_killed_goes_on_where_it_ended(tmp_path, share):
    scene = Scene(2)
    choice = DelineationSettings(seeds=replace(PLAIN, threshold=0.85))
    calls = []

    def counted(function, parts):
        for tile in parts:
            calls.append(tile)
            yield tile, function(tile)

    _, whole = scene.blocks(choice, mapper=counted, size=(84, 52))
    total, last = len(calls), int(share * len(calls))
    calls.clear()

    def dying(function, parts):
        for tile in parts:
            if len(calls) == last:
                # The last tile is written, and nobody learns of it.
                function(tile)
                raise Killed
            yield from counted(function, [tile])

    labels = np.zeros(SHAPES[2], dtype=np.int32)
    options = {
        'out': labels,
        'checkpoint': FolderCheckpoint(tmp_path / 'checkpoint'),
        'scratch': tmp_path / 'scratch',
    }
    with pytest.raises(Killed):
        scene.blocks(choice, mapper=dying, size=(84, 52), **options)
    # Another budget would give other tiles; those of the first run are kept.
    scene.blocks(choice, mapper=counted, size=(42, 52), **options)
    np.testing.assert_array_equal(labels, whole)
    assert len(calls) == total


def test_a_job_that_is_closed_leaves_no_scratch_behind(tmp_path, monkeypatch):
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path))
    scene = Scene(2)
    labels = np.zeros(SHAPES[2], dtype=np.int32)
    job = delineate_blocks(
        scene.saliency, Boxes(scene.image), None, labels, size=(42, 52), classes=(2, 3)
    )
    steps = [next(job) for _ in range(60)]
    assert list(tmp_path.iterdir())
    job.close()
    assert not list(tmp_path.iterdir())
    assert all(one.done <= two.done for one, two in pairwise(steps))


def test_what_does_not_fit_is_refused_with_what_to_do(tmp_path):
    scene = Scene(2)
    with pytest.raises(DelineationError, match='expected 2 even numbers'):
        scene.blocks(DelineationSettings(), size=(7, 8))
    with pytest.raises(DelineationError, match='name the folder'):
        scene.blocks(DelineationSettings(), checkpoint=FolderCheckpoint(tmp_path / 'c'))
    scene.classes = (2,)
    with pytest.raises(DelineationError, match='2 saliency maps came with 1 classes'):
        scene.blocks(DelineationSettings())
