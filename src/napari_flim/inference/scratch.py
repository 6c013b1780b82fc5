"""Arrays between two stages of work on a large image: on disk, read and written in parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike


class Readable(Protocol):
    """An array of numpy, zarr or dask, or one that behaves like them."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, index: Any, /) -> Any: ...


class Writable(Protocol):
    """What labels are written into, part by part."""

    def __setitem__(self, index: Any, value: Any, /) -> None: ...


class Store(Readable, Writable, Protocol):
    """An array that is read and written in parts."""


@dataclass(frozen=True)
class Scratch:
    """A folder of arrays over one image; 0 where nothing was written yet.

    Attributes
    ----------
    folder : Path
    shape : tuple of int
        Of the image.
    """

    folder: Path
    shape: tuple[int, ...]

    def array(
        self, name: str, dtype: DTypeLike, chunks: Sequence[int], planes: int | None = None
    ) -> Store:
        """An array by its name, as it was left or new.

        Parameters
        ----------
        name : str
        dtype : data type
        chunks : sequence of int
            Spatial size of the parts that are written; processes that write whole chunks do not
            disturb each other.
        planes : int, optional
            Length of a first axis before those of the image.
        """
        # Imported here: only large images need it.
        import zarr

        path = self.folder / f'{name}.zarr'
        if path.exists():
            known: Store = zarr.open_array(path, mode='r+')
            return known
        lead = () if planes is None else (planes,)
        new: Store = zarr.create_array(
            path,
            shape=(*lead, *self.shape),
            chunks=(*(1 for _ in lead), *np.minimum(chunks, self.shape).tolist()),
            dtype=np.dtype(dtype).name,
            fill_value=0,
        )
        return new
