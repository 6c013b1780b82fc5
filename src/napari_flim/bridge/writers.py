"""Files that napari saves with the plugin: marker layers as LIDS seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_flim.bridge.layer_axes import NAMES, marker_axes
from napari_flim.bridge.marker_layers import LINK, MARKERS
from napari_flim.bridge.readers import SEEDS
from napari_flim.engine.markers import LARGEST_LABEL, MarkerSet
from napari_flim.errors import FileError, MarkerError
from napari_flim.io.images import stem
from napari_flim.io.seeds import write_seeds


def write_seeds_layer(path: str, data: Any, meta: Mapping[str, Any]) -> list[str]:
    """Write a marker layer as LIDS seeds: label 1 becomes 0, the background, label 2 becomes 1.

    Of a stack of images every marked one gets a file of its own, numbered from 0. LIDS tools find
    seeds by their name, ``<image>-seeds.txt``, so this ending is put in place of another one.

    Parameters
    ----------
    path : str
    data : (\\*S) or (T, \\*S) array of int
        0 unmarked, 1 background, 2.. objects; numpy, dask or zarr.
    meta : mapping
        Attributes of the layer. Its axis labels, or the item it belongs to, tell a stack from a
        volume; without either, three axes are a volume.

    Returns
    -------
    list of str
        Files that were written.

    Raises
    ------
    FileError
        When nothing is painted, the layer is a segmentation with more labels than classes, or a
        file cannot be written or would replace another one than the user named. Never a
        ValueError, which napari takes for a missing plugin.
    """
    name = str(meta.get('name', 'the layer'))
    if isinstance(data, Sequence):
        raise FileError(
            f'{name} is multiscale; markers have one resolution. Save its finest level.'
        )
    stacked = _is_stack(data, meta)
    try:
        sets = (
            MarkerSet.from_stack(data, data.ndim - 1) if stacked else [MarkerSet.from_labels(data)]
        )
    except MarkerError as error:
        raise FileError(f'{name} cannot be saved as seeds: {error}') from error
    marked = {index: markers for index, markers in enumerate(sets) if len(markers)}
    if not marked:
        raise FileError(f'Nothing is painted on {name}; paint markers, then save them.')
    largest = max(int(markers.classes.max()) for markers in marked.values())
    if largest > LARGEST_LABEL:
        raise FileError(
            f'{name} holds the label {largest}; markers have labels 1 to {LARGEST_LABEL}. '
            'If it is a segmentation, save it as an image instead.'
        )
    files = {
        _seeds_path(path, f'_{index:0{len(str(len(sets)))}d}' if stacked else ''): markers
        for index, markers in marked.items()
    }
    _check_free(files, path)
    for file, markers in files.items():
        write_seeds(file, markers)
    return [str(file) for file in files]


def _seeds_path(path: str, number: str) -> Path:
    """The path with the ending of seed files, and before it the number of the image."""
    whole = Path(path)
    name = whole.name
    image = name.removesuffix(SEEDS) if name.endswith(SEEDS) else stem(name)
    return whole.with_name(f'{image}{number}{SEEDS}')


def _check_free(files: Mapping[Path, MarkerSet], named: str) -> None:
    """Refuse to replace files that the user was not asked about."""
    taken = [file.name for file in files if file.exists() and file != Path(named)]
    if taken:
        raise FileError(
            f'Seeds are saved as {taken[0]}, which exists already. Choose this very name to '
            'replace it (for a stack: delete the old files), or another one.'
        )


def _is_stack(data: Any, meta: Mapping[str, Any]) -> bool:
    """Whether the first axis counts images."""
    if data.ndim != 3:
        return bool(data.ndim == 4)
    first = NAMES.get(str(meta.get('axis_labels', ('',))[0]).lower())
    if first is not None:
        return first == 'T'
    return _axes_of_item(meta).startswith('T')


def _axes_of_item(meta: Mapping[str, Any]) -> str:
    """Axes that the user chose for the image of a marker layer; empty if it has none."""
    from napari import current_viewer

    from napari_flim.bridge.controller import CONTROLLERS

    link = meta.get('metadata', {}).get(LINK, {})
    viewer = current_viewer()
    if viewer is None or link.get('role') != MARKERS:
        return ''
    item = CONTROLLERS.of(viewer).session.item(link.get('item'))
    return '' if item is None else marker_axes(item.source.axes)
