"""From saliency to separate objects: threshold, clean-up, connected components."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.measure import label
from skimage.morphology import remove_small_objects

from napari_flim.errors import DecoderError


@dataclass(frozen=True, slots=True)
class ObjectSettings:
    """How saliency is cut into objects.

    Attributes
    ----------
    threshold : float, optional
        Saliency above which a voxel is object; Otsu's threshold of each image by default.
    smallest : int
        Objects of fewer voxels are removed. By default those smaller than the disk (3 x 3) over
        which decoders average.
    fill_holes : bool
        Whether holes inside an object belong to it.
    """

    threshold: float | None = None
    smallest: int = 9
    fill_holes: bool = True

    def __post_init__(self) -> None:
        if self.threshold is not None:
            if not _is_share(self.threshold):
                raise DecoderError(
                    f'The threshold is {self.threshold!r}; expected a saliency from 0 to 1, '
                    "or none for Otsu's."
                )
            object.__setattr__(self, 'threshold', float(self.threshold))
        if isinstance(self.smallest, bool) or not isinstance(self.smallest, int | np.integer):
            raise DecoderError(
                f'The smallest object is {self.smallest!r}; expected a number of voxels.'
            )
        if self.smallest < 0:
            raise DecoderError(
                f'The smallest object is {self.smallest!r}; expected a number from 0 up.'
            )
        object.__setattr__(self, 'smallest', int(self.smallest))
        if not isinstance(self.fill_holes, bool):
            raise DecoderError(f'fill_holes is {self.fill_holes!r}; expected true or false.')


def _is_share(value: object) -> bool:
    number = isinstance(value, int | float | np.floating) and not isinstance(value, bool)
    return number and 0 <= value <= 1  # type: ignore[operator]


def above_threshold(
    saliency: NDArray[np.floating], settings: ObjectSettings = ObjectSettings()
) -> NDArray[np.bool_]:
    """Which voxels of a saliency map are salient; none of a constant map.

    Parameters
    ----------
    saliency : (\\*S) float array in [0, 1]
    settings : ObjectSettings

    Returns
    -------
    (\\*S) bool array
    """
    if saliency.min() == saliency.max():
        return np.zeros(saliency.shape, dtype=bool)
    cut = threshold_otsu(saliency.ravel()) if settings.threshold is None else settings.threshold
    return np.asarray(saliency > cut)


def class_map(
    saliency: NDArray[np.floating],
    classes: Sequence[int],
    settings: ObjectSettings = ObjectSettings(),
) -> NDArray[np.int32]:
    """Class of every voxel: 1 background, or the object class of highest saliency.

    Parameters
    ----------
    saliency : (L, \\*S) float array in [0, 1]
        One map for each object class, on a common scale.
    classes : sequence of int
        Number of each class, from 2.
    settings : ObjectSettings
        Each map has its own threshold; holes are filled and small objects removed after every
        voxel has got its class.
    """
    salient = np.stack([above_threshold(one, settings) for one in saliency])
    strongest = np.where(salient, saliency, -1.0).argmax(axis=0)
    claimed: NDArray[np.bool_] = np.asarray(salient.any(axis=0))
    free: NDArray[np.bool_] = np.logical_not(claimed)
    result = np.ones(saliency.shape[1:], dtype=np.int32)
    for index, number in enumerate(classes):
        own = claimed & (strongest == index)
        result[_without_specks(_filled(own, free, settings), settings)] = number
    # A speck that was removed may have left a hole in another object.
    for number in classes:
        result[_filled(result == number, result == 1, settings)] = number
    return result


def _filled(
    mask: NDArray[np.bool_], free: NDArray[np.bool_], settings: ObjectSettings
) -> NDArray[np.bool_]:
    """The mask with its holes filled where nothing else lies."""
    if not settings.fill_holes:
        return mask
    filled: NDArray[np.bool_] = mask | (ndimage.binary_fill_holes(mask) & free)
    return filled


def _without_specks(mask: NDArray[np.bool_], settings: ObjectSettings) -> NDArray[np.bool_]:
    if settings.smallest <= 1:
        return mask
    return np.asarray(
        remove_small_objects(mask, max_size=settings.smallest - 1, connectivity=mask.ndim)
    )


def separate_objects(classes: NDArray[np.integer]) -> NDArray[np.int32]:
    """Number the connected components of every object class.

    Parameters
    ----------
    classes : (\\*S) int array
        1 background, 2.. objects.

    Returns
    -------
    (\\*S) int32 array
        0 background, 1.. objects.

    Examples
    --------
    >>> separate_objects(np.array([[2, 1, 2, 3]]))
    array([[1, 0, 2, 3]], dtype=int32)
    """
    return np.asarray(label(classes, background=1, connectivity=classes.ndim), dtype=np.int32)
