"""``napari-flim delineate``: objects from saliency that is already there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_flim.batch.outputs import Outputs, result_paths
from napari_flim.batch.result_files import write_objects
from napari_flim.cli.console import run_job, say, usage
from napari_flim.cli.delineation_options import DelineationOptions
from napari_flim.delineation.delineate import delineate
from napari_flim.delineation.delineation_settings import DEFAULT_DELINEATION
from napari_flim.delineation.inputs import FIRST_OBJECT
from napari_flim.engine.image import Image, check_axes
from napari_flim.engine.input_features import input_features
from napari_flim.engine.preprocessing import parse_input
from napari_flim.errors import DelineationError, FileError
from napari_flim.io.atomic import make_folder
from napari_flim.io.images import read_image, stem
from napari_flim.io.markers import read_markers


def run(
    saliency_file: Path,
    image_file: Path,
    out: Path,
    markers_file: Path | None,
    input_name: str,
    axes: str | None,
    table: bool,
    options: DelineationOptions,
) -> None:
    """Write the objects of one image."""
    with usage():
        settings = options.applied_to(DEFAULT_DELINEATION)
        transform, fixed = parse_input(input_name)
        check_axes(axes)
        for file in (saliency_file, image_file, markers_file):
            if file is not None and not file.is_file():
                raise FileError(f'The file {file} does not exist; check the path.')
    image = read_image(image_file, axes).in_memory()
    maps = _saliency_of(saliency_file, image)
    markers = None if markers_file is None else _markers_of(markers_file, image)
    features = input_features(transform.resolved([image], fixed=fixed), image)
    classes = range(FIRST_OBJECT, FIRST_OBJECT + len(maps))
    job = delineate(
        features.numpy(force=True),
        maps,
        settings,
        spacing=image.spacing,
        classes=classes,
        markers=markers,
    )
    objects = run_job(job, 'delineating')
    make_folder(out)
    paths = result_paths(out, stem(image_file), Outputs(table=table))
    write_objects(paths, objects, image, maps)
    count = len(objects.classes)
    say(f'{image_file.name} is read as {image.describe()}')
    say(f'{image_file.name}: {count} object{"s" * (count != 1)}, written to {out}.')


def _saliency_of(file: Path, image: Image) -> NDArray[np.float32]:
    """One map for each class, (L, \\*S) in [0, 1]; bytes are parts of 255."""
    maps = read_image(file).in_memory().data
    if image.ndim == 2 and maps.ndim == 4 and maps.shape[0] == 1:
        # A file that names no axes may hold its classes where a volume has z.
        maps = maps[0]
    if maps.shape[1:] != image.shape:
        raise DelineationError(
            f'{file} has shape {maps.shape[1:]}, but {image.name} has {image.shape}; expected the '
            'saliency of that image, voxel by voxel, with an axis of classes before if there are '
            'several.'
        )
    values = maps.astype(np.float32)
    if maps.dtype == np.uint8:
        values /= 255
    if values.min() < 0 or values.max() > 1:
        raise DelineationError(
            f'{file} holds values from {values.min():g} to {values.max():g}; expected saliency '
            'from 0 to 1, or bytes. Give a file that segment --saliency wrote.'
        )
    return values


def _markers_of(file: Path, image: Image) -> NDArray[np.int64]:
    markers = read_markers(file, image.shape)
    labels = np.zeros(image.shape, dtype=np.int64)
    labels[tuple(markers.coordinates.T)] = markers.classes
    return labels
