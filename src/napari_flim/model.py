"""FlimModel: what was learned, and everything needed to apply it to another image."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from napari_flim.delineation.changes import for_probabilities, with_changes
from napari_flim.delineation.delineate import Objects, delineate
from napari_flim.delineation.delineation_settings import (
    DEFAULT_DELINEATION,
    DelineationSettings,
)
from napari_flim.delineation.inputs import FIRST_OBJECT
from napari_flim.engine.architecture import (
    Architecture,
    architecture_to_dict,
    with_channels,
)
from napari_flim.engine.decoder_settings import DecoderSettings
from napari_flim.engine.encoder import Encoder
from napari_flim.engine.image import Image, check_axes, read_array
from napari_flim.engine.input_features import input_features
from napari_flim.engine.kernels import KernelBank, LearnedBlock
from napari_flim.engine.linear_decoder import LinearDecoder
from napari_flim.engine.operations import resample
from napari_flim.engine.preprocessing import InputTransform
from napari_flim.errors import (
    DecoderError,
    FlimWarning,
    ImageError,
    KernelError,
    MemoryBudgetError,
)
from napari_flim.inference.applying import Applying
from napari_flim.inference.features import feature_stack
from napari_flim.inference.saliency import class_maps, stretched
from napari_flim.inference.segment_large import (
    fits_in_one_piece,
    saliency_in_tiles,
    segment_large,
)
from napari_flim.inference.voxel_size import voxel_size_words
from napari_flim.io.images import read_image
from napari_flim.io.model_file import (
    blocks_to_tensors,
    write_model_file,
)
from napari_flim.progress import Job, Progress, finish, part_of


@dataclass(frozen=True, eq=False, repr=False)
class FlimModel:
    """An encoder with its input transform, its decoder, and how objects are found.

    Attributes
    ----------
    transform : InputTransform
    blocks : tuple of LearnedBlock
    epsilon, intrinsic_atrous
        As in the architecture the blocks were learned from.
    decoder : DecoderSettings
    linear : LinearDecoder, optional
        What the decoder ``linear`` has learned.
    delineation : DelineationSettings
        How saliency and an image become objects.
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
    intrinsic_atrous: bool = False
    decoder: DecoderSettings = DecoderSettings()
    delineation: DelineationSettings = DEFAULT_DELINEATION
    rgb: bool = False
    channels: int = 1
    provenance: dict[str, Any] = field(default_factory=dict)
    linear: LinearDecoder | None = None

    @cached_property
    def encoder(self) -> Encoder:
        """The blocks as a torch module."""
        return Encoder(self.blocks)

    @property
    def architecture(self) -> Architecture:
        """Architecture with the number of channels that each block really has."""
        blocks = tuple(block.spec for block in self.blocks)
        specs = Architecture(blocks, self.epsilon, self.intrinsic_atrous)
        return with_channels(specs, [len(block.bank) for block in self.blocks])

    @property
    def ndim(self) -> int:
        """Spatial rank of the images the model reads."""
        return self.blocks[0].bank.ndim

    @property
    def object_classes(self) -> list[int]:
        """Object classes the linear decoder or the kernels know; class 2 if none has a class."""
        if self.decoder.name == 'linear' and self.linear is not None:
            return [number for number in self.linear.classes if number >= FIRST_OBJECT]
        known = {int(c) for block in self.blocks for c in block.bank.classes}
        return sorted(c for c in known if c >= FIRST_OBJECT) or [FIRST_OBJECT]

    @property
    def decoded_block(self) -> int:
        """Number of the block that is decoded."""
        if self.decoder.name == 'linear' and self.linear is not None:
            return self.architecture.check_block(self.linear.blocks[-1])
        return self.architecture.check_block(self.decoder.block or len(self.blocks))

    @property
    def seed(self) -> int:
        """Of the random choices that were made while learning."""
        return int(self.provenance.get('learning', {}).get('seed', 0))

    def reads(self) -> str:
        """What images the model reads, in words."""
        kind = 'images (y, x)' if self.ndim == 2 else 'volumes (z, y, x)'
        channels = f'{self.channels} channel{"s" * (self.channels > 1)}'
        return f'{kind} with {"RGB" if self.rgb else channels}'

    def __repr__(self) -> str:
        kernels = ' + '.join(str(len(block.bank)) for block in self.blocks)
        return (
            f'<FlimModel: {kernels} kernels; reads {self.reads()}, input {self.transform.kind}; '
            f'decodes block {self.decoded_block} with {self.decoder.name}>'
        )

    def input_features(
        self, image: Any, axes: str | None = None, spacing: Sequence[float] | None = None
    ) -> torch.Tensor:
        """What block 1 reads of an image: (C, \\*S) float32."""
        return input_features(self.transform, self.accept(image, axes, spacing).in_memory())

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
        image : array, path or Image
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
        maps = self.class_saliency(image, axes=axes, spacing=spacing)
        return maps[0] if len(maps) == 1 else maps

    def fits(self, image: Image, memory: int | None = None) -> bool:
        """Whether an image that the model accepts can be segmented without tiles.

        Parameters
        ----------
        image : Image
            In memory or lazy; no voxel of it is looked at.
        memory : int, optional
            Budget in bytes for the whole process; by default a quarter of the free memory is used.

        Raises
        ------
        MemoryBudgetError
            When the process already holds more.
        """
        up_to_decoded = self.architecture.blocks[: self.decoded_block]
        return fits_in_one_piece(
            image,
            self.transform,
            replace(self.architecture, blocks=up_to_decoded),
            len(self.object_classes),
            self.delineation,
            memory,
            linear=self.decoder.name == 'linear',
        )

    def applying(self, image: Image) -> Applying:
        """This model applied to an image that it accepts, part by part."""
        return Applying(
            image,
            self.transform,
            self.transform.statistics(image),
            self.blocks,
            self.decoder,
            self.decoded_block,
            tuple(self.object_classes),
            self._decoding_linear(),
        )

    def class_saliency(
        self, image: Any, *, axes: str | None = None, spacing: Sequence[float] | None = None
    ) -> NDArray[np.float32]:
        """Saliency of every object class: (L, \\*S) float32 in [0, 1], on a common scale.

        Each map is divided by the number of kernels of its class, so that classes compare; then
        all maps of the image together are stretched to [0, 1]. A lazy image that does not fit into
        a quarter of the free memory is read in tiles, with the same result to within 1e-5.
        """
        accepted = self.accept(image, axes, spacing)
        if accepted.lazy and not self.fits(accepted):
            return saliency_in_tiles(self.applying(accepted))
        features = input_features(self.transform, accepted.in_memory())
        channels = self._encoded(features, self.read_blocks)
        return self.decode(features, channels, accepted.spacing)

    def halo(self, spacing: Sequence[float]) -> tuple[int, ...]:
        """Voxels to each side on which the channels that the decoder reads depend."""
        own = zip(self.architecture.halo(self.ndim), self.transform.halo(spacing), strict=True)
        linear = self._decoding_linear()
        read = (0,) * self.ndim if linear is None else linear.halo(spacing)
        return tuple(max(a + b, c) for (a, b), c in zip(own, read, strict=True))

    @property
    def read_blocks(self) -> tuple[int, ...]:
        """Numbers of the blocks that the decoder reads."""
        linear = self._decoding_linear()
        return (self.decoded_block,) if linear is None else linear.blocks

    @torch.inference_mode()
    def decode(
        self,
        features: torch.Tensor,
        channels: Sequence[torch.Tensor],
        spacing: Sequence[float],
    ) -> NDArray[np.float32]:
        """Saliency of every object class from activations that are already there.

        Parameters
        ----------
        features : (C, \\*S) tensor
            What block 1 reads.
        channels : sequence of (K, \\*S') tensors
            Activations of `read_blocks`; left as they are.
        spacing : sequence of float
            Voxel size along each axis.

        Returns
        -------
        (L, \\*S) float32 array in [0, 1]
            The array of `class_saliency`; nobody else holds it.

        Raises
        ------
        DecoderError
            When the decoder cannot work with these kernels.
        """
        linear, strides = self._decoding_linear(), self.architecture.strides(self.ndim)
        if linear is not None:
            read = [strides[block - 1] for block in linear.blocks]
            base = self.transform.single_scale(features)
            return _numpy(linear.saliency(base, channels, read, spacing, self.object_classes))
        block = self.decoded_block
        maps = class_maps(
            channels[0],
            self.blocks[block - 1],
            self.decoder,
            self.object_classes,
            strides[block - 1],
            features.shape[1:],
        )
        lowest, highest = maps.aminmax()
        return _numpy(stretched(maps, float(lowest), float(highest)))

    def _decoding_linear(self) -> LinearDecoder | None:
        """The linear decoder with weights set by hand; None where another one decodes."""
        if self.decoder.name != 'linear':
            return None
        if self.linear is None:
            raise DecoderError(
                'The decoder linear has not been learned with this model; learn the model again, '
                'or choose another decoder.'
            )
        return self.linear.with_weights(self.decoded_block, self.decoder.overrides)

    def _encoded(self, features: torch.Tensor, blocks: Sequence[int]) -> list[torch.Tensor]:
        return self.encoder.activations(features, blocks) if len(blocks) else []

    def segment(
        self, image: Any, *, axes: str | None = None, spacing: Sequence[float] | None = None
    ) -> NDArray[np.int32]:
        """Objects in an image, numbered from 1: (\\*S) int32; `delineate` tells more of them."""
        return self.delineate(image, axes=axes, spacing=spacing).labels.copy()

    def class_map(
        self, image: Any, *, axes: str | None = None, spacing: Sequence[float] | None = None
    ) -> NDArray[np.int32]:
        """Class of every voxel of `segment`, 1 background, 2.. objects: (\\*S) int32."""
        return self.delineate(image, axes=axes, spacing=spacing).class_map()

    def delineate(
        self,
        image: Any,
        *,
        markers: ArrayLike | None = None,
        saliency: NDArray[np.floating] | None = None,
        axes: str | None = None,
        spacing: Sequence[float] | None = None,
    ) -> Objects:
        """Objects in an image, with their classes and the seeds they have grown from.

        Parameters
        ----------
        image : array, path or Image
        markers : (\\*S) int array, optional
            What is known of this image: 0 unmarked, 1 background, 2.. objects. All of it becomes
            seeds; see `napari_flim.delineation.seeds`.
        saliency : (L, \\*S) float array, optional
            The array of `class_saliency`, if it is there already.
        axes, spacing
            See `napari_flim.engine.image.read_array`.

        Returns
        -------
        Objects

        Raises
        ------
        ImageError
            When the model does not read such images.
        DelineationError
            When markers or saliency do not fit the image, or the settings its rank.
        """
        job = self.delineating(
            image, markers=markers, saliency=saliency, axes=axes, spacing=spacing
        )
        objects, _ = finish(job)
        return objects

    def delineating(
        self,
        image: Any,
        *,
        markers: ArrayLike | None = None,
        saliency: NDArray[np.floating] | None = None,
        axes: str | None = None,
        spacing: Sequence[float] | None = None,
    ) -> Job[tuple[Objects, NDArray[np.floating]]]:
        """The job of `delineate`: a generator of progress that can be closed midway.

        Returns
        -------
        Objects
        (L, \\*S) float array
            The saliency that they were found in, as of `class_saliency`.
        """
        accepted = self.accept(image, axes, spacing)
        self.warn_of_voxel_size(accepted)
        yield Progress('computing saliency', 0, 2)
        if accepted.lazy and not self.fits(accepted):
            return (yield from self._in_tiles(accepted, markers, saliency))
        features = input_features(self.transform, accepted.in_memory())
        first = (1,) * self.delineation.compares_learned
        channels = self._encoded(features, first + self.read_blocks * (saliency is None))
        learned = None
        if self.delineation.compares_learned:
            learned = self.learned_features(channels[0], features.shape[1:])
        if saliency is None:
            saliency = self.decode(features, channels[len(first) :], accepted.spacing)
        job = delineate(
            _numpy(features),
            saliency,
            self.delineation,
            learned=learned,
            spacing=accepted.spacing,
            classes=self.object_classes,
            markers=markers,
        )
        return (yield from part_of(job, 1)), saliency

    def _in_tiles(
        self,
        image: Image,
        markers: ArrayLike | None,
        saliency: NDArray[np.floating] | None,
    ) -> Job[tuple[Objects, NDArray[np.floating]]]:
        """Objects of an image that is larger than memory; only labels and saliency are whole."""
        if markers is not None or saliency is not None:
            raise MemoryBudgetError(
                f'{image.name} ({image.describe()}) does not fit into memory, so it cannot be '
                'delineated with markers or with a saliency of its own; use a smaller part of it.'
            )
        labels = np.zeros(image.shape, dtype=np.int32)
        with TemporaryDirectory(prefix='napari-flim-') as folder:
            found = yield from segment_large(
                self.applying(image), self.delineation, labels, scratch=Path(folder)
            )
            return Objects(labels, found.objects.classes), found.saliency[:]

    def learned_features(self, channels: torch.Tensor, shape: Sequence[int]) -> NDArray[np.float32]:
        """What forests compare beside the image: channels of block 1 at image size.

        Parameters
        ----------
        channels : (K, \\*S') tensor
            Of block 1.
        shape : sequence of int
            Of the image.

        Returns
        -------
        (K, \\*S) float32 array
        """
        stride = self.architecture.strides(self.ndim)[0]
        return _numpy(resample(channels, stride, tuple(shape)))

    def warn_of_voxel_size(self, image: Image) -> None:
        """Warn where only the model or only the image has world units, in which sizes are given."""
        learned = [one['spacing'] for one in self.provenance.get('images', []) if 'spacing' in one]
        words = voxel_size_words(image, learned)
        if words and self.delineation.seeds.sizes is not None:
            warnings.warn(words, FlimWarning, stacklevel=4)

    def with_decoder(self, name: str | None = None, **settings: Any) -> FlimModel:
        """This model with another decoder, or with other settings of its decoder.

        Parameters
        ----------
        name : str, optional
            A name from `napari_flim.engine.decoder_settings.DECODERS`.
        **settings
            Fields of `DecoderSettings`, such as ``block``. Weights set by hand belong to the
            kernels of one block, so another block starts without.
        """
        changed = settings if name is None else {'name': name, **settings}
        model = replace(self, decoder=replace(self.decoder, **changed))
        if (model.decoder.name == 'linear') != (self.decoder.name == 'linear'):
            probable = model.decoder.name == 'linear'
            model = replace(model, delineation=for_probabilities(self.delineation, probable))
        if model.decoded_block != self.decoded_block and 'overrides' not in changed:
            model = replace(model, decoder=replace(model.decoder, overrides=()))
        return model

    def with_delineation(self, **changes: Any) -> FlimModel:
        """This model with other settings for finding objects.

        Parameters
        ----------
        **changes
            Fields of `DelineationSettings`, such as ``method``, or of its `SeedSettings`, such as
            ``threshold``; see `napari_flim.delineation.changes.with_changes`.
        """
        return replace(self, delineation=with_changes(self.delineation, **changes))

    def with_bank(self, block: int, bank: KernelBank) -> FlimModel:
        """This model with an edited kernel bank.

        The blocks after it were learned from what the old kernels answered, so they are removed,
        with a warning; learn them again from here (``start`` of `napari_flim.learn`). Weights
        set by hand for kernels that are edited or removed are taken back.

        Raises
        ------
        KernelError
            When the kernels have another size or other channels than those of the block.
        """
        self.architecture.check_block(block)
        old = self.blocks[block - 1]
        if bank.weights.shape[1:] != old.bank.weights.shape[1:]:
            raise KernelError(
                f'Kernels of shape {bank.weights.shape[1:]} were given for block {block}, whose '
                f'kernels have shape {old.bank.weights.shape[1:]} (channels, then size).'
            )
        if block < len(self.blocks):
            warnings.warn(
                f'Blocks {block + 1} to {len(self.blocks)} were learned from the old kernels of '
                f'block {block} and are removed; learn them again.',
                FlimWarning,
                stacklevel=2,
            )
        blocks = (*self.blocks[: block - 1], replace(old, bank=bank))
        kept = self.decoder.block if self.decoder.block <= len(blocks) else 0
        by_hand = self.decoder.overrides if block > self.decoded_block else ()
        decoder = replace(self.decoder, block=kept, overrides=by_hand)
        return replace(self, blocks=blocks, decoder=decoder, linear=None)

    def save(self, path: Path | str) -> None:
        """Write the model to a ``.flim`` file, whole or not at all.

        Raises
        ------
        FileError
            When the file cannot be written.
        """
        header = {**settings_of(self), 'architecture': architecture_to_dict(self.architecture)}
        write_model_file(path, header, blocks_to_tensors(self.blocks))

    def accept(
        self,
        given: Any,
        axes: str | None = None,
        spacing: Sequence[float] | None = None,
    ) -> Image:
        """An image as this model reads it, or an error that says what is different."""
        check_axes(axes)
        if isinstance(given, str | Path):
            image = read_image(given, axes)
            if spacing is not None:
                image = replace(image, spacing=tuple(spacing))
        else:
            image = given if isinstance(given, Image) else read_array(given, axes, spacing)
        repeatable = self.rgb and not image.rgb and image.channels == 1
        if repeatable and self.transform.kind != 'libift' and image.ndim == self.ndim:
            warnings.warn(
                f'{image.name} is grey, but the model reads RGB; its three colours are set equal.',
                FlimWarning,
                stacklevel=3,
            )
            image = replace(image, data=np.repeat(image.data, 3, axis=0), rgb=True)
        if self.transform.kind == 'libift' and image.ndim == self.ndim:
            return image
        if (image.ndim, image.rgb, image.channels) != (self.ndim, self.rgb, self.channels):
            axes = 'C' * (self.channels > 1 and not self.rgb) + 'ZYX'[-self.ndim :] + 'S' * self.rgb
            raise ImageError(
                f'{image.name} is read as {image.describe()}, but the model reads {self.reads()}. '
                f'If the axes were misunderstood, name them: {axes} is what the model reads, '
                f'T{axes} a stack of it.'
            )
        return image


def settings_of(model: FlimModel) -> dict[str, Any]:
    """Everything about a model that is neither blocks nor architecture, ready for JSON."""
    return {
        'transform': asdict(model.transform),
        'decoder': asdict(model.decoder),
        'delineation': asdict(model.delineation),
        'rgb': model.rgb,
        'channels': model.channels,
        'provenance': model.provenance,
        'linear': None if model.linear is None else asdict(model.linear),
    }


def _numpy(tensor: torch.Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.numpy(force=True)
    return array
