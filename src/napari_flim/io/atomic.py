"""Writing a file whole or not at all, and making the folder for it."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from napari_flim.errors import FileError

ZARR_FILES = ('zarr.json', '.zgroup', '.zarray')
"""Files by one of which a folder is a zarr array or group."""


def write_atomically(path: Path | str, write: Callable[[Path], object]) -> None:
    """Write a file under another name in the same folder, then give it its name in one step.

    Whatever fails on the way, the temporary file is removed and an older file of that name stays
    as it was.

    Parameters
    ----------
    path : path
        The file to write; a symbolic link is followed.
    write : callable
        Receives the temporary path, which ends in the same file name, and writes to it.

    Raises
    ------
    FileError
        For a full disk, a missing folder, a missing permission; names the path and the reason.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / 'note.txt'
    ...     write_atomically(file, lambda temporary: temporary.write_text('done'))
    ...     file.read_text(), len(list(Path(folder).iterdir()))
    ('done', 1)
    """
    target = Path(path).resolve()
    if target.exists() and not target.is_file():
        raise FileError(f'{path} is a folder or a device, not a file; choose another name.')
    temporary = target.with_name(f'.{secrets.token_hex(4)}.{target.name}')
    try:
        write(temporary)
        with temporary.open('r+b') as file:
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        raise not_written(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def replace_folder(written: Path, path: Path | str) -> None:
    """Give a zarr folder its name in one step; an older zarr folder of that name is removed.

    Raises
    ------
    FileError
        When something else has that name, or the folder cannot be renamed.
    """
    target = Path(path).resolve()
    older = target.with_name(f'.{secrets.token_hex(4)}.{target.name}')
    zarr = any((target / name).is_file() for name in ZARR_FILES)
    if target.exists() and not zarr:
        raise FileError(
            f'{path} exists and is not a zarr folder, so it is not replaced; choose another name.'
        )
    try:
        if zarr:
            target.rename(older)
        written.rename(target)
    except OSError as error:
        if older.exists() and not target.exists():
            older.rename(target)
        raise not_written(path, error) from error
    shutil.rmtree(older, ignore_errors=True)


def not_written(path: Path | str, error: OSError) -> FileError:
    """One line on a file that could not be written."""
    if isinstance(error, FileError):
        return error
    target = Path(path).resolve()
    if isinstance(error, FileNotFoundError) and not target.parent.is_dir():
        return FileError(
            f'{path} cannot be written: the folder {target.parent} does not exist. Create it first.'
        )
    return FileError(
        f'{path} cannot be written: {error.strerror or error}. '
        'Choose another place or make room there.'
    )


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, unless it exists.

    Raises
    ------
    FileError
        When it cannot be made; names the folder and the reason.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(
            f'The folder {path} cannot be made: {error.strerror or error}. Choose another one.'
        ) from error
