"""What may be chosen: encoders, what they read, and decoders, steadiest first."""

from __future__ import annotations

from dataclasses import dataclass, replace

from napari_flim.engine.architecture import Architecture, preset
from napari_flim.engine.preprocessing import InputTransform


@dataclass(frozen=True, slots=True)
class Candidate:
    """One configuration.

    Attributes
    ----------
    name : str
        Of the architecture.
    architecture : Architecture
    multiscale : bool
        Whether block 1 reads multi-scale features of the input.
    decoder : str
    """

    name: str
    architecture: Architecture
    multiscale: bool
    decoder: str

    def words(self) -> str:
        """For a table.

        Examples
        --------
        >>> Candidate('small', preset('small'), True, 'linear').words()
        'small, multi-scale input, linear'
        """
        return ', '.join([self.name, *['multi-scale input'] * self.multiscale, self.decoder])

    def transform(self, plain: InputTransform) -> InputTransform:
        """What block 1 reads, for what it reads without multi-scale features."""
        return replace(plain, kind='multiscale') if self.multiscale else plain


STEADIEST_FIRST = (
    ('small', False, 'linear'),
    ('small', False, 'mean'),
    ('small', True, 'linear'),
    ('small', True, 'mean'),
    ('wide', False, 'linear'),
    ('wide', False, 'mean'),
    ('deep', False, 'linear'),
)
"""Presets, inputs and decoders that are tried. Where held-out markers do not tell two of them
apart, the first wins."""
AUTO = 'auto'


def candidates(
    name: str = AUTO,
    architecture: Architecture | None = None,
    decoder: str = AUTO,
    *,
    multiscale: bool = True,
) -> tuple[Candidate, ...]:
    """What is tried where something is left open.

    Parameters
    ----------
    name : str
        Of the architecture; ``auto`` leaves it open.
    architecture : Architecture, optional
        The only one that is tried, unless it is left open.
    decoder : str
        The only one that is tried; ``auto`` leaves it open.
    multiscale : bool
        Whether multi-scale input is tried too.

    Examples
    --------
    >>> [one.words() for one in candidates('wide', preset('wide'), multiscale=False)]
    ['wide, linear', 'wide, mean']
    """
    found: dict[Candidate, None] = {}
    for title, scales, decodes in STEADIEST_FIRST:
        if scales and not multiscale:
            continue
        known = architecture is None
        one = preset(title) if architecture is None else architecture
        chosen = decodes if decoder == AUTO else decoder
        found[Candidate(title if known else name, one, scales, chosen)] = None
    return tuple(found)
