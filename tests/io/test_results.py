from __future__ import annotations

import tempfile
from pathlib import Path

import imageio.v3 as imageio
import nibabel
import numpy as np
import pandas
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_flim.errors import FileError
from napari_flim.io.images import read_image
from napari_flim.io.results import read_labels, write_labels, write_saliency, write_table

SHAPES = hnp.array_shapes(min_dims=2, max_dims=3, max_side=6)


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(st.sampled_from([np.uint8, np.uint16, np.uint32]), SHAPES),
    st.floats(0.01, 100),
)
def test_labels_come_back_exactly(labels: np.ndarray, size: float) -> None:
    spacing = (2.5, 1.0, size)[-labels.ndim :]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'labels.tif'
        write_labels(path, labels, spacing)
        np.testing.assert_array_equal(read_labels(path), labels)
        assert tifffile.imread(path).shape == labels.shape
        image = read_image(path)
        assert (image.channels, image.rgb) == (1, False)
        np.testing.assert_allclose(image.spacing, spacing, rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(hnp.arrays(np.float32, SHAPES, elements=st.floats(0, 1, width=32)), st.integers(0, 4))
def test_saliency_comes_back_exactly(saliency: np.ndarray, classes: int) -> None:
    spacing = (2.0, 0.5, 0.25)[-saliency.ndim :]
    maps = np.stack([saliency] * classes) if classes else saliency
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'saliency.tif'
        write_saliency(path, maps, spacing)
        image = read_image(path)
        np.testing.assert_array_equal(image.data, maps if classes else maps[np.newaxis])
        assert image.data.dtype == np.float32
        assert tifffile.imread(path).shape == maps.shape
        np.testing.assert_allclose(image.spacing, spacing, rtol=1e-6)


@pytest.mark.parametrize(
    ('largest', 'dtype'),
    [(255, np.uint8), (256, np.uint16), (65535, np.uint16), (65536, np.uint32)],
)
def test_labels_take_the_smallest_type(tmp_path: Path, largest: int, dtype: type) -> None:
    write_labels(tmp_path / 'a.tif', np.array([[0, largest]]), (1, 1))
    assert tifffile.imread(tmp_path / 'a.tif').dtype == dtype


def test_a_volume_keeps_axes_and_voxel_size_for_fiji(tmp_path: Path) -> None:
    write_labels(tmp_path / 'a.tif', np.zeros((4, 5, 6), np.uint8), (3, 0.5, 0.25))
    with tifffile.TiffFile(tmp_path / 'a.tif') as file:
        assert file.is_imagej
        assert file.series[0].axes == 'ZYX'
        assert file.imagej_metadata is not None
        assert file.imagej_metadata['spacing'] == 3
        assert file.pages.first.compression == tifffile.COMPRESSION.ADOBE_DEFLATE


@pytest.mark.parametrize(
    'labels', [np.array([[-1, 0]]), np.array([[0.5, 1]]), np.array([[2**32, 0]])]
)
def test_labels_that_are_not_labels_are_not_written(tmp_path: Path, labels: np.ndarray) -> None:
    with pytest.raises(FileError):
        write_labels(tmp_path / 'a.tif', labels, (1, 1))
    assert not list(tmp_path.iterdir())


def test_a_wrong_ending_or_rank_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r'\.tif'):
        write_labels(tmp_path / 'a.png', np.zeros((4, 5), np.uint8), (1, 1))
    with pytest.raises(FileError, match='voxel size'):
        write_labels(tmp_path / 'a.tif', np.zeros((3, 4, 5), np.uint8), (1, 1))
    with pytest.raises(FileError, match='voxel size'):
        write_saliency(tmp_path / 'a.tif', np.zeros((2, 3, 4, 5, 6)), (1, 1, 1))


def test_a_mask_png_keeps_0_and_255(tmp_path: Path) -> None:
    mask = np.array([[0, 255], [255, 0]], np.uint8)
    imageio.imwrite(tmp_path / 'grey.png', mask)
    imageio.imwrite(tmp_path / 'rgb.png', np.stack([mask] * 3, axis=-1))
    np.testing.assert_array_equal(read_labels(tmp_path / 'grey.png'), mask)
    np.testing.assert_array_equal(read_labels(tmp_path / 'rgb.png'), mask)


def test_a_colour_picture_is_no_label_image(tmp_path: Path) -> None:
    imageio.imwrite(tmp_path / 'a.png', np.arange(60, dtype=np.uint8).reshape(4, 5, 3))
    with pytest.raises(FileError, match='3 channels'):
        read_labels(tmp_path / 'a.png')


def test_bool_and_whole_float_labels_become_integers(tmp_path: Path) -> None:
    np.save(tmp_path / 'a.npy', np.array([[True, False]]))
    nibabel.save(
        nibabel.Nifti1Image(np.full((4, 5, 6), 2, np.float32), np.eye(4)), tmp_path / 'b.nii.gz'
    )
    assert read_labels(tmp_path / 'a.npy').tolist() == [[1, 0]]
    labels = read_labels(tmp_path / 'b.nii.gz')
    assert (labels.dtype.kind, labels.shape, labels.max()) == ('i', (6, 5, 4), 2)


def test_fractions_are_no_labels(tmp_path: Path) -> None:
    np.save(tmp_path / 'a.npy', np.array([[0.5, 1.0]]))
    with pytest.raises(FileError, match='fractions'):
        read_labels(tmp_path / 'a.npy')


def test_a_table_is_plain_csv_with_whole_numbers_kept_whole(tmp_path: Path) -> None:
    table = pandas.DataFrame({'label': [1, 2], 'area (µm²)': [0.1 + 0.2, 1234567.0]})
    write_table(tmp_path / 'objects.csv', table)
    expected = 'label,area (µm²)\n1,0.3\n2,1234567\n'
    assert (tmp_path / 'objects.csv').read_bytes() == expected.encode('utf-8')
    with pytest.raises(FileError, match='does not exist'):
        write_table(tmp_path / 'nowhere' / 'objects.csv', table)
