"""How well a saliency map, before any threshold, agrees with a true mask.

The definitions are those of the field's evaluation programs, with four repairs:

- A map is taken as it is. Many programs stretch each map to [0, 1] first, which hides faint maps.
- Curves leave out the threshold 0, where everything is object whatever the map says.
- An empty prediction of an empty truth is right, and counts as 1 in every F- and E-measure.
- The E-measure divides by the number of voxels n, not n - 1, so it never exceeds 1.

Every function takes a saliency map, floats in [0, 1] or uint8 from 0 to 255, and a truth of the
same shape and any dtype that is object where above 0. Every function raises `EvaluationError`
when the map is anything else or the shapes differ. All work in 2D and in 3D; voxels count as
isotropic.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from napari_flim.errors import EvaluationError
from napari_flim.evaluation.overlap import (
    BETA_SQUARED,
    check_shapes,
    count_voxels,
    f_score,
    precision_score,
)

LEVELS = 255


@dataclass(frozen=True, eq=False)
class Curves:
    """Measures of the masks ``saliency >= threshold``, one for each threshold.

    Attributes
    ----------
    thresholds : (255,) float64 array
        1/255, 2/255, ..., 1.
    precision, recall, f_measure, e_measure : (255,) float64 arrays
        In [0, 1].
    """

    thresholds: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f_measure: NDArray[np.float64]
    e_measure: NDArray[np.float64]


def mae(saliency: ArrayLike, truth: ArrayLike) -> float:
    """Mean absolute error, in [0, 1]; 0 is best.

    Examples
    --------
    >>> mae([0.0, 0.25], [0, 1])
    0.375
    """
    values, objects = _read(saliency, truth)
    return float(np.abs(values - objects).mean())


def adaptive_mask(saliency: ArrayLike) -> NDArray[np.bool_]:
    """Voxels at or above twice the mean saliency, or 1 if that is less (Achanta, CVPR 2009).

    An all-zero map selects nothing; evaluation programs commonly let it select everything. When
    the mean is above one half only full saliency is selected. The rule is unfit for such maps,
    and a good map of an object that fills most of the image scores near 0 with it: read the
    maximum of the curve there.

    Examples
    --------
    >>> adaptive_mask([0.0, 0.1, 0.2, 0.5])
    array([False, False, False,  True])
    """
    values = _read_saliency(saliency)
    threshold = min(2 * float(values.mean()), 1.0) if values.size else 0.0
    return (values >= threshold) & (values > 0)


def e_measure(prediction: ArrayLike, truth: ArrayLike) -> float:
    """Enhanced-alignment measure of a mask, in [0, 1] (Fan et al., IJCAI 2018).

    The mean over all n voxels of ``(2 a b / (a^2 + b^2) + 1)^2 / 4``, where a and b are the two
    masks minus their means. For an empty truth it is the share of voxels left out, for a full
    truth the share selected. Published programs divide by n - 1: theirs is n / (n - 1) of ours.

    Parameters
    ----------
    prediction, truth : (\\*S) arrays of equal shape, any dtype
        Object where above 0.

    Examples
    --------
    >>> e_measure([1, 1, 0, 0], [1, 1, 0, 0]), e_measure([0, 0, 0, 0], [1, 1, 0, 0])
    (1.0, 0.25)
    """
    hits, predicted, positives = count_voxels(prediction, truth)
    return float(_alignment(hits, predicted, positives, np.asarray(truth).size))


def curves(saliency: ArrayLike, truth: ArrayLike, beta_squared: float = BETA_SQUARED) -> Curves:
    """Precision, recall, F- and E-measure at each of the 255 thresholds above 0.

    With an empty truth, a threshold that selects nothing scores 1 and any other scores 0 in
    precision, recall and F; programs commonly score 0 throughout.

    Parameters
    ----------
    saliency, truth : (\\*S) arrays
        See the module.
    beta_squared : float
        Weight of recall in the F-measure, above 0.
    """
    values, objects = _read(saliency, truth)
    levels = (values * LEVELS).astype(np.uint8)
    every = _at_least(levels.ravel())
    hits = _at_least(levels[objects])
    positives = int(np.count_nonzero(objects))
    return Curves(
        thresholds=np.arange(1, LEVELS + 1) / LEVELS,
        precision=precision_score(hits, every, positives),
        recall=hits / positives if positives else np.where(every > 0, 0.0, 1.0),
        f_measure=f_score(hits, every, positives, beta_squared),
        e_measure=_alignment(hits, every, positives, objects.size),
    )


def weighted_f(saliency: ArrayLike, truth: ArrayLike, beta_squared: float = 1.0) -> float:
    """Weighted F-measure, in [0, 1] (Margolin et al., CVPR 2014).

    Errors on the object count less where the errors around them are smaller: the average is a
    Gaussian of 7 voxels along every axis and sigma 5, in 2D as in 3D. Errors off the object count
    more the farther they lie from it. As in the authors' program there is no error outside the
    image, so a missed object at the border keeps a score slightly above 0. Unlike there, an
    all-zero map of an empty truth scores 1; any other map of an empty truth scores 0.

    Parameters
    ----------
    saliency, truth : (\\*S) arrays
        See the module.
    beta_squared : float
        Weight of recall, above 0; programs commonly use 1 here.
    """
    values, objects = _read(saliency, truth)
    positives = int(np.count_nonzero(objects))
    if not positives:
        return float(not values.any())
    error = np.abs(values - objects)
    distance, nearest = ndimage.distance_transform_edt(~objects, return_indices=True)
    spread = error[tuple(nearest)]
    average = ndimage.gaussian_filter(spread, sigma=5, radius=3, mode='constant')
    inside = np.minimum(error, average)[objects]
    outside = float((error * (2 - 0.5 ** (distance / 5)))[~objects].sum())
    found = float((1 - inside).sum())
    if found <= 0:
        return 0.0
    recall, precision = found / positives, found / (found + outside)
    return (1 + beta_squared) * recall * precision / (recall + beta_squared * precision)


def s_measure(saliency: ArrayLike, truth: ArrayLike, alpha: float = 0.5) -> float:
    """Structure measure, in [0, 1] (Fan et al., ICCV 2017).

    The weighted mean of an object part, how uniformly bright the object and how uniformly dark
    the rest, and a region part, the structural similarity in the parts (4 in 2D, 8 in 3D) into
    which the centroid of the truth splits the image. Negative values become 0. For an empty truth
    it is 1 minus the mean saliency, for a full truth the mean saliency.

    As in the authors' program, a part in which both map and truth are constant counts as similar.

    Parameters
    ----------
    saliency, truth : (\\*S) arrays
        See the module.
    alpha : float
        Weight of the object part, from 0 to 1.
    """
    values, objects = _read(saliency, truth)
    share = float(objects.mean())
    if share in (0.0, 1.0):
        return 1 - float(values.mean()) if share == 0 else float(values.mean())
    bright = share * _uniformity(values[objects])
    dark = (1 - share) * _uniformity(1 - values[~objects])
    region = sum(
        _similarity(values[part], objects[part]) * objects[part].size / objects.size
        for part in _parts(objects)
    )
    return min(max(alpha * (bright + dark) + (1 - alpha) * region, 0.0), 1.0)


def _read(saliency: ArrayLike, truth: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    values, objects = _read_saliency(saliency), np.asarray(truth) > 0
    check_shapes(values, objects, 'saliency map')
    return values, objects


def _read_saliency(saliency: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(saliency)
    if array.dtype == np.uint8:
        return array / LEVELS
    if array.dtype.kind not in 'bf':
        raise EvaluationError(
            f'The saliency map holds {array.dtype} values; expected floats from 0 to 1, or uint8. '
            'Divide the map by its largest possible value.'
        )
    values = array.astype(np.float64)
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        raise EvaluationError(
            f'The saliency map holds values from {values.min():g} to {values.max():g}; expected '
            'floats from 0 to 1. Divide the map by its largest possible value.'
        )
    return values


def _at_least(levels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Number of voxels at or above each of the levels 1 to 255."""
    counts = np.bincount(levels, minlength=LEVELS + 1)
    return np.cumsum(counts[:0:-1])[::-1]


