"""The range of sizes that follows marked objects, as `flim.learn` and the command line learn it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_flim.delineation.area_range import AreaRange
from napari_flim.progress import finish
from napari_flim.session.classes import FIRST_CLASSES
from napari_flim.session.history import State
from napari_flim.session.jobs import learn
from napari_flim.session.marked_sizes import (
    MeasuredRange,
    measured_range,
    put_sizes,
    sizes_due,
    sizes_request,
)
from napari_flim.session.planning import plan_all
from napari_flim.session.session import Session
from napari_flim.session.settings import Settings
from napari_flim.training import learn_sizes


@pytest.fixture
def session(make_item, scene) -> Session:
    """Two images of which one has anisotropic voxels, learned from."""
    second = make_item(scene.image[::-1].copy(), scene.markers[::-1].copy(), key='b')
    source = replace(second.source, spacing=(0.5, 2.0))
    first = make_item(scene.image, scene.markers)
    made = Session(items=(first, replace(second, source=source)), classes=FIRST_CLASSES)
    made.change('learning', State(made.settings, finish(learn(plan_all(made)))))
    return made


def test_the_range_is_the_one_that_training_learns(session) -> None:
    request = sizes_request(session)
    pairs = [image.read() for image in request.images]
    images, markers = zip(*pairs, strict=True)
    wanted = finish(learn_sizes(session.learned.model, images, markers)).delineation.seeds.sizes
    assert isinstance(wanted, AreaRange)
    assert finish(measured_range(request)) == MeasuredRange(wanted)


def test_nothing_is_measured_of_strokes_that_were_not_learned_from(session, make_item, scene):
    more = scene.markers.copy()
    more[30:34, 30:34] = 2
    assert sizes_request(session) is not None
    session.put_item(make_item(scene.image, more))
    assert sizes_request(session) is None


def test_a_range_is_kept_until_the_next_learning_and_a_chosen_one_for_good(session) -> None:
    request = sizes_request(session)
    put_sizes(session, request, AreaRange(2, 30))
    settings = session.settings
    assert settings.delineation.seeds.sizes == AreaRange(2, 30)
    assert (settings.sizes_from, sizes_request(session)) == ('marked', None)
    assert len(session.history.done) == 1
    put_sizes(session, request, AreaRange(5, 6))
    assert session.settings is settings
    assert sizes_due(settings).sizes_from == 'due'
    assert sizes_due(replace(settings, sizes_from='chosen')).sizes_from == 'chosen'


def test_a_range_of_another_model_is_not_kept(session) -> None:
    request = sizes_request(session)
    session.change('learning', State(Settings(), finish(learn(plan_all(session)))))
    put_sizes(session, request, AreaRange(2, 30))
    assert session.settings.sizes_from == 'due'
    assert session.settings.delineation.seeds.sizes is None
