"""The commands as a user types them, on small files."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from skimage.io import imread, imsave
from typer.testing import CliRunner

from napari_flim.cli.app import app
from napari_flim.engine.architecture import PRESETS
from napari_flim.engine.encoder import Encoder
from napari_flim.engine.markers import MarkerSet
from napari_flim.io.lids_architecture import read_architecture
from napari_flim.io.lids_images import read_mimg
from napari_flim.io.results import RESULT_FORMATS, write_labels, write_saliency, write_table
from napari_flim.io.seeds import write_seeds
from napari_flim.model import settings_of
from napari_flim.model_loading import load_model
from napari_flim.progress import finish
from napari_flim.session.corrections import Corrections
from napari_flim.session.drafting import DraftRequest, draft_of
from napari_flim.session.jobs import Target
from napari_flim.session.object_measures import ACCEPTED, measured
from napari_flim.session.sources import ImageSource

GOLDEN = Path(__file__).parents[1] / 'golden' / 'libift'
BROKEN = b'\x89PNG\r\n\x1a\n this is no picture'


RUN_FILES = ['model.flim', 'report.csv', 'run.json']


def results_in(folder: Path) -> list[str]:
    """Names of results, without what a run writes of itself."""
    return sorted(path.name for path in folder.iterdir() if path.name not in RUN_FILES)


def run(*arguments: object, expect: int = 0):
    outcome = CliRunner().invoke(app, [str(a) for a in arguments])
    assert outcome.exit_code == expect, outcome.output
    assert 'Traceback' not in outcome.output
    return outcome


def plain(outcome) -> str:
    """Output as one line, without the frame that usage errors are drawn in."""
    return ' '.join(outcome.output.replace('│', ' ').split())


def learn(folders: Path, *more: object, expect: int = 0):
    model = folders / 'squares.flim'
    return run(
        'learn',
        folders / 'images',
        '--markers',
        folders / 'markers',
        '--out',
        model,
        *more,
        expect=expect,
    )


def test_images_become_a_model_then_objects_then_a_table(folders: Path) -> None:
    outcome = learn(folders)
    assert '1 of 3 images have no markers' in plain(outcome)
    assert 'image of 48 x 48 pixels (y, x), uint8' in plain(outcome)
    results = folders / 'results'
    run('segment', folders / 'squares.flim', folders / 'images', '--out', results, '--saliency')
    assert sorted(p.name for p in results.iterdir()) == sorted(
        [f'{n}_{kind}.tif' for n in range(3) for kind in ('labels', 'saliency')] + RUN_FILES
    )
    labels = tifffile.imread(results / '2_labels.tif')
    assert (labels.dtype, labels.shape, labels.max()) == (np.uint8, (48, 48), 2)
    saliency = tifffile.imread(results / '2_saliency.tif')
    assert (saliency.dtype, saliency.min(), saliency.max()) == (np.float32, 0, 1)
    values = folders / 'values.json'
    table = run(
        'evaluate', '--truth', folders / 'masks', '--predictions', results, '--json', values
    )
    assert 'mean of 3' in table.output
    scores = json.loads(values.read_text())
    assert set(scores['images']) == {'0', '1', '2'}
    assert scores['all']['dice'] > 0.75


def test_two_runs_write_identical_files(folders: Path) -> None:
    learn(folders)
    first = (folders / 'squares.flim').read_bytes()
    learn(folders)
    assert (folders / 'squares.flim').read_bytes() == first


def test_info_says_what_a_model_reads_and_holds(folders: Path) -> None:
    learn(folders, '--decoder', 'label_balanced', '--block', '2')
    text = plain(run('info', folders / 'squares.flim'))
    assert 'decodes block 2 with label_balanced' in text
    assert 'images (y, x) with 1 channel; input scaled' in text
    assert '0.png: 3 markers; class 1: 42 voxels, class 2: 16 voxels' in text


def test_an_unreadable_file_in_the_middle_is_named_and_skipped(folders: Path) -> None:
    learn(folders)
    (folders / 'images' / '1.png').write_bytes(BROKEN)
    outcome = run(
        'segment', folders / 'squares.flim', folders / 'images', '--out', folders / 'r', expect=1
    )
    assert '1.png' in outcome.output
    assert '2 of 3 files are segmented' in plain(outcome)
    assert results_in(folders / 'r') == ['0_labels.tif', '2_labels.tif']


def test_learning_goes_on_without_an_unreadable_training_image(folders: Path) -> None:
    (folders / 'images' / '0.png').write_bytes(BROKEN)
    outcome = learn(folders, expect=1)
    assert '0.png' in outcome.output
    assert len(load_model(folders / 'squares.flim').provenance['images']) == 1


def test_an_image_the_model_cannot_read_is_named_with_what_is_different(folders: Path) -> None:
    learn(folders)
    np.save(folders / 'images' / 'volume.npy', np.zeros((9, 9, 9), np.uint8))
    outcome = run(
        'segment', folders / 'squares.flim', folders / 'images', '--out', folders / 'r', expect=1
    )
    assert 'volume.npy is read as volume of 9 x 9 x 9 voxels' in plain(outcome)


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (('--arch', 'smal'), "no architecture preset 'smal'"),
        (('--decoder', 'median'), "no decoder 'median'"),
        (('--input', 'window:5'), 'window:LOW,HIGH'),
        (('--input', 'rgb'), "no input 'rgb'"),
        (('--block', '4'), 'blocks 1 to 3'),
        (('--seed', '-1'), 'greater than or equal to 0'),
        (('--arch', 'missing.json'), 'missing.json'),
    ],
)
def test_a_wrong_option_ends_with_code_2_and_says_what_is_allowed(
    folders: Path, options: tuple[str, str], words: str
) -> None:
    assert words in plain(learn(folders, *options, expect=2))


def test_an_empty_folder_and_a_missing_path_are_usage_errors(folders: Path) -> None:
    (folders / 'empty').mkdir()
    learn(folders)
    for path in ('empty', 'nowhere'):
        outcome = run(
            'segment', folders / 'squares.flim', folders / path, '--out', folders / 'r', expect=2
        )
        assert path in outcome.output


def test_a_model_below_a_file_or_in_a_missing_folder_is_refused_before_learning(
    folders: Path,
) -> None:
    (folders / 'file').write_text('x')
    for parent in ('file', 'nowhere'):
        outcome = run(
            'learn',
            folders / 'images',
            '--markers',
            folders / 'markers',
            '--out',
            folders / parent / 'm.flim',
            expect=2,
        )
        assert 'for m.flim does not exist; create it' in plain(outcome)
        assert 'pixels' not in outcome.output


def test_results_below_a_file_end_in_one_line(folders: Path) -> None:
    learn(folders)
    outcome = run(
        'segment',
        folders / 'squares.flim',
        folders / 'images',
        '--out',
        folders / 'squares.flim' / 'results',
        expect=1,
    )
    assert 'cannot be made' in plain(outcome)


def test_images_may_lie_in_one_folder_with_their_seeds(folders: Path) -> None:
    learn(folders)
    for number in range(2):
        labels = imread(folders / 'markers' / f'{number}.png')
        write_seeds(folders / 'images' / f'{number}-seeds.txt', MarkerSet.from_labels(labels))
    run(
        'learn',
        folders / 'images',
        '--markers',
        folders / 'images',
        '--out',
        folders / 'beside.flim',
    )
    image = imread(folders / 'images' / '2.png')
    one, other = (load_model(folders / f'{name}.flim') for name in ('squares', 'beside'))
    np.testing.assert_array_equal(one.saliency(image), other.saliency(image))


def test_a_stack_is_learned_from_with_a_stack_of_markers(folders: Path) -> None:
    learn(folders)
    for name in ('images', 'markers'):
        stack = np.stack([imread(folders / name / f'{n}.png') for n in range(2)])
        (folders / f'{name}-stack').mkdir()
        np.save(folders / f'{name}-stack' / 'all.npy', stack)
    outcome = run(
        'learn',
        folders / 'images-stack',
        '--markers',
        folders / 'markers-stack',
        '--out',
        folders / 'stack.flim',
        '--axes',
        'TYX',
    )
    assert 'kernels from 2 images' in plain(outcome)
    image = imread(folders / 'images' / '2.png')
    one, other = (load_model(folders / f'{name}.flim') for name in ('squares', 'stack'))
    np.testing.assert_array_equal(one.saliency(image), other.saliency(image))


def test_results_beside_the_images_are_not_segmented_again(folders: Path) -> None:
    learn(folders)
    arguments = ('segment', folders / 'squares.flim', folders / 'images')
    arguments = (*arguments, '--out', folders / 'images', '--saliency')
    run(*arguments)
    first = {path.name: path.read_bytes() for path in (folders / 'images').glob('*_*')}
    assert len(first) == 6
    outcome = plain(run(*arguments, '--overwrite'))
    assert '6 results of earlier runs' in outcome
    assert '3 of 3 files are segmented' in outcome
    assert {path.name: path.read_bytes() for path in (folders / 'images').glob('*_*')} == first


def test_a_truth_without_a_prediction_is_named_and_fails_the_run(folders: Path) -> None:
    learn(folders)
    run('segment', folders / 'squares.flim', folders / 'images', '--out', folders / 'r')
    (folders / 'r' / '1_labels.tif').unlink()
    outcome = run(
        'evaluate', '--truth', folders / 'masks', '--predictions', folders / 'r', expect=1
    )
    assert '1: no prediction in' in plain(outcome)
    assert 'mean of 2' in outcome.output


def test_saliency_in_bytes_is_read_as_parts_of_255(folders: Path) -> None:
    learn(folders)
    run('segment', folders / 'squares.flim', folders / 'images', '--out', folders / 'r')
    scores = {}
    for kind in (np.uint8, np.float32):
        for number in range(3):
            half = np.full((48, 48), 51, np.uint8)
            half[imread(folders / 'masks' / f'{number}.png') > 0] = 204
            saved = half if kind == np.uint8 else half.astype(np.float32) / 255
            tifffile.imwrite(folders / 'r' / f'{number}_saliency.tif', saved)
        values = folders / 'v.json'
        run(
            'evaluate',
            '--truth',
            folders / 'masks',
            '--predictions',
            folders / 'r',
            '--json',
            values,
        )
        scores[kind] = json.loads(values.read_text())['all']
    assert scores[np.uint8]['mae'] == pytest.approx(0.2)
    assert scores[np.uint8] == pytest.approx(scores[np.float32])


def test_a_marker_folder_without_a_fitting_file_is_a_usage_error_with_an_example(
    folders: Path,
) -> None:
    (folders / 'other').mkdir()
    outcome = run(
        'learn',
        folders / 'images',
        '--markers',
        folders / 'other',
        '--out',
        folders / 'm.flim',
        expect=2,
    )
    assert '0.tif' in outcome.output


def test_a_damaged_model_is_one_line_with_code_1(folders: Path) -> None:
    (folders / 'bad.flim').write_bytes(b'not a model')
    outcome = run('info', folders / 'bad.flim', expect=1)
    assert 'not a readable .flim model' in plain(outcome)


def test_debug_shows_the_traceback(folders: Path) -> None:
    (folders / 'bad.flim').write_bytes(b'not a model')
    outcome = CliRunner().invoke(app, ['info', str(folders / 'bad.flim'), '--debug'])
    assert outcome.exit_code == 1
    assert type(outcome.exception).__name__ == 'ModelFileError'


def test_axes_decide_what_a_tiff_without_metadata_is(folders: Path) -> None:
    learn(folders)
    stack = np.stack([imread(folders / 'images' / f'{n}.png') for n in range(3)])
    np.save(folders / 'stack.npy', stack)
    run(
        'segment',
        folders / 'squares.flim',
        folders / 'stack.npy',
        '--axes',
        'TYX',
        '--out',
        folders / 'r',
    )
    assert results_in(folders / 'r') == [f'stack-00{n}_labels.tif' for n in range(3)]


def test_a_model_becomes_a_lids_folder_and_comes_back(folders: Path) -> None:
    learn(folders)
    run('convert', folders / 'squares.flim', folders / 'lids')
    assert (folders / 'lids' / 'conv1-kernels.npy').is_file()
    run('convert', folders / 'lids', folders / 'back.flim')
    image = imread(folders / 'images' / '2.png')
    before = load_model(folders / 'squares.flim').saliency(image)
    np.testing.assert_allclose(load_model(folders / 'back.flim').saliency(image), before, atol=1e-4)


@pytest.mark.parametrize(
    'options',
    [
        ('--input', 'window:20,220'),
        ('--input', 'scaled:fixed'),
        ('--input', 'multiscale'),
        ('--decoder', 'tristate', '--block', '1'),
    ],
)
def test_a_lids_folder_keeps_all_settings_of_a_model(
    folders: Path, options: tuple[str, ...]
) -> None:
    learn(folders, *options)
    run('convert', folders / 'squares.flim', folders / 'lids')
    run('convert', folders / 'lids', folders / 'back.flim')
    before, after = (load_model(folders / f'{name}.flim') for name in ('squares', 'back'))
    assert settings_of(after) == settings_of(before)
    assert after.architecture == before.architecture
    image = imread(folders / 'images' / '2.png')
    np.testing.assert_allclose(after.saliency(image), before.saliency(image), atol=1e-4)


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A model folder as LibIFT leaves it, without a file of ours."""
    shutil.copytree(GOLDEN / 'a_keep_all' / 'model', tmp_path / 'foreign')
    shutil.copy(GOLDEN / 'a_keep_all' / 'arch.json', tmp_path / 'foreign')
    return tmp_path / 'foreign'


