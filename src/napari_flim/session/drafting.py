"""What a worker does when objects are asked for: find them, edit them, correct them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_flim.delineation.delineation_settings import DelineationSettings
from napari_flim.errors import FlimError
from napari_flim.progress import Job
from napari_flim.session.corrections import Corrections
from napari_flim.session.delineating import Draft, Material, corrected, delineated, material
from napari_flim.session.jobs import Encoded, Target
from napari_flim.session.marked_sizes import SizesRequest, measured_range
from napari_flim.session.object_edits import ObjectEdit, Partly
from napari_flim.session.planting import ignored_over
from napari_flim.session.sources import Strokes

if TYPE_CHECKING:
    from napari_flim.model import FlimModel


@dataclass(frozen=True, eq=False)
class DraftRequest:
    """What objects are asked for.

    Attributes
    ----------
    model : FlimModel
    target : Target
        The image; of a plane, all of the volume.
    settings : DelineationSettings
    marks : Strokes, optional
        Markers of the image, with the numbers that the engine knows.
    corrections : Corrections
        All of them, but for the edits.
    edits : tuple of ObjectEdit
        To be made now, in this order.
    material : Material, optional
        Known from before; it is used if it fits.
    draft : Draft, optional
        Objects to go on with; without it they are found anew.
    sizes : SizesRequest, optional
        Marked objects to be measured first, for the range of sizes in ``settings``.
    """

    model: FlimModel
    target: Target
    settings: DelineationSettings
    marks: Strokes | None
    corrections: Corrections
    edits: tuple[ObjectEdit, ...] = ()
    material: Material | None = None
    draft: Draft | None = None
    sizes: SizesRequest | None = None


@dataclass(frozen=True, eq=False)
class Drafted:
    """What came of a request.

    Attributes
    ----------
    draft : Draft
        The very one of the request if nothing was to be done.
    refused : tuple of FlimError
        Why edits could not be made, or not of all objects; the others were.
    ignored : tuple of int
        Accepted objects that new strokes lie on, which count for nothing there.
    """

    draft: Draft
    refused: tuple[FlimError, ...] = ()
    ignored: tuple[int, ...] = ()


def holds(corrections: Corrections, wanted: Corrections) -> bool:
    """Whether corrections have the strokes and the decisions of others.

    Parameters
    ----------
    corrections, wanted : Corrections
    """
    mine, other = corrections.decisions, wanted.decisions
    if mine is not other and (mine or other):
        return False
    digests = [None if one.strokes is None else one.strokes.digest for one in (corrections, wanted)]
    return digests[0] == digests[1]


def draft_of(
    request: DraftRequest, device: str = 'cpu', known: Sequence[Encoded] = ()
) -> Job[Drafted]:
    """The objects that are asked for.

    Parameters
    ----------
    request : DraftRequest
    device : str
        Where torch computes.
    known : sequence of Encoded
        Earlier results of the model.

    Raises
    ------
    napari_flim.errors.FlimError
        With a message for the user.
    """
    begun = time.perf_counter()
    done = yield from _draft_of(request, device, known)
    if done.draft is request.draft:
        return done
    return replace(done, draft=replace(done.draft, seconds=time.perf_counter() - begun))


def _draft_of(request: DraftRequest, device: str, known: Sequence[Encoded]) -> Job[Drafted]:
    draft, corrections = request.draft, request.corrections
    if draft is None:
        given = yield from material_of(
            request.model, request.target, device, known, request.material
        )
        settings = yield from _settings(request, device, known)
        draft = yield from delineated(given, settings, request.marks, corrections)
    refused: list[FlimError] = []
    made = False
    for edit in request.edits:
        try:
            edited = edit(replace(draft, corrections=corrections))
        except FlimError as error:
            refused.append(error)
            continue
        made = True
        if isinstance(edited, Partly):
            refused.append(edited.refused)
        corrections = edited.corrections if isinstance(edited, Partly) else edited
    asked_to_grow = request.draft is not None and not request.edits
    if made or asked_to_grow or not holds(draft.corrections, corrections):
        if corrections:
            anchors = {**draft.found.anchors, **corrections.anchors}
            corrections = replace(corrections, anchors=anchors)
        draft = yield from corrected(draft, corrections)
    before = None if request.draft is None else request.draft.corrections.strokes
    new_strokes = draft.corrections.strokes is not before
    ignored = ignored_over(draft.corrections) if new_strokes else []
    return Drafted(draft, tuple(refused), tuple(ignored))


def _settings(
    request: DraftRequest, device: str, known: Sequence[Encoded]
) -> Job[DelineationSettings]:
    if request.sizes is None:
        return request.settings
    measured = yield from measured_range(request.sizes, device, known)
    seeds = replace(request.settings.seeds, sizes=measured.sizes)
    return replace(request.settings, seeds=seeds)


def material_of(
    model: FlimModel,
    target: Target,
    device: str = 'cpu',
    known: Sequence[Encoded] = (),
    before: Material | None = None,
) -> Job[Material]:
    """Saliency and features of a whole image, those from before if they are of the same."""
    if before is not None and before.model is model and before.is_of(target):
        return before
    return (yield from material(model, target, device, known))
