"""The script of a session learns the same model again, without napari."""

from __future__ import annotations

import importlib.util
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from napari_flim.engine.architecture import Architecture, Block, preset
from napari_flim.engine.decoder_settings import DecoderSettings
from napari_flim.engine.input_features import input_features
from napari_flim.engine.kernels import drop_kernels
from napari_flim.engine.learning import learn_encoder
from napari_flim.engine.markers import MarkerSet
from napari_flim.engine.options import LearningOptions
from napari_flim.engine.preprocessing import InputTransform
from napari_flim.model import FlimModel
from napari_flim.model_loading import load_model
from napari_flim.progress import finish
from napari_flim.samples import SAMPLES
from napari_flim.session.learned import BankChange
from napari_flim.session.script import ScriptInputs, as_python, runs_of
from napari_flim.session.sources import ImageSource, Strokes
from napari_flim.training import learn_model

TINY = Architecture((Block(channels=6), Block(channels=4, dilation=2)))
ALTERED = Architecture(
    (Block(kernel_size=(1, 3, 3), channels=5, pooling='none', activation='none'), Block(stride=2)),
    epsilon=0.05,
)


def strokes_of(labels: np.ndarray) -> Strokes:
    voxels = np.argwhere(labels)
    return Strokes(voxels, labels[tuple(voxels.T)].astype(np.int64), labels.shape)


def source_of(data, axes: str, **known) -> ImageSource:
    spacing = known.pop('spacing', (1.0,) * sum(letter in 'ZYX' for letter in axes))
    return ImageSource(
        known.pop('key', 'a'), known.pop('name', 'cells'), data, axes, spacing, **known
    )


def dropped(*changes: tuple[int, int, tuple[int, ...]]) -> tuple[BankChange, ...]:
    return tuple(BankChange(block, 'drop', kernels, stayed) for stayed, block, kernels in changes)


def changed(blocks, change: BankChange):
    if change.kind == 'drop':
        return drop_kernels(blocks, change.block, change.kernels)
    blocks = list(blocks)
    old = blocks[change.block - 1]
    weights, bias = old.bank.weights.copy(), old.bank.bias.copy()
    weights[list(change.kernels)] *= -1
    bias[list(change.kernels)] *= -1
    blocks[change.block - 1] = replace(old, bank=replace(old.bank, weights=weights, bias=bias))
    return tuple(blocks)


def learned_directly(inputs: ScriptInputs) -> FlimModel:
    libift = inputs.transform.kind == 'libift'
    images = [source.frame(frame) for source, frame, _ in inputs.frames]
    markers = [
        MarkerSet.from_points(s.coordinates, s.labels, s.shape, across_classes=libift)
        for _, _, s in inputs.frames
    ]
    blocks = ()
    if not libift:
        resolved = inputs.transform.resolved(images, fixed=inputs.fixed_ranges)
        features = [input_features(resolved, image) for image in images]
        for change in inputs.changes:
            specs = replace(inputs.architecture, blocks=inputs.architecture.blocks[: change.stayed])
            job = learn_encoder(features, markers, specs, inputs.options, start=blocks)
            blocks = changed(finish(job), change)
    return finish(
        learn_model(
            images,
            markers,
            inputs.architecture,
            transform=inputs.transform,
            fixed_ranges=inputs.fixed_ranges,
            decoder=inputs.decoder,
            options=inputs.options,
            start=blocks,
        )
    )


def assert_same_model(script: FlimModel, direct: FlimModel) -> None:
    assert script.transform == direct.transform
    assert (script.decoder, script.epsilon) == (direct.decoder, direct.epsilon)
    assert [block.spec for block in script.blocks] == list(direct.architecture.blocks)
    for one, other in zip(script.blocks, direct.blocks, strict=True):
        for name in ('mean', 'std'):
            np.testing.assert_array_equal(
                getattr(one.normalization, name), getattr(other.normalization, name)
            )
        for name in ('weights', 'bias', 'classes', 'images', 'markers', 'voxels'):
            np.testing.assert_array_equal(getattr(one.bank, name), getattr(other.bank, name))


