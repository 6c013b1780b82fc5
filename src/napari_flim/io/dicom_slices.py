"""One slice of DICOM: what a file says of it, and its voxels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_flim.io.content import unreadable

DICOMS = ('.dcm', '.dicom', '.ima')
PACKINGS = {
    '1.2.840.10008.1.2.4.57': 'ljpeg_decode',
    '1.2.840.10008.1.2.4.70': 'ljpeg_decode',
    '1.2.840.10008.1.2.4.80': 'jpegls_decode',
    '1.2.840.10008.1.2.4.81': 'jpegls_decode',
}
"""Transfer syntaxes (JPEG lossless, JPEG-LS) that pydicom needs others for, and who reads them."""
VALUES = 'PixelValueTransformationSequence'
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])
"""DICOM counts to the left and the back of a patient, NIfTI to the right and the front."""


@dataclass(frozen=True)
class Slice:
    """One slice of a series: a file, or a frame of one.

    Attributes
    ----------
    path : Path
    frame : int
    shape : tuple of int
        (y, x), or (y, x, 3) for colours.
    position : tuple of float, optional
        Of the first voxel, in mm to the left, back and head of the patient.
    directions : tuple of float, optional
        Unit vectors along x, then y.
    spacing : tuple of float, optional
        Size of a voxel along y, x in mm; None if unknown.
    slope, intercept : float
        Value = slope * stored + intercept; Hounsfield units of a CT.
    stored : str
        Type of stored values.
    bits : int
        How many bits of it count.
    packing : str
        The transfer syntax of the file.
    """

    path: Path
    frame: int
    shape: tuple[int, ...]
    position: tuple[float, ...] | None
    directions: tuple[float, ...] | None
    spacing: tuple[float, ...] | None
    slope: float
    intercept: float
    stored: str
    bits: int
    packing: str

    def values(self, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Its voxels."""
        from pydicom.pixels.utils import pixel_array

        try:
            if self.packing in PACKINGS:
                stored = self._unpacked()
            else:
                stored = pixel_array(self.path, index=self.frame)
        except Exception as error:
            # pydicom raises nearly anything on damaged files.
            raise unreadable(self.path, error) from error
        if (self.slope, self.intercept) == (1, 0):
            return stored.astype(dtype)
        return (stored * np.float64(self.slope) + self.intercept).astype(dtype)

    def _unpacked(self) -> NDArray[Any]:
        """Stored values of a packing that pydicom leaves to others."""
        import imagecodecs
        import pydicom
        from pydicom.encaps import get_frame

        header = pydicom.dcmread(self.path)
        frames = int(header.get('NumberOfFrames', 1) or 1)
        packed = get_frame(header.PixelData, self.frame, number_of_frames=frames)
        decode = getattr(imagecodecs, PACKINGS[self.packing])
        stored: NDArray[Any] = decode(packed)
        return stored.view(self.stored)


class Slices:
    """Slices one after the other as one array, read where they are needed."""

    def __init__(self, slices: Sequence[Slice], dtype: np.dtype[Any]) -> None:
        self.slices = slices
        self.dtype = dtype
        self.shape = (len(slices), *slices[0].shape)

    def __getitem__(self, key: tuple[slice, ...]) -> NDArray[Any]:
        first, *inside = key if isinstance(key, tuple) else (key,)
        parts = [part.values(self.dtype)[tuple(inside)] for part in self.slices[first]]
        return np.stack(parts)


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM, by what it begins with or by its ending."""
    if path.name.startswith('.'):
        return False
    if path.name.lower().endswith(DICOMS):
        return True
    if path.suffix and not path.suffix[1:].isdigit():
        return False
    with path.open('rb') as file:
        return file.read(132)[128:] == b'DICM'


def slices_of(file: Path, header: Any) -> list[Slice]:
    """The slices in one file, from its header or those of its frames.

    Parameters
    ----------
    file : Path
    header : pydicom.Dataset
    """
    shared = header.get('SharedFunctionalGroupsSequence', [None])[0]
    frames = header.get('PerFrameFunctionalGroupsSequence', [])
    count = int(header.get('NumberOfFrames', 1) or 1)
    colours = int(header.get('SamplesPerPixel', 1))
    allocated = max(8, int(header.BitsAllocated))

    def stated(frame: int, group: str, name: str) -> Any:
        places = [frames[frame] if frame < len(frames) else None, shared]
        for place in places:
            inner = None if place is None else place.get(group)
            if inner and name in inner[0]:
                return inner[0][name].value
        return header.get(name)

    return [
        Slice(
            path=file,
            frame=frame,
            shape=(header.Rows, header.Columns, *(colours,) * (colours > 1)),
            position=_numbers(stated(frame, 'PlanePositionSequence', 'ImagePositionPatient')),
            directions=_numbers(
                stated(frame, 'PlaneOrientationSequence', 'ImageOrientationPatient')
            ),
            spacing=_numbers(stated(frame, 'PixelMeasuresSequence', 'PixelSpacing')),
            slope=float(_or(stated(frame, VALUES, 'RescaleSlope'), 1)),
            intercept=float(_or(stated(frame, VALUES, 'RescaleIntercept'), 0)),
            stored=f'{"i" if header.get("PixelRepresentation", 0) else "u"}{allocated // 8}',
            bits=int(header.get('BitsStored', allocated)),
            packing=str(header.file_meta.get('TransferSyntaxUID', '')),
        )
        for frame in range(count)
    ]


def _numbers(stated: Any) -> tuple[float, ...] | None:
    return tuple(float(value) for value in stated) if stated else None


def _or(stated: Any, otherwise: float) -> Any:
    return otherwise if stated in (None, '') else stated
