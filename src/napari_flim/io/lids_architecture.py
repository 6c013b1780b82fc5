"""LIDS `arch.json`: architectures as LibIFT, FLIMbuilder and flim-python-demo write them.

LIDS lists run x, y, z with a third entry of 0 for images; ours run (z, y, x). What LIDS files
cannot say is kept under a key ``napari_flim`` inside the layer, which LIDS tools ignore.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_flim.engine.architecture import (
    LARGEST_CHANNELS,
    LARGEST_WINDOW,
    Architecture,
    Block,
    PerAxis,
    Pooling,
)
from napari_flim.errors import ArchitectureError, FileError, FlimWarning
from napari_flim.io.atomic import write_atomically

POOLING: dict[str, Pooling] = {
    'no_pool': 'none',
    'max_pool': 'max',
    'avg_pool': 'average',
    'min_pool': 'min',
}
LARGEST_CAP = 10_000_000
TOP_KEYS = {'nlayers', 'stdev_factor', 'apply_intrinsic_atrous'}
LAYER_KEYS = {'conv', 'relu', 'pooling', 'napari_flim'}
CONV_KEYS = {
    'kernel_size',
    'dilation_rate',
    'nkernels_per_marker',
    'nkernels_per_image',
    'noutput_channels',
}
POOLING_KEYS = {'type', 'size', 'stride'}
EXTRA_KEYS = {'extra_dilations', 'kind', 'stride'}


def read_architecture(path: Path | str) -> Architecture:
    """Read an `arch.json`; see `architecture_from_lids`.

    Raises
    ------
    FileError
        When the file is missing, empty or not JSON.
    ArchitectureError
        When it is JSON, but not a possible architecture.
    """
    return architecture_from_lids(read_json(path), str(path))


def write_architecture(
    path: Path | str, architecture: Architecture, ndim: int | None = None
) -> None:
    """Write an `arch.json`; see `architecture_to_lids`.

    Raises
    ------
    FileError
        When the file cannot be written.
    """
    text = json.dumps(architecture_to_lids(architecture, ndim), indent=1) + '\n'
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding='utf-8'))


def read_json(path: Path | str) -> dict[str, Any]:
    """Named values of a JSON file.

    Raises
    ------
    FileError
        When the file is missing, not JSON, or holds something else than named values.
    """
    try:
        content = json.loads(Path(path).read_text(encoding='utf-8'))
    except OSError as error:
        raise FileError(f'{path} cannot be read: {error.strerror}. Check the path.') from error
    except ValueError as error:
        raise FileError(f'{path} is not valid JSON: {error}.') from error
    if not isinstance(content, dict):
        raise FileError(f'{path} holds a {type(content).__name__}; expected named values {{...}}.')
    return content


def architecture_from_lids(content: Mapping[str, Any], source: str = 'arch.json') -> Architecture:
    """Architecture from the content of an `arch.json`.

    An even kernel or pooling size k means k + 1 taps, as LibIFT's loops have it. Unknown keys,
    ``conv.stride`` and ``conv.bias`` are ignored. All of these give a warning.

    Parameters
    ----------
    content : dict
    source : str
        File name for messages.

    Raises
    ------
    ArchitectureError
        Names the file, the layer, the key, the value given and the values allowed.
    """
    top = _Part(source, content)
    if 'features' in content:
        raise ArchitectureError(
            f'{source} lists torch modules under "features", as LIDS-UNICAMP/FLIM does; '
            'expected "nlayers", "layer1", .. as LibIFT and FLIMbuilder write.'
        )
    names = [f'layer{n}' for n in range(1, top.whole('nlayers', LARGEST_CHANNELS) + 1)]
    top.warn_unknown(TOP_KEYS.union(names))
    factor = top.get('stdev_factor')
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not factor >= 0:
        raise top.error('stdev_factor', factor, 'a number from 0 up, such as 0.01')
    blocks = tuple(_block(top.part(name)) for name in names)
    atrous = 'apply_intrinsic_atrous' in content and top.flag('apply_intrinsic_atrous')
    try:
        return Architecture(blocks, epsilon=factor, intrinsic_atrous=atrous)
    except ArchitectureError as error:
        raise ArchitectureError(f'{source}: {error}') from error


def architecture_to_lids(architecture: Architecture, ndim: int | None = None) -> dict[str, Any]:
    """Content of an `arch.json` from which `architecture_from_lids` makes the same architecture.

    Only equal tuples come back as one number. Blocks that LIDS tools would compute differently
    give a warning.

    Parameters
    ----------
    architecture : Architecture
    ndim : int, optional
        2 writes the third entry 0 as LIDS tools do for images, 3 writes all three. By default a
        number is written three times, which serves both.
    """
    content: dict[str, Any] = {
        'stdev_factor': architecture.epsilon,
        'nlayers': len(architecture),
        'apply_intrinsic_atrous': architecture.intrinsic_atrous,
    }
    for number, block in enumerate(architecture.blocks, start=1):
        layer = _layer(block, ndim)
        if 'napari_flim' in layer or block.pooling == 'min':
            warnings.warn(
                f'Layer {number} has several dilations, separable kernels, minimum pooling or '
                'unequal strides; LIDS tools cannot compute it.',
                FlimWarning,
                stacklevel=2,
            )
        content[f'layer{number}'] = layer
    return content


@dataclass(frozen=True)
class _Part:
    """A piece of the file that knows where it is, so that every error can say it."""

    where: str
    content: Mapping[str, Any]

    def error(self, key: str, value: object, allowed: str) -> ArchitectureError:
        return ArchitectureError(f'{self.where}: {key} is {value!r}; expected {allowed}.')

    def get(self, key: str) -> Any:
        if key not in self.content:
            raise ArchitectureError(
                f'{self.where}: {key} is missing; found {", ".join(self.content) or "nothing"}.'
            )
        return self.content[key]

    def part(self, key: str) -> _Part:
        value = self.get(key)
        if not isinstance(value, dict):
            raise self.error(key, value, 'named values {...}')
        return _Part(f'{self.where}, {key}', value)

    def flag(self, key: str) -> bool:
        value = self.get(key)
        if not isinstance(value, bool):
            raise self.error(key, value, 'true or false')
        return value

    def whole(self, key: str, largest: int) -> int:
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= largest:
            raise self.error(key, value, f'a whole number from 1 to {largest}')
        return value

    def axes(self, key: str, *, odd: bool) -> PerAxis:
        """A list x, y, z as one number or a tuple (y, x) or (z, y, x)."""
        value = self.get(key)
        entries = value if isinstance(value, list) else []
        if len(entries) == 3 and type(entries[2]) is int and entries[2] == 0:
            entries = entries[:2]
        if len(entries) not in (2, 3) or not all(
            type(n) is int and 1 <= n <= LARGEST_WINDOW for n in entries
        ):
            allowed = f'[x, y, z] with whole numbers from 1 to {LARGEST_WINDOW}'
            raise self.error(key, value, f'{allowed}; z is 0 for images')
        if odd and any(n % 2 == 0 for n in entries):
            entries = [n + 1 - n % 2 for n in entries]
            warnings.warn(
                f'{self.where}: {key} is {value}; an even size k means k + 1 taps, '
                f'so {entries} is used, as LibIFT does.',
                FlimWarning,
                stacklevel=2,
            )
        return collapse(tuple(entries[::-1]))

    def warn_unknown(self, known: set[str]) -> None:
        for key in sorted(set(self.content) - known):
            warnings.warn(f'{self.where}: {key} is ignored.', FlimWarning, stacklevel=2)


def collapse(values: tuple[int, ...]) -> PerAxis:
    """One number for a tuple of equal numbers."""
    return values[0] if len(set(values)) == 1 else values


def _block(layer: _Part) -> Block:
    layer.warn_unknown(LAYER_KEYS)
    conv, pooling = layer.part('conv'), layer.part('pooling')
    conv.warn_unknown(CONV_KEYS)
    pooling.warn_unknown(POOLING_KEYS)
    kind = pooling.get('type')
    if not isinstance(kind, str) or kind not in POOLING:
        raise pooling.error('type', kind, ', '.join(POOLING))
    values: dict[str, Any] = {
        'kernel_size': conv.axes('kernel_size', odd=True),
        'dilation': conv.axes('dilation_rate', odd=False),
        'kernels_per_marker': conv.whole('nkernels_per_marker', LARGEST_CHANNELS),
        'kernels_per_image': conv.whole('nkernels_per_image', LARGEST_CAP),
        'channels': conv.whole('noutput_channels', LARGEST_CHANNELS),
        'activation': 'relu' if layer.flag('relu') else 'none',
        'pooling': POOLING[kind],
    }
    # Without pooling, files leave out size and stride or set them to 0; nothing reads them.
    unset = (None, 0, [], [0, 0, 0]) if kind == 'no_pool' else ()
    if pooling.content.get('size') not in unset:
        values['pool_size'] = pooling.axes('size', odd=True)
    if pooling.content.get('stride') not in unset:
        values['stride'] = pooling.whole('stride', LARGEST_WINDOW)
    if 'napari_flim' in layer.content:
        extras = layer.part('napari_flim')
        extras.warn_unknown(EXTRA_KEYS)
        if not isinstance(extras.content.get('extra_dilations', []), list):
            raise extras.error('extra_dilations', extras.get('extra_dilations'), 'a list')
        values |= {k: _tuple(v) for k, v in extras.content.items() if k in EXTRA_KEYS}
    try:
        return Block(**values)
    except ArchitectureError as error:
        raise ArchitectureError(f'{layer.where}: {error}') from error


def _layer(block: Block, ndim: int | None) -> dict[str, Any]:
    stride = collapse(block.stride) if isinstance(block.stride, tuple) else block.stride
    extras: dict[str, Any] = {}
    if block.extra_dilations:
        extras['extra_dilations'] = list(block.extra_dilations)
    if block.kind != 'regular':
        extras['kind'] = block.kind
    if isinstance(stride, tuple):
        extras['stride'] = list(stride)
    names = {ours: theirs for theirs, ours in POOLING.items()}
    layer: dict[str, Any] = {
        'conv': {
            'kernel_size': _x_first(block.kernel_size, ndim),
            'nkernels_per_marker': block.kernels_per_marker,
            'dilation_rate': _x_first(block.dilation, ndim),
            'nkernels_per_image': block.kernels_per_image,
            'noutput_channels': block.channels,
        },
        'relu': block.activation == 'relu',
        'pooling': {
            'type': names[block.pooling],
            'size': _x_first(block.pool_size, ndim),
            'stride': max(stride) if isinstance(stride, tuple) else stride,
        },
    }
    return layer | ({'napari_flim': extras} if extras else {})


def _x_first(value: PerAxis, ndim: int | None) -> list[int]:
    entries = list(value[::-1]) if isinstance(value, tuple) else [value] * 3
    return [*entries[:2], 0] if ndim == 2 or len(entries) == 2 else entries


def _tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value
