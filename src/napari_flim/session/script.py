"""A session as a Python script: what was clicked, written as what could have been typed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from napari_flim import __version__
from napari_flim.delineation.delineation_settings import (
    DEFAULT_DELINEATION,
    DelineationSettings,
)
from napari_flim.engine.architecture import Architecture
from napari_flim.engine.decoder_settings import DecoderSettings
from napari_flim.engine.options import LearningOptions
from napari_flim.engine.preprocessing import InputTransform
from napari_flim.io.images import SCNS, SUFFIXES
from napari_flim.io.nifti import NIFTIS
from napari_flim.samples import SAMPLES
from napari_flim.session.learned import BankChange
from napari_flim.session.sources import ImageSource, Strokes

WIDTH = 100


@dataclass(frozen=True, eq=False)
class ScriptInputs:
    """What a model was learned from, and how.

    Attributes
    ----------
    frames : tuple of (ImageSource, int, Strokes)
        Training images: a source, the place along T, and the strokes on it, with the classes the
        engine learns (1 background, 2.. objects) as labels.
    architecture : Architecture
        As asked for, not with the number of channels that was learned.
    preset : str, optional
        Name of the preset that ``architecture`` is.
    transform : InputTransform
    fixed_ranges : bool
        Whether intensity ranges were fixed to those of the training images.
    decoder : DecoderSettings
    options : LearningOptions
    delineation : DelineationSettings
    changes : tuple of BankChange
        What the expert changed in kernel banks, in the order in which it happened; the blocks
        after those that stayed were learned from what was left.
    sizes_due : bool
        Whether the range of sizes is still to be learned from marked objects, in place of that in
        ``delineation``.
    """

    frames: tuple[tuple[ImageSource, int, Strokes], ...]
    architecture: Architecture
    preset: str | None = None
    transform: InputTransform = InputTransform()
    fixed_ranges: bool = False
    decoder: DecoderSettings = DecoderSettings()
    options: LearningOptions = LearningOptions()
    delineation: DelineationSettings = DEFAULT_DELINEATION
    changes: tuple[BankChange, ...] = ()
    sizes_due: bool = False


@dataclass(frozen=True)
class _Call:
    """A call in the script: arguments with what stands before their value, such as ``'axes='``."""

    function: str
    arguments: tuple[tuple[str, Any], ...]


class _Code(str):
    """Text that is Python already."""

    __slots__ = ()


def as_python(inputs: ScriptInputs) -> str:
    """A script that learns the same model from the same strokes, to the same bits.

    It needs no napari. Images are read from their files or samples; one that has neither must be
    saved where a comment says. Run with paths of images, the script also segments these.

    Parameters
    ----------
    inputs : ScriptInputs

    Returns
    -------
    str
        Python source, formatted with lines of at most 100 characters where names allow it.
    """
    body = [
        *_functions(inputs),
        '\n'.join(_sources(inputs.frames)) + '\n',
        *_strokes(inputs.frames),
        _assigned('architecture', _architecture(inputs)),
        *_settings(inputs),
        _learning(inputs),
        _LAST,
    ]
    text = '\n'.join(body)
    return f'{_TITLE}\n{_imports(inputs, text)}\n\n{text}'


def runs_of(strokes: Strokes) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Strokes as runs of voxels of one class along x, in the order of the voxels.

    Returns
    -------
    (runs, ndim + 2) int64 array
        First voxel, length and class of each run.

    Examples
    --------
    >>> voxels, classes = np.array([[0, 3], [0, 4], [2, 1]]), np.array([2, 2, 1])
    >>> runs_of(Strokes(voxels, classes, (5, 5))).tolist()
    [[0, 3, 2, 2], [2, 1, 1, 1]]
    """
    step = np.zeros(len(strokes.shape), dtype=np.int64)
    step[-1] = 1
    goes_on = (np.diff(strokes.coordinates, axis=0) == step).all(axis=1)
    goes_on &= np.diff(strokes.labels) == 0
    first = np.flatnonzero(np.concatenate([[True], ~goes_on])[: len(strokes)])
    lengths = np.diff(np.append(first, len(strokes)))
    return np.column_stack([strokes.coordinates[first], lengths, strokes.labels[first]])