def test_a_folder_of_libift_becomes_a_model_that_computes_the_same(foreign: Path) -> None:
    run('convert', foreign, foreign.parent / 'f.flim')
    model = load_model(foreign.parent / 'f.flim')
    assert (model.transform.kind, model.decoder.name) == ('libift', 'tristate')
    for name in ('img1', 'img2'):
        activations = model.activations(imread(GOLDEN / f'orig/{name}.png'))
        expected = read_mimg(GOLDEN / f'a_keep_all/feat/{name}.mimg')
        np.testing.assert_allclose(activations, expected.reshape(activations.shape), atol=2e-5)


def test_a_converted_folder_of_libift_segments_grey_and_colour(foreign: Path) -> None:
    run('convert', foreign, foreign.parent / 'f.flim')
    pictures = foreign.parent / 'pictures'
    pictures.mkdir()
    colour = imread(GOLDEN / 'orig/img1.png')
    imsave(pictures / 'colour.png', colour, check_contrast=False)
    imsave(pictures / 'grey.png', colour[..., 0], check_contrast=False)
    out = foreign.parent / 'out'
    options = ('--out', out, '--saliency', '--decoder', 'attention')
    run('segment', foreign.parent / 'f.flim', pictures, *options)
    for name in ('colour', 'grey'):
        saliency = tifffile.imread(out / f'{name}_saliency.tif')
        assert saliency.shape == (56, 72)
        assert (saliency.min(), saliency.max()) == (0, 1)
    assert 'input libift' in plain(run('info', foreign.parent / 'f.flim'))


