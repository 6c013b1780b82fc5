"""Placement: where a file says that its voxels lie, so that results open exactly over the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

Matrix = tuple[tuple[float, ...], ...]
"""A 4 x 4 matrix by rows."""


@dataclass(frozen=True)
class Placement:
    """Where voxels lie, as far as the file of an image says so.

    Attributes
    ----------
    unit : str
        Unit of voxel sizes and origin by its full name, such as ``micrometer``; empty if unknown.
    origin : tuple of float
        Position of the first voxel along each spatial axis (z, y, x), in world units; empty for
        the origin of the world.
    affine : 4 x 4 tuple of float, optional
        From voxels (x, y, z) to the right, anterior and superior of a patient, as in NIfTI; of
        NIfTI and DICOM only.
    qform : 4 x 4 tuple of float, optional
        The second such matrix that NIfTI has, where it is another one.
    codes : tuple of int
        What the matrices of NIfTI refer to: the code of qform, then of sform.
    """

    unit: str = ''
    origin: tuple[float, ...] = ()
    affine: Matrix | None = None
    qform: Matrix | None = None
    codes: tuple[int, int] = (1, 1)

    def moved(self, start: Sequence[int], spacing: Sequence[float]) -> Placement:
        """The placement of a part of the image.

        Parameters
        ----------
        start : sequence of int
            First voxel of the part along each spatial axis (z, y, x).
        spacing : sequence of float
            Voxel size of the image.

        Examples
        --------
        >>> Placement('micrometer', (10.0, 0.0)).moved((4, 2), (0.5, 0.5)).origin
        (12.0, 1.0)
        """
        origin = self.origin or (0.0,) * len(start)
        return replace(
            self,
            origin=tuple(o + n * s for o, n, s in zip(origin, start, spacing, strict=True)),
            affine=None if self.affine is None else _moved(self.affine, start),
            qform=None if self.qform is None else _moved(self.qform, start),
        )


def _moved(affine: Matrix, start: Sequence[int]) -> Matrix:
    """The matrix whose voxel 0 is the voxel `start` (z, y, x) of the given one."""
    voxel = tuple(reversed(start))
    rows = (
        (*row[:3], row[3] + sum(a * n for a, n in zip(row, voxel, strict=False)))
        for row in affine[:3]
    )
    return (*rows, affine[3])
