"""Colours as LibIFT sees them: RGB and grey images to LabNorm2, the input of its first block.

LibIFT stores colours as whole YCbCr numbers, goes back to whole RGB numbers with the matrix of
another standard, and treats those as linear light. The losses are part of what its models were
learned on, so they are reproduced here: double precision up to the last truncation, single
precision after it.
"""

from __future__ import annotations

import torch

from napari_flim.engine.full_scale import SCALES
from napari_flim.errors import ImageError

LUMA = (0.2627, 0.6780, 0.0593)
"""Weights of red, green and blue in the luma of ITU-R BT.2020."""

CHROMA = (1.8814, 1.4746)
"""Divisors of blue minus luma and red minus luma in ITU-R BT.2020."""

TO_YCBCR = (
    (0.256789062, 0.504128906, 0.09790625),
    (-0.148222656, -0.290992187, 0.439214844),
    (0.439214844, -0.367789063, -0.071425781),
)
"""RGB to YCbCr of ITU-R BT.601, studio range."""

TO_XYZ = (
    (0.4123955889674142, 0.3575834307637148, 0.1804926473817016),
    (0.2125862307855956, 0.7151703037034108, 0.0722004986433362),
    (0.0192972154917469, 0.1191838645808485, 0.9504971251315798),
)
WHITE = (0.950456, 1.0, 1.088754)

LOWEST = (0.0, -86.182236, -107.867744)
SPAN = (99.998337, 184.440834, 202.349426)
"""Smallest value and range of L, a and b over all RGB colours; LabNorm2 maps them to [0, 1]."""


def lab_norm2(rgb: torch.Tensor, maximum: int = 255) -> torch.Tensor:
    """RGB to LabNorm2, with LibIFT's truncations.

    Parameters
    ----------
    rgb : (3, \\*S) tensor
        Red, green and blue from 0 to ``maximum``, of any integer or float type.
    maximum : {255, 4095, 65535}
        Full scale of the values: 8, 12 or 16 bits.

    Returns
    -------
    (3, \\*S) float32 tensor
        L, a and b, each about 0 to 1; within 1e-6 of LibIFT.

    Raises
    ------
    ImageError
        When there are not three channels or the scale is none of the three.

    Examples
    --------
    >>> white = torch.full((3, 1), 255, dtype=torch.uint8)
    >>> [round(v, 3) for v in lab_norm2(white).flatten().tolist()]
    [1.0, 0.467, 0.533]
    """
    _check_scale(maximum)
    if rgb.ndim < 1 or rgb.shape[0] != 3:
        raise ImageError(
            f'Colours of shape {tuple(rgb.shape)} were given; '
            'expected red, green and blue on the first axis.'
        )
    steps = (maximum + 1) // 256
    red, green, blue = rgb.to(torch.float64) / maximum
    luma = LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue
    chroma_blue = blue.sub_(luma).div_(CHROMA[0]).clamp_(-0.5, 0.5)
    chroma_red = red.sub_(luma).div_(CHROMA[1]).clamp_(-0.5, 0.5)
    return _lab_from_ycbcr(
        luma.clamp_(0, 1).mul_(219 * steps).trunc_().add_(16 * steps),
        chroma_blue.mul_(224 * steps).trunc_().add_(128 * steps),
        chroma_red.mul_(224 * steps).trunc_().add_(128 * steps),
        maximum,
    )