def test_settings_beside_a_folder_that_do_not_fit_are_named(foreign: Path) -> None:
    (foreign / 'napari_flim.json').write_text('{"settings": {"transform": {"kind": "lab"}}}')
    outcome = run('convert', foreign, foreign.parent / 'f.flim', expect=1)
    assert 'delete that file to read the folder as one of LibIFT' in plain(outcome)


def test_presets_and_models_become_architecture_files(folders: Path) -> None:
    run('convert', 'wide', folders / 'arch.json')
    assert read_architecture(folders / 'arch.json') == PRESETS['wide']
    learn(folders, '--arch', folders / 'arch.json')
    run('convert', folders / 'squares.flim', folders / 'learned.json')
    learned = read_architecture(folders / 'learned.json')
    assert [b.channels for b in learned.blocks] == [
        len(b.bank) for b in load_model(folders / 'squares.flim').blocks
    ]


def test_seeds_become_labels_and_come_back(folders: Path) -> None:
    labels = folders / 'markers' / '0.png'
    run('convert', labels, folders / '0-seeds.txt')
    run('convert', folders / '0-seeds.txt', folders / '0.tif')
    np.testing.assert_array_equal(tifffile.imread(folders / '0.tif'), imread(labels))


def test_a_conversion_that_does_not_exist_lists_those_that_do(folders: Path) -> None:
    outcome = run('convert', folders / 'markers' / '0.png', folders / 'x.flim', expect=2)
    assert 'model.flim to a new folder' in plain(outcome)


