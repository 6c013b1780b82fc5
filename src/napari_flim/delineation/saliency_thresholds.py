"""Where saliency is cut: a threshold for the image, and one for each component."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.measure import label

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
        return float(np.percentile(saliency, percentile))
    return _otsu(saliency.ravel())


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
    """Otsu's threshold; the lowest value where 256 bins cannot be told apart between the ends."""
    lowest, highest = values.min(), values.max()
    edges = np.linspace(lowest, highest, 257, dtype=values.dtype)
    if (edges[1:] <= edges[:-1]).any():
        return float(lowest)
    return float(threshold_otsu(values))
