"""``napari-flim learn`` on a slide larger than memory reads what lies around its markers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import zarr
from typer.testing import CliRunner

from napari_flim.cli.app import app
from napari_flim.engine.markers import MarkerSet
from napari_flim.io.seeds import write_seeds
from napari_flim.model_loading import load_model

SIDE, CHUNK = 20_000, 1000


def test_chunks_far_from_the_markers_are_never_read(tmp_path: Path) -> None:
    path = tmp_path / 'slide.zarr'
    slide = zarr.create_array(path, shape=(SIDE, SIDE), chunks=(CHUNK, CHUNK), dtype=np.uint8)
    corner = np.random.default_rng(0).integers(40, 60, (CHUNK, CHUNK)).astype(np.uint8)
    corner[400:440, 500:540] += 150
    # What cannot be read would raise.
    slide[0, CHUNK::CHUNK] = slide[CHUNK::CHUNK, :] = 1
    slide[:CHUNK, :CHUNK] = corner
    kept = path / 'c' / '0' / '0'
    for chunk in (path / 'c').rglob('*'):
        if chunk.is_file() and chunk != kept:
            chunk.write_bytes(b'damaged')
    stroke = np.argwhere(np.ones((4, 10), bool))
    voxels = np.concatenate([stroke + np.array(place) for place in ((418, 515), (600, 300))])
    markers = MarkerSet.from_points(voxels, np.repeat([2, 1], len(stroke)), (SIDE, SIDE))
    folder = tmp_path / 'markers'
    folder.mkdir()
    write_seeds(folder / 'slide-seeds.txt', markers)
    out = tmp_path / 'model.flim'
    order = ['learn', str(path), '--markers', str(folder), '--out', str(out)]
    outcome = CliRunner().invoke(app, [*order, '--input', 'window:0,255'])
    assert outcome.exit_code == 0, outcome.output
    sizes = load_model(out).delineation.seeds.sizes
    assert sizes is not None
    assert sizes.smallest < 40 * 40 < sizes.largest
