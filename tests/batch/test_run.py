from __future__ import annotations

import csv
import hashlib
import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from imageio.v3 import imread, imwrite

import napari_flim.batch
from napari_flim.batch import (
    Advanced,
    CarriedModel,
    Done,
    Failed,
    Orders,
    Outputs,
    Skipped,
    Started,
    Summary,
    carried,
    plan,
    preview,
    run,
)
from napari_flim.batch import segment_image as segmenting
from napari_flim.delineation.measure import measure
from napari_flim.errors import BatchError, FlimWarning
from napari_flim.io.images import read_image
from napari_flim.io.results import write_labels, write_saliency, write_table
from napari_flim.model import FlimModel
from napari_flim.model_loading import load_model
from napari_flim.progress import finish


def report_in(folder: Path) -> dict[str, dict[str, str]]:
    """Rows of the report by the name of the file."""
    with (folder / 'report.csv').open(newline='', encoding='utf-8') as lines:
        return {Path(row['file']).name: row for row in csv.DictReader(lines)}


def test_a_run_tells_of_every_file_and_ends_with_a_summary(
    carried_model: CarriedModel, make_images, tmp_path: Path
) -> None:
    planned = plan(carried_model, [make_images(3)], tmp_path / 'out')
    events = list(run(planned))
    told = [event for event in events if not isinstance(event, Advanced)]
    assert [type(event) for event in told] == [Started, Done] * 3 + [Summary]
    assert [event.task.number for event in told[:-1]] == [0, 0, 1, 1, 2, 2]
    stages = [event.progress.stage for event in events if isinstance(event, Advanced)]
    assert stages.count('computing saliency') == 3
    summary = told[-1]
    assert (summary.done, summary.failed, summary.objects) == (3, 0, 1 + 2 + 3)


def test_results_are_those_that_python_gives_to_the_byte(
    carried_model: CarriedModel, model: FlimModel, make_images, tmp_path: Path
) -> None:
    images, out = make_images(2), tmp_path / 'out'
    list(run(plan(carried_model, [images], out, Outputs(saliency=True, table=True))))
    image = read_image(images / '1.tif')
    objects, maps = finish(model.delineating(image))
    write_labels(tmp_path / 'labels.tif', objects.labels, image)
    write_saliency(tmp_path / 'saliency.tif', maps[0], image)
    write_table(tmp_path / 'objects.csv', measure(objects, image=image.data, saliency=maps))
    for kind, ending in (('labels', 'tif'), ('saliency', 'tif'), ('objects', 'csv')):
        expected = (tmp_path / f'{kind}.{ending}').read_bytes()
        assert (out / f'1_{kind}.{ending}').read_bytes() == expected, kind


def test_the_folder_of_a_run_says_what_was_done_and_how(
    carried_model: CarriedModel, make_images, tmp_path: Path
) -> None:
    images, out = make_images(3), tmp_path / 'out'
    list(run(plan(carried_model, [images], out, Outputs(table=True))))
    rows = report_in(out)
    assert [row['objects'] for row in rows.values()] == ['1', '2', '3']
    assert {row['status'] for row in rows.values()} == {'done'}
    assert rows['1.tif']['results'] == '1_labels.tif|1_objects.csv'
    assert rows['1.tif']['file'] == str(images / '1.tif')
    about = json.loads((out / 'run.json').read_text())
    assert about['model'] == {'name': 'squares.flim', 'sha256': carried_model.sha256}
    assert about['settings']['delineation']['method'] == 'dynamic_trees'
    assert about['files'] == {'done': 3, 'failed': 0, 'skipped': 0, 'waiting': 0}
    assert about['started'] <= about['ended']
    assert hashlib.sha256((out / 'model.flim').read_bytes()).hexdigest() == carried_model.sha256
    with (out / 'objects.csv').open(newline='') as lines:
        objects = list(csv.DictReader(lines))
    assert [(row['file'], row['label']) for row in objects] == [
        ('0.tif', '1'),
        *(('1.tif', n) for n in '12'),
        *(('2.tif', n) for n in '123'),
    ]
    assert 80 < float(objects[-1]['area']) < 120


def test_settings_of_a_run_are_in_the_model_it_leaves(
    model: FlimModel, make_images, tmp_path: Path
) -> None:
    changed = carried(model.with_delineation(method='none', threshold=0.7), model)
    assert changed.sha256 == carried(model).sha256
    list(run(plan(changed, [make_images(1)], tmp_path / 'out')))
    left = load_model(tmp_path / 'out' / 'model.flim')
    assert (left.delineation.method, left.delineation.seeds.threshold) == ('none', 0.7)
    expected = left.segment(tmp_path / 'images' / '0.tif')
    found = tifffile.imread(tmp_path / 'out' / '0_labels.tif')
    np.testing.assert_array_equal(found, expected)


