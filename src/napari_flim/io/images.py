"""Reading images of the common formats, with what their metadata say about axes and voxel size."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_flim.engine.image import SPATIAL, Image, guess_axes, read_stack
from napari_flim.errors import FileError, FlimWarning, ImageError
from napari_flim.io.lids_images import read_scn
from napari_flim.io.tiff import Content, read_tiff

PICTURES = ('.png', '.jpg', '.jpeg', '.bmp')
TIFFS = ('.tif', '.tiff')
NIFTIS = ('.nii', '.nii.gz')
SCNS = ('.scn', '.scn.gz', '.zscn')
SUFFIXES = (*PICTURES, *TIFFS, *NIFTIS, *SCNS, '.npy')
COMPOUND = ('.nii.gz', '.scn.gz', '.ome.tif', '.ome.tiff')


def stem(path: Path | str) -> str:
    """Name of a file without its ending; `.nii.gz` and `.ome.tif` count as one ending.

    Examples
    --------
    >>> stem('scans/brain.v2.nii.gz'), stem('cells.ome.tif'), stem('1.png')
    ('brain.v2', 'cells', '1')
    """
    name = Path(path).name
    for ending in COMPOUND:
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return Path(name).stem


def list_images(inputs: Sequence[Path | str]) -> list[Path]:
    """Image files named by files and folders, with no stem twice.

    Parameters
    ----------
    inputs : sequence of path
        A file stands for itself; a folder for the images directly in it, sorted as people count
        (2 before 10).

    Raises
    ------
    FileError
        For a missing path, a file of an unsupported kind, a folder without images, or two images
        with the same stem, since results and markers are paired by it.
    """
    found: list[Path] = []
    for path in map(Path, inputs):
        if path.is_dir():
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

    TIFF and OME-TIFF metadata name the axes; where they do not, `guess_axes` decides. NIfTI is
    read in stored voxel order, as (z, y, x), without reorientation. Values keep their dtype.

    Parameters
    ----------
    path : path
        png, jpg, bmp, tif, npy, nii, nii.gz or scn.
    axes : str, optional
        One letter for each axis of the file, of T, C, Z, Y, X, S; overrides everything else.
    indices : bool
        Give the numbers stored in an indexed-colour PNG, not their colours; for label images.

    Returns
    -------
    list of Image
        Voxel size from OME (in micrometres), ImageJ or NIfTI metadata; 1 where nothing is stated.
        The resolution tag of a plain TIFF is about printing and is not used.

    Raises
    ------
    FileError
        When the file is missing, empty, truncated or foreign.
    ImageError
        When the axes cannot be guessed or do not fit.
    """
    path = Path(path)
    suffix = _suffix(path)
    if not path.stat().st_size:
        raise FileError(f'{path} is empty (0 bytes); get the file again.')
    if suffix in SCNS and axes is None:
        return [read_scn(path)]
    content = _read(path, suffix, indices=indices)
    array = content.array.astype(content.array.dtype.newbyteorder('='), copy=False)
    try:
        axes = axes or content.axes or guess_axes(array.shape, array.dtype)
        spacing = [content.spacing.get(a, 1.0) for a in SPATIAL if a in axes.upper()]
        return read_stack(array, axes, spacing, path.name)
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


def _images_in(folder: Path) -> list[Path]:
    images = [
        p
        for p in folder.iterdir()
        if p.is_file() and p.name.lower().endswith(SUFFIXES) and not p.name.startswith('.')
    ]
    if not images:
        raise FileError(f'The folder {folder} holds no image; supported: {", ".join(SUFFIXES)}.')
    return sorted(images, key=_natural)


def _natural(path: Path) -> list[tuple[int, str]]:
    parts = re.split(r'(\d+)', path.name)
    return [(int(part), '') if part.isdigit() else (-1, part.lower()) for part in parts]


def _suffix(path: Path) -> str:
    if not path.exists():
        raise FileError(f'{path} does not exist; check the path.')
    if path.is_dir():
        raise FileError(f'{path} is a folder; expected an image file.')
    endings = [ending for ending in SUFFIXES if path.name.lower().endswith(ending)]
    if not endings:
        raise FileError(
            f'{path} is not of a supported kind; convert it to one of {", ".join(SUFFIXES)}.'
        )
    return max(endings, key=len)


def _read(path: Path, suffix: str, *, indices: bool) -> Content:
    try:
        if suffix in PICTURES:
            return _read_picture(path, indices=indices)
        if suffix in TIFFS:
            return read_tiff(path)
        if suffix in NIFTIS:
            return _read_nifti(path)
        if suffix in SCNS:
            return Content(read_scn(path).data[0])
        with path.open('rb') as file:
            return Content(np.lib.format.read_array(file, allow_pickle=False))
    except FileError:
        raise
    except MemoryError as error:
        raise FileError(
            f'{path} needs more memory than there is ({error}); crop the image, or get the file '
            'again if it is not that large.'
        ) from error
    except Exception as error:
        # Image libraries raise nearly anything on damaged files.
        reason = ' '.join(str(error).split())[:160].rstrip('.') or type(error).__name__
        raise FileError(
            f'{path} cannot be read: {reason}. The file may be truncated, damaged, '
            'or of another kind than its ending says; open it elsewhere or save it again.'
        ) from error


def _read_picture(path: Path, *, indices: bool) -> Content:
    import imageio.v3 as imageio

    with imageio.imopen(path, 'r', plugin='pillow') as opened:
        file: Any = opened
        mode = file.metadata(index=0, exclude_applied=False)['mode']
        if mode == 'P':
            array = file.read(index=0, mode='P' if indices else 'RGB')
        elif mode in ('CMYK', 'YCbCr', 'LAB', 'HSV'):
            array = file.read(index=0, mode='RGB')
        else:
            array = file.read(index=0)
    if _is_deep_colour_png(path):
        warnings.warn(
            f'{path} holds 16-bit colours, of which 8 bits are read; save it as TIFF to keep all.',
            FlimWarning,
            stacklevel=4,
        )
    if array.ndim == 3 and array.shape[-1] == 2:
        warnings.warn(f'{path} has an alpha channel; it is not used.', FlimWarning, stacklevel=4)
        array = array[..., 0]
    return Content(array, 'YX' if array.ndim == 2 else 'YXS')


def _is_deep_colour_png(path: Path) -> bool:
    """Whether a file is a 16-bit RGB or RGBA PNG (bit depth and colour type in bytes 24, 25)."""
    with path.open('rb') as file:
        header = file.read(26)
    return header[:8] == b'\x89PNG\r\n\x1a\n' and header[24] == 16 and header[25] in (2, 6)


def _read_nifti(path: Path) -> Content:
    import nibabel

    image: Any = nibabel.load(path)
    array = np.asarray(image.dataobj)
    while array.ndim > 2 and array.shape[-1] == 1:
        array = array[..., 0]
    zooms = [float(z) for z in image.header.get_zooms()[:3]]
    spacing = {a: z for a, z in zip('XYZ', zooms, strict=False) if 0 < z < math.inf}
    return Content(array, 'XYZTC'[: array.ndim] if array.ndim < 5 else None, spacing)
