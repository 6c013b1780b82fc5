"""One measurement on a large image in this process; ``memory.py`` starts a new process for each.

    python benchmarks/large.py make KIND SIDE FILE
    python benchmarks/large.py segment KIND FILE MEMORY
    python benchmarks/large.py bare KIND FILE MEMORY

KIND is ``volume``, SIDE^3 of uint16, or ``slide``, SIDE^2 of RGB; FILE is a zarr array.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr
from measurements import THREADS, bare_network, peak_memory
from numpy.typing import NDArray

from napari_flim.api import learn
from napari_flim.batch.outputs import Outputs, result_paths
from napari_flim.batch.segment_image import segment_image
from napari_flim.engine.architecture import Architecture, Block
from napari_flim.engine.image import Image, read_array
from napari_flim.inference.budget import plan_tiles, working_memory
from napari_flim.inference.tiles import Tile
from napari_flim.model import FlimModel
from napari_flim.model_loading import load_model

CHUNK = {'volume': 64, 'slide': 1024}
SPACE = {'volume': 64, 'slide': 128}
"""Distance between objects, so that their number grows with the image."""
AXES = {'volume': 'ZYX', 'slide': 'YXS'}
SALIENCY = 'computing saliency'
"""The last stage before objects are found."""
ARCHITECTURE = Architecture((Block(channels=16), Block(channels=16), Block(channels=16)))


def main() -> None:
    """What the arguments ask for, with its numbers as JSON."""
    torch.set_num_threads(THREADS)
    work, kind, *rest = sys.argv[1:]
    if work == 'make':
        make(kind, int(rest[0]), Path(rest[1]))
        learned(kind, Path(rest[1]))
        numbers: dict[str, Any] = {}
    else:
        measure = {'segment': segment, 'bare': bare}[work]
        numbers = measure(kind, Path(rest[0]), int(rest[1]))
    print(json.dumps({**numbers, 'peak': peak_memory()}))


def make(kind: str, side: int, file: Path) -> None:
    """Balls or disks on a regular grid, on noise, written chunk by chunk."""
    ndim, chunk = len(AXES[kind].rstrip('S')), CHUNK[kind]
    colours = (3,) * (kind == 'slide')
    dtype = 'uint8' if kind == 'slide' else 'uint16'
    target = zarr.create_array(
        file, shape=(side,) * ndim + colours, chunks=(chunk,) * ndim + colours, dtype=dtype
    )
    for index in np.ndindex(*(-(-side // chunk),) * ndim):
        box = tuple(slice(i * chunk, min((i + 1) * chunk, side)) for i in index)
        target[box] = _scene(kind, box)


def _scene(kind: str, box: tuple[slice, ...]) -> NDArray[Any]:
    places = np.ogrid[box]
    space = SPACE[kind]
    distance = np.sqrt(sum((p % space - space / 2.0) ** 2 for p in places))
    noise = np.random.default_rng([part.start for part in box])
    bright = 1 / (1 + np.exp(distance - space / 6))
    if kind == 'slide':
        tint = np.stack([220 - 90 * bright, 190 - 130 * bright, 215 - 60 * bright], axis=-1)
        values = tint + noise.normal(0, 8, tint.shape)
        return values.clip(0, 255).astype(np.uint8)
    values = 2000 + 9000 * bright + noise.normal(0, 600, bright.shape)
    return values.clip(0, 65535).astype(np.uint16)


def learned(kind: str, file: Path) -> None:
    """A model learned from a small part: 3 blocks with 16 kernels each."""
    ndim = len(AXES[kind].rstrip('S'))
    space = SPACE[kind]
    box = (slice(0, 2 * space),) * ndim
    distance = np.sqrt(sum((p % space - space / 2.0) ** 2 for p in np.ogrid[box]))
    markers = np.where(distance < space / 12, 2, np.where(distance > space / 2.2, 1, 0))
    model = learn(_scene(kind, box), markers.astype(np.uint8), ARCHITECTURE, axes=AXES[kind])
    model.save(model_file(file))


def model_file(file: Path) -> Path:
    """Where the model for an array lies."""
    return file.with_suffix('.flim')


def opened(kind: str, file: Path) -> Image:
    """The array as a lazy image."""
    return read_array(zarr.open_array(file, mode='r'), axes=AXES[kind])


def plan(model: FlimModel, image: Image, memory: int) -> list[Tile]:
    """The tiles that a budget leaves."""
    applying = model.applying(image)
    return plan_tiles(
        applying.architecture, image.shape, image.channels, applying.halo, working_memory(memory)
    )


def segment(kind: str, file: Path, memory: int) -> dict[str, Any]:
    """Seconds for saliency, and for everything up to the written labels."""
    model, image = load_model(model_file(file)), opened(kind, file)
    out = Path(tempfile.mkdtemp(dir=file.parent))
    paths = result_paths(out, 'large', Outputs(table=True, format='ome-zarr'))
    tiles = len(plan(model, image, memory))
    begun = time.perf_counter()
    salient = begun
    job = segment_image(model, image, paths, memory)
    try:
        while True:
            step = next(job)
            if step.stage == SALIENCY:
                salient = time.perf_counter()
    except StopIteration as end:
        objects = end.value.objects
    seconds = time.perf_counter() - begun
    shutil.rmtree(out)
    return {
        'saliency': salient - begun,
        'seconds': seconds,
        'objects': objects,
        'tiles': tiles,
        'voxels': image.data[0].size,
    }


def bare(kind: str, file: Path, memory: int) -> dict[str, Any]:
    """Seconds of torch's own convolution, ReLU and pooling on what the same tiles read."""
    model, image = load_model(model_file(file)), opened(kind, file)
    parts = plan(model, image, memory)
    begun = time.perf_counter()
    for tile in parts:
        image.crop(tile.read)
        bare_network(model, tuple(part.stop - part.start for part in tile.read))()
    return {'seconds': time.perf_counter() - begun, 'tiles': len(parts)}


if __name__ == '__main__':
    main()