def assert_tidy(script: str, folder: Path) -> None:
    assert max(map(len, script.splitlines())) <= 100
    if importlib.util.find_spec('ruff') is None:
        return
    path = folder / 'tidy.py'
    path.write_text(script, encoding='utf-8')
    ruff = [sys.executable, '-m', 'ruff']
    style = ['--isolated', '--line-length=100']
    single = ['--config', "format.quote-style='single'"]
    for command in (['format', '--diff', *style, *single], ['check', '--select=E,F,W,I', *style]):
        done = subprocess.run(
            [*ruff, *command, path], capture_output=True, text=True, cwd=folder, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the script of some inputs in an empty folder and returns the model that it saved."""

    def run_script(inputs: ScriptInputs) -> FlimModel:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, 'argv', ['script.py'])
        script = as_python(inputs)
        # Paths of temporary folders may be longer than a line.
        assert_tidy(script.replace(str(tmp_path), ''), tmp_path)
        Path('script.py').write_text(script, encoding='utf-8')
        runpy.run_path('script.py')
        return load_model('model.flim')

    return run_script


def check(run, inputs: ScriptInputs) -> None:
    assert_same_model(run(inputs), learned_directly(inputs))


def test_a_grey_image_of_a_file_gives_the_same_model(run, tmp_path, scene) -> None:
    path = tmp_path / "o'clock.tif"
    tifffile.imwrite(path, scene.image)
    source = source_of(scene.image, 'YX', path=str(path))
    check(run, ScriptInputs(((source, 0, strokes_of(scene.markers)),), TINY))


def test_a_sample_in_colour_gives_the_same_model(run) -> None:
    sample = SAMPLES['tissue']()
    source = source_of(sample.image, 'YXS', name='tissue', sample='tissue')
    decoder = DecoderSettings('label', block=1)
    frames = ((source, 0, strokes_of(sample.markers)),)
    check(run, ScriptInputs(frames, preset('small'), 'small', decoder=decoder))


def test_images_of_a_stack_and_another_file_give_the_same_model(run, tmp_path, scene) -> None:
    stack = np.stack([scene.image, 255 - scene.image, scene.image // 2])
    tifffile.imwrite(tmp_path / 'stack.tif', stack, photometric='minisblack')
    np.save(tmp_path / 'second.npy', scene.image.T)
    first = source_of(stack, 'TYX', path=str(tmp_path / 'stack.tif'))
    second = source_of(scene.image.T, 'YX', key='b', path=str(tmp_path / 'second.npy'))
    drawn = strokes_of(scene.markers)
    frames = ((first, 0, drawn), (first, 2, drawn), (second, 0, strokes_of(scene.markers.T)))
    options = LearningOptions(seed=3, representative='medoid')
    transform = InputTransform('scaled', percentiles=(1.0, 99.0))
    check(run, ScriptInputs(frames, TINY, None, transform, True, options=options))


def test_a_volume_keeps_the_voxel_size_it_had_in_napari(run, tmp_path) -> None:
    rng = np.random.default_rng(0)
    volume = rng.integers(0, 200, (6, 20, 20)).astype(np.uint16)
    volume[2:4, 5:12, 5:12] += 400
    labels = np.zeros(volume.shape, np.uint8)
    labels[0, 1:4, 2:6] = 1
    labels[3, 6:9, 6:10] = 2
    np.save(tmp_path / 'volume.npy', volume)
    path = str(tmp_path / 'volume.npy')
    source = source_of(volume, 'ZYX', spacing=(3.0, 0.5, 0.5), path=path)
    frames = ((source, 0, strokes_of(labels)),)
    transform = InputTransform('multiscale', scales=(1.0, 2.5))
    check(run, ScriptInputs(frames, ALTERED, transform=transform))
    assert load_model('model.flim').provenance['images'][0]['spacing'] == [3.0, 0.5, 0.5]


def test_a_nifti_volume_is_read_in_its_own_order(run, tmp_path) -> None:
    import nibabel

    rng = np.random.default_rng(1)
    volume = rng.integers(0, 9, (5, 14, 16)).astype(np.int16)
    volume[2, 4:9, 4:9] = 60
    labels = np.zeros(volume.shape, np.uint8)
    labels[0, 1:4, 2:6] = 1
    labels[2, 5:8, 5:8] = 2
    path = str(tmp_path / 'head.nii')
    nibabel.save(nibabel.Nifti1Image(volume.T, np.eye(4)), path)
    source = source_of(volume, 'ZYX', path=path)
    check(run, ScriptInputs(((source, 0, strokes_of(labels)),), TINY))


def test_two_object_classes_and_dropped_kernels_give_the_same_model(run, tmp_path, scene) -> None:
    markers = scene.markers.copy()
    markers[30:33, 28:31] = 3
    tifffile.imwrite(tmp_path / 'a.tif', scene.image)
    source = source_of(scene.image, 'YX', path=str(tmp_path / 'a.tif'))
    three = Architecture((*TINY.blocks, Block(channels=5)))
    changes = dropped((1, 1, (0, 2)), (2, 1, (1,)), (2, 2, (3,)))
    inputs = ScriptInputs(((source, 0, strokes_of(markers)),), three, changes=changes)
    direct = learned_directly(inputs)
    assert [len(block.bank) for block in direct.blocks] == [3, 3, 5]
    assert_same_model(run(inputs), direct)
    later = replace(inputs, changes=dropped((1, 1, (0, 2)), (1, 1, (1,)), (2, 2, (3,))))
    assert (direct.blocks[1].bank.weights != learned_directly(later).blocks[1].bank.weights).any()


def test_kernels_dropped_from_the_last_block_stay_out(run, tmp_path, scene) -> None:
    tifffile.imwrite(tmp_path / 'a.tif', scene.image)
    source = source_of(scene.image, 'YX', path=str(tmp_path / 'a.tif'))
    frames = ((source, 0, strokes_of(scene.markers)),)
    full = learned_directly(ScriptInputs(frames, TINY))
    inputs = ScriptInputs(frames, TINY, fixed_ranges=True, changes=dropped((2, 2, (3,))))
    model = run(inputs)
    np.testing.assert_array_equal(model.blocks[1].bank.weights, full.blocks[1].bank.weights[:3])
    assert_same_model(model, learned_directly(inputs))


def test_inverted_kernels_are_inverted_before_the_next_block_is_learned(
    run, tmp_path, scene
) -> None:
    tifffile.imwrite(tmp_path / 'a.tif', scene.image)
    source = source_of(scene.image, 'YX', path=str(tmp_path / 'a.tif'))
    changes = (BankChange(1, 'invert', (1, 3), 1), BankChange(1, 'drop', (0,), 1))
    inputs = ScriptInputs(((source, 0, strokes_of(scene.markers)),), TINY, changes=changes)
    direct = learned_directly(inputs)
    plain = learned_directly(replace(inputs, changes=changes[1:]))
    assert (direct.blocks[1].bank.weights != plain.blocks[1].bank.weights).any()
    assert_same_model(run(inputs), direct)


def test_libift_learning_joins_touching_classes_and_drops_at_the_end(run, tmp_path, scene) -> None:
    markers = scene.markers.copy()
    markers[15:17, 11:15] = 1
    tifffile.imwrite(tmp_path / 'a.tif', scene.image)
    source = source_of(scene.image, 'YX', path=str(tmp_path / 'a.tif'))
    plain = ScriptInputs(
        ((source, 0, strokes_of(markers)),),
        TINY,
        transform=InputTransform('libift'),
        decoder=DecoderSettings('tristate'),
    )
    check(run, plain)
    direct = learned_directly(plain)
    model = run(replace(plain, changes=dropped((2, 1, (0,)))))
    assert_same_model(model, replace(direct, blocks=drop_kernels(direct.blocks, 1, (0,))))


def test_a_layer_without_file_is_asked_for_by_name(run, tmp_path, scene) -> None:
    np.save(tmp_path / 'my_blobs_1_.npy', scene.image)
    np.save(tmp_path / 'my_blobs_1__2.npy', 255 - scene.image)
    one = source_of(scene.image, 'YX', name='my blobs [1]')
    two = source_of(255 - scene.image, 'YX', key='b', name='my blobs (1)', path='pyramid.zarr')
    drawn = strokes_of(scene.markers)
    inputs = ScriptInputs(((one, 0, drawn), (two, 0, drawn)), TINY)
    assert "np.save('my_blobs_1_.npy', layer.data)" in as_python(inputs)
    check(run, inputs)


def test_names_cannot_add_code_to_the_script(run, tmp_path, scene) -> None:
    name = 'x\nraise SystemExit(\'\\\'\'""")'
    source = source_of(scene.image, 'YX', name=name)
    inputs = ScriptInputs(((source, 0, strokes_of(scene.markers)),), TINY)
    script = as_python(inputs)
    assert not [line for line in script.splitlines() if line.startswith('raise')]
    np.save(tmp_path / (script.split("np.save('")[1].split("'")[0]), scene.image)
    check(run, inputs)


