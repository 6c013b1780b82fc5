"""Blank markers: memory is taken only where something is painted, however large the image is."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_flim.errors import MarkerError

if TYPE_CHECKING:
    import zarr

LARGEST_ARRAY = 2**31
"""Bytes up to which volumes and stacks of markers are one array of zeros."""
TILE = 1024
"""Side of the chunks of larger ones; a chunk lies in one plane, as strokes do."""


def blank_labels(shape: tuple[int, ...]) -> Any:
    """An array of zeros to paint on, uint8.

    One array is the quickest to show and to read, and the system gives it memory only where it is
    painted, but promises no more than there is. Larger volumes and stacks are chunks, which are
    there when they are painted. A plane stays one array, since napari shows all of it.

    Parameters
    ----------
    shape : tuple of int

    Raises
    ------
    MarkerError
        When the system does not give a plane as large as this.
    """
    if len(shape) > 2 and prod(shape) > LARGEST_ARRAY:
        return _in_chunks(shape)
    try:
        return np.zeros(shape, np.uint8)
    except MemoryError as error:
        raise MarkerError(
            f'Markers of {" x ".join(map(str, shape))} voxels need {prod(shape) / 1e9:.1f} GB of '
            'memory, which is more than there is; crop the image, or use a coarser level of it.'
        ) from error


def painted_planes(data: Any) -> set[int] | None:
    """Indices along the first axis that may hold paint; None if that is not known without looking.

    Parameters
    ----------
    data : array
        Of `blank_labels`, or any other.
    """
    chunks = getattr(getattr(data, 'store', None), 'chunks', None)
    if not isinstance(chunks, dict):
        return None
    places = (key.split('/') for key in chunks if key.startswith('c/'))
    return {int(first) for _, first, *_ in places}


def _in_chunks(shape: tuple[int, ...]) -> zarr.Array[Any]:
    """Zeros in chunks; the store keeps those that hold anything else."""
    import zarr
    from zarr.storage import MemoryStore

    chunks: dict[str, Any] = {}
    store = MemoryStore(chunks)
    # The only way to tell which chunks there are without asking for each of them.
    store.chunks = chunks  # type: ignore[attr-defined]
    size = (1,) * (len(shape) - 2) + tuple(min(TILE, side) for side in shape[-2:])
    return zarr.create_array(store, shape=shape, chunks=size, dtype=np.uint8, fill_value=0)
