from __future__ import annotations

import pickle
from pathlib import Path

import imagecodecs
import nibabel
import numpy as np
import pydicom
import pytest
from pydicom import uid
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from napari_flim.errors import FileError
from napari_flim.io import dicom
from napari_flim.io.images import list_images, read_image, read_images, stem
from napari_flim.io.results import write_labels

SERIES = generate_uid()
VOXELS = np.random.default_rng(1).integers(0, 3000, (5, 6, 7)).astype(np.uint16)


def dataset(pixels: np.ndarray, position: tuple[float, ...] | None, **tags: object) -> FileDataset:
    """A slice of a CT of 0.5 x 0.75 mm (x, y), lying as most do unless tags say otherwise."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset('', {}, file_meta=meta, preamble=b'\0' * 128)
    made.SOPClassUID = CTImageStorage
    made.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    made.SeriesInstanceUID = SERIES
    made.SeriesDescription = 'thorax'
    made.Rows, made.Columns = pixels.shape[-2:]
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, 'MONOCHROME2'
    made.BitsAllocated = made.BitsStored = 16
    made.HighBit, made.PixelRepresentation = 15, int(pixels.dtype.kind == 'i')
    made.PixelSpacing = [0.75, 0.5]
    made.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    if position is not None:
        made.ImagePositionPatient = list(position)
    for name, value in tags.items():
        setattr(made, name, value)
    made.PixelData = pixels.tobytes()
    return made


def series(
    folder: Path, places: list[float], names: list[str] | None = None, **tags: object
) -> Path:
    """Slices at some heights, in files whose names are in another order."""
    folder.mkdir(exist_ok=True)
    for number, place in enumerate(places):
        name = names[number] if names else f'{(7 * number) % 11:02d}.dcm'
        made = dataset(VOXELS[number], (-10.0, 20.0, place), InstanceNumber=99 - number, **tags)
        made.save_as(folder / name)
    return folder


def test_slices_are_sorted_by_position_not_by_name(tmp_path: Path) -> None:
    folder = series(tmp_path / 'ct.1', [-30.0, -27.5, -25.0, -22.5, -20.0])
    assert list_images([folder]) == [folder]
    assert stem(folder) == 'ct.1'
    image = read_image(folder)
    np.testing.assert_array_equal(image.data[0], VOXELS)
    assert (image.spacing, image.placement.unit) == ((2.5, 0.75, 0.5), 'millimeter')


def test_slices_without_an_ending_are_found(tmp_path: Path) -> None:
    names = ['IM0001', 'IM0002', '1.2.840.5', '1.2.840.4', 'IM0003']
    folder = series(tmp_path / 'ct', [0.0, 1, 2, 3, 4], names)
    np.testing.assert_array_equal(read_image(folder).data[0], VOXELS)


@pytest.mark.parametrize(
    ('slope', 'intercept', 'bits', 'dtype'),
    [(1, -1024, 12, np.int16), (1, -1024, 16, np.int32), (0.5, -3, 12, np.float32)],
)
def test_values_are_hounsfield_units(
    tmp_path: Path, slope: float, intercept: float, bits: int, dtype: type
) -> None:
    tags = {'RescaleSlope': slope, 'RescaleIntercept': intercept}
    tags |= {'BitsStored': bits, 'HighBit': bits - 1}
    image = read_image(series(tmp_path / 'ct', [0.0, 1, 2, 3, 4], **tags))
    assert image.data.dtype == dtype
    np.testing.assert_array_equal(image.data[0], (VOXELS * float(slope) + intercept).astype(dtype))


def test_a_label_map_lies_over_the_series_in_the_patient(tmp_path: Path) -> None:
    """Every voxel is where the equation of DICOM (C.7.6.2.1.1) puts it, with x and y turned."""
    along_x, along_y = np.array([0.0, 1, 0]), np.array([0.0, 0, -1])
    normal = np.cross(along_x, along_y)
    first = np.array([5.0, -7, 9])
    (tmp_path / 'mr').mkdir()
    for number in range(5):
        made = dataset(VOXELS[number], tuple(first + 3 * number * normal))
        made.ImageOrientationPatient = [*along_x, *along_y]
        made.save_as(tmp_path / 'mr' / f'{9 - number}.dcm')
    image = read_image(tmp_path / 'mr')
    np.testing.assert_array_equal(image.data[0], VOXELS)
    write_labels(tmp_path / 'labels.nii.gz', image.data[0], image)
    labels = nibabel.load(tmp_path / 'labels.nii.gz')
    x, y, z = 4, 2, 3
    left, back, head = first + 0.5 * x * along_x + 0.75 * y * along_y + 3 * z * normal
    np.testing.assert_allclose(labels.affine @ (x, y, z, 1), (-left, -back, head, 1), atol=1e-5)
    assert np.asarray(labels.dataobj)[x, y, z] == VOXELS[z, y, x]


def test_a_missing_slice_is_named_by_its_neighbours(tmp_path: Path) -> None:
    folder = series(tmp_path / 'ct', [0.0, 2, 4, 8, 10])
    with pytest.raises(FileError, match='slice is missing between .* 4 mm apart') as caught:
        read_images(folder)
    assert '\n' not in str(caught.value)


def test_rounded_positions_are_no_missing_slices(tmp_path: Path) -> None:
    folder = series(tmp_path / 'ct', [0.0, 0.6, 1.3, 1.9, 2.5])
    assert read_image(folder).spacing[0] == pytest.approx(0.625)


def test_two_slices_at_one_place_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match='same position'):
        read_images(series(tmp_path / 'ct', [0.0, 2, 2, 4, 6]))


@pytest.mark.parametrize(
    ('tags', 'reason'),
    [
        (
            {'SeriesInstanceUID': generate_uid(), 'SeriesDescription': 'scout'},
            '2 DICOM series.*scout',
        ),
        ({'PixelSpacing': [1, 1]}, 'different voxel size'),
        ({'ImageOrientationPatient': [0, 1, 0, 0, 0, 1]}, 'different orientation'),
        ({'Rows': 7, 'Columns': 6}, 'different size'),
    ],
)
def test_a_mixed_folder_gives_one_clear_error(tmp_path: Path, tags: dict, reason: str) -> None:
    folder = series(tmp_path / 'ct', [0.0, 2, 4, 6])
    dataset(VOXELS[4], (-10.0, 20.0, 8.0), **tags).save_as(folder / 'other.dcm')
    with pytest.raises(FileError, match=reason):
        read_images(folder)


def test_slices_without_position_are_not_put_in_any_order(tmp_path: Path) -> None:
    (tmp_path / 'ct').mkdir()
    for number in range(3):
        dataset(VOXELS[number], None).save_as(tmp_path / 'ct' / f'{number}.dcm')
    with pytest.raises(FileError, match='order is unknown'):
        read_images(tmp_path / 'ct')


def test_a_single_file_is_an_image(tmp_path: Path) -> None:
    dataset(VOXELS[0], (1.0, 2, 3)).save_as(tmp_path / 'a.dcm')
    image = read_image(tmp_path / 'a.dcm')
    np.testing.assert_array_equal(image.data, VOXELS[:1])
    assert image.spacing == (0.75, 0.5)


def test_frames_of_one_file_are_sorted_too(tmp_path: Path) -> None:
    order = [3, 0, 4, 1, 2]
    made = dataset(VOXELS[order], None, NumberOfFrames=5)
    made.Rows, made.Columns = 6, 7
    frames = []
    for number in order:
        place = pydicom.Dataset()
        place.ImagePositionPatient = [0, 0, 1.5 * number]
        frame = pydicom.Dataset()
        frame.PlanePositionSequence = Sequence([place])
        frames.append(frame)
    made.PerFrameFunctionalGroupsSequence = Sequence(frames)
    made.save_as(tmp_path / 'a.dcm')
    image = read_image(tmp_path / 'a.dcm')
    np.testing.assert_array_equal(image.data[0], VOXELS)
    assert image.spacing == (1.5, 0.75, 0.5)


def pack_jpeg_2000(plane: np.ndarray) -> bytes:
    return imagecodecs.jpeg2k_encode(plane, reversible=True, level=0)


@pytest.mark.parametrize(
    ('syntax', 'pack', 'dtype'),
    [
        (uid.JPEGLosslessSV1, imagecodecs.ljpeg_encode, np.uint16),
        (uid.JPEGLosslessSV1, imagecodecs.ljpeg_encode, np.int16),
        (uid.JPEGLSLossless, imagecodecs.jpegls_encode, np.uint16),
        (uid.JPEGLSLossless, imagecodecs.jpegls_encode, np.int16),
        (uid.JPEG2000Lossless, pack_jpeg_2000, np.uint16),
    ],
)
def test_packed_slices_are_unpacked(tmp_path: Path, syntax, pack, dtype: type) -> None:
    (tmp_path / 'ct').mkdir()
    values = VOXELS.astype(np.int32) - (0 if dtype == np.uint16 else 1000)
    for number in range(5):
        plane = values[number].astype(dtype)
        made = dataset(plane, (0.0, 0, number))
        made.file_meta.TransferSyntaxUID = syntax
        made.PixelData = encapsulate([pack(plane.view(np.uint16))])
        made['PixelData'].is_undefined_length = True
        made.save_as(tmp_path / 'ct' / f'{number}.dcm')
    np.testing.assert_array_equal(read_image(tmp_path / 'ct').data[0], values)


def test_a_large_series_is_read_slice_by_slice(monkeypatch, tmp_path: Path) -> None:
    folder = series(tmp_path / 'ct', [0.0, 1, 2, 3, 4])
    monkeypatch.setattr(dicom, 'LARGE', 10)
    image = pickle.loads(pickle.dumps(read_image(folder)))
    assert image.lazy
    np.testing.assert_array_equal(image.in_memory().data[0], VOXELS)
    box = (slice(1, 3), slice(2, 5), slice(3, 7))
    np.testing.assert_array_equal(image.crop(box).data[0], VOXELS[box])


@pytest.mark.parametrize('share', [0.05, 0.4, 0.9])
def test_a_truncated_slice_is_named(tmp_path: Path, share: float) -> None:
    folder = series(tmp_path / 'ct', [0.0, 1, 2, 3, 4])
    damaged = folder / '03.dcm'
    content = damaged.read_bytes()
    damaged.write_bytes(content[: int(share * len(content))])
    with pytest.raises(FileError, match=r'03\.dcm') as caught:
        read_images(folder)
    assert '\n' not in str(caught.value)


def test_a_folder_with_slices_and_pictures_is_not_guessed(tmp_path: Path) -> None:
    folder = series(tmp_path / 'ct', [0.0, 1, 2])
    (folder / 'a.png').write_text('x')
    with pytest.raises(FileError, match='folder of their own'):
        list_images([folder])
