"""Ways to get from markers to the classes of voxels: FLIM with its decoders, and peers.

A new method belongs into `our_methods` or `PEERS`; everything that compares goes by these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_flim.choosing import candidates, learn_chosen
from napari_flim.delineation.delineation_settings import DEFAULT_DELINEATION, DelineationSettings
from napari_flim.engine.architecture import Architecture, preset
from napari_flim.engine.decoder_settings import DecoderSettings
from napari_flim.engine.image import Image
from napari_flim.engine.markers import MarkerSet
from napari_flim.engine.options import LearningOptions
from napari_flim.engine.preprocessing import InputTransform
from napari_flim.evaluation.pixel_forest import learn_forest
from napari_flim.model import FlimModel
from napari_flim.progress import Job
from napari_flim.training import learn_model, learn_sizes

Classify = Callable[[Image], NDArray[np.integer[Any]]]
"""From an image to the class of every voxel: 1 background, 2.. objects."""


@dataclass(frozen=True, slots=True)
class Method:
    """A way to get from markers to the classes of voxels.

    Attributes
    ----------
    name : str
        As it is shown.
    learn : callable
        A job from images, their markers and a seed to what tells the classes of an image.
    finished : bool
        Whether it has been learned before. It may know the markers that others are judged by, so it
        gets no agreement.
    """

    name: str
    learn: Callable[[Sequence[Image], Sequence[MarkerSet], int], Job[Classify]]
    finished: bool = False


@dataclass(frozen=True, slots=True)
class Setup:
    """What FLIM is learned with, apart from the decoder.

    Attributes
    ----------
    architecture : Architecture
    transform : InputTransform
    fixed_ranges : bool
    block : int
        Block to decode; 0 for the last.
    delineation : DelineationSettings
        The range of sizes is that of the marked objects.
    """

    architecture: Architecture = field(default_factory=partial(preset, 'small'))
    transform: InputTransform = InputTransform()
    fixed_ranges: bool = False
    block: int = 0
    delineation: DelineationSettings = DEFAULT_DELINEATION

    @classmethod
    def of(cls, model: FlimModel) -> Setup:
        """Everything that is needed to learn such a model again."""
        return cls(
            model.architecture,
            replace(model.transform, ranges=None),
            model.transform.ranges is not None,
            model.decoder.block,
            model.delineation,
        )


def flim(name: str, decoder: str, setup: Setup = Setup()) -> Method:
    """FLIM with one of its decoders."""

    def learn(images: Sequence[Image], markers: Sequence[MarkerSet], seed: int) -> Job[Classify]:
        model = yield from learn_model(
            images,
            markers,
            setup.architecture,
            transform=setup.transform,
            fixed_ranges=setup.fixed_ranges,
            decoder=DecoderSettings(decoder, setup.block),
            delineation=setup.delineation,
            options=LearningOptions(seed=seed),
        )
        model = yield from learn_sizes(model, images, markers)
        return model.class_map

    return Method(name, learn)


def _chosen(images: Sequence[Image], markers: Sequence[MarkerSet], seed: int) -> Job[Classify]:
    options = LearningOptions(seed=seed)
    model = yield from learn_chosen(images, markers, candidates(), options=options)
    model = yield from learn_sizes(model, images, markers)
    return model.class_map


def finished(name: str, model: FlimModel) -> Method:
    """A model as it is."""

    def learn(images: Sequence[Image], markers: Sequence[MarkerSet], seed: int) -> Job[Classify]:
        yield from ()
        return model.class_map

    return Method(name, learn, finished=True)


def _forest(images: Sequence[Image], markers: Sequence[MarkerSet], seed: int) -> Job[Classify]:
    yield from ()
    arrays = [image.in_memory().data for image in images]
    forest = learn_forest(arrays, [_labels(one) for one in markers], seed)
    return lambda image: forest.classes(image.in_memory().data)


def our_methods(setup: Setup = Setup()) -> tuple[Method, ...]:
    """FLIM with each decoder that is compared."""
    return (
        flim('FLIM (mean decoder)', 'mean', setup),
        flim('FLIM (linear decoder)', 'linear', setup),
    )


PEERS = (Method('scikit-image random forest', _forest),)
CHOSEN = Method('FLIM (chosen by markers left out)', _chosen)
METHODS = (CHOSEN, *our_methods(), *PEERS)


def _labels(drawn: MarkerSet) -> NDArray[np.int64]:
    labels = np.zeros(drawn.shape, dtype=np.int64)
    labels[tuple(drawn.coordinates.T)] = drawn.classes
    return labels
