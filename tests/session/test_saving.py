"""A session as plain data, and back."""

from __future__ import annotations

import copy
import dataclasses
import random
from dataclasses import replace

import numpy as np
import pytest

from napari_flim.engine.architecture import Architecture, Block
from napari_flim.errors import FileError
from napari_flim.io.session_file import read_session, write_session
from napari_flim.progress import finish
from napari_flim.session.classes import MarkedClass, with_change, with_new_class
from napari_flim.session.expert import drop_unticked, invert_kernels, switch_kernels, weigh_kernels
from napari_flim.session.history import State
from napari_flim.session.items import Item
from napari_flim.session.jobs import LearnRequest, learn
from napari_flim.session.recognising import recognised
from napari_flim.session.restoring import classes_of, settings_of_saved, view_of
from napari_flim.session.saved_images import absent_item, strokes_of
from napari_flim.session.saved_model import OTHER_STROKES, learned_of, strokes_digest, with_origins
from napari_flim.session.saving import copy_of, is_worth_keeping, saved_session
from napari_flim.session.session import Session
from napari_flim.session.settings import Settings
from napari_flim.session.sources import ImageSource, Strokes

TINY = Architecture((Block(channels=6), Block(channels=4)))
STRANGE = (None, -1, 7.5, True, 'x', [], [1], [[9, 9]], {}, {'a': 1})


def item_of(scene, key: str, **changed) -> Item:
    voxels = np.argwhere(scene.markers)
    labels = scene.markers[tuple(voxels.T)].astype(np.int64)
    source = ImageSource(key, f'cells {key}', scene.image, 'YX', (0.5, 0.5), 'um', f'/x/{key}.tif')
    item = Item(source, {0: Strokes(voxels, labels, scene.image.shape)}, f'{key} markers')
    return replace(item, **changed)


@pytest.fixture
def session(scene) -> Session:
    """Two images, one of them ticked; learned, with edits of every kind."""
    session = Session(items=(item_of(scene, 'a'), item_of(scene, 'b', included=False)))
    session.current = 'b'
    session.classes = with_new_class(session.classes)
    session.classes = with_change(
        session.classes, MarkedClass(2, 'cell', (0.1, 0.2, 0.3), 'object')
    )
    chosen = Settings(architecture=TINY)
    learned = finish(learn(LearnRequest(session.training_images(), chosen, (), 2, 0, ())))
    session.state = State(chosen, learned)
    switch_kernels(session, [(2, 1)], False)
    drop_unticked(session)
    invert_kernels(session, 2, [0])
    switch_kernels(session, [(1, 3)], False)
    weigh_kernels(session, [(2, 0)], -1.0)
    return session


def through_a_file(session: Session, folder):
    path = folder / 'a.flim-session'
    write_session(path, saved_session(session))
    return read_session(path)


def test_everything_of_a_session_comes_back_from_a_file(session, tmp_path) -> None:
    saved = through_a_file(session, tmp_path)
    assert classes_of(saved) == session.classes
    assert settings_of_saved(saved) == session.settings
    view = view_of(saved)
    assert (view.current, view.live, view.opened) == (1, True, (0, 1))
    learned, edits = learned_of(saved)
    assert edits == session.edits
    learned = with_origins(learned, saved, ['a', 'b'])
    learned = replace(learned, digest=strokes_digest(saved, session))
    for field in dataclasses.fields(learned):
        if field.name != 'model':
            assert getattr(learned, field.name) == getattr(session.learned, field.name), field.name
    for mine, theirs in zip(learned.model.blocks, session.learned.model.blocks, strict=True):
        assert mine.spec == theirs.spec
        np.testing.assert_array_equal(mine.bank.weights, theirs.bank.weights)
    for number, image in enumerate(saved.images):
        item = session.items[number]
        assert (image.name, image.path, image.included) == (
            item.source.name,
            item.source.path,
            item.included,
        )
        assert strokes_of(image)[0].digest == item.strokes[0].digest


def test_a_model_stays_learned_exactly_if_its_strokes_are_those_that_are_saved(session) -> None:
    saved = saved_session(session)
    learned, _ = learned_of(saved)
    assert learned.digest == ''
    as_saved = replace(learned, digest=strokes_digest(saved, session))
    assert replace_state(session, as_saved).block_states() == session.block_states()
    session.include('b', True)
    assert strokes_digest(saved_session(session), session) == OTHER_STROKES
    session.state = replace(session.state, learned=learned)
    assert strokes_digest(saved_session(session), session) == ''


def replace_state(session: Session, learned) -> Session:
    other = copy_of(session)
    other.state = replace(session.state, learned=learned)
    return other


def test_origins_follow_the_keys_of_the_images_that_are_open_now(session) -> None:
    saved = saved_session(session)
    learned = with_origins(learned_of(saved)[0], saved, ['new', 'other'])
    assert [origin.item for origin in learned.origins] == ['new']


