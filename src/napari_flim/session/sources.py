"""What is learned from and applied to: images and strokes, cut loose from any layer.

A source holds the array object of a layer, never the layer, so a worker may read it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_flim.engine.image import SPATIAL, Image, numpy_dtype, read_array, readable
from napari_flim.engine.image_sample import ALL


@dataclass(frozen=True, eq=False)
class ImageSource:
    """An image, a volume, or a stack of them, read only when needed.

    Attributes
    ----------
    key : str
        Identity of the layer; stays the same while the layer is open.
    name : str
    data : array-like
        numpy, dask or zarr; of a multiscale image the finest level.
    axes : str
        One letter for each axis of ``data``: T stack, C channels, Z Y X space, S RGB samples.
    spacing : tuple of float
        Voxel size along the spatial axes.
    unit : str
        World unit of ``spacing``, such as ``um`` or ``pixel``.
    path : str, optional
        File the image was read from.
    sample : str, optional
        Name of the bundled sample the image comes from.
    revision : int
        Counts how often the layer got other data.
    """

    key: str
    name: str
    data: Any
    axes: str
    spacing: tuple[float, ...]
    unit: str = 'pixel'
    path: str | None = None
    sample: str | None = None
    revision: int = 0
    # Images that are not read keep what was measured of them.
    _unread: dict[int, Image] = field(init=False, repr=False, default_factory=dict)

    @property
    def content(self) -> tuple[object, ...]:
        """Equal for two sources that hold the same voxels, read the same way."""
        return (self.key, self.revision, self.axes, self.spacing)

    @property
    def frames(self) -> int:
        """Number of images along T, 1 without it."""
        return int(self.data.shape[self.axes.index('T')]) if 'T' in self.axes else 1

    @property
    def stacked(self) -> bool:
        """Whether it is a stack of images."""
        return 'T' in self.axes

    @property
    def shape(self) -> tuple[int, ...]:
        """Spatial shape of one image."""
        pairs = zip(self.axes, self.data.shape, strict=True)
        return tuple(int(size) for letter, size in pairs if letter in SPATIAL)

    @property
    def ndim(self) -> int:
        """Spatial rank, 2 or 3."""
        return sum(letter in SPATIAL for letter in self.axes)

    @property
    def rgb(self) -> bool:
        """Whether the image is in red, green and blue."""
        return 'S' in self.axes

    @property
    def channels(self) -> int:
        """Channels that the engine reads; alpha is not one of them."""
        if self.rgb:
            return 3
        return int(self.data.shape[self.axes.index('C')]) if 'C' in self.axes else 1

    @property
    def unread_bytes(self) -> int:
        """Bytes that the voxels of one image take when they are read; 0 if they are in memory."""
        if type(self.data) is np.ndarray:
            return 0
        dtype = numpy_dtype(self.data) or np.dtype(self.data.dtype)
        return prod(self.shape) * self.channels * dtype.itemsize

    @property
    def large(self) -> bool:
        """Whether one image has too many voxels to be looked at as a whole without need."""
        return prod(self.shape) > ALL

    def frame(self, index: int = 0) -> Image:
        """One image of the stack; an array that is not in memory stays unread.

        Raises
        ------
        ImageError
            When the array does not fit the axes.
        """
        known = self._unread.get(index)
        if known is not None:
            return known
        axes = self.axes.replace('T', '')
        data = readable(self.data)
        if 'T' in self.axes:
            place = self.axes.index('T')
            data = data[(slice(None),) * place + (index,)]
        name = self.name if self.frames == 1 else f'{self.name}[{index}]'
        image = read_array(data, axes, self.spacing, name)
        if image.lazy:
            self._unread[index] = image
        return image


def axes_in_words(shape: tuple[int, ...], axes: str) -> str:
    """What is understood of an array, in words.

    Examples
    --------
    >>> axes_in_words((20, 512, 512), 'TYX')
    '20 images of 512 x 512'
    >>> axes_in_words((20, 512, 512), 'ZYX')
    'one volume of 20 x 512 x 512 (z, y, x)'
    >>> axes_in_words((2, 512, 512), 'CYX')
    'one image of 512 x 512, 2 channels'
    >>> axes_in_words((400, 300, 3), 'YXS')
    'one image of 400 x 300, RGB'
    """
    sizes = dict(zip(axes, shape, strict=True))
    space = ' x '.join(str(sizes[letter]) for letter in axes if letter in SPATIAL)
    kind = 'volume' if 'Z' in axes else 'image'
    several = sizes.get('T', 1)
    words = f'{several} {kind}s of {space}' if several > 1 else f'one {kind} of {space}'
    if 'Z' in axes:
        words += ' (z, y, x)'
    if 'S' in axes:
        words += ', RGB'
    if 'C' in axes:
        words += f', {sizes["C"]} channels'
    return words


@dataclass(frozen=True, eq=False)
class Strokes:
    """What is painted on one image: the marked voxels and their labels, copied.

    Attributes
    ----------
    coordinates : (M, ndim) int64 array
        Voxels (z, y, x) or (y, x) in raster order.
    labels : (M,) int64 array
        As painted, from 1.
    shape : tuple of int
        Spatial shape of the image.
    """

    coordinates: NDArray[np.int64]
    labels: NDArray[np.int64]
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        self.coordinates.flags.writeable = False
        self.labels.flags.writeable = False

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def counts(self) -> dict[int, int]:
        """Marked voxels of each label."""
        values, counts = np.unique(self.labels, return_counts=True)
        return dict(zip(values.tolist(), counts.tolist(), strict=True))

    @cached_property
    def digest(self) -> str:
        """Short text that changes when any stroke does."""
        content = hashlib.blake2b(digest_size=12)
        for array in (self.coordinates, self.labels, np.array(self.shape)):
            content.update(np.ascontiguousarray(array).tobytes())
        return content.hexdigest()
