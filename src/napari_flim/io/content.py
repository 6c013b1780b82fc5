"""What an image file holds, in memory or on disk, and how a damaged one is spoken of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_flim.engine.image import SPATIAL
from napari_flim.engine.placement import Placement
from napari_flim.errors import FileError

LARGE = 2**28
"""Bytes of voxels from which an image is read where it is needed, not whole."""
READ = 2**20
"""Bytes that are read at once of an image on disk, or a chunk of its file if that is larger."""


class OnDisk:
    """Voxels of a file, read where they are sliced; pickled by the path, so workers can read too.

    Parameters
    ----------
    path : path
        The file or folder, for messages.
    opened : callable
        Opens it again, in any process: a function of a module, or a partial of one.
    array : array
        What it gives, opened already: has shape and dtype and can be sliced.
    chunks : sequence of int
        How the file stores its voxels.
    """

    def __init__(
        self, path: Path, opened: Callable[[], Any], array: Any, chunks: Sequence[int]
    ) -> None:
        self.path = path
        self.opened = opened
        self.shape: tuple[int, ...] = tuple(array.shape)
        self.dtype = np.dtype(array.dtype)
        self.ndim = len(self.shape)
        self.nbytes = prod(self.shape) * self.dtype.itemsize
        self.chunks = tuple(chunks)
        self._array: Any = array

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {'_array': None}

    def __getitem__(self, key: Any) -> NDArray[Any]:
        try:
            if self._array is None:
                self._array = self.opened()
            return np.asarray(self._array[key])
        except Exception as error:
            # Image libraries raise nearly anything on damaged files.
            raise unreadable(self.path, error) from error

    def lazy(self, axes: str) -> Any:
        """A dask array of it, in multiples of its chunks that are quick to read.

        Parameters
        ----------
        axes : str
            One letter for each axis; what is read at once grows along those of space.
        """
        import dask.array

        space = [n for n, letter in enumerate(axes.upper()) if letter in SPATIAL]
        return dask.array.from_array(
            self,
            chunks=_grown(self.chunks, self.shape, self.dtype.itemsize, space),
            name=False,
            fancy=False,
            meta=np.empty((0,) * self.ndim, self.dtype),
        )


@dataclass(frozen=True, eq=False)
class Content:
    """What an image file holds.

    Attributes
    ----------
    array : array or OnDisk
    axes : str, optional
        Axes that the metadata name, one letter each.
    spacing, origin : mapping of str to float
        Voxel size, and position of the first voxel, by the letter of the axis.
    placement : Placement, optional
        Unit and orientation; its origin is the one above.
    """

    array: NDArray[Any] | OnDisk
    axes: str | None = None
    spacing: Mapping[str, float] = field(default_factory=dict)
    origin: Mapping[str, float] = field(default_factory=dict)
    placement: Placement = field(default_factory=Placement)


def unreadable(what: Path | str, error: Exception) -> FileError:
    """One line on a file whose reading failed.

    Examples
    --------
    >>> print(unreadable('a.tif', ValueError('not a TIFF file')))  # doctest: +ELLIPSIS
    a.tif cannot be read: not a TIFF file. The file may be truncated...
    """
    if isinstance(error, FileError):
        return error
    if isinstance(error, MemoryError):
        return FileError(
            f'{what} needs more memory than there is ({error}); crop the image, or get the file '
            'again if it is not that large.'
        )
    if isinstance(error, PermissionError):
        return FileError(f'{what} may not be read by you; ask its owner for the permission.')
    reason = ' '.join(str(error).split())[:160].rstrip('.') or type(error).__name__
    return FileError(
        f'{what} cannot be read: {reason}. The file may be truncated, damaged, '
        'or of another kind than its ending says; open it elsewhere or save it again.'
    )


def _grown(
    chunks: Sequence[int], shape: Sequence[int], itemsize: int, space: Sequence[int]
) -> tuple[int, ...]:
    """Chunks doubled along the axes of space, the shortest first, up to `READ` bytes."""
    sizes = [min(chunk, size) for chunk, size in zip(chunks, shape, strict=True)]
    while True:
        short = [axis for axis in space if sizes[axis] < shape[axis]]
        if not short or 2 * prod(sizes) * itemsize > READ:
            return tuple(sizes)
        axis = min(short, key=lambda a: sizes[a])
        sizes[axis] = min(2 * sizes[axis], shape[axis])
