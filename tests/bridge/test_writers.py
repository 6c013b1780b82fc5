"""Marker layers saved as LIDS seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from napari.layers import Labels

import napari_flim
from napari_flim.bridge.readers import seeds_layer
from napari_flim.bridge.writers import write_seeds_layer
from napari_flim.errors import FileError


def painted(*shape: int) -> np.ndarray:
    """Background in the first voxel, an object in the last."""
    data = np.zeros(shape, np.uint8)
    data[(0,) * len(shape)] = 1
    data[(-1,) * len(shape)] = 2
    return data


def save(path: Path, data, **options) -> list[str]:
    layer = Labels(data, name='cells markers', **options)
    saved, meta, _ = layer.as_layer_data_tuple()
    return write_seeds_layer(str(path), saved, meta)


@pytest.mark.parametrize('shape', [(6, 8), (3, 4, 5)])
def test_what_is_saved_comes_back_when_it_is_opened(tmp_path: Path, shape: tuple[int, ...]) -> None:
    (path,) = save(tmp_path / 'cells-seeds.txt', painted(*shape))
    data, options, _ = seeds_layer(path, [], None)
    np.testing.assert_array_equal(data, painted(*shape))
    assert options['name'] == 'cells markers'


def test_the_background_is_0_in_the_file(tmp_path: Path) -> None:
    (path,) = save(tmp_path / 'cells-seeds.txt', painted(6, 8))
    assert Path(path).read_text() == '2 8 6\n0 0 1 0\n7 5 2 1\n'


@pytest.mark.parametrize(
    ('typed', 'written'),
    [
        ('cells-seeds.txt', 'cells-seeds.txt'),
        ('cells.txt', 'cells-seeds.txt'),
        ('cells', 'cells-seeds.txt'),
        ('brain.nii.gz', 'brain-seeds.txt'),
    ],
)
def test_the_file_gets_the_ending_that_lids_tools_look_for(
    tmp_path: Path, typed: str, written: str
) -> None:
    assert save(tmp_path / typed, painted(6, 8)) == [str(tmp_path / written)]
    assert [path.name for path in tmp_path.iterdir()] == [written]


def test_a_file_that_was_not_named_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / 'cells-seeds.txt').write_text('mine')
    with pytest.raises(FileError, match='cells-seeds.txt, which exists already'):
        save(tmp_path / 'cells.txt', painted(6, 8))
    assert (tmp_path / 'cells-seeds.txt').read_text() == 'mine'
    save(tmp_path / 'cells-seeds.txt', painted(6, 8))
    assert (tmp_path / 'cells-seeds.txt').read_text().startswith('2 8 6')


def test_a_stack_gives_a_numbered_file_for_each_marked_image(tmp_path: Path) -> None:
    data = np.zeros((11, 6, 8), np.uint8)
    data[0, 1, 1], data[10, 2, 3] = 1, 2
    files = save(tmp_path / 'film.txt', data, axis_labels=('t', 'y', 'x'))
    assert [Path(file).name for file in files] == ['film_00-seeds.txt', 'film_10-seeds.txt']
    assert Path(files[1]).read_text() == '1 8 6\n3 2 1 1\n'


def test_four_axes_are_a_stack_of_volumes(tmp_path: Path) -> None:
    files = save(tmp_path / 'film.txt', painted(2, 3, 4, 5))
    assert [Path(file).name for file in files] == ['film_0-seeds.txt', 'film_1-seeds.txt']
    assert Path(files[1]).read_text() == '1 5 4 3\n4 3 2 1 1 0\n'


def test_lazy_markers_are_written_too(tmp_path: Path) -> None:
    (path,) = save(tmp_path / 'cells.txt', da.from_array(painted(3, 4, 5), chunks=(1, 4, 5)))
    np.testing.assert_array_equal(seeds_layer(path, [], None)[0], painted(3, 4, 5))


def test_nothing_painted_gives_one_clear_error_and_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileError, match='Nothing is painted on cells markers; paint'):
        save(tmp_path / 'cells.txt', np.zeros((6, 8), np.uint8))
    assert not list(tmp_path.iterdir())


def test_a_segmentation_is_not_taken_for_markers(tmp_path: Path) -> None:
    with pytest.raises(FileError, match='holds the label 256'):
        save(tmp_path / 'cells.txt', np.arange(300, dtype=np.uint16).reshape(10, 30) % 257)
    assert not list(tmp_path.iterdir())


def test_several_resolutions_are_refused(tmp_path: Path) -> None:
    levels = [painted(8, 8), painted(4, 4)]
    with pytest.raises(FileError, match='multiscale'):
        save(tmp_path / 'cells.txt', levels, multiscale=True)


def test_labels_that_are_no_markers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match='cells markers cannot be saved as seeds.*value -1'):
        save(tmp_path / 'cells.txt', np.full((6, 8), -1, np.int16))


def test_napari_shows_the_reason_when_saving_fails(npe2pm: Any, tmp_path: Path) -> None:
    layer = Labels(np.zeros((6, 8), np.uint8), name='cells markers')
    manifest = Path(napari_flim.__file__).with_name('napari.yaml')
    with npe2pm.tmp_plugin(manifest=str(manifest)):
        with pytest.raises(FileError, match='Nothing is painted'):
            layer.save(str(tmp_path / 'cells.txt'))
        layer.data = painted(6, 8)
        assert layer.save(str(tmp_path / 'cells.txt')) == [str(tmp_path / 'cells-seeds.txt')]
