from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_flim.batch import CarriedModel, Done, Outputs, carried, plan, run
from napari_flim.batch.report import COLUMNS, Row, lines, read_earlier_run
from napari_flim.errors import BatchError, FileError, ImageError
from napari_flim.model import FlimModel


def stems(planned) -> list[str]:
    return [task.stem for task in planned.tasks]


def finish_some(planned, count: int) -> None:
    """Run until so many files are done, then stop."""
    events = run(planned)
    done = 0
    while done < count:
        done += isinstance(next(events), Done)
    events.close()


def test_planning_and_the_room_need_neither_torch_nor_dask() -> None:
    code = (
        'import sys, napari_flim.batch, napari_flim.batch.run\n'
        'heavy = {"torch", "dask", "distributed", "zarr", "numba", "napari"} & set(sys.modules)\n'
        'assert not heavy, heavy'
    )
    subprocess.run([sys.executable, '-c', code], check=True)


def test_a_plan_has_a_task_for_every_image_and_writes_nothing(
    carried_model: CarriedModel, make_images, tmp_path: Path
) -> None:
    planned = plan(carried_model, [make_images(11)], tmp_path / 'out')
    assert stems(planned) == [str(number) for number in range(11)]
    assert [task.number for task in planned.tasks] == list(range(11))
    assert not (tmp_path / 'out').exists()


def test_a_pattern_chooses_among_the_images_of_folders(
    carried_model: CarriedModel, make_images, tmp_path: Path
) -> None:
    images = make_images(11)
    (images / '0.png').write_bytes(b'another 0')
    (images / 'deeper').mkdir()
    (images / '1.tif').rename(images / 'deeper' / '1.tif')

    def chosen(pattern: str) -> list[str]:
        return stems(plan(carried_model, [images], tmp_path / 'out', pattern=pattern))

    assert chosen('*.tif') == [str(number) for number in range(11) if number != 1]
    assert chosen('[12]*.tif') == ['2', '10']
    assert '1' in chosen('**/*.tif')
    with pytest.raises(FileError, match=r"no image that fits '\*.jpg'"):
        chosen('*.jpg')
    with pytest.raises(BatchError, match=r'no pattern for names of files'):
        chosen('')


@pytest.mark.parametrize('name', ['0.png', '0.ome.tif'])
def test_two_images_with_results_of_the_same_name_are_refused(
    carried_model: CarriedModel, make_images, tmp_path: Path, name: str
) -> None:
    images = make_images(1)
    (images / name).write_bytes(b'another 0')
    with pytest.raises(FileError, match=r'have the same name without ending'):
        plan(carried_model, [images], tmp_path / 'out')


def test_names_that_differ_only_in_case_are_refused(
    carried_model: CarriedModel, make_images, tmp_path: Path
) -> None:
    for folder, name in (('a', 'Egg.tif'), ('b', 'egg.tif')):
        (make_images(1, folder) / '0.tif').rename(tmp_path / folder / name)
    with pytest.raises(BatchError, match=r'would have results of the same names'):
        plan(carried_model, [tmp_path / 'a', tmp_path / 'b'], tmp_path / 'out')


def test_results_beside_the_images_are_no_inputs(
    carried_model: CarriedModel, make_images, tmp_path: Path
) -> None:
    images = make_images(2)
    outputs = Outputs(saliency=True, table=True, outlines=True)
    list(run(plan(carried_model, [images], images, outputs)))
    planned = plan(carried_model, [images], images, outputs, earlier='overwrite')
    assert stems(planned) == ['0', '1']
    assert len(planned.left_out) == 6
    elsewhere = plan(carried_model, [images], tmp_path / 'out')
    assert len(elsewhere.tasks) == 8
    results = [path for path in images.iterdir() if path.stem.endswith('_labels')]
    with pytest.raises(BatchError, match='holds only results of earlier runs'):
        plan(carried_model, results, images)


def test_a_name_with_a_line_break_is_refused(
    carried_model: CarriedModel, make_images, tmp_path: Path
) -> None:
    images = make_images(1)
    (images / '0.tif').rename(images / 'two\nlines.tif')
    with pytest.raises(BatchError, match='has a line break in it; rename the file'):
        plan(carried_model, [images], tmp_path / 'out')


