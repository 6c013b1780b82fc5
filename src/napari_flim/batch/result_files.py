"""The files that are written of the objects of one image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_flim.batch.outlines import write_outlines
from napari_flim.batch.outputs import ResultPaths
from napari_flim.delineation.delineate import Objects
from napari_flim.delineation.measure import measure
from napari_flim.engine.image import Image
from napari_flim.io.results import write_labels, write_table


def write_objects(
    paths: ResultPaths, objects: Objects, image: Image, saliency: NDArray[np.floating]
) -> list[Path]:
    """Write objects, their classes where there are several, a table and outlines of them.

    Parameters
    ----------
    paths : ResultPaths
        What is wanted; saliency is left to others.
    objects : Objects
    image : Image
        In which the objects were found.
    saliency : (L, \\*S) float array
        One map for each class.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    FileError
        When a file cannot be written.
    """
    written = []
    if paths.labels is not None:
        write_labels(paths.labels, objects.labels, image)
        written.append(paths.labels)
    if paths.classes is not None and len(saliency) > 1:
        write_labels(paths.classes, objects.class_map(), image)
        written.append(paths.classes)
    if paths.table is not None:
        measures = measure(objects, spacing=image.spacing, image=image.data, saliency=saliency)
        write_table(paths.table, measures)
        written.append(paths.table)
    if paths.outlines is not None:
        write_outlines(paths.outlines, image, objects.labels)
        written.append(paths.outlines)
    return written
