"""NIfTI images as layers of napari."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from napari.layers import Image

from napari_flim.bridge.image_reader import read_image_layers
from napari_flim.bridge.layer_axes import image_source
from napari_flim.errors import FileError


def opened(path: Path, voxels: np.ndarray, affine: np.ndarray) -> Image:
    file = nibabel.Nifti1Image(voxels, affine)
    file.header.set_xyzt_units('mm')
    nibabel.save(file, path)
    ((data, options, kind),) = read_image_layers(str(path))
    assert kind == 'image'
    return Image(data, **options)


def test_a_volume_lies_where_its_file_says_in_its_units(tmp_path: Path) -> None:
    voxels = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
    affine = np.diag([0.5, 2.0, 3.0, 1.0])
    affine[:3, 3] = (10, 20, 30)
    layer = opened(tmp_path / 'brain.nii.gz', voxels, affine)
    assert layer.name == 'brain'
    assert np.array_equal(layer.data, voxels.T)
    assert tuple(layer.data_to_world((0, 0, 0))) == (30, 20, 10)
    assert tuple(layer.scale) == (3, 2, 0.5)
    assert [str(unit) for unit in layer.units] == ['millimeter'] * 3
    assert image_source(layer).axes == 'ZYX'


def test_a_mirrored_volume_keeps_the_planes_of_its_voxels(tmp_path: Path) -> None:
    affine = np.diag([-0.5, 2.0, 3.0, 1.0])
    affine[:3, 3] = (10, 20, 30)
    layer = opened(tmp_path / 'brain.nii', np.zeros((4, 5, 6), np.uint8), affine)
    assert tuple(layer.scale) == (3, 2, 0.5)
    assert tuple(layer.translate) == (0, 0, 0)


def test_images_in_time_are_one_stack(tmp_path: Path) -> None:
    voxels = np.random.default_rng(0).random((4, 5, 6, 3)).astype(np.float32)
    layer = opened(tmp_path / 'beats.nii', voxels, np.eye(4))
    assert np.array_equal(layer.data, voxels.T)
    assert image_source(layer).axes == 'TZYX'


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / 'brain.nii'
    path.write_bytes(b'no image')
    with pytest.raises(FileError, match='brain.nii'):
        read_image_layers(str(path))
