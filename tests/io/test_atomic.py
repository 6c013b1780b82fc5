from __future__ import annotations

import os
from pathlib import Path

import pytest

from napari_flim.errors import FileError
from napari_flim.io.atomic import replace_folder, write_atomically


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / 'labels.tif'
    file.write_text('old')

    def write(temporary: Path) -> None:
        temporary.write_text('half')
        raise KeyError('boom')

    with pytest.raises(KeyError):
        write_atomically(file, write)
    assert [p.name for p in tmp_path.iterdir()] == ['labels.tif']
    assert file.read_text() == 'old'


def test_a_full_disk_is_one_error_naming_path_and_reason(tmp_path: Path) -> None:
    def write(temporary: Path) -> None:
        temporary.write_text('half')
        raise OSError(28, 'No space left on device')

    with pytest.raises(FileError, match=r'labels\.tif.*No space left on device'):
        write_atomically(tmp_path / 'labels.tif', write)
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match='absent does not exist'):
        write_atomically(tmp_path / 'absent' / 'a.txt', lambda p: p.write_text('x'))


def test_the_temporary_file_keeps_the_ending_that_writers_look_at(tmp_path: Path) -> None:
    seen: list[str] = []

    def write(temporary: Path) -> None:
        seen.append(temporary.name)
        temporary.write_text('x')

    write_atomically(tmp_path / 'brain.nii.gz', write)
    assert seen[0].endswith('brain.nii.gz')
    assert seen[0] != 'brain.nii.gz'


def test_a_written_file_has_the_usual_permissions(tmp_path: Path) -> None:
    plain, file = tmp_path / 'plain.txt', tmp_path / 'a.txt'
    plain.write_text('x')
    write_atomically(file, lambda p: p.write_text('x'))
    assert os.stat(file).st_mode == os.stat(plain).st_mode


def test_a_symbolic_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / 'target.txt', tmp_path / 'link.txt'
    target.write_text('old')
    link.symlink_to(target)
    write_atomically(link, lambda p: p.write_text('new'))
    assert link.is_symlink()
    assert target.read_text() == 'new'


def zarr_folder(path: Path, text: str) -> Path:
    path.mkdir()
    (path / 'zarr.json').write_text(text)
    return path


def test_a_zarr_folder_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    older = zarr_folder(tmp_path / 'a.zarr', 'older')
    replace_folder(zarr_folder(tmp_path / 'new', 'newer'), older)
    assert (older / 'zarr.json').read_text() == 'newer'
    assert list(tmp_path.iterdir()) == [older]


def test_the_older_folder_comes_back_if_the_new_one_cannot_be_renamed(tmp_path: Path) -> None:
    older = zarr_folder(tmp_path / 'a.zarr', 'older')
    with pytest.raises(FileError, match=r'a\.zarr cannot be written'):
        replace_folder(tmp_path / 'absent', older)
    assert (older / 'zarr.json').read_text() == 'older'


@pytest.mark.parametrize('kind', ['file', 'folder'])
def test_what_is_no_zarr_is_not_replaced_by_one(tmp_path: Path, kind: str) -> None:
    mine = tmp_path / 'mine'
    mine.write_text('precious') if kind == 'file' else mine.mkdir()
    with pytest.raises(FileError, match='not a zarr folder'):
        replace_folder(zarr_folder(tmp_path / 'new', 'newer'), mine)
    assert mine.exists()
