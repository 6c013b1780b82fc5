from __future__ import annotations

import pickle
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.affines import from_matvec
from scipy.spatial.transform import Rotation

from napari_flim.engine.image import read_array
from napari_flim.errors import FileError
from napari_flim.io import nifti
from napari_flim.io.images import read_image, read_images
from napari_flim.io.result_writer import create_result
from napari_flim.io.results import write_labels, write_saliency

RANDOM = np.random.default_rng(3)


def oblique(seed: int, sizes: tuple[float, ...] = (0.7, 0.9, 2.5)) -> np.ndarray:
    turn = Rotation.random(random_state=seed).as_matrix() * np.array(sizes)
    return from_matvec(turn, (-31.5, 12.25, 88.0))


def save(path: Path, affine: np.ndarray, shape=(7, 6, 5), qcode=1, scode=1, unit='mm') -> Path:
    image = nibabel.Nifti1Image(RANDOM.integers(0, 99, shape).astype(np.int16), affine)
    image.header.set_xyzt_units(unit)
    image.set_qform(affine, qcode)
    image.set_sform(affine, scode)
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize('ending', ['nii', 'nii.gz'])
@pytest.mark.parametrize('codes', [(1, 1), (0, 2), (1, 0), (4, 3)])
@pytest.mark.parametrize('seed', range(3))
def test_labels_lie_exactly_over_their_scan(
    tmp_path: Path, ending: str, codes: tuple[int, int], seed: int
) -> None:
    scan = save(tmp_path / 'scan.nii', oblique(seed), qcode=codes[0], scode=codes[1])
    image = read_image(scan)
    write_labels(tmp_path / f'labels.{ending}', (image.data[0] > 50).astype(np.uint8), image)
    was, labels = nibabel.load(scan), nibabel.load(tmp_path / f'labels.{ending}')
    np.testing.assert_allclose(labels.affine, was.affine, atol=1e-5)
    for name in ('qform_code', 'sform_code'):
        assert int(labels.header[name]) == int(was.header[name])
    if codes[0]:
        np.testing.assert_allclose(labels.get_qform(), was.get_qform(), atol=1e-5)
    assert labels.header.get_zooms() == was.header.get_zooms()
    assert labels.header.get_xyzt_units()[0] == 'mm'
    np.testing.assert_array_equal(np.asarray(labels.dataobj), np.asarray(was.dataobj) > 50)
    assert labels.get_data_dtype() == np.uint8


def test_two_matrices_that_differ_are_both_kept(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.zeros((4, 5, 6), np.uint8), oblique(1))
    image.set_sform(oblique(2), 2)
    image.set_qform(oblique(1), 1)
    nibabel.save(image, tmp_path / 'scan.nii')
    read = read_image(tmp_path / 'scan.nii')
    write_labels(tmp_path / 'labels.nii', read.data[0], read)
    labels = nibabel.load(tmp_path / 'labels.nii')
    np.testing.assert_allclose(labels.get_sform(), oblique(2), atol=1e-5)
    np.testing.assert_allclose(labels.get_qform(), oblique(1), atol=1e-5)


def test_a_scan_without_any_matrix_stays_without(tmp_path: Path) -> None:
    scan = save(tmp_path / 'scan.nii', np.diag([2.0, 2, 3, 1]), qcode=0, scode=0)
    image = read_image(scan)
    write_labels(tmp_path / 'labels.nii', image.data[0].astype(np.uint8), image)
    labels = nibabel.load(tmp_path / 'labels.nii')
    np.testing.assert_array_equal(labels.affine, nibabel.load(scan).affine)
    assert int(labels.header['sform_code']) == int(labels.header['qform_code']) == 0


@pytest.mark.parametrize('codes', [(1, 1), (0, 0), (1, 0)])
def test_a_part_of_a_scan_lies_where_it_was_cut(tmp_path: Path, codes: tuple[int, int]) -> None:
    affine = oblique(5) if any(codes) else np.diag([2.0, 2, 3, 1])
    scan = save(tmp_path / 'scan.nii', affine, qcode=codes[0], scode=codes[1])
    part = read_image(scan).crop((slice(2, 5), slice(1, 4), slice(3, 6)))
    write_labels(tmp_path / 'part.nii', part.data[0].astype(np.uint8), part)
    expected = nibabel.load(scan).slicer[3:6, 1:4, 2:5].affine
    np.testing.assert_allclose(nibabel.load(tmp_path / 'part.nii').affine, expected, atol=1e-4)


def test_a_slice_keeps_its_place_in_the_patient(tmp_path: Path) -> None:
    scan = save(tmp_path / 'scan.nii', oblique(4), shape=(7, 6, 1))
    image = read_image(scan)
    assert image.shape == (6, 7)
    write_labels(tmp_path / 'labels.nii.gz', image.data[0].astype(np.uint8), image)
    labels = nibabel.load(tmp_path / 'labels.nii.gz')
    assert labels.shape == (7, 6, 1)
    np.testing.assert_allclose(labels.affine, nibabel.load(scan).affine, atol=1e-5)


@pytest.mark.parametrize('ndim', [2, 3])
def test_saliency_of_several_classes_becomes_the_fifth_axis(tmp_path: Path, ndim: int) -> None:
    maps = RANDOM.random((3, 4, 5, 6)[: ndim + 1]).astype(np.float32)
    write_saliency(tmp_path / 'a.nii.gz', maps, (0.5,) * ndim)
    stored = nibabel.load(tmp_path / 'a.nii.gz')
    assert stored.shape[3:] == (1, 3)
    assert stored.header.get_intent()[0] == 'vector'
    np.testing.assert_array_equal(read_image(tmp_path / 'a.nii.gz').data, maps)


