from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_flim.engine.markers import MarkerSet
from napari_flim.errors import FileError, FlimWarning, MarkerError
from napari_flim.io.seeds import Seeds, read_seeds, seeds_to_markers, write_seeds

GOLDEN = Path(__file__).parents[1] / 'golden' / 'libift'


def seeds(coordinates: Any, labels: Any, size: tuple[int, ...]) -> Seeds:
    voxels = np.array(coordinates, dtype=np.int64).reshape(-1, len(size))
    return Seeds(voxels, np.array(labels), np.full(len(voxels), -1), size)


def test_both_2d_layouts_give_the_same_seeds() -> None:
    older = read_seeds(GOLDEN / 'markers4' / 'img1-seeds.txt')
    newer = read_seeds(GOLDEN / 'markers5' / 'img1-seeds.txt')
    for found in (older, newer):
        assert (len(found), found.size) == (61, (56, 72))
        assert found.coordinates[:2].tolist() == [[5, 3], [5, 4]]
        assert set(found.labels.tolist()) == {0, 1}
        assert set(found.strokes.tolist()) == {-1}
    np.testing.assert_array_equal(older.coordinates, newer.coordinates)
    np.testing.assert_array_equal(older.labels, newer.labels)


def test_a_3d_file_is_z_y_x_in_memory() -> None:
    found = read_seeds(GOLDEN / 'h_3d' / 'markers' / 'v-seeds.txt')
    assert found.size == (16, 18, 20)
    assert found.coordinates[0].tolist() == [4, 5, 3]
    assert found.labels[0] == 1


def test_background_becomes_class_1_and_objects_2_and_up() -> None:
    markers = seeds_to_markers(seeds([[0, 0], [3, 2], [1, 4]], [0, 1, 2], (5, 6)), (5, 6))
    assert markers.coordinates.tolist() == [[0, 0], [3, 2], [1, 4]]
    assert markers.classes.tolist() == [1, 2, 3]


def test_labels_from_1_warn_and_can_be_shifted() -> None:
    found = seeds([[0, 0], [3, 2]], [1, 2], (5, 6))
    with pytest.warns(FlimWarning, match='background=1'):
        markers = seeds_to_markers(found, (5, 6))
    assert markers.classes.tolist() == [2, 3]
    assert seeds_to_markers(found, (5, 6), background=1).classes.tolist() == [1, 2]


def test_a_label_below_the_background_is_refused() -> None:
    with pytest.raises(MarkerError, match='Class 0'):
        seeds_to_markers(seeds([[0, 0], [1, 1]], [0, 1], (5, 6)), (5, 6), background=1)


def test_seeds_of_another_size_are_moved_by_cell_centres() -> None:
    found = seeds([[0, 0], [1, 1], [3, 7]], [0, 1, 0], (4, 8))
    with pytest.warns(FlimWarning, match='rescaled'):
        larger = seeds_to_markers(found, (8, 16))
    assert larger.coordinates.tolist() == [[1, 1], [3, 3], [7, 15]]
    with pytest.warns(FlimWarning, match='rescaled'):
        smaller = seeds_to_markers(found, (2, 4))
    assert smaller.coordinates.tolist() == [[0, 0], [1, 3]]


def test_seeds_outside_the_image_are_left_out_with_a_warning() -> None:
    found = seeds([[0, 0], [5, 0], [-1, 2]], [0, 1, 1], (5, 6))
    with pytest.warns(FlimWarning, match='2 of 3 seeds'):
        markers = seeds_to_markers(found, (5, 6))
    assert markers.coordinates.tolist() == [[0, 0]]


def test_seeds_of_another_rank_are_refused() -> None:
    with pytest.raises(MarkerError, match='2 axes'):
        seeds_to_markers(seeds([[0, 0]], [0], (5, 6)), (4, 5, 6))


@pytest.mark.parametrize(
    ('orientation', 'shape', 'expected'),
    [
        ('LPS', (4, 5, 6), [1, 2, 3]),
        ('RAS', (4, 5, 6), [1, 2, 2]),
        ('LPI', (4, 5, 6), [2, 2, 3]),
        ('PSL', (6, 4, 5), [3, 1, 2]),
    ],
)
def test_seeds_on_a_turned_volume_are_turned_back(
    orientation: str, shape: tuple[int, ...], expected: list[int]
) -> None:
    found = seeds([[1, 2, 3]], [0], (4, 5, 6))
    markers = seeds_to_markers(found, shape, orientation=orientation)
    assert markers.coordinates.tolist() == [expected]


