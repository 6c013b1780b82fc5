"""MarkedRegions: what a block reads of one image while it learns, around markers or all of it.

Every number that learning takes from an image lies within reach of a marker. So only the crops
around markers are read and encoded; their patches are those of the whole image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from napari_flim.engine.crops import Crop, whole_image
from napari_flim.engine.encoder import BlockModule
from napari_flim.engine.image import Image
from napari_flim.engine.input_features import input_features
from napari_flim.engine.normalization import Normalization
from napari_flim.engine.patches import gather_patches
from napari_flim.engine.preprocessing import InputTransform
from napari_flim.errors import MarkerError


@dataclass(frozen=True, eq=False)
class MarkedRegions:
    """Features of an image, or activations of a block, in the crops around its markers.

    Attributes
    ----------
    crops : tuple of Crop
        In voxels of the image; reading starts at multiples of ``stride``.
    features : tuple of (C, \\*S) tensors
        What was read in each crop.
    size : tuple of int
        Spatial shape of the whole image.
    stride : tuple of int
        Accumulated stride of the features.
    """

    crops: tuple[Crop, ...]
    features: tuple[torch.Tensor, ...]
    size: tuple[int, ...]
    stride: tuple[int, ...]

    @classmethod
    def whole(cls, features: torch.Tensor) -> MarkedRegions:
        """All features (C, \\*S) of an image."""
        size = tuple(features.shape[1:])
        return cls(whole_image(size), (features,), size, (1,) * len(size))

    @property
    def shape(self) -> tuple[int, ...]:
        """Spatial shape of the map of the whole image."""
        return tuple(-(-n // step) for n, step in zip(self.size, self.stride, strict=True))

    @property
    def complete(self) -> bool:
        """Whether the features are those of the whole image."""
        return self.crops == whole_image(self.size)

    def values(self, cells: NDArray[np.int64]) -> NDArray[np.float32]:
        """Channel values (M, C) at cells of the map of the whole image: (M, ndim) integers.

        Raises
        ------
        MarkerError
            When a cell lies outside the crops.
        """
        found = np.empty((len(self.features[0]), len(cells)), dtype=np.float32)
        for features, which, inside in self._owned(cells):
            found[:, which] = features.numpy()[(slice(None), *inside.T)]
        return found.T

    def patches(
        self,
        cells: NDArray[np.int64],
        kernel_size: Sequence[int],
        dilation: Sequence[int],
        normalization: Normalization,
    ) -> torch.Tensor:
        """Normalised patches (M, P) at cells of the map of the whole image, in their order.

        What lies outside a crop lies outside the image, because crops have a halo; see
        `napari_flim.engine.patches.gather_patches`.
        """
        gathered = [
            (which, gather_patches(features, inside, kernel_size, dilation, normalization))
            for features, which, inside in self._owned(cells)
        ]
        if len(gathered) == 1:
            return gathered[0][1]
        result = torch.empty(len(cells), gathered[0][1].shape[1])
        for which, part in gathered:
            result[torch.from_numpy(which)] = part
        return result

    @torch.inference_mode()
    def encoded(self, block: BlockModule, overwrite: bool = False) -> MarkedRegions:
        """What a block answers; ``overwrite`` may destroy these features."""
        answers = tuple(block(features, overwrite=overwrite) for features in self.features)
        steps = block.spec.strides(block.ndim)
        stride = tuple(a * s for a, s in zip(self.stride, steps, strict=True))
        return MarkedRegions(self.crops, answers, self.size, stride)

    def _owned(
        self, cells: NDArray[np.int64]
    ) -> Iterator[tuple[torch.Tensor, NDArray[np.int64], NDArray[np.int64]]]:
        """For every crop its features, which cells it answers for, and where they lie in it."""
        left = np.ones(len(cells), dtype=bool)
        for crop, features in zip(self.crops, self.features, strict=True):
            box = crop.cells(self.stride, self.shape)
            start, stop = (np.array([getattr(s, end) for s in box]) for end in ('start', 'stop'))
            own = left & ((cells >= start) & (cells < stop)).all(axis=1)
            left &= ~own
            which = np.flatnonzero(own)
            origin = [s.start // step for s, step in zip(crop.read, self.stride, strict=True)]
            yield features, which, cells[which] - np.array(origin)
        if left.any():
            raise MarkerError(
                f'Cell {tuple(cells[left][0].tolist())} lies outside the crops that were read of '
                'the image; read it around the markers that it is learned from.'
            )


def read_regions(transform: InputTransform, image: Image, crops: Sequence[Crop]) -> MarkedRegions:
    """What block 1 reads in the crops of an image.

    Parameters
    ----------
    transform : InputTransform
        With its kind decided; see `InputTransform.resolved`.
    image : Image
        In memory or lazy.
    crops : sequence of Crop
        See `napari_flim.engine.crops.marker_crops`.
    """
    statistics = transform.statistics(image)
    parts = image.crops([crop.read for crop in crops])
    features = tuple(input_features(transform, part, statistics) for part in parts)
    return MarkedRegions(tuple(crops), features, image.shape, (1,) * image.ndim)
