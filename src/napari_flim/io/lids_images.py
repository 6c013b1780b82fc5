"""LIDS images: `.scn` volumes and `.mimg` multi-band images.

Both are a short text header followed by raw little-endian values with x fastest; `.mimg` stores
the bands of a voxel side by side.
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_flim.engine.image import Image, read_array
from napari_flim.errors import FileError, ImageError
from napari_flim.io.atomic import write_atomically

SCN_TYPES = {8: '<u1', 16: '<u2', 32: '<i4'}


def read_scn(path: Path | str) -> Image:
    """Read a `.scn` file, packed with gzip or not; a single slice gives a 2D image.

    Parameters
    ----------
    path : path

    Returns
    -------
    Image
        uint8, uint16 or int32, voxel size (z, y, x) as in the file.

    Raises
    ------
    FileError
        When the file is missing, foreign or truncated.
    """
    content = _unpack(Path(path))
    lines = content.split(b'\n', 4)
    if lines[0] != b'SCN' or len(lines) < 5:
        raise FileError(f'{path} is not an SCN file: it should begin with "SCN" and three lines.')
    try:
        size = tuple(int(word) for word in lines[1].split())
        voxel = tuple(float(word) for word in lines[2].split())
        dtype = np.dtype(SCN_TYPES[int(lines[3])])
        (x, y, z), (dx, dy, dz) = size, voxel
    except (ValueError, KeyError) as error:
        raise FileError(
            f'{path} has a damaged SCN header; expected "x y z", "dx dy dz" and 8, 16 or 32 bits, '
            f'got {b" / ".join(lines[1:4])[:60].decode("ascii", "replace")!r}.'
        ) from error
    volume = _values(path, lines[4], dtype, (z, y, x))
    name = Path(path).name
    try:
        if z == 1:
            return read_array(volume[0], 'YX', (dy, dx), name)
        return read_array(volume, 'ZYX', (dz, dy, dx), name)
    except ImageError as error:
        raise FileError(f'{path}: {error}') from error


def read_mimg(path: Path | str) -> NDArray[np.float32]:
    """Read a `.mimg` file; a single slice gives 2D features.

    Parameters
    ----------
    path : path

    Returns
    -------
    (C, \\*S) float32 array

    Raises
    ------
    FileError
        When the file is missing, foreign or truncated.
    """
    content = _unpack(Path(path))
    lines = content.split(b'\n', 3)
    if lines[0] != b'MIG' or len(lines) < 4:
        raise FileError(f'{path} is not a MIMG file: it should begin with "MIG" and two lines.')
    try:
        x, y, z, bands = (int(word) for word in lines[1].split())
    except ValueError as error:
        raise FileError(
            f'{path} has a damaged MIMG header; expected "x y z bands" in line 2, '
            f'got {lines[1][:40].decode("ascii", "replace")!r}.'
        ) from error
    values = _values(path, lines[3], np.dtype('<f4'), (z, y, x, bands))
    features = np.moveaxis(values, -1, 0).astype(np.float32)
    return features[:, 0] if z == 1 else features


def write_mimg(path: Path | str, features: NDArray[Any]) -> None:
    """Write features as `.mimg`, with voxel size 1 as LibIFT does.

    Parameters
    ----------
    path : path
    features : (C, \\*S) array
        Written as float32.

    Raises
    ------
    FileError
        When there are not two or three spatial axes, or the file cannot be written.
    """
    if features.ndim not in (3, 4):
        raise FileError(
            f'Features of shape {features.shape} cannot be written to {path}; '
            'expected (C, Y, X) or (C, Z, Y, X).'
        )
    flat = features.ndim == 3
    volume = features[:, np.newaxis] if flat else features
    bands, z, y, x = volume.shape
    voxel = '1.000000 1.000000 0.000000' if flat else '1.000000 1.000000 1.000000'
    header = f'MIG\n{x} {y} {z} {bands}\n{voxel}\n'.encode('ascii')
    values = np.ascontiguousarray(np.moveaxis(volume, 0, -1), dtype='<f4').tobytes()
    write_atomically(path, lambda temporary: temporary.write_bytes(header + values))


def _unpack(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content[:2] == b'\x1f\x8b' else content
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, 'strerror', None) or error
        raise FileError(f'{path} cannot be read: {reason}. Check the path and the file.') from error


def _values(
    path: Path | str, content: bytes, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> NDArray[Any]:
    needed = math.prod(shape) * dtype.itemsize
    if min(shape) < 1 or len(content) < needed:
        raise FileError(
            f'{path} is truncated or damaged: its header promises {needed} bytes of values, '
            f'{len(content)} are there. Get the file again.'
        )
    # LibIFT versions end the header differently; the values always end the file.
    values = np.frombuffer(content[len(content) - needed :], dtype=dtype).reshape(shape)
    return values.astype(dtype.newbyteorder('='))
