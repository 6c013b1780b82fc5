"""How well each candidate did, the winner, and why it won."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_flim.choosing.configurations import Candidate


@dataclass(frozen=True, eq=False)
class Tried:
    """How well a candidate told markers that were left out.

    Attributes
    ----------
    candidate : Candidate
    agreement : float
        Share of left-out voxels that get their class, classes counting alike; in [0, 1].
    error : float, optional
        Standard error of the agreement, over markers.
    surprise : float
        Mean squared difference of the probability of the right class from 1 (Brier's score),
        classes counting alike; 0 is best. By this the winner is found: it goes on telling
        candidates apart where all of them get almost every voxel right.
    of_markers : (m,) float64 array
        Surprise of every marker.
    classes : (m,) int64 array
        Class of every marker.
    confusion : (classes, classes) float64 array
        Share of the voxels of every class (rows) that get every class (columns).
    seconds : float
    """

    candidate: Candidate
    agreement: float
    error: float | None
    surprise: float
    of_markers: NDArray[np.float64]
    classes: NDArray[np.int64]
    confusion: NDArray[np.float64]
    seconds: float


@dataclass(frozen=True, eq=False)
class Choice:
    """What was tried, the winner, and why it won.

    Attributes
    ----------
    tried : tuple of Tried
        In the order of the candidates; empty when nothing could be left out.
    winner : Candidate
    reason : str
        One or two sentences.
    classes : tuple of int
    left_out : str
        What was left out together: images or markers.
    """

    tried: tuple[Tried, ...]
    winner: Candidate
    reason: str
    classes: tuple[int, ...]
    left_out: str

    def content(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        rows = [
            {
                'configuration': one.candidate.words(),
                'agreement': one.agreement,
                'error': one.error,
                'surprise': one.surprise,
                'seconds': round(one.seconds, 2),
            }
            for one in self.tried
        ]
        best = next((one for one in self.tried if one.candidate == self.winner), None)
        return {
            'chosen': self.winner.words(),
            'reason': self.reason,
            'left_out': self.left_out,
            'classes': list(self.classes),
            'tried': rows,
            'confusion': [] if best is None else best.confusion.tolist(),
            'of_markers': [] if best is None else best.of_markers.tolist(),
        }


def pick(tried: Sequence[Tried]) -> tuple[Tried, str]:
    """The winner and why: the least surprised, unless a steadier one is as good within the error.

    Two candidates are compared marker by marker; the error is that of their mean difference.
    """
    best = min(tried, key=lambda one: one.surprise)
    if len(tried) == 1:
        return best, 'No other configuration was tried, or could be learned, in the time.'
    for one in tried[: tried.index(best)]:
        difference, error = _difference(one, best)
        if difference <= error:
            return one, (
                f'{best.candidate.words()} is as good on markers left out: the difference, '
                f'{difference:.4f} in squared error for each marker, is within its error of '
                f'{error:.4f}, so the steadier one was taken.'
            )
    others = [one.surprise for one in tried if one is not best]
    return best, (
        f'Its squared error on markers left out is the lowest: {best.surprise:.3f}; the next is '
        f'{min(others):.3f}.'
    )


def _difference(one: Tried, best: Tried) -> tuple[float, float]:
    """Mean difference over markers, classes counting alike, and its standard error."""
    means, variances = [], []
    for number in np.unique(best.classes):
        own = (one.of_markers - best.of_markers)[best.classes == number]
        means.append(own.mean())
        variances.append(own.var(ddof=1) / len(own))
    return float(np.mean(means)), math.sqrt(sum(variances)) / len(means)
