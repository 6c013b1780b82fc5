"""Learning a whole model: images and markers in, a `FlimModel` out."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, replace
from math import prod
from typing import Any

import numpy as np
import torch

from napari_flim import __version__
from napari_flim.delineation.area_range import learned_range, marked_sizes
from napari_flim.delineation.changes import for_probabilities
from napari_flim.delineation.delineation_settings import (
    DEFAULT_DELINEATION,
    DelineationSettings,
)
from napari_flim.delineation.objects import class_map, separate_objects
from napari_flim.engine.architecture import Architecture
from napari_flim.engine.crops import Crop, whole_image
from napari_flim.engine.decoder_settings import DecoderSettings, check_decoder
from napari_flim.engine.image import Image
from napari_flim.engine.kernels import LearnedBlock
from napari_flim.engine.learning import (
    Watch,
    check_markers,
    check_shapes,
    learn_encoder,
    learning_crops,
)
from napari_flim.engine.libift import learn_libift
from napari_flim.engine.marked_regions import read_regions
from napari_flim.engine.markers import MarkerSet
from napari_flim.engine.options import LearningOptions
from napari_flim.engine.preprocessing import InputTransform
from napari_flim.errors import DecoderError, FlimWarning, ImageError, MemoryBudgetError
from napari_flim.inference.budget import in_words
from napari_flim.inference.marked_windows import sizes_in_windows
from napari_flim.inference.memory import learning_bytes
from napari_flim.linear_training import with_linear
from napari_flim.model import FlimModel
from napari_flim.progress import Job, Progress, part_of, share_of

WHOLE = 2**24
"""Voxels up to which an image is looked at as a whole to learn sizes."""


def learn_model(
    images: Sequence[Image],
    markers: Sequence[MarkerSet],
    architecture: Architecture,
    *,
    transform: InputTransform = InputTransform(),
    fixed_ranges: bool = False,
    decoder: DecoderSettings = DecoderSettings(),
    delineation: DelineationSettings = DEFAULT_DELINEATION,
    options: LearningOptions = LearningOptions(),
    start: Sequence[LearnedBlock] = (),
    statistics_markers: Sequence[MarkerSet] | None = None,
    watch: Watch | None = None,
) -> Job[FlimModel]:
    """Learn a model from images and their markers.

    Only the surroundings of markers are read, unless they make up much of an image: the kernels
    are those of the whole image, and an image larger than memory takes seconds.

    Parameters
    ----------
    images : sequence of Image
    markers : sequence of MarkerSet
        One for each image.
    architecture : Architecture
    transform : InputTransform
        With the kind ``libift``, kernels are learned exactly as LibIFT does (August 2025), number
        for number, from whole images; ``options``, ``start`` and ``statistics_markers`` then have
        no part in it.
    fixed_ranges : bool
        Fix intensity ranges to those of the training images.
    decoder : DecoderSettings
    delineation : DelineationSettings
        How the model finds objects; see `learn_sizes` for the range of sizes.
    options : LearningOptions
    start : sequence of LearnedBlock
        Blocks that stay; learning goes on after them.
    statistics_markers : sequence of MarkerSet, optional
        Markers used only for the statistics of the normalisation.
    watch : callable, optional
        See `napari_flim.engine.learning.learn_encoder`; also called with block 0 and what block 1
        reads. Images in memory are then read whole. Not called for the kind ``libift``, nor for
        lazy images of which only crops are read.

    Yields
    ------
    Progress

    Returns
    -------
    FlimModel
    """
    architecture.check_block(decoder.block or len(architecture))
    if not images:
        raise ImageError('No image was given; give at least one image with markers.')
    resolved = transform.resolved(images, fixed=fixed_ranges)
    libift = resolved.kind == 'libift'
    crops = [whole_image(image.shape) for image in images]
    if not libift:
        drawn = _all_markers(images, markers, statistics_markers)
        for index, image in enumerate(images):
            if watch is None or image.lazy:
                halo = resolved.halo(image.spacing)
                crops[index] = learning_crops(drawn[index], architecture, options, start, halo)
    _check_memory(images[0], crops, architecture, resolved)
    inputs = []
    for number, (image, parts) in enumerate(zip(images, crops, strict=True), start=1):
        inputs.append(read_regions(resolved, image, parts))
        yield Progress(f'reading image {number}', number, 2 * len(images) * len(architecture))
    if libift:
        job = learn_libift([whole.features[0] for whole in inputs], markers, architecture)
    else:
        job = learn_encoder(
            inputs,
            markers,
            architecture,
            options,
            start=start,
            statistics_markers=statistics_markers,
            watch=watch,
        )
        if watch is not None:
            for index, regions in enumerate(inputs):
                if regions.complete:
                    watch(index, 0, regions.features[0])
    blocks = yield from part_of(job, len(images))
    model = FlimModel(
        transform=resolved,
        blocks=blocks,
        epsilon=architecture.epsilon,
        intrinsic_atrous=architecture.intrinsic_atrous,
        decoder=decoder,
        delineation=delineation,
        rgb=images[0].rgb,
        channels=images[0].channels,
        provenance=_provenance(images, markers, options, libift),
    )
    if decoder.name == 'linear':
        model = replace(model, delineation=for_probabilities(delineation, True))
        return with_linear(model, images, markers)
    return _with_working_decoder(model)


def learn_sizes(
    model: FlimModel, images: Sequence[Image], markers: Sequence[MarkerSet]
) -> Job[FlimModel]:
    """The model with the range of sizes around those of the objects that were marked.

    An object that was marked is one in the saliency, cut as the model cuts it but without limits
    of size or border, that holds a voxel of an object marker. The range around their sizes:
    `napari_flim.delineation.area_range.learned_range`. Without any such object there is no limit.

    Of an image of more than 2**24 voxels only windows around ten object markers are looked at, of
    512 pixels or 64 voxels along each axis; see `napari_flim.inference.marked_windows`. Objects
    that do not fit into them are not measured, with a warning.

    Parameters
    ----------
    model : FlimModel
    images : sequence of Image
        What the model was learned from.
    markers : sequence of MarkerSet
        One for each image.

    Yields
    ------
    Progress

    Returns
    -------
    FlimModel

    Raises
    ------
    DecoderError
        When the decoder cannot work with these kernels.
    """
    seeds = model.delineation.seeds
    shown: list[float] = []
    for number, (image, marked) in enumerate(zip(images, markers, strict=True)):
        yield Progress(f'measuring objects of image {number + 1}', number, len(images))
        if prod(image.shape) <= WHOLE:
            shown += _marked_sizes(model, image.in_memory(), marked)
            continue
        job = sizes_in_windows(model.applying(image), marked, seeds)
        measured = yield from share_of(job, number, len(images))
        shown += measured.sizes
        if measured.cut:
            warnings.warn(
                f'{measured.words(image.name)}; if the range of sizes does not suit, choose one '
                'with with_delineation(sizes=...).',
                FlimWarning,
                stacklevel=2,
            )
    return model.with_delineation(sizes=learned_range(shown))


def _marked_sizes(model: FlimModel, image: Image, marked: MarkerSet) -> list[float]:
    unlimited = replace(model.delineation.seeds, sizes=None, border=None)
    classes = class_map(model.class_saliency(image), model.object_classes, unlimited, image.spacing)
    labels = np.zeros(image.shape, dtype=np.int64)
    labels[tuple(marked.coordinates.T)] = marked.classes
    sizes: list[float] = marked_sizes(separate_objects(classes), labels, image.spacing).tolist()
    return sizes


def _all_markers(
    images: Sequence[Image],
    markers: Sequence[MarkerSet],
    statistics_markers: Sequence[MarkerSet] | None,
) -> list[tuple[MarkerSet, ...]]:
    """All markers of each image, after a look whether they fit."""
    shapes = [image.shape for image in images]
    check_markers(shapes, markers)
    if statistics_markers is None:
        return [(drawn,) for drawn in markers]
    check_shapes(shapes, statistics_markers)
    return list(zip(markers, statistics_markers, strict=True))


def _check_memory(
    first: Image,
    crops: Sequence[Sequence[Crop]],
    architecture: Architecture,
    transform: InputTransform,
) -> None:
    """Raise `MemoryBudgetError` when what is to be read of the images will not fit."""
    import psutil

    shapes = [[s.stop - s.start for s in crop.read] for parts in crops for crop in parts]
    features = transform.features(first.channels, first.ndim)
    needed = learning_bytes(architecture, shapes, features)
    free = psutil.virtual_memory().available
    if needed > free:
        raise MemoryBudgetError(
            f'Learning needs {in_words(needed)} for what lies around the markers, and '
            f'{in_words(free)} are free; paint fewer or shorter markers, or choose fewer channels.'
        )


def _with_working_decoder(model: FlimModel) -> FlimModel:
    """The model, with a decoder that needs no classes where LibIFT's kernels have none."""
    classes = model.blocks[model.decoded_block - 1].bank.classes
    try:
        check_decoder(model.decoder, classes, model.object_classes)
    except DecoderError as error:
        if classes.any():
            raise
        warnings.warn(f'{error} The model decodes with tristate.', FlimWarning, stacklevel=2)
        return replace(model, decoder=replace(model.decoder, name='tristate'))
    return model


def _provenance(
    images: Sequence[Image], markers: Sequence[MarkerSet], options: LearningOptions, libift: bool
) -> dict[str, Any]:
    return {
        'version': __version__,
        'torch': torch.__version__,
        'learning': {'libift': True} if libift else asdict(options),
        'images': [
            {
                'name': image.name,
                'shape': list(image.shape),
                'dtype': str(image.data.dtype),
                'spacing': list(image.spacing),
                'marked': {str(c): n for c, n in marker.class_counts.items()},
                'markers': marker.count,
            }
            for image, marker in zip(images, markers, strict=True)
        ],
    }
