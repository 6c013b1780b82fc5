"""Pictures: PNG, JPEG and BMP."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from napari_flim.errors import FlimWarning
from napari_flim.io.content import Content


def read_picture(path: Path, *, indices: bool) -> Content:
    """Read a picture; whatever Pillow raises on damage passes through.

    Parameters
    ----------
    path : path
    indices : bool
        Give the numbers stored in an indexed-colour PNG, not their colours.
    """
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
