"""The range of sizes that follows marked objects: measured anew after each learning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_flim.delineation.area_range import AreaRange, learned_range, marked_sizes
from napari_flim.delineation.seed_settings import SeedSettings
from napari_flim.delineation.seeds import seeds_from_saliency
from napari_flim.inference.budget import working_memory
from napari_flim.progress import Job, Progress, share_of
from napari_flim.session.delineating import marked
from napari_flim.session.history import State
from napari_flim.session.items import TrainingImage, digest_of
from napari_flim.session.jobs import Encoded, Target, apply
from napari_flim.session.kernel_edits import edited_model
from napari_flim.session.problems import bytes_needed
from napari_flim.session.session import Session
from napari_flim.session.settings import Settings

if TYPE_CHECKING:
    from napari_flim.inference.marked_windows import MarkedSizes
    from napari_flim.model import FlimModel


@dataclass(frozen=True, eq=False)
class SizesRequest:
    """What sizes are to be measured of.

    Attributes
    ----------
    state : State
        Settings, model and edits of kernels.
    images : tuple of TrainingImage
        What the model was learned from.
    """

    state: State
    images: tuple[TrainingImage, ...]


def sizes_request(session: Session) -> SizesRequest | None:
    """What is to be measured; None if nothing is due, or strokes have changed since learning."""
    state, images = session.state, session.training_images()
    if state.settings.sizes_from != 'due' or state.learned is None or not images:
        return None
    return SizesRequest(state, images) if digest_of(images) == state.learned.digest else None


@dataclass(frozen=True)
class MeasuredRange:
    """What was measured.

    Attributes
    ----------
    sizes : AreaRange, optional
        None if no marked object was found.
    warning : str
        What was not measured; empty if nothing.
    """

    sizes: AreaRange | None
    warning: str = ''


def measured_range(
    request: SizesRequest,
    device: str = 'cpu',
    known: Sequence[Encoded] = (),
    budget: int | None = None,
) -> Job[MeasuredRange]:
    """The range around the sizes of all marked objects, as `napari_flim.training.learn_sizes`.

    Of an image that is large, or does not fit into memory, only windows around some of its object
    markers are read.

    Parameters
    ----------
    request : SizesRequest
    device : str
        Where torch computes.
    known : sequence of Encoded
        Earlier results of the model.
    budget : int, optional
        Bytes that features may take; by default a quarter of the free memory.

    Raises
    ------
    napari_flim.errors.FlimError
        With a message for the user.
    """
    state = request.state
    assert state.learned is not None
    settings = state.settings
    model = edited_model(state.learned.model, state.edits, settings.decoder)
    seeds = settings.delineation.seeds
    sizes: list[float] = []
    warnings = []
    memory = working_memory(None) if budget is None else budget
    for number, image in enumerate(request.images):
        yield Progress(
            f'measuring marked objects of {image.source.name}', number, len(request.images)
        )
        if _too_large(image, model, memory):
            job = _sizes_around(image, model, seeds)
            measured = yield from share_of(job, number, len(request.images))
            sizes += measured.sizes
            warnings.append(measured.words(image.source.name))
        else:
            sizes += yield from _sizes_in(image, model, seeds, device, known)
    words = '. '.join(filter(None, warnings))
    return MeasuredRange(learned_range(sizes), f'{words}.' if words else '')


def shown_sizes(
    saliency: NDArray[np.float32],
    settings: SeedSettings,
    painted: NDArray[np.integer],
    spacing: Sequence[float],
    classes: Sequence[int],
) -> tuple[float, ...]:
    """World sizes of the objects that markers show, found without limits of size or border.

    Parameters
    ----------
    saliency : (L, \\*S) float32 array
    settings : SeedSettings
    painted : (\\*S) int array
        0 unmarked, 1 background, 2.. objects.
    spacing : sequence of float
    classes : sequence of int
        Of each map.
    """
    unlimited = replace(settings, sizes=None, border=None)
    seeds = seeds_from_saliency(saliency, unlimited, spacing=spacing, classes=classes)
    return tuple(marked_sizes(seeds.regions, painted, spacing).tolist())


def sizes_due(settings: Settings) -> Settings:
    """The settings after learning: a range that follows marked objects is to be measured anew."""
    return settings if settings.sizes_from == 'chosen' else replace(settings, sizes_from='due')


def with_sizes(settings: Settings, sizes: AreaRange | None) -> Settings:
    """The settings with a range that was measured of marked objects."""
    seeds = replace(settings.delineation.seeds, sizes=sizes)
    delineation = replace(settings.delineation, seeds=seeds)
    return replace(settings, delineation=delineation, sizes_from='marked')


def put_sizes(session: Session, request: SizesRequest, sizes: AreaRange | None) -> None:
    """Keep a range that was measured, unless there is another model or the user chose meanwhile.

    It is no change of its own for undo: it belongs to the learning before.
    """
    now = session.state
    if now.settings.sizes_from == 'due' and now.learned is request.state.learned:
        session.complete(replace(now, settings=with_sizes(now.settings, sizes)))


def _sizes_in(
    image: TrainingImage,
    model: FlimModel,
    settings: SeedSettings,
    device: str,
    known: Sequence[Encoded],
) -> Job[tuple[float, ...]]:
    applied = yield from apply(model, Target(image.source, image.frame), device, known)
    painted = marked(image.strokes, applied.saliency.shape[1:])
    if painted is None:
        return ()
    return shown_sizes(
        applied.saliency, settings, painted, image.source.spacing, applied.object_classes
    )


def _too_large(image: TrainingImage, model: FlimModel, budget: int) -> bool:
    """Whether only windows of an image are looked at."""
    from napari_flim.training import WHOLE

    return prod(image.source.shape) > WHOLE or bytes_needed(model, image.source) > budget


def _sizes_around(
    image: TrainingImage, model: FlimModel, settings: SeedSettings
) -> Job[MarkedSizes]:
    from napari_flim.inference.marked_windows import sizes_in_windows

    read, markers = image.read(whole=False)
    return (yield from sizes_in_windows(model.applying(model.accept(read)), markers, settings))
