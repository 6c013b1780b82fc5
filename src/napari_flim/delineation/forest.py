"""Optimum-path forests: every voxel goes to the seed that reaches it by the cheapest path.

The cost of a path is the largest weight of its arcs. In a watershed the weights are given; in
dynamic trees they follow from what a tree has taken in so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_flim.delineation.forest_state import (
    LABEL,
    NODE,
    OUTSIDE,
    PATH,
    ROOT,
    STATIC,
    WAITING,
    Arcs,
    Indices,
    Means,
    Voxels,
    voxel_type,
)
from napari_flim.delineation.ground import Ground, arcs_on, checked_ground
from napari_flim.delineation.growing import blank_means, grow_changed
from napari_flim.delineation.neighbours import neighbourhood
from napari_flim.errors import DelineationError
from napari_flim.progress import Job, finished

Weight = Literal['static', 'node']
Mean = Literal['root', 'label', 'exponential']

RULES = {'root': ROOT, 'label': LABEL, 'exponential': PATH}


@dataclass(frozen=True, eq=False)
class Forest:
    """Which seed every voxel belongs to, and by which path.

    Attributes
    ----------
    labels : (\\*S) int32 array
        Label of the seed; 0 where nothing was reached: outside the mask, or without seeds.
    voxels : (\\*S) array of `napari_flim.delineation.forest_state.voxel_type`
        Cost, root and predecessor together, as they grew.
    seeds : (\\*S) int32 array
        The seeds as they were given.
    mask : (\\*S) bool array, optional
        The voxels that could be reached.
    arcs : Arcs
        Features and weights, kept for `napari_flim.delineation.differential.revise`.
    means : Means
        What the trees have taken in; empty arrays in a watershed.

    All arrays are read-only.
    """

    labels: NDArray[np.int32]
    voxels: Voxels
    seeds: NDArray[np.int32]
    mask: NDArray[np.bool_] | None
    arcs: Arcs
    means: Means

    def __post_init__(self) -> None:
        for array in (self.labels, self.voxels, self.seeds, *self.means):
            array.flags.writeable = False

    @property
    def costs(self) -> NDArray[np.float32]:
        """Largest weight on the path from the seed, in units of the features.

        (\\*S) float32 array, infinite where nothing was reached.
        """
        return self.voxels['cost']

    @property
    def roots(self) -> Indices:
        """Flat index (C order) of the seed.

        (\\*S) int32 array, int64 above 2**28 voxels; -1 where nothing was reached.
        """
        return self.voxels['root']

    @property
    def predecessors(self) -> Indices:
        """Flat index of the voxel before.

        (\\*S) array like ``roots``; -1 at seeds and where nothing was reached.
        """
        return self.voxels['predecessor']


def watershed_job(
    features: ArrayLike,
    seeds: ArrayLike,
    *,
    weight: Weight = 'static',
    mask: ArrayLike | None = None,
    neighbours: int | None = None,
    spacing: Sequence[float] | None = None,
) -> Job[Forest]:
    """The IFT watershed: a forest whose arc weights do not depend on the trees.

    Falcão, Stolfi and Lotufo, 10.1109/TPAMI.2004.1261076. A seed costs 0; a path costs the largest
    weight of its arcs; a voxel changes hands only for a lower cost; among equal costs the voxel
    that entered the queue first goes first.

    Parameters
    ----------
    features : (\\*S) or (C, \\*S) array
        Finite values; computed in float32. For ``weight='node'`` a gradient image (\\*S),
        whose values below 0 count as 0.
    seeds : (\\*S) int array
        Labels above 0; 0 or less is no seed. Seeds outside the mask are ignored.
    weight : {'static', 'node'}
        ``'static'``: w(p, q) = ||F(p) - F(q)||. ``'node'``: w(p, q) = G(q), the watershed on an
        image of boundaries: the probabilities of membranes that a network has found, or
        `napari_flim.delineation.gradient.gradient`.
    mask : (\\*S) bool array, optional
        Voxels that may be reached; all by default.
    neighbours : int, optional
        4 or 8 in two dimensions, 6, 18 or 26 in three; the smallest by default.
    spacing : sequence of float, optional
        World units per voxel. Static weights are then divided by the length of the arc relative to
        the smallest spacing, so that they are changes per distance. Node weights do not depend on
        it; the gradient image does.

    Returns
    -------
    Forest

    Raises
    ------
    DelineationError
        When shapes do not fit, features are not finite, or a setting does not exist.

    Examples
    --------
    >>> image = np.array([[0, 1, 1, 7, 8]])
    >>> seeds = np.array([[1, 0, 0, 0, 2]])
    >>> forest = watershed(image, seeds)
    >>> forest.labels
    array([[1, 1, 1, 2, 2]], dtype=int32)
    >>> forest.costs
    array([[0., 1., 1., 1., 0.]], dtype=float32)
    """
    if weight not in ('static', 'node'):
        raise DelineationError(f"The weight is {weight!r}; choose 'static' or 'node'.")
    ground = checked_ground(features, seeds, mask)
    around = neighbourhood(ground.seeds.ndim, neighbours, spacing)
    if weight == 'static':
        return _grow(ground, arcs_on(ground, around, 1 / around.lengths, STATIC))
    return _grow(ground, arcs_on(ground, around, np.ones_like(around.lengths), NODE))


watershed = finished(watershed_job)


def dynamic_trees_job(
    features: ArrayLike,
    seeds: ArrayLike,
    *,
    mean: Mean = 'root',
    alpha: float = 0.5,
    mask: ArrayLike | None = None,
    neighbours: int | None = None,
    spacing: Sequence[float] | None = None,
) -> Job[Forest]:
    """Dynamic trees: a forest whose arc weights compare a voxel with what a tree has taken in.

    Bragantini, Martins, Castelo-Fernandez and Falcão, 10.1007/978-3-030-13469-3_52. When p leaves
    the queue, its features first join an average, then w(p, q) = ||average - F(q)|| for its
    neighbours. Costs of voxels that wait in the queue are not computed again. Otherwise as
    `watershed`.

    Parameters
    ----------
    features : (\\*S) or (C, \\*S) array
        Finite values; kept in float32, averaged in float64.
    seeds : (\\*S) int array
        Labels above 0; 0 or less is no seed. Seeds outside the mask are ignored.
    mean : {'root', 'label', 'exponential'}
        One mean for every seed voxel; one for every label, empty at the start; or one for every
        path: a(seed) = F(seed), a(p) = (1 - alpha) F(p) + alpha a(predecessor of p).
    alpha : float
        In [0, 1], for ``'exponential'`` only: 0 is a static watershed, 1 keeps the seed's value.
    mask : (\\*S) bool array, optional
        Voxels that may be reached; all by default.
    neighbours : int, optional
        4 or 8 in two dimensions, 6, 18 or 26 in three; the smallest by default.
    spacing : sequence of float, optional
        World units per voxel. Weights are then multiplied by the length of the arc relative to the
        smallest spacing: they are no change along the arc, and a voxel that is farther away has to
        fit a tree better.

    Returns
    -------
    Forest

    Raises
    ------
    DelineationError
        When shapes do not fit, features are not finite, or a setting does not exist.

    Examples
    --------
    >>> image = np.array([[0, 1, 2, 7, 8]])
    >>> seeds = np.array([[1, 0, 0, 0, 2]])
    >>> forest = dynamic_trees(image, seeds)
    >>> forest.labels
    array([[1, 1, 1, 2, 2]], dtype=int32)
    >>> forest.costs
    array([[0. , 1. , 1.5, 1. , 0. ]], dtype=float32)
    """
    if mean not in RULES:
        raise DelineationError(f"The mean is {mean!r}; choose 'root', 'label' or 'exponential'.")
    if not 0 <= alpha <= 1:
        raise DelineationError(f'alpha is {alpha!r}; expected a share from 0 to 1.')
    ground = checked_ground(features, seeds, mask)
    around = neighbourhood(ground.seeds.ndim, neighbours, spacing)
    return _grow(ground, arcs_on(ground, around, around.lengths, RULES[mean], alpha))


dynamic_trees = finished(dynamic_trees_job)


def _grow(ground: Ground, arcs: Arcs) -> Job[Forest]:
    """The forest of all seeds."""
    size = ground.seeds.size
    voxels = np.repeat(np.array([(np.inf, -1, -1, WAITING)], dtype=voxel_type(size)), size)
    if ground.mask is not None:
        voxels['state'][~ground.mask.ravel()] = OUTSIDE
    flat = ground.seeds.ravel()
    planted = np.flatnonzero(flat > 0)
    means = yield from grow_changed(arcs, voxels, blank_means(arcs), planted, flat[planted])
    return forest_of(voxels, ground.seeds, ground.mask, arcs, means)


def forest_of(
    voxels: Voxels,
    seeds: NDArray[np.int32],
    mask: NDArray[np.bool_] | None,
    arcs: Arcs,
    means: Means,
) -> Forest:
    """What has grown, in the shape of the image."""
    shape = seeds.shape
    # A root of -1 stands for the 0 at the end.
    labels = np.append(seeds, np.int32(0)).take(voxels['root'])
    return Forest(labels.reshape(shape), voxels.reshape(shape), seeds, mask, arcs, means)
