"""How large the parts may be in which an image is delineated within a memory budget."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from napari_flim.delineation.delineation_settings import DelineationSettings
from napari_flim.errors import MemoryBudgetError
from napari_flim.inference.budget import SAFETY, in_words

PLAIN = 200
"""Bytes for each voxel: distances, components, seeds and a forest."""
SALIENCY = 12
"""Bytes for each voxel and map of saliency."""
CHANNEL = 24
"""Bytes for each voxel and channel that is compared."""
DISTANCE = 80
"""Bytes for each voxel whose distance is measured."""
GRAPH = 1500
"""Bytes for each voxel of methods that solve for all voxels at once."""
LARGEST = {2: 2048, 3: 192}
"""Voxels along a tile, by rank: beyond that, larger tiles save no time."""
SMALLEST = {2: 64, 3: 16}


def solves_for_all(settings: DelineationSettings) -> bool:
    """Whether a delineation knows no neighbourhoods: smoothing, and random walks."""
    return settings.smoothing or settings.method == 'random_walker'


def whole_bytes(
    shape: Sequence[int], maps: int, channels: int, settings: DelineationSettings
) -> int:
    """Bytes that a delineation in one piece takes at its peak.

    Parameters
    ----------
    shape : sequence of int
        Spatial shape of the image.
    maps, channels : int
        Maps of saliency, and channels that are compared.
    settings : DelineationSettings
    """
    each = PLAIN + SALIENCY * maps + CHANNEL * channels
    return prod(shape) * (each + GRAPH * solves_for_all(settings))


def block_size(
    shape: Sequence[int],
    maps: int,
    channels: int,
    working: int,
    chunks: Sequence[int] | None = None,
) -> tuple[int, ...]:
    """Size of the largest tiles that fit: even, and whole chunks where these are smaller.

    Parameters
    ----------
    shape : sequence of int
        Spatial shape of the image.
    maps, channels : int
        Maps of saliency, and channels that are compared.
    working : int
        Bytes, see `napari_flim.inference.budget.working_memory`.
    chunks : sequence of int, optional
        Of the array that labels are written to.

    Raises
    ------
    MemoryBudgetError
        When no useful tile fits.

    Examples
    --------
    >>> [side % 256 for side in block_size((4000, 4000), 1, 3, 400_000_000, (256, 256))]
    [0, 0]
    """
    ndim = len(shape)
    each = PLAIN + SALIENCY * maps + CHANNEL * channels
    side = int((SAFETY * working / each) ** (1 / ndim))
    if side < SMALLEST[ndim]:
        needed = SMALLEST[ndim] ** ndim * each / SAFETY
        raise MemoryBudgetError(
            f'Delineation needs {in_words(int(needed))} beside the program, but the budget leaves '
            f'{in_words(working)}; give more memory.'
        )
    side = min(side, LARGEST[ndim])
    size = []
    for length, chunk in zip(shape, chunks or (2,) * ndim, strict=True):
        step = chunk if chunk % 2 == 0 else 2 * chunk
        fitting = side // step * step or side // 2 * 2
        size.append(min(fitting, length + length % 2))
    return tuple(size)


def band_size(size: Sequence[int], halo: Sequence[int], working: int) -> tuple[int, ...]:
    """Size of tiles whose distances are measured with a wide halo, no larger than others.

    Raises
    ------
    MemoryBudgetError
        When not even the halo of a few voxels fits.
    """
    tried = np.array(size)
    while DISTANCE * np.prod(tried + 2.0 * np.array(halo)) > SAFETY * working:
        if tried.max() <= 2:
            needed = DISTANCE * np.prod(tried + 2.0 * np.array(halo)) / SAFETY
            raise MemoryBudgetError(
                f'Outer seeds keep {max(halo)} voxels from objects; to see that far needs '
                f'{in_words(int(needed))}, but the budget leaves {in_words(working)}. Give more '
                'memory or a smaller dilation.'
            )
        tried = np.maximum(tried // 2, 2)
    return tuple(tried.tolist())
