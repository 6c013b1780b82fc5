"""Why learning cannot start: each reason as one sentence with what to do."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

from napari_flim.engine.preprocessing import InputTransform
from napari_flim.errors import ArchitectureError
from napari_flim.inference.memory import BYTES, learning_bytes, peak_bytes
from napari_flim.session.classes import Classes
from napari_flim.session.items import Item
from napari_flim.session.session import Session
from napari_flim.session.settings import Settings
from napari_flim.session.sources import ImageSource
from napari_flim.session.words import memory_words

if TYPE_CHECKING:
    from napari_flim.model import FlimModel

STACK_BUDGETS = 4
"""Budgets that a layer of results of a stack may take."""
INPUT_COPIES = 3
"""Features of an image as they are computed, as they are given and as a layer holds them."""


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
    """LibIFT reads whole images; else crops are read, which is checked when they are known."""
    if settings.transform.kind != 'libift' or learned_whole(settings, marked, budget):
        return None
    needed, largest = max((bytes_needed(settings, source), source.name) for source in marked)
    remedy = f'Crop {largest}' if needed > budget else 'Mark fewer images'
    return (
        f'LibIFT learns from whole images, which needs about '
        f'{memory_words(max(needed, _learning_bytes(settings, marked)))} of memory; the budget is '
        f'{memory_words(budget)}. {remedy}, choose another input, or raise the budget in the '
        'preferences of the plugin.'
    )


def learned_whole(settings: Settings, marked: Sequence[ImageSource], budget: int) -> bool:
    """Whether images may be read as a whole to learn from them, all together and one by one.

    Then what learning computes serves applying; else crops around the markers are read. Voxels
    that are not in memory yet are held there together, so they count for all images.

    Parameters
    ----------
    settings : Settings
    marked : sequence of ImageSource
        One for each marked image.
    budget : int
        Bytes that features may take.
    """
    fitting = all(bytes_needed(settings, one) <= budget for one in marked)
    return fitting and _learning_bytes(settings, marked) <= budget


def _learning_bytes(settings: Settings, marked: Sequence[ImageSource]) -> int:
    features = settings.transform.features(marked[0].channels, marked[0].ndim)
    learning = learning_bytes(settings.architecture, [one.shape for one in marked], features)
    return learning + sum(one.unread_bytes for one in marked)


def bytes_needed(specs: Settings | FlimModel, source: ImageSource) -> int:
    """Bytes that applying to one image of a source takes, with its voxels if they are unread.

    Learning from all of this image alone takes no more. It is 0 where the blocks are made for
    images of another rank: these are not applied.
    """
    features = specs.transform.features(source.channels, source.ndim)
    try:
        return peak_bytes(specs.architecture, source.shape, features) + source.unread_bytes
    except ArchitectureError:
        return 0


def memory_problem(specs: Settings | FlimModel, source: ImageSource, budget: int) -> str:
    """Why nothing is applied to an image of a source; empty if it fits into the budget.

    Parameters
    ----------
    specs : Settings or FlimModel
    source : ImageSource
    budget : int
        Bytes that features may take.
    """
    needed = _bytes_to_show(specs, source, budget)
    if needed <= budget:
        return ''
    return (
        f'{source.name} needs about {memory_words(needed)} of memory, which is over the budget of '
        f'{memory_words(budget)}: nothing is computed of it as a whole, but its markers are '
        'learned from. Segment it with the dock Batch segmentation, which works in parts, or crop '
        'it; or raise the budget in the preferences of the plugin.'
    )


def too_large_words(specs: Settings | FlimModel, source: ImageSource, budget: int) -> str:
    """The same as `memory_problem` in the row of an item."""
    needed = _bytes_to_show(specs, source, budget)
    if needed <= budget:
        return ''
    return (
        f'Too large for saliency here: needs {memory_words(needed)}, may take '
        f'{memory_words(budget)}. Learning reads what lies around its markers. To segment it, '
        'use the dock Batch segmentation, or crop it.'
    )


def input_problem(transform: InputTransform, source: ImageSource, budget: int) -> str:
    """Why the input of an image of a source is not shown; empty if it fits into the budget.

    Parameters
    ----------
    transform : InputTransform
    source : ImageSource
    budget : int
        Bytes that features may take.
    """
    features = transform.features(source.channels, source.ndim)
    layer = features * BYTES * source.frames * prod(source.shape) * source.stacked
    needed = source.unread_bytes + INPUT_COPIES * features * BYTES * prod(source.shape)
    if max(needed, layer // STACK_BUDGETS) <= budget:
        return ''
    return (
        f'{source.name} is too large for its input to be shown: it would take about '
        f'{memory_words(max(needed, layer))}, and {memory_words(budget)} may be taken. Show that '
        'of a smaller image or of a crop; learning does not depend on it.'
    )


def _bytes_to_show(specs: Settings | FlimModel, source: ImageSource, budget: int) -> int:
    """Bytes for one image and its saliency; of a stack, whose saliency is a layer, for all of it.

    Zeros of images that nobody has looked at take no memory, so a stack may take more.
    """
    layer = BYTES * source.frames * prod(source.shape) * source.stacked
    stack = layer if layer > STACK_BUDGETS * budget else 0
    return max(bytes_needed(specs, source), stack)