def heat_lab(grey: torch.Tensor, maximum: int) -> torch.Tensor:
    """Grey values to heat colours, blue over green to red, in LabNorm2, as LibIFT reads them.

    None of the three channels grows with the grey value.

    Parameters
    ----------
    grey : (\\*S) tensor
        Values from 0 to ``maximum``; fractions are dropped, values outside are clipped.
    maximum : {255, 4095, 65535}
        Full scale; LibIFT takes the `normalization_value` of the largest value of the image.

    Returns
    -------
    (3, \\*S) float32 tensor
        Within 1e-6 of LibIFT.

    Raises
    ------
    ImageError
        When the scale is none of the three.
    """
    _check_scale(maximum)
    values = torch.arange(maximum + 1, dtype=torch.float64, device=grey.device)
    # LibIFT's table has one colour less than there are values.
    heat = _heat((values * (maximum - 1) / maximum).trunc(), maximum)
    luma, chroma = _offsets(maximum)
    ycbcr = [
        (r * heat[0] + g * heat[1] + b * heat[2] + offset).trunc_().clamp_(0, maximum)
        for (r, g, b), offset in zip(TO_YCBCR, (luma, chroma, chroma), strict=True)
    ]
    table = _lab_from_ycbcr(ycbcr[0], ycbcr[1], ycbcr[2], maximum)
    return table[:, grey.to(torch.int64).clamp_(0, maximum)]


def _heat(values: torch.Tensor, maximum: int) -> torch.Tensor:
    """Red, green and blue of the heat colours: whole numbers, computed in float32."""
    t = 4 * (values.to(torch.float32) / maximum) + 1
    red = (3 - (t - 4).abs() - (t - 5).abs()) / 2
    green = (4 - (t - 2).abs() - (t - 4).abs()) / 2
    blue = (3 - (t - 1).abs() - (t - 2).abs()) / 2
    return (maximum * torch.stack([red, green, blue]).clamp_(min=0)).trunc_().to(torch.float64)


def _offsets(maximum: int) -> tuple[float, float]:
    """Luma and chroma of black in ITU-R BT.601, in the float32 in which LibIFT holds them."""
    luma, chroma = torch.tensor([16 / 255 * maximum, 128 / 255 * maximum]).tolist()
    return luma, chroma


def _lab_from_ycbcr(
    luma: torch.Tensor, chroma_blue: torch.Tensor, chroma_red: torch.Tensor, maximum: int
) -> torch.Tensor:
    """LabNorm2 of whole float64 YCbCr numbers, over the whole RGB numbers of ITU-R BT.601."""
    black, neutral = _offsets(maximum)
    luma = luma.sub_(black).mul_(1.164383562)
    chroma_blue, chroma_red = chroma_blue.sub_(neutral), chroma_red.sub_(neutral)
    rgb = torch.empty((3, *luma.shape), dtype=torch.float32, device=luma.device)
    rgb[0] = (luma + 1.596026786 * chroma_red).trunc_()
    rgb[1] = (luma - 0.39176229 * chroma_blue - 0.812967647 * chroma_red).trunc_()
    rgb[2] = luma.add_(chroma_blue.mul_(2.017232143)).trunc_()
    return _lab(rgb.clamp_(0, maximum).div_(maximum))


def _lab(rgb: torch.Tensor) -> torch.Tensor:
    """LabNorm2 of (3, \\*S) float32 RGB from 0 to 1, taken as linear light (CIE 1976)."""
    white = torch.tensor(WHITE, dtype=torch.float64).reshape(3, 1)
    matrix = torch.tensor(TO_XYZ, dtype=torch.float64) / white
    flat = matrix.to(rgb) @ rgb.flatten(1)
    linear = flat * (841 / 108) + 4 / 29
    x, y, z = torch.where(flat >= 8.85645167903563082e-3, flat.pow_(1 / 3), linear)
    lab = torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)])
    lowest = torch.tensor(LOWEST, device=rgb.device).reshape(3, 1)
    span = torch.tensor(SPAN, device=rgb.device).reshape(3, 1)
    return lab.sub_(lowest).div_(span).reshape(rgb.shape)


def _check_scale(maximum: int) -> None:
    if maximum not in SCALES:
        raise ImageError(
            f'A full scale of {maximum!r} was given; LibIFT colours know 255, 4095 and 65535. '
            'Rescale the image to one of them.'
        )
