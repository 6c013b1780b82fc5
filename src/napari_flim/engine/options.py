"""LearningOptions: how kernels are estimated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from napari_flim.errors import LearningError

Statistics = Literal['channel', 'coordinate', 'image']
Representative = Literal['centroid', 'medoid']
Method = Literal['cluster', 'bofp']
Consensus = Literal['kmeans', 'class', 'pca']


@dataclass(frozen=True, slots=True)
class LearningOptions:
    """How kernels are estimated.

    Attributes
    ----------
    method : {'cluster', 'bofp'}
        Clusters of patches in every block (FLIM-Cluster), or feature points chosen once on the
        input (FLIM-BoFP, which keeps one kernel for each point and uses statistics per image).
    statistics : {'channel', 'coordinate', 'image'}
        Marker-based normalisation per channel, per patch coordinate over all images (the
        lecture), or per patch coordinate over each image's own patches (FLIM-BoFP).
    object_share : float, optional
        Wanted share of object voxels in the statistics; by default every voxel counts once.
    representative : {'centroid', 'medoid'}
        What stands for a cluster: its mean, whose origin is the nearest patch, or that patch.
    consensus : {'kmeans', 'class', 'pca'}
        How candidates are reduced to the wanted number of channels: k-means over all (every class
        keeps at least one kernel), k-means within each class, or principal axes.
    seed : int
        Two runs with the same seed give the same bits.
    """

    method: Method = 'cluster'
    statistics: Statistics = 'channel'
    object_share: float | None = None
    representative: Representative = 'centroid'
    consensus: Consensus = 'kmeans'
    seed: int = 0

    def __post_init__(self) -> None:
        choices = {
            'method': Method,
            'statistics': Statistics,
            'representative': Representative,
            'consensus': Consensus,
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in get_args(allowed):
                raise LearningError(
                    f'{name} is {getattr(self, name)!r}; allowed: {", ".join(get_args(allowed))}.'
                )
        if self.statistics == 'image' and self.consensus == 'pca':
            raise LearningError(
                "consensus='pca' mixes the patches of all images, which statistics='image' cannot "
                "describe; use statistics='coordinate', or another consensus."
            )
        whole = isinstance(self.seed, int | np.integer) and not isinstance(self.seed, bool)
        if not whole or not 0 <= self.seed < 2**63:
            raise LearningError(f'The seed is {self.seed!r}; expected a whole number from 0 up.')
        object.__setattr__(self, 'seed', int(self.seed))
        if self.object_share is not None:
            number = isinstance(self.object_share, int | float | np.floating)
            if not number or not 0 < self.object_share < 1:
                raise LearningError(
                    f'The object share is {self.object_share!r}; expected a number between 0 and 1.'
                )
            object.__setattr__(self, 'object_share', float(self.object_share))
