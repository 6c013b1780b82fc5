from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_flim.errors import FileError
from napari_flim.io.images import read_image
from napari_flim.io.lids_images import read_mimg, read_scn, write_mimg

GOLDEN = Path(__file__).parents[1] / 'golden' / 'libift'


@pytest.mark.parametrize('file', ['lab/img1.mimg', 'h_3d/lab_v.mimg'])
def test_a_libift_mimg_is_written_back_byte_for_byte(tmp_path: Path, file: str) -> None:
    write_mimg(tmp_path / 'a.mimg', read_mimg(GOLDEN / file))
    assert (tmp_path / 'a.mimg').read_bytes() == (GOLDEN / file).read_bytes()


def test_libift_files_have_channels_first() -> None:
    assert read_mimg(GOLDEN / 'lab' / 'img1.mimg').shape == (3, 56, 72)
    assert read_mimg(GOLDEN / 'h_3d' / 'lab_v.mimg').shape == (3, 16, 18, 20)


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=3, max_dims=4, min_side=2, max_side=5),
        elements=st.floats(width=32, allow_nan=False),
    )
)
def test_mimg_round_trip(features: np.ndarray) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_mimg(Path(folder) / 'a.mimg', features)
        np.testing.assert_array_equal(read_mimg(Path(folder) / 'a.mimg'), features)


def test_a_scn_volume_is_z_y_x_with_its_voxel_size() -> None:
    image = read_image(GOLDEN / 'h_3d' / 'orig' / 'v.scn')
    assert (image.shape, image.spacing, image.data.dtype) == ((16, 18, 20), (2, 1, 1), np.uint16)
    assert image.data[0, 0, 0, :2].tolist() == [0x0E87, 0x0EC7]


@pytest.mark.parametrize(('bits', 'dtype'), [(8, '<u1'), (16, '<u2'), (32, '<i4')])
@pytest.mark.parametrize('depth', [1, 3])
def test_scn_types_slices_and_compression(
    tmp_path: Path, bits: int, dtype: str, depth: int
) -> None:
    array = np.arange(depth * 20, dtype=dtype).reshape(depth, 4, 5)
    header = f'SCN\n5 4 {depth}\n0.5 0.25 2\n{bits}\n'.encode()
    (tmp_path / 'a.scn').write_bytes(header + array.tobytes())
    (tmp_path / 'a.scn.gz').write_bytes(gzip.compress(header + array.tobytes()))
    for name in ('a.scn', 'a.scn.gz'):
        image = read_scn(tmp_path / name)
        np.testing.assert_array_equal(image.data[0], array[0] if depth == 1 else array)
        assert image.spacing == ((0.25, 0.5) if depth == 1 else (2, 0.25, 0.5))


@pytest.mark.parametrize(
    'content',
    [
        b'',
        b'SCN\n',
        b'P5 something else',
        b'SCN\n5 x 1\n1 1 1\n8\n' + bytes(20),
        b'SCN\n5 4 1\n1 1 1\n9\n' + bytes(20),
        b'SCN\n5 4\n1 1 1\n8\n' + bytes(20),
        b'SCN\n5 4 1\n1 1 1\n8\n' + bytes(19),
        b'SCN\n5 -4 1\n1 1 1\n8\n' + bytes(20),
        b'SCN\n5 4 1\n1 0 1\n8\n' + bytes(20),
        b'\x1f\x8b\x08 cut off',
    ],
)
def test_a_damaged_scn_gives_one_clear_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / 'a.scn').write_bytes(content)
    with pytest.raises(FileError, match=r'a\.scn'):
        read_scn(tmp_path / 'a.scn')


@pytest.mark.parametrize(
    'content',
    [
        b'',
        b'MIG\n1 1',
        b'NO\n1 1 1 1\n1 1 1\n' + bytes(4),
        b'MIG\n1 1 1\n1 1 1\n' + bytes(4),
        b'MIG\n1 1 1 2\n1 1 1\n' + bytes(4),
        b'MIG\n1 1 1 0\n1 1 1\n' + bytes(4),
    ],
)
def test_a_damaged_mimg_gives_one_clear_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / 'a.mimg').write_bytes(content)
    with pytest.raises(FileError, match=r'a\.mimg'):
        read_mimg(tmp_path / 'a.mimg')


def test_a_missing_mimg_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match='absent'):
        read_mimg(tmp_path / 'absent.mimg')


def test_features_of_another_rank_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(FileError, match='shape'):
        write_mimg(tmp_path / 'a.mimg', np.zeros((4, 5), np.float32))
