"""The range of sizes that follows marked objects: measured anew after each learning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_flim.delineation.area_range import AreaRange, learned_range, marked_sizes
from napari_flim.delineation.seed_settings import SeedSettings
from napari_flim.delineation.seeds import seeds_from_saliency
from napari_flim.progress import Job, Progress
from napari_flim.session.delineating import marked
from napari_flim.session.history import State
from napari_flim.session.items import TrainingImage, digest_of
from napari_flim.session.jobs import Encoded, Target, apply
from napari_flim.session.kernel_edits import edited_model
from napari_flim.session.session import Session
from napari_flim.session.settings import Settings

if TYPE_CHECKING:
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


def measured_range(
    request: SizesRequest, device: str = 'cpu', known: Sequence[Encoded] = ()
) -> Job[AreaRange | None]:
    """The range around the sizes of all marked objects, as `napari_flim.training.learn_sizes`.

    Parameters
    ----------
    request : SizesRequest
    device : str
        Where torch computes.
    known : sequence of Encoded
        Earlier results of the model.

    Raises
    ------
    napari_flim.errors.FlimError
        With a message for the user.
    """
    state = request.state
    assert state.learned is not None
    settings = state.settings
    model = edited_model(state.learned.model, state.edits, settings.decoder)
    sizes: list[float] = []
    for number, image in enumerate(request.images):
        yield Progress(
            f'measuring marked objects of {image.source.name}', number, len(request.images)
        )
        sizes += yield from _sizes_in(image, model, settings.delineation.seeds, device, known)
    return learned_range(sizes)


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
