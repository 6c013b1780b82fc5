"""What several test files share: a small image with two objects, and its markers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from skimage.io import imsave


@dataclass(frozen=True)
class Scene:
    image: np.ndarray
    markers: np.ndarray
    truth: np.ndarray


def draw_scene(seed: int = 0, size: int = 48) -> Scene:
    """Bright squares on dark noise; a spot of each class is marked."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((size, size), dtype=np.uint8)
    truth[8:18, 8:18] = 1
    truth[28:40, 26:38] = 1
    image = np.clip(60 + 120 * truth + rng.normal(0, 8, truth.shape), 0, 255).astype(np.uint8)
    markers = np.zeros_like(truth)
    markers[2:5, 30:36] = 1
    markers[40:44, 4:10] = 1
    markers[11:15, 11:15] = 2
    return Scene(image, markers, truth)


@pytest.fixture(autouse=True)
def user_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep copies of sessions out of the folders of whoever runs the tests."""
    monkeypatch.setenv('XDG_DATA_HOME', str(tmp_path_factory.mktemp('user')))


@pytest.fixture
def scene() -> Scene:
    return draw_scene()


@pytest.fixture
def wide_scene() -> Scene:
    """The same objects on more background: they fill 3% of the image."""
    return draw_scene(size=96)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """`images`, `markers` and `masks` with three images, two of them marked."""
    for name in ('images', 'markers', 'masks'):
        (tmp_path / name).mkdir()
    for number in range(3):
        one = draw_scene(number)
        imsave(tmp_path / 'images' / f'{number}.png', one.image, check_contrast=False)
        imsave(tmp_path / 'masks' / f'{number}.png', one.truth * 255, check_contrast=False)
        if number < 2:
            imsave(tmp_path / 'markers' / f'{number}.png', one.markers, check_contrast=False)
    return tmp_path


@pytest.fixture
def draw() -> Callable[[int], Scene]:
    """Draws one of many scenes, by its number."""
    return draw_scene


@pytest.fixture
def six_images(tmp_path: Path) -> Path:
    """A folder with six images, 0.png to 5.png, of which 2.png is broken."""
    folder = tmp_path / 'six'
    folder.mkdir()
    for number in range(6):
        imsave(folder / f'{number}.png', draw_scene(number).image, check_contrast=False)
    (folder / '2.png').write_bytes(b'no picture')
    return folder
