"""What is said of objects: why there are none, how they stand, and in which units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from napari_flim.delineation.area_range import AreaRange
from napari_flim.session.corrections import Corrections
from napari_flim.session.delineating import Draft
from napari_flim.session.jobs import Target, readable
from napari_flim.session.session import Session
from napari_flim.session.settings import Settings
from napari_flim.session.sources import ImageSource
from napari_flim.session.words import count_words, seconds_words

if TYPE_CHECKING:
    from napari_flim.model import FlimModel

WHOLE = 100
"""Sizes from here on need no fractions."""

NO_MODEL = (
    'Nothing is learned yet: open Train, paint a little of the object and of the background, and '
    'press Learn; or open a .flim file.'
)


def delineation_problems(
    session: Session, target: Target | None, model: FlimModel | None
) -> tuple[str, ...]:
    """What the user has to do before objects can be found; empty when they can be.

    Parameters
    ----------
    session : Session
    target : Target, optional
        What is in view.
    model : FlimModel, optional
        That saliency is shown of.
    """
    if not session.items:
        return ('Open an image, or a sample in the Train dock.',)
    if model is None:
        return (NO_MODEL,)
    if target is None:
        return ('The current image is closed; open it again, or choose another one.',)
    if not readable(model, target):
        name = target.source.name
        said = f'The model reads {model.reads()}, which {name} is not; choose another image.'
        return (said,)
    return ()


def draft_words(
    draft: Draft, session: Session, *, same_saliency: bool, same_corrections: bool = True
) -> str:
    """How many objects there are, and what has changed since."""
    words = count_words(len(draft.ids()), 'object')
    accepted = len(draft.boxes.keys() & draft.corrections.decisions.accepted.keys())
    if accepted:
        words += f', {accepted} accepted'
    words += f'; {seconds_words(draft.seconds)}.'
    if not same_saliency:
        return f'{words} The saliency has changed since: press Delineate.'
    if not same_corrections:
        return f'{words} Corrections are not made yet: press Delineate.'
    if draft.settings != session.settings.delineation:
        return f'{words} Settings have changed since: press Delineate.'
    return words


def decided_words(corrections: Corrections) -> str:
    """What the user has decided about objects that are not shown now; empty if nothing is."""
    if not corrections:
        return ''
    accepted = len(corrections.decisions.accepted)
    parts = [count_words(accepted, 'accepted object')] if accepted else []
    if corrections.strokes is not None:
        parts.append('strokes of correction')
    elif not parts:
        parts.append('edits')
    return f'Kept of the objects: {" and ".join(parts)}. Press Delineate to see them.'


def ignored_words(numbers: Sequence[int]) -> str:
    """Why strokes over accepted objects change nothing there; empty without such objects."""
    if not numbers:
        return ''
    several = len(numbers) > 1
    named = ', '.join(map(str, numbers))
    return (
        f'Object{"s" * several} {named} {"are" if several else "is"} accepted, so strokes over '
        f'{"them" if several else "it"} count for nothing there; take the tick away to change '
        f'{"them" if several else "it"}.'
    )


def unit_of(source: ImageSource | None, power: int = 1) -> str:
    """The unit of lengths, areas (2) or volumes (3) of an image.

    Examples
    --------
    >>> unit_of(None), unit_of(None, 2)
    ('px', 'px²')
    """
    name = 'px' if source is None or source.unit == 'pixel' else source.unit
    name = {'um': 'µm', 'micrometer': 'µm', 'nanometer': 'nm', 'millimeter': 'mm'}.get(name, name)
    return name + {1: '', 2: '²', 3: '³'}[power]


def size_words(size: float) -> str:
    """A number with three digits, or more before the point.

    Examples
    --------
    >>> size_words(1581.2), size_words(0.01234)
    ('1581', '0.0123')
    """
    return f'{size:.0f}' if size >= WHOLE else f'{size:.3g}'


def range_words(sizes: AreaRange | None, unit: str) -> str:
    """A range of sizes.

    Examples
    --------
    >>> range_words(AreaRange(120, 900.4), 'µm²'), range_words(None, 'px²')
    ('120 to 900 µm²', 'any size')
    """
    low = '' if sizes is None or sizes.smallest is None else size_words(sizes.smallest)
    high = '' if sizes is None or sizes.largest is None else size_words(sizes.largest)
    if low and high:
        return f'{low} to {high} {unit}'
    if low:
        return f'from {low} {unit}'
    return f'up to {high} {unit}' if high else 'any size'


def sizes_words(settings: Settings, shown: Sequence[float], unit: str) -> str:
    """The range of sizes, who says so, and what markers show in the image in view.

    Examples
    --------
    >>> sizes_words(Settings(), (), 'px²')
    'As marked, once that is learned.'
    >>> sizes_words(Settings(sizes_from='chosen'), (120.0, 904.0), 'px²')
    'Any size; 2 marked objects here: 120 to 904 px².'
    """
    sizes = settings.delineation.seeds.sizes
    said = range_words(sizes, unit)
    if settings.sizes_from == 'chosen':
        said = f'{said[0].upper()}{said[1:]}'
    elif settings.sizes_from == 'due' and sizes is None:
        said = 'As marked, once that is learned'
    else:
        said = f'As marked: {said}'
    return f'{said}; {shown_words(shown, unit)}.' if shown else f'{said}.'


def shown_words(shown: Sequence[float], unit: str) -> str:
    """What markers say of the sizes of objects in the image in view.

    Examples
    --------
    >>> shown_words((120.0,), 'px²')
    '1 marked object here: 120 px²'
    """
    objects = count_words(len(shown), 'marked object')
    low, high = size_words(min(shown)), size_words(max(shown))
    return (
        f'{objects} here: {low} {unit}'
        if low == high
        else f'{objects} here: {low} to {high} {unit}'
    )
