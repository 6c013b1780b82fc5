"""The model file, ``.flim``: safetensors with a JSON header. Reading one runs no code."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_flim.engine.architecture import Block
from napari_flim.engine.kernels import KernelBank, LearnedBlock
from napari_flim.engine.normalization import Normalization
from napari_flim.errors import FlimError, ModelFileError
from napari_flim.io.container import FileKind, read_container, write_container

KEY = 'napari_flim'
ADVICE = 'Use the file that napari-flim saved, or learn the model again.'
MODEL = FileKind('model', '.flim', KEY, 1, ModelFileError, ADVICE)

_DTYPES: dict[str, Any] = {
    'weights': np.float32,
    'bias': np.float32,
    'classes': np.int64,
    'images': np.int64,
    'markers': np.int64,
    'voxels': np.int64,
    'mean': np.float32,
    'std': np.float32,
}


def write_model_file(path: Path | str, header: dict[str, Any], tensors: dict[str, Any]) -> None:
    """Write a model whole or not at all; see `napari_flim.io.container.write_container`."""
    write_container(path, MODEL, header, tensors)


def read_model_file(path: Path | str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Header and arrays of a model file.

    Raises
    ------
    ModelFileError
        When the file is missing, truncated, damaged, no model, or newer than this program.
    """
    return read_container(path, MODEL)


def blocks_to_tensors(blocks: tuple[LearnedBlock, ...]) -> dict[str, NDArray[Any]]:
    """Arrays of learned blocks under the names ``block1.weights``, ``block1.mean``, ..."""
    tensors = {}
    for number, block in enumerate(blocks, start=1):
        for name in ('mean', 'std'):
            tensors[f'block{number}.{name}'] = getattr(block.normalization, name)
        for name in ('weights', 'bias', 'classes', 'images', 'markers', 'voxels'):
            tensors[f'block{number}.{name}'] = getattr(block.bank, name)
    return tensors


def tensors_to_blocks(
    path: Path | str, specs: tuple[Block, ...], tensors: dict[str, NDArray[Any]]
) -> tuple[LearnedBlock, ...]:
    """Inverse of `blocks_to_tensors`; everything is checked, since files may be hostile.

    Raises
    ------
    ModelFileError
        When an array is missing, surplus, or does not fit its block.
    """
    expected = {f'block{n}.{name}' for n in range(1, len(specs) + 1) for name in _DTYPES}
    if set(tensors) != expected:
        strange = sorted(set(tensors) ^ expected)[0]
        raise ModelFileError(f'{path} is damaged: the array {strange} is missing or surplus.')
    blocks = []
    for number, spec in enumerate(specs, start=1):
        arrays = {name: tensors[f'block{number}.{name}'] for name in _DTYPES}
        for name, array in arrays.items():
            if array.dtype != _DTYPES[name] or not np.isfinite(array).all():
                raise ModelFileError(
                    f'{path} is damaged: {name} of block {number} is no array of finite '
                    f'{np.dtype(_DTYPES[name]).name} numbers.'
                )
        blocks.append(_block(path, number, spec, arrays))
    for number, (first, second) in enumerate(pairwise(blocks), start=2):
        if second.bank.weights.shape[1] != len(first.bank):
            raise ModelFileError(
                f'{path} is damaged: block {number} reads {second.bank.weights.shape[1]} '
                f'channels, but block {number - 1} has {len(first.bank)} kernels.'
            )
    return tuple(blocks)


def _block(
    path: Path | str, number: int, spec: Block, arrays: dict[str, NDArray[Any]]
) -> LearnedBlock:
    weights, mean, std = arrays['weights'], arrays['mean'], arrays['std']
    ndim = weights.ndim - 2
    try:
        if ndim not in (2, 3) or not all(weights.shape):
            raise ValueError(f'kernels of shape {weights.shape}')
        if weights.shape[2:] != spec.axes('kernel_size', ndim):
            raise ValueError(f'kernels of size {weights.shape[2:]} against {spec.kernel_size}')
        if mean.shape != weights.shape[1:2] or std.shape != mean.shape or (std <= 0).any():
            raise ValueError(f'statistics of shape {mean.shape}, {std.shape}')
        names = ('weights', 'bias', 'classes', 'images', 'markers', 'voxels')
        bank = KernelBank(**{name: arrays[name] for name in names})
    except (ValueError, FlimError) as error:
        raise ModelFileError(f'{path} is damaged in block {number}: {error}') from error
    return LearnedBlock(spec, Normalization(mean, std), bank)
