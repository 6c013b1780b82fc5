"""TIFF files: axes and voxel sizes from the metadata of OME, ImageJ and tifffile, and back."""

from __future__ import annotations

import math
import struct
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from napari_flim.engine.image import SPATIAL
from napari_flim.errors import FileError, FlimWarning
from napari_flim.io.atomic import write_atomically

if TYPE_CHECKING:
    import tifffile

MICROMETRES = {'nm': 1e-3, 'µm': 1.0, 'mm': 1e3, 'cm': 1e4, 'm': 1e6}
UNITLESS = ('', 'pixel', 'pixels', 'pix', 'px')


@dataclass(frozen=True, eq=False)
class Content:
    """What an image file holds: values, axes its metadata name, and voxel sizes by axis letter."""

    array: NDArray[Any]
    axes: str | None = None
    spacing: Mapping[str, float] = field(default_factory=dict)


def read_tiff(path: Path) -> Content:
    """Read the first image of a TIFF file; whatever tifffile raises on damage passes through."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        _check_pages(path, file)
        if len(file.series) > 1:
            warnings.warn(
                f'{path} holds {len(file.series)} images of different kinds; the first is used.',
                FlimWarning,
                stacklevel=4,
            )
        series = file.series[0]
        array = series.asarray()
        colour = series.keyframe.photometric not in (0, 1, 3)
        return Content(array, _tiff_axes(series.axes, array, colour), _tiff_spacing(file))


def _tiff_axes(axes: str, array: NDArray[Any], colour: bool) -> str | None:
    """Axes in our letters; None when the file leaves them open."""
    if 'S' in axes and not (colour and array.shape[axes.index('S')] in (3, 4)):
        axes = axes.replace('S', 'Q' if 'C' in axes else 'C')
    unknown = [letter for letter in axes if letter not in 'TCZYXS']
    if not unknown:
        return axes
    stated = any(letter in axes for letter in 'TCS')
    return axes.replace(unknown[0], 'Z') if stated and len(unknown) == 1 else None


def _tiff_spacing(file: tifffile.TiffFile) -> dict[str, float]:
    if file.is_ome and file.ome_metadata:
        return _ome_spacing(file.ome_metadata)
    if file.shaped_metadata:
        sizes = file.shaped_metadata[0].get('spacing', [])
        return dict(zip(SPATIAL[-len(sizes) :], sizes, strict=True)) if sizes else {}
    metadata = file.imagej_metadata or {}
    if str(metadata.get('unit', '')).strip().lower() in UNITLESS:
        return {}
    spacing = {'Z': float(metadata.get('spacing', 1.0))}
    tags = file.pages.first.tags
    for letter, tag in (('X', 'XResolution'), ('Y', 'YResolution')):
        if tag in tags:
            numerator, denominator = tags[tag].value
            spacing[letter] = denominator / numerator if numerator else 0.0
    return {letter: size for letter, size in spacing.items() if 0 < size < math.inf}


def _ome_spacing(description: str) -> dict[str, float]:
    pixels = ElementTree.fromstring(description).find('.//{*}Pixels')
    stated = {} if pixels is None else pixels.attrib
    spacing = {}
    for letter in SPATIAL:
        size = float(stated.get(f'PhysicalSize{letter}', 0))
        unit = stated.get(f'PhysicalSize{letter}Unit', 'µm').replace('\u03bc', 'µ')
        if 0 < size < math.inf:
            spacing[letter] = size * MICROMETRES.get(unit, 1.0)
    return spacing


def _check_pages(path: Path, file: tifffile.TiffFile) -> None:
    """Follow the chain of pages to its end; tifffile leaves out pages that are cut off."""
    layout, handle = file.tiff, file.filehandle
    seen: set[int] = set()
    offset = file.pages.first.offset
    while offset:
        if offset in seen or offset >= handle.size:
            raise FileError(
                f'{path} is truncated: {len(seen)} pages are whole, more are announced. '
                'Get the file again.'
            )
        seen.add(offset)
        handle.seek(offset)
        (tags,) = struct.unpack(layout.tagnoformat, handle.read(layout.tagnosize))
        handle.seek(tags * layout.tagsize, 1)
        (offset,) = struct.unpack(layout.offsetformat, handle.read(layout.offsetsize))


def write_tiff(path: Path | str, array: NDArray[Any], axes: str, spacing: Sequence[float]) -> None:
    """Write a compressed TIFF that Fiji, napari and `read_tiff` read back in the same shape.

    Parameters
    ----------
    path : path
        Ends in .tif or .tiff.
    array : array of uint8, uint16, uint32 or float32
    axes : str
        One letter for each axis: YX or ZYX, with C before for channels.
    spacing : sequence of float
        Voxel size along each spatial axis.

    Raises
    ------
    FileError
        When array, axes and spacing do not fit together, or the file cannot be written.
    """
    import tifffile

    if not str(path).lower().endswith(('.tif', '.tiff')):
        raise FileError(f'{path} should end in .tif; results are written as TIFF.')
    spatial = axes.lstrip('C')
    if len(axes) != array.ndim or len(spacing) != len(spatial) or 0 in array.shape:
        raise FileError(
            f'An array of shape {array.shape} with voxel size {tuple(spacing)} cannot be written '
            f'to {path}; expected one voxel size for each of two or three spatial axes.'
        )
    sizes = dict(zip(spatial, map(float, spacing), strict=True))
    options: dict[str, Any] = {'metadata': {'axes': axes, 'spacing': [*sizes.values()]}}
    # ImageJ's layout is what Fiji opens with all axes and voxel sizes, but it has no 32-bit
    # integers, wants z before c and drops axes of length 1; tifffile's own layout keeps all.
    if array.dtype != np.uint32 and axes != 'CZYX' and 1 not in array.shape:
        options = {'imagej': True, 'metadata': {'axes': axes}}
        if any(size != 1 for size in sizes.values()):
            options['resolution'] = (1 / sizes['X'], 1 / sizes['Y'])
            options['metadata'] |= {'unit': 'unit', 'spacing': sizes.get('Z', 1.0)}
    write_atomically(
        path,
        lambda temporary: tifffile.imwrite(
            temporary,
            array,
            photometric='minisblack',
            compression='zlib',
            **options,
        ),
    )
