"""DelineationSettings: how saliency and an image become objects."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

from napari_flim.delineation.inputs import check_flag, is_number
from napari_flim.delineation.seed_settings import SeedSettings, seed_settings_from_dict
from napari_flim.errors import DelineationError

DESCRIPTIONS = {
    'dynamic_trees': 'grow from seeds to voxels like those taken in so far',
    'watershed': 'grow from seeds along the smallest differences',
    'random_walker': 'the seeds that a random walk from a voxel reaches first',
    'none': 'what lies above the threshold, as it is',
}
"""Every method by name, in one line for users; what it does: ``methods.py``."""

FORESTS = ('dynamic_trees', 'watershed')
"""Methods whose forests can be revised, and compare what an encoder has learned."""

Mean = Literal['root', 'label', 'exponential']
DEFAULT_SEEDS = SeedSettings()


@dataclass(frozen=True)
class DelineationSettings:
    """How saliency and an image become objects.

    Attributes
    ----------
    method : str
        A name from `DESCRIPTIONS`.
    seeds : SeedSettings
        Threshold, plausible objects and where their seeds lie. The range of sizes holds before and
        after objects have grown.
    smoothing : bool
        Whether saliency first follows the borders of the image, see
        `napari_flim.delineation.smoothing`.
    relaxation : bool
        Whether the border of the objects is relaxed at last, see
        `napari_flim.delineation.relaxation`.
    learned_share : float
        From 0 to 1: how much of what a forest compares are the channels of block 1, where there
        are any, and not the image; see `napari_flim.delineation.arc_features`.
    mean : {'root', 'label', 'exponential'}
        What ``dynamic_trees`` compares a voxel with.
    alpha : float
        From 0 to 1: share of the path in the mean ``exponential``.
    neighbours : int, optional
        Of the forests: 4 (default) or 8 in images, 6 (default), 18 or 26 in volumes.
    beta : float
        From 0: how much differences hinder the walks of ``random_walker``.

    Raises
    ------
    DelineationError
        When a value is not allowed.
    """

    method: str = 'dynamic_trees'
    seeds: SeedSettings = DEFAULT_SEEDS
    smoothing: bool = False
    relaxation: bool = False
    learned_share: float = 0.7
    mean: Mean = 'root'
    alpha: float = 0.5
    neighbours: int | None = None
    beta: float = 25.0

    def __post_init__(self) -> None:
        if self.method not in DESCRIPTIONS:
            raise DelineationError(
                f'There is no method {self.method!r}; choose one of {", ".join(DESCRIPTIONS)}.'
            )
        if not isinstance(self.seeds, SeedSettings):
            raise DelineationError(f'The seeds are {self.seeds!r}; expected SeedSettings.')
        check_flag('smoothing', self.smoothing)
        check_flag('relaxation', self.relaxation)
        if self.mean not in get_args(Mean):
            raise DelineationError(
                f'The mean is {self.mean!r}; choose one of {", ".join(get_args(Mean))}.'
            )
        for name in ('learned_share', 'alpha'):
            value = getattr(self, name)
            if not is_number(value) or not 0 <= value <= 1:
                raise DelineationError(f'{name} is {value!r}; expected a share from 0 to 1.')
        if self.neighbours not in (None, 4, 8, 6, 18, 26):
            raise DelineationError(
                f'{self.neighbours!r} neighbours were asked for; expected 4 or 8 in images, '
                '6, 18 or 26 in volumes.'
            )
        if not is_number(self.beta) or not 0 <= self.beta < math.inf:
            raise DelineationError(f'beta is {self.beta!r}; expected a number from 0 up.')
        for name in ('learned_share', 'alpha', 'beta'):
            object.__setattr__(self, name, float(getattr(self, name)))

    @property
    def compares_learned(self) -> bool:
        """Whether it makes a difference what an encoder has learned: to forests."""
        return self.method in FORESTS and self.learned_share > 0


DEFAULT_DELINEATION = DelineationSettings()


def delineation_from_dict(content: dict[str, Any]) -> DelineationSettings:
    """Settings from their fields by name, as `dataclasses.asdict` wrote them.

    What models held before there was delineation, ``threshold``, ``smallest`` and ``fill_holes``
    alone, means the method ``none``.

    Raises
    ------
    DelineationError, TypeError
        When a value or a name is not allowed.

    Examples
    --------
    >>> delineation_from_dict({'threshold': 0.4, 'smallest': 9, 'fill_holes': True}).method
    'none'
    """
    if 'method' not in content:
        return DelineationSettings('none', seed_settings_from_dict(content))
    return DelineationSettings(**{**content, 'seeds': seed_settings_from_dict(content['seeds'])})
