"""Why learning cannot start: each reason as one sentence with what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_flim.errors import ArchitectureError
from napari_flim.inference.memory import learning_bytes, peak_bytes
from napari_flim.session.classes import Classes
from napari_flim.session.items import Item
from napari_flim.session.session import Session
from napari_flim.session.settings import Settings
from napari_flim.session.sources import ImageSource
from napari_flim.session.words import memory_words

if TYPE_CHECKING:
    from napari_flim.model import FlimModel


def problems(session: Session, budget: int) -> tuple[str, ...]:
    """What the user has to do before learning can start; empty when it can.

    Parameters
    ----------
    session : Session
    budget : int
        Bytes that learning may take.
    """
    included = [item for item in session.items if item.included and item.opened]
    if not session.items:
        return ('Open an image and add it here, or open a sample.',)
    if not any(item.opened for item in session.items):
        return (f'{session.items[0].source.name} is closed; open it again, or another image.',)
    if not included:
        return ('No image is ticked and open; tick at least one.',)
    unread = tuple(item.problem for item in included if item.problem)
    if unread:
        return unread
    found = [_of_markers(included, session.classes), _of_kinds(included)]
    if found == [None, None]:
        found = [_of_settings(session.settings, included, budget)]
    return tuple(problem for problem in found if problem is not None)


def _of_markers(items: list[Item], classes: Classes) -> str | None:
    layers = [item.markers for item in items if item.markers]
    if not layers:
        return f'{items[0].source.name} has no marker layer; press "New markers".'
    roles = {one.label: one.role for one in classes}
    takers = [item for item in items if item.takes_part]
    painted = {roles.get(label, 'object') for item in takers for label in item.counts}
    needed = [
        f'{one.name} (label {one.label})'
        for role in ('object', 'background')
        for one in [next(one for one in classes if one.role == role)]
        if role not in painted
    ]
    if not needed:
        return None
    where = layers[0] if len(layers) == 1 else 'any of the marker layers'
    if not painted:
        return f'Nothing is painted yet: paint {" and ".join(needed)} on {where}.'
    holder = f'{layers[0]} holds' if len(layers) == 1 else 'The marker layers hold'
    only = 'background' if painted == {'background'} else 'objects'
    return f'{holder} only {only}: paint {needed[0]} too.'


def _of_kinds(items: list[Item]) -> str | None:
    """Images of one model need the same axes and channels; only marked images matter."""
    marked = [item.source for item in items if item.takes_part and item.strokes]
    for other in marked[1:]:
        if _kind(other) != _kind(marked[0]):
            return (
                f'{other.name} is read as {_kind(other)}, but {marked[0].name} as '
                f'{_kind(marked[0])}. Images of one model need the same axes and channels: change '
                'how one of them is read, or untick it.'
            )
    return None


def _kind(source: ImageSource) -> str:
    kind = 'an image' if source.ndim == 2 else 'a volume'
    colour = 'RGB' if source.rgb else f'{source.channels} channel{"s" * (source.channels > 1)}'
    return f'{kind} with {colour}'


def _of_settings(settings: Settings, items: list[Item], budget: int) -> str | None:
    takers = [item for item in items if item.takes_part and item.strokes]
    marked = [item.source for item in takers for _ in item.strokes]
    first, transform = marked[0], settings.transform
    if transform.kind == 'lab' and not first.rgb:
        return f'{first.name} is not RGB, so it has no Lab colour; choose another input.'
    if transform.channels and max(transform.channels) >= first.channels:
        return (
            f'Channel {max(transform.channels)} is chosen, but {first.name} has channels '
            f'0 to {first.channels - 1}; choose others.'
        )
    try:
        settings.architecture.halo(first.ndim)
    except ArchitectureError as error:
        return str(error)
    return _of_memory(settings, marked, budget)


def _of_memory(settings: Settings, marked: list[ImageSource], budget: int) -> str | None:
    features = settings.transform.features(marked[0].channels, marked[0].ndim)
    together = learning_bytes(settings.architecture, [one.shape for one in marked], features)
    applied, largest = max((bytes_needed(settings, source), source.name) for source in marked)
    needed = max(together, applied)
    if needed <= budget:
        return None
    remedy = f'Crop {largest}' if applied > budget else 'Mark fewer images'
    return (
        f'Learning needs about {memory_words(needed)} of memory, the budget is '
        f'{memory_words(budget)}. {remedy}, use fewer channels or a stride in the first '
        'block, or raise the budget in the preferences of the plugin.'
    )


def bytes_needed(specs: Settings | FlimModel, source: ImageSource) -> int:
    """Bytes that applying to one image of a source takes; learning from it alone takes no more."""
    features = specs.transform.features(source.channels, source.ndim)
    return peak_bytes(specs.architecture, source.shape, features)


def memory_problem(model: FlimModel, source: ImageSource, budget: int) -> str:
    """Why a model is not applied to an image of a source; empty if it fits into the budget.

    Parameters
    ----------
    model : FlimModel
    source : ImageSource
    budget : int
        Bytes that features may take.
    """
    needed = bytes_needed(model, source)
    if needed <= budget:
        return ''
    return (
        f'{source.name} needs about {memory_words(needed)} of memory, which is over the budget of '
        f'{memory_words(budget)} in the preferences of the plugin, so nothing is computed of it. '
        'Crop it, raise the budget, or learn with fewer channels or a stride in the first block.'
    )