def test_an_impossible_orientation_is_refused() -> None:
    with pytest.raises(MarkerError, match='RRS'):
        seeds_to_markers(seeds([[1, 2, 3]], [0], (4, 5, 6)), (4, 5, 6), orientation='RRS')


def test_touching_classes_are_one_marker_only_on_request() -> None:
    found = seeds([[0, 0], [0, 1]], [0, 1], (5, 6))
    assert seeds_to_markers(found, (5, 6)).count == 2
    assert seeds_to_markers(found, (5, 6), across_classes=True).count == 1


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        np.uint8,
        hnp.array_shapes(min_dims=2, max_dims=3, max_side=7),
        elements=st.integers(0, 3),
    ),
    st.sampled_from([4, 5]),
)
def test_markers_come_back_exactly(labels: np.ndarray, columns: Any) -> None:
    markers = MarkerSet.from_labels(labels)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'a-seeds.txt'
        write_seeds(path, markers, columns)
        found = read_seeds(path)
        rows = path.read_text().splitlines()[1:]
    assert {len(row.split()) for row in rows} <= {6 if labels.ndim == 3 else columns}
    np.testing.assert_array_equal(found.strokes, markers.markers + 1)
    np.testing.assert_array_equal(found.coordinates, markers.coordinates)
    np.testing.assert_array_equal(found.labels, markers.classes - 1)


def test_golden_seeds_are_written_back_in_their_layout(tmp_path: Path) -> None:
    for folder, columns in (('markers4', 4), ('markers5', 5)):
        path = GOLDEN / folder / 'img1-seeds.txt'
        markers = seeds_to_markers(read_seeds(path), (56, 72))
        write_seeds(tmp_path / 'a.txt', markers, columns)  # type: ignore[arg-type]
        written = [line.split() for line in (tmp_path / 'a.txt').read_text().splitlines()]
        original = [line.split() for line in path.read_text().splitlines()]
        assert [row[:2] + row[3:] for row in written] == [row[:2] + row[3:] for row in original]


def test_another_number_of_columns_is_refused(tmp_path: Path) -> None:
    markers = MarkerSet.from_labels(np.eye(3, dtype=np.uint8))
    with pytest.raises(FileError, match=r'4 .* or 5'):
        write_seeds(tmp_path / 'a.txt', markers, 6)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('', 'empty'),
        ('\n \n', 'empty'),
        ('2 5\n1 1 -1 0\n1 2 -1 0\n', 'line 1'),
        ('2 5 6 7 8\n', 'line 1'),
        ('1 0 6\n1 1 -1 0\n', 'line 1'),
        ('-1 5 6\n', 'line 1'),
        ('3 5 6\n1 1 -1 0\n1 2 -1 0\n', 'line 1.*3 seeds.*2 rows'),
        ('2 5 6\n1 1 -1 0\n1 2 -1\n', 'line 3'),
        ('2 5 6\n1 1 -1 0\n1 2 -1 0 0\n', 'line 3'),
        ('1 5 6\n1 1 -1 0 0 0\n', 'line 2'),
        ('1 5 6 7\n1 1 1 -1 0\n', 'line 2'),
        ('2 5 6\n1 1 -1 0\n\n1 x -1 0\n', 'line 4'),
        ('1 5 6\n1.5 1 -1 0\n', 'line 2'),
        ('n 5 6\n', 'line 1'),
    ],
)
def test_a_damaged_file_names_the_line(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / 'a-seeds.txt').write_text(text)
    with pytest.raises(FileError, match=f'a-seeds.txt.*{reason}'):
        read_seeds(tmp_path / 'a-seeds.txt')


def test_a_missing_or_binary_file_gives_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / 'a.txt').write_bytes(b'\xff\xfe\x00\x81')
    with pytest.raises(FileError, match='not a text file'):
        read_seeds(tmp_path / 'a.txt')
    with pytest.raises(FileError, match='absent'):
        read_seeds(tmp_path / 'absent.txt')
