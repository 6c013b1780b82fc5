"""Objects of one image, and what corrections make of them; jobs for a worker.

Objects are found once, from saliency. Corrections change their seeds, and the forest that has grown
from these is revised: only what depends on a changed seed grows anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_flim.delineation.arc_features import growth_features
from napari_flim.delineation.delineate import Objects, delineate
from napari_flim.delineation.delineation_settings import DelineationSettings
from napari_flim.progress import Job, Progress
from napari_flim.session.corrections import Corrections
from napari_flim.session.jobs import Encoded, Target, apply
from napari_flim.session.planting import Found, planted, settled
from napari_flim.session.sources import Strokes

if TYPE_CHECKING:
    from napari_flim.delineation.forest import Forest
    from napari_flim.model import FlimModel

MOST_FORESTS = 8
FOREST_BYTES = 2**28


@dataclass(frozen=True, eq=False)
class Material:
    """What objects of one image are found in.

    Attributes
    ----------
    model : FlimModel
    target : Target
        A whole image or volume.
    features : (C, \\*S) float32 array
        The image as block 1 reads it.
    learned : (K, \\*S) float32 array
        What block 1 makes of it, at image size.
    saliency : (L, \\*S) float32 array
    classes : tuple of int
        Of each map.
    """

    model: FlimModel
    target: Target
    features: NDArray[np.float32]
    learned: NDArray[np.float32]
    saliency: NDArray[np.float32]
    classes: tuple[int, ...]

    def is_of(self, target: Target) -> bool:
        """Whether it is of the same voxels as a target, or as the volume of a plane."""
        mine, other = self.target, replace(target, plane=None)
        return mine.source.data is other.source.data and mine.place == other.place


@dataclass(frozen=True, eq=False)
class Draft:
    """Objects of one image as they are now.

    Attributes
    ----------
    material : Material
    settings : DelineationSettings
    marks : Strokes, optional
        Markers that were seeds; with the numbers that the engine knows.
    found : Found
        Before corrections.
    corrections : Corrections
        Those that the objects hold.
    labels : (\\*S) int32 array
        0 background, 1.. ids.
    boxes : dict of int to tuple of slice
        Where every object is.
    start : Forest, optional
        Grown from the seeds that were found; None until something is corrected.
    forests : tuple of Forest
        Grown from seeds as they were corrected, latest last. What is taken back is as it was then:
        dynamic trees that are revised depend a little on how they came about.
    seconds : float
        What the latest change took.
    """

    material: Material
    settings: DelineationSettings
    marks: Strokes | None
    found: Found
    corrections: Corrections
    labels: NDArray[np.int32]
    boxes: Mapping[int, tuple[slice, ...]]
    start: Forest | None = None
    forests: tuple[Forest, ...] = ()
    seconds: float = 0.0

    @property
    def classes(self) -> Mapping[int, int]:
        """Class of every object there is or was; others have the first one."""
        return {**self.found.classes, **self.corrections.classes}

    def class_of(self, number: int) -> int:
        """Class of an object."""
        return self.classes.get(number, self.material.classes[0])

    def ids(self) -> list[int]:
        """Every object there is."""
        return list(self.boxes)

    def objects(self) -> Objects:
        """The objects with their classes, for measuring."""
        count = max(self.boxes, default=0)
        classes, first = self.classes, self.material.classes[0]
        numbers = range(1, count + 1)
        return Objects(self.labels, tuple(classes.get(number, first) for number in numbers))

    def next_id(self) -> int:
        """An id that no object has or had."""
        return max((0, *self.boxes, *self.found.classes, *self.corrections.ids())) + 1


def material(
    model: FlimModel, target: Target, device: str = 'cpu', known: Sequence[Encoded] = ()
) -> Job[Material]:
    """Saliency and features of a whole image; see `napari_flim.session.jobs.apply`."""
    applied = yield from apply(model, replace(target, plane=None), device, known)
    return Material(
        model,
        applied.target,
        applied.features.numpy(force=True),
        model.learned_features(applied.activations[0], applied.features.shape[1:]),
        applied.saliency,
        applied.object_classes,
    )


def delineated(
    given: Material,
    settings: DelineationSettings,
    marks: Strokes | None,
    corrections: Corrections,
) -> Job[Draft]:
    """Find the objects of an image, and correct them.

    Parameters
    ----------
    given : Material
    settings : DelineationSettings
    marks : Strokes, optional
        Markers of the image, with the numbers that the engine knows.
    corrections : Corrections

    Raises
    ------
    napari_flim.errors.DelineationError
        With a message for the user.
    """
    spacing = given.target.source.spacing
    objects = yield from delineate(
        given.features,
        given.saliency,
        settings,
        learned=given.learned,
        spacing=spacing,
        classes=given.classes,
        markers=marked(marks, given.saliency.shape[1:]),
    )
    found = settled(objects, settings.seeds, corrections, spacing)
    boxes = boxes_of(found.labels)
    draft = Draft(given, settings, marks, found, Corrections(), found.labels, boxes)
    if not corrections:
        return draft
    return (yield from corrected(draft, corrections))


def corrected(draft: Draft, corrections: Corrections) -> Job[Draft]:
    """The objects with other corrections; what they do not touch stays as it is.

    Without any, the forest that corrections start from grows all the same.

    Parameters
    ----------
    draft : Draft
        Left as it is.
    corrections : Corrections
        All of them, old and new.
    """
    from napari_flim.delineation.differential import revise_job

    start = draft.start
    if start is None:
        start = yield from _grown(draft)
    seeds = planted(draft.found, corrections, draft.material.target.source.spacing)
    # Of equal ones the latest comes first.
    known = [*reversed(draft.forests), start]
    nearest = min(known, key=lambda one: int(np.count_nonzero(one.seeds != seeds)))
    forest = nearest
    if not np.array_equal(nearest.seeds, seeds):
        forest = yield from revise_job(nearest, seeds)
    others = [one for one in draft.forests if one is not forest]
    forests = _recent([*others, *([] if forest is start else [forest])])
    labels = _labels(draft.found, corrections, start, forest)
    return replace(
        draft,
        corrections=corrections,
        labels=labels,
        boxes=boxes_of(labels),
        start=start,
        forests=forests,
    )


def boxes_of(labels: NDArray[np.int32]) -> dict[int, tuple[slice, ...]]:
    """Where every object is, by id."""
    boxes = enumerate(ndimage.find_objects(labels), start=1)
    return {number: box for number, box in boxes if box is not None}


def _labels(
    found: Found, corrections: Corrections, start: Forest, forest: Forest
) -> NDArray[np.int32]:
    """The objects that were found, with what corrections have changed."""
    seeds = forest.seeds
    planted_anew = (seeds > 0) & (seeds != found.seeds)
    changed = planted_anew | (forest.labels != start.labels)
    labels = np.where(changed, np.maximum(forest.labels - 1, 0), found.labels).astype(np.int32)
    stroked = set(corrections.stroked()[1].tolist())
    for number, voxels in corrections.decisions.accepted.items():
        if number + 1 not in stroked:
            own = np.zeros(labels.size, bool)
            own[voxels] = True
            labels[(labels == number) & ~own.reshape(labels.shape)] = 0
    labels.flags.writeable = False
    return labels


def _recent(forests: list[Forest]) -> tuple[Forest, ...]:
    """The latest forests, as many as are worth their memory."""
    taken = 0
    for place, forest in enumerate(reversed(forests)):
        arrays = (forest.labels, forest.voxels, forest.seeds)
        taken += sum(array.nbytes for array in (*arrays, *forest.means))
        if place and (taken > FOREST_BYTES or place == MOST_FORESTS):
            return tuple(forests[-place:])
    return tuple(forests)


def _grown(draft: Draft) -> Job[Forest]:
    """The forest of the seeds that were found, over the whole image."""
    from napari_flim.delineation.forest import dynamic_trees_job, watershed_job

    given, settings, seeds = draft.material, draft.settings, draft.found.seeds
    features = growth_features(given.features, given.learned, settings)
    spacing = given.target.source.spacing
    if settings.method == 'watershed':
        return (
            yield from watershed_job(
                features, seeds, neighbours=settings.neighbours, spacing=spacing
            )
        )
    return (
        yield from dynamic_trees_job(
            features,
            seeds,
            mean=settings.mean,
            alpha=settings.alpha,
            neighbours=settings.neighbours,
            spacing=spacing,
        )
    )


def marked(strokes: Strokes | None, shape: Sequence[int]) -> NDArray[np.uint8] | None:
    """Strokes as an array of an image; None without any."""
    if strokes is None or not len(strokes):
        return None
    marks = np.zeros(shape, np.uint8)
    marks[tuple(strokes.coordinates.T)] = strokes.labels
    return marks


def compile_forests() -> Job[None]:
    """Compile, or load, all that corrections need, before they are asked for."""
    yield Progress('preparing to grow trees, once', 0, 2)
    from napari_flim.delineation.differential import revise
    from napari_flim.delineation.forest import dynamic_trees, watershed

    for ndim in (2, 3):
        seeds = np.zeros((3,) * ndim, np.int32)
        seeds.flat[0], seeds.flat[-1] = 1, 2
        image = np.zeros(seeds.shape, np.float32)
        for forest in (dynamic_trees(image, seeds), watershed(image, seeds)):
            revise(forest, np.where(seeds == 1, 0, seeds))
        yield Progress('preparing to grow trees, once', ndim - 1, 2)
