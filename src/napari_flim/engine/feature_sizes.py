"""How many multi-scale features there are and how far they reach; known before any is made."""

from __future__ import annotations

import math
from collections.abc import Sequence

TRUNCATE = 3.0
"""A Gaussian is cut off at this many standard deviations."""


def multiscale_channels(ndim: int, scales: Sequence[float]) -> int:
    """Channels made of one input channel: itself, and 2 + ndim for each scale."""
    return 1 + len(scales) * (2 + ndim)


def multiscale_halo(scales: Sequence[float], spacing: Sequence[float]) -> tuple[int, ...]:
    """Voxels to each side that a feature depends on, along each axis."""
    return tuple(
        max((gaussian_radius(s * min(spacing) / step) for s in scales), default=0) + 2
        for step in spacing
    )


def gaussian_radius(sigma: float) -> int:
    """Voxels to each side of a Gaussian's centre that its kernel covers."""
    return max(1, math.ceil(TRUNCATE * sigma))
