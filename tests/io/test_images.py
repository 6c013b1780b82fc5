from __future__ import annotations

import struct
import zlib
from pathlib import Path

import imageio.v3 as imageio
import nibabel
import numpy as np
import pytest
import tifffile

from napari_flim.errors import FileError, FlimWarning, ImageError
from napari_flim.io.images import list_images, read_image, read_images, stem

RANDOM = np.random.default_rng(7)


def values(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return RANDOM.integers(0, 200, shape).astype(dtype)


def write_colour_png(path: Path, array: np.ndarray, depth: int) -> None:
    """An RGB PNG of 8 or 16 bits, which Pillow cannot write with 16."""
    rows = b''.join(b'\0' + row.astype(f'>u{depth // 8}').tobytes() for row in array)
    header = struct.pack('>IIBBBBB', array.shape[1], array.shape[0], depth, 2, 0, 0, 0)
    parts = b'\x89PNG\r\n\x1a\n'
    for kind, data in ((b'IHDR', header), (b'IDAT', zlib.compress(rows)), (b'IEND', b'')):
        checksum = struct.pack('>I', zlib.crc32(kind + data))
        parts += struct.pack('>I', len(data)) + kind + data + checksum
    path.write_bytes(parts)


@pytest.mark.parametrize('ending', ['png', 'bmp'])
def test_a_lossless_picture_comes_back_as_rgb_channels_first(tmp_path: Path, ending: str) -> None:
    array = values(9, 7, 3)
    imageio.imwrite(tmp_path / f'a.{ending}', array)
    image = read_image(tmp_path / f'a.{ending}')
    assert image.rgb
    np.testing.assert_array_equal(image.data, np.moveaxis(array, -1, 0))


def test_a_jpeg_is_read_as_rgb(tmp_path: Path) -> None:
    imageio.imwrite(tmp_path / 'a.JPG', np.full((16, 24, 3), 90, np.uint8), extension='.jpg')
    image = read_image(tmp_path / 'a.JPG')
    assert (image.data.shape, image.rgb) == ((3, 16, 24), True)
    assert abs(int(image.data.mean()) - 90) < 3


def test_a_16_bit_grey_png_keeps_its_values(tmp_path: Path) -> None:
    array = values(6, 5, dtype=np.uint16) * 300
    imageio.imwrite(tmp_path / 'a.png', array)
    image = read_image(tmp_path / 'a.png')
    assert image.data.dtype == np.uint16
    np.testing.assert_array_equal(image.data[0], array)


def test_a_16_bit_colour_png_warns_that_bits_are_lost(tmp_path: Path) -> None:
    write_colour_png(tmp_path / 'a.png', values(4, 5, 3, dtype=np.uint16) * 300, 16)
    with pytest.warns(FlimWarning, match='16-bit colours'):
        read_image(tmp_path / 'a.png')


def test_a_palette_png_gives_colours_or_its_indices(tmp_path: Path) -> None:
    from PIL import Image as Picture

    indices = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
    picture = Picture.fromarray(indices).convert('P')
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 9, 255])
    picture.save(tmp_path / 'a.png')
    image = read_image(tmp_path / 'a.png')
    assert image.rgb
    assert image.data[:, 0, 2].tolist() == [0, 9, 255]
    np.testing.assert_array_equal(read_image(tmp_path / 'a.png', indices=True).data[0], indices)


def test_the_alpha_of_a_grey_png_is_dropped_with_a_warning(tmp_path: Path) -> None:
    array = values(6, 5, 2)
    imageio.imwrite(tmp_path / 'a.png', array, mode='LA')
    with pytest.warns(FlimWarning, match='alpha'):
        image = read_image(tmp_path / 'a.png')
    np.testing.assert_array_equal(image.data, array[np.newaxis, ..., 0])


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.float32, np.int16, '>u2'])
def test_a_plain_tiff_keeps_its_type_and_a_third_axis_is_z(tmp_path: Path, dtype: type) -> None:
    array = values(5, 6, 7, dtype=dtype)
    tifffile.imwrite(tmp_path / 'a.tif', array, photometric='minisblack')
    image = read_image(tmp_path / 'a.tif')
    assert image.shape == (5, 6, 7)
    assert image.data.dtype == np.dtype(dtype).newbyteorder('=')
    np.testing.assert_array_equal(image.data[0], array)


def test_an_rgb_tiff_is_rgb_in_any_depth(tmp_path: Path) -> None:
    array = values(6, 7, 3, dtype=np.uint16)
    tifffile.imwrite(tmp_path / 'a.tif', array, photometric='rgb')
    assert read_image(tmp_path / 'a.tif').rgb


