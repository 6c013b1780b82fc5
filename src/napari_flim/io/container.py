"""What model and session files share: safetensors with a JSON header. Reading runs no code."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_flim.errors import FileError
from napari_flim.io.atomic import write_atomically

LARGEST_FILE = 2**31


@dataclass(frozen=True, slots=True)
class FileKind:
    """A kind of file that is kept in this way.

    Attributes
    ----------
    noun : str
        What the file holds, for messages.
    ending : str
    key : str
        Name of the JSON header in the metadata of safetensors.
    format : int
        The only format that is read.
    error : type of FileError
        What is raised when reading fails.
    advice : str
        What to do about a damaged file.
    """

    noun: str
    ending: str
    key: str
    format: int
    error: type[FileError]
    advice: str


def write_container(
    path: Path | str, kind: FileKind, header: dict[str, Any], tensors: dict[str, Any]
) -> None:
    """Write header and arrays whole or not at all.

    Parameters
    ----------
    path : path
    kind : FileKind
    header : dict
        Everything that is not an array; must be valid JSON.
    tensors : dict of str to array

    Raises
    ------
    FileError
        When the file cannot be written.
    """
    from safetensors.numpy import save

    text = json.dumps({'format': kind.format, **header}, sort_keys=True, allow_nan=False)
    arrays = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    content = save(arrays, metadata={kind.key: text})
    write_atomically(path, lambda temporary: temporary.write_bytes(content))


def read_container(
    path: Path | str, kind: FileKind
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Header and arrays of a file.

    Raises
    ------
    FileError
        ``kind.error``, when the file is missing, truncated, damaged, of another kind, or newer
        than this program.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = Path(path)
    try:
        content = path.read_bytes() if path.stat().st_size <= LARGEST_FILE else None
    except OSError as error:
        raise kind.error(
            f'{path} cannot be read: {error.strerror or error}. Check the path.'
        ) from error
    if content is None:
        raise kind.error(
            f'{path} is larger than any {kind.noun}; choose a {kind.ending} file saved by '
            'napari-flim.'
        )
    try:
        tensors = load(content)
        length = int.from_bytes(content[:8], 'little')
        text = json.loads(content[8 : 8 + length]).get('__metadata__', {}).get(kind.key)
        header = None if text is None else json.loads(text)
    except (SafetensorError, ValueError, RecursionError, KeyError, TypeError) as error:
        raise kind.error(
            f'{path} is not a readable {kind.ending} {kind.noun}: damaged, cut off, or another '
            f'kind of file. Choose a {kind.ending} file saved by napari-flim.'
        ) from error
    if not isinstance(header, dict):
        raise kind.error(
            f'{path} is a safetensors file, but not a {kind.noun} of napari-flim; '
            f'choose a {kind.ending} file saved by napari-flim.'
        )
    if header.get('format') != kind.format:
        raise kind.error(
            f'{path} has {kind.noun} format {header.get("format")!r}; this program reads format '
            f'{kind.format}. Update napari-flim.'
        )
    return header, tensors


def as_tuples(value: Any) -> Any:
    """A value from a header with its JSON lists, at any depth, as the tuples they were.

    Examples
    --------
    >>> as_tuples({'ranges': [[0, 255]]})
    {'ranges': ((0, 255),)}
    """
    if isinstance(value, dict):
        return {name: as_tuples(inner) for name, inner in value.items()}
    return tuple(as_tuples(inner) for inner in value) if isinstance(value, list) else value
