"""NIfTI files: voxels in stored order as (z, y, x), with what places them in a patient."""

from __future__ import annotations

import errno
import gzip
import math
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_flim.engine.placement import Matrix, Placement
from napari_flim.errors import FileError
from napari_flim.io.content import LARGE, Content, OnDisk
from napari_flim.io.units import full_name

NIFTIS = ('.nii', '.nii.gz')
LETTERS = 'CTZYX'
"""Axes of NIfTI, last to first."""


def read_nifti(path: Path) -> Content:
    """Read a NIfTI file; whatever nibabel raises on damage passes through.

    Large ones are not read. A large packed one (.nii.gz), in which nothing can be found without
    unpacking what comes before, is unpacked into the folder for temporary files first.
    """
    import nibabel

    image: Any = nibabel.load(path)
    proxy = image.dataobj
    if math.prod(proxy.shape) * proxy.dtype.itemsize > LARGE:
        voxels = _voxels(path, None)
        opened = partial(_voxels, path, Path(voxels.proxy.file_like))
        content: Any = OnDisk(path, opened, voxels, (1,) * len(voxels.shape))
    else:
        content = Voxels(proxy)[...]
    zooms = [float(zoom) for zoom in image.header.get_zooms()[:3]]
    spacing = {a: zoom for a, zoom in zip('XYZ', zooms, strict=False) if 0 < zoom < math.inf}
    axes = _axes(proxy.shape)
    if content.dtype.names:
        content = np.stack([content[name] for name in content.dtype.names], axis=-1)
        axes = None if axes is None else axes + 'S'
    return Content(content, axes, spacing, placement=_placement(image))


class Voxels:
    """Voxels of a NIfTI file as (c, t, z, y, x) without axes of length 1 before y.

    Parameters
    ----------
    proxy : nibabel.arrayproxy.ArrayProxy
        Reads what is sliced, and applies the slope and intercept of the file.
    """

    def __init__(self, proxy: Any) -> None:
        self.proxy = proxy
        self.kept = _kept(proxy.shape)
        self.shape = tuple(tuple(reversed(proxy.shape))[axis] for axis in self.kept)
        self.dtype = proxy[(slice(0, 1),) * len(proxy.shape)].dtype

    def __getitem__(self, key: Any) -> NDArray[Any]:
        if key is Ellipsis:
            return np.asarray(self.proxy).T.reshape(self.shape)
        whole: list[Any] = [slice(None)] * len(self.proxy.shape)
        for axis, part in zip(self.kept, key, strict=False):
            whole[axis] = part
        part = self.proxy[tuple(reversed(whole))].T
        dropped = (axis for axis in range(part.ndim) if axis not in self.kept)
        return np.asarray(np.squeeze(part, tuple(dropped)))


def _voxels(path: Path, unpacked: Path | None) -> Voxels:
    """Voxels of a large file, unpacked before unless that has been done."""
    import nibabel

    if path.name.lower().endswith('.gz'):
        if unpacked is None or not unpacked.exists():
            folder = Path(tempfile.mkdtemp(prefix='napari-flim-'))
            try:
                voxels = _voxels(_unpack(path, folder), None)
            except BaseException:
                shutil.rmtree(folder)
                raise
            weakref.finalize(voxels, shutil.rmtree, folder, ignore_errors=True)
            return voxels
        path = unpacked
    image: Any = nibabel.load(path)
    proxy = image.dataobj
    expected = proxy.offset + math.prod(proxy.shape) * proxy.dtype.itemsize
    if path.stat().st_size < expected:
        raise FileError(
            f'{path} is truncated: it announces {expected} bytes and holds {path.stat().st_size}. '
            'Get the file again.'
        )
    return Voxels(proxy)


def _unpack(path: Path, folder: Path) -> Path:
    unpacked = folder / path.name[: -len('.gz')]
    try:
        with gzip.open(path) as packed, unpacked.open('wb') as file:
            shutil.copyfileobj(packed, file, 2**22)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise FileError(
                f'{path} is too large to be unpacked into {folder.parent}; make room there, let '
                'TMPDIR name another folder, or unpack the file yourself.'
            ) from error
        raise
    return unpacked


def _kept(shape: Sequence[int]) -> tuple[int, ...]:
    """Axes that stay, in (.., c, t, z, y, x): y, x and those longer than 1."""
    backwards = tuple(reversed(shape))
    last = len(shape) - 2
    return tuple(axis for axis, size in enumerate(backwards) if size != 1 or axis >= last)


def _axes(shape: Sequence[int]) -> str | None:
    if len(shape) > len(LETTERS):
        return None
    letters = LETTERS[-len(shape) :]
    return ''.join(letters[axis] for axis in _kept(shape))


def _placement(image: Any) -> Placement:
    header = image.header
    codes = int(header['qform_code']), int(header['sform_code'])
    affine = matrix(image.affine)
    qform = matrix(header.get_qform()) if codes[0] else affine
    return Placement(
        unit=full_name(header.get_xyzt_units()[0]),
        affine=affine,
        qform=None if qform == affine else qform,
        codes=codes,
    )


def matrix(array: NDArray[Any]) -> Matrix:
    """A 4 x 4 array as plain numbers."""
    return tuple(tuple(float(value) for value in row) for row in array)
