from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import yaozarrs
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from yaozarrs import v04, v05

from napari_flim.engine.image import read_array
from napari_flim.engine.placement import Placement
from napari_flim.errors import FileError, ImageError
from napari_flim.io.images import list_images, read_image, read_images, stem
from napari_flim.io.ome_zarr_writing import SIDE
from napari_flim.io.result_writer import create_result
from napari_flim.io.results import read_labels, write_labels, write_saliency

RANDOM = np.random.default_rng(11)
VERSIONS = pytest.mark.parametrize('version', ['0.4', '0.5'])


def metadata(folder: Path, version: str) -> dict:
    """What the file says, read without zarr."""
    if version == '0.4':
        return json.loads((folder / '.zattrs').read_text())
    return json.loads((folder / 'zarr.json').read_text())['attributes']['ome']


def placed(*shape: int, unit: str = 'micrometer'):
    spacing = (3.0, 0.5, 0.25)[-len(shape) :]
    origin = (10.0, -4.0, 7.5)[-len(shape) :]
    return read_array(np.zeros(shape), spacing=spacing, placement=Placement(unit, origin))


def write_by_zarr(path: Path, array: np.ndarray, attributes: dict, version: str) -> None:
    """An OME-Zarr by zarr alone, with metadata as given."""
    format_ = 3 if version == '0.5' else 2
    group = zarr.create_group(str(path), zarr_format=format_, attributes=attributes)
    group.create_array('s0', data=array, chunks=(1,) * (array.ndim - 2) + (16, 16))


def multiscale(names: str, scale: list, translation: list | None = None, unit: str = 'micrometer'):
    kinds = {'t': 'time', 'c': 'channel'}
    axes = [{'name': n, 'type': kinds.get(n, 'space')} for n in names]
    for axis in axes:
        if axis['type'] == 'space':
            axis['unit'] = unit
    transforms: list = [{'type': 'scale', 'scale': scale}]
    if translation:
        transforms.append({'type': 'translation', 'translation': translation})
    return {'axes': axes, 'datasets': [{'path': 's0', 'coordinateTransformations': transforms}]}


@VERSIONS
@pytest.mark.parametrize('shape', [(40, 50), (6, 40, 50)])
def test_labels_are_valid_ome_zarr_and_come_back(
    tmp_path: Path, version: str, shape: tuple[int, ...]
) -> None:
    image = placed(*shape)
    labels = RANDOM.integers(0, 300, shape)
    write_labels(tmp_path / 'a.ome.zarr', labels, image, version)
    said = metadata(tmp_path / 'a.ome.zarr', version)
    if version == '0.4':
        v04.LabelImage.model_validate(said)
    else:
        v05.LabelImage.model_validate(said)
        yaozarrs.validate_zarr_store(str(tmp_path / 'a.ome.zarr'))
    back = read_image(tmp_path / 'a.ome.zarr')
    assert (back.lazy, back.spacing, back.placement) == (True, image.spacing, image.placement)
    assert back.data.dtype == np.uint16
    np.testing.assert_array_equal(read_labels(tmp_path / 'a.ome.zarr'), labels)


@VERSIONS
def test_saliency_of_several_classes_has_a_channel_axis(tmp_path: Path, version: str) -> None:
    maps = RANDOM.random((2, 6, 40, 50)).astype(np.float32)
    write_saliency(tmp_path / 'a.zarr', maps, placed(6, 40, 50), version)
    said = metadata(tmp_path / 'a.zarr', version)
    (v04 if version == '0.4' else v05).Image.model_validate(said)
    assert 'image-label' not in said
    image = read_image(tmp_path / 'a.zarr')
    assert (image.channels, image.shape) == (2, (6, 40, 50))
    np.testing.assert_array_equal(image.in_memory().data, maps)


@VERSIONS
def test_a_stream_gets_coarser_levels_when_it_is_finished(
    monkeypatch, tmp_path: Path, version: str
) -> None:
    monkeypatch.setitem(SIDE, 3, 8)
    labels = RANDOM.integers(0, 9, (5, 20, 33)).astype(np.uint16)
    with create_result(
        tmp_path / 'a.ome.zarr', labels.shape, np.uint16, placed(5, 20, 33), version=version
    ) as result:
        assert result.chunks == (5, 8, 8)
        for start in range(0, 20, 8):
            result[:, start : start + 8] = labels[:, start : start + 8]
        assert not (tmp_path / 'a.ome.zarr').exists()
        result.finish()
    said = metadata(tmp_path / 'a.ome.zarr', version)
    validated = (v04 if version == '0.4' else v05).LabelImage.model_validate(said)
    datasets = validated.multiscales[0].datasets
    assert [d.path for d in datasets] == ['0', '1', '2', '3']
    assert datasets[2].coordinateTransformations[0].scale == [3.0, 2.0, 1.0]
    for level, dataset in enumerate(datasets):
        array = zarr.open_array(str(tmp_path / 'a.ome.zarr' / dataset.path), mode='r')
        across = min(level, 2)
        np.testing.assert_array_equal(array[:], labels[:, :: 2**across, :: 2**level])
    assert [p.name for p in tmp_path.iterdir()] == ['a.ome.zarr']


