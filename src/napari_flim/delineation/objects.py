"""From saliency to separate objects: threshold, clean-up, connected components."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import label
from skimage.morphology import remove_small_objects

from napari_flim.delineation.inputs import check_finite, check_flag, check_length, is_number
from napari_flim.delineation.saliency_thresholds import RULES, Rule, image_threshold, tightened
from napari_flim.errors import DelineationError


@dataclass(frozen=True)
class ObjectSettings:
    """How saliency is cut into objects.

    Attributes
    ----------
    threshold : float, optional
        Saliency above which a voxel is object. By default it is found in each image by the rule.
    smallest : int
        Objects of fewer voxels are removed. By default those smaller than the disk (3 x 3) over
        which decoders average.
    fill_holes : bool
        Whether holes inside an object belong to it.
    rule : {'otsu', 'component_otsu', 'percentile'}
        How the threshold is found, see `napari_flim.delineation.saliency_thresholds`.
    percentile : float
        From 0 to 100: share of the voxels that are not object, for ``rule='percentile'``.
    scale : float
        Above 0: by what a threshold that was found is multiplied.
    opening, closing : float
        Radius, in world units, of the disk or ball that must fit into an object, and into the
        background around it; 0 for none. Opening comes first, both before holes are filled.

    Raises
    ------
    DelineationError
        When a value is not allowed.
    """

    threshold: float | None = None
    smallest: int = 9
    fill_holes: bool = True
    rule: Rule = 'otsu'
    percentile: float = 95.0
    scale: float = 1.0
    opening: float = 0.0
    closing: float = 0.0

    def __post_init__(self) -> None:
        if self.threshold is not None:
            if not is_number(self.threshold) or not 0 <= self.threshold <= 1:
                raise DelineationError(
                    f'The threshold is {self.threshold!r}; expected a saliency from 0 to 1, '
                    'or none to let a rule find it.'
                )
            object.__setattr__(self, 'threshold', float(self.threshold))
        if self.rule not in RULES:
            raise DelineationError(
                f'The rule for thresholds is {self.rule!r}; expected a name from: '
                f'{", ".join(RULES)}.'
            )
        if isinstance(self.smallest, bool) or not isinstance(self.smallest, int | np.integer):
            raise DelineationError(
                f'The smallest object is {self.smallest!r}; expected a number of voxels.'
            )
        if self.smallest < 0:
            raise DelineationError(
                f'The smallest object is {self.smallest!r}; expected a number from 0 up.'
            )
        object.__setattr__(self, 'smallest', int(self.smallest))
        check_flag('fill_holes', self.fill_holes)
        if not is_number(self.percentile) or not 0 <= self.percentile <= 100:
            raise DelineationError(
                f'The percentile is {self.percentile!r}; expected a number from 0 to 100.'
            )
        if not is_number(self.scale) or not 0 < self.scale < math.inf:
            raise DelineationError(f'The scale is {self.scale!r}; expected a number above 0.')
        for name in ('opening', 'closing'):
            check_length(name, getattr(self, name))
        for name in ('percentile', 'scale', 'opening', 'closing'):
            object.__setattr__(self, name, float(getattr(self, name)))


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

    Raises
    ------
    DelineationError
        When a value is not finite.
    """
    check_finite(saliency, 'saliency')
    if saliency.min() == saliency.max():
        return np.zeros(saliency.shape, dtype=bool)
    if settings.threshold is not None:
        return np.asarray(saliency > settings.threshold)
    cut = image_threshold(saliency, settings.rule, settings.percentile) * settings.scale
    salient = np.asarray(saliency > cut)
    if settings.rule == 'component_otsu':
        return tightened(salient, saliency, settings.scale)
    return salient


def class_map(
    saliency: NDArray[np.floating],
    classes: Sequence[int],
    settings: ObjectSettings = ObjectSettings(),
    spacing: Sequence[float] | None = None,
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
    spacing : sequence of float, optional
        World units per voxel, for opening and closing; 1 by default.
    """
    salient = np.stack([above_threshold(one, settings) for one in saliency])
    strongest = np.where(salient, saliency, -1.0).argmax(axis=0)
    claimed: NDArray[np.bool_] = np.asarray(salient.any(axis=0))
    free: NDArray[np.bool_] = np.logical_not(claimed)
    result = np.ones(saliency.shape[1:], dtype=np.int32)
    for index, number in enumerate(classes):
        own = smoothed_mask(claimed & (strongest == index), free, settings, spacing)
        result[_without_specks(_filled(own, free, settings), settings)] = number
    # A speck that was removed may have left a hole in another object.
    for number in classes:
        result[_filled(result == number, result == 1, settings)] = number
    return result


def smoothed_mask(
    mask: NDArray[np.bool_],
    free: NDArray[np.bool_],
    settings: ObjectSettings,
    spacing: Sequence[float] | None,
) -> NDArray[np.bool_]:
    """The mask opened, then closed where nothing else lies."""
    if settings.opening:
        mask = opened(mask, settings.opening, spacing)
    if settings.closing:
        mask = mask | (~opened(~mask, settings.closing, spacing) & free)
    return mask


def opened(
    mask: NDArray[np.bool_], radius: float, spacing: Sequence[float] | None = None
) -> NDArray[np.bool_]:
    """What a disk or ball covers that moves within a mask.

    The border of the image does not hinder it: what lies outside continues what lies inside.

    Parameters
    ----------
    mask : (\\*S) bool array
    radius : float
        In world units, from 0.
    spacing : sequence of float, optional
        World units per voxel.
    """
    if mask.all():
        return mask
    centres = np.asarray(ndimage.distance_transform_edt(mask, sampling=spacing) > radius)
    if not centres.any():
        return centres
    return np.asarray(ndimage.distance_transform_edt(~centres, sampling=spacing) <= radius)


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