def test_the_origin_of_an_image_that_was_removed_is_unknown(session) -> None:
    session.remove_item('a')
    saved = saved_session(session)
    learned = with_origins(learned_of(saved)[0], saved, ['b'])
    assert [(one.item, one.name) for one in learned.origins] == [('', 'cells a')]


def test_an_image_that_the_user_closed_stays_closed_with_its_strokes(session) -> None:
    session.put_item(replace(session.items[1], opened=False, markers=None))
    saved = saved_session(session)
    assert view_of(saved).opened == (0,)
    assert len(saved.images[1].strokes[0][1]) == len(session.items[1].strokes[0])


def test_the_end_of_a_viewer_which_closes_every_layer_leaves_the_session_open(session) -> None:
    before = view_of(saved_session(session)).opened
    for item in session.items:
        session.put_item(replace(item, opened=False, markers=None))
    saved = saved_session(session)
    assert view_of(saved).opened == before == (0, 1)
    assert [bool(image.marker_name) for image in saved.images] == [True, True]
    assert saved.learned['strokes'] == 'same'


def test_an_absent_image_is_saved_as_it_was_known(session, tmp_path) -> None:
    saved, digests = finish(recognised(session, {}))
    assert all(image.digest for image in saved.images)
    absent = absent_item(saved.images[0], 'absent')
    assert (absent.opened, absent.source.shape, absent.source.spacing, absent.source.unit) == (
        False,
        (48, 48),
        (0.5, 0.5),
        'um',
    )
    again = Session(items=(absent,))
    saved_again, _ = finish(recognised(again, {}))
    for name in ('name', 'path', 'shape', 'dtype', 'axes', 'scale', 'units', 'digest'):
        assert getattr(saved_again.images[0], name) == getattr(saved.images[0], name), name
    assert set(digests) == {item.source.content for item in session.items}


def test_an_image_that_cannot_be_read_does_not_keep_the_strokes_from_being_saved(session) -> None:
    class Broken:
        shape, dtype = (48, 48), np.dtype('uint8')

        def __getitem__(self, key):
            raise ZeroDivisionError

    item = session.items[0]
    broken = replace(item, source=replace(item.source, data=Broken()))
    session.items = (broken,)
    saved, _ = finish(recognised(session, {}))
    assert saved.images[0].digest == ''
    assert strokes_of(saved.images[0])[0].digest == item.strokes[0].digest


def test_known_digests_are_not_read_again(session) -> None:
    sources = [item.source for item in session.items]
    known = {source.content: f'of {source.key}' for source in sources}
    saved, _ = finish(recognised(session, known))
    assert [image.digest for image in saved.images] == ['of a', 'of b']


def test_a_session_is_worth_keeping_once_something_is_painted_or_learned(session) -> None:
    empty = Session(items=(replace(session.items[0], strokes={}),))
    assert not is_worth_keeping(empty)
    assert is_worth_keeping(Session(items=session.items))
    empty.state = session.state
    assert is_worth_keeping(empty)


def test_a_copy_does_not_follow_the_session(session) -> None:
    copied = copy_of(session)
    session.remove_item('a')
    assert [item.source.key for item in copied.items] == ['a', 'b']


@pytest.mark.parametrize(
    'classes',
    [
        (),
        ({'label': 1, 'name': 'a', 'colour': (0.0, 0.0, 0.0), 'role': 'object'},),
        ({'label': 2, 'name': 'a', 'colour': (0.0, 0.0, 0.0), 'role': 'object'},),
        ({'label': 1, 'name': 'a', 'colour': (0.0, 0.0, 0.0), 'role': 'background'},),
    ],
)
def test_classes_without_background_or_object_are_refused(session, classes) -> None:
    with pytest.raises(FileError, match='classes in this session file cannot be used'):
        classes_of(replace(saved_session(session), classes=classes))


def places(content, path=()):
    """Every place in nested dicts and lists."""
    pairs = content.items() if isinstance(content, dict) else enumerate(content)
    for name, value in pairs:
        yield (*path, name)
        if isinstance(value, dict | list):
            yield from places(value, (*path, name))


def test_hostile_values_give_one_clear_error_or_a_session_that_can_be_saved(
    session, tmp_path
) -> None:
    saved = through_a_file(session, tmp_path)
    draw = random.Random(0)
    for _ in range(300):
        content = copy.deepcopy({'settings': saved.settings, 'learned': saved.learned})
        place = draw.choice([place for place in places(content) if len(place) > 1])
        inner = content
        for name in place[:-1]:
            inner = inner[name]
        if isinstance(inner, dict) and draw.random() < 0.5:
            del inner[place[-1]]
        else:
            inner[place[-1]] = copy.deepcopy(draw.choice(STRANGE))
        changed = replace(saved, **content)
        try:
            chosen, (learned, edits) = settings_of_saved(changed), learned_of(changed)
            view_of(changed)
        except FileError as error:
            assert 'cannot be used' in str(error)
            continue
        other = copy_of(session)
        other.state = State(chosen, learned, edits)
        other.block_states()
        through_a_file(other, tmp_path)
