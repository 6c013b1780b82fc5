"""LIDS seed files: marker voxels as text, in the layouts of every LibIFT version.

The first line is ``n xsize ysize`` (2D) or ``n xsize ysize zsize`` (3D), then n rows, x first:
``x y marker label`` (to 2024), ``x y marker label handicap`` (2025), or
``x y z marker label handicap`` (3D). Nothing names the layout, so the words are counted.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_flim.engine.markers import MarkerSet
from napari_flim.errors import FileError, FlimWarning, MarkerError
from napari_flim.io.atomic import write_atomically

COLUMNS = {2: (4, 5), 3: (6,)}
LPS = {'L': 0, 'R': 0, 'P': 1, 'A': 1, 'S': 2, 'I': 2}


@dataclass(frozen=True, eq=False)
class Seeds:
    """Content of a seed file.

    Attributes
    ----------
    coordinates : (M, ndim) int64 array
        Voxels (z, y, x) or (y, x), in file order.
    labels : (M,) int64 array
        As in the file; LIDS tools use 0 for background and 1.. for objects.
    strokes : (M,) int64 array
        Stroke each voxel was painted with; -1 not given.
    size : tuple of int
        Shape of the image on which the seeds were drawn.
    """

    coordinates: NDArray[np.int64]
    labels: NDArray[np.int64]
    strokes: NDArray[np.int64]
    size: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.coordinates)


def read_seeds(path: Path | str) -> Seeds:
    """Read a seed file of any layout.

    Raises
    ------
    FileError
        When the file is missing, empty or damaged; names the line.
    """
    try:
        lines = Path(path).read_text(encoding='utf-8').splitlines()
    except OSError as error:
        raise FileError(f'{path} cannot be read: {error.strerror}. Check the path.') from error
    except UnicodeDecodeError as error:
        raise FileError(f'{path} is not a text file; expected LIDS seeds.') from error
    rows = [(number, line.split()) for number, line in enumerate(lines, 1) if line.strip()]
    if not rows:
        raise FileError(f'{path} is empty; expected LIDS seeds, beginning with "n xsize ysize".')
    count, *size = _numbers(path, *rows[0])
    if len(size) not in COLUMNS or min(size) < 1 or count < 0:
        raise FileError(
            f'{path}, line {rows[0][0]}: expected "n xsize ysize" or "n xsize ysize zsize", '
            f'got {" ".join(rows[0][1])!r}.'
        )
    if count != len(rows) - 1:
        raise FileError(
            f'{path}, line {rows[0][0]}: {count} seeds are announced, but {len(rows) - 1} rows '
            'follow. The file may be truncated.'
        )
    ndim = len(size)
    table = _table(path, rows[1:], ndim)
    return Seeds(table[:, :ndim][:, ::-1], table[:, ndim + 1], table[:, ndim], tuple(size[::-1]))


def seeds_to_markers(
    seeds: Seeds,
    shape: Sequence[int],
    *,
    across_classes: bool = False,
    background: int = 0,
    orientation: str | None = None,
) -> MarkerSet:
    """Markers of seeds on an image.

    Seeds drawn on an image of another size are moved to the voxel in which their voxel's centre
    falls; seeds outside the image are left out. Both give a warning.

    Parameters
    ----------
    seeds : Seeds
    shape : sequence of int
        Shape of the image.
    across_classes : bool
        See `MarkerSet.from_points`.
    background : int
        The label that means background: 0 in most LIDS tools, 1 in LIDS-UNICAMP/FLIM.
    orientation : str, optional
        For a NIfTI volume, the directions in which its stored x, y and z axes grow, such as
        'RAS'. LibIFT draws seeds on the volume turned to 'LPS'; they are turned back.

    Raises
    ------
    MarkerError
        For seeds of another rank, labels below ``background``, or an unknown orientation.
    """
    if len(seeds.size) != len(shape):
        raise MarkerError(
            f'The seeds are for an image with {len(seeds.size)} axes, the image has shape '
            f'{tuple(shape)}; were they drawn on another image?'
        )
    names = set(seeds.labels.tolist())
    if background == 0 and len(names) > 1 and min(names) == 1:
        warnings.warn(
            f'The labels are {sorted(names)}: label 1 may mean background in this seed file. '
            'It is taken as an object; if it is the background, write 0 for it in the file, '
            'or read the file with background=1.',
            FlimWarning,
            stacklevel=2,
        )
    coordinates, size = seeds.coordinates, seeds.size
    if orientation is not None:
        coordinates, size = _from_lps(coordinates, size, orientation)
    if size != tuple(shape):
        warnings.warn(
            f'The seeds were drawn on an image of shape {size}, this one has shape '
            f'{tuple(shape)}; they are rescaled.',
            FlimWarning,
            stacklevel=2,
        )
        coordinates = (2 * coordinates + 1) * np.array(shape) // (2 * np.array(size))
    inside = ((coordinates >= 0) & (coordinates < np.array(shape))).all(axis=1)
    if not inside.all():
        warnings.warn(
            f'{(~inside).sum()} of {len(seeds)} seeds lie outside the image and are left out.',
            FlimWarning,
            stacklevel=2,
        )
    classes = seeds.labels[inside] - background + 1
    return MarkerSet.from_points(coordinates[inside], classes, shape, across_classes=across_classes)


def write_seeds(path: Path | str, markers: MarkerSet, columns: Literal[4, 5] = 4) -> None:
    """Write markers as a seed file; background becomes label 0, objects 1..

    Parameters
    ----------
    path : path
        LIDS tools expect ``<image stem>-seeds.txt``.
    markers : MarkerSet
    columns : {4, 5}
        Layout of 2D files: 4 for LibIFT to 2024, FLIMbuilder 2023 and pyflim; 5 for LibIFT 2025.
        3D files always have 6 columns.

    Raises
    ------
    FileError
        For another number of columns, or when the file cannot be written.
    """
    if columns not in COLUMNS[2]:
        raise FileError(f'columns is {columns!r}; allowed: 4 (LibIFT to 2024) or 5 (LibIFT 2025).')
    table = np.column_stack(
        [
            markers.coordinates[:, ::-1],
            markers.markers + 1,
            markers.classes - 1,
            np.zeros(len(markers), dtype=np.int64),
        ]
    )
    if markers.ndim == 2 and columns == 4:
        table = table[:, :-1]
    header = [len(markers), *markers.shape[::-1]]
    text = ''.join(' '.join(map(str, row)) + '\n' for row in [header, *table.tolist()])
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding='ascii'))


def _table(path: Path | str, rows: list[tuple[int, list[str]]], ndim: int) -> NDArray[np.int64]:
    allowed = COLUMNS[ndim]
    width = len(rows[0][1]) if rows else allowed[0]
    values = []
    for number, words in rows:
        if len(words) != width or width not in allowed:
            wanted = f'{width} as in the first row' if width in allowed else f'{allowed}'
            raise FileError(
                f'{path}, line {number}: {len(words)} columns in a {ndim}D seed file; '
                f'expected {wanted}.'
            )
        values.append(_numbers(path, number, words[: ndim + 2]))
    return np.array(values, dtype=np.int64).reshape(-1, ndim + 2)


def _numbers(path: Path | str, number: int, words: list[str]) -> list[int]:
    try:
        return [int(word) for word in words]
    except ValueError as error:
        raise FileError(
            f'{path}, line {number}: expected whole numbers, got {" ".join(words)[:60]!r}.'
        ) from error


def _from_lps(
    coordinates: NDArray[np.int64], size: tuple[int, ...], orientation: str
) -> tuple[NDArray[np.int64], tuple[int, ...]]:
    """Voxels (z, y, x) of the LPS grid on the stored grid, and that grid's shape."""
    if len(size) != 3 or sorted(LPS.get(letter, -1) for letter in orientation) != [0, 1, 2]:
        raise MarkerError(
            f'The orientation {orientation!r} does not fit an image with {len(size)} axes; '
            'expected three letters for a volume, such as "RAS".'
        )
    x_first, sizes = coordinates[:, ::-1], size[::-1]
    axes, lengths = [], []
    for letter in orientation:
        axis = LPS[letter]
        along = x_first[:, axis]
        axes.append(along if letter in 'LPS' else sizes[axis] - 1 - along)
        lengths.append(sizes[axis])
    return np.stack(axes[::-1], axis=1), tuple(lengths[::-1])
