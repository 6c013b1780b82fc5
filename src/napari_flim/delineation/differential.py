"""The differential forest: after a stroke, only what depends on it grows anew."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from napari_flim.delineation.forest import Forest, forest_of
from napari_flim.delineation.forest_state import OUTSIDE, Voxels
from napari_flim.delineation.ground import checked_seeds
from napari_flim.delineation.growing import grow_changed
from napari_flim.progress import Job, finish


def revise(forest: Forest, seeds: ArrayLike) -> Forest:
    """The forest of other seeds on the same image, from one that is already grown.

    Falcão and Bergo, 10.1109/TMI.2004.829335. Trees of seeds that are gone are freed, and the trees
    beside them and the new seeds compete for what they held. Features, mask, weights and neighbours
    are those of the forest; call it after each stroke, with the forest that the last call returned.

    A watershed is exactly that of `napari_flim.delineation.forest.watershed`: same costs, and same
    labels wherever they do not depend on ties. Dynamic trees compare with means that already hold
    what the trees have taken in, so that labels may differ from those of a full run; the means
    always are those of the voxels that each tree holds. A voxel that a new tree takes frees all
    voxels whose path ran through it. Grow a new forest where this matters.

    Parameters
    ----------
    forest : Forest
        Left as it is.
    seeds : (\\*S) int array
        All seeds, old and new.

    Returns
    -------
    Forest

    Raises
    ------
    DelineationError
        When the seeds do not have the shape of the forest or are not whole numbers.

    Examples
    --------
    >>> from napari_flim.delineation.forest import watershed
    >>> forest = watershed(np.array([[0, 1, 1, 7, 8]]), np.array([[1, 0, 0, 0, 2]]))
    >>> revise(forest, np.array([[1, 0, 3, 0, 2]])).labels
    array([[1, 3, 3, 2, 2]], dtype=int32)
    """
    return finish(revise_job(forest, seeds))


def revise_job(forest: Forest, seeds: ArrayLike) -> Job[Forest]:
    """`revise` as a generator that reports progress and can be closed midway."""
    wanted = checked_seeds(seeds, forest.labels.shape)
    changed = np.flatnonzero(wanted != forest.seeds)
    labels = np.maximum(wanted.ravel()[changed], 0)
    states = (forest.roots >= 0).ravel().view(np.uint8)
    if forest.mask is not None:
        states[~forest.mask.ravel()] = OUTSIDE
    voxels = Voxels(
        forest.labels.flatten(),
        forest.costs.flatten(),
        forest.roots.flatten(),
        forest.predecessors.flatten(),
        states,
    )
    means = yield from grow_changed(forest.arcs, voxels, forest.means, changed, labels)
    return forest_of(voxels, wanted, forest.mask, forest.arcs, means)
