"""Arrays of numpy: .npy, mapped into memory where they are large."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from napari_flim.errors import FileError
from napari_flim.io.content import LARGE, Content, OnDisk


def read_npy(path: Path) -> Content:
    """Read a .npy file; whatever numpy raises on damage passes through."""
    try:
        mapped = _mapped(path)
    except ValueError as error:
        if 'mmap length' not in str(error):
            raise
        raise FileError(
            f'{path} is truncated: it announces more values than it holds. Get the file again.'
        ) from error
    if mapped.nbytes > LARGE:
        return Content(OnDisk(path, partial(_mapped, path), mapped, (1,) * mapped.ndim))
    with path.open('rb') as file:
        return Content(np.lib.format.read_array(file, allow_pickle=False))


def _mapped(path: Path) -> Any:
    return np.lib.format.open_memmap(path, mode='r')
