"""Image: an array whose axes have been understood, with its voxel size."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_flim.engine.placement import Placement
from napari_flim.errors import FlimWarning, ImageError

SPATIAL = 'ZYX'
LETTERS = 'TCZYXS'
"""T images of a stack, C channels, Z Y X space, S the samples of an RGB or RGBA voxel."""

Box = tuple[slice, ...]
"""A part of an image: one slice with start and stop for each spatial axis."""


@dataclass(frozen=True, eq=False)
class Image:
    """One image or volume, channels first.

    Attributes
    ----------
    data : (C, \\*S) array
        Voxel values in their own dtype and units: numpy, or a dask array of which only what is
        cropped is ever read.
    spacing : tuple of float
        Size of a voxel along each spatial axis, in world units.
    rgb : bool
        Whether the three channels are red, green and blue.
    name : str
        What to call the image in messages and provenance.
    placement : Placement, optional
        Where the file of the image says that it lies; results are written with it.
    measured : dict
        What was measured of all these voxels before, by what asked for it, so that an image on
        disk is sampled once however often it is learned from. Parts begin without.
    """

    data: NDArray[Any]
    spacing: tuple[float, ...]
    rgb: bool = False
    name: str = 'image'
    placement: Placement | None = None
    measured: dict[Any, Any] = field(init=False, repr=False, default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        """Spatial shape."""
        return self.data.shape[1:]

    @property
    def ndim(self) -> int:
        """Spatial rank, 2 or 3."""
        return self.data.ndim - 1

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.data.shape[0])

    @property
    def lazy(self) -> bool:
        """Whether the voxels are read when they are cropped, not yet in memory."""
        return not isinstance(self.data, np.ndarray)

    @property
    def nbytes(self) -> int:
        """Bytes of all voxels, in memory or not."""
        return int(self.data.nbytes)

    def crop(self, box: Box) -> Image:
        """A part of the image, in memory; of a lazy image nothing else is read.

        Parameters
        ----------
        box : tuple of slice
            One for each spatial axis, with a step of 1; what lies outside the image is left out.

        Returns
        -------
        Image
            With all channels; its placement is that of the part.

        Raises
        ------
        ImageError
            When the box is empty, has a step or another rank.
        FileError
            When the file of a lazy image can no longer be read.

        Examples
        --------
        >>> whole = read_array(np.arange(12).reshape(3, 4))
        >>> whole.crop((slice(1, 3), slice(0, 2))).data.tolist()
        [[[4, 5], [8, 9]]]
        """
        return self.crops([box])[0]

    def crops(self, boxes: Sequence[Box]) -> list[Image]:
        """Several parts, each as of `crop`; those of a lazy image are read together.

        One by one, dask would go through all chunks of the image for each of them.
        """
        parts = [self._part(box) for box in boxes]
        read = all_computed([part.data for part in parts])
        return [replace(part, data=data) for part, data in zip(parts, read, strict=True)]

    def _part(self, box: Box) -> Image:
        """A part of the image, not yet read."""
        spans = [part.indices(size) for part, size in zip(box, self.shape, strict=False)]
        empty = any(start >= stop or step != 1 for start, stop, step in spans)
        if len(box) != self.ndim or empty:
            raise ImageError(
                f'{self.name} of shape {self.shape} cannot be cropped to {box}; expected one '
                'slice for each spatial axis that holds some of its voxels, with a step of 1.'
            )
        part = self.data[(slice(None), *(slice(start, stop) for start, stop, _ in spans))]
        placement = self.placement
        if placement is not None:
            placement = placement.moved([start for start, _, _ in spans], self.spacing)
        return replace(self, data=part, placement=placement)

    def in_memory(self) -> Image:
        """The same image with all its voxels in memory."""
        return replace(self, data=computed(self.data)) if self.lazy else self

    def describe(self) -> str:
        """What was understood, in words.

        Examples
        --------
        >>> read_array(np.zeros((4, 5, 6))).describe()
        'volume of 4 x 5 x 6 voxels (z, y, x), float64'
        """
        size = ' x '.join(str(n) for n in self.shape)
        kind = 'image' if self.ndim == 2 else 'volume'
        unit = 'pixels (y, x)' if self.ndim == 2 else 'voxels (z, y, x)'
        colour = ', RGB' if self.rgb else f', {self.channels} channels' * (self.channels > 1)
        voxel = ''
        if any(s != 1 for s in self.spacing):
            voxel = f', voxel {" x ".join(f"{s:.4g}" for s in self.spacing)}'
        return f'{kind} of {size} {unit}{colour}, {self.data.dtype}{voxel}'


def guess_axes(shape: Sequence[int], dtype: Any) -> str:
    """Axes of an array that nothing else describes, by one stated rule.

    Two axes are (y, x). A last axis of 3 or 4 in uint8 is RGB(A). Any other third axis is z.

    Raises
    ------
    ImageError
        For one axis, or four and more axes that are not an RGB volume.

    Examples
    --------
    >>> guess_axes((5, 400, 400), np.uint8), guess_axes((400, 400, 3), np.uint8)
    ('ZYX', 'YXS')
    """
    coloured = np.dtype(dtype) == np.uint8 and len(shape) > 2 and shape[-1] in (3, 4)
    spatial = len(shape) - coloured
    if spatial not in (2, 3):
        raise ImageError(
            f'An array of shape {tuple(shape)} has axes that cannot be guessed; '
            'name them, for example axes="CZYX", or --axes CZYX on the command line (T stack, '
            'C channels, Z Y X space, S RGB samples).'
        )
    return SPATIAL[-spatial:] + 'S' * coloured


def read_stack(
    array: Any,
    axes: str | None = None,
    spacing: Sequence[float] | None = None,
    name: str = 'image',
    placement: Placement | None = None,
) -> list[Image]:
    """Images of an array, one for each step of its T axis, or one if it has none.

    Parameters
    ----------
    array : array-like
        Any dtype from bool to float64. An array that is read where it is indexed (dask, zarr,
        h5py) is not read: its images are lazy.
    axes : str, optional
        One letter for each axis, of T, C, Z, Y, X, S; see `guess_axes` for the default.
    spacing : sequence of float, optional
        Voxel size along the spatial axes in their order (z, y, x); 1 by default.
    name : str
        Name of the image in messages.
    placement : Placement, optional
        Where the images lie.

    Raises
    ------
    ImageError
        When axes and array do not fit together, or the values are not numbers.
    """
    data = readable(array)
    if data.dtype.kind not in 'buif':
        raise ImageError(f'{name} holds {data.dtype} values; expected numbers.')
    axes = guess_axes(data.shape, data.dtype) if axes is None else _check_axes(axes, data, name)
    letters = [letter for letter in LETTERS if letter in axes]
    data = np.transpose(data, [axes.index(letter) for letter in letters])
    if 0 in data.shape:
        raise ImageError(f'{name} has shape {data.shape}: it holds no voxel.')
    if 'S' in axes:
        data = np.moveaxis(data, -1, -1 - sum(letter in SPATIAL for letter in axes))
        data = _drop_alpha(data, axes, name)
    elif 'C' not in axes:
        data = np.expand_dims(data, -1 - sum(letter in SPATIAL for letter in axes))
    steps = list(data) if 'T' in axes else [data]
    rank = data.ndim - 1 - ('T' in axes)
    sizes = _check_spacing(spacing, rank, name)
    return [
        Image(step, sizes, 'S' in axes, _stack_name(name, i, steps), placement)
        for i, step in enumerate(steps)
    ]


def read_array(
    array: Any,
    axes: str | None = None,
    spacing: Sequence[float] | None = None,
    name: str = 'image',
    placement: Placement | None = None,
) -> Image:
    """The single image in an array; see `read_stack`."""
    images = read_stack(array, axes, spacing, name, placement)
    if len(images) != 1:
        raise ImageError(
            f'{name} is a stack of {len(images)} images; expected one image. '
            'Give its images one after the other.'
        )
    return images[0]


def check_axes(axes: str | None) -> None:
    """Raise `ImageError` unless a user's axes keep space in the order Z, Y, X.

    Files may store axes in any order; but markers and results have the order of the image as it is
    read, so axes that reorder space would silently part them.

    Examples
    --------
    >>> check_axes('CZYX')
    """
    space = ''.join(letter for letter in (axes or 'YX').upper() if letter in SPATIAL)
    if axes == '' or space not in ('YX', 'ZYX') or not set((axes or '').upper()) <= set(LETTERS):
        raise ImageError(
            f'Axes {axes!r} describe no image; give one letter for each axis, with space in the '
            'order Z, Y, X: T stack, C channels, Z Y X space, S RGB samples. '
            'For example YX, ZYX, CYX, TYX, YXS.'
        )


def computed(part: Any) -> NDArray[Any]:
    """What is in memory, or is read now; never by a cluster that happens to be connected.

    Parameters
    ----------
    part : array
        Numpy, dask, or what numpy can make an array of.
    """
    return all_computed([part])[0]


def all_computed(parts: Sequence[Any]) -> list[NDArray[Any]]:
    """Several of what `computed` reads, together."""
    if any(hasattr(part, 'compute') for part in parts):
        from dask.base import compute

        parts = compute(*parts, scheduler='threads')
    return [np.asarray(part) for part in parts]


def readable(array: Any) -> Any:
    """A numpy array as it is, or a dask array of one that is read where it is indexed."""
    if hasattr(array, '__dask_graph__'):
        import dask.array

        return dask.array.asarray(array)
    dtype = numpy_dtype(array)
    indexed = all(hasattr(array, name) for name in ('shape', '__getitem__'))
    if dtype is None or not indexed or isinstance(array, np.ndarray | np.generic):
        return np.asarray(array)
    import dask.array

    chunks = getattr(array, 'chunks', None) or 'auto'
    return dask.array.from_array(_Indexed(array, dtype), chunks=chunks, name=False)


def numpy_dtype(array: Any) -> np.dtype[Any] | None:
    """The type of the values of an array; None if numpy has no such type.

    Arrays of tensorstore have types of their own, which tell the one of numpy.
    """
    own = getattr(array, 'dtype', None)
    dtype = getattr(own, 'numpy_dtype', own)
    return dtype if isinstance(dtype, np.dtype) else None


class _Indexed:
    """What dask asks of an array, whosever it is."""

    def __init__(self, array: Any, dtype: np.dtype[Any]) -> None:
        self.array, self.dtype = array, dtype
        self.shape = tuple(int(size) for size in array.shape)
        self.ndim = len(self.shape)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        return np.asarray(self.array[key])


def _check_axes(axes: str, data: Any, name: str) -> str:
    axes = axes.upper()
    wrong = [letter for letter in axes if letter not in LETTERS]
    fits = len(axes) == data.ndim and len(set(axes)) == len(axes) and not wrong
    if not fits or 'Y' not in axes or 'X' not in axes or ('C' in axes and 'S' in axes):
        raise ImageError(
            f'Axes {axes!r} do not describe {name} of shape {tuple(data.shape)}; '
            'give one letter for each axis: T stack, C channels, Z Y X space, S RGB samples.'
        )
    if 'S' in axes and data.shape[axes.index('S')] not in (3, 4):
        raise ImageError(
            f'{name} has {data.shape[axes.index("S")]} samples on axis S; '
            'RGB has 3 and RGBA 4. Use C for other channels.'
        )
    return axes


def _drop_alpha(data: NDArray[Any], axes: str, name: str) -> NDArray[Any]:
    axis = -1 - sum(letter in SPATIAL for letter in axes)
    if data.shape[axis] == 4:
        warnings.warn(f'{name} has an alpha channel; it is not used.', FlimWarning, stacklevel=3)
        data = np.take(data, [0, 1, 2], axis=axis)
    return data


def _check_spacing(spacing: Sequence[float] | None, ndim: int, name: str) -> tuple[float, ...]:
    given = (1.0,) * ndim if spacing is None else spacing
    values = tuple(float(s) for s in given) if isinstance(given, Sequence | np.ndarray) else ()
    if len(values) != ndim or not all(0 < s < math.inf for s in values):
        raise ImageError(
            f'{name} has voxel size {given}; expected {ndim} positive numbers, one for each axis.'
        )
    return values


def _stack_name(name: str, index: int, steps: list[NDArray[Any]]) -> str:
    return name if len(steps) == 1 else f'{name}[{index}]'