def test_an_image_without_matrix_is_placed_as_itk_places_it(tmp_path: Path) -> None:
    write_labels(tmp_path / 'a.nii', np.ones((4, 5, 6), np.uint8), (3, 2, 0.5))
    affine = nibabel.load(tmp_path / 'a.nii').affine
    np.testing.assert_allclose(affine, np.diag([-0.5, -2, 3, 1]))


def test_micrometres_are_stated(tmp_path: Path) -> None:
    scan = save(tmp_path / 'scan.nii', np.diag([2.0, 2, 3, 1]), unit='micron')
    image = read_image(scan)
    assert image.placement.unit == 'micrometer'
    write_labels(tmp_path / 'a.nii', image.data[0].astype(np.uint8), image)
    assert nibabel.load(tmp_path / 'a.nii').header.get_xyzt_units()[0] == 'micron'


def test_axes_named_by_the_user_part_the_image_from_its_matrix(tmp_path: Path) -> None:
    scan = save(tmp_path / 'scan.nii', oblique(1))
    assert read_images(scan, 'TYX')[0].placement.affine is None
    assert read_images(scan, 'zyx')[0].placement.affine is not None


def test_an_axis_too_long_for_nifti_1_makes_nifti_2(tmp_path: Path) -> None:
    labels = np.zeros((3, 40000), np.uint8)
    labels[1, 39999] = 9
    write_labels(tmp_path / 'a.nii.gz', labels, (1, 1))
    assert isinstance(nibabel.load(tmp_path / 'a.nii.gz'), nibabel.Nifti2Image)
    np.testing.assert_array_equal(read_image(tmp_path / 'a.nii.gz').data[0], labels)


@pytest.mark.parametrize('ending', ['nii', 'nii.gz'])
@pytest.mark.parametrize('shape', [(7, 6, 5), (7, 6, 5, 2), (7, 6, 1, 1, 3), (7, 6, 5, 1, 2)])
def test_a_large_file_is_read_where_it_is_cropped(
    monkeypatch, tmp_path: Path, ending: str, shape: tuple[int, ...]
) -> None:
    path = save(tmp_path / f'a.{ending}', oblique(2), shape=shape)
    nibabel.load(path)
    whole = read_images(path)
    monkeypatch.setattr(nifti, 'LARGE', 10)
    lazy = read_images(path)
    assert [image.lazy for image in lazy] == [True] * len(whole)
    for ours, expected in zip(lazy, whole, strict=True):
        assert (ours.placement, ours.spacing) == (expected.placement, expected.spacing)
        np.testing.assert_array_equal(ours.in_memory().data, expected.data)
        again = pickle.loads(pickle.dumps(ours))
        box = (slice(1, 3),) * ours.ndim
        np.testing.assert_array_equal(again.crop(box).data, expected.crop(box).data)


def test_slope_and_intercept_are_applied_lazily_too(monkeypatch, tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.eye(4))
    image.header.set_slope_inter(2, -1000)
    nibabel.save(image, tmp_path / 'a.nii')
    nibabel.load(tmp_path / 'a.nii')
    whole = read_image(tmp_path / 'a.nii')
    monkeypatch.setattr(nifti, 'LARGE', 10)
    lazy = read_image(tmp_path / 'a.nii')
    assert lazy.data.dtype == whole.data.dtype
    np.testing.assert_array_equal(lazy.in_memory().data, whole.data)


def test_what_a_large_packed_file_was_unpacked_to_is_removed(monkeypatch, tmp_path: Path) -> None:
    path = save(tmp_path / 'a.nii.gz', np.eye(4))
    (tmp_path / 'room').mkdir()
    monkeypatch.setattr(nifti, 'LARGE', 10)
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path / 'room'))
    image = read_image(path)
    assert list((tmp_path / 'room').iterdir())
    del image
    assert not list((tmp_path / 'room').iterdir())


@pytest.mark.parametrize('ending', ['nii', 'nii.gz'])
@pytest.mark.parametrize('share', [0.2, 0.6, 0.95])
def test_a_large_truncated_file_gives_one_clear_error(
    monkeypatch, tmp_path: Path, ending: str, share: float
) -> None:
    path = save(tmp_path / f'a.{ending}', np.eye(4), shape=(20, 20, 20))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    monkeypatch.setattr(nifti, 'LARGE', 10)
    with pytest.raises(FileError, match=r'a\.nii') as caught:
        read_images(path)
    assert '\n' not in str(caught.value)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), ending=st.sampled_from(['nii', 'nii.gz']))
def test_a_streamed_result_is_the_written_one(seed: int, ending: str, tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp('nifti')
    random = np.random.default_rng(seed)
    shape = tuple(int(n) for n in random.integers(1, 9, random.integers(2, 4)))
    image = read_array(np.zeros(shape), spacing=random.uniform(0.1, 3, len(shape)))
    labels = random.integers(0, 300, shape).astype(np.uint16)
    write_labels(folder / f'a.{ending}', labels, image)
    with create_result(
        folder / f'b.{ending}', shape, np.uint16, image, chunks=(3,) * len(shape)
    ) as result:
        result[(slice(None),) * len(shape)] = labels
        result.finish(np.uint8 if labels.max() < 256 else None)
    assert (folder / f'a.{ending}').read_bytes() == (folder / f'b.{ending}').read_bytes()
