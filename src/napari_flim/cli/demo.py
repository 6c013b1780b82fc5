"""``napari-flim demo``: learn from the bundled samples, then open napari to try it by hand."""

from __future__ import annotations

import importlib.util
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from skimage.segmentation import find_boundaries

from napari_flim.bridge.show import show_window
from napari_flim.cli.console import results, run_job, say
from napari_flim.engine.architecture import preset
from napari_flim.engine.image import read_array
from napari_flim.engine.markers import MarkerSet
from napari_flim.io.atomic import make_folder, write_atomically
from napari_flim.io.results import write_labels, write_saliency
from napari_flim.model import FlimModel
from napari_flim.samples import SAMPLES, Sample
from napari_flim.session.classes import FIRST_CLASSES
from napari_flim.training import learn_model, learn_sizes

SMALLEST_WIDTH = 300
"""Pixels for each part of a picture."""


@dataclass(frozen=True, eq=False)
class Result:
    """One image with what a model made of it, all on the same voxels.

    Attributes
    ----------
    image : array
        (\\*S) or (\\*S, 3).
    markers, objects : (\\*S) int arrays
    saliency : (\\*S) float array
    """

    image: NDArray[Any]
    markers: NDArray[Any]
    saliency: NDArray[Any]
    objects: NDArray[Any]


def run(out: Path, window: bool) -> None:
    """Learn a model for every sample; then open napari with the docks and no image."""
    make_folder(out)
    table = Table('sample', 'image', 'marked voxels', 'kernels', 'learn', 'apply', 'objects')
    for name, loader in SAMPLES.items():
        sample = loader()
        model, row, result = _learn_and_apply(sample)
        model.save(out / f'{name}.flim')
        write_labels(out / f'{name}_labels.tif', result.objects, sample.spacing)
        write_saliency(out / f'{name}_saliency.tif', result.saliency, sample.spacing)
        write_picture(out / f'{name}.png', picture(result))
        table.add_row(name, *row)
    results.print(table)
    say(
        f'Models, label images and pictures are in {out.resolve()}; the pictures show markers, '
        'saliency and objects.'
    )
    if window and display_available() and importlib.util.find_spec('napari') is not None:
        say('napari opens: press "Open the sample" in the Train dock, and paint.')
        show_window('napari-flim demo')


def _learn_and_apply(sample: Sample) -> tuple[FlimModel, list[str], Result]:
    image = read_array(sample.image, spacing=sample.spacing, name=sample.name)
    markers = MarkerSet.from_labels(sample.markers)
    start = time.perf_counter()
    job = learn_model([image], [markers], preset(sample.architecture))
    model = run_job(job, f'learning from {sample.name}')
    model = run_job(learn_sizes(model, [image], [markers]), 'measuring')
    learned = time.perf_counter()
    saliency = model.saliency(image)
    objects = model.segment(image)
    applied = time.perf_counter()
    row = [
        ' x '.join(str(n) for n in image.shape) + ' RGB' * image.rgb,
        ' + '.join(str(n) for n in markers.class_counts.values()),
        ' + '.join(str(len(block.bank)) for block in model.blocks),
        f'{learned - start:.2f} s',
        f'{applied - learned:.2f} s',
        str(objects.max()),
    ]
    return model, row, Result(sample.image, sample.markers, saliency, objects)


def picture(result: Result) -> NDArray[np.uint8]:
    """Image with markers, saliency, and image with outlines, side by side: (Y, 3 X, 3) uint8.

    Of a volume, the plane with most marked object voxels is shown. Small images are enlarged by a
    whole factor.
    """
    image, markers = result.image, result.markers
    saliency, objects = result.saliency, result.objects
    if markers.ndim == 3:
        plane = int((markers == 2).sum(axis=(1, 2)).argmax())
        image, markers = image[plane], markers[plane]
        saliency, objects = saliency[plane], objects[plane]
    factor = max(1, SMALLEST_WIDTH // markers.shape[1])
    image, markers, saliency, objects = (
        array.repeat(factor, axis=0).repeat(factor, axis=1)
        for array in (image, markers, saliency, objects)
    )
    base = image.astype(np.float64)
    base = (base - base.min()) / max(float(np.ptp(base)), 1e-12)
    if base.ndim == 2:
        base = np.repeat(base[..., None], 3, axis=2)
    marked = base.copy()
    for one in FIRST_CLASSES:
        own = markers == one.label
        marked[own] = 0.4 * marked[own] + 0.6 * np.array(one.colour)
    outlined = base.copy()
    outlined[find_boundaries(objects)] = FIRST_CLASSES[1].colour
    grey = np.repeat(saliency[..., None], 3, axis=2)
    together = np.concatenate([marked, grey, outlined], axis=1)
    pixels: NDArray[np.uint8] = (np.clip(together, 0, 1) * 255).round().astype(np.uint8)
    return pixels


def write_picture(path: Path, pixels: NDArray[Any]) -> None:
    """Write a PNG, whole or not at all."""
    import imageio.v3 as imageio

    write_atomically(path, lambda temporary: imageio.imwrite(temporary, pixels, extension='.png'))


def display_available() -> bool:
    """Whether a window can be opened here."""
    needs_server = platform.system() == 'Linux'
    return not needs_server or any(os.environ.get(n) for n in ('DISPLAY', 'WAYLAND_DISPLAY'))
