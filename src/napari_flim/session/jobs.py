"""The long work of a session: learning, and applying what was learned to what is in view.

Jobs get frozen values and give frozen values back; a worker may run them. torch is imported when
a job starts, so that docks open at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_flim.engine.image import Image
from napari_flim.engine.kernels import LearnedBlock
from napari_flim.engine.preprocessing import InputTransform, not_finite_words
from napari_flim.errors import FlimError
from napari_flim.progress import Job, Progress
from napari_flim.session.items import TrainingImage, digest_of
from napari_flim.session.learned import BankChange, Learned, Origin
from napari_flim.session.settings import Settings
from napari_flim.session.sources import ImageSource

if TYPE_CHECKING:
    import torch

    from napari_flim.engine.learning import Watch
    from napari_flim.model import FlimModel

LARGEST_PART = 0.7
"""A slab that would hold more than this share of a volume is not worth cutting out."""


@dataclass(frozen=True, eq=False)
class LearnRequest:
    """What to learn.

    Attributes
    ----------
    images : tuple of TrainingImage
    settings : Settings
    start : tuple of LearnedBlock
        Blocks that stay; learning goes on after them.
    last_block : int
        Where to stop, from 1.
    kept : int
        How many of ``start`` keep edits of the expert.
    changes : tuple of BankChange
        What the expert changed in ``start``.
    whole : bool
        Whether images that are not large may be read into memory, all together; else only what
        lies around their markers is read. See `napari_flim.session.problems.learned_whole`.
    """

    images: tuple[TrainingImage, ...]
    settings: Settings
    start: tuple[LearnedBlock, ...]
    last_block: int
    kept: int
    changes: tuple[BankChange, ...]
    whole: bool = True


def learn(request: LearnRequest, watch: Watch | None = None) -> Job[Learned]:
    """Learn blocks from everything that is painted.

    Parameters
    ----------
    request : LearnRequest
    watch : callable, optional
        See `napari_flim.training.learn_model`.

    Yields
    ------
    Progress

    Raises
    ------
    napari_flim.errors.FlimError
        With a message for the user.
    """
    yield Progress('preparing', 0, 1)
    from napari_flim.training import learn_model

    begun = time.perf_counter()
    settings = request.settings
    libift = settings.transform.kind == 'libift'
    pairs = [image.read(across_classes=libift, whole=request.whole) for image in request.images]
    specs = settings.architecture.blocks[: request.last_block]
    architecture = replace(settings.architecture, blocks=specs)
    block = settings.decoder.block if settings.decoder.block <= len(specs) else 0
    model = yield from learn_model(
        [image for image, _ in pairs],
        [markers for _, markers in pairs],
        architecture,
        transform=settings.transform,
        fixed_ranges=settings.fixed_ranges,
        decoder=replace(settings.decoder, block=block),
        delineation=settings.delineation,
        options=settings.options,
        start=request.start,
        watch=watch,
    )
    origins = tuple(
        Origin(one.source.key, one.frame, image.name)
        for one, (image, _) in zip(request.images, pairs, strict=True)
    )
    select = settings.transform.select
    read = [(one, image) for one, (image, _) in zip(request.images, pairs, strict=True)]
    small = [image for one, image in read if not one.large and not image.lazy]
    warnings = [not_finite_words(select(image), image.name) for image in small]
    return Learned(
        model=model,
        settings=settings,
        origins=origins,
        digest=digest_of(request.images),
        seconds=time.perf_counter() - begun,
        kept=request.kept,
        changes=request.changes,
        warning=' '.join(filter(None, warnings)),
    )


@dataclass(frozen=True, eq=False)
class Target:
    """The image, or the plane of a volume, that a model is applied to.

    Attributes
    ----------
    source : ImageSource
    frame : int
        Place along T.
    plane : int, optional
        Only this z, which is much faster; its saliency is scaled by what this part of the volume
        holds and gives way to that of the whole volume.
    """

    source: ImageSource
    frame: int = 0
    plane: int | None = None

    @property
    def stacked(self) -> bool:
        """Whether it is one image of a stack."""
        return self.source.stacked

    @property
    def place(self) -> tuple[object, ...]:
        """Equal for two targets that hold the same voxels."""
        return (self.source.content, self.frame, self.plane)


@dataclass(frozen=True, eq=False)
class Encoded:
    """Channels of the first blocks, or of all, for a target.

    Attributes
    ----------
    target : Target
    transform : InputTransform
        As the model has it.
    blocks : tuple of LearnedBlock
    features : (C, \\*S) tensor
        What block 1 read.
    activations : tuple of (K, \\*S') tensors
        Channels of every one of the blocks.
    offset : tuple of int
        First voxel of ``features`` in the image.
    warning : str
        What the user should know of the image; empty if nothing, or if it was said before.
    """

    target: Target
    transform: InputTransform
    blocks: tuple[LearnedBlock, ...]
    features: torch.Tensor
    activations: tuple[torch.Tensor, ...]
    offset: tuple[int, ...]
    warning: str

    @property
    def nbytes(self) -> int:
        """Memory that the channels take."""
        return sum(channels.nbytes for channels in self.activations)

    def reads_same(self, target: Target, model: FlimModel) -> bool:
        """Whether the features are those that a model would read of a target."""
        same = self.target.source.data is target.source.data and self.target.place == target.place
        return same and self.transform == model.transform


@dataclass(frozen=True, eq=False)
class Applied(Encoded):
    """What a model made of a target: channels of all its blocks, and saliency.

    Attributes
    ----------
    saliency : (L, \\*S) float32 array in [0, 1]
        One map for each object class; of a plane, S = (1, Y, X).
    object_classes : tuple of int
    """

    saliency: NDArray[np.float32]
    object_classes: tuple[int, ...]


def apply(
    model: FlimModel, target: Target, device: str = 'cpu', known: Sequence[Encoded] = ()
) -> Job[Applied]:
    """Saliency and the activation channels of every block of a target.

    Parameters
    ----------
    model : FlimModel
    target : Target
    device : str
        Where torch computes.
    known : sequence of Encoded
        Earlier results; blocks that are the same objects are not computed again.

    Yields
    ------
    Progress
    """
    yield Progress('preparing', 0, 1)
    from napari_flim.inference.encoding import encode

    fitting = [one for one in known if one.reads_same(target, model)]
    if fitting:
        features, offset, warning = fitting[0].features, fitting[0].offset, ''
    else:
        yield Progress(f'reading {target.source.name}', 0, len(model.blocks) + 1)
        image = model.accept(target.source.frame(target.frame))
        features, offset, warning = _features(model, image, target.plane, device)
    best = max(fitting, key=lambda one: _shared(one.blocks, model.blocks), default=None)
    done = () if best is None else tuple(zip(best.blocks, best.activations, strict=True))
    activations = yield from encode(model.blocks, features, done)
    read = [activations[block - 1] for block in model.read_blocks]
    maps = model.decode(features, read, target.source.spacing)
    if target.plane is not None:
        maps = maps[:, target.plane - offset[0]][:, None]
    return Applied(
        target=target,
        transform=model.transform,
        blocks=model.blocks,
        features=features,
        activations=activations,
        saliency=maps,
        object_classes=tuple(model.object_classes),
        offset=offset,
        warning=warning,
    )


def learn_and_apply(
    request: LearnRequest,
    target: Target | None,
    seen: Callable[[FlimModel], FlimModel],
    device: str = 'cpu',
    known: Sequence[Encoded] = (),
) -> Job[tuple[Learned, FlimModel, Applied | None]]:
    """Learn, then apply at once to what is in view, reusing what learning computed of it.

    With a target all images are read as a whole; without, what lies around their markers.

    Parameters
    ----------
    request : LearnRequest
    target : Target, optional
    seen : callable
        The model as it is to be shown, with edits and decoder.
    device : str
    known : sequence of Encoded
        See `apply`.

    Returns
    -------
    learned : Learned
    model : FlimModel
        As it is shown.
    applied : Applied, optional
        None without a target, or if the model cannot be applied to it; that is found out again,
        and said, when the target is asked for alone.
    """
    found: dict[int, torch.Tensor] = {}
    places = [Target(one.source, one.frame).place for one in request.images]
    index = places.index(target.place) if target and target.place in places else None

    def watch(image: int, block: int, channels: torch.Tensor) -> None:
        if image == index:
            found[block] = channels

    wanted = device == 'cpu' and index is not None
    learned = yield from learn(request, watch if wanted else None)
    model = seen(learned.model)
    if target is None or not readable(model, target):
        return learned, model, None
    if found:
        channels = tuple(found[block] for block in range(1, len(found)))
        blocks = learned.model.blocks[: len(channels)]
        offset = (0,) * target.source.ndim
        fresh = Encoded(target, model.transform, blocks, found[0], channels, offset, warning='')
        known = (fresh, *known)
    try:
        return learned, model, (yield from apply(model, target, device, known))
    except FlimError:
        return learned, model, None


def readable(model: FlimModel, target: Target) -> bool:
    """Whether the model can be applied to a target; a grey image will do for a model of RGB."""
    source = target.source
    if source.ndim != model.ndim:
        return False
    same = (source.rgb, source.channels) == (model.rgb, model.channels)
    return same or (model.rgb and source.channels == 1)


def _shared(mine: Sequence[LearnedBlock], wanted: Sequence[LearnedBlock]) -> int:
    """How many leading blocks are the same objects."""
    count = 0
    for one, other in zip(mine, wanted, strict=False):
        if one is not other:
            break
        count += 1
    return count


def _features(
    model: FlimModel, image: Image, plane: int | None, device: str
) -> tuple[torch.Tensor, tuple[int, ...], str]:
    """Features of an image or of what a plane depends on, their first voxel, and a warning."""
    from napari_flim.engine.input_features import input_features

    first, last = (0, image.shape[0]) if plane is None else slab(model, image, plane)
    cut = last - first < image.shape[0]
    box = (slice(first, last), *(slice(0, size) for size in image.shape[1:]))
    part = image.crop(box) if cut else image.in_memory()
    warning = not_finite_words(model.transform.select(part), image.name)
    statistics = model.transform.statistics(image if cut else part)
    features = input_features(model.transform, part, statistics).to(device)
    return features, (first, *(0,) * (image.ndim - 1)), warning


def slab(model: FlimModel, image: Image, plane: int) -> tuple[int, int]:
    """First and last plane (exclusive) on which one plane of a volume depends.

    The first plane lies on a multiple of the accumulated stride, so that pooled planes are those
    of the whole volume. Between pooled planes saliency is interpolated, so both neighbours count.
    """
    depth = image.shape[0]
    halo = model.halo(image.spacing)[0]
    step = model.architecture.strides(3)[-1][0]
    below = plane // step * step
    above = below if below == plane else below + step
    first = max(0, below - halo) // step * step
    last = min(depth, above + halo + 1)
    return (0, depth) if last - first > LARGEST_PART * depth else (first, last)
