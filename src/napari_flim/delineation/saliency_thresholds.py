"""Where saliency is cut: a threshold for the image, and one for each component."""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.measure import label

BINS = 256

Rule = Literal['otsu', 'component_otsu', 'percentile']

RULES: tuple[str, ...] = get_args(Rule)
"""How a threshold is found: Otsu's of the image; the same, then Otsu's within each component; a
percentile of the image."""


def image_threshold(
    saliency: NDArray[np.floating], rule: Rule = 'otsu', percentile: float = 95.0
) -> float:
    """Saliency above which a voxel is salient, for a map that is not constant.

    Parameters
    ----------
    saliency : (\\*S) float array
    rule : {'otsu', 'component_otsu', 'percentile'}
    percentile : float
        From 0 to 100, for ``'percentile'``.

    Examples
    --------
    >>> image_threshold(np.arange(101.0), 'percentile', 95)
    95.0
    """
    if rule == 'percentile':
        lower, upper, share = percentile_ranks(saliency.size, percentile)
        ordered = np.partition(saliency.ravel(), (lower, upper))
        return interpolated(ordered[lower], ordered[upper], share)
    return _otsu(saliency.ravel())


def percentile_ranks(count: int, percentile: float) -> tuple[int, int, float]:
    """Between which two of so many ordered values a percentile lies, from 0, and how far.

    Examples
    --------
    >>> percentile_ranks(11, 25)
    (2, 3, 0.5)
    """
    place = (count - 1) * (percentile / 100)
    lower = math.floor(place)
    return lower, min(lower + 1, count - 1), place - lower


def interpolated(lower: float | np.floating, upper: float | np.floating, share: float) -> float:
    """The value between two others, as `numpy.percentile` computes it."""
    low, high = float(lower), float(upper)
    return low + (high - low) * share if share < 0.5 else high - (high - low) * (1 - share)


def tightened(
    salient: NDArray[np.bool_], saliency: NDArray[np.floating], scale: float = 1.0
) -> NDArray[np.bool_]:
    """Each component cut again at Otsu's threshold of the saliency within it.

    As in LibIFT's delineation of gliomas. A component of constant saliency stays whole; so does
    one that the scale puts below its threshold, down to its most salient voxels.

    Parameters
    ----------
    salient : (\\*S) bool array
    saliency : (\\*S) float array
    scale : float
        By what each threshold is multiplied.
    """
    numbers = label(salient, connectivity=salient.ndim)
    kept = np.zeros_like(salient)
    for number, box in enumerate(ndimage.find_objects(numbers), start=1):
        own = numbers[box] == number
        values = saliency[box][own]
        lowest, highest = values.min(), values.max()
        if lowest < highest:
            cut = min(_otsu(values) * scale, highest)
            own &= (saliency[box] > cut) | (saliency[box] == highest)
        kept[box] |= own
    return kept


def _otsu(values: NDArray[np.floating]) -> float:
    lowest, highest = values.min(), values.max()
    return otsu_threshold(otsu_counts(values, lowest, highest), lowest, highest)


def otsu_counts(
    values: NDArray[np.floating], lowest: np.floating, highest: np.floating
) -> NDArray[np.int64]:
    """Values in each of the bins between two ends of their own type; parts of an image add up.

    Examples
    --------
    >>> otsu_counts(np.array([0.0, 0.2, 1.0]), np.float64(0), np.float64(1)).nonzero()[0]
    array([  0,  51, 255])
    """
    if not _are_distinct(_bin_edges(lowest, highest)):
        return np.zeros(BINS, dtype=np.int64)
    return np.histogram(values, BINS, (lowest, highest))[0].astype(np.int64)  # type: ignore[arg-type]


def otsu_threshold(counts: NDArray[np.int64], lowest: np.floating, highest: np.floating) -> float:
    """Otsu's threshold of counted values; the lowest value where bins cannot be told apart.

    Parameters
    ----------
    counts : (256,) int array
        See `otsu_counts`.
    lowest, highest : floating
        The ends of the bins.
    """
    edges = _bin_edges(lowest, highest)
    if not _are_distinct(edges):
        return float(lowest)
    return float(threshold_otsu(hist=(counts, (edges[:-1] + edges[1:]) / 2)))


def _bin_edges(lowest: np.floating, highest: np.floating) -> NDArray[np.floating]:
    return np.linspace(lowest, highest, BINS + 1, dtype=lowest.dtype)


def _are_distinct(edges: NDArray[np.floating]) -> bool:
    return bool((edges[1:] > edges[:-1]).all())
