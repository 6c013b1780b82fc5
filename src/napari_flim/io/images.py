"""Reading images of the common formats, with what their metadata say about axes and voxel size."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_flim.engine.image import SPATIAL, Image, guess_axes, read_stack
from napari_flim.errors import FileError, ImageError
from napari_flim.io.content import Content, OnDisk, unreadable
from napari_flim.io.dicom import read_dicom
from napari_flim.io.dicom_slices import DICOMS, is_dicom
from napari_flim.io.lids_images import read_scn
from napari_flim.io.nifti import NIFTIS, read_nifti
from napari_flim.io.npy import read_npy
from napari_flim.io.ome_zarr import is_zarr, read_zarr
from napari_flim.io.pictures import read_picture
from napari_flim.io.tiff import read_tiff

PICTURES = ('.png', '.jpg', '.jpeg', '.bmp')
TIFFS = ('.tif', '.tiff')
SCNS = ('.scn', '.scn.gz', '.zscn')
SUFFIXES = (*PICTURES, *TIFFS, *NIFTIS, *SCNS, *DICOMS, '.npy')
"""Endings of files that are read."""
KINDS = ', '.join(SUFFIXES) + ', a .zarr folder, or a folder with the slices of one DICOM series'
ZARR = '.zarr'
COMPOUND = ('.nii.gz', '.scn.gz', '.ome.tif', '.ome.tiff', '.ome.zarr')


def stem(path: Path | str) -> str:
    """Name of a file without its ending; `.nii.gz` and `.ome.tif` count as one ending.

    The name of a folder with a DICOM series has none.

    Examples
    --------
    >>> stem('scans/brain.v2.nii.gz'), stem('cells.ome.tif'), stem('1.png')
    ('brain.v2', 'cells', '1')
    """
    name = Path(path).name
    for ending in COMPOUND:
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    series = Path(path).is_dir() and not name.lower().endswith('.zarr')
    return name if series else Path(name).stem


def list_images(inputs: Sequence[Path | str]) -> list[Path]:
    """Image files named by files and folders, with no stem twice.

    Parameters
    ----------
    inputs : sequence of path
        A file stands for itself, and so does a folder that is one image: a zarr, or the slices of
        a DICOM series. Any other folder stands for the images directly in it, sorted as people
        count (2 before 10).

    Raises
    ------
    FileError
        For a missing path, a file of an unsupported kind, a folder without images, or two images
        with the same stem, since results and markers are paired by it.
    """
    found: list[Path] = []
    for path in map(Path, inputs):
        if path.is_dir() and not is_zarr(path):
            found.extend(_images_in(path))
        else:
            _suffix(path)
            found.append(path)
    seen: dict[str, Path] = {}
    for path in found:
        other = seen.setdefault(stem(path), path)
        if not other.samefile(path):
            raise FileError(
                f'{other} and {path} have the same name without ending; '
                'rename one of them, since markers and results are paired by that name.'
            )
    return list(seen.values())


def read_images(path: Path | str, axes: str | None = None, *, indices: bool = False) -> list[Image]:
    """Images in a file; a stack gives several.

    Metadata name the axes; where they do not, `guess_axes` decides. NIfTI is read in stored voxel
    order, as (z, y, x), without reorientation; axes of length 1 before y count only where axes
    are named here. Values keep their dtype. Zarr, and any file with more voxels than
    `napari_flim.io.content.LARGE` bytes except pictures and .scn, gives lazy images.

    Parameters
    ----------
    path : path
        png, jpg, bmp, tif, npy, nii, nii.gz, dcm or scn; a zarr folder; a folder with a DICOM
        series.
    axes : str, optional
        One letter for each axis of the file, of T, C, Z, Y, X, S; overrides everything else.
    indices : bool
        Give the numbers stored in an indexed-colour PNG, not their colours; for label images.

    Returns
    -------
    list of Image
        Voxel size from OME (in micrometres), ImageJ, OME-Zarr, NIfTI or DICOM metadata; 1 where
        nothing is stated. The resolution tag of a plain TIFF is about printing and is not used.

    Raises
    ------
    FileError
        When the file is missing, empty, truncated or foreign.
    ImageError
        When the axes cannot be guessed or do not fit.
    """
    path = Path(path)
    suffix = _suffix(path)
    if path.is_file() and not path.stat().st_size:
        raise FileError(f'{path} is empty (0 bytes); get the file again.')
    if suffix in SCNS and axes is None:
        return [read_scn(path)]
    try:
        content = _read(path, suffix, indices=indices)
    except Exception as error:
        # Image libraries raise nearly anything on damaged files.
        raise unreadable(path, error) from error
    try:
        return _images(path, content, axes)
    except ImageError as error:
        raise ImageError(f'{path}: {error}') from error


def read_image(path: Path | str, axes: str | None = None, *, indices: bool = False) -> Image:
    """The single image in a file; see `read_images`.

    Raises
    ------
    ImageError
        When the file holds a stack.
    """
    images = read_images(path, axes, indices=indices)
    if len(images) != 1:
        raise ImageError(
            f'{path} holds a stack of {len(images)} images; expected one. '
            'If it is a volume, say so with axes="ZYX".'
        )
    return images[0]


def _images(path: Path, content: Content, given: str | None) -> list[Image]:
    array = content.array
    axes = given or content.axes or guess_axes(array.shape, array.dtype)
    native = array.dtype.newbyteorder('=')
    voxels: Any = array.lazy(axes) if isinstance(array, OnDisk) else array
    voxels = voxels.astype(native, copy=False)
    named = given is None and content.axes is not None
    if named and is_zarr(path) and 'Z' in axes and voxels.shape[axes.index('Z')] == 1:
        # Most writers of OME-Zarr give five axes to any image.
        voxels, axes = np.squeeze(voxels, axes.index('Z')), axes.replace('Z', '')
    letters = [letter for letter in SPATIAL if letter in axes.upper()]
    spacing = [content.spacing.get(letter, 1.0) for letter in letters]
    origin = tuple(content.origin.get(letter, 0.0) for letter in letters)
    placement = replace(content.placement, origin=origin if any(origin) else ())
    if given is not None and given.upper() != content.axes:
        placement = replace(placement, affine=None, qform=None)
    return read_stack(voxels, axes, spacing, path.name, placement)


def _read(path: Path, suffix: str, *, indices: bool) -> Content:
    if suffix == ZARR:
        return read_zarr(path)
    if suffix in PICTURES:
        return read_picture(path, indices=indices)
    if suffix in TIFFS:
        return read_tiff(path)
    if suffix in NIFTIS:
        return read_nifti(path)
    if suffix in DICOMS:
        return read_dicom(path)
    if suffix in SCNS:
        return Content(read_scn(path).data[0])
    return read_npy(path)


def _images_in(folder: Path) -> list[Path]:
    visible = [path for path in folder.iterdir() if not path.name.startswith('.')]
    images = [p for p in visible if p.is_file() and p.name.lower().endswith(SUFFIXES)]
    slices = [p for p in visible if p.is_file() and is_dicom(p)]
    others = [p for p in images if p not in slices] + [p for p in visible if is_zarr(p)]
    if slices and others:
        raise FileError(
            f'{folder} holds DICOM files and other images, such as {slices[0].name} and '
            f'{others[0].name}; keep the slices of a series in a folder of their own.'
        )
    if slices:
        return [folder]
    if not others:
        raise FileError(f'The folder {folder} holds no image; supported: {KINDS}.')
    return sorted(others, key=natural)


def natural(path: Path) -> list[tuple[int, str]]:
    """Key to sort paths by, as people count: 2 before 10."""
    parts = re.split(r'(\d+)', path.name)
    return [(int(part), '') if part.isdigit() else (-1, part.lower()) for part in parts]


def _suffix(path: Path) -> str:
    """The ending of a file; for folders that are one image, the kind it stands for."""
    if not path.exists():
        raise FileError(f'{path} does not exist; check the path.')
    if is_zarr(path):
        return ZARR
    if path.is_dir():
        if any(is_dicom(p) for p in path.iterdir() if p.is_file()):
            return DICOMS[0]
        raise FileError(f'{path} is a folder; expected an image file, a zarr or a DICOM series.')
    if is_dicom(path):
        return DICOMS[0]
    endings = [ending for ending in SUFFIXES if path.name.lower().endswith(ending)]
    if not endings:
        raise FileError(f'{path} is not of a supported kind; convert it to one of {KINDS}.')
    return max(endings, key=len)
