"""Units of length: the short names that image files use, and the full names that napari shows."""

from __future__ import annotations

METRES = {
    'angstrom': 1e-10,
    'nanometer': 1e-9,
    'micrometer': 1e-6,
    'millimeter': 1e-3,
    'centimeter': 1e-2,
    'decimeter': 1e-1,
    'meter': 1.0,
    'inch': 0.0254,
}
"""Lengths in metres, by full name."""
SHORT = {
    'angstrom': 'Å',
    'nanometer': 'nm',
    'micrometer': 'µm',
    'millimeter': 'mm',
    'centimeter': 'cm',
    'decimeter': 'dm',
    'meter': 'm',
    'inch': 'in',
}
OTHERS = {
    'um': 'micrometer',
    'micron': 'micrometer',
    'microns': 'micrometer',
    'metre': 'meter',
    '"': 'inch',
    **{f'{name[:-2]}re': name for name in METRES if name.endswith('meter')},
    **{short.lower(): name for name, short in SHORT.items()},
}


def full_name(unit: str) -> str:
    """The full name of a unit of length; empty for pixels and anything unknown.

    Examples
    --------
    >>> full_name('um'), full_name('micron'), full_name('Millimetres'), full_name('pixel')
    ('micrometer', 'micrometer', 'millimeter', '')
    """
    written = unit.strip().lower().replace('\\u00b5', 'µ').replace('\u03bc', 'µ')
    for name in (written, written.removesuffix('s')):
        if name in METRES or name in OTHERS:
            return OTHERS.get(name, name)
    return ''


def in_unit(size: float, unit: str, wanted: str) -> float:
    """A length in another unit; as it is where one of the units is unknown.

    Examples
    --------
    >>> in_unit(250, 'nanometer', 'micrometer')
    0.25
    """
    if unit == wanted or unit not in METRES or wanted not in METRES:
        return size
    return float(f'{size * METRES[unit] / METRES[wanted]:.12g}')
