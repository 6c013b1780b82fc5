from dataclasses import dataclass

import numpy as np
import pytest

from napari_flim.io.checkpoints import FolderCheckpoint


@dataclass(frozen=True, eq=False)
class Counted:
    voxels: int
    highest: float
    sums: np.ndarray


def test_results_of_tiles_come_back_as_they_were(tmp_path):
    FolderCheckpoint(tmp_path / 'work').save('weighing', 12, Counted(3, 0.5, np.arange(4)))
    again = FolderCheckpoint(tmp_path / 'work').finished('weighing', Counted)
    assert list(again) == [12]
    assert (again[12].voxels, again[12].highest) == (3, 0.5)
    assert type(again[12].voxels) is int
    np.testing.assert_array_equal(again[12].sums, np.arange(4))


def test_stages_do_not_mix(tmp_path):
    checkpoint = FolderCheckpoint(tmp_path)
    checkpoint.save('looking at the image', 0, Counted(1, 0.0, np.zeros(1)))
    assert not checkpoint.finished('looking', Counted)
    assert list(checkpoint.finished('looking at the image', Counted)) == [0]


def test_a_result_that_was_not_written_whole_is_not_there(tmp_path, monkeypatch):
    def fail(path, **content):
        path.write_bytes(b'half')
        raise OSError(28, 'No space left on device')

    checkpoint = FolderCheckpoint(tmp_path)
    monkeypatch.setattr('numpy.savez', fail)
    with pytest.raises(OSError, match='No space left'):
        checkpoint.save('weighing', 3, Counted(1, 0.0, np.zeros(1)))
    assert not checkpoint.finished('weighing', Counted)
