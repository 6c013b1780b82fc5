"""Runs over files from a viewer: the same results as the command line, and nothing lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from napari.layers import Image, Labels
from skimage.io import imsave
from typer.testing import CliRunner

from napari_flim.bridge.batch import NO_INPUT, NO_MODEL
from napari_flim.bridge.marker_layers import link_of
from napari_flim.cli.app import app
from napari_flim.io.images import stem
from napari_flim.session.batch_files import FileRow

FILES = 6
BROKEN = 2

Draw = Callable[[int], Any]


@pytest.fixture
def batch(desk: Any, six_images: Path) -> Any:
    """A run that is ready to start."""
    batch = desk.controller.batch
    batch.choose(inputs=(six_images,))
    return batch


def states(batch: Any) -> list[str]:
    return [row.state for row in batch.run.rows]


def row_of(batch: Any, name: str) -> FileRow:
    (row,) = [one for one in batch.run.rows if one.source.name == name]
    return row


def test_without_model_images_or_results_it_is_said_what_to_do(
    new_desk: Any, six_images: Path
) -> None:
    batch = new_desk().controller.batch
    assert batch.problems() == (NO_MODEL,)
    batch.choose(model=six_images / 'some.flim')
    assert batch.problems() == (NO_INPUT,)
    batch.choose(inputs=(six_images,))
    assert batch.problems() == ()
    batch.choose(labels=False, table=False)
    assert 'Nothing is to be written' in batch.problems()[0]


def test_files_are_found_and_looked_into(batch: Any, six_images: Path) -> None:
    found = batch.found
    assert [task.source.name for task in found.tasks] == [f'{n}.png' for n in range(FILES)]
    assert found.unreadable == ('2.png',)
    assert {kind.shape for kind in found.kinds} == {(48, 48)}
    assert states(batch) == ['waiting'] * FILES
    assert batch.folder == six_images / 'flim'


def test_a_folder_without_images_is_said_and_no_run_can_start(desk: Any, tmp_path: Path) -> None:
    batch = desk.controller.batch
    batch.choose(inputs=(tmp_path / 'nowhere',))
    assert 'does not exist' in batch.problems()[0]
    assert batch.run.rows == []


def test_a_broken_file_fails_with_its_reason_and_the_others_are_done(batch: Any) -> None:
    batch.start()
    assert states(batch) == ['done', 'done', 'failed', 'done', 'done', 'done']
    assert '2.png cannot be read' in row_of(batch, '2.png').note
    assert all(row.objects for row in batch.run.rows if row.state == 'done')
    assert batch.run.phase == 'idle'
    assert batch.message.text.startswith('5 files done, 1 failed')
    assert not batch.message.error


@pytest.mark.parametrize('kind', ['tif', 'nii.gz'])
def test_results_are_those_of_the_command_line_byte_for_byte(
    desk: Any, batch: Any, six_images: Path, tmp_path: Path, kind: str
) -> None:
    everything = {'saliency': True, 'table': True, 'outlines': True, 'format': kind}
    batch.choose(out=tmp_path / 'here', **everything)
    batch.start()
    desk.controller.files.save_model(tmp_path / 'cells.flim')
    there = tmp_path / 'there'
    typed = ['segment', str(tmp_path / 'cells.flim'), str(six_images), '--out', str(there)]
    typed += ['--saliency', '--objects', '--outlines', '--format', kind]
    done = CliRunner().invoke(app, typed)
    assert '5 of 6 files are segmented' in done.output
    written = {file.name for file in there.iterdir()} - {'run.json', 'report.csv'}
    assert len(written) > 4 * (FILES - 1)
    for name in written:
        assert (batch.folder / name).read_bytes() == (there / name).read_bytes(), name


def test_an_earlier_run_is_seen_resumed_and_never_mixed(
    batch: Any, six_images: Path, draw: Draw
) -> None:
    batch.start()
    assert batch.found.earlier is not None
    assert batch.found.left == 1
    label = batch.folder / '0_labels.tif'
    before = label.stat().st_mtime_ns
    imsave(six_images / '2.png', draw(BROKEN).image, check_contrast=False)
    batch.start()
    assert states(batch) == ['done'] * FILES
    assert label.stat().st_mtime_ns == before
    assert batch.run.summary.earlier == FILES - 1
    batch.choose(saliency=True)
    batch.start()
    assert batch.message.error
    assert 'other settings: outputs saliency was False, now True' in batch.message.text
    assert states(batch) == ['done'] * FILES
    batch.choose(earlier='overwrite')
    batch.start()
    assert (batch.folder / '5_saliency.tif').exists()
    assert label.stat().st_mtime_ns > before
    assert batch.choices.earlier == 'resume'


def test_another_folder_asks_anew_what_to_do_with_an_earlier_run(
    batch: Any, tmp_path: Path
) -> None:
    batch.start()
    batch.choose(earlier='overwrite')
    batch.choose(out=tmp_path / 'other')
    assert batch.choices.earlier == 'resume'
    assert batch.found.earlier is None


def test_files_that_have_failed_are_tried_again_when_the_run_has_ended(
    batch: Any, six_images: Path, draw: Draw
) -> None:
    assert batch.retry_problem() == 'No file has failed'
    batch.start()
    imsave(six_images / '2.png', draw(BROKEN).image, check_contrast=False)
    assert batch.retry_problem() == ''
    batch.retry_failed()
    assert states(batch) == ['done'] * FILES


class Acting:
    """Does something once, as soon as a run has done so many files."""

    def __init__(self, batch: Any, ended: int, act: Any) -> None:
        self._batch, self._ended, self._act = batch, ended, act
        batch.run.changed.connect(self._on_changed)

    def _on_changed(self) -> None:
        run = self._batch.run
        if run.phase in ('running', 'paused') and run.ended >= self._ended and self._act:
            act, self._act = self._act, None
            act()


def test_files_that_wait_can_be_skipped_and_are_taken_when_resumed(batch: Any) -> None:
    acting = Acting(batch, 1, lambda: batch.skip(batch.run.rows[3:5]))
    batch.start()
    assert states(batch) == ['done', 'done', 'failed', 'skipped', 'skipped', 'done']
    assert '2 skipped' in batch.message.text
    batch.retry_failed()
    assert states(batch).count('skipped') == 2
    batch.start()
    assert states(batch) == ['done', 'done', 'failed', 'done', 'done', 'done']
    del acting


def test_a_file_that_failed_is_tried_again_after_the_others_of_the_run(
    batch: Any, six_images: Path, draw: Draw
) -> None:
    def mend_and_retry() -> None:
        imsave(six_images / '2.png', draw(BROKEN).image, check_contrast=False)
        batch.retry_failed()

    acting = Acting(batch, BROKEN + 1, mend_and_retry)
    batch.start()
    assert states(batch) == ['done'] * FILES
    assert batch.run.summary.failed == 0
    del acting


def test_a_retry_that_comes_too_late_starts_a_run_of_its_own(
    batch: Any, six_images: Path, draw: Draw
) -> None:
    def mend_and_retry() -> None:
        imsave(six_images / '2.png', draw(BROKEN).image, check_contrast=False)
        batch.retry_failed()

    acting = Acting(batch, FILES, mend_and_retry)
    batch.start()
    assert states(batch) == ['done'] * FILES
    del acting


def test_cancelling_keeps_what_is_done_and_resuming_does_the_rest(batch: Any) -> None:
    acting = Acting(batch, 2, batch.cancel)
    batch.start()
    done = states(batch).count('done')
    assert 2 <= done < FILES - 1
    assert 'running' not in states(batch)
    assert batch.message.text == f'Stopped: {done} of 6 files are done. Resume goes on from there.'
    assert batch.retry_problem().startswith('No file') or 'Resume' in batch.retry_problem()
    batch.start()
    assert states(batch) == ['done', 'done', 'failed', 'done', 'done', 'done']
    del acting


def test_a_paused_run_does_nothing_until_it_goes_on(batch: Any) -> None:
    seen: list[int] = []

    def look() -> None:
        if batch.run.phase == 'paused':
            seen.append(batch.run.ended)
            if len(seen) > 3:
                batch.go_on()

    acting = Acting(batch, 1, batch.pause)
    batch.run.changed.connect(look)
    batch.start()
    assert len(seen) > 3
    assert set(seen) == {seen[0]}
    assert states(batch).count('done') == FILES - 1
    del acting


def test_a_folder_that_cannot_be_written_ends_the_run_with_its_reason(
    batch: Any, tmp_path: Path
) -> None:
    (tmp_path / 'file').write_text('in the way')
    batch.choose(out=tmp_path / 'file')
    batch.start()
    assert batch.message.error
    assert 'cannot be made' in batch.message.text
    assert batch.run.phase == 'idle'
    assert states(batch) == ['waiting'] * FILES


def test_the_first_file_is_tried_and_shown_but_nothing_is_written(
    desk: Any, batch: Any, draw: Draw
) -> None:
    before = list(desk.viewer.layers)
    batch.try_first()
    image, objects = desk.viewer.layers['0.png'], desk.viewer.layers['0.png objects']
    assert isinstance(image, Image) and isinstance(objects, Labels)
    assert np.array_equal(image.data, draw(0).image)
    count = len(np.unique(objects.data)) - 1
    assert batch.message.text.startswith(f'0.png: {count} objects in ')
    assert not batch.folder.exists()
    assert not desk.viewer.layers['0.png saliency'].visible
    assert desk.controller.items.marker_layer(str(image.unique_id)) is None
    added = len(desk.viewer.layers)
    batch.try_first()
    assert len(desk.viewer.layers) == added
    assert desk.viewer.layers['0.png objects'] is objects
    assert [layer for layer in desk.viewer.layers if layer in before] == before


def test_a_result_is_opened_over_its_image_and_the_one_before_is_hidden(
    desk: Any, batch: Any
) -> None:
    batch.start()
    batch.open_result(row_of(batch, '1.png'))
    objects = desk.viewer.layers['1.png objects']
    assert np.array_equal(objects.data, tifffile.imread(batch.folder / '1_labels.tif'))
    assert link_of(objects)['item'] == str(desk.viewer.layers['1.png'].unique_id)
    batch.open_result(row_of(batch, '3.png'))
    assert not desk.viewer.layers['1.png'].visible
    assert not objects.visible
    assert desk.viewer.layers['3.png objects'].visible
    batch.open_result(row_of(batch, '2.png'))
    assert '2.png' not in desk.viewer.layers


def test_a_result_that_was_removed_is_said(batch: Any) -> None:
    batch.start()
    (batch.folder / '1_labels.tif').unlink()
    batch.open_result(row_of(batch, '1.png'))
    assert batch.message.error
    assert '1_labels.tif does not exist' in batch.message.text


def test_ome_zarr_results_are_opened_lazily(desk: Any, batch: Any) -> None:
    batch.choose(format='ome-zarr', saliency=True)
    batch.start()
    batch.open_result(row_of(batch, '4.png'))
    objects = desk.viewer.layers['4.png objects']
    assert not isinstance(objects.data, np.ndarray)
    saliency = desk.viewer.layers['4.png saliency']
    assert not isinstance(saliency.data, np.ndarray)
    assert objects.data.shape == saliency.data.shape == (48, 48)


def test_a_stack_in_um_is_opened_as_one_image_with_its_objects(
    desk: Any, tmp_path: Path, draw: Draw
) -> None:
    stack = np.stack([draw(number).image for number in range(2)])
    file = tmp_path / 'stack.ome.tif'
    sizes = {'PhysicalSizeX': 0.5, 'PhysicalSizeY': 0.5}
    units = {'PhysicalSizeXUnit': 'µm', 'PhysicalSizeYUnit': 'µm'}
    tifffile.imwrite(file, stack, metadata={'axes': 'TYX', **sizes, **units})
    batch = desk.controller.batch
    batch.choose(inputs=(file,))
    batch.start()
    batch.open_result(batch.run.rows[0])
    image, objects = (
        desk.viewer.layers['stack.ome.tif'],
        desk.viewer.layers['stack.ome.tif objects'],
    )
    assert image.data.shape == objects.data.shape == (2, 48, 48)
    assert tuple(objects.scale) == tuple(image.scale) == (1.0, 0.5, 0.5)
    assert [str(unit) for unit in objects.units] == ['pixel', 'micrometer', 'micrometer']
    assert batch.run.rows[0].objects == sum(len(np.unique(one)) - 1 for one in objects.data)


def test_the_model_of_a_run_is_the_one_that_is_seen(desk: Any, batch: Any, tmp_path: Path) -> None:
    from napari_flim.model_loading import load_model
    from napari_flim.session.expert import switch_kernels

    switch_kernels(desk.session, [(3, 0)], on=False)
    desk.rest()
    batch.start()
    desk.controller.files.save_model(tmp_path / 'seen.flim')
    saved, ran = (
        load_model(file) for file in (tmp_path / 'seen.flim', batch.folder / 'model.flim')
    )
    assert (tmp_path / 'seen.flim').read_bytes() == (batch.folder / 'model.flim').read_bytes()
    assert len(ran.blocks[-1].bank) == len(saved.blocks[-1].bank)
    assert len(ran.blocks[-1].bank) < len(desk.session.learned.model.blocks[-1].bank)


def test_a_model_file_is_used_without_touching_the_session(
    desk: Any, batch: Any, tmp_path: Path
) -> None:
    desk.controller.files.save_model(tmp_path / 'cells.flim')
    learned = desk.session.learned
    batch.choose(model=tmp_path / 'cells.flim')
    batch.start()
    assert states(batch).count('done') == FILES - 1
    assert desk.session.learned is learned
    assert f'{tmp_path / "cells.flim"}' in (batch.folder / 'run.json').read_text()


def test_a_missing_model_file_is_said_and_nothing_is_begun(batch: Any, tmp_path: Path) -> None:
    batch.choose(model=tmp_path / 'no.flim')
    batch.start()
    assert batch.message.error
    assert 'no.flim does not exist' in batch.message.text
    assert not batch.folder.exists()


def test_a_run_outlives_the_docks_but_not_a_cancel(held_desk: Any, six_images: Path) -> None:
    desk, _ = held_desk
    controller = desk.controller
    controller.dock_opened()
    batch = controller.batch
    batch.choose(model=six_images / 'some.flim', inputs=(six_images,))
    batch._looking.go_on()
    batch.start()
    controller.dock_closed()
    assert batch._running.busy
    assert batch.run.phase == 'preparing'
    batch.cancel()
    assert not batch._running.busy
    assert batch.run.phase == 'idle'


def test_memory_counts_what_the_process_holds_already(batch: Any) -> None:
    automatic = batch._memory()
    batch.choose(memory_gb=3.0)
    assert batch._memory() - automatic == pytest.approx(2 * 2**30, rel=0.2)


def test_looking_again_follows_pattern_and_axes(batch: Any) -> None:
    batch.choose(pattern='[01].png')
    assert len(batch.run.rows) == 2
    batch.choose(axes='QQ')
    assert "Axes 'QQ' describe no image" in batch.problems()[0]
    batch.choose(axes='', pattern='')
    assert len(batch.run.rows) == FILES
    assert {stem(row.source) for row in batch.run.rows} == set(map(str, range(FILES)))


def test_choosing_the_same_again_changes_nothing(batch: Any) -> None:
    found = batch.found
    batch.choose(pattern='')
    assert batch.found is found
    assert batch.choices == replace(batch.choices)
