import itertools

import numpy as np
import pytest
import zarr

from napari_flim.engine.image import read_array
from napari_flim.errors import MemoryBudgetError
from napari_flim.inference.segment_large import segment_large
from napari_flim.io.checkpoints import FolderCheckpoint
from napari_flim.progress import finish


@pytest.fixture
def small_budget(monkeypatch):
    """A budget that leaves room for small tiles only."""
    monkeypatch.setattr('napari_flim.inference.segment_large.working_memory', lambda memory: memory)
    monkeypatch.setattr(
        'napari_flim.inference.delineate_blocks.working_memory', lambda memory: memory
    )


CASES = [((241, 196), 2_200_000), ((45, 61, 57), 11_000_000)]


def chunked(image, size=32):
    shape = image.shape
    array = zarr.create_array({}, shape=shape, chunks=(size,) * len(shape), dtype='float32')
    array[:] = image.data[0]
    return read_array(array, axes='ZYX'[-len(shape) :])


@pytest.mark.parametrize(('shape', 'memory'), CASES)
def test_a_lazy_image_in_tiles_has_the_objects_of_the_image_in_memory(
    shape, memory, small_budget, tmp_path, learned
):
    model, image = learned(shape, 'strided')
    lazy = chunked(image)
    assert lazy.lazy
    assert not model.fits(lazy, memory)
    labels = np.zeros(shape, dtype=np.int32)
    applying = model.applying(lazy)
    job = segment_large(applying, model.delineation, labels, scratch=tmp_path, memory=memory)
    found = finish(job)
    assert len(found.tiles) > 1
    whole = model.delineate(image)
    assert len(whole.classes) >= 4
    assert found.objects.classes == whole.classes
    assert (labels != whole.labels).mean() < 1e-4
    np.testing.assert_allclose(found.saliency[:], model.class_saliency(image), atol=1e-5)


def test_a_large_image_goes_on_after_a_kill(small_budget, tmp_path, learned):
    shape, memory = CASES[0]
    model, image = learned(shape, 'plain')
    labels = zarr.create_array(
        tmp_path / 'labels.zarr', shape=shape, chunks=(16, 16), dtype='int32'
    )
    applying, attempts = model.applying(image), 0
    finished = False
    while not finished and attempts < 100:
        attempts += 1
        checkpoint = FolderCheckpoint(tmp_path / 'done')
        job = segment_large(
            applying,
            model.delineation,
            labels,
            scratch=tmp_path / 'scratch',
            memory=memory,
            checkpoint=checkpoint,
        )
        finished = sum(1 for _ in itertools.islice(job, 40)) < 40
        job.close()
    assert finished
    assert attempts > 2
    assert (labels[:] != model.delineate(image).labels).mean() < 1e-4


def test_a_model_reads_a_lazy_image_in_tiles_where_it_does_not_fit(
    small_budget, monkeypatch, learned
):
    shape, memory = CASES[0]
    model, image = learned(shape, 'strided')
    whole, labels = model.class_saliency(image), model.delineate(image).labels
    monkeypatch.setattr('napari_flim.inference.segment_large.working_memory', lambda _: memory)
    monkeypatch.setattr('napari_flim.inference.delineate_blocks.working_memory', lambda _: memory)
    read = []
    lazy = chunked(image)
    monkeypatch.setattr(
        type(lazy), 'in_memory', lambda one: pytest.fail(f'{one.name} was read whole')
    )
    crop = type(lazy).crop
    monkeypatch.setattr(type(lazy), 'crop', lambda one, box: read.append(box) or crop(one, box))
    np.testing.assert_allclose(model.class_saliency(lazy), whole, atol=1e-5)
    assert (model.delineate(lazy).labels != labels).mean() < 1e-4
    assert max(box[0].stop - box[0].start for box in read) < shape[0]


def test_markers_on_an_image_that_does_not_fit_are_refused(small_budget, monkeypatch, learned):
    shape, memory = CASES[0]
    model, image = learned(shape, 'strided')
    monkeypatch.setattr('napari_flim.inference.segment_large.working_memory', lambda _: memory)
    with pytest.raises(MemoryBudgetError, match='does not fit into memory'):
        model.delineate(chunked(image), markers=np.zeros(shape, np.uint8))
