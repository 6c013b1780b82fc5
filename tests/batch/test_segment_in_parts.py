import csv

import numpy as np
import pytest
import zarr

from napari_flim.api import learn
from napari_flim.batch.outputs import Outputs, result_paths
from napari_flim.batch.segment_image import segment_image
from napari_flim.engine.image import read_array
from napari_flim.engine.placement import Placement
from napari_flim.errors import MemoryBudgetError
from napari_flim.io.images import read_image
from napari_flim.io.results import read_labels
from napari_flim.progress import finish

SHAPE = (301, 256)
BUDGET = 8_000_000
EVERYTHING = Outputs(saliency=True, table=True, outlines=True)


@pytest.fixture(scope='module')
def scene():
    """A model and a large image of many disks, some of them on the borders of tiles."""
    random = np.random.default_rng(0)
    image = random.normal(0.2, 0.05, SHAPE).astype(np.float32)
    rows, columns = np.indices(SHAPE)
    for row in range(15, SHAPE[0], 41):
        for column in range(18, SHAPE[1], 37):
            radius = random.uniform(4, 9)
            image[(rows - row) ** 2 + (columns - column) ** 2 < radius**2] += 0.6
    markers = np.zeros(SHAPE, dtype=np.uint8)
    markers[14:17, 17:20] = 2
    markers[34:37, 34:40] = 1
    return learn(image, markers, 'small', spacing=(0.5, 0.5)), image


@pytest.fixture
def small_budget(monkeypatch):
    """Budgets count from what the process holds already."""
    for room in ('segment_large', 'delineate_blocks'):
        monkeypatch.setattr(
            f'napari_flim.inference.{room}.working_memory', lambda memory: memory or 10**9
        )


def lazy(image, placement=None):
    array = zarr.create_array({}, shape=image.shape, chunks=(128, 128), dtype='float32')
    array[:] = image
    return read_array(array, axes='YX', spacing=(0.5, 0.5), placement=placement)


def segmented(model, image, folder, outputs=EVERYTHING, memory=BUDGET):
    paths = result_paths(folder, 'cells', outputs)
    return finish(segment_image(model, image, paths, memory)), paths


@pytest.mark.parametrize('name', ['tif', 'ome-zarr', 'nii.gz'])
def test_parts_give_the_files_of_one_piece(name, scene, small_budget, tmp_path):
    model, image = scene
    outputs = Outputs(saliency=True, table=True, outlines=True, format=name)
    (tmp_path / 'whole').mkdir()
    (tmp_path / 'parts').mkdir()
    whole, one = segmented(model, lazy(image), tmp_path / 'whole', outputs, 10**9)
    parts, other = segmented(model, lazy(image), tmp_path / 'parts', outputs)
    assert parts.objects == whole.objects > 10
    assert {p.name for p in parts.files} == {p.name for p in whole.files}
    for mine, theirs in ((one.labels, other.labels), (one.saliency, other.saliency)):
        first, second = (read_image(path).in_memory() for path in (mine, theirs))
        assert first.data.dtype == second.data.dtype
        assert first.spacing == second.spacing == (0.5, 0.5)
        differences = abs(first.data.astype(float) - second.data.astype(float))
        assert (differences > 1e-5).mean() < 1e-4
    assert_same_tables(one.table, other.table)


def rows_of(table):
    with table.open(newline='') as text:
        return list(csv.DictReader(text))


def assert_same_tables(one, other):
    first, second = rows_of(one), rows_of(other)
    assert list(first[0]) == list(second[0])
    assert len(first) == len(second)
    for mine, theirs in zip(first, second, strict=True):
        for column in mine:
            assert float(mine[column]) == pytest.approx(float(theirs[column]), rel=0.02)


def test_nothing_but_results_is_left_behind(scene, small_budget, tmp_path):
    model, image = scene
    _, paths = segmented(model, lazy(image), tmp_path)
    wanted = {paths.labels, paths.saliency, paths.table, paths.outlines}
    assert set(tmp_path.iterdir()) == wanted


def test_labels_are_found_also_where_only_a_table_is_wanted(scene, small_budget, tmp_path):
    model, image = scene
    written, paths = segmented(model, lazy(image), tmp_path, Outputs(labels=False, table=True))
    assert len(rows_of(paths.table)) == written.objects
    assert list(tmp_path.iterdir()) == [paths.table]


def test_a_run_that_was_stopped_goes_on_at_the_last_tile(scene, small_budget, tmp_path):
    model, image = scene
    whole = finish(segment_image(model, lazy(image), result_paths(tmp_path, 'one', Outputs())))
    paths = result_paths(tmp_path, 'cells', EVERYTHING)
    attempts, steps = 0, 0
    while not paths.labels.exists():
        job = segment_image(model, lazy(image), paths, BUDGET)
        for number, _ in enumerate(job):
            steps += 1
            if number > 45:
                break
        job.close()
        attempts += 1
        assert attempts < 60
    assert attempts > 2
    first, second = (read_labels(tmp_path / f'{name}_labels.tif') for name in ('one', 'cells'))
    assert whole.objects == second.max()
    assert (first != second).mean() < 1e-4


def test_work_that_lost_its_labels_starts_anew(scene, small_budget, tmp_path):
    model, image = scene
    paths = result_paths(tmp_path, 'cells', Outputs())
    for number, _ in enumerate(segment_image(model, lazy(image), paths, BUDGET)):
        if number > 100:
            break
    (tmp_path / '.cells_labels.tif.partial').rename(tmp_path / 'lost')
    written = finish(segment_image(model, lazy(image), paths, BUDGET))
    assert read_labels(paths.labels).max() == written.objects > 10


def test_a_budget_that_is_too_small_is_refused_with_a_number(scene, small_budget, tmp_path):
    model, image = scene
    with pytest.raises(MemoryBudgetError, match='needs .* give more memory'):
        segmented(model, lazy(image), tmp_path, memory=10_000)


def test_results_of_parts_keep_the_place_of_the_image(scene, small_budget, tmp_path):
    model, image = scene
    placement = Placement('micrometer', (3.0, 4.0))
    outputs = Outputs(format='ome-zarr')
    _, paths = segmented(model, lazy(image, placement), tmp_path, outputs)
    assert read_image(paths.labels).placement.origin == (3.0, 4.0)
