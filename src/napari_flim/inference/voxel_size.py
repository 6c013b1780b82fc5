"""Whether the sizes that a model has learned mean anything in an image."""

from __future__ import annotations

from collections.abc import Sequence

from napari_flim.engine.image import Image


def voxel_size_words(image: Image, learned: Sequence[Sequence[float]]) -> str:
    """A warning where only the model or only the image has world units; empty otherwise.

    Parameters
    ----------
    image : Image
    learned : sequence of sequence of float
        Voxel size of every training image.
    """
    alike = [_has_unit(spacing) == _has_unit(image.spacing) for spacing in learned]
    if not learned or any(alike):
        return ''
    return (
        f'{image.name} has voxel size {_times(image.spacing)}, but the model was learned from '
        f'{_times(learned[0])}, so objects may be too small or large for its range of sizes. '
        'Give the voxel size, or take the range away with with_delineation(sizes=None).'
    )


def _has_unit(spacing: Sequence[float]) -> bool:
    return any(size != 1 for size in spacing)


def _times(spacing: Sequence[float]) -> str:
    return ' x '.join(f'{size:g}' for size in spacing)
