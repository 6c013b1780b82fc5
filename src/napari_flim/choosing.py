"""Choosing an encoder and a decoder by how well they tell markers that they have not seen.

Every candidate is learned several times, each time without some of the markers (whole images, where
several are marked), kernels and all, and asked for the class of what was left out. No single
configuration suits all images; what was left out tells which one suits these.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_flim.engine.architecture import Architecture, preset
from napari_flim.engine.decoder_fitting import fit
from napari_flim.engine.decoder_settings import DecoderSettings
from napari_flim.engine.image import Image
from napari_flim.engine.markers import MarkerSet
from napari_flim.engine.options import LearningOptions
from napari_flim.engine.preprocessing import InputTransform
from napari_flim.errors import FlimError, LearningError
from napari_flim.evaluation.held_out import agreement
from napari_flim.inference.marker_values import saliency_values
from napari_flim.linear_training import (
    MarkedVoxels,
    block_values_at,
    input_values_at,
    marked_voxels,
    numbered,
)
from napari_flim.model import FlimModel
from napari_flim.progress import Job, Progress, retold, share_of
from napari_flim.training import learn_model

SECONDS = 10.0
"""Time after which no further candidate is tried."""
STRENGTH = 0.3
"""Inverse strength of the penalty of linear decoders that are compared."""
PARTS = 3
"""Parts that are left out in turn, at most."""
LARGEST = 2**24
"""Voxels of all images together up to which decoders that must see whole images are tried."""


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


@dataclass(frozen=True, eq=False)
class Tried:
    """How well a candidate told markers that were left out.

    Attributes
    ----------
    candidate : Candidate
    agreement : float
        Share of left-out voxels that get their class, classes counting alike; in [0, 1].
    error : float, optional
        Standard error of the agreement, over markers.
    surprise : float
        Mean squared difference of the probability of the right class from 1 (Brier's score),
        classes counting alike; 0 is best. By this the winner is found: it goes on telling
        candidates apart where all of them get almost every voxel right.
    of_markers : (m,) float64 array
        Surprise of every marker; not a number where it could not be left out.
    classes : (m,) int64 array
        Class of every marker.
    confusion : (classes, classes) float64 array
        Share of the voxels of every class (rows) that get every class (columns).
    seconds : float
    """

    candidate: Candidate
    agreement: float
    error: float | None
    surprise: float
    of_markers: NDArray[np.float64]
    classes: NDArray[np.int64]
    confusion: NDArray[np.float64]
    seconds: float


@dataclass(frozen=True, eq=False)
class Choice:
    """What was tried, the winner, and why it won.

    Attributes
    ----------
    tried : tuple of Tried
        In the order of the candidates; empty when nothing could be left out.
    winner : Candidate
    reason : str
        One or two sentences.
    classes : tuple of int
    left_out : str
        What was left out together: images or markers.
    """

    tried: tuple[Tried, ...]
    winner: Candidate
    reason: str
    classes: tuple[int, ...]
    left_out: str

    def content(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        rows = [
            {
                'configuration': one.candidate.words(),
                'agreement': one.agreement,
                'error': one.error,
                'surprise': one.surprise,
                'seconds': round(one.seconds, 2),
            }
            for one in self.tried
        ]
        best = next((one for one in self.tried if one.candidate == self.winner), None)
        return {
            'chosen': self.winner.words(),
            'reason': self.reason,
            'left_out': self.left_out,
            'classes': list(self.classes),
            'tried': rows,
            'confusion': [] if best is None else best.confusion.tolist(),
            'of_markers': [] if best is None else _json(best.of_markers),
        }


def choose(
    images: Sequence[Image],
    markers: Sequence[MarkerSet],
    *,
    candidates: Sequence[Candidate],
    transform: InputTransform = InputTransform(),
    fixed_ranges: bool = False,
    options: LearningOptions = LearningOptions(),
    seconds: float = SECONDS,
) -> Job[Choice]:
    """Choose among candidates by markers that are left out.

    Parameters
    ----------
    images : sequence of Image
    markers : sequence of MarkerSet
        One for each image.
    candidates : sequence of Candidate
        Steadiest first; the first wins where a class has a single marker.
    transform : InputTransform
        What candidates without multi-scale input read.
    fixed_ranges : bool
        Fix intensity ranges to those of the training images.
    options : LearningOptions
    seconds : float
        The first candidate is always tried to the end; another one only before this time is over.

    Yields
    ------
    Progress

    Returns
    -------
    Choice

    Raises
    ------
    LearningError
        When only one class is marked, or no candidate can be learned.
    """
    begun = time.perf_counter()
    trial = _Trial.of(images, markers, transform, fixed_ranges, options)
    if trial.never_left_out:
        reason = (
            f'There is a single marker of class {trial.never_left_out[0]}, which cannot be left '
            'out, so nothing was compared and the steadiest was taken; paint a second marker of it.'
        )
        return Choice((), candidates[0], reason, trial.classes, 'nothing')
    tried: list[Tried] = []
    problem: FlimError | None = None
    done = 0
    for _, group in itertools.groupby(candidates, lambda one: (one.name, one.multiscale)):
        of_encoder = [one for one in group if trial.suits(one)]
        if not of_encoder:
            continue
        if tried and time.perf_counter() - begun > seconds:
            break
        try:
            tried += yield from share_of(trial.run(of_encoder), done, len(candidates))
        except FlimError as error:
            problem = error
        done += len(of_encoder)
    if problem is not None and not tried:
        raise LearningError(f'No configuration could be learned: {problem}') from problem
    if not tried:
        raise LearningError(
            'The images are too large for decoders that must see them whole; '
            'use the decoder linear, or auto.'
        )
    winner, reason = pick(tried)
    return Choice(tuple(tried), winner.candidate, reason, trial.classes, trial.left_out_words)


def learn_chosen(
    images: Sequence[Image],
    markers: Sequence[MarkerSet],
    candidates: Sequence[Candidate],
    *,
    transform: InputTransform = InputTransform(),
    fixed_ranges: bool = False,
    options: LearningOptions = LearningOptions(),
    seconds: float = SECONDS,
) -> Job[FlimModel]:
    """Choose among candidates, then learn the chosen one from all markers.

    The parameters are those of `choose` and of `napari_flim.training.learn_model`.

    Returns
    -------
    FlimModel
        Its provenance tells the choice, see `Choice.content`.
    """
    choosing = choose(
        images,
        markers,
        candidates=candidates,
        transform=transform,
        fixed_ranges=fixed_ranges,
        options=options,
        seconds=seconds,
    )
    choice = yield from share_of(choosing, 0, 2)
    chosen = choice.winner
    learning = learn_model(
        images,
        markers,
        chosen.architecture,
        transform=chosen.transform(transform),
        fixed_ranges=fixed_ranges,
        decoder=DecoderSettings(chosen.decoder),
        options=options,
    )
    model = yield from share_of(learning, 1, 2)
    return replace(model, provenance={**model.provenance, 'choice': choice.content()})


def pick(tried: Sequence[Tried]) -> tuple[Tried, str]:
    """The winner and why: the least surprised, unless a steadier one is as good within the error.

    Two candidates are compared marker by marker; the error is that of their mean difference.
    """
    best = min(tried, key=lambda one: one.surprise)
    if len(tried) == 1:
        return best, 'No other configuration was tried, or could be learned, in the time.'
    for one in tried[: tried.index(best)]:
        difference, error = _difference(one, best)
        if difference <= error:
            return one, (
                f'{best.candidate.words()} is as good on markers left out: the difference, '
                f'{difference:.4f} in squared error for each marker, is within its error of '
                f'{error:.4f}, so the steadier one was taken.'
            )
    others = [one.surprise for one in tried if one is not best]
    return best, (
        f'Its squared error on markers left out is the lowest: {best.surprise:.3f}; the next is '
        f'{min(others):.3f}.'
    )


def _difference(one: Tried, best: Tried) -> tuple[float, float]:
    """Mean difference over markers, classes counting alike, and its standard error."""
    means, variances = [], []
    for number in np.unique(best.classes):
        own = (best.of_markers - one.of_markers)[best.classes == number]
        known = -own[np.isfinite(own)]
        means.append(known.mean())
        variances.append(known.var(ddof=1) / len(known) if len(known) > 1 else math.inf)
    return float(np.mean(means)), math.sqrt(sum(variances)) / len(means)


@dataclass(frozen=True, eq=False)
class _Trial:
    """What all candidates have in common."""

    images: Sequence[Image]
    markers: Sequence[MarkerSet]
    transform: InputTransform
    fixed_ranges: bool
    options: LearningOptions
    marked: MarkedVoxels
    left_out: NDArray[np.int64]
    input_values: NDArray[np.float32]

    @classmethod
    def of(
        cls,
        images: Sequence[Image],
        markers: Sequence[MarkerSet],
        transform: InputTransform,
        fixed_ranges: bool,
        options: LearningOptions,
    ) -> _Trial:
        marked = marked_voxels(markers, options.seed)
        left_out = marked.parts(PARTS)
        read = input_values_at(transform.resolved(images, fixed=fixed_ranges), images, marked)
        return cls(images, markers, transform, fixed_ranges, options, marked, left_out, read)

    @property
    def classes(self) -> tuple[int, ...]:
        return tuple(np.unique(self.marked.classes).tolist())

    @property
    def never_left_out(self) -> list[int]:
        """Classes of which no marker can be left out."""
        judged = set(self.marked.classes[self.left_out >= 0].tolist())
        return [number for number in self.classes if number not in judged]

    @property
    def left_out_words(self) -> str:
        """Whether whole images or markers were left out."""
        of_images = [
            len(np.unique(self.left_out[self.marked.images == index]))
            for index in np.unique(self.marked.images)
        ]
        return 'images' if len(of_images) > 1 and max(of_images) == 1 else 'markers'

    def suits(self, candidate: Candidate) -> bool:
        """Whether its decoder works on these images: some must see whole images."""
        small = sum(math.prod(image.shape) for image in self.images) <= LARGEST
        return candidate.decoder == 'linear' or small

    def run(self, candidates: Sequence[Candidate]) -> Job[list[Tried]]:
        """Candidates of one encoder."""
        begun = time.perf_counter()
        found = {
            one: np.full((len(self.left_out), len(self.classes)), np.nan) for one in candidates
        }
        count = int(self.left_out.max()) + 1
        for part in range(count):
            trying = Progress(f'trying {candidates[0].words()}', part, count)
            inside = self.left_out == part
            learning = self._learned_without(part, candidates[0])
            # Told again and again, so that choosing can be cancelled in between.
            model = yield from retold(learning, partial(_instead, trying))
            for one in candidates:
                values = self._values(model.with_decoder(one.decoder))
                fitted = fit(
                    values[~inside],
                    self.marked.classes[~inside],
                    self.marked.weights[~inside],
                    STRENGTH,
                )
                columns = np.searchsorted(self.classes, fitted.classes)
                probabilities = np.zeros((int(inside.sum()), len(self.classes)))
                probabilities[:, columns] = fitted.probabilities(values[inside])
                found[one][inside] = probabilities
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
        marked, known = self.marked, np.isfinite(probabilities[:, 0])
        own = np.searchsorted(self.classes, marked.classes)
        missed = (1 - probabilities[np.arange(len(own)), own]) ** 2
        chosen = np.where(known, probabilities.argmax(axis=1), -1)
        names, first, inverse = np.unique(marked.markers, return_index=True, return_inverse=True)
        sizes = np.bincount(inverse)
        hits = np.bincount(inverse[known & (chosen == own)], minlength=len(names))
        judged = known[first]
        agreed = agreement(marked.classes[first][judged], sizes[judged], hits[judged])
        confusion = np.zeros((len(self.classes), len(self.classes)))
        np.add.at(confusion, (own[known], chosen[known]), marked.weights[known])
        confusion /= np.maximum(confusion.sum(axis=1, keepdims=True), 1e-12)
        return Tried(
            candidate,
            agreed.share,
            agreed.error,
            float(np.average(missed[known], weights=marked.weights[known])),
            np.bincount(inverse, weights=missed) / sizes,
            marked.classes[first],
            confusion,
            seconds,
        )


def _instead(step: Progress, _: Progress) -> Progress:
    """One step of progress in place of another."""
    return step


def _json(values: NDArray[np.float64]) -> list[float | None]:
    """Numbers as JSON has them: None for what is not a number."""
    return [None if math.isnan(value) else value for value in values.tolist()]
