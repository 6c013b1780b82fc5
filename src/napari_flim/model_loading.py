"""From a file, or from settings and blocks, to a `FlimModel`: everything is checked on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_flim.delineation.delineation_settings import delineation_from_dict
from napari_flim.delineation.inputs import check_length
from napari_flim.engine.architecture import Architecture, architecture_from_dict
from napari_flim.engine.decoder_settings import DecoderSettings
from napari_flim.engine.kernels import LearnedBlock
from napari_flim.engine.linear_decoder import LinearDecoder
from napari_flim.engine.preprocessing import InputTransform
from napari_flim.errors import FlimError, ImageError, ModelFileError
from napari_flim.io.container import as_tuples
from napari_flim.io.model_file import read_model_file, tensors_to_blocks
from napari_flim.model import FlimModel


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
        return model_from_settings(
            tensors_to_blocks(path, architecture.blocks, tensors), architecture, header
        )
    except ModelFileError:
        raise
    except (FlimError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ModelFileError(
            f'{path} is damaged or was changed by hand ({error}). '
            'Use the file that napari-flim saved, or learn the model again.'
        ) from error


def model_from_settings(
    blocks: tuple[LearnedBlock, ...], architecture: Architecture, settings: dict[str, Any]
) -> FlimModel:
    """A model from its blocks and what `napari_flim.model.settings_of` said; the inverse of saving.

    Raises
    ------
    FlimError, KeyError, TypeError
        When something is missing or does not fit together.
    """
    model = FlimModel(
        transform=InputTransform(**as_tuples(settings['transform'])),
        blocks=blocks,
        epsilon=float(architecture.epsilon),
        intrinsic_atrous=architecture.intrinsic_atrous,
        decoder=DecoderSettings(**as_tuples(settings['decoder'])),
        delineation=delineation_from_dict(_delineation(settings)),
        rgb=bool(settings['rgb']),
        channels=int(settings['channels']),
        provenance=_checked_provenance(settings['provenance']),
        linear=_linear(settings.get('linear')),
    )
    read = model.transform.features(model.channels, model.ndim)
    if read != blocks[0].bank.weights.shape[1]:
        raise ImageError(
            f'the input has {read} channels, but block 1 reads {blocks[0].bank.weights.shape[1]}'
        )
    ranges = model.transform.ranges
    if ranges is not None and len(ranges) != (len(model.transform.channels) or model.channels):
        raise ImageError(f'there are {len(ranges)} intensity ranges')
    # A decoder that cannot work with these kernels is no reason to refuse the file: it says so
    # when it is used, and another one can be chosen.
    model.architecture.check_block(model.decoded_block)
    return model


def _linear(content: dict[str, Any] | None) -> LinearDecoder | None:
    return None if content is None else LinearDecoder(**as_tuples(content))


def _delineation(settings: dict[str, Any]) -> dict[str, Any]:
    """What a model says of delineation; before there was any, of the clean-up of a threshold."""
    content: dict[str, Any] = settings['delineation' if 'delineation' in settings else 'objects']
    return content


def _checked_provenance(content: Any) -> dict[str, Any]:
    """The origin of a model, if it has the form that learning gives it."""
    made = dict(content)
    for image in made.get('images', []):
        marked = {str(k): int(v) for k, v in image['marked'].items()}
        if not (isinstance(image['name'], str) and isinstance(image['markers'], int) and marked):
            raise TypeError(f'a training image is {image!r}')
        for size in image.get('spacing', []):
            check_length('the voxel size', size)
    return made