def test_a_broken_file_costs_only_itself(
    carried_model: CarriedModel, make_images, tmp_path: Path
) -> None:
    images, out = make_images(3), tmp_path / 'out'
    (images / '1.tif').write_bytes(b'II*\0 no picture')
    np.save(images / 'volume.npy', np.zeros((9, 9, 9), np.uint8))
    summary = list(run(plan(carried_model, [images], out)))[-1]
    assert (summary.done, summary.failed) == (2, 2)
    rows = report_in(out)
    assert [row['status'] for row in rows.values()] == ['done', 'failed', 'done', 'failed']
    assert '1.tif cannot be read' in rows['1.tif']['message']
    assert 'volume of 9 x 9 x 9 voxels' in rows['volume.npy']['message']
    assert rows['1.tif']['results'] == rows['1.tif']['objects'] == ''


def test_files_that_failed_are_tried_again_when_a_run_is_resumed(
    carried_model: CarriedModel, make_images, tmp_path: Path
) -> None:
    images, out = make_images(2), tmp_path / 'out'
    whole = (images / '0.tif').read_bytes()
    (images / '0.tif').write_bytes(b'')
    list(run(plan(carried_model, [images], out, Outputs(table=True))))
    (images / '0.tif').write_bytes(whole)
    again = plan(carried_model, [images], out, Outputs(table=True), earlier='resume')
    summary = list(run(again))[-1]
    assert (summary.done, summary.earlier) == (1, 1)
    assert [row['status'] for row in report_in(out).values()] == ['done', 'done']
    assert len((out / 'objects.csv').read_text().splitlines()) == 1 + 1 + 2


