"""Learning candidates without some of the markers, and asking them for the class of these."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from napari_flim.choosing.configurations import Candidate
from napari_flim.choosing.verdict import Tried
from napari_flim.engine.image import Image
from napari_flim.engine.markers import MarkerSet
from napari_flim.engine.options import LearningOptions
from napari_flim.engine.preprocessing import InputTransform
from napari_flim.evaluation.held_out import NEVER, agreement
from napari_flim.inference.marker_values import saliency_values
from napari_flim.linear_training import (
    MarkedVoxels,
    block_values_at,
    input_values_at,
    left_out_probabilities,
    marked_voxels,
    numbered,
)
from napari_flim.model import FlimModel
from napari_flim.progress import Job, Progress, retold
from napari_flim.training import learn_model

STRENGTH = 0.3
"""Inverse strength of the penalty of linear decoders that are compared."""
PARTS = 3
"""Parts that are left out in turn, at most."""
LARGEST = 2**24
"""Voxels of all images together up to which decoders that must see whole images are tried."""


@dataclass(frozen=True, eq=False)
class Trial:
    """What all candidates have in common."""

    images: Sequence[Image]
    markers: Sequence[MarkerSet]
    transform: InputTransform
    fixed_ranges: bool
    options: LearningOptions
    marked: MarkedVoxels
    left_out: NDArray[np.int64]
    whole_images: bool
    input_values: NDArray[np.float32]

    @classmethod
    def of(
        cls,
        images: Sequence[Image],
        markers: Sequence[MarkerSet],
        transform: InputTransform,
        fixed_ranges: bool,
        options: LearningOptions,
    ) -> Trial:
        marked = marked_voxels(markers, options.seed)
        parts = marked.parts(PARTS)
        left_out = marked.of_voxels(parts.of_markers)
        read = input_values_at(transform.resolved(images, fixed=fixed_ranges), images, marked)
        whole = parts.whole_images
        return cls(images, markers, transform, fixed_ranges, options, marked, left_out, whole, read)

    @property
    def classes(self) -> tuple[int, ...]:
        return tuple(np.unique(self.marked.classes).tolist())

    @property
    def never_left_out(self) -> list[int]:
        """Classes of which no marker can be left out."""
        judged = set(self.marked.classes[self.left_out != NEVER].tolist())
        return [number for number in self.classes if number not in judged]

    def suits(self, candidate: Candidate) -> bool:
        """Whether its decoder works on these images: some must see whole images."""
        small = sum(math.prod(image.shape) for image in self.images) <= LARGEST
        return candidate.decoder == 'linear' or small

    def run(self, candidates: Sequence[Candidate]) -> Job[list[Tried]]:
        """Candidates of one encoder."""
        begun = time.perf_counter()
        found = {one: np.empty((len(self.left_out), len(self.classes))) for one in candidates}
        count = int(self.left_out.max()) + 1
        for part in range(count):
            trying = Progress(f'trying {candidates[0].words()}', part, count)
            inside = self.left_out == part
            learning = self._learned_without(part, candidates[0])
            # Told again and again, so that choosing can be cancelled in between.
            model = yield from retold(learning, partial(_instead, trying))
            for one in candidates:
                values = self._values(model.with_decoder(one.decoder))
                found[one][inside] = left_out_probabilities(self.marked, values, inside, STRENGTH)
        seconds = (time.perf_counter() - begun) / len(candidates)
        return [self._tried(one, found[one], seconds) for one in candidates]

    def _learned_without(self, part: int, candidate: Candidate) -> Job[FlimModel]:
        """The encoder, learned from the markers of the other parts."""
        gone = np.unique(self.marked.markers[self.left_out == part])
        kept = ~np.isin(numbered(self.markers)[0], gone)
        of_images = np.split(kept, np.cumsum([len(marked) for marked in self.markers])[:-1])
        rest = [marked.select(own) for marked, own in zip(self.markers, of_images, strict=True)]
        shown = [index for index, marked in enumerate(rest) if len(marked)]
        return learn_model(
            [self.images[index] for index in shown],
            [rest[index] for index in shown],
            candidate.architecture,
            transform=candidate.transform(self.transform),
            fixed_ranges=self.fixed_ranges,
            options=self.options,
        )

    def _values(self, model: FlimModel) -> NDArray[np.float32]:
        """What is fitted: all that a linear decoder reads, or the saliency of another one."""
        if model.decoder.name == 'linear':
            of_blocks = block_values_at(model, self.images, self.marked)
            return np.concatenate([self.input_values, of_blocks], axis=1)
        found = [
            saliency_values(model.class_saliency(self.images[index]), self.marked.of_image(index))
            for index in np.unique(self.marked.images)
        ]
        return np.concatenate(found)

    def _tried(
        self, candidate: Candidate, probabilities: NDArray[np.float64], seconds: float
    ) -> Tried:
        marked = self.marked
        own = np.searchsorted(self.classes, marked.classes)
        missed = (1 - probabilities[np.arange(len(own)), own]) ** 2
        chosen = probabilities.argmax(axis=1)
        names, first, inverse = np.unique(marked.markers, return_index=True, return_inverse=True)
        sizes, classes = np.bincount(inverse), marked.classes[first]
        hits = np.bincount(inverse[chosen == own], minlength=len(names))
        agreed = agreement(classes, sizes, hits)
        confusion = np.zeros((len(self.classes), len(self.classes)))
        np.add.at(confusion, (own, chosen), marked.weights)
        return Tried(
            candidate,
            agreed.share,
            agreed.error,
            float(np.average(missed, weights=marked.weights)),
            np.bincount(inverse, weights=missed) / sizes,
            classes,
            confusion / confusion.sum(axis=1, keepdims=True),
            seconds,
        )


def _instead(step: Progress, _: Progress) -> Progress:
    """One step of progress in place of another."""
    return step
