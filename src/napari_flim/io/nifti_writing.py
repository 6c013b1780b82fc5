"""Writing NIfTI files that lie exactly over the image they belong to."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from napari_flim.engine.placement import Placement
from napari_flim.errors import FileError
from napari_flim.io.atomic import write_atomically

SLAB = 2**24
"""Bytes that are written at once."""
LONGEST = 2**15 - 1
"""Length of an axis up to which NIfTI-1 is enough."""
UNITS = {'meter': 'meter', 'millimeter': 'mm', 'micrometer': 'micron'}
"""Names that nibabel has for units, by ours."""
VECTOR = 1007
"""The code of NIfTI for several values at each voxel, along the fifth axis."""
ALIGNED = 2
"""The code of NIfTI for a matrix that refers to another image."""


def write_nifti(
    path: Path | str,
    array: Any,
    axes: str,
    spacing: Sequence[float],
    placement: Placement | None = None,
) -> None:
    """Write a NIfTI file, slab by slab, with the matrices of the image it belongs to.

    An image whose file had no matrix is placed as ITK does (ITK-SNAP, 3D Slicer, elastix): x to
    the left and y to the back of a patient.

    Parameters
    ----------
    path : path
        Ends in .nii or .nii.gz.
    array : array of uint8, uint16, uint32 or float32
        Anything that has shape and dtype and can be sliced; only a slab is in memory at once.
    axes : str
        One letter for each axis: YX or ZYX, with C before for channels, which become the fifth
        axis of NIfTI.
    spacing : sequence of float
        Voxel size along each spatial axis.
    placement : Placement, optional

    Raises
    ------
    FileError
        When array, axes and spacing do not fit together, or the file cannot be written.
    """
    if len(axes) != array.ndim or len(spacing) != len(axes.lstrip('C')) or 0 in array.shape:
        raise FileError(
            f'An array of shape {array.shape} with voxel size {tuple(spacing)} cannot be written '
            f'to {path}; expected one voxel size for each of two or three spatial axes.'
        )
    header = _header(array, axes, spacing, placement or Placement())

    def write(temporary: Path) -> None:
        with temporary.open('wb') as file:
            if str(path).lower().endswith('.gz'):
                with gzip.GzipFile('', 'wb', 4, file, mtime=0) as packed:
                    _write(packed, header, array)
            else:
                _write(file, header, array)

    write_atomically(path, write)


def _write(file: IO[bytes] | gzip.GzipFile, header: Any, array: Any) -> None:
    content = header.binaryblock
    file.write(content + bytes(header.single_vox_offset - len(content)))
    for slab in slabs(array):
        file.write(np.ascontiguousarray(slab, header.get_data_dtype()).data)


def slabs(array: Any) -> Iterator[NDArray[Any]]:
    """Parts of an array, in C order, of about `SLAB` bytes.

    Examples
    --------
    >>> [slab.shape for slab in slabs(np.zeros((3, 4, 2**21), np.uint8))]
    [(2, 4, 2097152), (1, 4, 2097152)]
    """
    row = array.dtype.itemsize * prod(array.shape[1:])
    if row > 2 * SLAB and array.ndim > 1:
        for index in range(array.shape[0]):
            yield from slabs(Row(array, index))
        return
    step = max(1, SLAB // row)
    for start in range(0, array.shape[0], step):
        yield np.asarray(array[start : start + step])


class Row:
    """One index of the first axis of an array, read where it is sliced."""

    def __init__(self, array: Any, index: int) -> None:
        self.array, self.index = array, index
        self.shape, self.dtype, self.ndim = array.shape[1:], array.dtype, array.ndim - 1

    def __getitem__(self, key: Any) -> Any:
        return self.array[(self.index, *(key if isinstance(key, tuple) else (key,)))]


def _header(array: Any, axes: str, spacing: Sequence[float], placement: Placement) -> Any:
    import nibabel

    space = array.shape['C' in axes :]
    shape = [*reversed(space), *(1,) * (3 - len(space))]
    if 'C' in axes:
        shape += [1, array.shape[0]]
    kind: Any = nibabel.Nifti1Header if max(shape) <= LONGEST else nibabel.Nifti2Header
    header = kind()
    header.set_data_dtype(array.dtype)
    header.set_data_shape(shape)
    header.set_data_offset(header.single_vox_offset)
    header['scl_slope'], header['scl_inter'] = 1, 0
    header.set_xyzt_units(UNITS.get(placement.unit, 'unknown'))
    if 'C' in axes:
        header['intent_code'] = VECTOR
    _place(header, spacing, placement)
    return header


def _place(header: Any, spacing: Sequence[float], placement: Placement) -> None:
    """Set the matrices and the voxel size of a header."""
    sizes = [float(size) for size in reversed(spacing)]
    affine = np.array(placement.affine or _as_in_itk(sizes, placement.origin))
    qform = np.array(placement.qform or affine)
    quaternion_code, matrix_code = placement.codes
    if not _is_rigid(qform):
        quaternion_code = 0
    if quaternion_code:
        header.set_qform(qform, quaternion_code)
    if matrix_code:
        header.set_sform(affine, matrix_code)
    zooms = np.ones(len(header.get_zooms()))
    zooms[:3] = np.linalg.norm(affine[:3, :3], axis=0)
    zooms[: len(sizes)] = sizes
    header.set_zooms(zooms)
    if not np.allclose(header.get_best_affine(), affine, rtol=1e-5, atol=1e-4):
        header.set_sform(affine, matrix_code or ALIGNED)


def _as_in_itk(sizes: Sequence[float], origin: Sequence[float]) -> list[list[float]]:
    """The matrix of an image of which only voxel size and origin, by x, y, z, are known."""
    x, y, z = (*sizes, 1.0)[:3]
    first = (*reversed(origin), 0.0, 0.0, 0.0)[:3]
    return [
        [-x, 0.0, 0.0, -first[0]],
        [0.0, -y, 0.0, -first[1]],
        [0.0, 0.0, z, first[2]],
        [0.0, 0.0, 0.0, 1.0],
    ]


def _is_rigid(affine: NDArray[Any]) -> bool:
    """Whether a matrix has no shear, which quaternions cannot express."""
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.allclose(axes.T @ axes, np.eye(3), atol=1e-5))
