"""The differential forest: after a stroke, only what depends on it grows anew."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from napari_flim.delineation.forest import Forest, forest_of
from napari_flim.delineation.forest_state import FINAL, SETTLED
from napari_flim.delineation.ground import checked_seeds
from napari_flim.delineation.growing import grow_changed
from napari_flim.progress import Job, finished


def revise_job(forest: Forest, seeds: ArrayLike) -> Job[Forest]:
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
    wanted = checked_seeds(seeds, forest.labels.shape)
    changed = np.flatnonzero(wanted != forest.seeds)
    labels = np.maximum(wanted.ravel()[changed], 0)
    # NumPy copies records field by field, which takes ten times as long as their bytes.
    voxels = forest.voxels.ravel().view(np.uint8).copy().view(forest.voxels.dtype)
    states = voxels['state']
    states[states == FINAL] = SETTLED
    means = yield from grow_changed(forest.arcs, voxels, forest.means, changed, labels)
    return forest_of(voxels, wanted, forest.mask, forest.arcs, means)


revise = finished(revise_job)
