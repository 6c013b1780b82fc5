"""Full scale: the value of a fully bright sample."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_flim.engine.image_sample import highest_sampled
from napari_flim.errors import ImageError

SCALES = (255, 4095, 65535)


def normalization_value(largest: float) -> int:
    """Full scale that LibIFT assumes for an image with this largest value: 255, 4095 or 65535.

    Raises
    ------
    ImageError
        For a negative value or one above 65535.

    Examples
    --------
    >>> normalization_value(4000)
    4095
    """
    for scale in SCALES:
        if 0 <= largest <= scale:
            return scale
    raise ImageError(
        f'The largest value of the image is {largest}; LibIFT colours need values from 0 to '
        '65535. Rescale the image, or use its grey values as they are.'
    )


def full_scale(data: NDArray[Any]) -> float:
    """The value of a fully bright sample: by type, or for floats 1, or the next usual maximum.

    Of a large image the maximum is that of `napari_flim.engine.image_sample.sampled_values`.
    """
    if data.dtype.kind == 'b':
        return 1.0
    if data.dtype == np.uint8:
        return 255.0
    if data.dtype == np.uint16:
        return 65535.0
    highest = highest_sampled(data)
    return 1.0 if highest <= 1 else float(normalization_value(highest))
