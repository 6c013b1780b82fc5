"""A model file is read back exactly, and anything else gives one clear error."""

from __future__ import annotations

import contextlib
import json
import pickle
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

import napari_flim as flim
from napari_flim.errors import FileError, ModelFileError
from napari_flim.io.model_file import KEY


@pytest.fixture(scope='module')
def content(tmp_path_factory) -> bytes:
    image = np.zeros((24, 24))
    image[8:16, 8:16] = 1
    markers = np.zeros((24, 24), np.uint8)
    markers[:4, :4] = 1
    markers[10:14, 10:14] = 2
    path = tmp_path_factory.mktemp('model') / 'm.flim'
    flim.learn(image, markers).with_decoder('label_balanced', block=2).save(path)
    return path.read_bytes()


def header_of(content: bytes) -> dict:
    length = int.from_bytes(content[:8], 'little')
    return json.loads(json.loads(content[8 : 8 + length])['__metadata__'][KEY])


def load_bytes(content: bytes, folder) -> flim.FlimModel:
    path = folder / 'changed.flim'
    path.write_bytes(content)
    return flim.load(path)


def refused(content: bytes, folder) -> str:
    with pytest.raises(ModelFileError) as error:
        load_bytes(content, folder)
    text = str(error.value)
    assert 'changed.flim' in text
    return text


def test_a_model_comes_back_exactly(content, tmp_path) -> None:
    model = load_bytes(content, tmp_path)
    model.save(tmp_path / 'again.flim')
    assert (tmp_path / 'again.flim').read_bytes() == content
    assert (model.decoder.name, model.decoder.block) == ('label_balanced', 2)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_file_cut_off_anywhere_is_refused(content, tmp_path_factory, data) -> None:
    cut = data.draw(st.integers(0, len(content) - 1))
    refused(content[:cut], tmp_path_factory.mktemp('cut'))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_changed_byte_of_the_header_is_refused_or_harmless(
    content, tmp_path_factory, data
) -> None:
    length = 8 + int.from_bytes(content[:8], 'little')
    place = data.draw(st.integers(0, length - 1))
    value = data.draw(st.integers(0, 255))
    changed = content[:place] + bytes([value]) + content[place + 1 :]
    with contextlib.suppress(ModelFileError):
        load_bytes(changed, tmp_path_factory.mktemp('byte'))


def rewritten(content: bytes, change_header=None, change_tensors=None) -> bytes:
    header, tensors = header_of(content), dict(load_tensors(content))
    if change_header is not None:
        change_header(header)
    if change_tensors is not None:
        change_tensors(tensors)
    return save_tensors(tensors, metadata={KEY: json.dumps(header)})


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (lambda h: h.update(format=2), 'Update napari-flim'),
        (lambda h: h.pop('decoder'), 'decoder'),
        (lambda h: h['architecture']['blocks'][0].update(kernel_size=4), 'kernel_size'),
        (lambda h: h['architecture']['blocks'][0].update(channels=10**9), 'channels'),
        (lambda h: h['architecture'].update(blocks=[]), 'block'),
        (lambda h: h['architecture'].update(blocks='many'), 'blocks'),
        (lambda h: h['architecture']['blocks'].pop(), 'surplus'),
        (lambda h: h['architecture'].update(epsilon='x'), 'epsilon'),
        (lambda h: h['decoder'].update(block=7), 'Block 7'),
        (lambda h: h['decoder'].update(name='os.system'), 'os.system'),
        (lambda h: h['transform'].update(kind='exec'), 'exec'),
        (lambda h: h['transform'].update(kind='multiscale'), 'channels'),
        (lambda h: h['delineation']['seeds'].update(threshold=5), 'threshold'),
        (lambda h: h.update(provenance=3), 'damaged'),
        (lambda h: h['provenance'].update(images=[1]), 'damaged'),
        (lambda h: h['provenance'].update(images=3), 'damaged'),
        (lambda h: h['provenance']['images'][0].update(name=5), 'damaged'),
        (lambda h: h['provenance']['images'][0].update(marked={'1': 'many'}), 'damaged'),
        (lambda h: h['transform'].update(percentiles=[0.1, 250]), '250'),
        (lambda h: h['transform'].update(ranges=[['a', 'b']]), 'ranges'),
        (lambda h: h['transform'].update(ranges=[[0, 1], [0, 1]]), '2 intensity ranges'),
        (lambda h: h['transform'].update(channels=['a']), 'channels'),
        (lambda h: h['transform'].update(channels=[-1]), 'channels'),
        (lambda h: h['transform'].update(scales=[[1]]), 'scales'),
        (lambda h: h['transform'].update(window='ab'), 'window'),
        (lambda h: h['decoder'].update(band='x'), 'band'),
        (lambda h: h['decoder'].update(name='manual', weights=[]), 'weights'),
        (lambda h: h['decoder'].update(name='manual', weights=[None]), 'weights'),
        (lambda h: h['delineation']['seeds'].update(smallest='x'), 'smallest'),
        (lambda h: h['delineation'].update(surprise=1), 'surprise'),
        (lambda h: h.update(channels=2), 'channels'),
        (lambda h: h.update(channels='one'), 'damaged'),
    ],
)
def test_a_header_that_makes_no_sense_is_refused(content, tmp_path, change, words) -> None:
    assert words in refused(rewritten(content, change_header=change), tmp_path)


@pytest.mark.parametrize(
    'change',
    [
        lambda t: t.pop('block1.weights'),
        lambda t: t.update(extra=np.zeros(3)),
        lambda t: t.update({'block1.weights': t['block1.weights'].astype(np.float64)}),
        lambda t: t.update({'block1.weights': t['block1.weights'] * np.nan}),
        lambda t: t.update({'block1.weights': t['block1.weights'][:, :, :1]}),
        lambda t: t.update({'block1.weights': t['block1.weights'][0]}),
        lambda t: t.update({'block2.weights': t['block2.weights'][:, :1]}),
        lambda t: t.update({'block1.std': t['block1.std'] * 0}),
        lambda t: t.update({'block1.classes': t['block1.classes'][:1]}),
    ],
)
def test_arrays_that_do_not_fit_are_refused(content, tmp_path, change) -> None:
    refused(rewritten(content, change_tensors=change), tmp_path)


def test_foreign_and_hostile_files_are_refused(content, tmp_path) -> None:
    assert 'not a model of napari-flim' in refused(save_tensors({'a': np.zeros(2)}), tmp_path)
    refused(b'', tmp_path)
    refused(pickle.dumps({'weights': 1}), tmp_path)
    refused(struct.pack('<Q', 2**62) + b'{}', tmp_path)
    deep = '[' * 100_000
    refused(save_tensors({'a': np.zeros(2)}, metadata={KEY: deep}), tmp_path)


def test_a_missing_file_and_a_folder_are_named(tmp_path) -> None:
    for path in (tmp_path / 'none.flim', tmp_path):
        with pytest.raises(ModelFileError, match=str(path)):
            flim.load(path)


def test_a_model_that_cannot_be_written_leaves_the_old_one(content, tmp_path) -> None:
    model = load_bytes(content, tmp_path)
    with pytest.raises(FileError, match='does not exist'):
        model.save(tmp_path / 'no' / 'm.flim')
    (tmp_path / 'taken').mkdir()
    with pytest.raises(FileError):
        model.save(tmp_path / 'taken')
    assert sorted(p.name for p in tmp_path.iterdir()) == ['changed.flim', 'taken']
