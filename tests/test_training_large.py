"""Learning from images that are much larger than memory reads what lies around their markers."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
from scipy import ndimage

from napari_flim import training
from napari_flim.engine import crops as crops_module
from napari_flim.engine.architecture import PRESETS, Architecture, Block
from napari_flim.engine.image import read_array
from napari_flim.engine.markers import MarkerSet
from napari_flim.engine.options import LearningOptions
from napari_flim.engine.preprocessing import InputTransform
from napari_flim.errors import FlimWarning, MarkerError, MemoryBudgetError
from napari_flim.inference import marked_windows
from napari_flim.progress import finish
from napari_flim.training import learn_model, learn_sizes

SIDE = 40_000
CHUNK = 400
STATUS = Path('/proc/self/status')


class Slide:
    """A generated slide: noise with a bright disk at every stroke of an object."""

    def __init__(self, side: int = SIDE) -> None:
        rng = np.random.default_rng(5)
        self.places = rng.integers(100, side - 100, (10, 2))
        self.read = 0
        self.array = da.map_blocks(
            self._block, chunks=((CHUNK,) * (side // CHUNK),) * 2, dtype=np.uint8, meta=np.empty(0)
        )

    def _block(self, block_info=None) -> np.ndarray:
        start = np.array([first for first, _ in block_info[None]['array-location']])
        self.read += CHUNK**2
        rng = np.random.default_rng(start)
        block = rng.normal(60, 8, (CHUNK, CHUNK))
        axes = [np.arange(CHUNK) + first for first in start]
        for row, column in self.places[1::2]:
            near = (axes[0][:, None] - row) ** 2 + (axes[1] - column) ** 2 < 20**2
            block[near] += 120
        return block.clip(0, 255).astype(np.uint8)

    def markers(self) -> MarkerSet:
        stroke = np.stack(np.meshgrid(np.arange(-1, 2), np.arange(-8, 8), indexing='ij'), -1)
        voxels = np.concatenate([stroke.reshape(-1, 2) + place for place in self.places])
        classes = np.repeat([1, 2] * 5, stroke[..., 0].size)
        return MarkerSet.from_points(voxels, classes, (SIDE, SIDE))


WINDOW = InputTransform('window', window=(0.0, 255.0))


def test_ten_strokes_on_a_slide_need_less_than_a_hundredth_of_it() -> None:
    slide = Slide()
    image = read_array(slide.array)
    model = finish(learn_model([image], [slide.markers()], PRESETS['small'], transform=WINDOW))
    assert 0 < slide.read < 0.01 * SIDE**2
    known = {tuple(v) for v in slide.markers().coordinates.tolist()}
    assert {tuple(v) for v in model.blocks[0].bank.voxels.tolist()} <= known
    assert model.provenance['images'][0]['markers'] == 10
    found = model.saliency(image.crop((slice(0, 800), slice(0, 800))).data[0])
    assert found.shape == (800, 800)


def test_sizes_of_a_slide_are_learned_around_its_object_markers(monkeypatch) -> None:
    monkeypatch.setattr(marked_windows, 'SIDE', {2: 200})
    slide = Slide()
    image, markers = read_array(slide.array), slide.markers()
    model = finish(learn_model([image], [markers], PRESETS['small'], transform=WINDOW))
    slide.read = 0
    sizes = finish(learn_sizes(model, [image], [markers])).delineation.seeds.sizes
    assert slide.read < 0.01 * SIDE**2
    assert sizes is not None
    assert np.pi * 15**2 < np.sqrt(sizes.smallest * sizes.largest) < np.pi * 25**2


def blobs(shape=(300, 340), radius=9):
    """An image with round objects, some of them marked."""
    rng = np.random.default_rng(1)
    centres = np.zeros(shape, bool)
    rows, columns = np.meshgrid(range(30, 300, 60), range(30, 340, 70), indexing='ij')
    centres[rows, columns] = True
    inside = ndimage.distance_transform_edt(~centres) <= radius
    values = rng.normal(60, 8, shape) + 120 * inside
    labels = np.zeros(shape, np.uint8)
    labels[5:9, 60:80] = labels[150:154, 60:70] = 1
    for row, column in ((30, 30), (90, 170), (270, 310)):
        labels[row - 2 : row + 3, column - 3 : column + 4] = 2
    return values.clip(0, 255).astype(np.uint8), MarkerSet.from_labels(labels)


def test_windows_give_the_sizes_of_the_whole_image(monkeypatch) -> None:
    values, markers = blobs()
    image = read_array(values, spacing=(0.5, 0.5))
    strided = Architecture((Block(channels=8, stride=2), Block(channels=8)))
    for architecture in (PRESETS['small'], strided):
        model = finish(learn_model([image], [markers], architecture))
        whole = finish(learn_sizes(model, [image], [markers])).delineation.seeds.sizes
        with monkeypatch.context() as patched:
            patched.setattr(training, 'WHOLE', 1000)
            patched.setattr(marked_windows, 'SIDE', {2: 90})
            lazy = replace(image, data=da.from_array(image.data, chunks=(1, 64, 64)))
            parts = finish(learn_sizes(model, [lazy], [markers])).delineation.seeds.sizes
        assert whole is not None and parts is not None
        np.testing.assert_allclose(parts.smallest, whole.smallest, rtol=0.15)
        np.testing.assert_allclose(parts.largest, whole.largest, rtol=0.15)


def test_an_object_larger_than_its_window_is_not_measured_and_said_to_be(monkeypatch) -> None:
    values, markers = blobs(radius=25)
    image = read_array(values)
    model = finish(learn_model([image], [markers], PRESETS['small']))
    monkeypatch.setattr(training, 'WHOLE', 1000)
    monkeypatch.setattr(marked_windows, 'SIDE', {2: 30})
    with pytest.warns(FlimWarning, match='3 of 3 marked objects of image are too large'):
        learned = finish(learn_sizes(model, [image], [markers]))
    assert learned.delineation.seeds.sizes is None


def test_an_object_at_the_border_of_the_image_is_measured(monkeypatch) -> None:
    values, _ = blobs()
    values[:, :40] = 60
    values[100:112, 0:12] = 190
    labels = np.zeros(values.shape, np.uint8)
    labels[104:108, 2:9], labels[200:204, 5:20] = 2, 1
    markers, image = MarkerSet.from_labels(labels), read_array(values)
    model = finish(learn_model([image], [markers], PRESETS['small']))
    monkeypatch.setattr(training, 'WHOLE', 1000)
    monkeypatch.setattr(marked_windows, 'SIDE', {2: 80})
    assert finish(learn_sizes(model, [image], [markers])).delineation.seeds.sizes is not None


def test_without_object_markers_nothing_is_measured(monkeypatch) -> None:
    values, markers = blobs()
    image = read_array(values)
    model = finish(learn_model([image], [markers], PRESETS['small']))
    monkeypatch.setattr(training, 'WHOLE', 1000)
    learned = finish(learn_sizes(model, [image], [markers.of_class(1)]))
    assert learned.delineation.seeds.sizes is None


@pytest.mark.parametrize('kind', ['scaled', 'multiscale', 'libift'])
def test_a_lazy_image_gives_the_model_of_one_in_memory(kind, monkeypatch) -> None:
    monkeypatch.setattr(crops_module, 'OVERHEAD', 1)
    values, markers = blobs()
    image = read_array(values)
    lazy = read_array(da.from_array(values, chunks=(50, 70)))
    first, second = (
        finish(learn_model([one], [markers], PRESETS['small'], transform=InputTransform(kind)))
        for one in (image, lazy)
    )
    assert first.transform == second.transform
    for one, other in zip(first.blocks, second.blocks, strict=True):
        np.testing.assert_array_equal(one.bank.weights, other.bank.weights)


def test_what_is_watched_is_whole_in_memory_and_left_out_of_lazy_images(monkeypatch) -> None:
    monkeypatch.setattr(crops_module, 'OVERHEAD', 1)
    values, markers = blobs()
    image = read_array(values)
    lazy = read_array(da.from_array(values, chunks=(50, 70)))
    seen = []

    def watch(index, block, channels):
        seen.append((index, block, tuple(channels.shape[1:])))

    finish(learn_model([image, lazy], [markers] * 2, PRESETS['small'], watch=watch))
    assert sorted(seen) == [(0, block, (300, 340)) for block in range(3)]


def test_markers_that_do_not_fit_are_refused_before_anything_is_read() -> None:
    slide = Slide()
    image, markers = read_array(slide.array), slide.markers()
    with pytest.raises(MarkerError, match=r'Image 1 has shape \(300, 340\)'):
        finish(learn_model([read_array(blobs()[0])], [markers], PRESETS['small']))
    with pytest.raises(MarkerError, match='markers were made for'):
        other = [blobs()[1]]
        finish(learn_model([image], [markers], PRESETS['small'], statistics_markers=other))
    assert slide.read == 0


def test_more_than_memory_around_markers_is_refused_before_it_is_read() -> None:
    slide = Slide()
    image = read_array(slide.array)
    voxels = np.random.default_rng(0).integers(0, SIDE, (60_000, 2))
    markers = MarkerSet.from_points(voxels, np.arange(len(voxels)) % 2 + 1, (SIDE, SIDE))
    with pytest.raises(MemoryBudgetError, match='fewer or shorter markers'):
        finish(learn_model([image], [markers], PRESETS['deep'], transform=WINDOW))
    assert slide.read == 0


def test_feature_points_of_a_slide_are_chosen_from_crops_alone() -> None:
    slide = Slide()
    options = LearningOptions(method='bofp')
    job = learn_model(
        [read_array(slide.array)],
        [slide.markers()],
        PRESETS['small'],
        transform=WINDOW,
        options=options,
    )
    assert len(finish(job).blocks[0].bank) == 5 + 3 * 5
    assert slide.read < 0.01 * SIDE**2


@pytest.mark.skipif(not STATUS.exists(), reason='the peak of a process is read from Linux')
def test_twenty_gigabytes_are_learned_from_in_little_memory() -> None:
    script = """
    import re
    from pathlib import Path
    import dask.array as da
    import numpy as np
    from napari_flim.engine.architecture import preset
    from napari_flim.engine.image import read_array
    from napari_flim.engine.markers import MarkerSet
    from napari_flim.progress import finish
    from napari_flim.training import learn_model

    noise = np.random.default_rng(0).integers(0, 200, (1000, 1000), dtype=np.uint8)

    def block(block_info=None):
        return noise + np.uint8(block_info[None]['chunk-location'][0] % 50)

    chunks = ((1000,) * 100, (1000,) * 200)
    array = da.map_blocks(block, chunks=chunks, dtype=np.uint8, meta=np.empty(0))
    assert array.nbytes == 20 * 10**9
    places = np.random.default_rng(0).integers(100, 99_000, (10, 1, 2))
    voxels = (places + np.stack([np.zeros(30, int), np.arange(30)], axis=1)).reshape(-1, 2)
    markers = MarkerSet.from_points(voxels, np.repeat([1, 2] * 5, 30), array.shape)
    finish(learn_model([read_array(array)], [markers], preset('small')))
    print(re.search(r'VmHWM:\\s+(\\d+) kB', Path('/proc/self/status').read_text())[1])
    """
    run = subprocess.run(
        [sys.executable, '-c', textwrap.dedent(script)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert int(run.stdout.split()[-1]) < 700_000
