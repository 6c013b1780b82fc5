"""Results of the tiles of a large image in a folder, so that work goes on after a kill."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from napari_flim.io.atomic import make_folder, write_atomically

Result = TypeVar('Result')


class FolderCheckpoint:
    """A file for every finished tile of every stage, written whole or not at all.

    Parameters
    ----------
    folder : Path
        Made if it does not exist. It belongs to one image, one model and one set of tiles.

    Raises
    ------
    FileError
        When it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        self._folder = folder

    def finished(self, stage: str, kind: type[Result]) -> dict[int, Result]:
        """Results of a stage by the number of their tile.

        Parameters
        ----------
        stage : str
        kind : type
            A dataclass of numbers and arrays.
        """
        return {
            int(path.stem): _read(path, kind)
            for path in sorted((self._folder / _slug(stage)).glob('[0-9]*.npz'))
        }

    def save(self, stage: str, number: int, result: Any) -> None:
        """Keep the result of a tile."""
        content = {field.name: getattr(result, field.name) for field in fields(result)}
        make_folder(self._folder / _slug(stage))
        path = self._folder / _slug(stage) / f'{number}.npz'
        write_atomically(path, lambda temporary: np.savez(temporary, **content))


def _read(path: Path, kind: type[Result]) -> Result:
    with np.load(path, allow_pickle=False) as content:
        return kind(**{name: _plain(content[name]) for name in content.files})


def _plain(array: Any) -> Any:
    """A number as itself, not as an array without axes."""
    return array.item() if array.ndim == 0 else array


def _slug(stage: str) -> str:
    return re.sub(r'\W+', '-', stage.lower())
