"""Runs on real schedulers with real worker processes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip('distributed', reason='several workers need the extra cluster')

from distributed import Client, LocalCluster, Worker

from napari_flim.batch import (
    Advanced,
    CarriedModel,
    Done,
    Failed,
    Orders,
    Outputs,
    Started,
    Summary,
    plan,
    run,
    tile_mapper,
)
from napari_flim.batch import cluster as clusters
from napari_flim.batch.tile_mapper import mapper_on
from napari_flim.errors import BatchError
from napari_flim.inference.mapping import Mapper
from napari_flim.inference.tiles import Tile
from napari_flim.io.results import read_labels

OUTPUTS = Outputs(saliency=True, table=True, outlines=True)


@contextmanager
def two_workers() -> Iterator[LocalCluster]:
    """A cluster as a user starts it, with two processes."""
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        host='127.0.0.1',
        dashboard_address='127.0.0.1:0',
        silence_logs='CRITICAL',
    ) as cluster:
        yield cluster


def threads_of_torch() -> int:
    return torch.get_num_threads()


def test_two_workers_write_the_same_bytes_as_one(
    carried_model: CarriedModel, make_images, tmp_path: Path
) -> None:
    images = make_images(6)
    (images / '3.tif').write_bytes(b'broken')
    one, two = tmp_path / 'one', tmp_path / 'two'
    list(run(plan(carried_model, [images], one, OUTPUTS)))
    told = list(run(plan(carried_model, [images], two, OUTPUTS), workers=2))
    assert isinstance(told[-1], Summary)
    assert (told[-1].done, told[-1].failed) == (5, 1)
    names = {path.name for path in one.iterdir()}
    assert {path.name for path in two.iterdir()} == names
    for name in names - {'run.json', 'report.csv'}:
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
    # Seconds differ, the order of the rows does not.
    first, second = ([line.split(',')[:2] for line in _report(out)] for out in (one, two))
    assert first == second
    for task in {event.task for event in told[:-1]}:
        own = [event for event in told[:-1] if event.task == task]
        assert isinstance(own[0], Started)
        assert isinstance(own[-1], Done | Failed)
        assert any(isinstance(event, Advanced) for event in own) or isinstance(own[-1], Failed)


def test_workers_share_the_tiles_of_a_single_file(
    carried_model: CarriedModel, make_images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for room in ('segment_large', 'delineate_blocks'):
        monkeypatch.setattr(f'napari_flim.inference.{room}.working_memory', lambda memory: memory)
    shared: list[Tile] = []

    def watched(client: Client) -> Mapper:
        mapped = mapper_on(client)
        return lambda function, tiles: shared.extend(tiles) or mapped(function, tiles)

    monkeypatch.setattr(tile_mapper, 'mapper_on', watched)
    images = make_images(1, size=280)
    one, two = tmp_path / 'one', tmp_path / 'two'
    whole = list(run(plan(carried_model, [images], one, memory=10**9)))
    assert not shared
    parts = list(run(plan(carried_model, [images], two, memory=8_000_000), workers=2))
    assert len({tile.number for tile in shared}) > 2
    assert whole[-1].objects == parts[-1].objects > 0
    first, second = (read_labels(out / '0_labels.tif') for out in (one, two))
    np.testing.assert_array_equal(first, second)


def test_workers_share_the_cores() -> None:
    cores = os.cpu_count() or 1
    with clusters.workers_here(2) as client:
        threads = client.run(threads_of_torch)
    assert list(threads.values()) == [max(1, cores // 2)] * 2


@pytest.mark.skipif(sys.platform == 'win32', reason='Windows has no SIGKILL')
def test_a_worker_that_is_lost_costs_only_what_it_was_doing(
    carried_model: CarriedModel, make_images, tmp_path: Path
) -> None:
    images, out = make_images(12, size=200), tmp_path / 'out'
    planned = plan(carried_model, [images], out, OUTPUTS)
    with two_workers() as cluster, Client(cluster, set_as_default=False) as client:
        processes = list(client.run(os.getpid).values())
        told = []
        for event in run(planned, scheduler=cluster.scheduler_address):
            told.append(event)
            if processes and len([one for one in told if isinstance(one, Done)]) == 2:
                os.kill(processes.pop(), signal.SIGKILL)
                processes.clear()
    assert (told[-1].done, told[-1].failed) == (12, 0)
    done = [event.task for event in told if isinstance(event, Done)]
    assert sorted(task.number for task in done) == list(range(12))
    list(run(plan(carried_model, [images], tmp_path / 'one', OUTPUTS)))
    for path in (tmp_path / 'one').glob('*_*'):
        assert path.read_bytes() == (out / path.name).read_bytes(), path.name


def test_a_run_on_a_cluster_can_be_stopped_and_told_to_skip(
    carried_model: CarriedModel, make_images, tmp_path: Path
) -> None:
    images, out, orders = make_images(20), tmp_path / 'out', Orders()
    planned = plan(carried_model, [images], out)
    orders.skip(planned.tasks[-1])
    with two_workers() as cluster:
        events = run(planned, scheduler=cluster.scheduler_address, orders=orders)
        next(event for event in events if isinstance(event, Done))
        events.close()
        rows = [line.split(',')[1] for line in _report(out)]
        assert rows[-1] == 'skipped'
        assert 1 <= rows.count('done') < 19
        again = plan(carried_model, [images], out, earlier='resume')
        assert len(again.tasks) == 20 - rows.count('done')
        summary = list(run(again, scheduler=cluster.scheduler_address))[-1]
        # Nothing of a run stays behind on the workers.
        with Client(cluster, set_as_default=False) as client:
            left = client.run(plugins_of_runs)
    assert summary.done + summary.earlier == 20
    assert list(left.values()) == [[], []]


def plugins_of_runs(dask_worker: Worker) -> list[str]:
    return [name for name in dask_worker.plugins if name.startswith('napari-flim')]


def test_a_scheduler_that_does_not_answer_is_named_before_anything_is_written(
    carried_model: CarriedModel, make_images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, 'ANSWER_SECONDS', 0.5)
    planned = plan(carried_model, [make_images(1)], tmp_path / 'out')
    with pytest.raises(BatchError, match=r'No scheduler answers at tcp://127.0.0.1:9'):
        list(run(planned, scheduler='tcp://127.0.0.1:9'))
    assert not (tmp_path / 'out').exists()


def test_what_travels_to_workers_is_small(carried_model: CarriedModel) -> None:
    import pickle

    assert carried_model.model is not None
    sent = pickle.dumps(carried_model)
    assert len(sent) < 2 * len(carried_model.content)
    image = np.zeros((40, 40), np.uint8)
    loaded = pickle.loads(sent).model
    np.testing.assert_array_equal(loaded.segment(image), carried_model.model.segment(image))


def _report(folder: Path) -> list[str]:
    return (folder / 'report.csv').read_text().splitlines()[1:]