def test_wrong_axes_are_refused_before_anything_is_read(
    carried_model: CarriedModel, make_images, tmp_path: Path
) -> None:
    with pytest.raises(ImageError, match="Axes 'XY' describe no image"):
        plan(carried_model, [make_images(1)], tmp_path / 'out', axes='XY')


@pytest.mark.parametrize(
    ('wrong', 'words'),
    [({'format': 'gif'}, "no format 'gif'; choose one of tif"), ({'labels': False}, 'Nothing is')],
)
def test_outputs_that_make_no_sense_are_refused(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(BatchError, match=words):
        Outputs(**wrong)


def test_an_earlier_run_is_neither_mixed_nor_overwritten_unasked(
    carried_model: CarriedModel, make_images, tmp_path: Path
) -> None:
    images, out = make_images(3), tmp_path / 'out'
    finish_some(plan(carried_model, [images], out), 2)
    with pytest.raises(BatchError, match=r'has finished 2 of 3 files. Resume it, overwrite it'):
        plan(carried_model, [images], out)
    assert stems(plan(carried_model, [images], out, earlier='resume')) == ['2']
    anew = plan(carried_model, [images / '2.tif'], out, earlier='overwrite')
    assert [path.name for path in sorted(out.glob('*.tif'))] == ['0_labels.tif', '1_labels.tif']
    list(run(anew))
    assert [path.name for path in out.glob('*.tif')] == ['2_labels.tif']
    assert [row.stem for row in read_earlier_run(out).rows] == ['2']


def test_resuming_where_nothing_was_done_is_a_new_run(
    carried_model: CarriedModel, model: FlimModel, make_images, tmp_path: Path
) -> None:
    images, out = make_images(2), tmp_path / 'out'
    assert stems(plan(carried_model, [images], out, earlier='resume')) == ['0', '1']
    events = run(plan(carried_model, [images], out))
    next(events)
    events.close()
    changed = carried(model.with_delineation(method='none'), model)
    for earlier in ('refuse', 'resume'):
        assert stems(plan(changed, [images], out, earlier=earlier)) == ['0', '1']


def test_resuming_with_another_model_is_refused(
    carried_model: CarriedModel, make_images, tmp_path: Path
) -> None:
    images, out = make_images(2), tmp_path / 'out'
    list(run(plan(carried_model, [images], out)))
    other = replace(carried_model, name='other.flim', sha256='0' * 64)
    with pytest.raises(BatchError, match=r'another model, squares.flim \(.*not other.flim'):
        plan(other, [images], out, earlier='resume')


def test_resuming_with_other_settings_names_them(
    carried_model: CarriedModel, model: FlimModel, make_images, tmp_path: Path
) -> None:
    images, out = make_images(2), tmp_path / 'out'
    list(run(plan(carried_model, [images], out)))
    changed = carried(model.with_delineation(method='watershed', threshold=0.3), model)
    with pytest.raises(BatchError) as caught:
        plan(changed, [images], out, Outputs(saliency=True), axes='YX', earlier='resume')
    for words in (
        'delineation method was dynamic_trees, now watershed',
        'delineation seeds threshold was not set, now 0.3',
        'axes was not set, now YX',
        'outputs saliency was False, now True',
    ):
        assert words in str(caught.value)
    # How much memory there is changes no result.
    assert not plan(carried_model, [images], out, memory=10**9, earlier='resume').tasks


def test_what_has_changed_since_is_done_again(
    carried_model: CarriedModel, make_images, tmp_path: Path
) -> None:
    images, out = make_images(4), tmp_path / 'out'
    list(run(plan(carried_model, [images], out)))
    (images / '0.tif').write_bytes((images / '1.tif').read_bytes())
    os.utime(images / '0.tif', ns=(1, 1))
    (out / '2_labels.tif').unlink()
    again = plan(carried_model, [images], out, earlier='resume')
    assert stems(again) == ['0', '2']
    list(run(again))
    assert (out / '0_labels.tif').read_bytes() == (out / '1_labels.tif').read_bytes()
    assert [row.stem for row in read_earlier_run(out).rows] == ['0', '1', '2', '3']


def test_more_images_may_join_a_run_but_none_with_a_name_that_is_taken(
    carried_model: CarriedModel, make_images, tmp_path: Path
) -> None:
    out = tmp_path / 'out'
    list(run(plan(carried_model, [make_images(2)], out)))
    joined = plan(carried_model, [make_images(3)], out, earlier='resume')
    assert stems(joined)[-1] == '2'
    images = make_images(1, 'elsewhere')
    os.utime(images / '0.tif', ns=(1, 1))
    with pytest.raises(BatchError, match=r'has finished .*0.tif; .*would have results of the same'):
        plan(carried_model, [images], out, earlier='resume')


def test_images_that_were_moved_are_known_by_size_and_time(
    carried_model: CarriedModel, make_images, tmp_path: Path
) -> None:
    images, out = make_images(2), tmp_path / 'out'
    list(run(plan(carried_model, [images], out)))
    images.rename(tmp_path / 'moved')
    assert not plan(carried_model, [tmp_path / 'moved'], out, earlier='resume').tasks


@pytest.mark.parametrize('content', ['a,b\n1,2\n', ','.join(COLUMNS) + '\nx.tif,done,1,many,,\n'])
def test_a_report_of_something_else_is_refused(
    carried_model: CarriedModel, make_images, tmp_path: Path, content: str
) -> None:
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'report.csv').write_text(content)
    with pytest.raises(BatchError, match=r'report.csv was .*Choose another folder'):
        plan(carried_model, [make_images(1)], tmp_path / 'out', earlier='overwrite')


