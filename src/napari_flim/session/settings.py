"""What the user has chosen: specs only, nothing learned."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from napari_flim.delineation.delineation_settings import (
    DEFAULT_DELINEATION,
    DelineationSettings,
    delineation_from_dict,
)
from napari_flim.engine.architecture import (
    PRESETS,
    Architecture,
    Block,
    architecture_from_dict,
    architecture_to_dict,
)
from napari_flim.engine.decoder_settings import DecoderSettings
from napari_flim.engine.options import LearningOptions
from napari_flim.engine.preprocessing import InputTransform
from napari_flim.errors import ArchitectureError, DelineationError
from napari_flim.io.container import as_tuples

SizesFrom = Literal['marked', 'due', 'chosen']
"""Who says how large objects are: marked objects, marked objects once they are measured, or the
user."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a model is to be learned and decoded, and objects to be found.

    Attributes
    ----------
    architecture : Architecture
    transform : InputTransform
    fixed_ranges : bool
        Fix intensity ranges to those of the training images.
    decoder : DecoderSettings
    options : LearningOptions
    delineation : DelineationSettings
    sizes_from : {'marked', 'due', 'chosen'}
        Where the range of sizes in ``delineation`` comes from.
    """

    architecture: Architecture = PRESETS['small']
    transform: InputTransform = InputTransform()
    fixed_ranges: bool = False
    decoder: DecoderSettings = DecoderSettings()
    options: LearningOptions = LearningOptions()
    delineation: DelineationSettings = DEFAULT_DELINEATION
    sizes_from: SizesFrom = 'due'

    @property
    def preset(self) -> str | None:
        """Name of the preset that the architecture is, if it is one."""
        for name, architecture in PRESETS.items():
            if architecture == self.architecture:
                return name
        return None


def with_block(settings: Settings, number: int, block: Block) -> Settings:
    """The settings with another spec for one block, counted from 1."""
    blocks = list(settings.architecture.blocks)
    blocks[number - 1] = block
    return _with_blocks(settings, blocks)


def with_new_block(settings: Settings) -> Settings:
    """The settings with the last block repeated."""
    blocks = settings.architecture.blocks
    return _with_blocks(settings, [*blocks, blocks[-1]])


def without_block(settings: Settings, number: int) -> Settings:
    """The settings without one block.

    Raises
    ------
    ArchitectureError
        When it is the only one.
    """
    blocks = list(settings.architecture.blocks)
    if len(blocks) == 1:
        raise ArchitectureError('This is the only block; an encoder needs at least one.')
    del blocks[number - 1]
    return _with_blocks(settings, blocks)


def with_block_moved(settings: Settings, number: int, to: int) -> Settings:
    """The settings with one block at another place."""
    blocks = list(settings.architecture.blocks)
    blocks.insert(to - 1, blocks.pop(number - 1))
    return _with_blocks(settings, blocks)


def with_architecture(settings: Settings, architecture: Architecture) -> Settings:
    """The settings with other blocks; the decoder reads the last one if its own is gone."""
    decoder = settings.decoder
    if decoder.block > len(architecture):
        decoder = replace(decoder, block=0)
    return replace(settings, architecture=architecture, decoder=decoder)


def _with_blocks(settings: Settings, blocks: list[Block]) -> Settings:
    return with_architecture(settings, replace(settings.architecture, blocks=tuple(blocks)))


def settings_to_dict(settings: Settings) -> dict[str, Any]:
    """Settings as plain numbers, strings and lists, ready for JSON."""
    return {
        'architecture': architecture_to_dict(settings.architecture),
        'transform': asdict(settings.transform),
        'fixed_ranges': settings.fixed_ranges,
        'decoder': asdict(settings.decoder),
        'options': asdict(settings.options),
        'delineation': asdict(settings.delineation),
        'sizes_from': settings.sizes_from,
    }


def settings_from_dict(content: dict[str, Any]) -> Settings:
    """Inverse of `settings_to_dict`.

    Raises
    ------
    FlimError, KeyError, TypeError
        When something is missing or impossible.
    """
    delineation = _delineation(content)
    return Settings(
        architecture=architecture_from_dict(content['architecture']),
        transform=InputTransform(**as_tuples(content['transform'])),
        fixed_ranges=bool(content['fixed_ranges']),
        decoder=DecoderSettings(**as_tuples(content['decoder'])),
        options=LearningOptions(**content['options']),
        delineation=delineation,
        sizes_from=_sizes_from(content, delineation),
    )


def _delineation(content: dict[str, Any]) -> DelineationSettings:
    """How objects are found; sessions from before there was delineation do not say."""
    if 'delineation' not in content:
        return DEFAULT_DELINEATION
    return delineation_from_dict(content['delineation'])


def _sizes_from(content: dict[str, Any], delineation: DelineationSettings) -> SizesFrom:
    """Who says how large objects are; older sessions hold a range only if the user chose one."""
    said: SizesFrom = 'due' if delineation.seeds.sizes is None else 'chosen'
    said = content.get('sizes_from', said)
    if said not in get_args(SizesFrom):
        raise DelineationError(
            f'Sizes come from {said!r}; expected one of {", ".join(get_args(SizesFrom))}.'
        )
    return said
