"""The session file, ``.flim-session``: images, strokes, classes, settings and model in one file.

It is kept like a model file, and reading one runs no code. What it holds is plain data; images
are named, not stored.
"""

from __future__ import annotations

import re
import reprlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_flim.engine.architecture import Architecture, architecture_to_dict, read_block
from napari_flim.engine.image import LETTERS, SPATIAL
from napari_flim.engine.kernels import LearnedBlock
from napari_flim.engine.markers import LARGEST_LABEL
from napari_flim.errors import FileError, FlimError
from napari_flim.io.container import FileKind, as_tuples, read_container, write_container
from napari_flim.io.model_file import blocks_to_tensors, tensors_to_blocks
from napari_flim.io.saved_corrections import SavedCorrections, corrections_from_tensors

SESSION = FileKind(
    'session',
    '.flim-session',
    'napari_flim_session',
    1,
    FileError,
    'Use the file that napari-flim saved, or start a new session.',
)

FrameStrokes = tuple[NDArray[np.int64], NDArray[np.int64]]

LARGEST_SIZE = 2**31 - 1
OF_CORRECTIONS = re.compile(r'image(\d{1,9})\.corrections(\d{1,9})\.(\w+)')


@dataclass(frozen=True, eq=False)
class SavedImage:
    """One image of a session, and what is painted on it.

    Attributes
    ----------
    name : str
        Of the layer.
    path : str, optional
        File the image was read from.
    sample : str, optional
        Name of the bundled sample the image comes from.
    shape : tuple of int
        Of the whole array of the layer.
    dtype : str
    axes : str
        One letter for each axis of ``shape``: T stack, C channels, Z Y X space, S RGB samples.
    scale : tuple of float
        World size of a step along every axis but S.
    units : tuple of str
        Unit of each number in ``scale``, such as ``um`` or ``pixel``.
    digest : str
        See `napari_flim.io.image_digest.image_digest`.
    included : bool
        Whether the image takes part in learning.
    marker_name : str
        Name of the marker layer; empty when there is none.
    strokes : dict of int to (coordinates, labels)
        For each marked image of the stack, from 0: (M, ndim) int64 voxels (z, y, x) or (y, x),
        and their (M,) int64 labels from 1 to 255.
    marker_shape : tuple of int
        Shape of the marker layer; empty when there is none.
    corrections : dict of int to SavedCorrections
        What was decided about objects, for images of the stack as with strokes.

    Raises
    ------
    FileError
        When a value has another type or does not fit the others.
    """

    name: str
    path: str | None
    sample: str | None
    shape: tuple[int, ...]
    dtype: str
    axes: str
    scale: tuple[float, ...]
    units: tuple[str, ...]
    digest: str
    included: bool
    marker_name: str
    strokes: dict[int, FrameStrokes]
    marker_shape: tuple[int, ...]
    corrections: Mapping[int, SavedCorrections] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for named, (fits, expected) in _FIELDS.items():
            _check(self.name, named, getattr(self, named), fits, expected)
        _check(
            self.name,
            'axes',
            self.axes,
            _describes(self.shape),
            f'a letter for each axis of shape {self.shape}',
        )
        steps = len(self.axes.replace('S', ''))
        for named in ('scale', 'units'):
            value = getattr(self, named)
            _check(self.name, named, value, lambda v: len(v) == steps, f'{steps} values')
        for frame, (coordinates, labels) in self.strokes.items():
            self._check_strokes(frame, coordinates, labels)
        sizes = dict(zip(self.axes, self.shape, strict=True))
        space = tuple(sizes[letter] for letter in self.axes if letter in SPATIAL)
        for frame, corrections in self.corrections.items():
            if not 0 <= frame < sizes.get('T', 1):
                raise FileError(f'Image {frame} of {self.name!r} is corrected, but not there.')
            corrections.check(self.name, space)

    def _check_strokes(
        self, frame: int, coordinates: NDArray[np.int64], labels: NDArray[np.int64]
    ) -> None:
        sizes = dict(zip(self.axes, self.shape, strict=True))
        space = tuple(sizes[letter] for letter in self.axes if letter in SPATIAL)
        layer = (sizes.get('T', 1), *space)
        whole = coordinates.dtype == np.int64 and labels.dtype == np.int64
        if not whole or coordinates.shape != (*labels.shape, len(space)) or labels.ndim != 1:
            raise FileError(
                f'The strokes on {self.name!r} are {coordinates.dtype} of shape '
                f'{coordinates.shape} and {labels.dtype} of shape {labels.shape}; expected int64 '
                f'voxels (M, {len(space)}) and one int64 label for each.'
            )
        if not 0 <= frame < layer[0]:
            raise FileError(f'{self.name!r} has {layer[0]} images, but number {frame} is marked.')
        if ((coordinates < 0) | (coordinates >= np.array(space))).any():
            raise FileError(f'Strokes on {self.name!r} lie outside its shape {space}.')
        if ((labels < 1) | (labels > LARGEST_LABEL)).any():
            raise FileError(f'Strokes on {self.name!r} have labels outside 1 to {LARGEST_LABEL}.')
        if _longer_than_one(self.marker_shape) != _longer_than_one(layer):
            raise FileError(
                f'The markers of {self.name!r} have shape {self.marker_shape}; expected {layer}.'
            )