def test_interleaved_channels_that_are_not_colours_stay_channels(tmp_path: Path) -> None:
    array = values(6, 7, 5, dtype=np.uint16)
    tifffile.imwrite(tmp_path / 'a.tif', array, photometric='minisblack', planarconfig='contig')
    image = read_image(tmp_path / 'a.tif')
    assert (image.channels, image.shape, image.rgb) == (5, (6, 7), False)


def test_pages_of_rgb_are_a_volume_of_rgb(tmp_path: Path) -> None:
    array = values(4, 6, 7, 3, dtype=np.uint16)
    tifffile.imwrite(tmp_path / 'a.tif', array, photometric='rgb')
    image = read_image(tmp_path / 'a.tif')
    assert (image.shape, image.rgb) == ((4, 6, 7), True)


def test_imagej_axes_and_voxel_size_are_read(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / 'a.tif',
        values(4, 2, 6, 7, dtype=np.uint16),
        imagej=True,
        resolution=(4, 2),
        metadata={'axes': 'ZCYX', 'spacing': 3.0, 'unit': 'um'},
    )
    image = read_image(tmp_path / 'a.tif')
    assert (image.channels, image.shape) == (2, (4, 6, 7))
    assert image.spacing == (3.0, 0.5, 0.25)


def test_ome_axes_and_voxel_size_in_micrometres_are_read(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / 'a.ome.tif',
        values(3, 4, 6, 7),
        metadata={
            'axes': 'CZYX',
            'PhysicalSizeX': 250.0,
            'PhysicalSizeXUnit': 'nm',
            'PhysicalSizeY': 0.5,
            'PhysicalSizeZ': 2.0,
        },
    )
    image = read_image(tmp_path / 'a.ome.tif')
    assert (image.channels, image.shape, image.rgb) == (3, (4, 6, 7), False)
    assert image.spacing == (2.0, 0.5, 0.25)


def test_the_print_resolution_of_a_tiff_is_no_voxel_size(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / 'a.tif', values(6, 7), resolution=(72, 300), resolutionunit='INCH')
    assert read_image(tmp_path / 'a.tif').spacing == (1, 1)


def test_a_time_series_gives_one_image_for_each_step(tmp_path: Path) -> None:
    array = values(3, 6, 7)
    tifffile.imwrite(tmp_path / 'a.tif', array, imagej=True, metadata={'axes': 'TYX'})
    images = read_images(tmp_path / 'a.tif')
    assert [image.shape for image in images] == [(6, 7)] * 3
    np.testing.assert_array_equal(images[2].data[0], array[2])
    with pytest.raises(ImageError, match='stack of 3'):
        read_image(tmp_path / 'a.tif')


def test_explicit_axes_override_the_metadata(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / 'a.tif', values(3, 6, 7), imagej=True, metadata={'axes': 'TYX'})
    assert read_image(tmp_path / 'a.tif', 'cyx').channels == 3
    with pytest.raises(ImageError, match=r'a\.tif'):
        read_images(tmp_path / 'a.tif', 'YX')


def test_several_kinds_of_image_in_one_tiff_give_a_warning(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / 'a.tif') as file:
        file.write(values(6, 7))
        file.write(values(8, 9, dtype=np.uint16))
    with pytest.warns(FlimWarning, match='2 images'):
        assert read_image(tmp_path / 'a.tif').shape == (6, 7)


def test_axes_that_cannot_be_guessed_are_asked_for(tmp_path: Path) -> None:
    np.save(tmp_path / 'a.npy', values(2, 5, 6, 7))
    with pytest.raises(ImageError, match=r'a\.npy.*axes='):
        read_images(tmp_path / 'a.npy')
    assert read_image(tmp_path / 'a.npy', 'CZYX').channels == 2


@pytest.mark.parametrize('ending', ['nii', 'nii.gz'])
def test_nifti_is_read_as_z_y_x_with_its_voxel_size(tmp_path: Path, ending: str) -> None:
    array = values(5, 6, 7, dtype=np.int16)
    nibabel.save(nibabel.Nifti1Image(array, np.diag([-0.5, 0.75, 3, 1])), tmp_path / f'a.{ending}')
    image = read_image(tmp_path / f'a.{ending}')
    assert image.data.dtype == np.int16
    np.testing.assert_array_equal(image.data[0], array.T)
    assert image.spacing == (3, 0.75, 0.5)


def test_a_nifti_time_series_gives_several_volumes(tmp_path: Path) -> None:
    array = values(5, 6, 7, 2, dtype=np.int16)
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), tmp_path / 'a.nii')
    images = read_images(tmp_path / 'a.nii')
    assert len(images) == 2
    np.testing.assert_array_equal(images[1].data[0], array[..., 1].T)


