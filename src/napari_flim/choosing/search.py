"""Trying candidates until the time is over, and learning the best of them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import replace

from napari_flim.choosing.configurations import Candidate
from napari_flim.choosing.trial import Trial
from napari_flim.choosing.verdict import Choice, Tried, pick
from napari_flim.engine.decoder_settings import DecoderSettings
from napari_flim.engine.image import Image
from napari_flim.engine.markers import MarkerSet
from napari_flim.engine.options import LearningOptions
from napari_flim.engine.preprocessing import InputTransform
from napari_flim.errors import FlimError, LearningError
from napari_flim.model import FlimModel
from napari_flim.progress import Job, share_of
from napari_flim.training import learn_model

SECONDS = 10.0
"""Time after which no further candidate is tried."""


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
    trial = Trial.of(images, markers, transform, fixed_ranges, options)
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
    left_out = 'images' if trial.whole_images else 'markers'
    return Choice(tuple(tried), winner.candidate, reason, trial.classes, left_out)


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