@dataclass(frozen=True, eq=False)
class SavedSession:
    """Everything that a session file holds.

    Attributes
    ----------
    images : tuple of SavedImage
    classes : tuple of dict
        Of each class ``label`` from 1 to 255, ``name``, ``colour`` as three numbers in [0, 1],
        and ``role``, background or object.
    settings : dict
        Ready for JSON. Only whether it is a dict is checked; so it is with ``learned``.
    learned : dict, optional
        Ready for JSON: what is known of the model besides its blocks; None without a model.
    blocks : tuple of LearnedBlock
        Of the model; empty without one.
    saved_at : str
        ISO date and time.

    Raises
    ------
    FileError
        When a value has another type or does not fit the others.
    """

    images: tuple[SavedImage, ...]
    classes: tuple[dict[str, Any], ...]
    settings: dict[str, Any]
    learned: dict[str, Any] | None
    blocks: tuple[LearnedBlock, ...]
    saved_at: str

    def __post_init__(self) -> None:
        owner = 'the session'
        _check(owner, 'settings', self.settings, _is(dict), 'named values')
        _check(owner, 'learned', self.learned, _is(dict, type(None)), 'named values or nothing')
        _check(owner, 'saved_at', self.saved_at, _is_time, 'an ISO date and time')
        for one in self.classes:
            _check(owner, 'classes', one, _is_class, 'a label, a name, a colour and a role')
        labels = [one['label'] for one in self.classes]
        if len(set(labels)) < len(labels):
            raise FileError(f'The classes have labels {labels}; expected each label once.')
        if (self.learned is None) != (not self.blocks):
            raise FileError('The session has a model without blocks, or blocks without a model.')


def write_session(path: Path | str, session: SavedSession) -> None:
    """Write a session whole or not at all.

    Raises
    ------
    FileError
        When the file cannot be written.
    """
    blocks: list[Any] = []
    if session.blocks:
        specs = Architecture(tuple(block.spec for block in session.blocks))
        blocks = architecture_to_dict(specs)['blocks']
    header = {
        'images': [{field: getattr(one, field) for field in _FIELDS} for one in session.images],
        'classes': session.classes,
        'settings': session.settings,
        'learned': session.learned,
        'blocks': blocks,
        'saved_at': session.saved_at,
    }
    tensors = blocks_to_tensors(session.blocks)
    for number, image in enumerate(session.images, start=1):
        for name, array in _strokes_to_tensors(image).items():
            tensors[f'image{number}.{name}'] = array
        for frame, corrections in image.corrections.items():
            for name, array in corrections.to_tensors().items():
                tensors[f'image{number}.corrections{frame}.{name}'] = array
    write_container(path, SESSION, header, tensors)


