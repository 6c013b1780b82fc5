"""Otsu's threshold of a handful of numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def otsu_of_values(values: ArrayLike) -> float:
    """Otsu's threshold of a few numbers, without bins: the middle of the best gap.

    A histogram would put its threshold anywhere in an empty gap, which for the means of some ten
    channels decides which of them count.

    Examples
    --------
    >>> otsu_of_values([0.1, 0.2, 0.8, 0.9])
    0.5
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64).reshape(-1))
    if ordered[0] == ordered[-1]:
        return float(ordered[0])
    below = np.arange(1, len(ordered))
    total = np.cumsum(ordered)
    mean_below = total[:-1] / below
    mean_above = (total[-1] - total[:-1]) / (len(ordered) - below)
    between = below * (len(ordered) - below) * (mean_below - mean_above) ** 2
    split = int(between.argmax())
    return float((ordered[split] + ordered[split + 1]) / 2)
