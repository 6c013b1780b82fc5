"""Our way and others, learned from the same markers, judged alike and timed.

Every method learns without the markers that it is then judged by, is learned once more from all of
them, and finds the objects of images that it has not seen. What counts is what a user gets: objects
for FLIM, delineation included; classes of voxels for a peer.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_flim.compared_methods import METHODS, Method
from napari_flim.engine.image import Image
from napari_flim.engine.markers import MarkerSet
from napari_flim.errors import EvaluationError
from napari_flim.evaluation.held_out import Agreement, Parts, agreement, parts
from napari_flim.evaluation.overlap import dice
from napari_flim.progress import Job, Progress, retold, share_of


@dataclass(frozen=True, slots=True)
class Row:
    """What one method achieved.

    Attributes
    ----------
    method : str
    agreement : Agreement, optional
        With markers that were left out; None where nothing can be left out of some class.
    dice, worst_dice : float, optional
        Mean and lowest Dice coefficient of the images that are tested; None without a truth.
    seconds_to_learn : float, optional
        From images in memory and all markers; None for a model that was there.
    seconds_to_apply : float
        For each image, from memory to classes.
    """

    method: str
    agreement: Agreement | None
    dice: float | None
    worst_dice: float | None
    seconds_to_learn: float | None
    seconds_to_apply: float


def compare(
    images: Sequence[Image],
    markers: Sequence[MarkerSet | None],
    truths: Sequence[NDArray[Any] | None] | None = None,
    methods: Sequence[Method] = METHODS,
    seed: int = 0,
) -> Job[list[Row]]:
    """Compare methods that learn from the same markers.

    Parameters
    ----------
    images : sequence of Image
        All are brought into memory.
    markers : sequence of MarkerSet or None
        One for each image; images without are only tested.
    truths : sequence of (\\*S) arrays or None, optional
        One for each image: object where above 0, so several classes of objects count as one.
    methods : sequence of Method
    seed : int

    Yields
    ------
    Progress

    Returns
    -------
    list of Row
        One for each method, in their order.

    Raises
    ------
    EvaluationError
        When fewer than two classes are marked, or a truth has another shape than its image.

    Notes
    -----
    Markers are left out as `napari_flim.evaluation.held_out.parts` says, which images are tested
    `images_to_test`. Times are taken after everything has run once, without loading of code.
    """
    _check(images, markers, truths)
    given = _Given(
        [image.in_memory() for image in images],
        [one if one is None else _of_single_classes(one) for one in markers],
        truths or [None] * len(images),
        held_out_parts(markers),
        seed,
    )
    rows = []
    for number, method in enumerate(methods):

        def named(step: Progress, name: str = method.name) -> Progress:
            return replace(step, stage=f'{name}: {step.stage}')

        job = share_of(_row(method, given), number, len(methods))
        rows.append((yield from retold(job, named)))
    return rows


def held_out_parts(markers: Sequence[MarkerSet | None]) -> Parts:
    """Which markers are left out together; see `napari_flim.evaluation.held_out.parts`."""
    classes = [_classes(_of_single_classes(one)) for one in markers if one is not None]
    images = np.repeat(np.arange(len(classes)), [len(one) for one in classes])
    return parts(images, np.concatenate(classes) if classes else np.zeros(0, dtype=np.int64))


def images_to_test(
    markers: Sequence[MarkerSet | None], truths: Sequence[NDArray[Any] | None]
) -> list[int]:
    """Which images Dice is taken over: those with truth, without markers if there are any such."""
    known = [index for index, truth in enumerate(truths) if truth is not None]
    return [index for index in known if markers[index] is None] or known


@dataclass(frozen=True, eq=False)
class _Given:
    """What every method gets."""

    images: Sequence[Image]
    markers: Sequence[MarkerSet | None]
    truths: Sequence[NDArray[Any] | None]
    held: Parts
    seed: int

    def marked(self) -> tuple[list[Image], list[MarkerSet]]:
        """Images with markers."""
        pairs = zip(self.images, self.markers, strict=True)
        both = [(image, drawn) for image, drawn in pairs if drawn is not None]
        return [image for image, _ in both], [drawn for _, drawn in both]


def _row(method: Method, given: _Given) -> Job[Row]:
    """One method: judged part by part, then learned from all markers and timed."""
    images, markers = given.marked()
    steps = given.held.count + 2
    agreed = None
    if not method.finished:
        agreed = yield from _agreement(method, given, steps)
    indices = images_to_test(given.markers, given.truths)
    shown = [given.images[index] for index in indices] or images
    if agreed is None:
        # The first run of a process loads and compiles code.
        rehearsal = method.learn(images, markers, given.seed)
        (yield from share_of(rehearsal, 0, steps))(shown[0])
    start = time.perf_counter()
    classify = yield from share_of(method.learn(images, markers, given.seed), steps - 2, steps)
    learned = time.perf_counter()
    found = []
    for number, image in enumerate(shown):
        yield Progress('applying', (steps - 1) * len(shown) + number, steps * len(shown))
        found.append(classify(image))
    applied = time.perf_counter()
    truths = [given.truths[index] for index in indices]
    scores = [
        dice(classes > 1, truth)
        for classes, truth in zip(found, truths, strict=False)
        if truth is not None
    ]
    return Row(
        method.name,
        agreed,
        float(np.mean(scores)) if scores else None,
        min(scores, default=None),
        None if method.finished else learned - start,
        (applied - learned) / len(shown),
    )


def _agreement(method: Method, given: _Given, steps: int) -> Job[Agreement | None]:
    """Agreement with markers that were left out, if those of every class can be."""
    if not given.held.complete:
        return None
    images, markers = given.marked()
    of_markers = given.held.of_markers
    ends = np.cumsum([drawn.count for drawn in markers])
    in_images = np.split(of_markers, ends[:-1])
    sizes = np.concatenate([np.bincount(drawn.markers) for drawn in markers])
    classes = np.concatenate([_classes(drawn) for drawn in markers])
    right = [np.zeros(drawn.count, dtype=np.int64) for drawn in markers]
    for part in range(given.held.count):
        kept = [
            (image, _of_single_classes(drawn.select((own != part)[drawn.markers])))
            for image, drawn, own in zip(images, markers, in_images, strict=True)
            if (own != part).any()
        ]
        job = method.learn([one for one, _ in kept], [one for _, one in kept], given.seed)
        classify = yield from share_of(job, part, steps)
        for image, drawn, own, agreed in zip(images, markers, in_images, right, strict=True):
            left_out = drawn.select((own == part)[drawn.markers])
            if len(left_out):
                found = classify(image)[tuple(left_out.coordinates.T)]
                agreed += np.bincount(
                    left_out.markers[found == left_out.classes], minlength=drawn.count
                )
    return agreement(classes, sizes, np.concatenate(right))


def _of_single_classes(drawn: MarkerSet) -> MarkerSet:
    """The same voxels, with every marker of one class."""
    return MarkerSet.from_points(drawn.coordinates, drawn.classes, drawn.shape)


def _classes(drawn: MarkerSet) -> NDArray[np.int64]:
    """Class of every marker: (m,)."""
    classes = np.zeros(drawn.count, dtype=np.int64)
    classes[drawn.markers] = drawn.classes
    return classes


def _check(
    images: Sequence[Image],
    markers: Sequence[MarkerSet | None],
    truths: Sequence[NDArray[Any] | None] | None,
) -> None:
    """Raise `EvaluationError` unless everything belongs to its image."""
    if len(markers) != len(images) or (truths is not None and len(truths) != len(images)):
        raise EvaluationError(
            f'{len(images)} images came with {len(markers)} sets of markers and '
            f'{len(images if truths is None else truths)} truths; '
            'give one, or None, for each image.'
        )
    known = {'markers': markers, 'truth': truths or [None] * len(images)}
    for name, given in known.items():
        for image, one in zip(images, given, strict=True):
            if one is not None and one.shape != image.shape:
                raise EvaluationError(
                    f'{image.name} has shape {image.shape}, but its {name} {one.shape}; give '
                    f'the {name} of this image.'
                )
