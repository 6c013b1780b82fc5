"""What a worker does when objects are asked for: find them, edit them, correct them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_flim.delineation.delineation_settings import DelineationSettings
from napari_flim.progress import Job
from napari_flim.session.corrections import Corrections
from napari_flim.session.delineating import Draft, Material, corrected, delineated, material
from napari_flim.session.jobs import Encoded, Target
from napari_flim.session.object_edits import ObjectEdit
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
    """

    model: FlimModel
    target: Target
    settings: DelineationSettings
    marks: Strokes | None
    corrections: Corrections
    edits: tuple[ObjectEdit, ...] = ()
    material: Material | None = None
    draft: Draft | None = None


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
) -> Job[Draft]:
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
    draft = yield from _draft_of(request, device, known)
    return replace(draft, seconds=time.perf_counter() - begun)


def _draft_of(request: DraftRequest, device: str, known: Sequence[Encoded]) -> Job[Draft]:
    draft, corrections = request.draft, request.corrections
    if draft is None:
        given = yield from material_of(
            request.model, request.target, device, known, request.material
        )
        draft = yield from delineated(given, request.settings, request.marks, corrections)
        if not request.edits:
            return draft
    for edit in request.edits:
        corrections = edit(replace(draft, corrections=corrections))
    if corrections:
        anchors = {**draft.found.anchors, **corrections.anchors}
        corrections = replace(corrections, anchors=anchors)
    return (yield from corrected(draft, corrections))


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
