"""The estimate of memory, compared with what the machine really used."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_flim.engine.architecture import PRESETS, Architecture, Block
from napari_flim.inference.memory import learning_bytes, peak_bytes

MEASURE = """
import sys

import numpy as np
import torch

from napari_flim.engine.architecture import PRESETS
from napari_flim.engine.kernels import KernelBank, LearnedBlock
from napari_flim.engine.normalization import Normalization
from napari_flim.inference.encoding import encode
from napari_flim.progress import finish

name, shape = sys.argv[1], tuple(map(int, sys.argv[2:]))
blocks, channels = [], 1
for spec in PRESETS[name].blocks:
    size = (spec.channels, channels, *spec.axes('kernel_size', len(shape)))
    normalization = Normalization(np.zeros(channels, np.float32), np.ones(channels, np.float32))
    weights = np.random.default_rng(0).normal(size=size)
    blocks.append(LearnedBlock(spec, normalization, KernelBank.from_weights(weights)))
    channels = spec.channels


def peak():
    (line,) = [line for line in open('/proc/self/status') if line.startswith('VmHWM')]
    return 1024 * int(line.split()[1])


finish(encode(blocks, torch.rand(1, *(16,) * len(shape))))
before = peak()
finish(encode(blocks, torch.rand(1, *shape)))
print(peak() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='the peak is read from /proc')
@pytest.mark.parametrize(
    ('name', 'shape'),
    [('small', (700, 700)), ('deep', (600, 600)), ('small', (24, 96, 96))],
)
def test_the_estimate_is_close_to_the_real_peak(name: str, shape: tuple[int, ...]) -> None:
    # Takes about three seconds each: a process of its own, so that its peak is that of this work.
    command = [sys.executable, '-c', MEASURE, name, *map(str, shape)]
    real = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert 0.5 < peak_bytes(PRESETS[name], shape, 1) / real < 2


shapes = st.lists(st.integers(8, 40), min_size=2, max_size=3).map(tuple)
presets = st.sampled_from(sorted(PRESETS))


@given(presets, shapes, st.integers(1, 9))
def test_learning_from_one_image_takes_no_more_than_applying_to_it(name, shape, features) -> None:
    one = learning_bytes(PRESETS[name], [shape], features)
    assert one <= peak_bytes(PRESETS[name], shape, features)


@given(presets, shapes, st.integers(1, 9), st.integers(1, 5))
def test_every_further_image_takes_at_least_its_features(name, shape, features, count) -> None:
    few, more = (
        learning_bytes(PRESETS[name], [shape] * number, features) for number in (count, count + 1)
    )
    voxels = 1
    for size in shape:
        voxels *= size
    assert more - few >= 4 * features * voxels


@given(presets, shapes)
def test_more_channels_take_more_memory(name, shape) -> None:
    assert peak_bytes(PRESETS[name], shape, 1) < peak_bytes(PRESETS[name], shape, 2)


def test_a_stride_in_the_first_block_saves_memory() -> None:
    plain, strided = (Architecture((Block(stride=stride), Block(), Block())) for stride in (1, 2))
    assert peak_bytes(strided, (64, 64), 1) < peak_bytes(plain, (64, 64), 1)


def test_one_block_learns_without_encoding_anything() -> None:
    alone = Architecture((Block(channels=64),))
    assert learning_bytes(alone, [(10, 10), (20, 20)], 3) == 4 * 3 * 500
