"""What a forest grows on: features, seeds and mask, checked and laid out for the growth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_flim.delineation.forest_state import NODE, Arcs
from napari_flim.delineation.inputs import check_finite, stacked
from napari_flim.delineation.neighbours import Neighbourhood
from napari_flim.errors import DelineationError


@dataclass(frozen=True, eq=False)
class Ground:
    """Checked input of a forest.

    Attributes
    ----------
    values : (N, C) float32 array
        Features of every voxel, C order; read-only, and nobody else's.
    seeds : (\\*S) int32 array
    mask : (\\*S) bool array, optional
    """

    values: NDArray[np.float32]
    seeds: NDArray[np.int32]
    mask: NDArray[np.bool_] | None


def checked_ground(features: ArrayLike, seeds: ArrayLike, mask: ArrayLike | None) -> Ground:
    """The input of a forest, or a `DelineationError` that says what does not fit.

    Parameters
    ----------
    features : (\\*S) or (C, \\*S) array
        Finite wherever the mask allows growth.
    seeds : (\\*S) int array
    mask : (\\*S) bool array, optional
    """
    checked = checked_seeds(seeds)
    values = stacked(features, checked.ndim)
    if values.shape[1:] != checked.shape:
        raise DelineationError(
            f'The features have shape {np.shape(features)}, the seeds {checked.shape}; expected '
            'features of the shape of the seeds, or with a first axis of channels before it.'
        )
    own = np.empty((checked.size, len(values)), dtype=np.float32)
    for channel, one in enumerate(values):
        own[:, channel] = one.ravel()
    allowed = None if mask is None else _checked_mask(mask, checked.shape)
    check_finite(own if allowed is None else own[allowed.ravel()], 'image')
    own.flags.writeable = False
    return Ground(own, checked, allowed)


def checked_seeds(seeds: ArrayLike, shape: tuple[int, ...] | None = None) -> NDArray[np.int32]:
    """A copy of the seeds as int32, or a `DelineationError`.

    Parameters
    ----------
    seeds : (\\*S) int array
    shape : tuple of int, optional
        The shape they must have.
    """
    given = np.asarray(seeds)
    if shape is not None and given.shape != shape:
        raise DelineationError(
            f'The seeds have shape {given.shape}, the forest {shape}; they must be equal. '
            'Grow a new forest for another image.'
        )
    if given.dtype.kind not in 'biu':
        raise DelineationError(f'The seeds are {given.dtype}; expected whole numbers, 0 for none.')
    if not given.size:
        raise DelineationError(f'The seeds have shape {given.shape}; expected at least one voxel.')
    if given.dtype.itemsize >= 4 and given.dtype != np.int32:
        largest, limit = int(given.max()), np.iinfo(np.int32).max
        if largest > limit:
            raise DelineationError(
                f'The largest label of the seeds is {largest}; expected at most {limit}.'
            )
        given = np.maximum(given, 0)
    return given.astype(np.int32)


def _checked_mask(mask: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    allowed = np.array(mask, dtype=bool)
    if allowed.shape != shape:
        raise DelineationError(
            f'The mask has shape {allowed.shape}, the seeds {shape}; they must be equal.'
        )
    allowed.flags.writeable = False
    return allowed


def arcs_on(
    ground: Ground,
    around: Neighbourhood,
    factors: NDArray[np.float64],
    rule: int,
    alpha: float = 0.0,
) -> Arcs:
    """The graph of an image.

    Parameters
    ----------
    ground : Ground
    around : Neighbourhood
    factors : (K,) float64 array
        By what the weight of each arc is multiplied.
    rule : int
        What a neighbour is compared with, see `napari_flim.delineation.forest_state`.
    alpha : float
        Share of the path in its average.
    """
    values = _gradient_of(ground) if rule == NODE else ground.values
    missing = 3 - ground.seeds.ndim
    shape = np.array((1,) * missing + ground.seeds.shape, dtype=np.int64)
    steps = np.pad(around.offsets, ((0, 0), (missing, 0)))
    jumps = steps @ np.array([shape[1] * shape[2], shape[2], 1])
    reach = np.abs(steps).max(axis=0)
    return Arcs(values, shape, reach, steps, jumps, factors, rule, float(alpha))


def _gradient_of(ground: Ground) -> NDArray[np.float32]:
    if ground.values.shape[1] != 1:
        raise DelineationError(
            f'A gradient image was expected, and {ground.values.shape[1]} channels were given; '
            'compute it with gradient(), or use static weights.'
        )
    # A path costs 0 at the seed, so that no weight below counts.
    values: NDArray[np.float32] = np.maximum(ground.values, 0)
    values.flags.writeable = False
    return values