def test_errors_that_nobody_foresaw_cost_one_file_and_debug_shows_them(
    carried_model: CarriedModel, make_images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = segmenting.segment_image

    def fragile(model: Any, image: Any, *more: Any) -> Any:
        if image.name == '0.tif':
            raise IndexError('index 7 is out of bounds')
        return usual(model, image, *more)

    monkeypatch.setattr(segmenting, 'segment_image', fragile)
    images = make_images(2)
    events = list(run(plan(carried_model, [images], tmp_path / 'out')))
    reasons = [event.reason for event in events if isinstance(event, Failed)]
    assert reasons == ['IndexError: index 7 is out of bounds.']
    assert events[-1].done == 1
    with pytest.raises(IndexError):
        list(run(plan(carried_model, [images], tmp_path / 'other'), debug=True))


@pytest.mark.parametrize(
    'error',
    [
        MemoryError('Unable to allocate 9 GB'),
        RuntimeError('DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes'),
    ],
)
def test_a_file_for_which_memory_is_short_is_tried_once_more_with_half(
    carried_model: CarriedModel,
    make_images,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    usual, given = segmenting.segment_image, []

    def short(model: Any, image: Any, paths: Any, memory: int, mapper: Any) -> Any:
        given.append((image.name, memory))
        if image.name == '0.tif' or memory > 500:
            raise error
        return usual(model, image, paths)

    monkeypatch.setattr(segmenting, 'segment_image', short)
    planned = plan(carried_model, [make_images(2)], tmp_path / 'out', memory=1000)
    events = list(run(planned))
    assert given == [('0.tif', 1000), ('0.tif', 500), ('1.tif', 1000), ('1.tif', 500)]
    failed = [event for event in events if isinstance(event, Failed)]
    assert [event.task.stem for event in failed] == ['0']
    assert 'Memory was too short, also with half the budget' in failed[0].reason
    assert events[-1].done == 1


def test_what_a_file_warns_of_is_its_message_and_other_warnings_go_on(
    carried_model: CarriedModel, make_images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = make_images(1)
    alpha = np.stack([imread(images / '0.tif'), np.full((40, 40), 255, np.uint8)], axis=-1)
    imwrite(images / 'alpha.png', alpha)
    usual = segmenting.segment_image

    def noisy(*given: Any) -> Any:
        warnings.warn('of another library', UserWarning, stacklevel=1)
        return (yield from usual(*given))

    monkeypatch.setattr(segmenting, 'segment_image', noisy)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        list(run(plan(carried_model, [images], tmp_path / 'out')))
    rows = report_in(tmp_path / 'out')
    assert rows['0.tif']['message'] == ''
    assert 'has an alpha channel; it is not used' in rows['alpha.png']['message']
    assert [str(one.message) for one in caught] == ['of another library'] * 2
    assert not any(issubclass(one.category, FlimWarning) for one in caught)


def test_a_stack_gives_results_for_each_of_its_images(
    carried_model: CarriedModel, make_images, tmp_path: Path
) -> None:
    images, out = make_images(3), tmp_path / 'out'
    stack = np.stack([imread(images / f'{n}.tif') for n in range(3)])
    np.save(tmp_path / 'all.npy', stack)
    outputs = Outputs(table=True)
    planned = plan(carried_model, [tmp_path / 'all.npy'], out, outputs, axes='tyx')
    events = list(run(planned))
    done = next(event for event in events if isinstance(event, Done))
    assert done.objects == 6
    assert done.results[::2] == tuple(f'all-{n:03d}_labels.tif' for n in range(3))
    assert done.read_as.startswith('a stack of 3, each of them image of 40 x 40')
    stages = [event.progress.stage for event in events if isinstance(event, Advanced)]
    assert 'computing saliency, image 2 of 3' in stages
    list(run(plan(carried_model, [images], tmp_path / 'single')))
    for number in range(3):
        single = (tmp_path / 'single' / f'{number}_labels.tif').read_bytes()
        assert (out / f'all-{number:03d}_labels.tif').read_bytes() == single
    names = [line.split(',')[0] for line in (out / 'objects.csv').read_text().splitlines()[1:]]
    assert names == ['all.npy[0]', *['all.npy[1]'] * 2, *['all.npy[2]'] * 3]


def test_a_stack_takes_no_name_of_another_file(
    carried_model: CarriedModel, make_images, tmp_path: Path
) -> None:
    images, out = make_images(1), tmp_path / 'out'
    stack = np.stack([imread(images / '0.tif')] * 2)
    np.save(tmp_path / 'all.npy', stack)
    np.save(tmp_path / 'all-001.npy', stack[:1])
    inputs = [tmp_path / 'all.npy', tmp_path / 'all-001.npy']
    events = list(run(plan(carried_model, inputs, out, axes='TYX')))
    failed = next(event for event in events if isinstance(event, Failed))
    assert 'like those of the file all-001 of this run; rename one' in failed.reason
    assert [path.name for path in out.glob('*_labels.tif')] == ['all-001_labels.tif']


def test_a_run_that_is_stopped_says_what_waits_and_goes_on_later(
    carried_model: CarriedModel, make_images, tmp_path: Path
) -> None:
    images, out = make_images(3), tmp_path / 'out'
    events = run(plan(carried_model, [images], out, Outputs(table=True)))
    for event in events:
        if isinstance(event, Advanced) and event.task.number == 1:
            break
    events.close()
    assert [row['status'] for row in report_in(out).values()] == ['done', 'waiting', 'waiting']
    assert sorted(path.name for path in out.glob('*_*')) == ['0_labels.tif', '0_objects.csv']
    assert len((out / 'objects.csv').read_text().splitlines()) == 2
    again = plan(carried_model, [images], out, Outputs(table=True), earlier='resume')
    before = (out / '0_labels.tif').stat().st_mtime_ns
    list(run(again))
    assert (out / '0_labels.tif').stat().st_mtime_ns == before
    assert [row['status'] for row in report_in(out).values()] == ['done'] * 3
    about = json.loads((out / 'run.json').read_text())
    assert len(about['resumed']) == 1


def test_waiting_files_can_be_skipped_and_tried_again(
    carried_model: CarriedModel, make_images, tmp_path: Path
) -> None:
    images, out = make_images(4), tmp_path / 'out'
    (images / '0.tif').write_bytes(b'')
    planned, orders = plan(carried_model, [images], out), Orders()
    told = []
    whole = imread(images / '1.tif')
    for event in run(planned, orders=orders):
        if isinstance(event, Failed):
            tifffile.imwrite(images / '0.tif', whole)
            orders.retry(planned.tasks[0])
            orders.retry(planned.tasks[3])  # has not ended: nothing to try again
            orders.skip(planned.tasks[2])
            orders.skip(planned.tasks[0])
            orders.retry(planned.tasks[0])
        if isinstance(event, Done) and event.task.number == 3:
            orders.retry(planned.tasks[2])
        if not isinstance(event, Advanced | Started | Summary):
            told.append((type(event), event.task.number))
    assert told == [
        (Failed, 0),
        (Skipped, 2),
        (Skipped, 0),
        (Done, 1),
        (Done, 3),
        (Done, 0),
        (Done, 2),
    ]
    assert (event.done, event.failed, event.skipped) == (4, 0, 0)
    assert [row['status'] for row in report_in(out).values()] == ['done'] * 4


def test_outlines_are_drawn_on_the_image(
    carried_model: CarriedModel, make_images, tmp_path: Path
) -> None:
    images, out = make_images(1), tmp_path / 'out'
    list(run(plan(carried_model, [images], out, Outputs(labels=False, outlines=True))))
    assert not list(out.glob('*.tif'))
    picture = imread(out / '0_outlines.png')
    assert (picture.shape, picture.dtype) == ((40, 40, 3), np.uint8)
    yellow = (picture == (255, 255, 0)).all(axis=-1)
    assert 20 < yellow.sum() < 60
    assert yellow[:, :3].sum() == yellow[20:].sum() == 0
    grey = picture[~yellow]
    assert (grey == grey[:, :1]).all()


@pytest.mark.parametrize('kind', ['ome-zarr', 'nii.gz'])
def test_results_come_in_the_format_that_is_wanted(
    carried_model: CarriedModel, make_images, tmp_path: Path, kind: str
) -> None:
    images, out = make_images(1), tmp_path / 'out'
    outputs = Outputs(saliency=True, format=kind)
    list(run(plan(carried_model, [images], out, outputs)))
    names = report_in(out)['0.tif']['results'].split('|')
    assert names == [f'0_{what}.{kind.replace("-", ".")}' for what in ('labels', 'saliency')]
    assert read_image(out / names[0]).data.max() == 1
    # Results beside images are known, and removed, in every format.
    again = plan(carried_model, [images], out, outputs, earlier='overwrite')
    list(run(again))
    assert all((out / name).exists() for name in names)


def test_what_a_killed_process_has_begun_to_write_is_removed(
    carried_model: CarriedModel, make_images, tmp_path: Path
) -> None:
    images, out = make_images(1), tmp_path / 'out'
    out.mkdir()
    for name in ('.0a1b2c3d.0_labels.tif', '.0a1b2c3d.report.csv', '.0_labels.ome.zarr.partial'):
        (out / name).write_text('half')
    for name in ('.0a1b2c3d.notes.txt', '.hidden_labels.tif'):
        (out / name).write_text('mine')
    list(run(plan(carried_model, [images], out)))
    hidden = sorted(path.name for path in out.iterdir() if path.name.startswith('.'))
    assert hidden == ['.0a1b2c3d.notes.txt', '.hidden_labels.tif']


def test_a_preview_finds_what_a_run_will_find_and_writes_nothing(
    carried_model: CarriedModel, make_images, tmp_path: Path
) -> None:
    images = make_images(3)
    before = sorted(tmp_path.rglob('*'))
    seen = finish(preview(carried_model, images / '2.tif'))
    assert sorted(tmp_path.rglob('*')) == before
    assert (len(seen.objects.classes), seen.images, seen.saliency.shape) == (3, 1, (1, 40, 40))
    list(run(plan(carried_model, [images], tmp_path / 'out')))
    found = tifffile.imread(tmp_path / 'out' / '2_labels.tif')
    np.testing.assert_array_equal(seen.objects.labels, found)


def test_several_workers_without_distributed_are_refused_with_what_to_install(
    carried_model: CarriedModel, make_images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, 'distributed', None)
    monkeypatch.delitem(sys.modules, 'napari_flim.batch.cluster', raising=False)
    monkeypatch.delattr(napari_flim.batch, 'cluster', raising=False)
    planned = plan(carried_model, [make_images(2)], tmp_path / 'out')
    with pytest.raises(BatchError, match=r'pip install "napari-flim\[cluster\]"'):
        list(run(planned, workers=2))
    assert not (tmp_path / 'out').exists()
    assert list(run(planned))[-1].done == 2


def test_one_worker_needs_no_dask(make_images, carried_model, tmp_path: Path) -> None:
    model = tmp_path / 'squares.flim'
    model.write_bytes(carried_model.content)
    code = (
        'import sys\n'
        'from napari_flim.batch import carried, plan, run\n'
        'from napari_flim.model_loading import load_model\n'
        'model, images, out = sys.argv[1:]\n'
        'summary = list(run(plan(carried(load_model(model)), [images], out)))[-1]\n'
        'assert summary.done == 1\n'
        'assert not {"dask", "distributed"} & set(sys.modules)\n'
    )
    arguments = [str(model), str(make_images(1)), str(tmp_path / 'out')]
    subprocess.run([sys.executable, '-c', code, *arguments], check=True)


def test_no_worker_at_all_is_refused(
    carried_model: CarriedModel, make_images, tmp_path: Path
) -> None:
    with pytest.raises(BatchError, match='0 workers were asked for'):
        list(run(plan(carried_model, [make_images(1)], tmp_path / 'out'), workers=0))
