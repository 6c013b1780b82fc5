"""Ids of objects that are found anew."""

from __future__ import annotations

import numpy as np

from napari_flim.delineation.delineate import Objects
from napari_flim.delineation.inputs import BACKGROUND
from napari_flim.delineation.seed_settings import SeedSettings
from napari_flim.session.corrections import Corrections, Decisions, Edits
from napari_flim.session.planting import settled


def test_an_object_that_grows_over_a_deleted_one_does_not_take_its_id():
    labels = np.zeros((12, 12), np.int32)
    labels[1:11, 1:11] = 1
    # Object 1 was small, at the corner of object 2, and object 1 was deleted.
    corner, middle = 13, 78
    decisions = Decisions(np.array([corner]), np.array([BACKGROUND], np.int32), renamed={1: 0})
    anchors = {1: corner, 2: middle}
    corrections = Corrections(edits=Edits(decisions), anchors=anchors)
    found = settled(Objects(labels, (2,)), SeedSettings(), corrections, (1.0, 1.0))
    assert found.labels[6, 6] == found.labels[1, 1] == 2
    unknown = Corrections(edits=Edits(decisions), anchors={1: corner})
    found = settled(Objects(labels, (2,)), SeedSettings(), unknown, (1.0, 1.0))
    assert found.labels[6, 6] not in (0, 1)


def test_an_object_that_was_merged_into_another_has_the_id_of_that_one():
    labels = np.zeros((12, 12), np.int32)
    labels[1:11, 1:11] = 1
    corrections = Corrections(edits=Edits(Decisions(renamed={3: 2})), anchors={3: 78})
    found = settled(Objects(labels, (2,)), SeedSettings(), corrections, (1.0, 1.0))
    assert found.labels[6, 6] == 2
