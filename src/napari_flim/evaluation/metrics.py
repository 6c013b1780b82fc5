"""All measures of one image at once, and their means over a set of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike

from napari_flim.errors import EvaluationError
from napari_flim.evaluation.overlap import check_shapes, dice, f_beta, iou, precision, recall
from napari_flim.evaluation.saliency_metrics import (
    adaptive_mask,
    curves,
    e_measure,
    mae,
    s_measure,
    weighted_f,
)


@dataclass(frozen=True, slots=True)
class Scores:
    """Measures of one image, all in [0, 1]; 1 is best, except for ``mae``, where 0 is.

    Attributes
    ----------
    dice, iou, precision, recall, f_beta : float
        Of the predicted mask; `napari_flim.evaluation.overlap` defines them.
    mae, weighted_f, s_measure : float
        Of the saliency map; `napari_flim.evaluation.saliency_metrics` defines them.
    f_adaptive, f_mean, f_max, e_adaptive, e_mean, e_max : float
        F-measure (beta squared 0.3) and E-measure of the saliency map: at the adaptive
        threshold, and mean and maximum over the thresholds 1/255 to 1.
    object_voxels : int
        Object voxels of the truth.
    """

    dice: float
    iou: float
    precision: float
    recall: float
    f_beta: float
    mae: float
    f_adaptive: float
    f_mean: float
    f_max: float
    weighted_f: float
    s_measure: float
    e_adaptive: float
    e_mean: float
    e_max: float
    object_voxels: int


@dataclass(frozen=True, slots=True)
class Summary:
    """Means over a set of images, and over those whose truth holds an object.

    Predicting nothing scores 1 on an image without objects, so on a set with many of them only
    the second row of means says how well objects are found.

    Attributes
    ----------
    images, images_with_objects : int
        How many images each mean is taken over.
    means, means_with_objects : dict of str to float
        Mean of every measure of `Scores`, by name; the second is empty when no truth holds an
        object.
    """

    images: int
    images_with_objects: int
    means: dict[str, float]
    means_with_objects: dict[str, float]


def evaluate(prediction: ArrayLike, truth: ArrayLike, saliency: ArrayLike | None = None) -> Scores:
    """Every measure of one segmented image or volume.

    Parameters
    ----------
    prediction, truth : (\\*S) arrays of equal shape, any dtype
        Object where above 0.
    saliency : (\\*S) array, optional
        Floats in [0, 1], or uint8 that is divided by 255. The predicted mask by default.

    Raises
    ------
    EvaluationError
        When shapes differ or the saliency map holds other values.

    Examples
    --------
    >>> scores = evaluate([[0, 1], [0, 1]], [[0, 1], [0, 0]])
    >>> scores.iou, scores.recall, scores.mae
    (0.5, 1.0, 0.25)
    """
    check_shapes(np.asarray(prediction), np.asarray(truth))
    heat = np.asarray(prediction) > 0 if saliency is None else np.asarray(saliency)
    curve = curves(heat, truth)
    adaptive = adaptive_mask(heat)
    return Scores(
        dice=dice(prediction, truth),
        iou=iou(prediction, truth),
        precision=precision(prediction, truth),
        recall=recall(prediction, truth),
        f_beta=f_beta(prediction, truth),
        mae=mae(heat, truth),
        f_adaptive=f_beta(adaptive, truth),
        f_mean=float(curve.f_measure.mean()),
        f_max=float(curve.f_measure.max()),
        weighted_f=weighted_f(heat, truth),
        s_measure=s_measure(heat, truth),
        e_adaptive=e_measure(adaptive, truth),
        e_mean=float(curve.e_measure.mean()),
        e_max=float(curve.e_measure.max()),
        object_voxels=int(np.count_nonzero(np.asarray(truth) > 0)),
    )


def summarise(scores: Sequence[Scores]) -> Summary:
    """Means over all images, and over the images whose truth holds an object.

    Raises
    ------
    EvaluationError
        When there is no image.

    Examples
    --------
    >>> summary = summarise([evaluate([0, 0], [0, 0]), evaluate([0, 1], [1, 0])])
    >>> summary.means['dice'], summary.means_with_objects['dice']
    (0.5, 0.0)
    """
    if not scores:
        raise EvaluationError('No scores were given; expected those of at least one image.')
    with_objects = [score for score in scores if score.object_voxels]
    return Summary(len(scores), len(with_objects), _means(scores), _means(with_objects))


def _means(scores: Sequence[Scores]) -> dict[str, float]:
    rows = [asdict(score) for score in scores]
    names = [name for name in asdict(scores[0]) if name != 'object_voxels'] if scores else []
    return {name: float(np.mean([row[name] for row in rows])) for name in names}
