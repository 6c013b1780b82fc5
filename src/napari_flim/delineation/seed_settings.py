"""SeedSettings: how seeds are made of saliency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_flim.delineation.area_range import AreaRange, as_range
from napari_flim.delineation.inputs import check_flag, check_length
from napari_flim.delineation.objects import ObjectSettings
from napari_flim.errors import DelineationError


@dataclass(frozen=True)
class SeedSettings(ObjectSettings):
    """How saliency is cut into objects, which of them count, and where their seeds lie.

    Attributes
    ----------
    border : int, optional
        Width, in voxels, of the frame along the border of the image: an object with a voxel in it
        is dropped, since a part of it is missing. None, or -1 as in LibIFT, keeps them all.
    border_in_z : bool
        Whether the first and last slices of a volume belong to that frame.
    sizes : AreaRange, optional
        Area or volume, in world units, that an object may have, before and after it has grown.
    erosion : float, optional
        Distance, in world units, that an inner seed keeps from the border of its object. By default
        a share of the depth of each object (of the greatest distance to its border), 0.25 in images
        and 0.3 in volumes, but at least the smallest voxel size, which takes away one layer of
        voxels.
    dilation : float, optional
        Distance, in world units, that outer seeds keep from every object. By default a share of the
        median equivalent diameter of the objects, 0.25 in images and 0.05 in volumes, but at least
        5 of the smallest voxel size in images, and 1 in volumes.

    The other attributes are those of `napari_flim.delineation.objects.ObjectSettings`.
    """

    border: int | None = None
    border_in_z: bool = False
    sizes: AreaRange | None = None
    erosion: float | None = None
    dilation: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.border is not None:
            if isinstance(self.border, bool) or not isinstance(self.border, int | np.integer):
                raise DelineationError(
                    f'The border is {self.border!r}; expected a number of voxels from 1, or none.'
                )
            if self.border != -1 and self.border < 1:
                raise DelineationError(
                    f'The border is {self.border!r}; expected at least 1 voxel, or none to keep '
                    'objects that the border cuts.'
                )
            object.__setattr__(self, 'border', None if self.border == -1 else int(self.border))
        check_flag('border_in_z', self.border_in_z)
        if self.sizes is not None and not isinstance(self.sizes, AreaRange):
            raise DelineationError(
                f'The sizes are {self.sizes!r}; expected an AreaRange, or none for no limit.'
            )
        for name in ('erosion', 'dilation'):
            value = getattr(self, name)
            if value is not None:
                check_length(name, value)
                object.__setattr__(self, name, float(value))


def seed_settings_from_dict(content: dict[str, Any]) -> SeedSettings:
    """Settings from their fields by name, as `dataclasses.asdict` wrote them.

    The three fields of models from before delineation are among them.

    Examples
    --------
    >>> seed_settings_from_dict({'threshold': None, 'smallest': 9, 'fill_holes': True}).smallest
    9
    """
    return SeedSettings(**{**content, 'sizes': as_range(content.get('sizes'))})
