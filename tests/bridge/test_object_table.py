"""The table beside the objects: it measures those in view, and is saved like that of a command."""

from __future__ import annotations

import numpy as np
import pytest

from napari_flim.bridge import object_table
from napari_flim.errors import DelineationError
from napari_flim.io.results import write_table


@pytest.mark.filterwarnings('ignore:.*they are read as dark')
def test_an_image_with_voxels_that_are_not_finite_has_a_table(new_desk, scene):
    desk = new_desk()
    image = scene.image.astype(np.float32)
    image[-1, -1] = np.nan
    _, markers = desk.open(image)
    desk.paint_both(markers)
    desk.controller.delineator.delineate()
    ids = desk.controller.delineator.draft.ids()
    assert ids
    assert desk.controller.table.frame['label'].tolist() == ids


def test_objects_that_cannot_be_measured_leave_no_rows_of_others(desk, monkeypatch):
    delineator, table = desk.controller.delineator, desk.controller.table
    delineator.delineate()
    assert len(table.frame)

    def refuse(_draft):
        raise DelineationError('cannot be measured')
        yield

    monkeypatch.setattr(object_table, 'measured', refuse)
    delineator.delete(delineator.draft.ids()[:1])
    assert (table.frame, table.draft) == (None, None)
    assert delineator.message.text == 'cannot be measured'


def test_a_file_that_cannot_be_written_leaves_the_table(desk, tmp_path):
    desk.controller.delineator.delineate()
    table = desk.controller.table
    table.save(tmp_path / 'nowhere' / 'objects.csv')
    assert 'nowhere' in desk.controller.delineator.message.text
    assert len(table.frame)


def test_the_table_is_saved_as_commands_save_it(desk, tmp_path):
    desk.controller.delineator.delineate()
    table = desk.controller.table
    assert 'mean_intensity' in table.frame.columns
    table.save(tmp_path / 'dock.csv')
    write_table(tmp_path / 'command.csv', table.frame)
    assert (tmp_path / 'dock.csv').read_bytes() == (tmp_path / 'command.csv').read_bytes()
    assert b'\r' not in (tmp_path / 'dock.csv').read_bytes()
