from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from napari_flim.engine.image import read_array
from napari_flim.errors import FileError
from napari_flim.io.images import read_image
from napari_flim.io.result_writer import create_result, scratch_of
from napari_flim.io.results import RESULT_FORMATS, label_type, read_labels, result_format

RANDOM = np.random.default_rng(9)
ENDINGS = pytest.mark.parametrize('ending', RESULT_FORMATS.values())


@ENDINGS
def test_parts_come_in_any_order_and_what_nobody_writes_is_0(tmp_path: Path, ending: str) -> None:
    labels = RANDOM.integers(1, 9, (30, 40)).astype(np.uint32)
    path = tmp_path / f'a{ending}'
    with create_result(path, labels.shape, np.uint32, (2, 3), chunks=(16, 16)) as result:
        for box in ((slice(16, 30), slice(0, 40)), (slice(0, 16), slice(16, 40))):
            result[box] = labels[box]
            np.testing.assert_array_equal(result[box], labels[box])
        result.finish()
    labels[:16, :16] = 0
    np.testing.assert_array_equal(read_labels(path), labels)
    assert read_image(path).spacing == (2, 3)
    assert list(tmp_path.iterdir()) == [path]


@ENDINGS
def test_a_run_that_was_killed_goes_on_where_it_was(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f'a{ending}'
    image = read_array(np.zeros((20, 30)), spacing=(2, 1))
    killed = create_result(path, (20, 30), np.uint8, image)
    killed[0:20, 0:10] = np.full((20, 10), 7, np.uint8)
    del killed
    with create_result(path, (20, 30), np.uint8, image, resume=True) as result:
        assert result[5:6, 9:11].tolist() == [[7, 0]]
        result[0:20, 10:30] = np.full((20, 20), 8, np.uint8)
        result.finish()
    assert np.unique(read_labels(path)).tolist() == [7, 8]


@ENDINGS
def test_a_run_that_was_killed_while_finishing_can_be_finished(
    monkeypatch, tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f'a{ending}'
    result = create_result(path, (20, 30), np.uint32, (1, 1), chunks=(8, 8))
    result[0:20, 0:30] = np.full((20, 30), 7)
    renaming = 'napari_flim.io.result_writer.replace_folder'
    with monkeypatch.context() as killing:
        killing.setattr(renaming, lambda *paths: 1 / 0)
        killing.setattr('pathlib.Path.replace', lambda *paths: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            result.finish(np.uint8)
    with create_result(path, (20, 30), np.uint32, (1, 1), chunks=(8, 8), resume=True) as result:
        result.finish(np.uint8)
    assert (read_labels(path) == 7).all()
    assert list(tmp_path.iterdir()) == [path]


def test_without_resuming_the_leftovers_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / 'a.tif'
    create_result(path, (4, 5), np.uint8, (1, 1))[0:4, 0:5] = np.ones((4, 5))
    with create_result(path, (4, 5), np.uint8, (1, 1)) as result:
        assert not result[0:4, 0:5].any()


@pytest.mark.parametrize(
    ('shape', 'dtype', 'spacing'),
    [((4, 6), np.uint8, (1, 1)), ((4, 5), np.uint16, (1, 1)), ((4, 5), np.uint8, (2, 1))],
)
def test_leftovers_of_another_run_are_not_resumed(
    tmp_path: Path, shape: tuple[int, int], dtype: type, spacing: tuple[int, int]
) -> None:
    create_result(tmp_path / 'a.tif', (4, 5), np.uint8, (1, 1))
    with pytest.raises(FileError, match='cannot be resumed'):
        create_result(tmp_path / 'a.tif', shape, dtype, spacing, resume=True)


def test_an_older_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / 'a.tif'
    path.write_text('older')
    with create_result(path, (4, 5), np.uint8, (1, 1)) as result:
        result[0:4, 0:5] = np.ones((4, 5))
        assert scratch_of(path).is_dir()
    assert path.read_text() == 'older'
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_kept_can_be_resumed(tmp_path: Path) -> None:
    result = create_result(tmp_path / 'a.tif', (4, 5), np.uint8, (1, 1))
    result[0:1, 0:1] = np.array([[3]])
    result.close(keep=True)
    again = create_result(tmp_path / 'a.tif', (4, 5), np.uint8, (1, 1), resume=True)
    assert again[0:1, 0:1] == 3


def test_a_writer_is_sent_to_other_processes_by_its_path(tmp_path: Path) -> None:
    result = create_result(tmp_path / 'a.tif', (4, 5), np.uint8, (1, 1))
    sent = pickle.dumps(result)
    assert len(sent) < 10_000
    pickle.loads(sent)[0:2, 0:5] = np.full((2, 5), 4)
    assert result[:, 0].tolist() == [4, 4, 0, 0]


@ENDINGS
def test_labels_shrink_to_a_type_that_holds_them(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f'a{ending}'
    with create_result(path, (4, 5), np.uint32, (1, 1)) as result:
        result[0:1, 0:1] = np.array([[300]])
        with pytest.raises(FileError, match='label 300, which uint8 cannot hold'):
            result.finish(np.uint8)
        result.finish(label_type(300))
    assert read_labels(path).dtype == np.uint16


@pytest.mark.parametrize(
    ('name', 'shape', 'dtype', 'reason'),
    [
        ('a.png', (4, 5), np.uint8, r'\.tif or \.ome\.zarr or \.nii\.gz'),
        ('a.tif', (4, 5, 6, 7), np.uint8, 'voxel size'),
        ('a.tif', (0, 5), np.uint8, 'voxel size'),
        ('a.tif', (4, 5), np.float64, 'float64'),
        ('no/a.tif', (4, 5), np.uint8, 'does not exist'),
    ],
)
def test_what_cannot_be_written_is_said_before_work_begins(
    tmp_path: Path, name: str, shape: tuple[int, ...], dtype: type, reason: str
) -> None:
    with pytest.raises(FileError, match=reason):
        create_result(tmp_path / name, shape, dtype, (1, 1))
    assert not list(tmp_path.iterdir())


def test_the_ending_chooses_the_format() -> None:
    names = ('a.tif', 'b.TIFF', 'c.ome.zarr', 'd.zarr', 'e.nii', 'f.nii.gz')
    assert [result_format(name) for name in names] == [
        'tif', 'tif', 'ome-zarr', 'ome-zarr', 'nii.gz', 'nii.gz',
    ]  # fmt: skip
