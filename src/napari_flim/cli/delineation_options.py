"""Options of the commands that delineate: what differs from the settings of a model in one run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from napari_flim.delineation.area_range import AreaRange
from napari_flim.delineation.changes import with_changes
from napari_flim.delineation.delineation_settings import DelineationSettings


@dataclass(frozen=True, slots=True)
class DelineationOptions:
    """What was typed; None where nothing was.

    Attributes
    ----------
    method : str, optional
    threshold : float, optional
        Saliency from 0 to 1.
    smallest, largest : float, optional
        Area or volume in world units; 0 and infinity take a limit away.
    border : int, optional
        Voxels; 0 takes the frame away.
    erosion, dilation : float, optional
        World units.
    """

    method: str | None = None
    threshold: float | None = None
    smallest: float | None = None
    largest: float | None = None
    border: int | None = None
    erosion: float | None = None
    dilation: float | None = None

    def applied_to(self, settings: DelineationSettings) -> DelineationSettings:
        """The settings for this run.

        Raises
        ------
        DelineationError
            When a value is not allowed.

        Examples
        --------
        >>> DelineationOptions(smallest=40).applied_to(DelineationSettings()).seeds.sizes
        AreaRange(smallest=40.0, largest=None)
        """
        named = ('method', 'threshold', 'erosion', 'dilation')
        values = ((name, getattr(self, name)) for name in named)
        changes: dict[str, Any] = {name: value for name, value in values if value is not None}
        if self.border is not None:
            changes['border'] = self.border or None
        if self.smallest is not None or self.largest is not None:
            changes['sizes'] = self._sizes(settings.seeds.sizes or AreaRange())
        return with_changes(settings, **changes)

    def _sizes(self, before: AreaRange) -> AreaRange:
        smallest = before.smallest if self.smallest is None else self.smallest
        largest = before.largest if self.largest is None else self.largest
        return AreaRange(smallest, None if largest == math.inf else largest)
