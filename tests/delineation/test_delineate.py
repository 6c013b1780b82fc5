import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_flim.delineation.area_range import AreaRange
from napari_flim.delineation.delineate import Objects, delineate
from napari_flim.delineation.delineation_settings import (
    DESCRIPTIONS,
    DelineationSettings,
    delineation_from_dict,
)
from napari_flim.delineation.methods import METHODS
from napari_flim.delineation.objects import ObjectSettings, class_map, separate_objects
from napari_flim.delineation.seed_settings import SeedSettings
from napari_flim.errors import DelineationError
from napari_flim.evaluation.overlap import dice
from napari_flim.progress import finish

GROWING = ('dynamic_trees', 'watershed', 'random_walker')
PLAIN = SeedSettings(0.5, smallest=0)


def scene(shape=(60, 80)):
    """Two bright squares or cubes, and saliency that covers their middle only."""
    rng = np.random.default_rng(0)
    image, saliency = np.zeros(shape), np.zeros(shape)
    lead = (slice(2, -2),) * (len(shape) - 2)
    image[*lead, 10:30, 10:30] = image[*lead, 32:52, 45:65] = 1
    saliency[*lead, 15:25, 15:25] = saliency[*lead, 37:47, 50:60] = 1
    return (image + rng.normal(0, 0.05, shape)).astype(np.float32), saliency, image > 0


def run(image, saliency, choice=None, **options):
    return finish(delineate(image, saliency, choice, **options))


@pytest.mark.parametrize('method', GROWING)
@pytest.mark.parametrize('shape', [(60, 80), (8, 60, 80)])
def test_objects_grow_to_the_borders_of_the_image(method, shape):
    image, saliency, truth = scene(shape)
    choice = DelineationSettings(method, replace(PLAIN, dilation=12))
    objects = run(image, saliency, choice)
    assert objects.labels.dtype == np.int32
    assert objects.classes == (2, 2)
    assert dice(objects.labels, truth) > 0.97
    assert dice(saliency, truth) < 0.5
    assert len(np.unique(objects.labels[..., :40])) == len(np.unique(objects.labels[..., 40:])) == 2


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.just(2), st.integers(1, 9), st.integers(1, 9)),
        elements=st.floats(0, 1, width=32),
    ),
    st.sampled_from([None, 0.4]),
    st.integers(0, 4),
    st.booleans(),
)
def test_method_none_gives_the_components_above_the_threshold(maps, threshold, smallest, fill):
    options = {'threshold': threshold, 'smallest': smallest, 'fill_holes': fill}
    found = run(maps, maps, delineation_from_dict(options), classes=(2, 3))
    classes = class_map(maps, (2, 3), ObjectSettings(**options))
    np.testing.assert_array_equal(found.labels, separate_objects(classes))
    np.testing.assert_array_equal(found.class_map(), classes)


@pytest.mark.parametrize('method', DESCRIPTIONS)
def test_objects_that_grow_out_of_range_are_left_out_with_their_seeds(method):
    image, saliency, _ = scene()
    image[32:52, 45:65], saliency[37:47, 50:60] = 0, 0
    image[36:48, 49:61], saliency[38:46, 51:59] = 1, 1
    choice = DelineationSettings(method, replace(PLAIN, dilation=12, sizes=AreaRange(5)))
    everything = run(image, saliency, choice)
    assert everything.classes == (2, 2)
    grown = np.bincount(everything.labels.ravel())[1:]
    limit = AreaRange(5, float(grown.min()))
    kept = run(image, saliency, replace(choice, seeds=replace(choice.seeds, sizes=limit)))
    assert kept.classes == (2,)
    assert kept.labels.max() == 1
    assert set(np.unique(kept.seeds.labels)) <= {0, 1, 2}


def test_the_seeds_of_an_object_that_grew_too_large_become_background():
    image, saliency, _ = scene()
    limit = replace(PLAIN, dilation=12, sizes=AreaRange(50, 200))
    objects = run(image, saliency, DelineationSettings(seeds=limit))
    assert objects.classes == ()
    assert not objects.labels.any()
    assert (objects.seeds.labels[17:23, 17:23] == 1).all()


def test_what_the_user_has_marked_stays_whatever_its_size():
    image, saliency, _ = scene()
    markers = np.zeros(image.shape, np.uint8)
    markers[20, 20] = 2
    limit = replace(PLAIN, dilation=12, sizes=AreaRange(50, 200))
    objects = run(image, saliency, DelineationSettings(seeds=limit), markers=markers)
    assert objects.classes == (2,)
    assert objects.labels[20, 20] == 1
    assert objects.seeds.marked == (True,)


@pytest.mark.parametrize('method', DESCRIPTIONS)
def test_two_markers_split_an_object(method):
    image, saliency, _ = scene()
    markers = np.zeros(image.shape, np.uint8)
    markers[19:21, 16:18] = markers[19:21, 23:25] = 2
    choice = DelineationSettings(method, replace(PLAIN, dilation=12))
    labels = run(image, saliency, choice, markers=markers).labels
    assert labels.max() == 3
    assert labels[20, 16] and labels[20, 24]
    assert labels[20, 16] != labels[20, 24]


