from __future__ import annotations

from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest

from napari_flim.engine.markers import MarkerSet
from napari_flim.errors import FileError, FlimWarning, MarkerError
from napari_flim.io.markers import find_marker_file, read_marker_stack, read_markers
from napari_flim.io.results import write_labels
from napari_flim.io.seeds import write_seeds

LABELS = np.array([[0, 1, 1, 0], [2, 0, 0, 0], [2, 0, 3, 0]], np.uint8)


@pytest.mark.parametrize('ending', ['.tif', '.tiff', '.png', '.npy', '.nii.gz', '-seeds.txt'])
def test_every_kind_is_found_by_its_stem(tmp_path: Path, ending: str) -> None:
    (tmp_path / f'a.1{ending}').write_text('x')
    assert find_marker_file(tmp_path, 'images/a.1.jpg') == tmp_path / f'a.1{ending}'


def test_only_the_exact_stem_pairs(tmp_path: Path) -> None:
    for name in ('11-seeds.txt', '1-seeds-old.txt', 'x1.tif', '1.txt', '1.png.tif'):
        (tmp_path / name).write_text('x')
    assert find_marker_file(tmp_path, 'images/1.jpg') is None


def test_two_marker_files_for_one_image_are_refused(tmp_path: Path) -> None:
    for name in ('a.tif', 'a-seeds.txt'):
        (tmp_path / name).write_text('x')
    with pytest.raises(FileError, match=r'a\.tif and a-seeds\.txt'):
        find_marker_file(tmp_path, 'images/a.jpg')


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match='absent'):
        find_marker_file(tmp_path / 'absent', 'a.jpg')


def test_label_images_and_seeds_give_the_same_markers(tmp_path: Path) -> None:
    expected = MarkerSet.from_labels(LABELS)
    write_labels(tmp_path / 'a.tif', LABELS, (1, 1))
    imageio.imwrite(tmp_path / 'a.png', LABELS)
    np.save(tmp_path / 'a.npy', LABELS)
    write_seeds(tmp_path / 'a-seeds.txt', expected)
    for name in ('a.tif', 'a.png', 'a.npy', 'a-seeds.txt'):
        found = read_markers(tmp_path / name, LABELS.shape)
        np.testing.assert_array_equal(found.coordinates, expected.coordinates)
        np.testing.assert_array_equal(found.classes, expected.classes)
        np.testing.assert_array_equal(found.markers, expected.markers)
    assert read_markers(tmp_path / 'a.tif', LABELS.shape, across_classes=True).count == 2


def test_a_label_image_of_another_shape_is_refused_with_both_shapes(tmp_path: Path) -> None:
    write_labels(tmp_path / 'a.tif', LABELS, (1, 1))
    with pytest.raises(MarkerError, match=r'\(3, 4\).*\(4, 3\)'):
        read_markers(tmp_path / 'a.tif', (4, 3))


def test_background_and_orientation_reach_the_seeds(tmp_path: Path) -> None:
    (tmp_path / 'a-seeds.txt').write_text('2 6 5 4\n0 0 0 -1 1 0\n1 0 0 -1 2 0\n')
    found = read_markers(tmp_path / 'a-seeds.txt', (4, 5, 6), background=1, orientation='RPS')
    assert found.classes.tolist() == [1, 2]
    assert found.coordinates.tolist() == [[0, 0, 5], [0, 0, 4]]
    with pytest.warns(FlimWarning, match='label 1 may mean background'):
        read_markers(tmp_path / 'a-seeds.txt', (4, 5, 6))


def test_an_image_is_not_taken_for_its_own_markers(tmp_path: Path) -> None:
    for name in ('a.tif', 'a-seeds.txt', 'b.tif'):
        (tmp_path / name).write_text('x')
    assert find_marker_file(tmp_path, tmp_path / 'a.tif') == tmp_path / 'a-seeds.txt'
    assert find_marker_file(tmp_path, tmp_path / 'b.tif') is None


def test_a_stack_of_markers_gives_those_of_each_image(tmp_path: Path) -> None:
    write_labels(tmp_path / 's.tif', np.stack([LABELS, LABELS[::-1]]), (1, 1, 1))
    first, second = read_marker_stack(tmp_path / 's.tif', LABELS.shape, 2)
    np.testing.assert_array_equal(first.classes, MarkerSet.from_labels(LABELS).classes)
    np.testing.assert_array_equal(second.flat, MarkerSet.from_labels(LABELS[::-1]).flat)
    joined = read_marker_stack(tmp_path / 's.tif', LABELS.shape, 2, across_classes=True)
    assert [m.count for m in joined] == [2, 2]


def test_a_stack_of_another_number_of_markers_is_refused(tmp_path: Path) -> None:
    write_labels(tmp_path / 's.tif', np.stack([LABELS, LABELS]), (1, 1, 1))
    with pytest.raises(MarkerError, match=r'shape \(2, 3, 4\); a stack of 3 .*\(3, 3, 4\)'):
        read_marker_stack(tmp_path / 's.tif', LABELS.shape, 3)
