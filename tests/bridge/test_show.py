"""Samples in napari."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Layer

import napari_flim
from napari_flim.bridge.marker_layers import class_colormap
from napari_flim.samples import SAMPLES, beads, coins, tissue
from napari_flim.session.classes import FIRST_CLASSES


@pytest.mark.parametrize('name', list(SAMPLES))
def test_napari_opens_every_sample_with_markers_of_two_classes(npe2pm: Any, name: str) -> None:
    manifest = Path(napari_flim.__file__).with_name('napari.yaml')
    with npe2pm.tmp_plugin(manifest=str(manifest)) as plugin:
        contributed = next(s for s in plugin.manifest.contributions.sample_data if s.key == name)
        layers = contributed.open()
    viewer = ViewerModel()
    for data, options, kind in layers:
        getattr(viewer, f'add_{kind}')(data, **options)
    image, markers = viewer.layers
    assert markers.data.shape == image.data.shape[: markers.ndim]
    assert sorted(np.unique(markers.data)) == [0, 1, 2]
    assert tuple(image.scale) == tuple(markers.scale)
    assert image.units == markers.units
    assert image.axis_labels == markers.axis_labels == tuple('zyx'[-markers.ndim :])


@pytest.mark.parametrize(
    ('open_sample', 'unit'), [(coins, 'pixel'), (tissue, 'pixel'), (beads, 'µm')]
)
def test_only_a_sample_of_known_size_has_a_unit(open_sample, unit: str) -> None:
    for data, options, kind in open_sample():
        layer = Layer.create(data, options, kind)
        assert {f'{one:~P}' or 'pixel' for one in layer.units} == {unit}


def test_strokes_of_a_sample_have_the_colours_and_names_of_the_first_classes() -> None:
    layer = Layer.create(*coins()[1])
    expected = class_colormap(FIRST_CLASSES)
    for label in (0, 1, 2, 3):
        np.testing.assert_allclose(layer.colormap.map(label), expected.map(label), atol=1e-6)
    for one in FIRST_CLASSES:
        place = np.argwhere(layer.data == one.label)[0]
        assert one.name in layer.get_status(place, world=True)['value']
