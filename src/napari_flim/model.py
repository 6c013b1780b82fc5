"""FlimModel: what was learned, and everything needed to apply it to another image."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_flim import __version__
from napari_flim.delineation.objects import ObjectSettings, class_map, separate_objects
from napari_flim.engine.architecture import (
    Architecture,
    architecture_from_dict,
    architecture_to_dict,
    with_channels,
)
from napari_flim.engine.decoders import DecoderSettings, decode
from napari_flim.engine.encoder import Encoder
from napari_flim.engine.image import Image, read_array
from napari_flim.engine.kernels import KernelBank, LearnedBlock
from napari_flim.engine.learning import LearningOptions, learn_encoder
from napari_flim.engine.libift import learn_libift
from napari_flim.engine.markers import MarkerSet
from napari_flim.engine.operations import resample
from napari_flim.engine.preprocessing import InputTransform
from napari_flim.errors import FlimError, FlimWarning, ImageError, ModelFileError
from napari_flim.inference.features import feature_stack
from napari_flim.io.model_file import (
    blocks_to_tensors,
    read_model_file,
    tensors_to_blocks,
    write_model_file,
)
from napari_flim.progress import Job

FIRST_OBJECT = 2


@dataclass(frozen=True, eq=False)
class FlimModel:
    """An encoder with its input transform, decoder and object settings.

    Attributes
    ----------
    transform : InputTransform
    blocks : tuple of LearnedBlock
    epsilon : float
        What was added to every deviation while learning.
    decoder : DecoderSettings
    objects : ObjectSettings
    rgb : bool
        Whether the model reads red, green and blue.
    channels : int
        Channels of the images the model reads.
    provenance : dict
        JSON-ready: training images, marked voxels, learning options, version.
    """

    transform: InputTransform
    blocks: tuple[LearnedBlock, ...]
    epsilon: float = 0.01
    decoder: DecoderSettings = DecoderSettings()
    objects: ObjectSettings = ObjectSettings()
    rgb: bool = False
    channels: int = 1
    provenance: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def encoder(self) -> Encoder:
        """The blocks as a torch module."""
        return Encoder(self.blocks)

    @property
    def architecture(self) -> Architecture:
        """Architecture with the number of channels that each block really has."""
        specs = Architecture(tuple(block.spec for block in self.blocks), epsilon=self.epsilon)
        return with_channels(specs, [len(block.bank) for block in self.blocks])

    @property
    def ndim(self) -> int:
        """Spatial rank of the images the model reads."""
        return self.blocks[0].bank.ndim

    @property
    def object_classes(self) -> list[int]:
        """Object classes the kernels know; class 2 when none of them has a class."""
        known = {int(c) for block in self.blocks for c in block.bank.classes}
        return sorted(c for c in known if c >= FIRST_OBJECT) or [FIRST_OBJECT]

    @property
    def decoded_block(self) -> int:
        """Number of the block that is decoded."""
        return self.architecture.check_block(self.decoder.block or len(self.blocks))

    def input_features(
        self, image: Any, axes: str | None = None, spacing: Sequence[float] | None = None
    ) -> torch.Tensor:
        """What block 1 reads of an image: (C, \\*S) float32."""
        return self.transform.apply(self._accept(image, axes, spacing))

    def activations(
        self,
        image: Any,
        block: int | None = None,
        *,
        axes: str | None = None,
        spacing: Sequence[float] | None = None,
    ) -> NDArray[np.float32]:
        """Activation channels of a block.

        Parameters
        ----------
        image : array or Image
        block : int, optional
            From 1; the decoded block by default.
        axes, spacing
            See `napari_flim.engine.image.read_array`.

        Returns
        -------
        (K, \\*S') float32 array
            Voxel i of it lies at image voxel ``i * stride``.
        """
        features = self.input_features(image, axes, spacing)
        return _numpy(self.encoder.activations(features, [block or self.decoded_block])[0])

    def features(
        self,
        image: Any,
        blocks: Sequence[int],
        *,
        include_input: bool = False,
        axes: str | None = None,
        spacing: Sequence[float] | None = None,
    ) -> NDArray[np.float32]:
        """Channels of several blocks (and of the input) at image size: (channels, \\*S)."""
        features = self.input_features(image, axes, spacing)
        return _numpy(feature_stack(self.encoder, features, blocks, include_input=include_input))

    def saliency(
        self, image: Any, *, axes: str | None = None, spacing: Sequence[float] | None = None
    ) -> NDArray[np.float32]:
        """Saliency of the objects in an image.

        Returns
        -------
        (\\*S) or (L, \\*S) float32 array in [0, 1]
            One map for each object class when there are several.
        """
        maps = self.class_saliency(self._accept(image, axes, spacing))
        return maps[0] if len(maps) == 1 else maps

    def class_saliency(self, image: Image) -> NDArray[np.float32]:
        """Saliency of every object class: (L, \\*S), stretched to [0, 1] for each class."""
        features = self.transform.apply(self._accept(image))
        block = self.decoded_block
        channels = self.encoder.activations(features, [block])[0]
        classes = self.blocks[block - 1].bank.classes
        decoded = decode(channels, classes, self.decoder, self.object_classes)
        stride = self.architecture.strides(self.ndim)[block - 1]
        maps = resample(decoded.saliency, stride, features.shape[1:])
        highest = maps.flatten(1).amax(dim=1).reshape((-1,) + (1,) * self.ndim)
        lowest = maps.flatten(1).amin(dim=1).reshape(highest.shape)
        span = highest - lowest
        return _numpy(torch.where(span > 0, (maps - lowest) / span, 0.0))

    def segment(
        self, image: Any, *, axes: str | None = None, spacing: Sequence[float] | None = None
    ) -> NDArray[np.int32]:
        """Objects in an image, numbered from 1: (\\*S) int32."""
        maps = self.class_saliency(self._accept(image, axes, spacing))
        return self.cut(maps)

    def cut(self, class_saliency: NDArray[np.float32]) -> NDArray[np.int32]:
        """Objects in saliency maps (L, \\*S) that this model made."""
        return separate_objects(class_map(class_saliency, self.objects))

    def with_decoder(self, name: str | None = None, **settings: Any) -> FlimModel:
        """This model with another decoder, or with other settings of its decoder.

        Parameters
        ----------
        name : str, optional
            A name from `napari_flim.engine.decoders.DECODERS`.
        **settings
            Fields of `DecoderSettings`, such as ``block``.
        """
        changed = settings if name is None else {'name': name, **settings}
        model = replace(self, decoder=replace(self.decoder, **changed))
        model.architecture.check_block(model.decoded_block)
        return model

    def with_bank(self, block: int, bank: KernelBank) -> FlimModel:
        """This model with an edited kernel bank.

        Blocks after an edited one stay while they still fit its channels; otherwise they are
        removed, with a warning, and have to be learned again (``start`` of `learn_model`).
        """
        self.architecture.check_block(block)
        changed = self.blocks[block - 1].rebased(bank)
        later = self.blocks[block:]
        if later and len(bank) != len(self.blocks[block - 1].bank):
            warnings.warn(
                f'Block {block} now has {len(bank)} channels, so blocks {block + 1} to '
                f'{len(self.blocks)} were removed; learn them again.',
                FlimWarning,
                stacklevel=2,
            )
            later = ()
        blocks = (*self.blocks[: block - 1], changed, *later)
        kept = self.decoder.block if self.decoder.block <= len(blocks) else 0
        return replace(self, blocks=blocks, decoder=replace(self.decoder, block=kept))

    def save(self, path: Path | str) -> None:
        """Write the model to a ``.flim`` file, whole or not at all.

        Raises
        ------
        FileError
            When the file cannot be written.
        """
        header = {
            'transform': asdict(self.transform),
            'architecture': architecture_to_dict(self.architecture),
            'decoder': asdict(self.decoder),
            'objects': asdict(self.objects),
            'rgb': self.rgb,
            'channels': self.channels,
            'provenance': self.provenance,
        }
        write_model_file(path, header, blocks_to_tensors(self.blocks))

    def _accept(
        self,
        given: Any,
        axes: str | None = None,
        spacing: Sequence[float] | None = None,
    ) -> Image:
        """An image as this model reads it, or an error that says what is different."""
        image = given if isinstance(given, Image) else read_array(given, axes, spacing)
        if self.rgb and not image.rgb and image.channels == 1 and image.ndim == self.ndim:
            warnings.warn(
                f'{image.name} is grey, but the model reads RGB; its three colours are set equal.',
                FlimWarning,
                stacklevel=3,
            )
            image = replace(image, data=np.repeat(image.data, 3, axis=0), rgb=True)
        if (image.ndim, image.rgb, image.channels) != (self.ndim, self.rgb, self.channels):
            kind = 'images (y, x)' if self.ndim == 2 else 'volumes (z, y, x)'
            colour = 'RGB' if self.rgb else f'{self.channels} channel(s)'
            raise ImageError(
                f'{image.name} is read as {image.describe()}, but the model reads {kind} with '
                f'{colour}; '
                'if the axes were misunderstood, name them, for example axes="ZYX".'
            )
        return image


def load_model(path: Path | str) -> FlimModel:
    """Read a ``.flim`` file; runs no code of the file.

    Raises
    ------
    ModelFileError
        One clear message for a damaged, truncated, foreign or hostile file.
    """
    header, tensors = read_model_file(path)
    try:
        architecture = architecture_from_dict(header['architecture'])
        blocks = tensors_to_blocks(path, architecture.blocks, tensors)
        model = FlimModel(
            transform=InputTransform(**_tuples(header['transform'])),
            blocks=blocks,
            epsilon=float(architecture.epsilon),
            decoder=DecoderSettings(**_tuples(header['decoder'])),
            objects=ObjectSettings(**header['objects']),
            rgb=bool(header['rgb']),
            channels=int(header['channels']),
            provenance=dict(header['provenance']),
        )
        read = model.transform.features(model.channels, model.ndim)
        if read != blocks[0].bank.weights.shape[1]:
            raise ImageError(
                f'the input has {read} channels, but block 1 reads '
                f'{blocks[0].bank.weights.shape[1]}'
            )
        model.architecture.check_block(model.decoded_block)
    except ModelFileError:
        raise
    except (FlimError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ModelFileError(
            f'{path} is damaged or was changed by hand ({error}). '
            'Use the file that napari-flim saved, or learn the model again.'
        ) from error
    return model


def learn_model(
    images: Sequence[Image],
    markers: Sequence[MarkerSet],
    architecture: Architecture,
    *,
    transform: InputTransform = InputTransform(),
    fixed_ranges: bool = False,
    decoder: DecoderSettings = DecoderSettings(),
    options: LearningOptions = LearningOptions(),
    libift: bool = False,
    start: Sequence[LearnedBlock] = (),
) -> Job[FlimModel]:
    """Learn a model from images and their markers.

    Parameters
    ----------
    images : sequence of Image
    markers : sequence of MarkerSet
        One for each image.
    architecture : Architecture
    transform : InputTransform
    fixed_ranges : bool
        Fix intensity ranges to those of the training images.
    decoder : DecoderSettings
    options : LearningOptions
    libift : bool
        Learn exactly as LibIFT does (August 2025), number for number.
    start : sequence of LearnedBlock
        Blocks that stay; learning goes on after them.

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
    inputs = [resolved.apply(image) for image in images]
    if libift:
        blocks = yield from learn_libift(inputs, markers, architecture)
    else:
        blocks = yield from learn_encoder(inputs, markers, architecture, options, start=start)
    return FlimModel(
        transform=resolved,
        blocks=blocks,
        epsilon=architecture.epsilon,
        decoder=decoder,
        rgb=images[0].rgb,
        channels=images[0].channels,
        provenance=_provenance(images, markers, options, libift),
    )


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


def _numpy(tensor: torch.Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.numpy(force=True)
    return array


def _tuples(value: Any) -> Any:
    """JSON lists, at any depth, as the tuples they were."""
    if isinstance(value, dict):
        return {name: _tuples(inner) for name, inner in value.items()}
    return tuple(_tuples(inner) for inner in value) if isinstance(value, list) else value
