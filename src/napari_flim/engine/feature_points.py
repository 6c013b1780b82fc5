"""FLIM-BoFP: a bag of feature points in place of clusters in every block.

A few voxels of each marker are chosen once, on the input; in every block, the patch at each of
them becomes one kernel (arXiv 2602.20845). What follows is the ordinary learner, with every point
as a marker of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from napari_flim.engine.candidates import thin_markers
from napari_flim.engine.clustering import representatives
from napari_flim.engine.marked_regions import MarkedRegions
from napari_flim.engine.markers import BACKGROUND, MarkerSet
from napari_flim.engine.normalization import Normalization
from napari_flim.engine.patches import tap_offsets

RADIUS = 3.0
"""In voxels, of the disk or ball around a voxel that must represent a marker."""


def choose_feature_points(
    inputs: Sequence[MarkedRegions],
    markers: Sequence[MarkerSet],
    normalization: Normalization,
    *,
    radius: float = RADIUS,
    on_background: int = 1,
    on_objects: int = 3,
    seed: int = 0,
) -> list[MarkerSet]:
    """The voxels of each marker whose surroundings represent it best.

    Parameters
    ----------
    inputs : sequence of MarkedRegions
        Images after the input transform.
    markers : sequence of MarkerSet
    normalization : Normalization
        Of the first block.
    radius : float
        Radius in voxels of the disk or ball that is compared.
    on_background, on_objects : int
        Points for each marker of the background and of an object.
    seed : int

    Returns
    -------
    list of MarkerSet
        Every point is a marker of its own.
    """
    result = []
    for image, (x, drawn) in enumerate(zip(inputs, markers, strict=True)):
        marked, chosen = thin_markers(drawn), []
        for marker in range(marked.count):
            voxels = np.flatnonzero(marked.markers == marker)
            if not len(voxels):
                continue
            wanted = on_background if marked.classes[voxels[0]] == BACKGROUND else on_objects
            surroundings = _surroundings(x, marked.coordinates[voxels], radius, normalization)
            rng = np.random.default_rng([seed, 0, image, int(marked.flat[voxels].min())])
            _, indices = representatives(surroundings, wanted, rng)
            chosen.append(voxels[indices])
        points = marked.select(np.concatenate(chosen) if chosen else np.zeros(0, np.int64))
        number = np.arange(len(points), dtype=np.int64)
        result.append(MarkerSet(points.coordinates, points.classes, number, points.shape))
    return result


def _surroundings(
    x: MarkedRegions, coordinates: NDArray[np.int64], radius: float, normalization: Normalization
) -> NDArray[np.float64]:
    """Normalised values (M, P) in the disk or ball around every voxel."""
    ndim, reach = coordinates.shape[1], int(radius)
    size = (2 * reach + 1,) * ndim
    box = x.patches(coordinates, size, (1,) * ndim, normalization)
    inside = (tap_offsets(size, (1,) * ndim) ** 2).sum(axis=1) <= radius**2
    disk = box.reshape(len(coordinates), len(inside), -1)[:, torch.from_numpy(inside)]
    return disk.reshape(len(coordinates), -1).numpy().astype(np.float64)