def _functions(inputs: ScriptInputs) -> Iterator[str]:
    if any(_is_file(source) for source, _, _ in inputs.frames):
        yield _READ
    if inputs.changes:
        yield _CHANGED
    yield _PAINTED.replace('CONNECTED', ', across_classes=True' * _is_libift(inputs))


def _sources(frames: Iterable[tuple[ImageSource, int, Strokes]]) -> Iterator[str]:
    """Lines that read every source once, as ``source_1``, ``source_2``, .., and pick the images."""
    numbers: dict[str, int] = {}
    chosen, taken = [], set[str]()
    for source, frame, _ in frames:
        if source.key not in numbers:
            numbers[source.key] = len(numbers) + 1
            yield from _source(f'source_{numbers[source.key]}', source, taken)
        chosen.append(_Code(f'source_{numbers[source.key]}[{frame}]'))
    yield _statement('images', chosen)


def _source(variable: str, source: ImageSource, taken: set[str]) -> Iterator[str]:
    if not _is_file(source):
        yield _statement(variable, _read_sample(source))
    elif _has_readable_path(source):
        path = str(source.path)
        # These formats name their axes in an order of their own.
        axes = None if path.lower().endswith((*NIFTIS, *SCNS)) else source.axes
        yield _statement(variable, _read_file(path, axes, source))
    else:
        name = _free_name(source.name, taken)
        taken.add(name)
        yield f'# The layer {source.name!r} has no file that can be read here.'
        yield f'# Save it where this script runs, with np.save({name!r}, layer.data) in napari.'
        yield _statement(variable, _read_file(name, source.axes, source))


def _is_file(source: ImageSource) -> bool:
    return source.sample not in SAMPLES


def _has_readable_path(source: ImageSource) -> bool:
    return source.path is not None and source.path.lower().endswith(SUFFIXES)


def _free_name(name: str, taken: set[str]) -> str:
    stem = re.sub(r'[^\w.-]+', '_', name) or 'image'
    names = (f'{stem}{"" if n == 1 else f"_{n}"}.npy' for n in range(1, len(taken) + 2))
    return next(one for one in names if one not in taken)


def _read_file(path: str, axes: str | None, source: ImageSource) -> _Call:
    return _Call('read', (('', path), ('', axes), ('', source.spacing)))


def _read_sample(source: ImageSource) -> _Call:
    array = _Code(f'SAMPLES[{source.sample!r}]().image')
    values = (array, source.axes, source.spacing, source.name)
    return _Call('read_stack', tuple(('', value) for value in values))