def test_the_script_runs_alone_without_napari_and_segments_files(tmp_path, scene) -> None:
    tifffile.imwrite(tmp_path / 'a.tif', scene.image)
    source = source_of(scene.image, 'YX', path=str(tmp_path / 'a.tif'))
    inputs = ScriptInputs(((source, 0, strokes_of(scene.markers)),), TINY)
    ending = "\nassert not {'napari', 'qtpy'} & set(sys.modules)\n"
    (tmp_path / 'script.py').write_text(as_python(inputs) + ending, encoding='utf-8')
    done = subprocess.run(
        [sys.executable, 'script.py', 'a.tif'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert '<FlimModel' in done.stdout
    objects = tifffile.imread(tmp_path / 'a_objects.tif')
    np.testing.assert_array_equal(objects, learned_directly(inputs).segment(scene.image))


@given(
    labels=st.lists(st.integers(0, 3), min_size=24, max_size=24).filter(any),
    order=st.permutations(range(24)),
)
def test_runs_hold_every_voxel_in_its_order(labels: list[int], order: list[int]) -> None:
    raster = strokes_of(np.array(labels).reshape(2, 3, 4))
    shuffled = [i for i in order if i < len(raster)]
    for chosen in (range(len(raster)), shuffled):
        picked = list(chosen)
        strokes = Strokes(raster.coordinates[picked], raster.labels[picked], raster.shape)
        voxels, classes = [], []
        for *first, length, number in runs_of(strokes).tolist():
            for step in range(length):
                voxels.append([*first[:-1], first[-1] + step])
                classes.append(number)
        assert voxels == strokes.coordinates.tolist()
        assert classes == strokes.labels.tolist()


def test_a_straight_stroke_is_one_run() -> None:
    labels = np.zeros((3, 300), np.uint8)
    labels[1, 20:280] = 2
    assert runs_of(strokes_of(labels)).tolist() == [[1, 20, 260, 2]]
