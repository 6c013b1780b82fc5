"""How large tiles may be so that applying an encoder stays within a memory budget."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from napari_flim.engine.architecture import Architecture
from napari_flim.errors import MemoryBudgetError
from napari_flim.inference.memory import applying_bytes
from napari_flim.inference.tiles import Tile, tiles

SHARE_OF_FREE = 4
"""By default a quarter of the free memory is used."""
SAFETY = 0.85
"""Share of the budget that is planned with; the rest is for what libraries keep beside."""


def working_memory(memory: int | None) -> int:
    """Bytes that work may take beside what this process already holds.

    Parameters
    ----------
    memory : int, optional
        Budget in bytes for the whole process; by default a quarter of the free memory is used in
        addition to what the process holds.

    Raises
    ------
    MemoryBudgetError
        When the process already holds more.
    """
    import psutil

    if memory is None:
        return int(psutil.virtual_memory().available // SHARE_OF_FREE)
    held = psutil.Process().memory_info().rss
    if held >= memory:
        raise MemoryBudgetError(
            f'The memory budget is {in_words(memory)}, but the program itself already holds '
            f'{in_words(held)}; give at least {in_words(2 * held)}.'
        )
    return memory - int(held)


def plan_tiles(
    architecture: Architecture,
    shape: Sequence[int],
    features: int,
    halo: Sequence[int],
    working: int,
    *,
    linear: bool = False,
) -> list[Tile]:
    """The largest tiles that stay within the budget: one for the whole image, if that fits.

    Parameters
    ----------
    architecture : Architecture
        Up to the decoded block.
    shape : sequence of int
        Spatial shape of the image.
    features : int
        Channels that block 1 reads.
    halo : sequence of int
        Voxels to read around every core.
    working : int
        Bytes, see `working_memory`.
    linear : bool
        Whether a linear decoder follows.

    Raises
    ------
    MemoryBudgetError
        When not even the smallest tile fits; says how much it needs.

    Examples
    --------
    >>> from napari_flim.engine.architecture import Block
    >>> architecture = Architecture((Block(channels=16),))
    >>> len(plan_tiles(architecture, (4000, 4000), 1, (3, 3), 2 * 10**8))
    25
    """
    alignment = architecture.strides(len(shape))[-1]
    step = max(alignment)

    def needed(side: int) -> int:
        read = [min(n, side + 2 * (h + s)) for n, h, s in zip(shape, halo, alignment, strict=True)]
        return applying_bytes(architecture, read, features, linear=linear)

    low, high = 1, ceil(max(shape) / step)
    if needed(step) > SAFETY * working:
        raise MemoryBudgetError(
            f'The smallest part of this image of {" x ".join(map(str, shape))} voxels needs '
            f'{in_words(int(needed(step) / SAFETY))} beside the program, but the budget leaves '
            f'{in_words(working)}; give more memory.'
        )
    while low < high:
        middle = (low + high + 1) // 2
        if needed(middle * step) <= SAFETY * working:
            low = middle
        else:
            high = middle - 1
    even = [_even(length, low * step, own) for length, own in zip(shape, alignment, strict=True)]
    return tiles(shape, even, halo, alignment)


def _even(length: int, size: int, step: int) -> int:
    """Size of tiles along an axis so that as many as needed are about equally large."""
    count = ceil(length / size)
    return min(size, ceil(ceil(length / count) / step) * step)


def in_words(size: float) -> str:
    """Bytes as users read them.

    Examples
    --------
    >>> in_words(1.5e9), in_words(2.3e7)
    ('1.5 GB', '23 MB')
    """
    return f'{size / 1e9:.2g} GB' if size >= 1e9 else f'{size / 1e6:.0f} MB'