def _strokes(frames: Iterable[tuple[ImageSource, int, Strokes]]) -> Iterator[str]:
    painted = []
    for number, (_, _, strokes) in enumerate(frames, start=1):
        rows = [' '.join(map(str, run)) for run in runs_of(strokes).tolist()]
        width = max(map(len, rows), default=0) + 2
        each = max(1, (WIDTH + 2) // width)
        lines = [
            ''.join(row.ljust(width) for row in rows[start : start + each]).rstrip()
            for start in range(0, len(rows), each)
        ]
        yield '\n'.join([f'runs_{number} = """', *lines, '"""\n'])
        painted.append(
            _Call('painted', (('', _Code(f'runs_{number}')), ('', tuple(strokes.shape))))
        )
    yield _assigned('markers', painted)


def _architecture(inputs: ScriptInputs) -> Any:
    if inputs.preset is None:
        return inputs.architecture
    return _Call('preset', (('', inputs.preset),))


def _chosen(inputs: ScriptInputs) -> dict[str, Any]:
    """Settings that the script names: those that differ from the default, or are used twice."""
    twice = ('transform', 'options') if _learns_between(inputs) else ()
    names = ('transform', 'options', 'decoder', 'delineation')
    settings = {name: getattr(inputs, name) for name in names}
    return {k: value for k, value in settings.items() if k in twice or value != type(value)()}


def _settings(inputs: ScriptInputs) -> Iterator[str]:
    for name, value in _chosen(inputs).items():
        yield _assigned(name, value)
    if inputs.changes:
        table = tuple((one.stayed, one.block, one.kind, one.kernels) for one in inputs.changes)
        yield _assigned('changes', table)


def _is_libift(inputs: ScriptInputs) -> bool:
    return inputs.transform.kind == 'libift'


def _learns_between(inputs: ScriptInputs) -> bool:
    """Whether blocks are learned after kernels were changed; LibIFT's way always learns all."""
    return bool(inputs.changes) and not _is_libift(inputs)


def _learning(inputs: ScriptInputs) -> str:
    keywords: list[tuple[str, Any]] = [(f'{name}=', _Code(name)) for name in _chosen(inputs)]
    if inputs.fixed_ranges:
        keywords.append(('fixed_ranges=', True))
    if _learns_between(inputs):
        keywords.append(('start=', _Code('blocks')))
    given = (('', _Code(name)) for name in ('images', 'markers', 'architecture'))
    job = _statement('job', _Call('learn_model', (*given, *keywords))) + '\nmodel = finish(job)\n'
    if _learns_between(inputs):
        fixed = ', fixed=True' * inputs.fixed_ranges
        job = _LEARN_BETWEEN.replace('FIXED', fixed) + job
    elif inputs.changes:
        job += _CHANGE_AFTER
    return job + _LEARN_SIZES * inputs.sizes_due


def _imports(inputs: ScriptInputs, text: str) -> str:
    """Import lines for every name that the script uses, sorted as isort does."""
    known = [*_NAMES, *_homes([inputs.architecture, *_chosen(inputs).values()])]
    found: dict[str, set[str]] = {}
    for module, name in known:
        if re.search(rf'\b{name}[(.[]', text):
            found.setdefault(module, set()).add(name)
    lines = []
    for module in sorted(found):
        names = sorted(found[module], key=lambda name: (not name.isupper(), name.islower(), name))
        lines.append(f'from {module} import {", ".join(names)}')
    first = ['import sys', *(line for line in lines if line.startswith('from dataclasses'))]
    own = [line for line in lines if line.startswith('from napari_flim')]
    return '\n'.join([*first, '', 'import numpy as np', *own])


def _homes(value: Any) -> Iterator[tuple[str, str]]:
    """Module and name of every class in a value."""
    if is_dataclass(value) and not isinstance(value, type):
        yield type(value).__module__, type(value).__name__
        value = [getattr(value, one.name) for one in fields(value)]
    if isinstance(value, list | tuple):
        for part in value:
            yield from _homes(part)


def _assigned(name: str, value: Any) -> str:
    return _statement(name, value) + '\n'


def _statement(name: str, value: Any) -> str:
    return f'{name} = {_written(value, 0, len(name) + 3)}'


def _written(value: Any, indent: int, taken: int) -> str:
    """Python for a value: on one line if it fits, else with one part on each line.

    Parameters
    ----------
    value : plain values, spec dataclasses, and lists and tuples of them
    indent : int
        Columns before the statement.
    taken : int
        Columns that the rest of the line needs.
    """
    flat = _flat(value)
    opening, parts, closing = _parts(value)
    if indent + taken + len(flat) <= WIDTH or not parts:
        return flat
    lines = [
        f'{" " * (indent + 4)}{before}{_written(part, indent + 4, len(before) + 1)},'
        for before, part in parts
    ]
    return '\n'.join([opening, *lines, ' ' * indent + closing])


def _flat(value: Any) -> str:
    opening, parts, closing = _parts(value)
    if not opening:
        return str(value) if isinstance(value, _Code) else repr(value)
    inner = ', '.join(before + _flat(part) for before, part in parts)
    return opening + inner + ',' * (len(parts) == 1 and isinstance(value, tuple)) + closing


def _parts(value: Any) -> tuple[str, tuple[tuple[str, Any], ...], str]:
    """What opens a value, its parts with what stands before them, and what closes it."""
    if isinstance(value, _Call):
        return f'{value.function}(', value.arguments, ')'
    if isinstance(value, list | tuple):
        opening, closing = '()' if isinstance(value, tuple) else '[]'
        return opening, tuple(('', part) for part in value), closing
    if is_dataclass(value):
        named = ((one.name, getattr(value, one.name), one.default) for one in fields(value))
        changed = tuple((f'{k}=', v) for k, v, usual in named if usual is MISSING or v != usual)
        return f'{type(value).__name__}(', changed, ')'
    return '', (), ''


_TITLE = f'''"""Learn a model from images and strokes, as it was done in napari.

Written by napari-flim {__version__}. With the paths of images, it also segments these:
python this_script.py image.tif
"""
'''

_READ = '''
def read(path, axes, spacing):
    """Images in a file, with the voxel size that they had in napari."""
    return [replace(image, spacing=spacing) for image in read_images(path, axes)]
'''

_PAINTED = '''
def painted(runs, shape):
    """Markers from runs of voxels along x: first voxel, length and class of each run."""
    table = np.array(runs.split(), dtype=np.int64).reshape(-1, len(shape) + 2)
    first, lengths, classes = table[:, :-2], table[:, -2], table[:, -1]
    voxels = np.repeat(first, lengths, axis=0)
    voxels[:, -1] += np.concatenate([np.arange(length) for length in lengths])
    return MarkerSet.from_points(voxels, np.repeat(classes, lengths), shapeCONNECTED)

'''

_CHANGED = """
def changed(blocks, number, kind, kernels):
    \"\"\"The blocks with kernels of one of them dropped, or inverted.\"\"\"
    if kind == 'drop':
        return drop_kernels(blocks, number, kernels)
    block = blocks[number - 1]
    block = replace(block, bank=block.bank.invert(kernels))
    return (*blocks[: number - 1], block, *blocks[number:])
"""

_LEARN_BETWEEN = """resolved = transform.resolved(imagesFIXED)
inputs = [input_features(resolved, image) for image in images]
blocks = ()
for stayed, number, kind, kernels in changes:
    first = replace(architecture, blocks=architecture.blocks[:stayed])
    blocks = finish(learn_encoder(inputs, markers, first, options, start=blocks))
    blocks = changed(blocks, number, kind, kernels)

"""

_CHANGE_AFTER = """for _, number, kind, kernels in changes:
    model = replace(model, blocks=changed(model.blocks, number, kind, kernels))
"""

_LEARN_SIZES = """model = finish(learn_sizes(model, images, markers))
"""

_LAST = """model.save('model.flim')
print(model)

for path in sys.argv[1:]:
    image = read_image(path)
    write_labels(f'{stem(path)}_objects.tif', model.segment(image), image.spacing)
"""

_NAMES = (
    ('dataclasses', 'replace'),
    ('napari_flim.engine.architecture', 'preset'),
    ('napari_flim.engine.image', 'read_stack'),
    ('napari_flim.engine.input_features', 'input_features'),
    ('napari_flim.engine.kernels', 'drop_kernels'),
    ('napari_flim.engine.learning', 'learn_encoder'),
    ('napari_flim.engine.markers', 'MarkerSet'),
    ('napari_flim.io.images', 'read_image'),
    ('napari_flim.io.images', 'read_images'),
    ('napari_flim.io.images', 'stem'),
    ('napari_flim.io.results', 'write_labels'),
    ('napari_flim.progress', 'finish'),
    ('napari_flim.samples', 'SAMPLES'),
    ('napari_flim.training', 'learn_model'),
    ('napari_flim.training', 'learn_sizes'),
)
"""Where the names come from that a script may use."""