def test_libift_input_learns_as_libift_does(folders: Path) -> None:
    learn(folders, '--input', 'libift')
    model = load_model(folders / 'squares.flim')
    assert model.provenance['learning'] == {'libift': True}
    assert model.blocks[0].bank.weights.shape[1] == 3


def test_a_mask_with_objects_is_told_apart_from_one_without(folders: Path) -> None:
    empty = np.zeros((48, 48), np.uint8)
    (folders / 'p').mkdir()
    for number in range(3):
        imsave(folders / 'p' / f'{number}_labels.tif', empty, check_contrast=False)
    imsave(folders / 'masks' / '0.png', empty, check_contrast=False)
    values = folders / 'values.json'
    run('evaluate', '--truth', folders / 'masks', '--predictions', folders / 'p', '--json', values)
    scores = json.loads(values.read_text())
    assert scores['images']['0']['dice'] == 1
    assert scores['all']['dice'] == pytest.approx(1 / 3)
    assert scores['with_objects']['dice'] == 0


@pytest.mark.parametrize('module', ['napari_flim', 'napari_flim.cli.app'])
def test_help_needs_neither_torch_nor_napari_nor_qt(module: str) -> None:
    code = (
        f'import sys, {module}\n'
        'heavy = {"torch", "napari", "qtpy", "scipy", "skimage", "magicgui"} & set(sys.modules)\n'
        'assert not heavy, heavy'
    )
    subprocess.run([sys.executable, '-c', code], check=True)


