"""``napari-flim convert``: models, architectures and markers to and from the LIDS formats."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import typer

from napari_flim.cli.console import say
from napari_flim.engine.architecture import PRESETS
from napari_flim.engine.decoder_settings import DecoderSettings
from napari_flim.engine.markers import MarkerSet
from napari_flim.engine.preprocessing import InputTransform
from napari_flim.errors import FileError
from napari_flim.io.images import TIFFS
from napari_flim.io.lids_architecture import read_architecture, write_architecture
from napari_flim.io.lids_model import read_lids_model, write_lids_model
from napari_flim.io.lids_taps import TapOrder
from napari_flim.io.results import read_labels, write_labels
from napari_flim.io.seeds import read_seeds, seeds_to_markers, write_seeds
from napari_flim.model import FlimModel, settings_of
from napari_flim.model_loading import load_model, model_from_settings

COLUMNS: dict[int, Literal[4, 5]] = {4: 4, 5: 5}
ORDERS: dict[str, TapOrder] = {'raster': 'raster', 'centre_first': 'centre_first'}


def run(source: Path, target: Path, tap_order: str, columns: int) -> None:
    """Convert by the kinds of source and target, which their names tell."""
    if tap_order not in ('auto', *ORDERS) or columns not in COLUMNS:
        raise typer.BadParameter(
            f'--tap-order {tap_order} --columns {columns}: '
            'tap orders are auto, raster and centre_first; seed files have 4 or 5 columns.'
        )
    kind = _kind(source, target)
    if kind == 'model to folder':
        _write_folder(load_model(source), target, tap_order)
    elif kind == 'folder to model':
        _read_folder(source, tap_order).save(target)
    elif kind == 'model to architecture':
        write_architecture(target, load_model(source).architecture)
    elif kind == 'architecture':
        preset = PRESETS.get(source.name) if not source.exists() else None
        write_architecture(target, preset or read_architecture(source))
    elif kind == 'seeds to labels':
        seeds = read_seeds(source)
        markers = seeds_to_markers(seeds, seeds.size)
        labels = np.zeros(markers.shape, dtype=np.uint16)
        labels[tuple(markers.coordinates.T)] = markers.classes
        write_labels(target, labels, (1.0,) * labels.ndim)
    else:
        write_seeds(target, MarkerSet.from_labels(read_labels(source)), COLUMNS[columns])
    say(f'{source} is converted to {target}.')


def _kind(source: Path, target: Path) -> str:
    from_model, to_model = source.suffix == '.flim', target.suffix == '.flim'
    to_json, to_tiff = target.suffix == '.json', target.suffix.lower() in TIFFS
    if from_model and to_json:
        return 'model to architecture'
    if from_model and not target.suffix:
        return 'model to folder'
    if source.is_dir() and to_model:
        return 'folder to model'
    if to_json and (source.suffix == '.json' or source.name in PRESETS):
        return 'architecture'
    if source.suffix == '.txt' and to_tiff:
        return 'seeds to labels'
    if target.suffix == '.txt' and source.suffix != '.txt' and source.is_file():
        return 'labels to seeds'
    raise typer.BadParameter(
        f'{source} cannot be converted to {target}; possible are model.flim to a new folder or a '
        '.json file, a LIDS folder to model.flim, an arch.json or a preset '
        f'({", ".join(PRESETS)}) to a .json file, '
        'STEM-seeds.txt to a .tif file, and a label image to STEM-seeds.txt.'
    )


def _write_folder(model: FlimModel, folder: Path, tap_order: str) -> None:
    order = ORDERS.get(tap_order, 'raster')
    write_lids_model(
        folder, model.architecture, model.blocks, tap_order=order, settings=settings_of(model)
    )


def _read_folder(folder: Path, tap_order: str) -> FlimModel:
    """A model of a LIDS folder; without our own settings it reads LibIFT's Lab colours."""
    lids = read_lids_model(folder, tap_order=ORDERS.get(tap_order, 'auto'))
    if lids.settings:
        try:
            return model_from_settings(lids.blocks, lids.architecture, lids.settings)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FileError(
                f'The settings in {folder / "napari_flim.json"} do not fit the model ({error}); '
                'delete that file to read the folder as one of LibIFT.'
            ) from error
    known = lids.blocks[-1].bank.classes.min() > 0
    return FlimModel(
        transform=InputTransform('libift'),
        blocks=lids.blocks,
        epsilon=lids.architecture.epsilon,
        intrinsic_atrous=lids.architecture.intrinsic_atrous,
        decoder=DecoderSettings('mean' if known else 'tristate'),
        provenance={'lids_folder': folder.name},
    )
