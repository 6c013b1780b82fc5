"""Models learned from small scenes of disks or balls."""

import numpy as np
import pytest

from napari_flim.engine.architecture import Architecture, Block
from napari_flim.engine.decoder_settings import DecoderSettings
from napari_flim.engine.image import read_array
from napari_flim.engine.markers import MarkerSet
from napari_flim.engine.preprocessing import parse_input
from napari_flim.progress import finish
from napari_flim.training import learn_model

ARCHITECTURES = {
    'plain': Architecture((Block(channels=6), Block(channels=5, dilation=2))),
    'strided': Architecture((Block(channels=6, stride=2), Block(channels=5, stride=2))),
    'uneven': Architecture((Block(channels=6, stride=3), Block(channels=5, pooling='average'))),
}


def scene(shape, classes=1, seed=0):
    """Bright objects of one or two looks on a noisy ground, with markers."""
    random = np.random.default_rng(seed)
    image = random.normal(0.2, 0.05, shape)
    grid = np.indices(shape)
    markers = np.zeros(shape, dtype=np.uint8)
    centres = [(0.3, 0.3, 0.4), (0.7, 0.6, 0.6), (0.25, 0.75, 0.5), (0.8, 0.15, 0.3)]
    for number, centre in enumerate(centres):
        place = [int(c * n) for c, n in zip(centre, shape, strict=False)]
        distance = np.sqrt(sum((g - p) ** 2 for g, p in zip(grid, place, strict=True)))
        kind = number % classes
        image[distance < 4] += 0.6 - 0.3 * kind
        markers[distance < 2] = 2 + kind
        markers[(distance > 6) & (distance < 7)] = 1
    return image.astype(np.float32), markers


@pytest.fixture
def learned():
    """A function that learns a model from a scene, and gives it with the image."""
    return learn


def learn(shape, architecture, decoder='mean', classes=1, text='scaled'):
    image, markers = scene(shape, classes)
    read = read_array(image, axes='ZYX'[-len(shape) :])
    transform, _ = parse_input(text)
    job = learn_model(
        [read],
        [MarkerSet.from_labels(markers)],
        ARCHITECTURES.get(architecture, architecture),
        transform=transform,
        decoder=DecoderSettings(decoder),
    )
    return finish(job), read