@pytest.mark.parametrize('method', DESCRIPTIONS)
def test_background_markers_are_never_object(method):
    image, saliency, _ = scene()
    markers = np.zeros(image.shape, np.uint8)
    markers[18:22, 5:35] = 1
    labels = run(image, saliency, DelineationSettings(method, PLAIN), markers=markers).labels
    assert not labels[markers == 1].any()


@pytest.mark.parametrize('method', DESCRIPTIONS)
@pytest.mark.parametrize('shape', [(1, 1), (1, 30), (30, 1), (1, 1, 12), (5, 6)])
def test_nothing_salient_gives_no_objects(method, shape):
    objects = run(np.zeros(shape), np.zeros(shape), DelineationSettings(method, smoothing=True))
    assert objects.classes == ()
    assert not objects.labels.any()


@pytest.mark.parametrize('method', DESCRIPTIONS)
@pytest.mark.parametrize('relaxation', [False, True])
@settings(max_examples=15, deadline=None)
@given(st.data())
def test_objects_keep_their_seeds_and_are_numbered_without_gaps(method, relaxation, data):
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=3, max_side=8))
    values = st.sampled_from([0.0, 0.2, 0.9])
    saliency = data.draw(hnp.arrays(np.float32, shape, elements=values))
    markers = data.draw(hnp.arrays(np.uint8, shape, elements=st.sampled_from([0, 0, 0, 1, 2, 3])))
    image = data.draw(hnp.arrays(np.float32, shape, elements=values))
    choice = DelineationSettings(method, PLAIN, relaxation=relaxation)
    objects = run(image, saliency, choice, markers=markers)
    count = len(objects.classes)
    assert set(np.unique(objects.labels)) - {0} == set(range(1, count + 1))
    seeded = objects.seeds.labels > 0
    np.testing.assert_array_equal(objects.labels[seeded], objects.seeds.labels[seeded] - 1)
    np.testing.assert_array_equal(objects.class_map()[markers > 0], markers[markers > 0])


@pytest.mark.parametrize('method', ['dynamic_trees', 'watershed'])
def test_more_objects_than_sixteen_bits_count_keep_their_ids(method):
    saliency = np.zeros((530, 530), np.float32)
    saliency[::2, ::2] = 1
    objects = run(saliency, saliency, DelineationSettings(method, PLAIN))
    assert len(objects.classes) == 265**2
    assert objects.labels[-2, -2] == 265**2


@pytest.mark.parametrize('method', GROWING)
def test_a_constant_image_and_one_voxel_objects_are_no_obstacle(method):
    saliency = np.zeros((12, 14))
    saliency[0, 0] = saliency[6, 7] = 1
    objects = run(np.full((12, 14), 0.3), saliency, DelineationSettings(method, PLAIN))
    assert objects.labels[0, 0] == 1
    assert objects.labels[6, 7] == 2


@pytest.mark.parametrize('smoothing', [False, True])
def test_work_can_be_stopped_between_its_steps(smoothing):
    image, saliency, _ = scene()
    job = delineate(image, saliency, DelineationSettings(smoothing=smoothing))
    step = next(job)
    assert step.stage == ('smoothing saliency' if smoothing else 'making seeds')
    next(job)
    job.close()
    with pytest.raises(StopIteration):
        next(job)


@pytest.mark.parametrize('method', DESCRIPTIONS)
def test_progress_never_goes_back(method):
    image, saliency, _ = scene()
    choice = DelineationSettings(method, smoothing=True, relaxation=True)
    steps = list(delineate(image, saliency, choice))
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert all(step.done <= step.total for step in steps)


def test_every_method_has_a_description():
    assert METHODS.keys() == DESCRIPTIONS.keys()


def test_settings_survive_json():
    choice = DelineationSettings(
        'watershed', SeedSettings(0.3, border=2, sizes=AreaRange(4, None), erosion=2), alpha=0.25
    )
    assert delineation_from_dict(json.loads(json.dumps(asdict(choice)))) == choice
    assert delineation_from_dict(asdict(DelineationSettings())) == DelineationSettings()


def test_what_models_held_before_means_no_growth():
    old = {'threshold': None, 'smallest': 9, 'fill_holes': True}
    assert delineation_from_dict(old) == DelineationSettings('none')


@pytest.mark.parametrize(
    'options',
    [
        {'method': 'best'},
        {'seeds': ObjectSettings()},
        {'smoothing': 1},
        {'relaxation': None},
        {'mean': 'median'},
        {'alpha': 2},
        {'neighbours': 5},
        {'beta': -1},
    ],
)
def test_impossible_settings_give_a_clear_error(options):
    with pytest.raises(DelineationError, match='expected|choose'):
        DelineationSettings(**options)


def test_what_does_not_fit_gives_a_clear_error():
    with pytest.raises(DelineationError, match='Give both on the grid of the same image'):
        run(np.zeros((3, 4)), np.zeros((4, 3)))
    with pytest.raises(DelineationError, match='1 values of the image are not finite'):
        run(np.array([[np.nan, 0]]), np.array([[0, 1]]))
    with pytest.raises(DelineationError, match='1 values of the saliency are not finite'):
        run(np.array([[0, 0]]), np.array([[np.nan, 1]]))
    with pytest.raises(DelineationError, match='largest object is 2, and 1 classes'):
        Objects(np.array([[0, 2]], np.int32), (2,))
