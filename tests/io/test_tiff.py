from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_flim.engine.image import read_array
from napari_flim.engine.placement import Placement
from napari_flim.io import tiff, tiff_writing
from napari_flim.io.images import read_image, read_images
from napari_flim.io.result_writer import create_result
from napari_flim.io.results import write_labels, write_saliency

RANDOM = np.random.default_rng(5)


def placed(*shape: int, unit: str = 'micrometer', origin: bool = True):
    spacing = (3.0, 0.5, 0.25)[-len(shape) :]
    places = (9.0, -4.0, 7.5)[-len(shape) :] if origin else ()
    return read_array(np.zeros(shape), spacing=spacing, placement=Placement(unit, places))


@pytest.mark.parametrize('dtype', [np.uint8, np.uint32])
@pytest.mark.parametrize('unit', ['micrometer', 'millimeter', ''])
@pytest.mark.parametrize('shape', [(5, 6), (4, 5, 6), (1, 5, 6)])
def test_voxel_size_unit_and_origin_come_back(
    tmp_path: Path, dtype: type, unit: str, shape: tuple[int, ...]
) -> None:
    image = placed(*shape, unit=unit)
    largest = np.iinfo(dtype).max
    write_labels(tmp_path / 'a.tif', np.full(shape, largest, dtype), image)
    back = read_image(tmp_path / 'a.tif')
    np.testing.assert_allclose(back.spacing, image.spacing)
    np.testing.assert_allclose(back.placement.origin, image.placement.origin)
    assert (back.placement.unit, back.data.dtype, back.shape) == (unit, dtype, shape)


def test_fiji_sees_unit_voxel_size_and_origin(tmp_path: Path) -> None:
    write_labels(tmp_path / 'a.tif', np.zeros((4, 5, 6), np.uint8), placed(4, 5, 6))
    with tifffile.TiffFile(tmp_path / 'a.tif') as file:
        said = file.imagej_metadata
        assert said is not None
        assert (said['unit'], said['spacing']) == ('um', 3.0)
        assert [said[f'{letter}origin'] for letter in 'xyz'] == [-30, 8, -3]
        assert file.pages.first.tags['XResolution'].value == (4, 1)


@pytest.mark.parametrize('unit', ['\\u00B5m', 'micron', 'um'])
def test_every_way_to_write_micrometres_is_understood(tmp_path: Path, unit: str) -> None:
    metadata = {'axes': 'YX', 'unit': unit}
    tifffile.imwrite(
        tmp_path / 'a.tif',
        np.zeros((5, 6), np.uint8),
        imagej=True,
        resolution=(2, 2),
        metadata=metadata,
    )
    image = read_image(tmp_path / 'a.tif')
    assert (image.placement.unit, image.spacing) == ('micrometer', (0.5, 0.5))


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.uint32, np.float32])
@pytest.mark.parametrize('shape', [(700, 1030), (3, 600, 520), (2, 513, 40), (1, 30, 40)])
def test_a_streamed_result_is_tiled_and_comes_back(
    tmp_path: Path, dtype: type, shape: tuple[int, ...]
) -> None:
    values = RANDOM.integers(0, 200, shape).astype(dtype)
    image = placed(*shape, origin=False)
    with create_result(tmp_path / 'a.tif', shape, dtype, image) as result:
        for start in range(0, shape[-1], result.chunks[-1]):
            box = (..., slice(start, start + result.chunks[-1]))
            result[box] = values[box]
        result.finish()
    np.testing.assert_array_equal(tifffile.imread(tmp_path / 'a.tif'), values)
    with tifffile.TiffFile(tmp_path / 'a.tif') as file:
        assert file.pages.first.is_tiled
        assert file.is_ome == (1 not in shape)
    back = read_image(tmp_path / 'a.tif')
    assert (back.spacing, back.placement, back.data.dtype) == (
        image.spacing,
        image.placement,
        dtype,
    )
    np.testing.assert_array_equal(back.data[0], values)


