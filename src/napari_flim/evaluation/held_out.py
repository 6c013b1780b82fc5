"""How well classes of markers are told that were not learned from: parts to leave out, and a share.

Works on lists of markers, whatever has been learned, so that several methods are judged alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_flim.errors import EvaluationError

MOST_PARTS = 5
FEWEST_IMAGES = 3
NEVER = -1
"""Part of a marker that is the only one of its class, so that it cannot be left out."""


@dataclass(frozen=True, eq=False)
class Parts:
    """Which markers are left out together.

    Attributes
    ----------
    of_markers : (m,) int64 array
        Part of every marker, from 0, or `NEVER`.
    whole_images : bool
        Whether all markers of an image are left out together.
    """

    of_markers: NDArray[np.int64]
    whole_images: bool

    @property
    def count(self) -> int:
        """Number of parts; 0 when nothing can be left out."""
        return int(self.of_markers.max(initial=NEVER)) + 1

    @property
    def complete(self) -> bool:
        """Whether every marker is left out once."""
        return not (self.of_markers == NEVER).any()


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far predictions agree with markers.

    Attributes
    ----------
    share : float
        Share of the marked voxels that get their class, the mean over the classes; in [0, 1].
    error : float, optional
        Its standard error over markers; None where a class has a single marker.
    """

    share: float
    error: float | None


def parts(
    images: NDArray[np.integer], classes: NDArray[np.integer], most: int = MOST_PARTS
) -> Parts:
    """Divide markers into a few parts, each of which leaves markers of every class.

    Whole images are left out when three or more of them show all classes, since voxels of one
    image resemble each other; else single markers, those of every class evenly.

    Parameters
    ----------
    images, classes : (m,) int arrays
        Number of the image and class of every marker.
    most : int
        Number of parts, at most; 2 or more.

    Raises
    ------
    EvaluationError
        When fewer than two classes are marked.

    Examples
    --------
    >>> images, classes = np.array([0, 0, 0, 1]), np.array([1, 1, 2, 2])
    >>> parts(images, classes).of_markers
    array([0, 1, 0, 1])
    """
    marked = np.unique(classes)
    if len(marked) < 2:
        raise EvaluationError(
            f'Markers of the classes {marked.tolist()} were given; expected two or more. '
            'Mark the background (1) and an object (2).'
        )
    numbers = np.unique(images)
    complete = [
        number for number in numbers if len(np.unique(classes[images == number])) == len(marked)
    ]
    of_markers = np.full(len(classes), NEVER, dtype=np.int64)
    if len(complete) >= FEWEST_IMAGES:
        # Complete images come first, so that no part holds all of them.
        order = [*complete, *(number for number in numbers if number not in complete)]
        count = min(most, len(complete))
        for position, number in enumerate(order):
            of_markers[images == number] = position % count
        return Parts(of_markers, True)
    for number in marked:
        own = np.flatnonzero(classes == number)
        if len(own) > 1:
            of_markers[own] = np.arange(len(own)) % min(most, len(own))
    return Parts(of_markers, False)


def agreement(
    classes: NDArray[np.integer], sizes: NDArray[np.integer], right: NDArray[np.integer]
) -> Agreement:
    """Share of marked voxels that get their class, every class counting alike.

    The standard error takes markers, not their voxels, as independent: with residuals
    ``e = right - p * size`` of the n markers of a class, the variance of its share p is
    ``n / (n - 1) * sum(e^2) / voxels^2`` (ratio estimator; Cochran, Sampling Techniques, 1977).

    Parameters
    ----------
    classes, sizes, right : (m,) int arrays
        Class of every marker, its voxels, and how many of them get this class.

    Raises
    ------
    EvaluationError
        When there is no marker.

    Examples
    --------
    >>> found = agreement(np.array([1, 1, 2, 2]), np.full(4, 10), np.array([10, 10, 4, 8]))
    >>> round(found.share, 3), round(found.error, 3)
    (0.8, 0.1)
    """
    if not len(classes):
        raise EvaluationError('No marker was given; expected markers that were left out.')
    shares, variances = [], []
    for number in np.unique(classes):
        own = classes == number
        voxels, count = int(sizes[own].sum()), int(own.sum())
        share = float(right[own].sum() / voxels)
        residuals = right[own] - share * sizes[own]
        shares.append(share)
        unknown = count == 1
        spread = math.nan if unknown else count / (count - 1) * float((residuals**2).sum())
        variances.append(spread / voxels**2)
    error = math.sqrt(sum(variances)) / len(shares)
    return Agreement(float(np.mean(shares)), None if math.isnan(error) else error)
