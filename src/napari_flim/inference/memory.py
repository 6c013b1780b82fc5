"""How much memory learning and applying an encoder take, before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from napari_flim.engine.architecture import Architecture

BYTES = 4
LINEAR_MAPS = {2: 20, 3: 34}
"""Maps of image size that a linear decoder holds at its peak, by rank."""
BESIDE = 8
"""Maps of image size for the voxels themselves and the strips of convolution and pooling; measured
as the difference to the peak of whole processes."""
MAPS = 6
"""Maps of image size that decoding holds at its peak."""


def peak_bytes(architecture: Architecture, shape: Sequence[int], features: int) -> int:
    """Bytes that encoding one image takes at its peak, when every block is kept.

    Parameters
    ----------
    architecture : Architecture
    shape : sequence of int
        Spatial shape of the image.
    features : int
        Channels that block 1 reads.

    Returns
    -------
    int
        float32 features, the activations of all blocks so far, and what a block needs beside.

    Examples
    --------
    >>> from napari_flim.engine.architecture import Block
    >>> peak_bytes(Architecture((Block(channels=16),)), (100, 100), 1)
    680000
    """
    held = peak = features * prod(shape)
    for step in _steps(architecture, shape, features):
        peak = max(peak, held + step.working)
        held += step.result
    return BYTES * peak


def applying_bytes(
    architecture: Architecture, shape: Sequence[int], features: int, *, linear: bool = False
) -> int:
    """Bytes that saliency of an image, or of a tile, takes at its peak.

    Parameters
    ----------
    architecture : Architecture
        Up to the decoded block.
    shape : sequence of int
        Spatial shape.
    features : int
        Channels that block 1 reads.
    linear : bool
        Whether a linear decoder reads all blocks and the input, in place of an adaptive one.

    Returns
    -------
    int
        float32 features, one block at a time and what it needs beside, then the decoder: scaled
        channels, sums in double precision, and maps at image size. A linear one keeps the channels
        of all blocks, and makes features of the input, one scale at a time.

    Examples
    --------
    >>> from napari_flim.engine.architecture import Block
    >>> applying_bytes(Architecture((Block(channels=16),)), (100, 100), 1)
    1920000
    """
    voxels = prod(shape)
    held = (2 * features + BESIDE) * voxels
    steps = _steps(architecture, shape, features)
    if linear:
        kept = sum(step.result for step in steps)
        working = max(step.read + step.working for step in steps)
        return BYTES * (held + kept + max(working, LINEAR_MAPS[len(shape)] * voxels))
    peak = max(held + step.read + step.working for step in steps)
    decoding = held + 2 * steps[-1].result + MAPS * voxels
    return BYTES * max(peak, decoding)


def learning_bytes(
    architecture: Architecture, shapes: Sequence[Sequence[int]], features: int
) -> int:
    """Bytes that learning takes at its peak: all images are in memory, one is being encoded.

    Parameters
    ----------
    architecture : Architecture
    shapes : sequence of sequence of int
        Spatial shape of every training image.
    features : int
        Channels that block 1 reads.

    Examples
    --------
    >>> from napari_flim.engine.architecture import Block
    >>> learning_bytes(Architecture((Block(channels=16),) * 2), [(100, 100)] * 3, 1)
    2040000
    """
    inputs = sum(features * prod(shape) for shape in shapes)
    peak = inputs
    encoded = zip(*(_steps(architecture, shape, features)[:-1] for shape in shapes), strict=True)
    for number, steps in enumerate(encoded):
        # What block 1 reads are the inputs, which are counted already.
        read = [step.read if number else 0 for step in steps]
        held = [max(r, step.result) for r, step in zip(read, steps, strict=True)]
        more = [r - h + step.working for r, h, step in zip(read, held, steps, strict=True)]
        peak = max(peak, inputs + sum(held) + max(more))
    return BYTES * peak


@dataclass(frozen=True, slots=True)
class _Step:
    """Numbers that one block reads, gives, and holds at most while it works."""

    read: int
    result: int
    working: int


def _steps(architecture: Architecture, shape: Sequence[int], features: int) -> list[_Step]:
    steps, channels, grid = [], features, tuple(shape)
    for block, smaller in zip(architecture.blocks, architecture.output_shapes(shape), strict=True):
        read, answer = channels * prod(grid), block.channels * prod(grid)
        result = block.channels * prod(smaller)
        # Images are convolved in strips; of a volume torch makes copies in a layout of its own.
        beside = read + answer if len(grid) == 3 else 0
        pooled = result if smaller != grid else 0
        answers = answer * (2 if block.extra_dilations else 1)
        steps.append(_Step(read, result, answers + max(beside, pooled)))
        channels, grid = block.channels, smaller
    return steps
