"""Features for the arcs of a forest: the image, and what FLIM has learned, in chosen shares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_flim.delineation.delineation_settings import DelineationSettings
from napari_flim.delineation.inputs import checked_stack
from napari_flim.errors import DelineationError


@dataclass(frozen=True, eq=False)
class BandRanges:
    """Lowest and highest value of every band of a group.

    Attributes
    ----------
    lowest, highest : (n,) float32 array
    """

    lowest: NDArray[np.float32]
    highest: NDArray[np.float32]

    def joined(self, other: BandRanges) -> BandRanges:
        """The ranges over two parts of an image."""
        return BandRanges(
            np.minimum(self.lowest, other.lowest), np.maximum(self.highest, other.highest)
        )


def band_ranges(group: NDArray[np.float32]) -> BandRanges:
    """Ranges of the bands of a group: (n, \\*S) float32 array.

    Examples
    --------
    >>> band_ranges(np.array([[0, 255]], np.float32)).highest
    array([255.], dtype=float32)
    """
    flat = group.reshape(len(group), -1)
    return BandRanges(flat.min(axis=1), flat.max(axis=1))


def arc_features(
    image: ArrayLike,
    learned: ArrayLike,
    ndim: int,
    *,
    share: float = 0.7,
    ranges: tuple[BandRanges, BandRanges] | None = None,
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
    ranges : pair of BandRanges, optional
        Of the bands and the maps of a whole image, when these are a part of it.

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
    of_bands, of_maps = ranges or (band_ranges(bands), band_ranges(maps))
    return np.concatenate(
        [
            _over_range(bands, of_bands) * np.float32((1 - share) * total / len(bands)),
            _over_range(maps, of_maps) * np.float32(share * total / len(maps)),
        ]
    )


def growth_features(
    image: NDArray[np.float32],
    learned: ArrayLike | None,
    settings: DelineationSettings,
    ranges: tuple[BandRanges, BandRanges] | None = None,
) -> NDArray[np.float32]:
    """What the objects of a delineation grow on; only forests compare what was learned.

    Parameters
    ----------
    image : (n_I, \\*S) float32 array
    learned : (n_F, \\*S) array, optional
        What block 1 of an encoder makes of the image, at image size.
    settings : DelineationSettings
    ranges : pair of BandRanges, optional
        Of both in a whole image, when these are a part of it.

    Returns
    -------
    (n_I, \\*S) or (n_I + n_F, \\*S) float32 array
    """
    if learned is None or not settings.compares_learned:
        return image
    share = settings.learned_share
    return arc_features(image, learned, image.ndim - 1, share=share, ranges=ranges)


def _over_range(group: NDArray[np.float32], ranges: BandRanges) -> NDArray[np.float32]:
    """A group of bands that starts at 0 and whose widest band ends at 1."""
    widest = (ranges.highest - ranges.lowest).max()
    shifted = group - ranges.lowest.reshape(-1, *[1] * (group.ndim - 1))
    return np.asarray(shifted / widest if widest > 0 else shifted)
