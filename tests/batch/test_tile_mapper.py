"""One large image on a real scheduler with two worker processes."""

from __future__ import annotations

import os
import signal
import sys

import numpy as np
import pytest
import zarr

pytest.importorskip('distributed', reason='several workers need the extra cluster')

from distributed import Client, LocalCluster

from napari_flim.api import learn
from napari_flim.batch.outputs import Outputs, result_paths
from napari_flim.batch.segment_image import segment_image
from napari_flim.batch.tile_mapper import mapper_on
from napari_flim.io.images import read_image
from napari_flim.io.results import read_labels
from napari_flim.progress import finish

SIDE = 280


def disks() -> np.ndarray:
    """Bright disks in rows, on noise."""
    image = np.random.default_rng(0).normal(0.2, 0.05, (SIDE, SIDE)).astype(np.float32)
    rows, columns = np.indices(image.shape)
    image[(rows % 40 - 20) ** 2 + (columns % 40 - 20) ** 2 < 50] += 0.6
    return image


@pytest.mark.skipif(sys.platform == 'win32', reason='Windows has no SIGKILL')
def test_tiles_of_one_image_are_shared_and_outlive_a_worker(tmp_path, monkeypatch) -> None:
    for room in ('segment_large', 'delineate_blocks'):
        monkeypatch.setattr(
            f'napari_flim.inference.{room}.working_memory', lambda memory: memory or 10**9
        )
    image = disks()
    zarr.create_array(tmp_path / 'disks.zarr', shape=image.shape, chunks=(64, 64), dtype='float32')[
        :
    ] = image
    markers = np.zeros(image.shape, dtype=np.uint8)
    markers[18:23, 18:23] = 2
    markers[0:3, 0:40] = 1
    model = learn(image, markers, 'small')
    read = read_image(tmp_path / 'disks.zarr', 'YX')
    whole = finish(segment_image(model, read, result_paths(tmp_path, 'whole', Outputs())))
    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            host='127.0.0.1',
            dashboard_address='127.0.0.1:0',
            silence_logs='CRITICAL',
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        processes = list(client.run(os.getpid).values())
        paths = result_paths(tmp_path, 'shared', Outputs())
        job = segment_image(model, read, paths, 4_000_000, mapper_on(client))
        for number, _ in enumerate(job):
            if number == 6:
                os.kill(processes[0], signal.SIGKILL)
    assert number > 6
    one, two = (read_labels(tmp_path / f'{name}_labels.tif') for name in ('whole', 'shared'))
    assert whole.objects == two.max() == 49
    assert (one != two).mean() < 1e-4
