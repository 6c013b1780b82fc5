"""A small model, and folders with images like those it was learned from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_flim.api import learn
from napari_flim.batch import CarriedModel, carried
from napari_flim.engine.architecture import Architecture, Block
from napari_flim.model import FlimModel


def squares(seed: int = 0, size: int = 40) -> np.ndarray:
    """Bright squares of a seed's own number on dark noise."""
    rng = np.random.default_rng(seed)
    image = rng.normal(60, 8, (size, size))
    for number in range(1 + seed % 3):
        image[4 + 12 * number : 13 + 12 * number, 6:18] += 120
    return image.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope='session')
def model() -> FlimModel:
    image = squares()
    markers = np.zeros_like(image)
    markers[30:34, 20:38], markers[7:10, 9:14] = 1, 2
    return learn(image, markers, Architecture((Block(channels=4), Block(channels=4))))


@pytest.fixture(scope='session')
def carried_model(model: FlimModel) -> CarriedModel:
    return carried(model, name='squares.flim')


@pytest.fixture
def make_images(tmp_path: Path) -> Callable[..., Path]:
    """Write so many images into ``images``."""

    def make(count: int, folder: str = 'images', size: int = 40) -> Path:
        (tmp_path / folder).mkdir(exist_ok=True)
        for number in range(count):
            tifffile.imwrite(tmp_path / folder / f'{number}.tif', squares(number, size))
        return tmp_path / folder

    return make
