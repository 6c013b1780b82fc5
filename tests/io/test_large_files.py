"""Files larger than a test should read: only what is needed is read, and memory stays free."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_flim.errors import FileError
from napari_flim.io import npy
from napari_flim.io.content import LARGE, OnDisk
from napari_flim.io.images import read_image, read_images
from napari_flim.io.npy import read_npy


class Counting:
    """A file that counts the voxels that are read of it."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        self.voxels = 0

    def __getitem__(self, key) -> np.ndarray:
        part = self.array[key]
        self.voxels += part.size
        return part


def sparse_npy(path: Path, shape: tuple[int, ...]) -> Path:
    mapped = np.lib.format.open_memmap(path, 'w+', np.uint16, shape)
    mapped[-1, -1, -3:] = (1, 2, 3)
    return path


def test_no_voxel_is_read_before_a_crop_and_few_for_it() -> None:
    counting = Counting(np.broadcast_to(np.uint16(7), (2000, 2000, 2000)))
    array = OnDisk(Path('huge'), lambda: counting, counting, (1, 1, 1)).lazy('ZYX')
    assert counting.voxels == 0
    part = array[1000:1030, 500:540, 17:20].compute(scheduler='synchronous')
    assert part.shape == (30, 40, 3)
    assert counting.voxels <= 8 * 2**20


@pytest.mark.parametrize('kind', ['npy', 'zarr', 'tif'])
def test_a_gigabyte_is_cropped_without_being_read(tmp_path: Path, kind: str) -> None:
    """A process of its own, whose peak of memory is compared with one that reads a small image."""
    shape = (512, 1024, 1024)
    path = tmp_path / f'huge.{kind}'
    if kind == 'npy':
        sparse_npy(path, shape)
    elif kind == 'zarr':
        array = zarr.create_array(str(path), shape=shape, dtype=np.uint16, chunks=(64, 64, 64))
        array[-1, -1, -3:] = (1, 2, 3)
    else:
        mapped = tifffile.memmap(path, shape=shape, dtype=np.uint16, photometric='minisblack')
        mapped[-1, -1, -3:] = (1, 2, 3)
        del mapped
    code = (
        'import resource, sys\n'
        'import zarr, tifffile, dask.array\n'
        'from napari_flim.io.images import read_image\n'
        'before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n'
        'image = read_image(sys.argv[1])\n'
        'assert image.lazy and image.nbytes == 2**30, image\n'
        'part = image.crop((slice(500, 512), slice(1000, 1024), slice(1020, 1024)))\n'
        'assert part.data[0, -1, -1].tolist() == [0, 1, 2, 3]\n'
        'print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n'
    )
    command = [sys.executable, '-c', code, str(path)]
    kilobytes = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert kilobytes < 100_000


def test_small_files_are_in_memory_and_large_ones_are_lazy(tmp_path: Path) -> None:
    side = round(LARGE ** (1 / 3)) + 1
    np.save(tmp_path / 'small.npy', np.zeros((8, 9, 10), np.uint16))
    assert not read_image(tmp_path / 'small.npy').lazy
    image = read_image(sparse_npy(tmp_path / 'large.npy', (side, side, side)))
    assert image.lazy
    assert len(pickle.dumps(image)) < 100_000


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_crop_is_what_slicing_gives(tmp_path_factory, data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(1, 9), min_size=2, max_size=3)))
    order = data.draw(st.sampled_from('CF'))
    dtype = data.draw(st.sampled_from(['u1', '>i2', '<f4']))
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype, order=order)
    path = tmp_path_factory.mktemp('npy') / 'a.npy'
    np.save(path, array)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(npy, 'LARGE', 0)
        assert isinstance(read_npy(path).array, OnDisk)
        image = pickle.loads(pickle.dumps(read_image(path, 'ZYX'[-len(shape) :])))
    spans = [sorted(data.draw(st.sets(st.integers(0, n), min_size=2, max_size=2))) for n in shape]
    box = tuple(slice(*span) for span in spans)
    part = image.crop(box)
    np.testing.assert_array_equal(part.data[0], array[box])
    assert part.data.dtype.isnative


def test_a_large_file_that_goes_away_is_a_clear_error(monkeypatch, tmp_path: Path) -> None:
    np.save(tmp_path / 'a.npy', np.zeros((9, 9)))
    monkeypatch.setattr(npy, 'LARGE', 0)
    image = pickle.loads(pickle.dumps(read_images(tmp_path / 'a.npy')[0]))
    (tmp_path / 'a.npy').unlink()
    with pytest.raises(FileError, match=r'a\.npy cannot be read'):
        image.crop((slice(0, 2), slice(0, 2)))


def test_nothing_heavy_is_imported_before_a_file_needs_it() -> None:
    code = (
        'import sys\nimport napari_flim.io.images, napari_flim.io.result_writer\n'
        "heavy = {'dask', 'zarr', 'pydicom', 'nibabel', 'tifffile', 'imageio', 'numba', 'torch'}\n"
        'print(sorted(heavy & set(sys.modules)))'
    )
    command = [sys.executable, '-c', code]
    assert subprocess.run(command, capture_output=True, text=True).stdout.strip() == '[]'
