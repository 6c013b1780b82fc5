"""What ``import napari_flim`` offers: learn from arrays or files, and load."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_flim.choosing import AUTO, SECONDS, Candidate, candidates, learn_chosen
from napari_flim.delineation.changes import for_probabilities
from napari_flim.delineation.delineation_settings import (
    DEFAULT_DELINEATION,
    DelineationSettings,
)
from napari_flim.engine.architecture import Architecture, preset
from napari_flim.engine.decoder_settings import DecoderSettings
from napari_flim.engine.image import Image, check_axes, read_stack
from napari_flim.engine.kernels import LearnedBlock
from napari_flim.engine.markers import MarkerSet
from napari_flim.engine.options import LearningOptions
from napari_flim.engine.preprocessing import KINDS_TO_SCALE, parse_input
from napari_flim.errors import LearningError, MarkerError
from napari_flim.io.images import read_images
from napari_flim.io.lids_architecture import read_architecture
from napari_flim.io.markers import read_markers
from napari_flim.model import FlimModel
from napari_flim.model_loading import load_model
from napari_flim.progress import Progress, finish
from napari_flim.training import learn_model, learn_sizes


def learn(
    images: Any,
    markers: Any,
    architecture: str | Path | Architecture = 'small',
    decoder: str = 'mean',
    *,
    input: str = 'auto',  # noqa: A002 - the word users know from the command line and the dock
    block: int = 0,
    delineation: DelineationSettings | None = None,
    seed: int = 0,
    options: LearningOptions | None = None,
    start: Sequence[LearnedBlock] = (),
    statistics_markers: Any = None,
    axes: str | None = None,
    spacing: Sequence[float] | None = None,
    seconds: float = SECONDS,
    report: Callable[[Progress], None] | None = None,
) -> FlimModel:
    """Learn a model from images and painted markers.

    Parameters
    ----------
    images : array, path, Image, or a sequence of them
        See ``axes`` for how arrays are understood.
    markers : array, path, MarkerSet, or a sequence of them
        One for each image: 0 unmarked, 1 background, 2.. objects. An array with a leading axis
        for a stack of images is taken apart.
    architecture : str, path or Architecture
        Name of a preset (small, wide, deep, flyweight), path of an ``arch.json``, or blocks;
        ``auto`` for the preset that tells markers best that it was not learned from, see
        `napari_flim.choosing`.
    decoder : str
        mean, probability, label, label_balanced, hybrid, tristate, original or attention; linear,
        which is learned from the markers over all blocks and the input; or ``auto``.
    input : str
        auto, lab, scaled, scaled:fixed, multiscale, multiscale:fixed, window:LO,HI or libift.
        With libift, learning reproduces LibIFT number for number.
    block : int
        Block to decode, from 1; 0 for the last.
    delineation : DelineationSettings, optional
        How the model finds objects. By default the usual way, with a range of sizes around the
        objects that were marked, see `napari_flim.training.learn_sizes`.
    seed : int
        Two runs with the same seed give the same bits; with ``auto``, if both try as much.
    options : LearningOptions, optional
        How kernels are estimated; its seed takes the place of ``seed``.
    start : sequence of LearnedBlock
        Blocks of an earlier model that stay as they are, such as ``model.blocks[:1]``; the others
        are learned after them.
    statistics_markers : array, path, MarkerSet, or a sequence of them, optional
        Markers used only for the statistics of the normalisation.
    axes : str, optional
        One letter for each axis of the arrays: T stack, C channels, Z Y X space, S RGB samples.
        By default two axes are (y, x), a last axis of 3 or 4 in uint8 is RGB(A), and any other
        third axis is z.
    spacing : sequence of float, optional
        Voxel size along the spatial axes.
    seconds : float
        With ``auto``, time after which nothing further is tried.
    report : callable, optional
        Called with `napari_flim.progress.Progress`.

    Returns
    -------
    FlimModel

    Raises
    ------
    napari_flim.errors.FlimError
        With a message that says what was given, what was expected, and what to do.

    Examples
    --------
    >>> image = np.zeros((32, 32)); image[8:16, 8:16] = 1
    >>> markers = np.zeros((32, 32), np.uint8); markers[0:4, 0:4] = 1; markers[10:14, 10:14] = 2
    >>> model = learn(image, markers, 'small')
    >>> model.segment(image).max()
    np.int32(1)
    """
    check_axes(axes)
    transform, fixed = parse_input(input)
    across = transform.kind == 'libift'
    read = _images(images, axes, spacing)
    marked = _markers(markers, read, across_classes=across)
    measured = None
    if statistics_markers is not None:
        measured = _markers(statistics_markers, read, across_classes=across)
    if AUTO in (architecture, decoder):
        if start or measured is not None or block:
            raise LearningError(
                'With "auto" everything is learned anew; start, statistics_markers and block '
                'need an architecture and a decoder by name.'
            )
        job = learn_chosen(
            read,
            marked,
            open_candidates(architecture, input, decoder),
            transform=transform,
            fixed_ranges=fixed,
            options=options or LearningOptions(seed=seed),
            seconds=seconds,
        )
    else:
        job = learn_model(
            read,
            marked,
            resolve_architecture(architecture),
            transform=transform,
            fixed_ranges=fixed,
            decoder=DecoderSettings(decoder, block),
            delineation=delineation or DEFAULT_DELINEATION,
            options=options or LearningOptions(seed=seed),
            start=start,
            statistics_markers=measured,
        )
    model = finish(job, report)
    if delineation is not None:
        probable = model.decoder.name == 'linear'
        return replace(model, delineation=for_probabilities(delineation, probable))
    return finish(learn_sizes(model, read, marked), report)


def load(path: str | Path) -> FlimModel:
    """Read a model from a ``.flim`` file; see `napari_flim.model_loading`."""
    return load_model(path)


def resolve_architecture(architecture: str | Path | Architecture) -> Architecture:
    """Architecture of a preset name, an ``arch.json`` path, or as it is."""
    if isinstance(architecture, Architecture):
        return architecture
    if isinstance(architecture, Path) or str(architecture).endswith('.json'):
        return read_architecture(Path(architecture))
    return preset(str(architecture))


def open_candidates(
    architecture: str | Path | Architecture,
    input: str,  # noqa: A002 - as for `learn`
    decoder: str,
) -> tuple[Candidate, ...]:
    """What is tried when an architecture or a decoder is ``auto``."""
    multiscale = input in KINDS_TO_SCALE
    if architecture == AUTO:
        return candidates(decoder=decoder, multiscale=multiscale)
    resolved = resolve_architecture(architecture)
    name = 'your blocks' if isinstance(architecture, Architecture) else Path(architecture).stem
    return candidates(name, resolved, decoder, multiscale=multiscale)


def _images(images: Any, axes: str | None, spacing: Sequence[float] | None) -> list[Image]:
    several = images if isinstance(images, list | tuple) else [images]
    read: list[Image] = []
    for number, image in enumerate(several, start=1):
        if isinstance(image, Image):
            read.append(image)
        elif isinstance(image, str | Path):
            found = read_images(Path(image), axes)
            if spacing is not None:
                found = [replace(one, spacing=tuple(spacing)) for one in found]
            read.extend(found)
        else:
            name = 'image' if len(several) == 1 else f'image {number}'
            read.extend(read_stack(image, axes, spacing, name))
    return read


def _markers(markers: Any, images: Sequence[Image], *, across_classes: bool) -> list[MarkerSet]:
    several = markers if isinstance(markers, list | tuple) else [markers]
    read: list[MarkerSet] = []
    for marked in several:
        if isinstance(marked, MarkerSet):
            read.append(marked)
        elif isinstance(marked, str | Path):
            shape = images[min(len(read), len(images) - 1)].shape
            read.append(read_markers(Path(marked), shape, across_classes=across_classes))
        else:
            known = isinstance(getattr(marked, 'dtype', None), np.dtype)
            array = marked if known else np.asarray(marked)
            if images and array.ndim == images[0].ndim + 1:
                read.extend(
                    MarkerSet.from_stack(array, images[0].ndim, across_classes=across_classes)
                )
            else:
                read.append(MarkerSet.from_labels(array, across_classes=across_classes))
    for image, marked in zip(images, read, strict=False):
        if marked.shape != image.shape:
            raise MarkerError(
                f'{image.name} has shape {image.shape}, but its markers have shape '
                f'{marked.shape}; markers need the shape of their image. '
                'If the image has channels or is a stack, name its axes, for example axes="CYX".'
            )
    return read