@pytest.mark.parametrize('shape', [(2, 30, 40), (2, 5, 30, 40)])
def test_streamed_saliency_of_several_classes_has_channels(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    maps = RANDOM.random(shape).astype(np.float32)
    with create_result(tmp_path / 'a.tif', shape, np.float32, placed(*shape[1:])) as result:
        result[...] = maps
        result.finish()
    back = read_image(tmp_path / 'a.tif')
    assert back.channels == 2
    np.testing.assert_array_equal(back.data, maps)
    write_saliency(tmp_path / 'b.tif', maps, placed(*shape[1:]))
    np.testing.assert_array_equal(read_image(tmp_path / 'b.tif').data, maps)


@pytest.mark.parametrize('room', [100, 10**6])
def test_a_result_beyond_4_gigabytes_is_a_bigtiff(monkeypatch, tmp_path: Path, room: int) -> None:
    monkeypatch.setattr(tiff_writing, 'CLASSIC', room)
    labels = RANDOM.integers(0, 9, (30, 40)).astype(np.uint8)
    write_labels(tmp_path / 'a.tif', labels, (1, 1))
    with create_result(tmp_path / 'b.tif', (30, 40), np.uint8, (1, 1)) as result:
        result[0:30, 0:40] = labels
        result.finish()
    for name in ('a.tif', 'b.tif'):
        with tifffile.TiffFile(tmp_path / name) as file:
            assert file.is_bigtiff == (room == 100)
        np.testing.assert_array_equal(read_image(tmp_path / name).data[0], labels)


def layouts(folder: Path, array: np.ndarray) -> dict[str, Path]:
    options: dict[str, dict] = {
        'mapped': {},
        'swapped': {'byteorder': '>'},
        'tiled': {'tile': (16, 16), 'compression': 'zlib'},
        'stripped': {'rowsperstrip': 3, 'compression': 'zlib'},
        'ome': {'ome': True, 'tile': (16, 16), 'metadata': {'axes': 'ZYX', 'PhysicalSizeX': 2.0}},
        'imagej': {'imagej': True, 'metadata': {'axes': 'ZYX'}},
    }
    for name, given in options.items():
        kept = {'photometric': 'minisblack', **given}
        tifffile.imwrite(folder / f'{name}.tif', array, **kept)
    return {name: folder / f'{name}.tif' for name in options}


@pytest.mark.parametrize('name', ['mapped', 'swapped', 'tiled', 'stripped', 'ome', 'imagej'])
def test_a_large_file_is_read_where_it_is_cropped(monkeypatch, tmp_path: Path, name: str) -> None:
    array = RANDOM.integers(0, 999, (5, 40, 50)).astype(np.uint16)
    path = layouts(tmp_path, array)[name]
    whole = read_image(path)
    monkeypatch.setattr(tiff, 'LARGE', 10)
    image = pickle.loads(pickle.dumps(read_image(path)))
    assert (image.lazy, image.spacing, image.placement) == (True, whole.spacing, whole.placement)
    np.testing.assert_array_equal(image.in_memory().data, whole.data)
    box = (slice(1, 3), slice(30, 40), slice(5, 20))
    np.testing.assert_array_equal(image.crop(box).data[0], array[box])
    assert image.crop(box).data.dtype.isnative


def test_a_large_pyramid_is_read_at_its_finest_level(monkeypatch, tmp_path: Path) -> None:
    array = RANDOM.integers(0, 255, (128, 96, 3)).astype(np.uint8)
    with tifffile.TiffWriter(tmp_path / 'slide.tif') as file:
        options = {'tile': (16, 16), 'photometric': 'rgb', 'compression': 'zlib'}
        file.write(array, subifds=1, **options)
        file.write(array[::2, ::2], subfiletype=1, **options)
    monkeypatch.setattr(tiff, 'LARGE', 10)
    image = read_image(tmp_path / 'slide.tif')
    assert (image.lazy, image.rgb, image.shape) == (True, True, (128, 96))
    np.testing.assert_array_equal(image.in_memory().data, np.moveaxis(array, -1, 0))


def test_a_large_time_series_is_lazy_images(monkeypatch, tmp_path: Path) -> None:
    array = RANDOM.integers(0, 255, (3, 20, 30)).astype(np.uint8)
    tifffile.imwrite(tmp_path / 'a.tif', array, imagej=True, metadata={'axes': 'TYX'})
    monkeypatch.setattr(tiff, 'LARGE', 10)
    images = read_images(tmp_path / 'a.tif')
    assert [image.lazy for image in images] == [True] * 3
    np.testing.assert_array_equal(images[2].in_memory().data[0], array[2])
