"""Features for the arcs of a forest: the image, and what FLIM has learned, in chosen shares."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_flim.delineation.delineation_settings import DelineationSettings
from napari_flim.delineation.inputs import checked_stack
from napari_flim.errors import DelineationError


def arc_features(
    image: ArrayLike, learned: ArrayLike, ndim: int, *, share: float = 0.7
) -> NDArray[np.float32]:
    """Image bands and FLIM bands as one stack, for `watershed` and `dynamic_trees`.

    With n_I image bands, n_F FLIM bands, N = n_I + n_F and share f, image bands are multiplied by
    (1 - f) N / n_I and FLIM bands by f N / n_F. Each group is first divided by its own range, the
    largest difference between two voxels in any of its bands, so that both run over 1 and bands
    keep their proportions within a group. The interactive tool of the LIDS group multiplies FLIM
    bands by f N, which gives them n_F times the weight that was asked for.

    Parameters
    ----------
    image : (\\*S) or (n_I, \\*S) array
        For instance in CIE L*a*b*.
    learned : (\\*S) or (n_F, \\*S) array
        Activations of an encoder at image size, or saliency.
    ndim : int
        2 or 3: the number of spatial axes.
    share : float
        f in [0, 1]: 0 leaves only the image, 1 only what was learned. 0.7 suits activations, 0.3
        saliency.

    Returns
    -------
    (n_I + n_F, \\*S) float32 array
        A group that is constant becomes 0.

    Raises
    ------
    DelineationError
        When shapes do not fit, values are not finite, or the share is outside [0, 1].

    Examples
    --------
    >>> arc_features(np.array([[0, 255]]), np.array([[0.0, 0.5]]), 2, share=0.25)
    array([[[0. , 1.5]],
    <BLANKLINE>
           [[0. , 0.5]]], dtype=float32)
    """
    if not 0 <= share <= 1:
        raise DelineationError(f'The share of FLIM is {share!r}; expected a number from 0 to 1.')
    bands, maps = checked_stack(image, ndim), checked_stack(learned, ndim)
    if bands.shape[1:] != maps.shape[1:]:
        raise DelineationError(
            f'The image has size {bands.shape[1:]}, the learned maps {maps.shape[1:]}; '
            'bring the maps to the size of the image first.'
        )
    total = len(bands) + len(maps)
    return np.concatenate(
        [
            _over_range(bands) * np.float32((1 - share) * total / len(bands)),
            _over_range(maps) * np.float32(share * total / len(maps)),
        ]
    )


def growth_features(
    image: NDArray[np.float32], learned: ArrayLike | None, settings: DelineationSettings
) -> NDArray[np.float32]:
    """What the objects of a delineation grow on; only forests compare what was learned.

    Parameters
    ----------
    image : (n_I, \\*S) float32 array
    learned : (n_F, \\*S) array, optional
        What block 1 of an encoder makes of the image, at image size.
    settings : DelineationSettings

    Returns
    -------
    (n_I, \\*S) or (n_I + n_F, \\*S) float32 array
    """
    if learned is None or not settings.compares_learned:
        return image
    return arc_features(image, learned, image.ndim - 1, share=settings.learned_share)


def _over_range(group: NDArray[np.float32]) -> NDArray[np.float32]:
    """A group of bands that starts at 0 and whose widest band ends at 1."""
    flat = group.reshape(len(group), -1)
    lowest = flat.min(axis=1)
    widest = (flat.max(axis=1) - lowest).max()
    shifted = (flat - lowest[:, None]).reshape(group.shape)
    return np.asarray(shifted / widest if widest > 0 else shifted)