def _alignment(hits: Any, predicted: Any, positives: int, total: int) -> NDArray[np.float64]:
    """E-measure from voxel counts: all voxels with the same pair of values score the same."""
    selected = np.asarray(predicted) / total
    if positives in (0, total):
        return selected if positives else 1 - selected
    share = positives / total
    counts = {
        (1, 1): hits,
        (1, 0): predicted - hits,
        (0, 1): positives - hits,
        (0, 0): total - predicted - positives + hits,
    }
    score = np.zeros(np.shape(selected))
    for (mask, truth), count in counts.items():
        a, b = mask - selected, truth - share
        score = score + count * (2 * a * b / (a**2 + b**2) + 1) ** 2 / 4
    return score / total


def _uniformity(values: NDArray[np.float64]) -> float:
    mean = float(values.mean())
    deviation = float(values.std(ddof=1)) if values.size > 1 else 0.0
    return 2 * mean / (mean**2 + 1 + deviation)


def _parts(objects: NDArray[np.bool_]) -> list[tuple[slice, ...]]:
    """Parts of the image before and behind the centroid along every axis, empty ones left out."""
    centre = [round(float(axis.mean())) + 1 for axis in np.nonzero(objects)]
    halves = [
        [slice(0, cut), slice(cut, size)] if cut < size else [slice(0, size)]
        for cut, size in zip(centre, objects.shape, strict=True)
    ]
    return list(itertools.product(*halves))


def _similarity(values: NDArray[np.float64], objects: NDArray[np.bool_]) -> float:
    """Structural similarity of one part; the common n - 1 of all variances cancels."""
    constant = values.min() == values.max(), objects.min() == objects.max()
    if any(constant):
        return float(all(constant))
    x, y = values.mean(), objects.mean()
    covariance = ((values - x) * (objects - y)).mean()
    return float(4 * x * y * covariance / ((x**2 + y**2) * (values.var() + objects.var())))
