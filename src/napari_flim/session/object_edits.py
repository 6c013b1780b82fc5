"""Edits of objects by buttons. Each takes the objects as they are and gives other corrections."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_flim.delineation.edits import split_object
from napari_flim.delineation.inputs import BACKGROUND, checked_spacing
from napari_flim.errors import DelineationError
from napari_flim.session.corrections import Corrections, Decisions
from napari_flim.session.delineating import Draft
from napari_flim.session.planting import decided_seeds
from napari_flim.session.words import count_words


@dataclass(frozen=True, eq=False)
class Partly:
    """Corrections of an edit that could be made of some objects only, and why.

    Attributes
    ----------
    corrections : Corrections
    refused : DelineationError
    """

    corrections: Corrections
    refused: DelineationError


ObjectEdit: TypeAlias = Callable[[Draft], Corrections | Partly]


def delete(draft: Draft, ids: Collection[int]) -> Corrections:
    """What some objects cover is background from now on.

    Raises
    ------
    DelineationError
        When there is no such object; so in all edits.
    """
    own = _voxels(draft, ids)
    decisions = draft.corrections.decisions.without_accepted(ids).with_renamed(ids, 0)
    return _changed(
        draft,
        f'delete {_named(ids)}',
        decisions.with_seeds(np.sort(np.concatenate(list(own.values()))), BACKGROUND),
    )


def merge(draft: Draft, ids: Collection[int]) -> Corrections:
    """The seeds of some objects are those of one object, the one with the smallest id."""
    _voxels(draft, ids)
    if len(ids) < 2:
        raise DelineationError('One object was chosen; choose two or more to merge.')
    first = min(ids)
    decisions = draft.corrections.decisions
    seeds = decided_seeds(draft.found, decisions)
    voxels = np.flatnonzero(np.isin(seeds, [number + 1 for number in ids]))
    decisions = decisions.without_accepted(ids).with_renamed(ids, first)
    return _changed(draft, f'merge {_named(ids)}', decisions.with_seeds(voxels, first + 1))


def split(draft: Draft, ids: Collection[int]) -> Corrections | Partly:
    """Each of some objects falls into its parts, which necks separate; see `split_object`.

    Those without a neck stay whole.

    Raises
    ------
    DelineationError
        When none has a neck.
    """
    own, parted = _voxels(draft, ids), {}
    whole: dict[int, DelineationError] = {}
    for number in own:
        try:
            parted[number] = _parts(draft, number)
        except DelineationError as error:
            whole[number] = error
    if not parted:
        raise _not_split(whole, len(own))
    decisions = draft.corrections.decisions.without_accepted(parted)
    free, classes = draft.next_id(), dict(draft.corrections.classes)
    for number, parts in parted.items():
        voxels = own[number]
        seeds = np.zeros(len(voxels), np.int32)
        for part in range(1, int(parts.max()) + 1):
            known = number if part == 1 else free
            free += part > 1
            seeds[parts.reshape(-1)[voxels] == part] = known + 1
            classes[known] = draft.class_of(number)
        decisions = decisions.with_seeds(voxels, seeds)
    changed = replace(_changed(draft, f'split {_named(parted)}', decisions), classes=classes)
    return Partly(changed, _not_split(whole, len(own))) if whole else changed


def accept(draft: Draft, ids: Collection[int]) -> Corrections:
    """Some objects stay as they are, also when objects are found anew."""
    own = _voxels(draft, ids)
    decisions = draft.corrections.decisions
    accepted = {**decisions.accepted, **own}
    return _changed(draft, f'accept {_named(ids)}', replace(decisions, accepted=accepted))


def release(draft: Draft, ids: Collection[int]) -> Corrections:
    """Some objects may change again."""
    decisions = draft.corrections.decisions.without_accepted(ids)
    return _changed(draft, f'release {_named(ids)}', decisions)


def undo(draft: Draft) -> Corrections:
    """The latest edit taken back, if there is one."""
    edits = draft.corrections.edits
    return replace(draft.corrections, edits=edits.back() if edits.done else edits)


def redo(draft: Draft) -> Corrections:
    """The latest edit that was taken back, made again, if there is one."""
    edits = draft.corrections.edits
    return replace(draft.corrections, edits=edits.forward() if edits.undone else edits)


def _changed(draft: Draft, name: str, decisions: Decisions) -> Corrections:
    corrections = draft.corrections
    return replace(corrections, edits=corrections.edits.changed(name, decisions))


def _named(ids: Collection[int]) -> str:
    return f'object {min(ids)}' if len(ids) == 1 else count_words(len(ids), 'object')


def _voxels(draft: Draft, ids: Collection[int]) -> dict[int, NDArray[np.int64]]:
    """Voxels of every one of some objects, as flat indices."""
    if not ids:
        raise DelineationError('No object is chosen; click one, or a row of the table.')
    flat = draft.labels.reshape(-1)
    voxels = np.flatnonzero(np.isin(flat, list(ids))).astype(np.int64)
    own = {number: voxels[flat[voxels] == number] for number in ids}
    gone = [number for number, there in own.items() if not len(there)]
    if gone:
        raise DelineationError(f'There is no object {gone[0]} any more; choose others.')
    return own


def _not_split(whole: Mapping[int, DelineationError], chosen: int) -> DelineationError:
    """Why some of the chosen objects stay whole."""
    if chosen == 1:
        return next(iter(whole.values()))
    return DelineationError(
        f'{len(whole)} of the {chosen} chosen objects have no neck and stay whole. '
        'Paint New object over a part of them instead.'
    )


def _parts(draft: Draft, number: int) -> NDArray[np.int32]:
    """Seeds of the parts of an object, numbered from 1: what lies deep enough in each of them."""
    source = draft.material.target.source
    spacing = checked_spacing(source.spacing, source.ndim)
    parts = split_object(draft.labels, number, spacing)
    erosion = draft.settings.seeds.erosion
    depth = min(spacing) if erosion is None else erosion
    cores = np.zeros_like(parts)
    for part, box in enumerate(ndimage.find_objects(parts), start=1):
        own = np.pad(parts[box] == part, 1)
        inside = ndimage.distance_transform_edt(own, sampling=spacing)
        inner = inside[(slice(1, -1),) * parts.ndim]
        cores[box][inner >= min(np.nextafter(depth, np.inf), inner.max())] = part
    return cores