def test_a_report_without_its_run_is_refused(
    carried_model: CarriedModel, make_images, tmp_path: Path
) -> None:
    images, out = make_images(1), tmp_path / 'out'
    list(run(plan(carried_model, [images], out)))
    (out / 'run.json').write_text(json.dumps({'model': {}}))
    with pytest.raises(BatchError, match=r'holds a report.csv, but no run.json'):
        plan(carried_model, [images], out, earlier='resume')


def test_a_report_cannot_make_a_run_remove_other_files(
    carried_model: CarriedModel, make_images, tmp_path: Path
) -> None:
    images, out = make_images(1), tmp_path / 'out'
    list(run(plan(carried_model, [images], out)))
    precious = tmp_path / 'precious_labels.tif'
    precious.write_text('mine')
    report = (out / 'report.csv').read_text()
    for name in ('../precious_labels.tif', 'run.json', str(precious)):
        (out / 'report.csv').write_text(report.replace('0_labels.tif', name))
        list(run(plan(carried_model, [images], out, earlier='overwrite')))
        assert precious.read_text() == 'mine'


rows = st.lists(
    st.builds(
        Row,
        st.text(min_size=1).map(lambda name: f'/{"".join(name.splitlines())}.tif'),
        st.sampled_from(['done', 'failed', 'skipped']),
        st.none() | st.integers(0, 10**6).map(lambda n: n / 1000),
        st.none() | st.integers(0, 10**6),
        st.text().map(lambda text: ' '.join(text.split())),
        st.lists(st.integers(0, 99).map(lambda n: f'{n}_labels.tif'), max_size=3).map(tuple),
    ),
    unique_by=lambda row: row.file,
    max_size=5,
)


@given(rows=rows, cut=st.integers(0, 30))
def test_a_report_that_was_cut_off_gives_the_rows_that_are_whole(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], cut: int
) -> None:
    folder = tmp_path_factory.mktemp('out')
    header = {'model': {}, 'settings': {}, 'inputs': {}, 'started': ''}
    (folder / 'run.json').write_text(json.dumps(header))
    text = ','.join(COLUMNS) + '\n' + lines(rows)
    whole = text.encode('utf-8', errors='surrogateescape')
    (folder / 'report.csv').write_bytes(whole)
    earlier = read_earlier_run(folder)
    done = any(row.status == 'done' for row in rows)
    assert (earlier.rows if earlier else ()) == (tuple(rows) if done else ())
    (folder / 'report.csv').write_bytes(whole[: len(whole) - cut])
    earlier = read_earlier_run(folder)
    found = earlier.rows if earlier else ()
    left = [row for row in rows[: len(rows) - cut] if row.status == 'done']
    assert found == tuple(rows)[: len(found)]
    assert set(left) <= set(found)
