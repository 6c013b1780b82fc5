"""How fast forests grow, beside their targets and beside other programs in the same run.

    python benchmarks/delineation.py [--pyift PYTHON] [--json FILE] [--markdown FILE]

``--pyift`` names an interpreter that can import pyift 0.2.0, which needs a compiler to install.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from common import add_output_options, markdown, publish
from numpy.typing import NDArray
from scipy import ndimage
from skimage import segmentation

from napari_flim.delineation.differential import revise
from napari_flim.delineation.forest import Forest, dynamic_trees, watershed
from napari_flim.delineation.gradient import gradient

REPEATS = 7
STROKES = 40
TOUCHED = 0.01
FIRST_CALL = """
import time, numpy as np
from napari_flim.delineation.forest import dynamic_trees
begun = time.perf_counter()
dynamic_trees(np.zeros((3, 8, 8)), np.eye(8, dtype=int))
print(time.perf_counter() - begun)
"""
PYIFT = """
import sys, time, numpy as np
from pyift.shortestpath import dynamic_arc_weight
image, seeds = np.load(sys.argv[1]), np.load(sys.argv[2])
for _ in range(int(sys.argv[3])):
    begun = time.perf_counter()
    dynamic_arc_weight(seeds, image, mode='root')
    print(time.perf_counter() - begun)
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """One row of the table.

    Attributes
    ----------
    what : str
    seconds : list of float
        One for each repetition.
    peer : str
        With what the medians are compared, if anything.
    peer_seconds : list of float
    limit : float, optional
        Seconds to stay under.
    limit_ratio : float, optional
        Share of the peer's time to stay under.
    """

    what: str
    seconds: list[float]
    peer: str = ''
    peer_seconds: list[float] | None = None
    limit: float | None = None
    limit_ratio: float | None = None

    def row(self) -> dict[str, str]:
        """A line of the table."""
        median, targets, met = statistics.median(self.seconds), [], True
        ratio = ''
        if self.limit is not None:
            targets.append(f'< {_amount(self.limit)}')
            met = median < self.limit
        if self.peer_seconds:
            share = median / statistics.median(self.peer_seconds)
            ratio = f'{share:.3f}x'
            if self.limit_ratio is not None:
                targets.append(f'< {self.limit_ratio:g}x')
                met = met and share < self.limit_ratio
        return {
            'what': self.what,
            'median': _amount(median),
            'minimum': _amount(min(self.seconds)),
            'beside': self.peer if self.peer_seconds else '',
            'its median': _amount(statistics.median(self.peer_seconds))
            if self.peer_seconds
            else '',
            'ratio': ratio,
            'target': ', '.join(targets),
            'met': ('yes' if met else 'NO') if targets else '',
        }


def main() -> None:
    """Take every measurement and show one table."""
    parser = argparse.ArgumentParser(description='Speed of forests, beside their targets.')
    parser.add_argument('--pyift', metavar='PYTHON', help='an interpreter that has pyift')
    add_output_options(parser)
    options = parser.parse_args()
    measured = [
        *_first_calls(),
        _against_pyift(options.pyift),
        _against_skimage(),
        _volume(),
        _band(),
        *_strokes(),
    ]
    title = f'Forests on {platform.machine()}, Python {sys.version.split()[0]}.'
    values = {one.what: one.seconds for one in measured}
    publish(f'{title}\n\n{markdown([one.row() for one in measured])}', values, options)


