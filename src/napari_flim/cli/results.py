"""The files that the commands write of one image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_flim.delineation.delineate import Objects
from napari_flim.delineation.measure import measure
from napari_flim.engine.image import Image
from napari_flim.io.results import write_labels, write_table


def write_objects(
    folder: Path,
    name: str,
    objects: Objects,
    image: Image,
    saliency: NDArray[np.floating],
    *,
    table: bool,
) -> None:
    """Write objects, their classes where there are several, and a table of them if asked.

    Parameters
    ----------
    folder : Path
    name : str
        Stem of the files.
    objects : Objects
    image : Image
        In which the objects were found.
    saliency : (L, \\*S) float array
        One map for each class.
    table : bool
        Whether to measure the objects.
    """
    write_labels(folder / f'{name}_labels.tif', objects.labels, image.spacing)
    if len(saliency) > 1:
        write_labels(folder / f'{name}_classes.tif', objects.class_map(), image.spacing)
    if table:
        measures = measure(objects, spacing=image.spacing, image=image.data, saliency=saliency)
        write_table(folder / f'{name}_objects.csv', measures)
