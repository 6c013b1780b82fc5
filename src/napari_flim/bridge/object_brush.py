"""The brush that corrects objects: of one object, of background, of objects still to be made."""

from __future__ import annotations

from dataclasses import dataclass, replace

from napari_flim.bridge.correction_layers import CorrectionLayers
from napari_flim.bridge.delineator import Delineator, Place, place_of
from napari_flim.delineation.inputs import BACKGROUND
from napari_flim.session.delineating import Draft


@dataclass(frozen=True)
class NewObject:
    """An object that the brush is about to paint.

    Attributes
    ----------
    place : Place
    number : int
    of_class : int
    """

    place: Place
    number: int
    of_class: int


class ObjectBrush:
    """Paints on the objects of what is in view, if there are any.

    Parameters
    ----------
    delineator : Delineator
    layers : CorrectionLayers
    """

    def __init__(self, delineator: Delineator, layers: CorrectionLayers) -> None:
        self._delineator = delineator
        self._layers = layers
        self._new_object: NewObject | None = None
        layers.stroke_ended.connect(self._on_stroke_ended)

    def paint_object(self, number: int) -> None:
        """Take the brush for an object."""
        self._new_object = None
        self._take(number + 1)

    def paint_background(self) -> None:
        """Take the brush for background."""
        self._new_object = None
        self._take(BACKGROUND)

    def paint_new(self, of_class: int) -> None:
        """Take the brush for objects that are not there yet; each stroke is one of its own."""
        draft = self._delineator.draft
        if draft is not None:
            self._take(self._number_new(draft, of_class) + 1)

    def _take(self, label: int) -> None:
        draft = self._delineator.draft
        if draft is not None:
            self._layers.take_brush(draft.material.target.source.key, label)
            self._delineator.colour_strokes(draft)
        self._delineator.expect_strokes()

    def _number_new(self, draft: Draft, of_class: int) -> int:
        """The number of the next new object."""
        place = place_of(draft.material.target)
        now = self._delineator.corrections_of(place)
        number = replace(draft, corrections=now).next_id()
        self._delineator.keep(place, replace(now, classes={**now.classes, number: of_class}))
        self._new_object = NewObject(place, number, of_class)
        return number

    def _on_stroke_ended(self, key: str, label: int) -> None:
        """After the stroke of a new object the brush is that of another one."""
        new, draft = self._new_object, self._delineator.draft
        if new is None or draft is None or place_of(draft.material.target) != new.place:
            return
        if (key, label) == (new.place[0], new.number + 1):
            number = self._number_new(draft, new.of_class)
            self._layers.choose_label(key, number + 1)
            self._delineator.colour_strokes(draft)