def test_learning_and_segmenting_need_neither_napari_nor_qt(folders: Path) -> None:
    code = (
        'import sys\n'
        'from typer.testing import CliRunner\n'
        'from napari_flim.cli.app import app\n'
        f'root = {str(folders)!r}\n'
        'for line in (["learn", root + "/images", "--markers", root + "/markers", "--out", '
        'root + "/m.flim"], ["segment", root + "/m.flim", root + "/images", "--out", root + "/r"],'
        '["demo", "--no-window", "--out", root + "/demo"]):\n'
        '    assert CliRunner().invoke(app, line).exit_code == 0, line\n'
        'heavy = {"napari", "qtpy", "magicgui", "vispy"} & set(sys.modules)\n'
        'assert not heavy, heavy'
    )
    subprocess.run([sys.executable, '-c', code], check=True)
    assert {p.name for p in (folders / 'demo').iterdir()} >= {'coins.png', 'beads.flim'}


def test_saliency_of_an_earlier_run_is_not_mixed_with_new_labels(folders: Path) -> None:
    learn(folders)
    results, values = folders / 'r', folders / 'values.json'
    run('segment', folders / 'squares.flim', folders / 'images', '--out', results, '--saliency')
    old = (results / '0_labels.tif').stat().st_mtime - 60
    os.utime(results / '0_saliency.tif', (old, old))
    outcome = run(
        'evaluate', '--truth', folders / 'masks', '--predictions', results, '--json', values
    )
    assert '0_saliency.tif is older than 0_labels.tif' in plain(outcome)
    scores = json.loads(values.read_text())['images']
    wrong = (tifffile.imread(results / '0_labels.tif') > 0) != draw_truth()
    assert scores['0']['mae'] == pytest.approx(wrong.mean())
    assert scores['1']['mae'] > 0


def draw_truth() -> np.ndarray:
    """Where the objects of every test image lie; the same in all of them."""
    truth = np.zeros((48, 48), dtype=bool)
    truth[8:18, 8:18] = truth[28:40, 26:38] = True
    return truth


def test_several_object_classes_are_written_beside_the_objects(folders: Path) -> None:
    markers = imread(folders / 'markers' / '0.png')
    markers[32:35, 30:33] = 3
    imsave(folders / 'markers' / '0.png', markers, check_contrast=False)
    learn(folders)
    run('segment', folders / 'squares.flim', folders / 'images' / '0.png', '--out', folders / 'r')
    classes = tifffile.imread(folders / 'r' / '0_classes.tif')
    labels = tifffile.imread(folders / 'r' / '0_labels.tif')
    assert set(np.unique(classes)) <= {1, 2, 3}
    np.testing.assert_array_equal(classes > 1, labels > 0)


def test_marker_files_without_an_image_are_mentioned(folders: Path) -> None:
    imsave(folders / 'markers' / 'orphan.png', np.ones((4, 4), np.uint8), check_contrast=False)
    assert '1 files in' in plain(learn(folders))
    assert 'orphan.png' in plain(learn(folders))