def read_session(path: Path | str) -> SavedSession:
    """Read a session file; runs no code of the file.

    Raises
    ------
    FileError
        One clear message for a damaged, truncated, foreign, hostile or newer file.
    """
    header, tensors = read_container(path, SESSION)
    try:
        return _session(header, tensors)
    except (FlimError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise FileError(
            f'{path} is damaged or was changed by hand ({str(error).rstrip(".")}). {SESSION.advice}'
        ) from error


def _strokes_to_tensors(image: SavedImage) -> dict[str, NDArray[Any]]:
    """All strokes of an image one after the other, with the voxels that each frame has."""
    ndim = sum(letter in SPATIAL for letter in image.axes)
    painted = [image.strokes[frame] for frame in sorted(image.strokes)]
    counts = [(frame, len(image.strokes[frame][1])) for frame in sorted(image.strokes)]
    coordinates = [np.zeros((0, ndim), np.int64), *(one for one, _ in painted)]
    labels = [np.zeros(0, np.int64), *(one for _, one in painted)]
    return {
        'coordinates': np.concatenate(coordinates).astype(np.int32),
        'labels': np.concatenate(labels).astype(np.uint8),
        'frames': np.array(counts, np.int64).reshape(-1, 2),
    }


def _tensors_to_strokes(number: int, tensors: dict[str, NDArray[Any]]) -> dict[int, FrameStrokes]:
    """Inverse of `_strokes_to_tensors`."""
    arrays = []
    for name, dtype, ndim in (
        ('coordinates', np.int32, 2),
        ('labels', np.uint8, 1),
        ('frames', np.int64, 2),
    ):
        array = tensors[f'image{number}.{name}']
        if array.dtype != dtype or array.ndim != ndim:
            raise FileError(f'{name} of image {number} are {array.dtype} of shape {array.shape}')
        arrays.append(array.astype(np.int64))
    coordinates, labels, table = arrays
    frames, counts = table.T
    fitting = (counts >= 0).all() and (counts <= len(labels)).all() and (np.diff(frames) > 0).all()
    if not fitting or counts.sum() != len(labels) or len(coordinates) != len(labels):
        raise FileError(f'the strokes of image {number} do not add up')
    ends = np.cumsum(counts)
    parts = zip(frames.tolist(), ends - counts, ends, strict=True)
    return {frame: (coordinates[a:b], labels[a:b]) for frame, a, b in parts}


def _corrections(tensors: dict[str, NDArray[Any]]) -> dict[int, dict[int, SavedCorrections]]:
    """Take the corrections of all images out of the arrays of a file."""
    found: dict[tuple[int, int], dict[str, NDArray[Any]]] = {}
    for name in list(tensors):
        match = OF_CORRECTIONS.fullmatch(name)
        if match is not None:
            place = (int(match[1]), int(match[2]))
            found.setdefault(place, {})[match[3]] = tensors.pop(name)
    corrections: dict[int, dict[int, SavedCorrections]] = {}
    for (number, frame), own in found.items():
        corrections.setdefault(number, {})[frame] = corrections_from_tensors(own)
    return corrections


def _session(header: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> SavedSession:
    specs = tuple(read_block(n, block) for n, block in enumerate(_list(header, 'blocks'), start=1))
    corrections = _corrections(tensors)
    if not set(corrections) <= set(range(1, 1 + len(_list(header, 'images')))):
        raise FileError('there are corrections of images that are not there')
    images = tuple(
        SavedImage(
            strokes=_tensors_to_strokes(number, tensors),
            corrections=corrections.get(number, {}),
            **{field: as_tuples(content[field]) for field in _FIELDS},
        )
        for number, content in enumerate(_list(header, 'images'), start=1)
    )
    of_images = re.compile(r'image\d+\.(coordinates|labels|frames)')
    strokes = {name for name in tensors if of_images.fullmatch(name)}
    if len(strokes) != 3 * len(images):
        raise FileError(f'there are {len(images)} images, but {len(strokes)} arrays of strokes')
    return SavedSession(
        images=images,
        classes=tuple(as_tuples(one) for one in _list(header, 'classes')),
        settings=header['settings'],
        learned=header['learned'],
        blocks=tensors_to_blocks(
            'the model in it', specs, {k: v for k, v in tensors.items() if k not in strokes}
        ),
        saved_at=header['saved_at'],
    )


def _list(header: dict[str, Any], field: str) -> list[Any]:
    values = header[field]
    _check('the session', field, values, _is(list), 'a list')
    return list(values)


def _check(
    owner: str, field: str, value: object, fits: Callable[[Any], bool], expected: str
) -> None:
    if not fits(value):
        raise FileError(f'{field} of {owner!r} is {reprlib.repr(value)}; expected {expected}.')


def _is(*types: type) -> Callable[[object], bool]:
    return lambda value: isinstance(value, types)


def _all(fits: Callable[[Any], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, tuple) and all(map(fits, value))


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 < abs(value) <= sys.float_info.max


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= LARGEST_SIZE


def _is_time(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(datetime.fromisoformat(value))
    except ValueError:
        return False


def _is_class(value: object) -> bool:
    if not isinstance(value, dict) or set(value) != {'label', 'name', 'colour', 'role'}:
        return False
    label, colour = value['label'], value['colour']
    coloured = _all(lambda part: part == 0 or (_is_number(part) and 0 < part <= 1))
    return (
        (_is_size(label) and label <= LARGEST_LABEL)
        and (isinstance(value['name'], str) and bool(value['name'].strip()))
        and (coloured(colour) and len(colour) == 3)
        and value['role'] in ('background', 'object')
    )


def _describes(shape: tuple[int, ...]) -> Callable[[str], bool]:
    """Whether axes name every axis of a shape once, with space in the order Z, Y, X."""

    def fits(axes: str) -> bool:
        space = ''.join(letter for letter in axes if letter in SPATIAL)
        once = len(set(axes)) == len(axes) == len(shape) and set(axes) <= set(LETTERS)
        return once and space in ('YX', 'ZYX') and not {'C', 'S'} <= set(axes)

    return fits


def _longer_than_one(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)


_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    'name': (_is(str), 'a text'),
    'path': (_is(str, type(None)), 'a text or nothing'),
    'sample': (_is(str, type(None)), 'a text or nothing'),
    'shape': (_all(_is_size), 'whole numbers from 1 up'),
    'dtype': (_is(str), 'a text'),
    'axes': (_is(str), 'a text'),
    'scale': (_all(_is_number), 'finite numbers other than 0'),
    'units': (_all(_is(str)), 'texts'),
    'digest': (_is(str), 'a text'),
    'included': (_is(bool), 'true or false'),
    'marker_name': (_is(str), 'a text'),
    'marker_shape': (_all(_is_size), 'whole numbers from 1 up'),
}
"""What the header says of an image: whether a value fits, and what is expected."""
