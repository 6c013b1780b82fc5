"""What a viewer shows of one file of a run: its image, its objects, its saliency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_flim.batch import Preview
from napari_flim.engine.image import SPATIAL, Image
from napari_flim.errors import BatchError, FlimError
from napari_flim.io.images import read_images, stem
from napari_flim.io.ome_zarr import is_zarr
from napari_flim.progress import Job, Progress
from napari_flim.session.batch_files import FileRow

LABELS, SALIENCY = '_labels', '_saliency'


@dataclass(frozen=True, eq=False)
class Shown:
    """An image with results on its voxels; arrays of files on disk are lazy.

    Attributes
    ----------
    source : Path
    image : list of array
        The finest level first, then coarser ones if the file has them.
    axes : str
        One letter for each axis of it, in the order that napari wants: C, T, Z, Y, X, S.
    spacing, origin : tuple of float
        Along the spatial axes.
    unit : str
    labels : list of array
        Axes T, Z, Y, X as the image has them, in levels; empty if there are none.
    saliency : tuple of array
        One for each object class, with the same axes.
    """

    source: Path
    image: list[Any]
    axes: str
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    unit: str
    labels: list[Any]
    saliency: tuple[Any, ...] = ()


def shown_preview(source: Path, preview: Preview) -> Shown:
    """What was found in the first image of a file."""
    labels: NDArray[np.int32] = preview.objects.labels
    shown = _shown(source, [[preview.image]])
    return replace(shown, labels=[labels], saliency=tuple(preview.saliency))


def opening(row: FileRow, folder: Path, axes: str | None) -> Job[Shown]:
    """The image of a file that is done, with its results.

    Parameters
    ----------
    row : FileRow
    folder : Path
        Of the run.
    axes : str, optional
        One letter for each axis of the file.

    Raises
    ------
    FlimError
        When a file cannot be read any more, or there is nothing to show.
    """
    yield Progress(f'opening {row.source.name}', 0, 1)
    found = {kind: _results(row, kind) for kind in (LABELS, SALIENCY)}
    if not any(found.values()):
        raise BatchError(
            f'The run wrote neither label images nor saliency of {row.source.name}; tick them and '
            'segment it again to look at them here.'
        )
    shown = _shown(row.source, _levels(row.source, axes))
    labels = [_levels(folder / name, None) for name in found[LABELS]]
    saliency = [read_images(folder / name)[0] for name in found[SALIENCY]]
    classes = saliency[0].channels if saliency else 0
    return replace(
        shown,
        labels=_stacked_levels(labels),
        saliency=tuple(_joined([one.data[n] for one in saliency]) for n in range(classes)),
    )


def _results(row: FileRow, kind: str) -> list[str]:
    """Names of the results of a kind, in the order of the images of a stack."""
    return sorted(name for name in row.results if stem(name).endswith(kind))


def _levels(path: Path, axes: str | None) -> list[list[Image]]:
    """The images of a file, at every resolution that it has."""
    finest = read_images(path, axes)
    levels = [finest]
    for place in _coarser(path) if is_zarr(path) else ():
        try:
            coarser = read_images(path / place, axes)
        except FlimError:
            # Without names of axes an array of the pyramid may be read in no way: then not at all.
            return [finest]
        if len(coarser) != len(finest) or not _is_coarser(coarser[0], levels[-1][0]):
            return [finest]
        levels.append(coarser)
    return levels


def _is_coarser(coarser: Image, finer: Image) -> bool:
    alike = (coarser.channels, coarser.ndim) == (finer.channels, finer.ndim)
    return alike and all(c <= f for c, f in zip(coarser.shape, finer.shape, strict=True))


def _coarser(path: Path) -> list[str]:
    """Places of the coarser levels of an OME-Zarr image."""
    import zarr

    node = zarr.open(str(path), mode='r')
    attributes: dict[str, Any] = dict(node.attrs)
    multiscales = attributes.get('ome', attributes).get('multiscales') or [{'datasets': []}]
    return [dataset['path'] for dataset in multiscales[0]['datasets'][1:]]


def _shown(source: Path, levels: Sequence[Sequence[Image]]) -> Shown:
    first = levels[0][0]
    stacked = len(levels[0]) > 1
    samples = first.rgb
    axes = 'C' * (first.channels > 1 and not samples) + 'T' * stacked + SPATIAL[-first.ndim :]
    placement = first.placement
    return Shown(
        source,
        [_for_napari(images) for images in levels],
        axes + 'S' * samples,
        first.spacing,
        (placement and placement.origin) or (0.0,) * first.ndim,
        placement.unit if placement else '',
        [],
    )


def _for_napari(images: Sequence[Image]) -> Any:
    """Voxels of a stack, or of its only image: C, T, Z, Y, X, S."""
    arrays = [_one(image) for image in images]
    several = images[0].channels > 1 and not images[0].rgb
    return arrays[0] if len(arrays) == 1 else np.stack(arrays, axis=1 if several else 0)


def _one(image: Image) -> Any:
    if image.rgb:
        return np.moveaxis(image.data, 0, -1)
    return image.data if image.channels > 1 else image.data[0]


def _stacked_levels(images: Sequence[Sequence[Sequence[Image]]]) -> list[Any]:
    """Label images of a stack, at every resolution that all of them have."""
    if not images:
        return []
    count = min(map(len, images))
    return [_joined([levels[n][0].data[0] for levels in images]) for n in range(count)]


def _joined(arrays: Sequence[Any]) -> Any:
    return arrays[0] if len(arrays) == 1 else np.stack(list(arrays))
