"""Samples and results in napari."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from npe2 import PluginManager

from napari_flim.bridge.show import Shown, add_layers
from napari_flim.samples import SAMPLES


@pytest.fixture
def shown() -> Shown:
    image = np.random.default_rng(0).random((20, 30, 3))
    mask = np.zeros((20, 30), np.uint8)
    mask[5:9, 5:9] = 2
    return Shown('tissue', image, True, (0.5, 0.25), mask, mask / 2, mask.astype(np.int32))


def test_results_lie_over_their_image_with_its_scale(shown: Shown) -> None:
    viewer = ViewerModel()
    add_layers(viewer, shown)
    names = [layer.name for layer in viewer.layers]
    assert names == ['tissue', 'tissue saliency', 'tissue objects', 'tissue markers']
    assert all(tuple(layer.scale) == (0.5, 0.25) for layer in viewer.layers)


def test_a_real_window_draws_the_objects(make_napari_viewer_proxy, shown: Shown) -> None:
    viewer = make_napari_viewer_proxy(show=True)
    add_layers(viewer, shown)
    objects = viewer.layers['tissue objects']
    pictures = []
    for visible in (True, False, True):
        objects.visible = visible
        pictures.append(viewer.screenshot(canvas_only=True, flash=False))
    shown_once, hidden, shown_again = pictures
    assert (shown_once != hidden).any()
    np.testing.assert_array_equal(shown_once, shown_again)


@pytest.mark.parametrize('name', list(SAMPLES))
def test_napari_opens_every_sample_with_markers_of_two_classes(name: str) -> None:
    manager = PluginManager()
    manager.discover()
    contributions = manager.get_manifest('napari-flim').contributions
    contributed = next(s for s in contributions.sample_data if s.key == name)
    viewer = ViewerModel()
    for data, options, kind in contributed.open():
        getattr(viewer, f'add_{kind}')(data, **options)
    image, markers = viewer.layers
    assert markers.data.shape == image.data.shape[: markers.ndim]
    assert sorted(np.unique(markers.data)) == [0, 1, 2]
    assert tuple(image.scale) == tuple(markers.scale)
