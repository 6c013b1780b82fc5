"""Settings of delineation changed by name, those of its seeds among them."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from napari_flim.delineation.delineation_settings import DelineationSettings
from napari_flim.delineation.seed_settings import SeedSettings
from napari_flim.errors import DelineationError

OF_SEEDS = frozenset(one.name for one in fields(SeedSettings))
OF_GROWTH = frozenset(one.name for one in fields(DelineationSettings))

LIKELY = 0.5
"""Probability from which on a voxel is taken for object."""


def with_changes(settings: DelineationSettings, **changes: Any) -> DelineationSettings:
    """The settings with other values.

    Parameters
    ----------
    settings : DelineationSettings
    **changes
        Fields of `DelineationSettings`, or of its `SeedSettings`.

    Raises
    ------
    DelineationError
        When there is no such field, or a value is not allowed.

    Examples
    --------
    >>> changed = with_changes(DelineationSettings(), method='watershed', threshold=0.4)
    >>> changed.method, changed.seeds.threshold
    ('watershed', 0.4)
    """
    unknown = sorted(set(changes) - OF_SEEDS - OF_GROWTH)
    if unknown:
        raise DelineationError(
            f'Delineation has no setting {unknown[0]!r}; it has '
            f'{", ".join(sorted(OF_SEEDS | OF_GROWTH))}.'
        )
    grown = replace(settings, **{k: v for k, v in changes.items() if k in OF_GROWTH})
    of_seeds = {k: v for k, v in changes.items() if k in OF_SEEDS}
    return replace(grown, seeds=replace(grown.seeds, **of_seeds)) if of_seeds else grown


def for_probabilities(settings: DelineationSettings, probable: bool) -> DelineationSettings:
    """The settings with the threshold that suits the saliency, unless another one was chosen.

    Parameters
    ----------
    settings : DelineationSettings
    probable : bool
        Whether saliency is a probability, which is cut at `LIKELY`, so that an image without
        objects stays empty; else it is relative to the image, and each image has its threshold.

    Examples
    --------
    >>> for_probabilities(DelineationSettings(), True).seeds.threshold
    0.5
    >>> for_probabilities(with_changes(DelineationSettings(), threshold=0.8), True).seeds.threshold
    0.8
    """
    seeds = settings.seeds
    if probable and (seeds.threshold, seeds.rule, seeds.scale) == (None, 'otsu', 1):
        return with_changes(settings, threshold=LIKELY)
    if not probable and settings.seeds.threshold == LIKELY:
        return with_changes(settings, threshold=None)
    return settings