def test_a_table_that_is_piped_shows_whole_names(folders: Path) -> None:
    learn(folders)
    name = 'a_rather_long_name_of_a_specimen_that_goes_on_and_on_0001'
    for kind in ('images', 'masks'):
        (folders / kind / '0.png').rename(folders / kind / f'{name}.png')
    run('segment', folders / 'squares.flim', folders / 'images', '--out', folders / 'r')
    command = [sys.executable, '-c', 'from napari_flim.cli import main; main()', 'evaluate']
    command += ['--truth', str(folders / 'masks'), '--predictions', str(folders / 'r')]
    text = subprocess.run(command, check=True, capture_output=True, text=True, encoding='utf-8')
    assert name in text.stdout


def segment(folders: Path, *more: object, out: str = 'r', expect: int = 0):
    images = folders / 'images'
    return run(
        'segment', folders / 'squares.flim', images, '--out', folders / out, *more, expect=expect
    )


def labels_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob('*_labels.tif')}


def test_command_line_python_and_docks_find_the_same_objects_to_the_byte(folders: Path) -> None:
    learn(folders)
    segment(folders)
    path = folders / 'images' / '2.png'
    model = load_model(folders / 'squares.flim')
    source = ImageSource('a', 'squares', imread(path), 'YX', (1.0, 1.0))
    drawn = finish(
        draft_of(DraftRequest(model, Target(source), model.delineation, None, Corrections()))
    ).draft
    assert drawn.labels.max() == 2
    expected = (folders / 'r' / '2_labels.tif').read_bytes()
    for name, labels in (('python', model.segment(path)), ('docks', drawn.labels)):
        write_labels(folders / f'{name}.tif', labels, (1, 1))
        assert (folders / f'{name}.tif').read_bytes() == expected


def test_settings_of_one_run_are_those_that_python_would_use(folders: Path) -> None:
    learn(folders)
    options = ('--method', 'watershed', '--threshold', '0.3', '--border', '1', '--erosion', '1.5')
    segment(folders, *options, '--dilation', '6', '--smallest', '0', '--largest', 'inf')
    model = load_model(folders / 'squares.flim').with_delineation(
        method='watershed', threshold=0.3, border=1, erosion=1.5, dilation=6, sizes=None
    )
    expected = model.segment(folders / 'images' / '0.png')
    np.testing.assert_array_equal(tifffile.imread(folders / 'r' / '0_labels.tif'), expected)
    segment(folders, out='usual')
    assert labels_in(folders / 'usual') != labels_in(folders / 'r')


def test_a_size_in_world_units_leaves_out_what_is_smaller(folders: Path) -> None:
    learn(folders)
    segment(folders, '--method', 'none', '--objects')
    sizes = [float(row['area']) for row in rows_of(folders / 'r' / '2_objects.csv')]
    assert len(sizes) == 2
    segment(folders, '--method', 'none', '--smallest', max(sizes), out='large')
    assert tifffile.imread(folders / 'large' / '2_labels.tif').max() == 1
    segment(folders, '--method', 'none', '--largest', min(sizes), out='small')
    assert tifffile.imread(folders / 'small' / '2_labels.tif').max() == 1


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(newline='', encoding='utf-8') as lines:
        return list(csv.DictReader(lines))


def test_a_table_has_one_row_for_each_object(folders: Path) -> None:
    learn(folders)
    segment(folders, '--objects', '--saliency')
    labels = tifffile.imread(folders / 'r' / '2_labels.tif')
    image = imread(folders / 'images' / '2.png')
    rows = rows_of(folders / 'r' / '2_objects.csv')
    assert [int(row['label']) for row in rows] == [1, 2]
    for number, row in enumerate(rows, start=1):
        assert float(row['area']) == (labels == number).sum()
        assert float(row['mean_intensity']) == pytest.approx(image[labels == number].mean())
        assert 0 < float(row['mean_saliency']) <= 1


