"""Results larger than memory: written part by part, in any order, and resumed after a fault."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_flim.engine.image import SPATIAL
from napari_flim.engine.placement import Placement
from napari_flim.errors import FileError
from napari_flim.io.atomic import not_written, replace_folder
from napari_flim.io.nifti_writing import write_nifti
from napari_flim.io.ome_zarr_writing import OmeVersion, boxes, create_level, finish_ome_zarr
from napari_flim.io.results import Grid, placed, result_format
from napari_flim.io.tiff_writing import write_tiled_tiff


class ResultWriter:
    """A result in the making: a zarr array beside the file, which becomes the file at the end.

    Parts may be written by several processes or machines at once if no two of them share a chunk;
    the writer is pickled by its path. Parts that nobody writes are 0. Made by `create_result`.

    Attributes
    ----------
    path : Path
        The file, or folder, that `finish` makes.
    scratch : Path
        The folder with what is written so far, hidden beside it.
    shape, dtype, ndim, chunks
        Of the array.
    """

    def __init__(
        self,
        path: Path,
        array: Any,
        axes: str,
        spacing: tuple[float, ...],
        placement: Placement,
        version: OmeVersion,
    ) -> None:
        self.path = path
        self.scratch = scratch_of(path)
        self.shape: tuple[int, ...] = array.shape
        self.dtype: np.dtype[Any] = array.dtype
        self.ndim: int = array.ndim
        self.chunks: tuple[int, ...] = array.chunks
        self._array = array
        self._axes = axes
        self._spacing = spacing
        self._placement = placement
        self._version: OmeVersion = version

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __setitem__(self, box: tuple[slice, ...], block: NDArray[Any]) -> None:
        try:
            self._array[box] = block
        except OSError as error:
            raise not_written(self.path, error) from error

    def __getitem__(self, box: Any) -> NDArray[Any]:
        """What has been written; 0 where nothing has."""
        return np.asarray(self._array[box])

    def finish(self, dtype: Any = None) -> None:
        """Make the file: coarser levels of an OME-Zarr, or a TIFF or NIfTI from beginning to end.

        Parameters
        ----------
        dtype : dtype, optional
            A smaller type that holds all values, such as `results.label_type` of the last label.

        Raises
        ------
        FileError
            When a value does not fit into the type, or the file cannot be written.
        """
        dtype = np.dtype(self.dtype if dtype is None else dtype)
        name = result_format(self.path)
        try:
            if name == 'ome-zarr':
                self._finish_zarr(dtype)
            else:
                unrolled = self._unrolled(dtype)
                write = write_tiled_tiff if name == 'tif' else write_nifti
                write(self.path, unrolled, self._axes, self._spacing, self._placement)
        except OSError as error:
            raise not_written(self.path, error) from error
        self.close()

    def close(self, *, keep: bool = False) -> None:
        """Remove what is written so far, unless it is finished or kept to be resumed."""
        if not keep:
            shutil.rmtree(self.scratch, ignore_errors=True)

    def _finish_zarr(self, dtype: np.dtype[Any]) -> None:
        group = self.scratch / GROUP
        if dtype != self.dtype:
            group = self.scratch / 'smaller'
            shutil.rmtree(group, ignore_errors=True)
            finest = create_level(
                group / '0',
                self.shape,
                dtype,
                self._axes,
                chunks=self.chunks,
                version=self._version,
            )
            self._copy(finest, dtype)
        finish_ome_zarr(
            group, self._axes, self._spacing, self._placement, self._version, self.path.name
        )
        replace_folder(group, self.path)

    def _unrolled(self, dtype: np.dtype[Any]) -> Unrolled:
        """All values in C order on disk, so that no chunk is unpacked once for each of its rows."""
        file = self.scratch / 'unrolled.npy'
        header = np.lib.format.open_memmap(file, 'w+', dtype, self.shape)
        del header
        unrolled = Unrolled(file)
        self._copy(unrolled, dtype)
        return unrolled

    def _copy(self, target: Any, dtype: np.dtype[Any]) -> None:
        for box in boxes(self.shape, self.chunks):
            block = self[box]
            if dtype.kind == 'u' and block.max() > np.iinfo(dtype).max:
                raise FileError(
                    f'{self.path} holds the label {block.max()}, which {dtype} cannot hold; '
                    'finish it with a larger type.'
                )
            if block.any():
                target[box] = block.astype(dtype)


class Unrolled:
    """A .npy file that is mapped only while it is read or written, so it fills no memory."""

    def __init__(self, path: Path) -> None:
        mapped = np.lib.format.open_memmap(path, 'r')
        self.path, self.shape, self.dtype, self.ndim = path, mapped.shape, mapped.dtype, mapped.ndim
        self.nbytes = mapped.nbytes

    def __getitem__(self, key: Any) -> NDArray[Any]:
        return np.array(np.lib.format.open_memmap(self.path, 'r')[key])

    def __setitem__(self, key: Any, block: NDArray[Any]) -> None:
        np.lib.format.open_memmap(self.path, 'r+')[key] = block


def create_result(
    path: Path | str,
    shape: Sequence[int],
    dtype: Any,
    grid: Grid,
    *,
    chunks: Sequence[int] | None = None,
    resume: bool = False,
    version: OmeVersion = '0.5',
) -> ResultWriter:
    """Begin a result that is written part by part.

    Parameters
    ----------
    path : path
        Its ending chooses the format: .tif, .ome.zarr, .nii.gz or .nii.
    shape : sequence of int
        (\\*S), or (classes, \\*S) for saliency of several classes.
    dtype : dtype
        uint8, uint16, uint32 or float32.
    grid : Image or sequence of float
        As for `napari_flim.io.results.write_labels`.
    chunks : sequence of int, optional
        Parts that may be written at the same time lie on multiples of it.
    resume : bool
        Go on with what an interrupted run has left, if there is something.
    version : {'0.5', '0.4'}
        Of OME-Zarr.

    Returns
    -------
    ResultWriter

    Raises
    ------
    FileError
        When what was left is of another shape, type or grid, or nothing can be written there.

    Examples
    --------
    >>> import tempfile
    >>> from napari_flim.io.images import read_image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = create_result(Path(folder) / 'cells.ome.zarr', (4, 6), np.uint8, (0.5, 0.5))
    ...     result[0:2, 3:6] = np.full((2, 3), 7, np.uint8)
    ...     result.finish()
    ...     image = read_image(Path(folder) / 'cells.ome.zarr').in_memory()
    >>> image.data.sum(), image.spacing
    (np.uint64(42), (0.5, 0.5))
    """
    import zarr

    path = Path(path)
    result_format(path)
    spacing, placement = placed(grid)
    axes = 'C' * (len(shape) > len(spacing)) + SPATIAL[-len(spacing) :]
    if len(axes) != len(shape) or 0 in shape or np.dtype(dtype).name not in WRITTEN:
        raise FileError(
            f'{path} cannot hold {np.dtype(dtype)} values of shape {tuple(shape)} with voxel size '
            f'{spacing}; expected one voxel size for each spatial axis, and one of '
            f'{", ".join(WRITTEN)}.'
        )
    scratch = scratch_of(path)
    terms = repr((tuple(map(int, shape)), np.dtype(dtype).name, spacing, placement, version))
    agreed = scratch / 'terms.txt'
    try:
        if resume and agreed.is_file():
            if agreed.read_text('utf-8') != terms:
                raise FileError(
                    f'{scratch} was left by a run with another image or other settings, so it '
                    'cannot be resumed; remove it or start anew.'
                )
            array = zarr.open_array(str(scratch / GROUP / '0'), mode='r+')
        else:
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            array = create_level(
                scratch / GROUP / '0', shape, dtype, axes, chunks=chunks, version=version
            )
            agreed.write_text(terms, 'utf-8')
    except OSError as error:
        raise not_written(path, error) from error
    return ResultWriter(path, array, axes, spacing, placement, version)


GROUP = 'group'
"""The folder in the scratch folder that becomes an OME-Zarr; its level 0 is what is written."""
WRITTEN = ('uint8', 'uint16', 'uint32', 'float32')
"""Types of results."""


def scratch_of(path: Path) -> Path:
    """Where a result lies while it is written."""
    return path.with_name(f'.{path.name}.partial')
