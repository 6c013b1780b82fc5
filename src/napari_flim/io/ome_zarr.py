"""Reading zarr: OME-Zarr 0.4 and 0.5 with axes, voxel sizes and units, and plain arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from napari_flim.engine.image import SPATIAL
from napari_flim.engine.placement import Placement
from napari_flim.errors import FileError
from napari_flim.io.atomic import ZARR_FILES
from napari_flim.io.content import Content, OnDisk
from napari_flim.io.units import full_name, in_unit

LETTERS = {'t': 'T', 'time': 'T', 'c': 'C', 'channel': 'C', 'z': 'Z', 'y': 'Y', 'x': 'X'}
OLDEST = 'TCZYX'
"""Axes of OME-Zarr up to 0.2, which does not name them."""


def is_zarr(path: Path) -> bool:
    """Whether a path is a folder that holds a zarr array or group."""
    return path.is_dir() and any((path / name).is_file() for name in ZARR_FILES)


def read_zarr(path: Path) -> Content:
    """Read what a zarr folder says of its image; voxels are read when they are needed.

    Of OME-Zarr the finest level is taken. Whatever zarr raises on damage passes through.

    Raises
    ------
    FileError
        For a group that is no OME-Zarr image, or holds several; says which there are.
    """
    import zarr

    node = zarr.open(str(path), mode='r')
    if isinstance(node, zarr.Array):
        return Content(_on_disk(path, ''), _named_axes(node))
    attributes: Any = dict(node.attrs)
    attributes = attributes.get('ome', attributes)
    multiscales = attributes.get('multiscales') if isinstance(attributes, Mapping) else None
    if not multiscales:
        inside = sorted(name for name, _ in node.members())
        raise FileError(
            f'{path} is a zarr group without an OME-Zarr image of its own; name what is in it: '
            f'{", ".join(str(path / name) for name in inside[:4]) or "nothing"}.'
        )
    return _of_multiscale(path, multiscales[0])


def _of_multiscale(path: Path, multiscale: Mapping[str, Any]) -> Content:
    dataset = multiscale['datasets'][0]
    voxels = _on_disk(path, dataset['path'])
    named = multiscale.get('axes', list(OLDEST.lower()))
    axes = [{'name': axis} if isinstance(axis, str) else axis for axis in named]
    letters = [LETTERS.get(str(axis['name']).lower(), '?') for axis in axes]
    if len(letters) != voxels.ndim:
        raise FileError(
            f'{path} names {len(letters)} axes for an array of shape {voxels.shape}; '
            'its metadata are damaged. Write it again.'
        )
    units = {
        letter: full_name(str(axis.get('unit', '')))
        for letter, axis in zip(letters, axes, strict=True)
        if letter in SPATIAL
    }
    unit = units.get('X', '')
    scale, origin = [1.0] * len(letters), [0.0] * len(letters)
    for transforms in (dataset, multiscale):
        scale, origin = _transformed(scale, origin, transforms.get('coordinateTransformations', []))
    spatial = [(n, letter) for n, letter in enumerate(letters) if letter in SPATIAL]
    return Content(
        voxels,
        None if '?' in letters else ''.join(letters),
        {letter: in_unit(scale[n], units[letter], unit) for n, letter in spatial},
        {letter: in_unit(origin[n], units[letter], unit) for n, letter in spatial if any(origin)},
        Placement(unit),
    )


def _transformed(
    scale: Sequence[float], origin: Sequence[float], transforms: Sequence[Mapping[str, Any]]
) -> tuple[list[float], list[float]]:
    """Voxel size and origin after the transformations of one place in the metadata."""
    sizes, places = list(scale), list(origin)
    for transform in transforms:
        if transform['type'] == 'scale':
            sizes = [s * float(f) for s, f in zip(sizes, transform['scale'], strict=True)]
            places = [p * float(f) for p, f in zip(places, transform['scale'], strict=True)]
        elif transform['type'] == 'translation':
            moved = zip(places, transform['translation'], strict=True)
            places = [p + float(t) for p, t in moved]
    return sizes, places


def _on_disk(path: Path, inside: str) -> OnDisk:
    opened = partial(_array, path, inside)
    array = opened()
    return OnDisk(path, opened, array, array.chunks)


def _array(path: Path, inside: str) -> Any:
    import zarr

    return zarr.open_array(str(path / inside), mode='r')


def _named_axes(array: Any) -> str | None:
    """Axes of a plain array that names its dimensions, as zarr 3 can."""
    names = getattr(array.metadata, 'dimension_names', None) or ()
    letters = [LETTERS.get(str(name).lower(), '') for name in names]
    named = ''.join(letters)
    return named if named and all(letters) and len(set(named)) == len(letters) else None
