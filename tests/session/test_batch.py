"""The state of a run over files, and what is said of it."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from napari_flim.batch import Advanced, Done, Failed, FileTask, Skipped, Started, Summary
from napari_flim.batch.report import EarlierRun, Row
from napari_flim.progress import Progress
from napari_flim.session.batch_choices import BatchChoices
from napari_flim.session.batch_files import FileRow, rows_found, rows_planned
from napari_flim.session.batch_found import Found, Kind
from napari_flim.session.batch_jobs import drained
from napari_flim.session.batch_run import BatchRun
from napari_flim.session.batch_words import (
    ended_words,
    estimate,
    found_words,
    progress_words,
    seconds_left,
    start_words,
    state_of,
)


def tasks(*sizes: int) -> list[FileTask]:
    return [FileTask(n, Path(f'/data/{n}.tif'), str(n), size, 0) for n, size in enumerate(sizes)]


def begun(files: list[FileTask], kept: tuple[Row, ...] = ()) -> BatchRun:
    run = BatchRun()
    run.show(rows_found(files, None))
    plan: Any = SimpleNamespace(tasks=tuple(files), kept=kept)
    run.begin(plan)
    run.enter('running')
    return run


def done(task: FileTask, seconds: float = 1.0) -> Done:
    return Done(task, 2, seconds, (f'{task.stem}_labels.tif',), '', '')


def test_time_left_follows_the_bytes_of_files_that_are_done() -> None:
    first, second, third = files = tasks(100, 300, 400)
    run = begun(files)
    assert seconds_left(run) is None
    run.apply(done(first, 2.0))
    assert seconds_left(run) == pytest.approx(2.0 * (300 + 400) / 100)
    run.apply(Started(second))
    run.apply(Advanced(second, Progress('growing', 1, 3)))
    assert seconds_left(run) == pytest.approx(2.0 * (200 + 400) / 100)
    run.apply(Failed(second, 'broken', 9.0))
    assert seconds_left(run) == pytest.approx(2.0 * 400 / 100)
    run.apply(done(third))
    assert seconds_left(run) == 0


def test_time_left_counts_files_alike_where_a_size_is_not_known() -> None:
    first, *_ = files = tasks(100, 0, 400)
    run = begun(files)
    run.apply(done(first, 3.0))
    assert seconds_left(run) == pytest.approx(6.0)


def test_files_of_an_earlier_part_say_nothing_about_the_time_that_is_left() -> None:
    run = BatchRun()
    earlier = EarlierRun({}, (Row('/data/0.tif', 'done', 100.0, 2),))
    run.show(rows_found(tasks(1, 1), earlier))
    plan: Any = SimpleNamespace(tasks=tuple(tasks(1, 1)[1:]), kept=earlier.rows)
    run.begin(plan)
    assert [row.state for row in run.rows] == ['done', 'waiting']
    assert seconds_left(run) is None


def test_a_step_that_counts_anew_never_takes_the_progress_back() -> None:
    (task,) = files = tasks(1)
    run = begun(files)
    run.apply(Advanced(task, Progress('tile', 9, 10)))
    run.apply(Advanced(task, Progress('writing', 0, 10)))
    assert run.share == pytest.approx(0.9)
    assert state_of(run.rows[0]) == 'running, 90 %: writing'


def test_a_file_under_way_waits_again_when_the_run_has_ended() -> None:
    first, second = files = tasks(1, 1)
    run = begun(files)
    run.apply(done(first))
    run.apply(Started(second))
    run.enter('idle')
    assert [row.state for row in run.rows] == ['done', 'waiting']
    assert (run.count('waiting'), run.count('running')) == (1, 0)


def test_progress_is_said_with_what_failed_and_what_is_being_done() -> None:
    first, second, third, fourth = files = tasks(1, 1, 1, 1)
    run = begun(files)
    run.apply(done(first, 30.0))
    run.apply(Failed(second, 'broken', 1.0))
    run.apply(Skipped(third))
    run.apply(Advanced(fourth, Progress('growing', 0, 2)))
    assert progress_words(run) == '3 of 4 files, 1 failed; 30 s left\n3.tif: growing ...'
    run.enter('paused')
    assert progress_words(run) == 'Paused. 3 of 4 files, 1 failed; 30 s left.'
    run.enter('stopping')
    assert progress_words(run).endswith('Stopping after the present step ...')


def test_the_end_is_said_with_what_was_done_before() -> None:
    run = begun(tasks(1))
    run.apply(Summary(1, 0, 2, 5, 7, 65.0, Path('/out')))
    said = ended_words(run)
    assert said == '1 file done, 2 skipped in 65 s, 5 before; 7 objects. Results are in /out.'


def test_rows_keep_the_order_in_which_they_are_shown() -> None:
    first, second, third = tasks(1, 1, 1)
    shown = [FileRow(one.source) for one in (third, first)]
    plan: Any = SimpleNamespace(tasks=(first, second), kept=(Row('/data/2.tif', 'done', 1, 1),))
    assert [row.source.name for row in rows_planned(plan, shown)] == ['2.tif', '0.tif', '1.tif']


def test_of_steps_of_one_file_in_a_row_only_the_last_is_taken_in() -> None:
    first, second = tasks(1, 1)
    told = [
        Started(first),
        *(Advanced(first, Progress('a', n, 9)) for n in range(5)),
        Advanced(second, Progress('b', 1, 9)),
        done(first),
    ]
    inbox = deque(told)
    assert list(drained(inbox)) == [told[0], *told[5:]]
    assert not inbox


FLAT = Kind((48, 48), rgb=False, channels=1, images=1)


@pytest.mark.parametrize(
    ('kinds', 'said'),
    [
        ((FLAT,), '3 files, 48 x 48, grey (of the first 1)'),
        ((FLAT, Kind((9, 9), True, 3, 1)), '3 files, 2 sizes, RGB and grey (of the first 2)'),
        ((Kind((4, 8, 8), False, 2, 1),) * 3, '3 files, 4 x 8 x 8, 2 channels, volumes'),
        (
            (FLAT, FLAT, Kind((48, 48), False, 1, 7)),
            '3 files, 48 x 48, grey, stacks of up to 7 images',
        ),
    ],
)
def test_what_was_found_is_said(kinds: tuple[Kind, ...], said: str) -> None:
    assert found_words(Found(tuple(tasks(1, 1, 1)), 0, kinds, (), None)) == said


def test_what_is_left_out_or_broken_is_said() -> None:
    found = Found(tuple(tasks(1, 1, 1)), 12, (FLAT,), ('a.tif', 'b.tif'), None)
    assert found_words(found) == (
        '3 files, 48 x 48, grey; 12 results of earlier runs left out; '
        '2 cannot be read: a.tif, b.tif'
    )


def test_the_button_says_what_becomes_of_an_earlier_run() -> None:
    files = tasks(1, 1)
    earlier = EarlierRun({}, (Row('/data/0.tif', 'done', 1.0, 2),))
    rows = tuple(rows_found(files, earlier))
    found = Found(tuple(files), 0, (FLAT,), (), earlier, rows)
    assert start_words(BatchChoices(), found) == 'Resume: 1 of 2 files left'
    assert start_words(BatchChoices(earlier='overwrite'), found) == 'Overwrite: segment 2 files'
    finished = Found(tuple(files[:1]), 0, (FLAT,), (), earlier, rows[:1])
    assert start_words(BatchChoices(), finished) == 'Resume: check 1 file'


def test_the_estimate_follows_sizes_and_images_of_a_stack() -> None:
    preview: Any = SimpleNamespace(seconds=2.0, images=3)
    found = Found(tuple(tasks(100, 300)), 0, (FLAT,), (), None)
    assert estimate(found, preview, 2) == pytest.approx(6.0 * (100 + 300) / 100)
    assert estimate(Found(tuple(tasks(0, 5)), 0, (), (), None), preview, 2) == pytest.approx(12.0)


def test_results_go_beside_the_images_unless_a_folder_is_chosen(tmp_path: Path) -> None:
    file = tmp_path / 'a.tif'
    file.write_bytes(b'')
    assert BatchChoices().folder is None
    assert BatchChoices(inputs=(tmp_path,)).folder == tmp_path / 'flim'
    assert BatchChoices(inputs=(file,)).folder == tmp_path / 'flim'
    assert BatchChoices(inputs=(file,), out=tmp_path / 'x').folder == tmp_path / 'x'
