"""What seeds would be with other settings, and the saliency they are cut from, in numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_flim.delineation.inputs import BACKGROUND
from napari_flim.delineation.saliency_thresholds import image_threshold
from napari_flim.delineation.seed_settings import SeedSettings
from napari_flim.delineation.seeds import seeds_from_saliency
from napari_flim.progress import Job, Progress
from napari_flim.session.corrections import Corrections
from napari_flim.session.delineating import Material, marked
from napari_flim.session.marked_sizes import shown_sizes
from napari_flim.session.sources import Strokes

BINS = 128


@dataclass(frozen=True, eq=False)
class SaliencyNumbers:
    """How the saliency of one class is spread.

    Attributes
    ----------
    counts : (128,) int array
        Voxels in equal steps of saliency from 0 to 1.
    otsu : float, optional
        Otsu's threshold; None if the saliency is the same everywhere.
    """

    counts: NDArray[np.int64]
    otsu: float | None

    def heights(self) -> list[float]:
        """Logarithms of the counts, stretched to [0, 1].

        Most of an image has hardly any saliency; so the rest stays in sight.
        """
        logs = np.log1p(self.counts)
        heights: list[float] = (logs / max(float(logs.max()), 1.0)).tolist()
        return heights


@dataclass(frozen=True, eq=False)
class SeedPreview:
    """Seeds and what they come from.

    Attributes
    ----------
    material : Material
    settings : SeedSettings
    numbers : dict of int to SaliencyNumbers
        For each class.
    kinds : (\\*S) uint8 array
        0 no seed, 1 background, 2.. class of the object.
    count : int
        Objects with seeds.
    shown : tuple of float
        Sizes, in world units, of the objects that markers show, found without limits of size.
    """

    material: Material
    settings: SeedSettings
    numbers: Mapping[int, SaliencyNumbers]
    kinds: NDArray[np.uint8]
    count: int
    shown: tuple[float, ...]


def seed_preview(
    given: Material, settings: SeedSettings, marks: Strokes | None
) -> Job[SeedPreview]:
    """Make seeds, and describe the saliency; see `seeds_from_saliency`.

    Parameters
    ----------
    given : Material
    settings : SeedSettings
    marks : Strokes, optional
        Markers of the image, with the numbers that the engine knows.
    """
    yield Progress('making seeds', 0, 3)
    spacing = given.target.source.spacing
    painted = marked(marks, given.saliency.shape[1:])
    seeds = seeds_from_saliency(
        given.saliency, settings, spacing=spacing, classes=given.classes, markers=painted
    )
    yield Progress('counting saliency', 1, 3)
    numbers = {
        number: saliency_numbers(one)
        for number, one in zip(given.classes, given.saliency, strict=True)
    }
    yield Progress('measuring marked objects', 2, 3)
    kinds = np.array((0, BACKGROUND, *seeds.classes), np.uint8)[seeds.labels]
    shown: tuple[float, ...] = ()
    if painted is not None:
        shown = shown_sizes(given.saliency, settings, painted, spacing, given.classes)
    return SeedPreview(given, settings, numbers, kinds, len(seeds.classes), shown)


def saliency_numbers(saliency: NDArray[np.float32]) -> SaliencyNumbers:
    """Counts and Otsu's threshold of one map."""
    counts, _ = np.histogram(saliency, BINS, (0.0, 1.0))
    varied = saliency.min() < saliency.max()
    return SaliencyNumbers(counts, image_threshold(saliency) if varied else None)


def accepted_sizes(corrections: Corrections, spacing: Sequence[float]) -> tuple[float, ...]:
    """World sizes of the objects that the user has accepted."""
    voxel = math.prod(spacing)
    return tuple(len(voxels) * voxel for voxels in corrections.decisions.accepted.values())
