"""The order of the taps in LIDS kernel files, which is written nowhere.

LibIFT wrote the centre tap first until 2023 and plain raster order since; LIDS-UNICAMP/FLIM and
flim-python-demo still read the centre first. Smooth images make smooth kernels, so the order with
the smaller total variation is taken.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_flim.errors import FlimWarning

TapOrder = Literal['raster', 'centre_first']

RASTER_MARGIN = 0.02
CENTRE_MARGIN = 0.1
"""By how much, relatively, each order must win to be certain. Raster is far more common, and
kernels of LibIFT's "PCA" are rough enough to look smoother by 7 % in the wrong order."""


def detect_tap_order(kernels: Sequence[NDArray[np.floating]]) -> TapOrder:
    """The tap order under which kernels are smoother; raster, with a warning, when in doubt.

    Parameters
    ----------
    kernels : sequence of (\\*k, C, K) arrays
        Kernels of every layer, taps as they lie in the file.
    """
    layers = [k for k in kernels if k.size > k.shape[-1] * k.shape[-2]]
    if not layers:
        return 'raster'
    raster = sum(_variation(k) for k in layers)
    centre = sum(_variation(to_raster(k)) for k in layers)
    largest = max(raster, centre)
    margin = (centre - raster) / largest if largest else 0.0
    if -CENTRE_MARGIN < margin < RASTER_MARGIN:
        warnings.warn(
            f'The tap order of the kernels is uncertain (total variation {raster:.3f} in raster '
            f'order, {centre:.3f} with the centre first); raster is used. '
            'If activations look scrambled, read with tap_order="centre_first".',
            FlimWarning,
            stacklevel=3,
        )
    return 'raster' if margin > -CENTRE_MARGIN else 'centre_first'


def centre_first(count: int) -> list[int]:
    """Raster index of every tap in the centre-first order.

    Examples
    --------
    >>> centre_first(9)
    [4, 0, 1, 2, 3, 5, 6, 7, 8]
    """
    centre = count // 2
    return [centre, *(tap for tap in range(count) if tap != centre)]


def to_raster(kernels: NDArray[Any]) -> NDArray[Any]:
    """Kernels (\\*k, C, K) with their taps in raster order, from the centre-first order."""
    flat = kernels.reshape(-1, *kernels.shape[-2:])
    raster = np.empty_like(flat)
    raster[centre_first(len(flat))] = flat
    return raster.reshape(kernels.shape)


def _variation(kernels: NDArray[Any]) -> float:
    """Mean difference between neighbouring taps, relative to the mean size of a weight."""
    steps = [np.abs(np.diff(kernels, axis=axis)).ravel() for axis in range(kernels.ndim - 2)]
    size = float(np.abs(kernels).mean())
    return float(np.concatenate(steps).mean()) / size if size else 0.0
