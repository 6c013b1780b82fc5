"""Seeds as corrections make them: which objects were found, and what is planted where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_flim.delineation.area_range import equivalent_diameter, object_sizes
from napari_flim.delineation.delineate import Objects
from napari_flim.delineation.inputs import BACKGROUND
from napari_flim.delineation.seed_settings import SeedSettings
from napari_flim.delineation.seeds import FREE_LAYERS
from napari_flim.session.corrections import Corrections, Decisions


@dataclass(frozen=True, eq=False)
class Found:
    """Objects as they were found, before corrections.

    Attributes
    ----------
    labels : (\\*S) int32 array
        0 background, 1.. ids.
    seeds : (\\*S) int32 array
        0 none, 1 background, id + 1 objects.
    classes : dict of int to int
        Class of every object.
    anchors : dict of int to int
        A voxel of every object, as a flat index.
    reach : float
        How far a stroke frees the seeds around it, in world units.
    """

    labels: NDArray[np.int32]
    seeds: NDArray[np.int32]
    classes: Mapping[int, int]
    anchors: Mapping[int, int]
    reach: float


def settled(
    objects: Objects,
    settings: SeedSettings,
    corrections: Corrections,
    spacing: Sequence[float],
) -> Found:
    """Objects with the ids by which the user knows them.

    An object that lies where one was found before has its id; one that a stroke of another id
    covers has that id; the others have ids that nothing else has. An object in which several others
    are decided, such as the parts of one that was split, has no seeds but theirs.

    Parameters
    ----------
    objects : Objects
        With their seeds.
    settings : SeedSettings
    corrections : Corrections
    spacing : sequence of float
    """
    labels = objects.labels
    seeds = np.zeros_like(labels) if objects.seeds is None else objects.seeds.labels
    number = _numbered(labels, len(objects.classes), corrections)
    classes = {int(number[place]): one for place, one in enumerate(objects.classes, start=1)}
    number[_decided(labels, corrections.decisions)] = 0
    of_seed = np.concatenate([[0, BACKGROUND], np.where(number == 0, 0, number + 1)[1:]])
    known, planted_there = number[labels], of_seed.astype(np.int32)[seeds]
    for array in (known, planted_there):
        array.flags.writeable = False
    return Found(
        known,
        planted_there,
        classes,
        anchors_of(known, planted_there),
        reach_of(labels, settings, spacing),
    )


def anchors_of(labels: NDArray[np.int32], seeds: NDArray[np.int32]) -> dict[int, int]:
    """A voxel of every object: the first of its seeds, else the first one of it."""
    anchors: dict[int, int] = {}
    for values, offset in ((labels, 0), (seeds, 1)):
        places = np.flatnonzero(values.ravel() > offset)
        ids, first = np.unique(values.ravel()[places], return_index=True)
        anchors |= dict(zip((ids - offset).tolist(), places[first].tolist(), strict=True))
    return anchors


def reach_of(labels: NDArray[np.int32], settings: SeedSettings, spacing: Sequence[float]) -> float:
    """How far a stroke frees the seeds of others: an object may grow from a dot in its middle."""
    if settings.dilation is not None:
        return settings.dilation
    sizes = object_sizes(labels, spacing)
    sizes = sizes[sizes > 0]
    half = equivalent_diameter(float(np.median(sizes)), labels.ndim) / 2 if sizes.size else 0.0
    return max(half, FREE_LAYERS[labels.ndim] * min(spacing))


def planted(found: Found, corrections: Corrections, spacing: Sequence[float]) -> NDArray[np.int32]:
    """The seeds that were found, as corrections change them.

    A stroke is a seed, and frees seeds around it: those of the background, if it is of an object,
    and those of objects that it covers. So a new object can grow where there was background, and
    the background where there was an object. Over an accepted object only its own strokes count.

    Parameters
    ----------
    found : Found
    corrections : Corrections
    spacing : sequence of float
        World units per voxel.

    Returns
    -------
    (\\*S) int32 array
    """
    seeds = decided_seeds(found, corrections.decisions)
    places, labels = corrections.stroked()
    covering = _current(found, corrections.decisions)
    for label in np.unique(labels).tolist():
        own = tuple(axis[labels == label] for axis in places)
        freed = np.setdiff1d(covering[own], [0, label - 1]) + 1
        if label != BACKGROUND:
            freed = np.append(freed, BACKGROUND)
        if freed.size:
            _free_around(seeds, own, freed, found.reach, spacing)
    if len(labels):
        seeds[places] = labels
        _plant_accepted(seeds, corrections.decisions)
    return seeds


def ignored_over(corrections: Corrections) -> list[int]:
    """Accepted objects that strokes of others lie on, ascending."""
    strokes = corrections.strokes
    if strokes is None:
        return []
    places, labels = corrections.stroked()
    under = np.zeros(strokes.shape, np.int32)
    _plant_accepted(under, corrections.decisions)
    over = under[places]
    return [int(label) - 1 for label in np.unique(over[(over > 0) & (over != labels)])]


def _plant_accepted(seeds: NDArray[np.int32], decisions: Decisions) -> None:
    """Make seeds of all of the accepted objects, in place."""
    flat = seeds.reshape(-1)
    for number, voxels in decisions.accepted.items():
        flat[voxels] = number + 1


def decided_seeds(found: Found, decisions: Decisions) -> NDArray[np.int32]:
    """The seeds that were found, as edits without strokes change them."""
    seeds = found.seeds.copy()
    flat = seeds.reshape(-1)
    flat[decisions.voxels] = decisions.seeds
    _plant_accepted(seeds, decisions)
    return seeds


def _current(found: Found, decisions: Decisions) -> NDArray[np.int32]:
    """What the objects are before strokes, as far as edits say so at once."""
    labels = found.labels.copy()
    flat = labels.reshape(-1)
    gone = {old: new for old, new in decisions.renamed.items() if (labels == old).any()}
    for old, new in gone.items():
        flat[flat == old] = new
    decided = decisions.seeds > 0
    flat[decisions.voxels[decided]] = decisions.seeds[decided] - 1
    for number, voxels in decisions.accepted.items():
        flat[voxels] = number
    return labels


def _free_around(
    seeds: NDArray[np.int32],
    places: tuple[NDArray[np.int64], ...],
    labels: NDArray[np.int32],
    reach: float,
    spacing: Sequence[float],
) -> None:
    """Take seeds of some labels away that are near to voxels, in place."""
    box, inside = [], []
    for axis, size, step in zip(places, seeds.shape, spacing, strict=True):
        margin = int(reach / step) + 1
        first, last = max(int(axis.min()) - margin, 0), min(int(axis.max()) + margin + 1, size)
        box.append(slice(first, last))
        inside.append(axis - first)
    part = seeds[tuple(box)]
    far = np.ones(part.shape, bool)
    far[tuple(inside)] = False
    near = ndimage.distance_transform_edt(far, sampling=spacing) <= reach
    part[near & np.isin(part, labels)] = 0


def _claims(labels: NDArray[np.int32], corrections: Corrections) -> dict[int, int]:
    """Ids that strokes and accepted objects give to objects without an anchor, by most voxels."""
    places, seeds = corrections.stroked()
    objects = [labels[places]] if len(seeds) else []
    ids = [seeds - 1] if len(seeds) else []
    for number, voxels in corrections.decisions.accepted.items():
        objects.append(labels.ravel()[voxels])
        ids.append(np.full(len(voxels), number, np.int32))
    if not objects:
        return {}
    pairs = np.column_stack([np.concatenate(objects), np.concatenate(ids)])
    pairs = pairs[(pairs > 0).all(axis=1)]
    found, counts = np.unique(pairs, axis=0, return_counts=True)
    claims: dict[int, int] = {}
    for (place, number), _ in sorted(
        zip(found.tolist(), counts.tolist(), strict=True), key=lambda one: -one[1]
    ):
        if number not in corrections.anchors:
            claims.setdefault(place, number)
    return claims


def _numbered(labels: NDArray[np.int32], count: int, corrections: Corrections) -> NDArray[np.int32]:
    """The id of 0 and of every object that was found."""
    number = np.zeros(count + 1, np.int32)
    flat = labels.reshape(-1)
    renamed = corrections.decisions.renamed
    for known, voxel in sorted(corrections.anchors.items()):
        place, now = flat[voxel], renamed.get(known, known)
        if place and now and not number[place]:
            number[place] = now
    for place, known in _claims(labels, corrections).items():
        if not number[place]:
            number[place] = known
    named = corrections.ids()
    free = max(count, *named, 0)
    for place in range(1, count + 1):
        if not number[place]:
            if place in named:
                free += 1
            number[place] = free if place in named else place
    return number


def _decided(labels: NDArray[np.int32], decisions: Decisions) -> list[int]:
    """Objects of which the user has made several others, or background for the most part."""
    places = labels.reshape(-1)[decisions.voxels]
    gone = np.bincount(places[decisions.seeds == BACKGROUND], minlength=1)
    sizes = np.bincount(labels.reshape(-1), minlength=len(gone))
    mostly = np.flatnonzero(2 * gone > sizes[: len(gone)])
    planted_there = decisions.seeds > BACKGROUND
    pairs = np.unique(
        np.column_stack([places[planted_there], decisions.seeds[planted_there]]), axis=0
    )
    several = np.flatnonzero(np.bincount(pairs[:, 0].astype(np.int64), minlength=1) > 1)
    return [one for one in {*mostly.tolist(), *several.tolist()} if one]
