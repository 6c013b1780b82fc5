"""Writing OME-Zarr: a finest level in chunks, coarser ones made from it, and the metadata."""

from __future__ import annotations

import itertools
import secrets
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_flim.engine.placement import Placement
from napari_flim.errors import FileError
from napari_flim.io.atomic import not_written, replace_folder

OmeVersion = Literal['0.4', '0.5']
SIDE = {2: 1024, 3: 128}
"""Side of chunks, by spatial rank."""


def write_ome_zarr(
    path: Path | str,
    array: NDArray[Any],
    axes: str,
    spacing: Sequence[float],
    placement: Placement | None = None,
    version: OmeVersion = '0.5',
) -> None:
    """Write an OME-Zarr image, which is a folder; whole numbers are written as labels.

    Parameters
    ----------
    path : path
        Ends in .zarr; an older OME-Zarr of that name is replaced.
    array : array
    axes : str
        One letter for each axis: YX or ZYX, with C before for channels.
    spacing : sequence of float
        Voxel size along each spatial axis.
    placement : Placement, optional
        Unit and origin; OME-Zarr has no place for an orientation.
    version : {'0.5', '0.4'}
        0.5 is zarr 3, 0.4 is zarr 2.

    Raises
    ------
    FileError
        When array, axes and spacing do not fit together, or the files cannot be written.
    """
    if len(axes) != array.ndim or len(spacing) != len(axes.lstrip('C')) or 0 in array.shape:
        raise FileError(
            f'An array of shape {array.shape} with voxel size {tuple(spacing)} cannot be written '
            f'to {path}; expected one voxel size for each of two or three spatial axes.'
        )
    target = Path(path)
    if not target.parent.is_dir():
        raise not_written(path, FileNotFoundError())
    folder = target.with_name(f'.{secrets.token_hex(4)}.{target.name}')
    try:
        finest = create_level(folder / '0', array.shape, array.dtype, axes, version=version)
        finest[...] = array
        finish_ome_zarr(folder, axes, spacing, placement or Placement(), version, target.name)
        replace_folder(folder, target)
    except OSError as error:
        raise not_written(path, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def create_level(
    folder: Path,
    shape: Sequence[int],
    dtype: Any,
    axes: str,
    *,
    chunks: Sequence[int] | None = None,
    version: OmeVersion = '0.5',
) -> Any:
    """A new zarr array of zeros, in chunks as OME-Zarr wants them."""
    import zarr

    if chunks is None:
        chunks = usual_chunks(shape, axes)
    return zarr.create_array(
        str(folder),
        shape=tuple(shape),
        dtype=np.dtype(dtype),
        chunks=tuple(chunks),
        fill_value=0,
        zarr_format=3 if version == '0.5' else 2,
        chunk_key_encoding={
            'name': 'default' if version == '0.5' else 'v2',
            'separator': '/',
        },
        dimension_names=list(axes.lower()) if version == '0.5' else None,
    )


def usual_chunks(shape: Sequence[int], axes: str) -> tuple[int, ...]:
    """Chunks of about a megabyte.

    Examples
    --------
    >>> usual_chunks((2, 40, 512, 512), 'CZYX')
    (1, 40, 128, 128)
    """
    side = SIDE[len(axes.lstrip('C'))]
    return tuple(1 if a == 'C' else min(side, n) for a, n in zip(axes, shape, strict=True))


def finish_ome_zarr(
    folder: Path,
    axes: str,
    spacing: Sequence[float],
    placement: Placement,
    version: OmeVersion,
    name: str,
) -> None:
    """Make the coarser levels of a folder whose level 0 is written, and its metadata."""
    import zarr

    for coarse in folder.glob('[1-9]*'):
        shutil.rmtree(coarse)
    level = zarr.open_array(str(folder / '0'), mode='r')
    labels = level.dtype.kind in 'ui'
    factors = [1] * len(axes)
    datasets = [_dataset('0', factors, axes, spacing, placement, centred=not labels)]
    while any(_halved(level.shape, axes)):
        halved = _halved(level.shape, axes)
        factors = [f * (1 + half) for f, half in zip(factors, halved, strict=True)]
        shape = [-(-n // 2) if half else n for n, half in zip(level.shape, halved, strict=True)]
        number = str(len(datasets))
        coarser = create_level(folder / number, shape, level.dtype, axes, version=version)
        for box in boxes(coarser.shape, coarser.chunks):
            coarser[box] = _reduced(level, box, halved, labels=labels)
        datasets.append(_dataset(number, factors, axes, spacing, placement, centred=not labels))
        level = coarser
    multiscale = {
        'name': name,
        'axes': [_axis(letter, placement.unit) for letter in axes],
        'datasets': datasets,
    }
    attributes: dict[str, Any] = {'multiscales': [multiscale]}
    if labels:
        attributes['image-label'] = {'version': version}
    if version == '0.4':
        multiscale['version'] = version
    else:
        attributes = {'ome': {'version': version, **attributes}}
    zarr.create_group(str(folder), zarr_format=3 if version == '0.5' else 2, attributes=attributes)


def boxes(shape: Sequence[int], chunks: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    """The chunks of an array as slices, in C order."""
    spans = (
        [slice(start, min(start + chunk, size)) for start in range(0, size, chunk)]
        for size, chunk in zip(shape, chunks, strict=True)
    )
    return itertools.product(*spans)


def _halved(shape: Sequence[int], axes: str) -> list[bool]:
    """Which axes are halved for the next level: those of space that are longer than a chunk."""
    side = SIDE[len(axes.lstrip('C'))]
    return [a != 'C' and size > side for a, size in zip(axes, shape, strict=True)]


def _reduced(
    finer: Any, box: tuple[slice, ...], halved: Sequence[bool], *, labels: bool
) -> NDArray[Any]:
    """A part of a level from the finer one: every second label, or the mean of two values."""
    region = tuple(
        slice(2 * part.start, 2 * part.stop) if half else part
        for part, half in zip(box, halved, strict=True)
    )
    block: NDArray[Any] = finer[region]
    for axis, half in enumerate(halved):
        if half and labels:
            block = np.take(block, range(0, block.shape[axis], 2), axis)
        elif half:
            first = np.take(block, range(0, block.shape[axis], 2), axis)
            second = np.take(block, range(1, block.shape[axis], 2), axis)
            if second.shape != first.shape:
                last = np.take(first, [-1], axis)
                second = np.concatenate([second, last], axis)
            block = (first + second) / 2
    return block.astype(finer.dtype)


def _axis(letter: str, unit: str) -> dict[str, str]:
    if letter == 'C':
        return {'name': 'c', 'type': 'channel'}
    axis = {'name': letter.lower(), 'type': 'space'}
    return axis | {'unit': unit} if unit else axis


def _dataset(
    path: str,
    factors: Sequence[int],
    axes: str,
    spacing: Sequence[float],
    placement: Placement,
    *,
    centred: bool,
) -> dict[str, Any]:
    """One level: its voxel size, and where its first voxel lies."""
    lead = [1.0] * ('C' in axes)
    sizes = lead + [float(size) for size in spacing]
    origin = [0.0] * len(lead) + [
        float(place) for place in placement.origin or [0.0] * len(spacing)
    ]
    if centred:
        origin = [o + (f - 1) / 2 * s for o, f, s in zip(origin, factors, sizes, strict=True)]
    scale = [f * s for f, s in zip(factors, sizes, strict=True)]
    transforms: list[dict[str, Any]] = [{'type': 'scale', 'scale': scale}]
    if any(origin):
        transforms.append({'type': 'translation', 'translation': origin})
    return {'path': path, 'coordinateTransformations': transforms}
