"""A model reads no more of an image on disk than it needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import dask.array as da
import numpy as np
import pytest

import napari_flim as flim
from napari_flim.batch.outputs import Outputs, result_paths
from napari_flim.batch.segment_image import segment_image
from napari_flim.engine.image import Image, read_array
from napari_flim.model import FlimModel
from napari_flim.progress import finish

SHAPE = (240, 230)
SIDE = 40
ENOUGH, TOO_LITTLE = 10**9, 8_000_000
EVERY_CHUNK = Counter(
    (row, column) for row in range(0, SHAPE[0], SIDE) for column in range(0, SHAPE[1], SIDE)
)


@pytest.fixture(scope='module')
def disks() -> np.ndarray:
    """Bright disks in rows, on noise."""
    image = np.random.default_rng(0).normal(0.2, 0.05, SHAPE).astype(np.float32)
    rows, columns = np.indices(SHAPE)
    image[(rows % 40 - 20) ** 2 + (columns % 40 - 20) ** 2 < 50] += 0.6
    return image


@pytest.fixture(scope='module')
def model(disks: np.ndarray) -> FlimModel:
    markers = np.zeros(SHAPE, dtype=np.uint8)
    markers[18:23, 18:23], markers[0:3, 0:40] = 2, 1
    return flim.learn(disks, markers)


@pytest.fixture
def leave(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """A function that says how many bytes the machine has left."""

    def left(memory: int) -> None:
        for room in ('segment_large', 'delineate_blocks'):
            monkeypatch.setattr(f'napari_flim.inference.{room}.working_memory', lambda _: memory)

    return left


def watched(values: np.ndarray) -> tuple[Image, Counter[tuple[int, ...]]]:
    """An image in chunks, and how often each of them was read, by its first voxel."""
    read: Counter[tuple[int, ...]] = Counter()

    def chunk(block_info=None) -> np.ndarray:
        place = block_info[None]['array-location']
        read[tuple(start for start, _ in place)] += 1
        return values[tuple(slice(*ends) for ends in place)]

    chunks = da.core.normalize_chunks(SIDE, values.shape)
    array = da.map_blocks(chunk, chunks=chunks, dtype=values.dtype, meta=np.empty(0))
    return read_array(array), read


def saliency(model: FlimModel, image: Image, folder: Path) -> None:
    model.class_saliency(image)


def objects(model: FlimModel, image: Image, folder: Path) -> None:
    assert len(model.delineate(image).classes) > 10


def files(model: FlimModel, image: Image, folder: Path) -> None:
    paths = result_paths(folder, 'disks', Outputs(saliency=True, table=True))
    assert finish(segment_image(model, image, paths)).objects > 10


def test_nothing_is_read_to_say_whether_an_image_fits(model, disks, leave) -> None:
    lazy, read = watched(disks)
    for memory in (ENOUGH, TOO_LITTLE):
        leave(memory)
        assert model.fits(lazy) == (memory == ENOUGH)
    assert not read


@pytest.mark.parametrize('applied', [saliency, objects, files])
def test_every_chunk_of_an_image_that_fits_is_read_once(
    applied, model, disks, leave, tmp_path
) -> None:
    leave(ENOUGH)
    lazy, read = watched(disks)
    applied(model, lazy, tmp_path)
    assert read == EVERY_CHUNK


@pytest.mark.parametrize('applied', [saliency, objects, files])
def test_an_image_that_does_not_fit_is_read_once_for_its_statistics(
    applied, model, disks, leave, tmp_path
) -> None:
    leave(TOO_LITTLE)
    statistics = model.transform.statistics(read_array(disks))
    known = replace(model, transform=replace(model.transform, ranges=statistics))
    (measured, often), (given, rarely) = watched(disks), watched(disks)
    applied(model, measured, tmp_path / 'measured')
    applied(known, given, tmp_path / 'given')
    assert min(rarely.values()) >= 2, 'passes over tiles'
    assert often - rarely == EVERY_CHUNK
