"""DICOM: a series of slices in a folder, or one file with one or several frames."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_flim.engine.placement import Placement
from napari_flim.errors import FileError
from napari_flim.io.content import LARGE, Content, OnDisk, unreadable
from napari_flim.io.dicom_slices import Slice, Slices, is_dicom, slices_of
from napari_flim.io.nifti import matrix

EVEN = 0.2
"""Share by which gaps between slices may differ: positions are rounded when they are written."""
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])
"""DICOM counts to the left and the back of a patient, NIfTI to the right and the front."""
WITHOUT_VOXELS = ('SR', 'PR', 'KO', 'DOC', 'REG', 'RTSTRUCT', 'RTPLAN')
"""Modalities of DICOM that lie beside slices and are not meant to be shown."""


def read_dicom(path: Path) -> Content:
    """Read a DICOM file, or a folder with the slices of one series.

    Slices are sorted by position, not by name. Values are those that slope and intercept give.

    Raises
    ------
    FileError
        For several series, missing or doubled slices, or slices that do not fit together.
    """
    slices = _sorted(path, _slices(path))
    dtype = _type(slices)
    colour = len(slices[0].shape) == 3
    voxels = Slices(slices, dtype)
    axes = 'YX' + 'S' * colour
    spacing = dict(zip('YX', slices[0].spacing or (), strict=False))
    placement = _placement(slices)
    if len(slices) == 1:
        return Content(slices[0].values(dtype), axes, spacing, placement=placement)
    volume = slices[0].position is not None
    if volume:
        spacing['Z'] = float(np.linalg.norm(_step(slices)))
    on_disk = OnDisk(path, partial(_same, voxels), voxels, (1, *voxels.shape[1:]))
    array = on_disk if on_disk.nbytes > LARGE else voxels[(slice(None),)]
    return Content(array, 'Z' + axes if volume else None, spacing, placement=placement)


def _same(voxels: Slices) -> Slices:
    return voxels


def _slices(path: Path) -> list[Slice]:
    """All slices of a file or folder, of one series."""
    import pydicom

    files = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
    series: dict[str, str] = {}
    found: list[Slice] = []
    for file in files if path.is_file() else filter(is_dicom, files):
        try:
            header = pydicom.dcmread(file, stop_before_pixels=True)
        except Exception as error:
            # pydicom raises nearly anything on damaged files.
            raise unreadable(file, error) from error
        if 'Rows' not in header:
            if header.get('Modality') in WITHOUT_VOXELS or 'DirectoryRecordSequence' in header:
                continue
            raise FileError(
                f'{file} is truncated, or a DICOM file without voxels; '
                'get it again, or take it out of the folder.'
            )
        named = f'{header.get("SeriesDescription", "")} {header.get("SeriesNumber", "")}'
        series[str(header.get('SeriesInstanceUID', ''))] = f'{named.strip()} ({file.name})'
        found.extend(slices_of(file, header))
    if len(series) > 1:
        several = ', '.join(sorted(series.values())[:4])
        raise FileError(
            f'{path} holds {len(series)} DICOM series: {several}. '
            'Put the slices of each into a folder of their own.'
        )
    if not found:
        raise FileError(f'{path} holds no DICOM image; expected the slices of one series.')
    return found


def _sorted(path: Path, slices: list[Slice]) -> list[Slice]:
    """Slices from first to last along their normal, after checking that they are one volume."""
    usual = slices[0]
    for other in slices[1:]:
        for what, first, second in (
            ('size', usual.shape, other.shape),
            ('voxel size', usual.spacing, other.spacing),
            ('orientation', usual.directions, other.directions),
        ):
            alike = first == second or (
                first
                and second
                and len(first) == len(second)
                and np.allclose(first, second, atol=1e-3)
            )
            if not alike:
                raise FileError(
                    f'{path} mixes slices of different {what}: {usual.path.name} has {first}, '
                    f'{other.path.name} has {second}. Keep those of one volume.'
                )
    if len(slices) == 1:
        return slices
    places = _places(slices)
    if places is None:
        if len({part.path for part in slices}) == 1:
            return slices
        raise FileError(
            f'{path} holds slices without position or orientation, so their order is unknown; '
            'convert them to a volume with the program that made them.'
        )
    order = sorted(range(len(slices)), key=lambda n: places[n])
    slices = [slices[n] for n in order]
    _check_gaps(path, slices, np.array([places[n] for n in order]))
    return slices


def _places(slices: Sequence[Slice]) -> list[float] | None:
    """Where slices lie along their normal, in mm; None if the files do not say so."""
    directions = slices[0].directions
    if directions is None or any(part.position is None for part in slices):
        return None
    normal = np.cross(directions[:3], directions[3:])
    return [float(np.dot(part.position or (), normal)) for part in slices]


def _check_gaps(path: Path, slices: Sequence[Slice], places: NDArray[Any]) -> None:
    gaps = np.diff(places)
    usual = float(np.median(gaps))
    worst = int(np.argmax(np.abs(gaps - usual)))
    for number in (int(np.argmin(gaps)), worst):
        gap, pair = gaps[number], slices[number : number + 2]
        names = ' and '.join(part.path.name for part in pair)
        if gap < 1e-3:
            raise FileError(
                f'{path} holds two slices at the same position, {names}; '
                'keep one volume (one phase, one echo) in the folder.'
            )
        if abs(gap - usual) > EVEN * usual:
            missing = 'a slice is missing' if gap > usual else 'slices are unevenly spaced'
            raise FileError(
                f'{path}: {missing} between {names}, which are {gap:.4g} mm apart where others '
                f'are {usual:.4g} mm apart. Get the whole series again.'
            )


def _type(slices: Sequence[Slice]) -> np.dtype[Any]:
    """The smallest type that holds all values, exactly where slope and intercept are whole."""
    numbers = {(part.slope, part.intercept) for part in slices}
    first = slices[0]
    if numbers == {(1.0, 0.0)}:
        return np.dtype(first.stored)
    if not all(float(number).is_integer() for pair in numbers for number in pair):
        return np.dtype(np.float32)
    signed = first.stored.startswith('i')
    low = -(2 ** (first.bits - 1)) if signed else 0
    high = low + 2**first.bits - 1
    ends = [slope * end + intercept for slope, intercept in numbers for end in (low, high)]
    fits = np.iinfo(np.int16)
    return np.dtype(np.int16 if fits.min <= min(ends) and max(ends) <= fits.max else np.int32)


def _step(slices: Sequence[Slice]) -> NDArray[Any]:
    """From one slice to the next, in mm of the patient; 1 mm where there is only one."""
    first, last = slices[0], slices[-1]
    if len(slices) == 1 or first.position is None or last.position is None:
        directions = first.directions or (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
        return np.cross(directions[:3], directions[3:])
    whole = np.subtract(last.position, first.position)
    return np.asarray(whole / (len(slices) - 1))


def _placement(slices: Sequence[Slice]) -> Placement:
    first = slices[0]
    unit = '' if first.spacing is None else 'millimeter'
    if first.position is None or first.directions is None or first.spacing is None:
        return Placement(unit)
    affine = np.eye(4)
    affine[:3, 0] = np.multiply(first.directions[:3], first.spacing[1])
    affine[:3, 1] = np.multiply(first.directions[3:], first.spacing[0])
    affine[:3, 2] = _step(slices)
    affine[:3, 3] = first.position
    affine[:3] = LPS_TO_RAS @ affine[:3]
    return Placement(unit, affine=matrix(affine))
