"""Docks describe what will be learned long before anything is; torch takes seconds to import."""

import subprocess
import sys

import pytest

SPECS = (
    'napari_flim.delineation.objects',
    'napari_flim.engine.architecture',
    'napari_flim.engine.decoder_settings',
    'napari_flim.engine.image',
    'napari_flim.engine.kernels',
    'napari_flim.engine.markers',
    'napari_flim.engine.normalization',
    'napari_flim.engine.options',
    'napari_flim.engine.preprocessing',
)


def torch_after(statements: str) -> str:
    code = f'import sys\n{statements}\nprint("torch" in sys.modules)'
    command = [sys.executable, '-c', code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_specs_are_imported_without_torch():
    assert torch_after('\n'.join(f'import {name}' for name in SPECS)) == 'False'


def test_the_statistics_of_an_image_are_measured_without_torch():
    measuring = """
import numpy as np
from napari_flim.engine.image import read_array
from napari_flim.engine.preprocessing import InputTransform
image = read_array(np.eye(9))
transform = InputTransform('multiscale').resolved([image], fixed=True)
transform.features(1, 2), transform.halo(image.spacing)
InputTransform('libift').statistics(image)
"""
    assert torch_after(measuring) == 'False'


@pytest.mark.parametrize('name', ['decoders', 'input_features'])
def test_what_computes_does_import_torch(name):
    assert torch_after(f'import napari_flim.engine.{name}') == 'True'