def test_the_table_of_the_dock_is_that_of_the_command_line_to_the_byte(folders: Path) -> None:
    learn(folders)
    segment(folders, '--objects')
    model = load_model(folders / 'squares.flim')
    image = imread(folders / 'images' / '2.png')
    target = Target(ImageSource('k', '2', image, 'YX', (1.0, 1.0)))
    request = DraftRequest(model, target, model.delineation, None, Corrections())
    table = finish(measured(finish(draft_of(request)).draft))
    assert table.columns[-1] == ACCEPTED
    write_table(folders / 'dock.csv', table.drop(columns=ACCEPTED))
    assert (folders / 'dock.csv').read_bytes() == (folders / 'r' / '2_objects.csv').read_bytes()


def test_every_image_goes_through_the_encoder_once(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn(folders)
    encoded: list[object] = []
    activations = Encoder.activations

    def counted(encoder: Encoder, features: torch.Tensor, *more: Any) -> Any:
        encoded.append(features.shape)
        return activations(encoder, features, *more)

    monkeypatch.setattr(Encoder, 'activations', counted)
    segment(folders, '--saliency')
    assert len(encoded) == 3


def test_saliency_alone_gives_the_objects_that_the_model_gives(folders: Path) -> None:
    learn(folders)
    # Forests of a model also compare what its block 1 has learned.
    options = ('--method', 'random_walker', '--smallest', '0', '--largest', 'inf')
    segment(folders, '--saliency', *options)
    image = folders / 'images' / '1.png'
    run('delineate', folders / 'r' / '1_saliency.tif', image, '--out', folders / 'd', *options)
    assert labels_in(folders / 'd') == {
        '1_labels.tif': (folders / 'r' / '1_labels.tif').read_bytes()
    }


def test_markers_beside_saliency_are_objects_whatever_the_saliency_says(folders: Path) -> None:
    saliency = np.zeros((48, 48), np.uint8)
    saliency[8:18, 8:18] = 255
    imsave(folders / 'bytes.png', saliency, check_contrast=False)
    markers = np.zeros((48, 48), np.uint8)
    markers[30:34, 30:34], markers[12:14, 12:14] = 2, 1
    imsave(folders / 'marks.png', markers, check_contrast=False)
    arguments = ('delineate', folders / 'bytes.png', folders / 'images' / '0.png')
    outcome = run(*arguments, '--markers', folders / 'marks.png', '--out', folders / 'd')
    assert '0.png: 2 objects' in plain(outcome)
    labels = tifffile.imread(folders / 'd' / '0_labels.tif')
    assert (labels[30:34, 30:34] == 2).all()
    assert not labels[12:14, 12:14].any()


def test_maps_of_several_classes_give_objects_with_classes(folders: Path) -> None:
    maps = np.zeros((2, 48, 48), np.float32)
    maps[0, 8:18, 8:18] = maps[1, 28:40, 26:38] = 1
    write_saliency(folders / 'two.tif', maps, (1, 1))
    arguments = ('delineate', folders / 'two.tif', folders / 'images' / '0.png', '--objects')
    run(*arguments, '--out', folders / 'd')
    classes = tifffile.imread(folders / 'd' / '0_classes.tif')
    assert (classes[12, 12], classes[34, 32], classes[2, 2]) == (2, 3, 1)
    assert [row['class'] for row in rows_of(folders / 'd' / '0_objects.csv')] == ['2', '3']


@pytest.mark.parametrize(
    ('saliency', 'options', 'code', 'words'),
    [
        (np.zeros((9, 9), np.float32), (), 1, '(9, 9), but 0.png has (48, 48)'),
        (np.full((48, 48), 2, np.float32), (), 1, 'values from 2 to 2; expected saliency'),
        (np.zeros((48, 48), np.float32), ('--method', 'magic'), 2, "no method 'magic'; choose"),
        (np.zeros((48, 48), np.float32), ('--threshold', '2'), 2, 'from 0 to 1'),
        (
            np.zeros((48, 48), np.float32),
            ('--smallest', '9', '--largest', '3'),
            2,
            'expected the smaller one first',
        ),
        (np.zeros((48, 48), np.float32), ('--markers', 'nowhere.png'), 2, 'nowhere.png'),
    ],
)
def test_what_cannot_be_delineated_is_said_in_one_line(
    folders: Path, saliency: np.ndarray, options: tuple[str, ...], code: int, words: str
) -> None:
    np.save(folders / 's.npy', saliency)
    image = folders / 'images' / '0.png'
    arguments = ('delineate', folders / 's.npy', image, '--out', folders / 'd', *options)
    assert words in plain(run(*arguments, expect=code))
    assert not (folders / 'd').exists()


def test_a_wrong_method_ends_segmenting_before_any_image_is_read(folders: Path) -> None:
    learn(folders)
    outcome = segment(folders, '--method', 'magic', expect=2)
    assert "no method 'magic'; choose one of dynamic_trees" in plain(outcome)
    assert not (folders / 'r').exists()


def test_info_says_how_objects_are_found(folders: Path) -> None:
    learn(folders)
    text = plain(run('info', folders / 'squares.flim'))
    assert "cut saliency above Otsu's threshold of each image" in text
    model = load_model(folders / 'squares.flim')
    sizes = model.delineation.seeds.sizes
    assert f'area from {sizes.smallest:g} to {sizes.largest:g}, holes filled' in text
    assert 'comparing 70% what block 1 has learned, mean root' in text
    changed = model.with_delineation(
        method='random_walker', threshold=0.4, border=1, sizes=None, erosion=2.5, opening=1
    )
    changed.save(folders / 'squares.flim')
    text = plain(run('info', folders / 'squares.flim'))
    assert 'objects random_walker: the seeds that a random walk' in text
    assert 'saliency above 0.4, ' in text
    assert 'none within 1 voxels of the border, opening 1, holes filled' in text
    assert 'holes filled, inner seeds 2.5 away' in text
    assert 'outer seeds' not in text
    assert 'area' not in text


def test_a_folder_with_results_is_only_written_to_when_that_is_said(folders: Path) -> None:
    learn(folders)
    segment(folders, '--objects')
    outcome = plain(segment(folders, '--objects', expect=2))
    assert 'has finished 3 of 3 files. Resume it, overwrite it' in outcome
    outcome = plain(segment(folders, '--objects', '--resume'))
    assert '3 files were finished before; 0 are left' in outcome
    outcome = plain(segment(folders, '--objects', '--resume', '--method', 'none', expect=2))
    assert 'delineation method was dynamic_trees, now none' in outcome
    assert 'give one of them' in plain(segment(folders, '--resume', '--overwrite', expect=2))
    outcome = plain(segment(folders, '--overwrite', '--method', 'none'))
    assert '6 results of the earlier run' in outcome
    assert results_in(folders / 'r') == [f'{n}_labels.tif' for n in range(3)]


def test_a_report_names_the_model_file_and_says_why_files_have_failed(folders: Path) -> None:
    learn(folders)
    (folders / 'images' / '1.png').write_bytes(BROKEN)
    outcome = plain(segment(folders, expect=1))
    assert 'report.csv says why files have failed; --resume tries them again' in outcome
    rows = rows_of(folders / 'r' / 'report.csv')
    assert [row['status'] for row in rows] == ['done', 'failed', 'done']
    assert '1.png' in rows[1]['message']
    about = json.loads((folders / 'r' / 'run.json').read_text())
    sha256 = hashlib.sha256((folders / 'squares.flim').read_bytes()).hexdigest()
    assert about['model'] == {'name': str(folders / 'squares.flim'), 'sha256': sha256}


def test_a_pattern_and_a_format_are_followed(folders: Path) -> None:
    learn(folders)
    outputs = ('--pattern', '[02].png', '--format', 'nii.gz', '--outlines')
    segment(folders, *outputs)
    assert results_in(folders / 'r') == sorted(
        f'{n}_{kind}' for n in (0, 2) for kind in ('labels.nii.gz', 'outlines.png')
    )
    for option, words in (
        (('--format', 'gif'), 'tif, ome-zarr, nii.gz'),
        (('--pattern', 'x'), 'x'),
    ):
        assert words in plain(segment(folders, *option, out='other', expect=2))


def test_help_names_every_format() -> None:
    text = plain(run('segment', '--help'))
    for name in RESULT_FORMATS:
        assert name in text


@pytest.mark.parametrize('amount', ['much', '0', '2XB', '-3GB', '5i'])
def test_memory_that_is_no_amount_is_a_usage_error(folders: Path, amount: str) -> None:
    learn(folders)
    outcome = segment(folders, f'--memory={amount}', expect=2)
    assert 'is no amount of memory; give one such as 2GB' in plain(outcome)
