"""A session file is read back exactly, and anything else gives one clear error."""

from __future__ import annotations

import contextlib
import json
import pickle
import tempfile
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

import napari_flim as flim
from napari_flim.engine.architecture import architecture_to_dict
from napari_flim.errors import FileError
from napari_flim.io.container import LARGEST_FILE
from napari_flim.io.session_file import (
    SavedImage,
    SavedSession,
    read_session,
    write_session,
)
from napari_flim.model import settings_of
from napari_flim.model_loading import model_from_settings

KEY = 'napari_flim_session'
CLASSES = (
    {'label': 1, 'name': 'background', 'colour': (0.35, 0.55, 0.75), 'role': 'background'},
    {'label': 7, 'name': 'Ei', 'colour': (1, 0, 0.5), 'role': 'object'},
)
ARRAYS = ('strokes', 'corrections')
PLAIN = [one.name for one in fields(SavedImage) if one.name not in ARRAYS]


def strokes(*voxels: tuple[int, ...], labels: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    return np.array(voxels, np.int64), np.array(labels, np.int64)


STACK = SavedImage(
    name='eggs',
    path='/data/eggs.tif',
    sample=None,
    shape=(4, 30, 40),
    dtype='uint8',
    axes='TYX',
    scale=(1.0, 0.5, 0.5),
    units=('pixel', 'um', 'um'),
    digest='ab12',
    included=True,
    marker_name='eggs markers',
    strokes={
        0: strokes((0, 0), (29, 39), labels=(1, 255)),
        3: strokes((5, 6), labels=(7,)),
    },
    marker_shape=(4, 30, 40),
)
UNMARKED = replace(
    STACK, path=None, sample='coins', included=False, marker_name='', strokes={}, marker_shape=()
)


@pytest.fixture(scope='module')
def model(tmp_path_factory) -> flim.FlimModel:
    image = np.zeros((24, 24))
    image[8:16, 8:16] = 1
    markers = np.zeros((24, 24), np.uint8)
    markers[:4, :4] = 1
    markers[10:14, 10:14] = 2
    architecture = flim.Architecture((flim.Block(channels=4), flim.Block(channels=3)))
    return flim.learn(image, markers, architecture)


@pytest.fixture(scope='module')
def session(model) -> SavedSession:
    learned = {**settings_of(model), 'architecture': architecture_to_dict(model.architecture)}
    learned = json.loads(json.dumps(learned))
    chosen = {'preset': 'small', 'seed': 3, 'live': True, 'nested': [1.5, None, {'a': []}]}
    return SavedSession(
        (STACK, UNMARKED), CLASSES, chosen, learned, model.blocks, '2025-03-01T12:00:00+00:00'
    )


@pytest.fixture(scope='module')
def content(session, tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp('session') / 's.flim-session'
    write_session(path, session)
    return path.read_bytes()


def read_bytes(content: bytes) -> SavedSession:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'changed.flim-session'
        path.write_bytes(content)
        return read_session(path)


def refused(content: bytes) -> str:
    with pytest.raises(FileError) as error:
        read_bytes(content)
    text = str(error.value)
    assert text.count('changed.flim-session') == 1
    return text


def assert_same(one: SavedSession, other: SavedSession) -> None:
    for name in ('classes', 'settings', 'learned', 'saved_at'):
        assert getattr(one, name) == getattr(other, name), name
    assert len(one.images) == len(other.images)
    for first, second in zip(one.images, other.images, strict=True):
        assert [getattr(first, n) for n in PLAIN] == [getattr(second, n) for n in PLAIN]
        assert list(first.strokes) == sorted(second.strokes)
        for frame, painted in first.strokes.items():
            for read, written in zip(painted, second.strokes[frame], strict=True):
                assert read.dtype == np.int64
                np.testing.assert_array_equal(read, written)


def test_a_session_comes_back_exactly(content, session, tmp_path) -> None:
    read = read_bytes(content)
    assert_same(read, session)
    assert [block.spec for block in read.blocks] == [block.spec for block in session.blocks]
    write_session(tmp_path / 'again.flim-session', read)
    assert (tmp_path / 'again.flim-session').read_bytes() == content


def test_the_model_of_a_session_works_again(content, model) -> None:
    read = read_bytes(content)
    assert read.learned is not None
    again = model_from_settings(read.blocks, model.architecture, read.learned)
    image = np.random.default_rng(0).random((24, 24))
    np.testing.assert_array_equal(again.saliency(image), model.saliency(image))


texts = st.text(max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(-1e9, 1e9) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
steps = st.floats(1e-6, 1e6) | st.floats(-1e6, -1e-6)


@st.composite
def images(draw) -> SavedImage:
    axes = draw(st.sampled_from(['YX', 'YXS', 'ZYX', 'TYX', 'CYX', 'TCZYX', 'YXC', 'TYXS']))
    sizes = {letter: draw(st.integers(1, 2**31 - 1)) for letter in axes}
    space = tuple(size for letter, size in sizes.items() if letter in 'ZYX')
    voxel = st.tuples(*(st.integers(0, size - 1) for size in space))
    painted = {}
    for frame in draw(st.sets(st.integers(0, sizes.get('T', 1) - 1), max_size=3)):
        marked = draw(st.lists(st.tuples(voxel, st.integers(1, 255)), max_size=5))
        coordinates = np.array([v for v, _ in marked], np.int64).reshape(-1, len(space))
        painted[frame] = (coordinates, np.array([n for _, n in marked], np.int64))
    count = len(axes.replace('S', ''))
    return SavedImage(
        name=draw(texts),
        path=draw(st.none() | texts),
        sample=draw(st.none() | texts),
        shape=tuple(sizes.values()),
        dtype=draw(texts),
        axes=axes,
        scale=tuple(draw(steps) for _ in range(count)),
        units=tuple(draw(texts) for _ in range(count)),
        digest=draw(texts),
        included=draw(st.booleans()),
        marker_name=draw(texts),
        strokes=painted,
        marker_shape=(sizes['T'], *space) if 'T' in sizes else space,
    )


@settings(max_examples=60, deadline=None)
@given(
    st.lists(images(), max_size=3),
    st.dictionaries(texts, json_values, max_size=3),
    st.datetimes(),
)
def test_any_session_comes_back_exactly(drawn, chosen, time) -> None:
    session = SavedSession(tuple(drawn), CLASSES, chosen, None, (), time.isoformat())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 's.flim-session'
        write_session(path, session)
        assert_same(read_session(path), session)


def test_a_million_voxels_take_nine_bytes_each(tmp_path) -> None:
    voxels = np.argwhere(np.ones((1000, 1000), bool))
    painted = {0: (voxels, np.ones(len(voxels), np.int64))}
    sizes = {'shape': (1000, 1000), 'marker_shape': (1000, 1000), 'axes': 'YX'}
    image = replace(STACK, **sizes, scale=(1.0, 1.0), units=('um', 'um'), strokes=painted)
    session = SavedSession((image,), CLASSES, {}, None, (), '2025-03-01')
    write_session(tmp_path / 's.flim-session', session)
    assert (tmp_path / 's.flim-session').stat().st_size < 9 * len(voxels) + 10_000


@pytest.mark.parametrize('part', range(20))
def test_a_file_cut_off_anywhere_is_refused(content, part) -> None:
    assert 'cut off' in refused(content[: len(content) * part // 20])


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_changed_byte_of_the_header_is_refused_or_harmless(content, data) -> None:
    length = 8 + int.from_bytes(content[:8], 'little')
    place = data.draw(st.integers(0, length - 1))
    value = data.draw(st.integers(0, 255))
    with contextlib.suppress(FileError):
        read_bytes(content[:place] + bytes([value]) + content[place + 1 :])


def rewritten(content: bytes, change_header=None, change_tensors=None) -> bytes:
    length = int.from_bytes(content[:8], 'little')
    header = json.loads(json.loads(content[8 : 8 + length])['__metadata__'][KEY])
    tensors = dict(load_tensors(content))
    if change_header is not None:
        change_header(header)
    if change_tensors is not None:
        change_tensors(tensors)
    return save_tensors(tensors, metadata={KEY: json.dumps(header)})


def put(*keys: Any, value: Any):
    def change(header: Any) -> None:
        for key in keys[:-1]:
            header = header[key]
        header[keys[-1]] = value

    return change


STRANGE = (None, True, 3, -1, 10**400, 1.5, float('nan'), float('inf'), '', 'x', [], [[]], {}, [{}])


def type_of(value: object) -> str:
    return 'number' if type(value) in (int, float) else type(value).__name__


@pytest.mark.parametrize('field', PLAIN)
def test_another_json_type_in_a_field_of_an_image_is_refused(content, session, field) -> None:
    usual = getattr(session.images[0], field)
    for strange in STRANGE:
        changed = rewritten(content, put('images', 0, field, value=strange))
        optional = strange is None and field in ('path', 'sample')
        same = type_of(strange) == type_of(usual) or (field == 'sample' and strange in ('', 'x'))
        if optional or (same and isinstance(strange, bool | str) and field != 'axes'):
            read_bytes(changed)
        else:
            assert field in refused(changed) or 'shape' in refused(changed)


@pytest.mark.parametrize('field', ['label', 'name', 'colour', 'role'])
def test_another_json_type_in_a_field_of_a_class_is_refused(content, field) -> None:
    for strange in STRANGE:
        if (field, strange) not in (('label', 3), ('name', 'x')):
            assert 'classes' in refused(rewritten(content, put('classes', 0, field, value=strange)))


@pytest.mark.parametrize(
    'field', ['images', 'classes', 'settings', 'learned', 'blocks', 'saved_at', 'format']
)
def test_another_json_type_in_a_field_of_the_session_is_refused(content, field) -> None:
    for strange in STRANGE:
        changed = rewritten(content, put(field, value=strange))
        harmless = {'classes': [[]], 'settings': [{}], 'learned': [{}], 'format': [True]}
        if strange in harmless.get(field, []):
            read_bytes(changed)
        else:
            refused(changed)


@pytest.mark.parametrize(
    'field', ['images', 'classes', 'settings', 'learned', 'blocks', 'saved_at']
)
def test_a_missing_field_is_refused_and_named(content, field) -> None:
    assert field in refused(rewritten(content, lambda header: header.pop(field)))


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (put('format', value=2), 'Update napari-flim'),
        (put('images', 0, 'axes', value='TXY'), 'axes'),
        (put('images', 0, 'axes', value='YX'), 'axes'),
        (put('images', 0, 'axes', value='CSY'), 'axes'),
        (put('images', 0, 'shape', value=[4, 30, 39]), 'outside its shape'),
        (
            lambda h: h['images'][0].update(shape=[3, 30, 40], marker_shape=[3, 30, 40]),
            'number 3 is marked',
        ),
        (put('images', 0, 'shape', value=[4, 30, 2**31]), 'shape'),
        (put('images', 0, 'marker_shape', value=[4, 30, 41]), 'expected (4, 30, 40)'),
        (put('images', 0, 'scale', value=[1, 2]), '3 values'),
        (put('images', 0, 'scale', value=[1, 2, 0]), 'scale'),
        (put('images', 0, 'scale', value=[1, 2, 10**400]), 'scale'),
        (put('images', 0, 'units', value=['um', 'um', 3]), 'units'),
        (put('classes', 0, 'label', value=7), 'each label once'),
        (put('classes', 0, 'label', value=256), 'classes'),
        (put('classes', 0, 'colour', value=[0, 0, 1.01]), 'classes'),
        (put('classes', 0, 'surplus', value=1), 'classes'),
        (put('saved_at', value='yesterday'), 'saved_at'),
        (put('learned', value=None), 'without a model'),
        (put('blocks', 0, 'kernel_size', value=4), 'kernel_size'),
        (put('blocks', 0, 'kernel_size', value=5), 'block 1'),
        (lambda h: h['images'].pop(), '1 images'),
        (lambda h: h['images'].append(h['images'][0]), 'image3'),
        (lambda h: h['blocks'].pop(), 'surplus'),
    ],
)
def test_a_header_that_makes_no_sense_is_refused(content, change, words) -> None:
    assert words in refused(rewritten(content, change))


@pytest.mark.parametrize(
    'change',
    [
        lambda t: t.pop('image1.labels'),
        lambda t: t.pop('block1.weights'),
        lambda t: t.update(extra=np.zeros(3)),
        lambda t: t.update({'image3.labels': t['image1.labels']}),
        lambda t: t.update({'image1.labels': t['image1.labels'].astype(np.int64)}),
        lambda t: t.update({'image1.labels': t['image1.labels'] * 0}),
        lambda t: t.update({'image1.labels': t['image1.labels'][:2]}),
        lambda t: t.update({'image1.coordinates': t['image1.coordinates'] - 1}),
        lambda t: t.update({'image1.coordinates': t['image1.coordinates'][:, :1]}),
        lambda t: t.update({'image1.coordinates': t['image1.coordinates'][:2]}),
        lambda t: t.update({'image1.coordinates': t['image1.coordinates'].astype(np.float32)}),
        lambda t: t.update({'image1.frames': t['image1.frames'][::-1].copy()}),
        lambda t: t.update({'image1.frames': t['image1.frames'] * 2**40}),
        lambda t: t.update({'image1.frames': t['image1.frames'][:, :1].copy()}),
        lambda t: t.update({'image1.frames': t['image1.frames'][:0]}),
        lambda t: t.update({'image1.frames': np.array([[0, 4], [3, -1]])}),
        lambda t: t.update({'image1.frames': np.array([[-1, 2], [3, 1]])}),
        lambda t: t.update({'block1.weights': t['block1.weights'] * np.nan}),
    ],
)
def test_arrays_that_do_not_fit_are_refused(content, change) -> None:
    text = refused(rewritten(content, change_tensors=change))
    assert 'Use the file that napari-flim saved' in text


def test_foreign_and_hostile_files_are_refused(content, model, tmp_path) -> None:
    assert 'not a session of napari-flim' in refused(save_tensors({'a': np.zeros(2)}))
    refused(b'')
    refused(pickle.dumps({'weights': 1}))
    refused(save_tensors({'a': np.zeros(2)}, metadata={KEY: '[' * 100_000}))
    model.save(tmp_path / 'm.flim')
    assert 'choose a .flim-session file saved' in refused((tmp_path / 'm.flim').read_bytes())
    (tmp_path / 's.flim-session').write_bytes(content)
    with pytest.raises(FileError, match='not a model of napari-flim'):
        flim.load(tmp_path / 's.flim-session')


def test_missing_files_folders_and_giants_are_named(tmp_path) -> None:
    with pytest.raises(FileError, match='none.flim-session cannot be read'):
        read_session(tmp_path / 'none.flim-session')
    with pytest.raises(FileError, match='cannot be read'):
        read_session(tmp_path)
    giant = tmp_path / 'giant.flim-session'
    with giant.open('wb') as file:
        file.truncate(LARGEST_FILE + 1)
    with pytest.raises(FileError, match='larger than any session'):
        read_session(giant)


def test_a_session_that_cannot_be_written_leaves_the_old_one(content, session, tmp_path) -> None:
    with pytest.raises(FileError, match='does not exist'):
        write_session(tmp_path / 'no' / 's.flim-session', session)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    'change',
    [
        {'strokes': {0: strokes((0, 0), labels=(256,))}},
        {'strokes': {0: strokes((0, 40), labels=(1,))}},
        {'strokes': {0: strokes((0, 0), (1, 1), labels=(1,))}},
        {'strokes': {4: strokes((0, 0), labels=(1,))}},
        {'strokes': {0: (np.zeros((1, 2)), np.ones(1))}},
        {'marker_shape': (30, 40)},
        {'shape': (4.0, 30, 40)},
    ],
)
def test_an_image_that_could_not_be_read_back_cannot_be_made(change) -> None:
    with pytest.raises(FileError, match='eggs'):
        replace(STACK, **change)
