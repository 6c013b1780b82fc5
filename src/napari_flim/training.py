"""Learning a whole model: images and markers in, a `FlimModel` out."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch

from napari_flim import __version__
from napari_flim.delineation.area_range import learned_range, marked_sizes
from napari_flim.delineation.delineation_settings import (
    DEFAULT_DELINEATION,
    DelineationSettings,
)
from napari_flim.delineation.seeds import seeds_from_saliency
from napari_flim.engine.architecture import Architecture
from napari_flim.engine.decoder_settings import DecoderSettings, check_decoder
from napari_flim.engine.image import Image
from napari_flim.engine.input_features import input_features
from napari_flim.engine.kernels import LearnedBlock
from napari_flim.engine.learning import Watch, learn_encoder
from napari_flim.engine.libift import learn_libift
from napari_flim.engine.markers import MarkerSet
from napari_flim.engine.options import LearningOptions
from napari_flim.engine.preprocessing import InputTransform
from napari_flim.errors import DecoderError, FlimWarning, ImageError
from napari_flim.model import FlimModel
from napari_flim.progress import Job, Progress, part_of


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

    Parameters
    ----------
    images : sequence of Image
    markers : sequence of MarkerSet
        One for each image.
    architecture : Architecture
    transform : InputTransform
        With the kind ``libift``, kernels are learned exactly as LibIFT does (August 2025), number
        for number; ``options``, ``start`` and ``statistics_markers`` then have no part in it.
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
        reads. Not called for the kind ``libift``.

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
    inputs = []
    for number, image in enumerate(images, start=1):
        inputs.append(input_features(resolved, image))
        yield Progress(f'reading image {number}', number, 2 * len(images) * len(architecture))
    libift = resolved.kind == 'libift'
    if libift:
        job = learn_libift(inputs, markers, architecture)
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
            for index, features in enumerate(inputs):
                watch(index, 0, features)
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
    return _with_working_decoder(model)


def learn_sizes(
    model: FlimModel, images: Sequence[Image], markers: Sequence[MarkerSet]
) -> Job[FlimModel]:
    """The model with the range of sizes around those of the objects that were marked.

    An object that was marked is one in the saliency, cut as the model cuts it but without limits
    of size or border, that holds a voxel of an object marker. The range around their sizes:
    `napari_flim.delineation.area_range.learned_range`. Without any such object there is no limit.

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
    unlimited = replace(model.delineation.seeds, sizes=None, border=None)
    shown: list[float] = []
    for number, (image, marked) in enumerate(zip(images, markers, strict=True)):
        yield Progress(f'measuring objects of image {number + 1}', number, len(images))
        maps = model.class_saliency(image)
        seeds = seeds_from_saliency(
            maps, unlimited, spacing=image.spacing, classes=model.object_classes
        )
        labels = np.zeros(image.shape, dtype=np.int64)
        labels[tuple(marked.coordinates.T)] = marked.classes
        shown += marked_sizes(seeds.regions, labels, image.spacing).tolist()
    return model.with_delineation(sizes=learned_range(shown))


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
