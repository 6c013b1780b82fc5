"""Relaxation: the border of objects made smooth where the image is.

Malmberg, 10.1117/12.840019, as used by the marker-relaxed dynamic trees (ADMRDT) of LibIFT.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from napari_flim.delineation.inputs import checked_features, checked_saliency
from napari_flim.delineation.neighbours import neighbourhood
from napari_flim.delineation.shifts import feature_distance, shifted

PASSES = 2
CONTRAST = 100.0
"""Features of about [0, 1] are compared on the scale of CIE Lab, 0 to 100, as published."""
CONFIDENCE = 0.001
"""Weight of the saliency beside the labels."""
LEAST = 0.01
"""Smaller values become 0."""


def relaxed_saliency(
    objects: ArrayLike,
    saliency: ArrayLike,
    features: ArrayLike,
    fixed: ArrayLike | None = None,
    *,
    passes: int = PASSES,
) -> NDArray[np.float32]:
    """How much of the neighbourhood of each voxel is object, weighted by similarity.

    Starts from ``L = [object] + 0.001 S`` and repeats
    ``L(p) <- sum_q L(q) / (1 + w(p, q)) / sum_q 1 / (1 + w(p, q))`` over the voxels q within a
    distance of 1.5 (p itself with w = 0), with ``w = 100 ||F(p) - F(q)||``. Values below 0.01
    become 0.

    Parameters
    ----------
    objects : (\\*S) int or bool array
        Object where above 0.
    saliency : (\\*S) float array in [0, 1]
    features : (\\*S) or (C, \\*S) float array
        On a scale of about [0, 1].
    fixed : (\\*S) bool array, optional
        Voxels that keep their value, such as seeds.
    passes : int
        How often all voxels are renewed.

    Returns
    -------
    (\\*S) float32 array
        From 0 to 1.001.
    """
    one = checked_saliency(saliency)[0][0]
    values = checked_features(features, one.shape)
    start = (np.asarray(objects) > 0) + CONFIDENCE * one.astype(np.float64)
    kept = np.zeros(one.shape, dtype=bool) if fixed is None else np.asarray(fixed, dtype=bool)
    arcs = []
    for offset in neighbourhood(one.ndim, 8 if one.ndim == 2 else 18).offsets:
        here, there = shifted(one.shape, offset)
        share = 1 / (1 + CONTRAST * feature_distance(values, here, there))
        arcs.append((here, there, share))
    total = np.ones(one.shape)
    for here, _, share in arcs:
        total[here] += share
    current = start
    for _ in range(passes):
        heard = current.copy()
        for here, there, share in arcs:
            heard[here] += share * current[there]
        current = np.where(kept, start, heard / total)
    return np.where(current < LEAST, 0, current).astype(np.float32)


def relaxed_labels(
    labels: NDArray[np.int32],
    saliency: NDArray[np.floating],
    features: NDArray[np.float32],
    fixed: NDArray[np.bool_],
) -> NDArray[np.int32]:
    """Objects with a relaxed border: object where the relaxed saliency is at least one half.

    Parameters
    ----------
    labels : (\\*S) int32 array
        0 background, 1.. objects.
    saliency, features, fixed
        See `relaxed_saliency`.

    Returns
    -------
    (\\*S) int32 array
        Voxels that become object belong to the nearest one; borders between objects stay.
    """
    inside = relaxed_saliency(labels, saliency, features, fixed) >= 0.5
    if not labels.any():
        return labels
    nearest = ndimage.distance_transform_edt(
        labels == 0, return_distances=False, return_indices=True
    )
    return np.where(inside, labels[tuple(nearest)], 0).astype(np.int32)
