"""One measurement in this process, printed as JSON; ``speed.py`` starts a new process for each.

    python benchmarks/measurements.py learning FOLDER

FOLDER holds images/, markers/, train.txt, val.txt and arch.json; without it a bundled sample is
used.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from napari_flim.api import learn, resolve_architecture
from napari_flim.engine.architecture import Architecture, Block
from napari_flim.engine.image import Image, read_array
from napari_flim.engine.kernels import KernelBank, LearnedBlock
from napari_flim.engine.markers import MarkerSet
from napari_flim.engine.normalization import Normalization
from napari_flim.engine.pooling import pool
from napari_flim.engine.preprocessing import InputTransform
from napari_flim.io.images import read_image, stem
from napari_flim.io.markers import find_marker_file, read_markers
from napari_flim.model import FlimModel
from napari_flim.samples import load_tissue

THREADS = 2
SIDE = 128
POOLED = [((12, 400, 400), 3), ((12, 400, 400), 5), ((8, 64, 64, 64), 3)]
Comparison = dict[str, list[float]]
RSS_UNIT = 1 if sys.platform == 'darwin' else 1024
"""Bytes in a unit of ``ru_maxrss``: macOS counts bytes, Linux kilobytes."""


@dataclass(frozen=True, eq=False)
class Examples:
    """Images to learn from, how, and one more image of 400 x 400 pixels."""

    images: list[Image]
    markers: list[MarkerSet]
    architecture: Architecture
    unseen: Image

    def learn(self) -> FlimModel:
        """A model of these images."""
        return learn(self.images, self.markers, self.architecture)


def read_examples(folder: Path) -> Examples:
    """The published split of the parasite eggs, or the bundled tissue sample."""
    if not folder.is_dir():
        tissue = load_tissue()
        marked = MarkerSet.from_labels(tissue.markers)
        image, unseen = read_array(tissue.image), read_array(tissue.image[:400, :400])
        return Examples([image], [marked], resolve_architecture('wide'), unseen)
    images, markers = [], []
    for name in (folder / 'train.txt').read_text().split():
        image = read_image(folder / 'images' / name)
        file = find_marker_file(folder / 'markers', stem(name))
        if file is not None:
            images.append(image)
            markers.append(read_markers(file, image.shape))
    unseen = read_image(folder / 'images' / (folder / 'val.txt').read_text().split()[0])
    return Examples(images, markers, resolve_architecture(folder / 'arch.json'), unseen)


def measure_learning(folder: Path) -> dict[str, list[float]]:
    """Seconds from arrays in memory to a model: the first call, and five later ones."""
    examples = read_examples(folder)
    seconds = [_time(examples.learn) for _ in range(6)]
    return {'cold': seconds[:1], 'warm': seconds[1:]}


def measure_memory(folder: Path) -> dict[str, list[float]]:
    """Bytes by which reading the files and learning raise the peak over that of the imports."""
    imported = peak_memory()
    read_examples(folder).learn()
    return {'bytes': [peak_memory() - imported]}


def measure_image(folder: Path) -> Comparison:
    """Seconds for the saliency of an image, against the bare network."""
    examples = read_examples(folder)
    model = examples.learn()
    return _compare(lambda: model.saliency(examples.unseen), bare_network(model, (400, 400)), 15)


def measure_volume(_: Path) -> Comparison:
    """Seconds for the saliency of a float32 volume, against the bare network."""
    model = random_model(blocks=3, channels=16)
    volume = np.random.default_rng(0).random((SIDE,) * 3, dtype=np.float32)
    return _compare(lambda: model.saliency(volume), bare_network(model, volume.shape), 3)


def measure_pooling(_: Path) -> dict[str, dict[str, Any]]:
    """Seconds for maximum pooling of several shapes, against torch's own, and equality."""
    return {
        f'{shape[0]} channels of {" x ".join(map(str, shape[1:]))}, window {width}': _pool_both(
            torch.rand(shape), width
        )
        for shape, width in POOLED
    }


def _pool_both(features: torch.Tensor, width: int) -> dict[str, Any]:
    ndim = features.ndim - 1
    native = (F.max_pool2d, F.max_pool3d)[ndim - 2]

    def ours() -> torch.Tensor:
        return pool(features, (width,) * ndim, (1,) * ndim)

    def bare() -> torch.Tensor:
        return native(features[None], width, 1, width // 2)[0]

    return {**_compare(ours, bare, 9), 'equal': torch.equal(ours(), bare())}


def random_model(blocks: int, channels: int) -> FlimModel:
    """A model for grey volumes with random kernels of both classes."""
    generator = np.random.default_rng(0)
    learned, reads = [], 1
    for _ in range(blocks):
        weights = generator.normal(size=(channels, reads, 3, 3, 3)).astype(np.float32)
        bank = KernelBank.from_weights(weights, classes=np.arange(channels) % 2 + 1)
        neutral = Normalization(np.zeros(reads, np.float32), np.ones(reads, np.float32))
        learned.append(LearnedBlock(Block(channels=channels), neutral, bank))
        reads = channels
    return FlimModel(InputTransform('scaled'), tuple(learned))


def bare_network(model: FlimModel, shape: tuple[int, ...]) -> Callable[[], torch.Tensor]:
    """Convolution, ReLU and pooling of torch in the shapes of a model, with random numbers."""
    ndim = len(shape)
    convolve = (F.conv2d, F.conv3d)[ndim - 2]
    pools: dict[str, Callable[..., torch.Tensor]] = {
        'max': (F.max_pool2d, F.max_pool3d)[ndim - 2],
        'average': (F.avg_pool2d, F.avg_pool3d)[ndim - 2],
    }
    features = torch.rand(1, model.blocks[0].bank.weights.shape[1], *shape)
    kernels = [torch.randn(block.bank.weights.shape) for block in model.blocks]

    @torch.inference_mode()
    def run() -> torch.Tensor:
        x = features
        for block, weights in zip(model.blocks, kernels, strict=True):
            dilation, window = (block.spec.axes(f, ndim) for f in ('dilation', 'pool_size'))
            reach = [d * (k // 2) for d, k in zip(dilation, weights.shape[2:], strict=True)]
            x = F.relu(convolve(x, weights, padding=reach, dilation=dilation))
            margins = [w // 2 for w in window]
            x = pools[block.spec.pooling](x, window, block.spec.strides(ndim), margins)
        return x

    return run


def _compare(ours: Callable[[], object], bare: Callable[[], object], repeats: int) -> Comparison:
    """Seconds of both in turns, so that a busy machine slows both; the first turn is left out."""
    turns = [(_time(ours), _time(bare)) for _ in range(repeats + 1)][1:]
    return {'ours': [a for a, _ in turns], 'bare': [b for _, b in turns]}


def _time(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def peak_memory() -> float:
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT)


MEASUREMENTS: dict[str, Callable[[Path], Any]] = {
    'learning': measure_learning,
    'memory': measure_memory,
    'image': measure_image,
    'volume': measure_volume,
    'pooling': measure_pooling,
}

if __name__ == '__main__':
    torch.set_num_threads(THREADS)
    print(json.dumps(MEASUREMENTS[sys.argv[1]](Path(sys.argv[2]))))
