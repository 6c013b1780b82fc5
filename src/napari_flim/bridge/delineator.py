"""Objects of what is in view: found when asked for, corrected when the user corrects them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_flim.bridge.applier import Applier
from napari_flim.bridge.correction_layers import CorrectionLayers
from napari_flim.bridge.layer_items import LayerItems
from napari_flim.bridge.object_layers import ObjectLayers
from napari_flim.bridge.preferences import Preferences, on_device
from napari_flim.progress import Job, Progress
from napari_flim.session import object_edits
from napari_flim.session.corrections import Corrections
from napari_flim.session.delineating import Draft, Material, compile_forests
from napari_flim.session.drafting import Drafted, DraftRequest, draft_of, holds
from napari_flim.session.items import as_learned
from napari_flim.session.jobs import Target
from napari_flim.session.marked_sizes import put_sizes, sizes_request
from napari_flim.session.object_words import (
    decided_words,
    delineation_problems,
    draft_words,
    ignored_words,
)
from napari_flim.session.session import Message, Session
from napari_flim.session.sources import Strokes

if TYPE_CHECKING:
    from napari_flim.session.object_edits import ObjectEdit
    from napari_flim.session.running import Runner

Place = tuple[str, int]
"""Key of an item, and place along T."""

MOST_DRAFTS = 3
"""Objects of so many images are kept ready to be corrected; others are found again when needed."""

DRAFT_BYTES = 2**28
"""What features of all of them may take, unless it is only one."""


class Delineator:
    """Finds and corrects objects of the current item, as it is in view.

    Parameters
    ----------
    session : Session
    items : LayerItems
    applier : Applier
    layers : ObjectLayers
    corrections : CorrectionLayers
    make_runner : callable
        Makes a `Runner`.
    preferences : callable
        Gives the `Preferences` as they are now.

    Attributes
    ----------
    work : Progress, optional
        What is being done now.
    message : Message
        What happened last.
    material : Material, optional
        Saliency and features of what was delineated or looked at last.
    """

    changed = Signal()
    """Other objects are shown, or work began or ended, or something is to be said."""

    found = Signal(str)
    """Objects of an item that the user has asked for are shown."""

    def __init__(
        self,
        session: Session,
        items: LayerItems,
        applier: Applier,
        layers: ObjectLayers,
        corrections: CorrectionLayers,
        make_runner: Callable[[], Runner],
        preferences: Callable[[], Preferences],
    ) -> None:
        self._session = session
        self._items = items
        self._applier = applier
        self.layers = layers
        self.corrections = corrections
        self._runner = make_runner()
        self._compiling = make_runner()
        self._compiled = False
        self._preferences = preferences
        self._drafts: dict[Place, Draft] = {}
        self._pending: dict[Place, tuple[ObjectEdit, ...]] = {}
        self._asked: DraftRequest | None = None
        self._viewed: Place | None = None
        # The user has asked for objects, and has not taken a brush since.
        self._to_tell = False
        self.work: Progress | None = None
        self.message = Message()
        self.material: Material | None = None
        corrections.painted.connect(self._on_corrections_painted)
        items.closed.connect(self._on_item_closed)
        items.replaced.connect(self._on_item_replaced)
        items.forgotten.connect(self._on_item_forgotten)
        for name in ('state', 'current', 'items'):
            session.events[name].connect(self.view_moved, max_args=0)
        applier.applied.connect(self.view_moved, max_args=0)

    def prepare(self) -> None:
        """Compile what objects grow with, before they are asked for."""
        if not self._compiled:
            self._compiled = True
            self._compiling.submit(compile_forests(), done=_on_compiled, failed=self._on_job_failed)

    def target(self) -> Target | None:
        """The image in view; of a plane, all of its volume."""
        view = self._applier.target_in_view()
        return None if view is None else replace(view, plane=None)

    def problems(self) -> tuple[str, ...]:
        """Why objects cannot be found."""
        target, model = self.target(), self._applier.shown
        found = delineation_problems(self._session, target, model)
        if found or target is None or model is None:
            return found
        lacking = self._applier.memory_problem(model, target)
        return (lacking,) if lacking else ()

    @property
    def draft(self) -> Draft | None:
        """The objects of what is in view, if they are known."""
        place = self._place()
        return None if place is None else self._drafts.get(place)

    def state(self) -> str:
        """How things stand, in words."""
        draft = self.draft
        if draft is None:
            return decided_words(self.corrections_of())
        target, given = self.target(), draft.material
        same = given.model is self._applier.shown and target is not None and given.is_of(target)
        return draft_words(
            draft, self._session, same_saliency=same, same_corrections=not self._lacks_corrections()
        )

    def delineate(self) -> None:
        """Find the objects of what is in view anew; what the user has decided stays."""
        self.message = Message()
        self._to_tell = True
        self._ask(anew=True)

    def edit(self, edit: ObjectEdit) -> None:
        """Edit the objects of what is in view, if there are any."""
        place = self._place()
        if place is not None and place in self._drafts:
            self.message = Message()
            self._pending[place] = (*self._pending.get(place, ()), edit)
            self._ask(anew=False)

    def delete(self, ids: Collection[int]) -> None:
        """Make background of objects."""
        self.edit(partial(object_edits.delete, ids=tuple(ids)))

    def merge(self, ids: Collection[int]) -> None:
        """Make one object of several."""
        self.edit(partial(object_edits.merge, ids=tuple(ids)))

    def split(self, ids: Collection[int]) -> None:
        """Let objects fall into their parts."""
        self.edit(partial(object_edits.split, ids=tuple(ids)))

    def accept(self, ids: Collection[int], accepted: bool = True) -> None:
        """Let objects stay as they are, or change again."""
        edit = object_edits.accept if accepted else object_edits.release
        self.edit(partial(edit, ids=tuple(ids)))

    def undo(self) -> None:
        """Take the latest edit back; strokes have napari's own undo."""
        self.edit(object_edits.undo)

    def redo(self) -> None:
        """Make the latest edit again that was taken back."""
        self.edit(object_edits.redo)

    def expect_strokes(self) -> None:
        """The user has taken a brush: grown now, the forest is there when the first stroke is."""
        self._to_tell = False
        draft = self.draft
        if draft is not None and draft.start is None:
            self._ask(anew=False)

    def cancel(self) -> None:
        """Stop what is being done; the objects stay as they are."""
        if self.work is not None:
            self.message = Message('Stopped; the objects stay as they were.')
        if self._asked is not None:
            self._pending.pop(place_of(self._asked.target), None)
        self._runner.cancel()

    def view_moved(self) -> None:
        """Other objects may be in view, and images may have got other voxels."""
        for place, draft in list(self._drafts.items()):
            item, source = self._session.item(place[0]), draft.material.target.source
            other = item is not None and (
                item.source.data is not source.data or item.source.axes != source.axes
            )
            if other:
                self._pending.pop(place, None)
            if other or item is None:
                del self._drafts[place]
                self.layers.remove(place[0])
        self.changed.emit()
        before, self._viewed = self._viewed, self._place()
        if self._viewed != before:
            self._catch_up()

    def say(self, text: str, *, error: bool = True) -> None:
        """Tell the user something."""
        self.message = Message(text, error)
        self.changed.emit()

    def recolour(self) -> None:
        """Give objects and strokes the colours they have now."""
        draft = self.draft
        if draft is not None:
            self.layers.recolour(draft)
            self.colour_strokes(draft)

    def colour_strokes(self, draft: Draft) -> None:
        """Give strokes on the image of some objects the colours of what they stand for."""
        background = self._session.classes[0].colour
        key = draft.material.target.source.key
        now = self.corrections_of(place_of(draft.material.target))
        colours = self.layers.colours(replace(draft, corrections=now))
        self.corrections.colour(key, colours, background)

    def corrections_of(self, place: Place | None = None) -> Corrections:
        """What the user has decided about objects in view, or of another place."""
        place = place or self._place()
        item = None if place is None else self._session.item(place[0])
        if place is None or item is None:
            return Corrections()
        return item.corrections.get(place[1], Corrections())

    def keep(self, place: Place, corrections: Corrections) -> None:
        """Keep what the user decided with the item, which is saved."""
        key, frame = place
        item = self._session.item(key)
        if item is not None and corrections is not item.corrections.get(frame):
            kept = {**item.corrections, frame: corrections}
            self._session.put_item(replace(item, corrections=kept))

    def _place(self) -> Place | None:
        target = self.target()
        return None if target is None else place_of(target)

    def _ask(self, *, anew: bool) -> None:
        """Submit a job for what is in view."""
        target, model, place = self.target(), self._applier.shown, self._place()
        found = self.problems()
        if found or target is None or model is None or place is None:
            self.message = Message(' '.join(found), error=True)
            self.changed.emit()
            return
        item, asked = self._session.item(place[0]), self._asked
        strokes = None if item is None else item.strokes.get(place[1])
        if asked is not None and asked.draft is None and place_of(asked.target) == place:
            # Objects are being found anew; what comes meanwhile is made of these.
            anew = True
        request = DraftRequest(
            model,
            target,
            self._session.settings.delineation,
            None if strokes is None else as_learned(strokes, self._session.classes),
            self.corrections_of(place),
            self._pending.get(place, ()),
            self.material,
            None if anew else self._drafts.get(place),
            sizes_request(self._session) if anew or place not in self._drafts else None,
        )
        known = self._applier.known
        self._asked, self.work = request, Progress('preparing', 0, 1)
        self.changed.emit()

        def job(device: str) -> Job[Drafted]:
            return draft_of(request, device, known)

        self._runner.submit(
            on_device(self._preferences(), job),
            done=partial(self._on_job_done, request),
            failed=partial(self._on_request_failed, request),
            progressed=self._on_job_progressed,
            stopped=partial(self._on_job_stopped, request),
        )

    def _lacks_corrections(self) -> bool:
        """Whether the objects in view are without something that the user has decided."""
        draft, place = self.draft, self._place()
        if draft is None or place is None:
            return False
        return place in self._pending or not holds(draft.corrections, self.corrections_of(place))

    def _catch_up(self) -> None:
        """Ask for what the objects in view lack, unless that is being done, or other images are."""
        place, asked = self._place(), self._asked
        if place is None or not self._lacks_corrections() or self.problems():
            return
        if asked is not None:
            other = place_of(asked.target) != place
            if other or holds(asked.corrections, self.corrections_of(place)):
                return
        self._ask(anew=False)

    def _on_job_done(self, request: DraftRequest, done: Drafted) -> None:
        self._asked = self.work = None
        self._forget(request)
        if done.refused:
            self.message = Message(' '.join(map(str, done.refused)), error=True)
        elif done.ignored:
            self.message = Message(ignored_words(done.ignored), error=True)
        target, draft = request.target, done.draft
        place = place_of(target)
        if request.sizes is not None:
            put_sizes(self._session, request.sizes, draft.settings.seeds.sizes)
        if self.layers.show(draft):
            self.material = draft.material
            self._drafts.pop(place, None)
            self._drafts[place] = draft
            for old in _forgettable(self._drafts):
                del self._drafts[old]
            now = self.corrections_of(place)
            # Strokes may have been added meanwhile, and a new object named.
            classes = {**draft.corrections.classes, **now.classes}
            if request.edits or now:
                self.keep(place, replace(draft.corrections, strokes=now.strokes, classes=classes))
            if request.draft is None and now.strokes is not None:
                self.corrections.show(target.source.key)
            self.colour_strokes(draft)
        told, self._to_tell = self._to_tell and request.draft is None, False
        self.changed.emit()
        if told and place in self._drafts:
            self.found.emit(target.source.key)
        self._catch_up()

    def _on_request_failed(self, request: DraftRequest, error: Exception) -> None:
        self._asked = None
        self._forget(request)
        self._on_job_failed(error)
        # Without edits the same would fail again.
        if request.edits or place_of(request.target) != self._place():
            self._catch_up()

    def _on_job_failed(self, error: Exception) -> None:
        self.work = None
        self.message = Message(str(error), error=True)
        self.changed.emit()

    def _on_job_progressed(self, step: Progress) -> None:
        self.work = step
        self.changed.emit()

    def _on_job_stopped(self, request: DraftRequest) -> None:
        if not self._runner.busy:
            self._asked = self.work = None
            self.changed.emit()
            # What the user has stopped is not begun again at once.
            if place_of(request.target) != self._place():
                self._catch_up()

    def _forget(self, request: DraftRequest) -> None:
        """Edits that were made or refused are not to be made again."""
        place = place_of(request.target)
        left = tuple(one for one in self._pending.pop(place, ()) if one not in request.edits)
        if left:
            self._pending[place] = left

    def _on_corrections_painted(self, key: str, strokes: Mapping[int, Strokes]) -> None:
        """Keep strokes, and correct the objects in view if they are of these."""
        item = self._session.item(key)
        if item is None:
            return
        kept = dict(item.corrections)
        for frame in {*kept, *strokes}:
            kept[frame] = replace(kept.get(frame, Corrections()), strokes=strokes.get(frame))
        self._session.put_item(replace(item, corrections=kept))
        self.message = Message()
        self._catch_up()

    def _on_item_closed(self, key: str) -> None:
        """Its objects go; what is still to be edited waits for the image to be opened again."""
        for place in [place for place in self._drafts if place[0] == key]:
            del self._drafts[place]
        if self.material is not None and self.material.target.source.key == key:
            self.material = None
        self.changed.emit()

    def _on_item_replaced(self, old: str, new: str) -> None:
        """Edits of an image are of that image, also opened again; they wait for new objects."""
        self._stop(old)
        self._pending = {
            (new if key == old else key, frame): edits
            for (key, frame), edits in self._pending.items()
        }

    def _on_item_forgotten(self, key: str) -> None:
        self._stop(key)
        for place in [place for place in self._pending if place[0] == key]:
            del self._pending[place]

    def _stop(self, key: str) -> None:
        """Stop what is being done for an item."""
        if self._asked is not None and self._asked.target.source.key == key:
            self._runner.cancel()


def place_of(target: Target) -> Place:
    """Where objects of a target are kept."""
    return target.source.key, target.frame


def _forgettable(drafts: Mapping[Place, Draft]) -> list[Place]:
    """All but the latest, as far as they are worth their memory."""
    taken, latest = 0, list(drafts)[::-1]
    for count, place in enumerate(latest):
        given = drafts[place].material
        taken += given.features.nbytes + given.learned.nbytes
        if count and (count == MOST_DRAFTS or taken > DRAFT_BYTES):
            return latest[count:]
    return []


def _on_compiled(_nothing: None) -> None:
    """The next job finds it compiled."""