def scene(*shape: int, channels: int = 3) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Bright blobs on an uneven, noisy ground: features (C, *S), and which voxels are blobs."""
    rng = np.random.default_rng(0)
    places = np.zeros(shape)
    count = int(np.prod(shape)) // (4000 if len(shape) == 2 else 40_000)
    places[tuple(rng.integers(0, size, count) for size in shape)] = 1
    smooth = ndimage.gaussian_filter(places, 8)
    objects = smooth > np.percentile(smooth, 85)
    ground = 60 + 100 * ndimage.gaussian_filter(objects.astype(float), 2)
    ground = ground + np.linspace(0, 30, shape[-1])
    bands = ground + rng.normal(0, 8, (channels, *shape))
    return bands.astype(np.float32), objects


def seeds_of(objects: NDArray[np.bool_], erosion: int, dilation: int) -> NDArray[np.int32]:
    """2 within the objects, 1 far from them."""
    inner = ndimage.binary_erosion(objects, iterations=erosion)
    outer = ~ndimage.binary_dilation(objects, iterations=dilation)
    return np.where(inner, 2, np.where(outer, 1, 0)).astype(np.int32)


def few_seeds(objects: NDArray[np.bool_]) -> NDArray[np.int32]:
    """A small stroke in every tenth object and a frame, so that nearly all voxels are free."""
    numbers, count = ndimage.label(objects)
    seeds = np.zeros(objects.shape, dtype=np.int32)
    for centre in ndimage.center_of_mass(objects, numbers, range(1, count + 1, 10)):
        seeds[tuple(slice(int(c) - 2, int(c) + 3) for c in centre)] = 2
    for axis in range(objects.ndim):
        np.moveaxis(seeds, axis, 0)[[0, -1]] = 1
    return seeds


def _first_calls() -> list[Measured]:
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, 'NUMBA_CACHE_DIR': cache}
        calls = [float(_python(sys.executable, FIRST_CALL, environment)[0]) for _ in range(4)]
    return [
        Measured('first call ever, which compiles', calls[:1]),
        Measured('first call of a process', calls[1:]),
    ]


def _against_pyift(interpreter: str | None) -> Measured:
    image, objects = scene(1024, 1024)
    seeds = few_seeds(objects)
    peer: list[float] = []
    if interpreter is not None:
        with tempfile.TemporaryDirectory() as folder:
            files = [str(Path(folder) / name) for name in ('image.npy', 'seeds.npy')]
            np.save(files[0], np.moveaxis(image, 0, -1).astype(np.float64))
            np.save(files[1], seeds)
            peer = [float(one) for one in _python(interpreter, PYIFT, None, *files, str(REPEATS))]
    ours = _timed(partial(dynamic_trees, image, seeds))
    name = 'dynamic trees, 1024 x 1024 RGB, all free'
    return Measured(name, ours, 'pyift', peer, limit=None if peer else 0.7, limit_ratio=1)


def _against_skimage() -> Measured:
    image, objects = scene(1024, 1024)
    slope, seeds = gradient(image, 2), few_seeds(objects)
    peer = _timed(partial(segmentation.watershed, slope, seeds))
    ours = _timed(partial(watershed, slope, seeds, weight='node'))
    name = 'watershed, 1024 x 1024, all free'
    return Measured(name, ours, 'scikit-image', peer, limit_ratio=3)


def _volume() -> Measured:
    image, objects = scene(128, 128, 128, channels=1)
    ours = _timed(partial(dynamic_trees, image, few_seeds(objects)), repeats=3)
    return Measured('dynamic trees, 128^3, all free', ours, limit=4)


def _band() -> Measured:
    image, objects = scene(400, 400)
    ours = _timed(partial(dynamic_trees, image, seeds_of(objects, 2, 5)))
    return Measured('dynamic trees, 400 x 400, band around objects', ours, limit=0.05)


def _strokes() -> list[Measured]:
    """Revisions after a stroke that changes about 1 % of the image, beside full runs."""
    image, objects = scene(512, 512)
    seeds = few_seeds(objects)
    measured = []
    for name, grow in (('watershed', watershed), ('dynamic trees', dynamic_trees)):
        forest = grow(image, seeds)
        touched, stroke = _stroke_touching(forest, seeds)
        full = _timed(partial(grow, image, stroke))
        revised = _timed(partial(revise, forest, stroke))
        what = f'{name}, 512 x 512, stroke touching {touched:.1%}'
        measured.append(Measured(what, revised, 'a full run', full, limit_ratio=1 / 20))
    return measured


def _stroke_touching(forest: Forest, seeds: NDArray[np.int32]) -> tuple[float, NDArray[np.int32]]:
    """Of some strokes of the other label, the one that changes closest to 1 % of the voxels."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(STROKES):
        y, x = rng.integers(20, 460, 2)
        height, width = rng.integers(3, 30, 2)
        stroke = seeds.copy()
        stroke[y : y + height, x : x + width] = 3 - forest.labels[y, x]
        revised = revise(forest, stroke)
        touched = np.mean(
            (revised.roots != forest.roots)
            | (revised.predecessors != forest.predecessors)
            | (revised.costs != forest.costs)
        )
        found.append((abs(touched - TOUCHED), len(found), touched, stroke))
    best = min(found)
    return float(best[2]), best[3]


def _timed(act: Callable[[], object], repeats: int = REPEATS) -> list[float]:
    """Seconds of some repetitions, after one that is not counted."""
    act()
    seconds = []
    for _ in range(repeats):
        begun = time.perf_counter()
        act()
        seconds.append(time.perf_counter() - begun)
    return seconds


def _python(
    interpreter: str, code: str, environment: dict[str, str] | None, *arguments: str
) -> list[str]:
    """The lines that another interpreter prints."""
    done = subprocess.run(
        [interpreter, '-c', code, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.split()


def _amount(value: float) -> str:
    return f'{value:.2f} s' if value >= 1 else f'{1000 * value:.3g} ms'


if __name__ == '__main__':
    main()