def test_coarser_saliency_is_a_mean_that_lies_between_its_voxels(
    monkeypatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(SIDE, 2, 4)
    maps = np.arange(35, dtype=np.float32).reshape(5, 7)
    write_saliency(tmp_path / 'a.ome.zarr', maps, placed(5, 7))
    coarse = zarr.open_array(str(tmp_path / 'a.ome.zarr' / '1'), mode='r')[:]
    assert coarse.shape == (3, 4)
    assert coarse[0, 0] == maps[:2, :2].mean()
    assert coarse[2, 3] == maps[4, 6]
    said = metadata(tmp_path / 'a.ome.zarr', '0.5')['multiscales'][0]['datasets']
    assert said[0]['coordinateTransformations'][1]['translation'] == [-4.0, 7.5]
    assert said[1]['coordinateTransformations'][1]['translation'] == [-3.75, 7.625]


@VERSIONS
def test_files_of_others_are_read_with_axes_scale_and_unit(tmp_path: Path, version: str) -> None:
    array = RANDOM.integers(0, 99, (3, 2, 4, 20, 30)).astype(np.uint16)
    scales = multiscale('tczyx', [1, 1, 2000, 500, 500], [0, 0, 0, 100, 0], unit='nanometer')
    attributes: dict = {'multiscales': [scales]}
    if version == '0.5':
        attributes = {'ome': {'version': '0.5', **attributes}}
    else:
        scales['version'] = '0.4'
    write_by_zarr(tmp_path / 'a.zarr', array, attributes, version)
    images = read_images(tmp_path / 'a.zarr')
    assert [image.shape for image in images] == [(4, 20, 30)] * 3
    assert images[0].spacing == (2000, 500, 500)
    assert images[0].placement == Placement('nanometer', (0.0, 100.0, 0.0))
    np.testing.assert_array_equal(images[2].in_memory().data, array[2])


def test_transformations_of_all_levels_apply_after_those_of_one(tmp_path: Path) -> None:
    scales = multiscale('yx', [2, 2], [1, 0])
    scales['coordinateTransformations'] = [{'type': 'scale', 'scale': [0.5, 0.25]}]
    attributes = {'ome': {'version': '0.5', 'multiscales': [scales]}}
    write_by_zarr(tmp_path / 'a.zarr', np.zeros((20, 30)), attributes, '0.5')
    image = read_image(tmp_path / 'a.zarr')
    assert (image.spacing, image.placement.origin) == ((1.0, 0.5), (0.5, 0.0))


def test_five_axes_of_a_flat_image_make_an_image(tmp_path: Path) -> None:
    attributes = {'ome': {'multiscales': [multiscale('tczyx', [1, 1, 1, 0.5, 0.5])]}}
    write_by_zarr(tmp_path / 'a.zarr', np.ones((1, 2, 1, 20, 30)), attributes, '0.5')
    image = read_image(tmp_path / 'a.zarr')
    assert (image.channels, image.shape, image.spacing) == (2, (20, 30), (0.5, 0.5))
    assert read_image(tmp_path / 'a.zarr', 'TCZYX').shape == (1, 20, 30)


@VERSIONS
def test_a_plain_array_follows_the_rule_or_its_names(tmp_path: Path, version: str) -> None:
    array = RANDOM.random((4, 20, 30))
    for name, axes in (('plain', None), ('named', ['c', 'y', 'x'])):
        zarr.create_array(
            str(tmp_path / f'{name}.zarr'),
            data=array,
            zarr_format=3 if version == '0.5' else 2,
            dimension_names=axes if version == '0.5' else None,
        )
    assert read_image(tmp_path / 'plain.zarr').shape == (4, 20, 30)
    if version == '0.5':
        assert read_image(tmp_path / 'named.zarr').channels == 4
    zarr.create_array(str(tmp_path / 'b.zarr'), data=np.zeros((2, 3, 4, 5)))
    with pytest.raises(ImageError, match=r'b\.zarr.*--axes CZYX'):
        read_images(tmp_path / 'b.zarr')


def test_axes_that_are_no_image_axes_are_asked_for(tmp_path: Path) -> None:
    scales = multiscale('qcyx', [1, 1, 1, 1])
    attributes = {'ome': {'multiscales': [scales]}}
    write_by_zarr(tmp_path / 'a.zarr', np.zeros((3, 2, 20, 30)), attributes, '0.5')
    with pytest.raises(ImageError, match='--axes'):
        read_images(tmp_path / 'a.zarr')
    assert len(read_images(tmp_path / 'a.zarr', 'TCYX')) == 3


def test_a_folder_that_is_a_zarr_is_one_image(tmp_path: Path) -> None:
    write_labels(tmp_path / 'b.ome.zarr', np.ones((4, 5), np.uint8), (1, 1))
    np.save(tmp_path / 'a.npy', np.zeros((4, 5)))
    listed = list_images([tmp_path])
    assert [path.name for path in listed] == ['a.npy', 'b.ome.zarr']
    assert list_images([tmp_path / 'b.ome.zarr']) == [tmp_path / 'b.ome.zarr']
    assert stem(tmp_path / 'b.ome.zarr') == 'b'
    assert list_images([tmp_path / 'b.ome.zarr' / '0']) == [tmp_path / 'b.ome.zarr' / '0']


def test_a_group_without_image_says_what_is_in_it(tmp_path: Path) -> None:
    group = zarr.create_group(str(tmp_path / 'a.zarr'))
    group.create_group('first')
    with pytest.raises(FileError, match=r'a\.zarr/first'):
        read_images(tmp_path / 'a.zarr')


@pytest.mark.parametrize(
    'damage',
    [
        lambda folder: (folder / 'zarr.json').write_text('{"zarr_format": 3, "node_'),
        lambda folder: (folder / '0' / 'zarr.json').unlink(),
        lambda folder: (folder / '0' / 'zarr.json').write_text('{}'),
    ],
)
def test_damaged_metadata_give_one_clear_error(tmp_path: Path, damage) -> None:
    write_labels(tmp_path / 'a.ome.zarr', np.ones((4, 5), np.uint8), (1, 1))
    damage(tmp_path / 'a.ome.zarr')
    with pytest.raises(FileError, match=r'a\.ome\.zarr') as caught:
        read_images(tmp_path / 'a.ome.zarr')
    assert '\n' not in str(caught.value)


def test_a_damaged_chunk_is_a_clear_error_when_it_is_read(tmp_path: Path) -> None:
    write_labels(tmp_path / 'a.ome.zarr', RANDOM.integers(0, 9, (40, 50)), (1, 1))
    chunk = tmp_path / 'a.ome.zarr' / '0' / 'c' / '0' / '0'
    chunk.write_bytes(chunk.read_bytes()[:20])
    image = read_image(tmp_path / 'a.ome.zarr')
    with pytest.raises(FileError, match=r'a\.ome\.zarr cannot be read'):
        image.in_memory()


def test_an_older_result_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / 'a.ome.zarr'
    write_labels(path, np.ones((4, 5), np.uint8), (1, 1))
    write_labels(path, np.full((3, 6), 2, np.uint8), (1, 1))
    assert read_labels(path).shape == (3, 6)
    mine = tmp_path / 'mine.zarr'
    mine.mkdir()
    (mine / 'thesis.txt').write_text('precious')
    with pytest.raises(FileError, match='not a zarr folder'):
        write_labels(mine, np.ones((4, 5), np.uint8), (1, 1))
    assert (mine / 'thesis.txt').read_text() == 'precious'
    assert sorted(p.name for p in tmp_path.iterdir()) == ['a.ome.zarr', 'mine.zarr']


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match='does not exist'):
        write_labels(tmp_path / 'no' / 'a.ome.zarr', np.ones((4, 5), np.uint8), (1, 1))


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_crop_is_what_slicing_gives(tmp_path_factory, data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(1, 9), min_size=2, max_size=3)))
    array = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    chunks = tuple(data.draw(st.integers(1, size)) for size in shape)
    path = tmp_path_factory.mktemp('zarr') / 'a.zarr'
    zarr.create_array(str(path), data=array, chunks=chunks)
    image = pickle.loads(pickle.dumps(read_image(path)))
    spans = [sorted(data.draw(st.sets(st.integers(0, n), min_size=2, max_size=2))) for n in shape]
    box = tuple(slice(*span) for span in spans)
    np.testing.assert_array_equal(image.crop(box).data[0], array[box])
