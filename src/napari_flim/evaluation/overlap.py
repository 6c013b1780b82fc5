"""Overlap of a segmentation with the truth: voxel by voxel, and object by object.

A voxel is object where its value is above 0, whatever the dtype. Two empty masks agree, so every
measure of them is 1; where only one mask is empty, every measure is 0. Averages over sets with
many empty images therefore need to be read apart, see `napari_flim.evaluation.metrics.summarise`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from napari_flim.errors import EvaluationError

BETA_SQUARED = 0.3
"""Customary in saliency detection since Achanta et al., CVPR 2009: precision weighs more."""


def dice(prediction: ArrayLike, truth: ArrayLike) -> float:
    """Dice coefficient ``2 |A and B| / (|A| + |B|)``, in [0, 1].

    Parameters
    ----------
    prediction, truth : (\\*S) arrays of equal shape, any dtype
        Object where above 0.

    Raises
    ------
    EvaluationError
        When the shapes differ or hold no voxel.

    Examples
    --------
    >>> dice([0, 1, 1, 0], [0, 0, 1, 0])
    0.6666666666666666
    """
    return float(f_score(*count_voxels(prediction, truth), beta_squared=1.0))


def iou(prediction: ArrayLike, truth: ArrayLike) -> float:
    """Intersection over union (Jaccard index), in [0, 1]; parameters as for `dice`."""
    hits, predicted, positives = count_voxels(prediction, truth)
    union = predicted + positives - hits
    return hits / union if union else 1.0


def precision(prediction: ArrayLike, truth: ArrayLike) -> float:
    """Share of the predicted voxels that are object, in [0, 1]; parameters as for `dice`."""
    return float(precision_score(*count_voxels(prediction, truth)))


def recall(prediction: ArrayLike, truth: ArrayLike) -> float:
    """Share of the object voxels that were found, in [0, 1]; parameters as for `dice`."""
    return precision(truth, prediction)


def f_beta(prediction: ArrayLike, truth: ArrayLike, beta_squared: float = BETA_SQUARED) -> float:
    """F-measure ``(1 + b) P R / (b P + R)`` of precision P and recall R, in [0, 1].

    Parameters
    ----------
    prediction, truth : (\\*S) arrays of equal shape, any dtype
        Object where above 0.
    beta_squared : float
        The b of the formula, above 0: how much recall weighs. At 1 this is the Dice coefficient.
    """
    return float(f_score(*count_voxels(prediction, truth), beta_squared))


def count_voxels(prediction: ArrayLike, truth: ArrayLike) -> tuple[int, int, int]:
    """Voxels that are object in both masks, in the prediction, and in the truth."""
    predicted, positive = np.asarray(prediction) > 0, np.asarray(truth) > 0
    check_shapes(predicted, positive)
    return (
        int(np.count_nonzero(predicted & positive)),
        int(np.count_nonzero(predicted)),
        int(np.count_nonzero(positive)),
    )


def check_shapes(prediction: NDArray[Any], truth: NDArray[Any], name: str = 'prediction') -> None:
    """Raise `EvaluationError` unless both arrays have the same shape, with voxels in it."""
    if prediction.shape != truth.shape:
        raise EvaluationError(
            f'The {name} has shape {prediction.shape} and the truth {truth.shape}; expected '
            'equal shapes. Compare both on the grid of the same image.'
        )
    if not truth.size:
        raise EvaluationError(
            f'The {name} and the truth of shape {truth.shape} hold no voxel; expected at '
            'least one. Give the whole image.'
        )


def f_score(hits: Any, predicted: Any, positives: int, beta_squared: float) -> NDArray[np.float64]:
    """F-measure from voxel counts, ``(1 + b) hits / (predicted + b positives)``.

    Parameters
    ----------
    hits, predicted : int or (T,) int arrays
        Voxels that are object in both masks and in the prediction, for each of T masks.
    positives : int
        Object voxels of the truth.
    beta_squared : float
        Above 0.
    """
    whole = np.asarray(predicted) + beta_squared * positives
    return np.where(whole > 0, (1 + beta_squared) * hits / np.where(whole > 0, whole, 1), 1.0)


def precision_score(hits: Any, predicted: Any, positives: int) -> NDArray[np.float64]:
    """Precision from voxel counts; see `f_score`."""
    of_nothing = float(positives == 0)
    whole = np.asarray(predicted)
    return np.where(whole > 0, hits / np.maximum(whole, 1), of_nothing)


def instance_f1(prediction: ArrayLike, truth: ArrayLike, iou: float = 0.5) -> float:
    """F1 of objects found: ``2 matched / (objects predicted + objects of the truth)``.

    A predicted and a true object may match when their intersection over union reaches the
    threshold. Above 0.5 an object has one possible partner at most; otherwise as many pairs as
    possible are matched.

    Parameters
    ----------
    prediction, truth : (\\*S) int arrays of equal shape
        Every value above 0 is one object. A mask must be labelled first, since touching or
        distant parts of one value count as a single object.
    iou : float
        Threshold, above 0 and at most 1.

    Returns
    -------
    float
        In [0, 1]; 1 when neither image holds an object.

    Raises
    ------
    EvaluationError
        When shapes differ, values are not whole numbers, or the threshold is out of range.

    Examples
    --------
    >>> instance_f1([1, 1, 0, 2, 2], [7, 7, 7, 0, 0])
    0.6666666666666666
    """
    predicted, true = _check_labels(prediction, 'prediction'), _check_labels(truth, 'truth')
    check_shapes(predicted, true)
    if not 0 < iou <= 1:
        raise EvaluationError(
            f'The threshold iou is {iou!r}; expected a number above 0 and at most 1, such as 0.5.'
        )
    predicted_labels, predicted_sizes = np.unique(predicted[predicted > 0], return_counts=True)
    true_labels, true_sizes = np.unique(true[true > 0], return_counts=True)
    if not len(predicted_labels) or not len(true_labels):
        return float(len(predicted_labels) == len(true_labels))
    both = (predicted > 0) & (true > 0)
    rows = np.searchsorted(predicted_labels, predicted[both])
    columns = np.searchsorted(true_labels, true[both])
    shape = (len(predicted_labels), len(true_labels))
    overlap = coo_array((np.ones(len(rows), np.int64), (rows, columns)), shape=shape)
    overlap = overlap.tocsr().tocoo()
    rows, columns = overlap.coords
    union = predicted_sizes[rows] + true_sizes[columns] - overlap.data
    enough = overlap.data >= iou * union
    pairs = coo_array((enough[enough], (rows[enough], columns[enough])), shape=shape).tocsr()
    matched = np.count_nonzero(maximum_bipartite_matching(pairs, perm_type='column') >= 0)
    return float(2 * matched / sum(shape))


def _check_labels(labels: ArrayLike, name: str) -> NDArray[Any]:
    array = np.asarray(labels)
    if array.dtype.kind not in 'bui':
        raise EvaluationError(
            f'The {name} holds {array.dtype} values; expected whole numbers, one for each object. '
            'Label the connected parts of a mask first.'
        )
    return array
