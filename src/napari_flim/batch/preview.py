"""Preview: what a run would find in one file; nothing is written."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_flim.batch.carried_model import CarriedModel
from napari_flim.engine.image import Image
from napari_flim.io.images import read_images
from napari_flim.progress import Job, Progress, part_of

if TYPE_CHECKING:
    from napari_flim.delineation.delineate import Objects


@dataclass(frozen=True, eq=False)
class Preview:
    """The first image of a file, and what was found in it.

    Attributes
    ----------
    image : Image
    objects : Objects
    saliency : (L, \\*S) float array
        One map for each object class.
    images : int
        How many the file holds.
    seconds : float
        For this image, with reading the file, but without writing results.
    """

    image: Image
    objects: Objects
    saliency: NDArray[np.floating]
    images: int
    seconds: float


def preview(model: CarriedModel, file: Path | str, axes: str | None = None) -> Job[Preview]:
    """Find the objects of one file; a generator of progress that can be closed midway.

    Parameters
    ----------
    model : CarriedModel
    file : path
    axes : str, optional
        One letter for each axis of the file.

    Raises
    ------
    FileError
        When the file cannot be read.
    ImageError
        When the model does not read such images.
    """
    start = time.perf_counter()
    yield Progress('reading', 0, 2)
    images = read_images(file, axes)
    yield Progress('starting the engine', 1, 2)
    job = model.model.delineating(images[0])
    objects, saliency = yield from part_of(job, 2)
    return Preview(images[0], objects, saliency, len(images), time.perf_counter() - start)
