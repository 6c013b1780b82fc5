"""TIFF files: voxels, axes, voxel sizes and units from the metadata of OME, ImageJ and tifffile."""

from __future__ import annotations

import math
import struct
import warnings
import weakref
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from napari_flim.engine.image import SPATIAL
from napari_flim.engine.placement import Placement
from napari_flim.errors import FileError, FlimWarning
from napari_flim.io.content import LARGE, Content, OnDisk
from napari_flim.io.units import full_name, in_unit

if TYPE_CHECKING:
    import tifffile

UNITLESS = ('', 'pixel', 'pixels', 'pix', 'px')


def read_tiff(path: Path) -> Content:
    """Read the first image of a TIFF file, its finest level if it has several.

    A large one is not read: voxels come from memory mapping where the file is one block, or else
    from the tiles or strips that are needed. Whatever tifffile raises on damage passes through.
    """
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
        colour = series.keyframe.photometric not in (0, 1, 3)
        axes = _tiff_axes(series.axes, series.shape, colour)
        spacing, origin, unit = _world(file)
        large = series.nbytes > LARGE
        return Content(
            _on_disk(path, series) if large else series.asarray(),
            axes,
            spacing,
            origin,
            Placement(unit),
        )


def _on_disk(path: Path, series: tifffile.TiffPageSeries) -> OnDisk:
    """Voxels of the finest level, read when they are needed."""
    if series.dataoffset is not None:
        opened = partial(_mapped, path)
        array = opened()
        return OnDisk(path, opened, array, (1,) * array.ndim)
    opened = partial(Tiles, path)
    tiles = opened()
    return OnDisk(path, opened, tiles, tiles.chunks)


def _mapped(path: Path) -> Any:
    import tifffile

    return tifffile.memmap(path, series=0, mode='r')


class Tiles:
    """Tiles or strips of a TIFF file that stays open; closed when nobody refers to it any more."""

    def __init__(self, path: Path) -> None:
        import tifffile
        import zarr

        file = tifffile.TiffFile(path)
        self.array: Any = zarr.open_array(file.series[0].aszarr(level=0), mode='r')
        self.shape, self.dtype = self.array.shape, self.array.dtype
        self.chunks = self.array.chunks
        weakref.finalize(self, file.close)

    def __getitem__(self, key: Any) -> Any:
        return self.array[key]


def _tiff_axes(axes: str, shape: tuple[int, ...], colour: bool) -> str | None:
    """Axes in our letters; None when the file leaves them open."""
    if 'S' in axes and not (colour and shape[axes.index('S')] in (3, 4)):
        axes = axes.replace('S', 'Q' if 'C' in axes else 'C')
    unknown = [letter for letter in axes if letter not in 'TCZYXS']
    if not unknown:
        return axes
    stated = any(letter in axes for letter in 'TCS')
    return axes.replace(unknown[0], 'Z') if stated and len(unknown) == 1 else None


def _world(file: tifffile.TiffFile) -> tuple[dict[str, float], dict[str, float], str]:
    """Voxel size and origin by letter, and their unit."""
    if file.is_ome and file.ome_metadata:
        return _ome_world(file.ome_metadata)
    if file.shaped_metadata:
        stated = file.shaped_metadata[0]
        sizes, origin = stated.get('spacing', []), stated.get('origin', [])
        letters = SPATIAL[-len(sizes) :] if sizes else ''
        return (
            dict(zip(letters, sizes, strict=True)),
            dict(zip(letters, origin, strict=False)),
            full_name(str(stated.get('unit', ''))),
        )
    return _imagej_world(file)


def _imagej_world(file: tifffile.TiffFile) -> tuple[dict[str, float], dict[str, float], str]:
    metadata = file.imagej_metadata or {}
    unit = str(metadata.get('unit', '')).strip().lower()
    if unit in UNITLESS:
        return {}, {}, ''
    spacing = {'Z': float(metadata.get('spacing', 1.0))}
    tags = file.pages.first.tags
    for letter, tag in (('X', 'XResolution'), ('Y', 'YResolution')):
        if tag in tags:
            numerator, denominator = tags[tag].value
            spacing[letter] = denominator / numerator if numerator else 0.0
    spacing = {letter: size for letter, size in spacing.items() if 0 < size < math.inf}
    origin = {
        letter: -float(metadata[f'{letter.lower()}origin']) * size
        for letter, size in spacing.items()
        if f'{letter.lower()}origin' in metadata
    }
    return spacing, origin, full_name(unit)


def _ome_world(description: str) -> tuple[dict[str, float], dict[str, float], str]:
    """Voxel size in micrometres, or in pixels where OME says so."""
    pixels = ElementTree.fromstring(description).find('.//{*}Pixels')
    stated = {} if pixels is None else pixels.attrib
    spacing, unit = {}, ''
    for letter in SPATIAL:
        size = float(stated.get(f'PhysicalSize{letter}', 0))
        own = full_name(stated.get(f'PhysicalSize{letter}Unit', 'µm'))
        if 0 < size < math.inf:
            spacing[letter] = in_unit(size, own, 'micrometer')
            unit = 'micrometer' if own else unit
    return spacing, {}, unit


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
