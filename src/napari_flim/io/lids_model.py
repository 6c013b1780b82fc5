"""LIDS model folders: `arch.json` with `convN-kernels.npy` and statistics beside it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from napari_flim.engine.architecture import Architecture, Block, with_channels
from napari_flim.engine.kernels import KernelBank, LearnedBlock
from napari_flim.engine.normalization import Normalization
from napari_flim.errors import FileError, FlimWarning, ModelFileError
from napari_flim.io.atomic import write_atomically
from napari_flim.io.lids_architecture import (
    architecture_from_lids,
    read_json,
    write_architecture,
)
from napari_flim.io.lids_taps import TapOrder, centre_first, detect_tap_order, to_raster

SETTINGS = 'napari_flim.json'


@dataclass(frozen=True, eq=False)
class LidsModel:
    """Content of a model folder.

    Attributes
    ----------
    architecture : Architecture
        With the number of kernels that is really there.
    blocks : tuple of LearnedBlock
    settings : dict
        What `write_lids_model` was given to remember, such as the input path and class names.
    tap_order : {'raster', 'centre_first'}
        Order in which the taps were read.
    selections : dict of int to tuple of int
        Kernels of a block, from 0, that ``manual_kernelsN.json`` names; all kernels were read.
    """

    architecture: Architecture
    blocks: tuple[LearnedBlock, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    tap_order: TapOrder = 'raster'
    selections: dict[int, tuple[int, ...]] = field(default_factory=dict)


def read_lids_model(
    folder: Path | str, *, tap_order: Literal['auto', 'raster', 'centre_first'] = 'auto'
) -> LidsModel:
    """Read a model folder of LibIFT, FLIMbuilder or `write_lids_model`.

    Kernels with a bias file are divided by the deviation there; they are brought back to the
    normalised space, where what is left of the bias is close to zero. Classes come from the
    labels, weights or kernel types, whichever is there.

    Parameters
    ----------
    folder : path
    tap_order : {'auto', 'raster', 'centre_first'}
        ``auto`` trusts our own settings file, else compares total variations.

    Raises
    ------
    ModelFileError
        When files are missing, damaged, or do not fit together; names the file.
    ArchitectureError
        When `arch.json` is not a possible architecture.
    """
    folder = Path(folder)
    if not (folder / 'arch.json').is_file():
        raise ModelFileError(f'{folder} holds no arch.json; expected a LIDS model folder.')
    content = read_json(folder / 'arch.json')
    architecture = architecture_from_lids(content, str(folder / 'arch.json'))
    ndim = _rank(content, len(architecture))
    own = read_json(folder / SETTINGS) if (folder / SETTINGS).is_file() else {}
    layers = [
        _read_layer(folder, number, block.axes('kernel_size', ndim))
        for number, block in enumerate(architecture.blocks, start=1)
    ]
    for number, (layer, following) in enumerate(pairwise(layers), start=1):
        if following.kernels.shape[-2] != layer.kernels.shape[-1]:
            raise ModelFileError(
                f'{folder}: layer {number} has {layer.kernels.shape[-1]} kernels, but layer '
                f'{number + 1} expects {following.kernels.shape[-2]} channels; '
                'the files belong to different models.'
            )
    order = own.get('tap_order', 'auto') if tap_order == 'auto' else tap_order
    if order not in get_args(TapOrder):
        order = detect_tap_order([layer.kernels for layer in layers])
    architecture = with_channels(architecture, [layer.kernels.shape[-1] for layer in layers])
    blocks = tuple(
        _learned(layer, spec, order)
        for layer, spec in zip(layers, architecture.blocks, strict=True)
    )
    selections = {n: s for n in range(1, len(blocks) + 1) if (s := _selection(folder, n))}
    return LidsModel(architecture, blocks, own.get('settings', {}), order, selections)


def write_lids_model(
    folder: Path | str,
    architecture: Architecture,
    blocks: Sequence[LearnedBlock],
    *,
    tap_order: TapOrder = 'raster',
    fold_bias: bool = False,
    settings: dict[str, Any] | None = None,
) -> None:
    """Write a model folder that LIDS tools and `read_lids_model` can read.

    Parameters
    ----------
    folder : path
        Made if missing. A model that is already there is not overwritten.
    architecture : Architecture
    blocks : sequence of LearnedBlock
        One for each block of the architecture.
    tap_order : {'raster', 'centre_first'}
        ``raster`` for LibIFT and FLIMbuilder since 2023; ``centre_first`` for flim-python-demo
        and LIDS-UNICAMP/FLIM.
    fold_bias : bool
        Divide the kernels by the deviation and write biases (LibIFT with ``USE_BIAS``). A model
        with a bias that is not zero is folded in any case, since other layouts cannot hold it.
    settings : dict, optional
        Anything JSON can hold; kept in a file of our own beside the model.

    Raises
    ------
    ModelFileError
        When the folder already holds a model, or architecture and blocks do not fit together.
    FileError
        When a file cannot be written.
    """
    folder = Path(folder)
    ndims = {block.bank.ndim for block in blocks}
    if len(blocks) != len(architecture) or len(ndims) != 1:
        raise ModelFileError(
            f'An architecture of {len(architecture)} blocks came with {len(blocks)} learned blocks '
            f'with {sorted(ndims)} axes; expected one for each, all of the same rank.'
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        present = sorted(
            p.name for p in folder.iterdir() if p.match('conv*-*') or p.match('arch.json')
        )
    except OSError as error:
        raise FileError(f'{folder} cannot be used: {error.strerror}; choose another.') from error
    if present:
        raise ModelFileError(
            f'{folder} already holds a model ({present[0]}); choose an empty folder or delete it.'
        )
    biased = any((block.bank.bias != 0).any() for block in blocks)
    if biased and not fold_bias:
        warnings.warn(
            'The model has biases, so its kernels are written divided by the deviation; '
            'run LibIFT with USE_BIAS=1.',
            FlimWarning,
            stacklevel=2,
        )
    for number, block in enumerate(blocks, start=1):
        _write_layer(folder, number, block, tap_order, fold=fold_bias or biased)
    own = json.dumps({'tap_order': tap_order, 'settings': settings or {}}, indent=1)
    _write_text(folder / SETTINGS, own)
    real = with_channels(architecture, [len(block.bank) for block in blocks])
    write_architecture(folder / 'arch.json', real, ndims.pop())


@dataclass(frozen=True, eq=False)
class _Layer:
    """Files of one layer; kernels (\\*k, C, K) with the taps as they lie in the file."""

    kernels: NDArray[np.float32]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    bias: NDArray[np.float64] | None
    classes: NDArray[np.int64] | None


def _rank(content: dict[str, Any], count: int) -> int:
    sizes = [content[f'layer{n}']['conv']['kernel_size'] for n in range(1, count + 1)]
    return 3 if any(len(size) == 3 and size[2] > 0 for size in sizes) else 2


def _read_layer(folder: Path, number: int, size: tuple[int, ...]) -> _Layer:
    path = folder / f'conv{number}-kernels.npy'
    try:
        with path.open('rb') as file:
            table = np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise ModelFileError(f'{path} cannot be read: {reason}. Get the model again.') from error
    mean, std = (_statistic(folder, number, name) for name in ('mean', 'stdev'))
    rows = int(np.prod(size)) * len(mean)
    if table.ndim != 2 or table.dtype.kind != 'f' or len(table) != rows or len(std) != len(mean):
        raise ModelFileError(
            f'{path} holds a {table.dtype} table of shape {table.shape}, beside {len(mean)} means '
            f'and {len(std)} deviations; expected {rows} rows of floats for {size} taps of '
            f'{len(mean)} channels. arch.json and the files may belong to different models.'
        )
    if not table.shape[1] or not np.isfinite(table).all():
        raise ModelFileError(f'{path} has no kernels, or values that are not finite numbers.')
    if not (std > 0).all():
        warnings.warn(f'Layer {number} has a deviation of 0; 1 is used.', FlimWarning, stacklevel=3)
        std = np.where(std > 0, std, np.float32(1))
    kernels = table.astype(np.float32).reshape(*size, len(mean), -1)
    bias_file = folder / f'conv{number}-bias.txt'
    bias = _counted(bias_file, table.shape[1]) if bias_file.is_file() else None
    return _Layer(kernels, mean, std, bias, _classes(folder, number, table.shape[1]))


def _learned(layer: _Layer, spec: Block, order: TapOrder) -> LearnedBlock:
    kernels = layer.kernels if order == 'raster' else to_raster(layer.kernels)
    weights = np.moveaxis(kernels, (-1, -2), (0, 1))
    bias = None
    if layer.bias is not None:
        # W . x + b with the mean outside the image is (W std) . z + b + sum(W mean) with zeros.
        column = (-1,) + (1,) * (weights.ndim - 2)
        shift = (weights * layer.mean.astype(np.float64).reshape(column)).reshape(len(weights), -1)
        bias = layer.bias + shift.sum(axis=1)
        weights = weights * layer.std.reshape(column)
    bank = KernelBank.from_weights(np.ascontiguousarray(weights), layer.classes, bias)
    return LearnedBlock(spec, Normalization(layer.mean, layer.std), bank)


def _write_layer(
    folder: Path, number: int, block: LearnedBlock, order: TapOrder, *, fold: bool
) -> None:
    bank, statistics = block.bank, block.normalization
    weights = bank.weights.astype(np.float64)
    if fold:
        column = (-1,) + (1,) * bank.ndim
        weights = weights / statistics.std.reshape(column)
        shift = (weights * statistics.mean.reshape(column)).reshape(len(bank), -1).sum(axis=1)
        bias = ' '.join(_decimal(b) for b in bank.bias - shift)
        _write_text(folder / f'conv{number}-bias.txt', f'{len(bank)}\n{bias} ')
    taps = np.moveaxis(weights, (0, 1), (-1, -2))
    flat = taps.reshape(-1, *taps.shape[-2:])
    if order == 'centre_first':
        flat = flat[centre_first(len(flat))]
    table = np.ascontiguousarray(flat.reshape(-1, len(bank)), dtype='<f4')
    write_atomically(folder / f'conv{number}-kernels.npy', lambda path: np.save(path, table))
    for name, values in (('mean', statistics.mean), ('stdev', statistics.std)):
        text = ''.join(f'{_decimal(v)} ' for v in values)
        for prefix in ('conv', 'm-norm'):
            _write_text(folder / f'{prefix}{number}-{name}.txt', text)
    if (bank.classes > 0).any():
        labels = ' '.join(map(str, bank.classes.tolist()))
        _write_text(folder / f'conv{number}-labels.txt', f'{len(bank)}\n{labels} ')


def _statistic(folder: Path, number: int, name: str) -> NDArray[np.float32]:
    paths = [folder / f'{prefix}{number}-{name}.txt' for prefix in ('conv', 'm-norm')]
    path = next((path for path in paths if path.is_file()), paths[0])
    return np.array(_numbers(path), dtype=np.float32)


def _classes(folder: Path, number: int, count: int) -> NDArray[np.int64] | None:
    """Classes of the kernels: 1 background, 2.. objects, 0 unknown; None if no file tells."""
    labels, weights = (folder / f'conv{number}-{name}.txt' for name in ('labels', 'weights'))
    if labels.is_file():
        values = _counted(labels, count)
        if (values < 0).any() or (values != np.floor(values)).any():
            raise ModelFileError(f'{labels} should hold whole numbers: 1 background, 2.. objects.')
        return values.astype(np.int64)
    types = sorted((folder / f'kernels_type{number}').glob('*.txt'))
    signs = [np.sign(_counted(path, count)) for path in ([weights] if weights.is_file() else types)]
    if not signs or any((other != signs[0]).any() for other in signs):
        return None
    return np.where(signs[0] > 0, 2, np.where(signs[0] < 0, 1, 0)).astype(np.int64)


def _selection(folder: Path, number: int) -> tuple[int, ...]:
    path = folder / f'manual_kernels{number}.json'
    chosen = read_json(path).get('selected_kernels', []) if path.is_file() else []
    if not isinstance(chosen, list) or not all(type(index) is int for index in chosen):
        raise ModelFileError(f'{path}: selected_kernels should be a list of whole numbers.')
    return tuple(chosen)


def _counted(path: Path, count: int) -> NDArray[np.float64]:
    """One number for each kernel, with or without their count in front."""
    numbers = _numbers(path)
    values = numbers[1:] if len(numbers) == count + 1 and numbers[0] == count else numbers
    if len(values) != count:
        raise ModelFileError(
            f'{path} holds {len(values)} numbers; expected {count}, one for each kernel.'
        )
    return np.array(values)


def _numbers(path: Path) -> list[float]:
    try:
        numbers = [float(word) for word in path.read_text(encoding='utf-8').split()]
    except OSError as error:
        raise ModelFileError(f'{path} cannot be read: {error.strerror}.') from error
    except ValueError as error:
        raise ModelFileError(f'{path} is damaged: expected numbers ({error}).') from error
    if not numbers or not np.isfinite(numbers).all():
        raise ModelFileError(f'{path} is empty or holds values that are not finite numbers.')
    return numbers


def _decimal(value: float | np.floating) -> str:
    """At least the six decimals of LibIFT, and as many as float32 needs to come back equal.

    >>> _decimal(0.5), _decimal(1e-8)
    ('0.500000', '0.00000001')
    """
    return np.format_float_positional(np.float32(value), unique=True, min_digits=6)


def _write_text(path: Path, text: str) -> None:
    write_atomically(path, lambda temporary: temporary.write_text(text + '\n', encoding='utf-8'))