def test_a_nifti_of_one_slice_is_an_image(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(values(5, 6, 1), np.eye(4)), tmp_path / 'a.nii')
    assert read_image(tmp_path / 'a.nii').shape == (6, 5)


def sample(folder: Path, ending: str) -> Path:
    path = folder / f'a{ending}'
    if ending.startswith('.nii'):
        nibabel.save(nibabel.Nifti1Image(values(9, 8, 7), np.eye(4)), path)
    elif ending == '.npy':
        np.save(path, values(9, 8, 7))
    elif ending == '.tif':
        tifffile.imwrite(path, values(9, 8, 7), photometric='minisblack')
    elif ending == '.scn':
        path.write_bytes(b'SCN\n7 8 9\n1 1 1\n8\n' + values(9, 8, 7).tobytes())
    else:
        imageio.imwrite(path, values(30, 40, 3))
    return path


ENDINGS = ['.png', '.jpg', '.bmp', '.tif', '.npy', '.nii', '.nii.gz', '.scn']


@pytest.mark.parametrize('ending', ENDINGS)
@pytest.mark.parametrize('share', [0.001, 0.3, 0.6, 0.9])
def test_a_truncated_file_gives_one_clear_error(tmp_path: Path, ending: str, share: float) -> None:
    path = sample(tmp_path, ending)
    content = path.read_bytes()
    path.write_bytes(content[: max(1, int(share * len(content)))])
    with pytest.raises(FileError) as caught:
        read_images(path)
    assert str(path) in str(caught.value)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('ending', ENDINGS)
def test_a_foreign_file_gives_one_clear_error(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f'a{ending}'
    path.write_bytes(b'%PDF-1.4 this is something else entirely\n' * 40)
    with pytest.raises(FileError, match=r'a\.'):
        read_images(path)


@pytest.mark.parametrize('ending', ENDINGS)
def test_an_empty_file_is_called_empty(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f'a{ending}'
    path.write_bytes(b'')
    with pytest.raises(FileError, match='empty'):
        read_images(path)


def test_a_pickled_array_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / 'a.npy', np.array([{'a': 1}], dtype=object), allow_pickle=True)
    with pytest.raises(FileError):
        read_images(tmp_path / 'a.npy')


def test_missing_files_folders_and_unknown_endings_are_named(tmp_path: Path) -> None:
    (tmp_path / 'a.czi').write_text('x')
    for path, reason in (
        (tmp_path / 'absent.png', 'does not exist'),
        (tmp_path, 'is a folder'),
        (tmp_path / 'a.czi', 'supported'),
    ):
        with pytest.raises(FileError, match=reason):
            read_images(path)


def test_a_folder_lists_its_images_as_people_count(tmp_path: Path) -> None:
    for name in ('img10.png', 'img2.png', 'IMG1.TIF', '.hidden.png', 'notes.txt'):
        (tmp_path / name).write_text('x')
    (tmp_path / 'inner').mkdir()
    (tmp_path / 'inner' / 'img3.png').write_text('x')
    listed = list_images([tmp_path, tmp_path / 'inner' / 'img3.png'])
    assert [p.name for p in listed] == ['IMG1.TIF', 'img2.png', 'img10.png', 'img3.png']


def test_two_images_with_one_stem_are_refused(tmp_path: Path) -> None:
    for name in ('a.nii.gz', 'a.ome.tif'):
        (tmp_path / name).write_text('x')
    with pytest.raises(FileError, match='same name'):
        list_images([tmp_path])


def test_missing_paths_and_empty_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match='absent'):
        list_images([tmp_path / 'absent'])
    with pytest.raises(FileError, match='holds no image'):
        list_images([tmp_path])


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('a.b.nii.gz', 'a.b'),
        ('a.NII.GZ', 'a'),
        ('a.ome.tiff', 'a'),
        ('a.ome', 'a'),
        ('1.0.tif', '1.0'),
    ],
)
def test_a_stem_is_exact(name: str, expected: str) -> None:
    assert stem(Path('folder.x') / name) == expected


def test_a_lack_of_memory_is_not_called_damage(monkeypatch, tmp_path: Path) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise MemoryError('Unable to allocate 1 PiB')

    np.save(tmp_path / 'a.npy', values(4, 5))
    monkeypatch.setattr(np.lib.format, 'read_array', full)
    with pytest.raises(FileError, match='needs more memory than there is'):
        read_images(tmp_path / 'a.npy')


def test_an_array_that_announces_more_than_it_holds_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / 'huge.npy'
    with path.open('wb') as file:
        header = {'descr': '|u1', 'fortran_order': False, 'shape': (2**25, 2**25)}
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(FileError, match='truncated'):
        read_images(path)
