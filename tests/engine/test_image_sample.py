import itertools

import dask
import dask.array as da
import numpy as np
import pytest

from napari_flim.engine import image_sample as module
from napari_flim.engine.image import read_array
from napari_flim.engine.image_sample import sample_boxes
from napari_flim.engine.preprocessing import InputTransform

VALUES = np.random.default_rng(0).normal(100, 20, (300, 340)).clip(0, 4000)


@pytest.fixture
def no_cluster():
    """Whoever asks for the scheduler that happens to be set fails the test."""
    with dask.config.set(scheduler=lambda *_, **__: pytest.fail('computed by the cluster')):
        yield


@pytest.mark.parametrize('kind', ['scaled', 'libift'])
@pytest.mark.parametrize('sampled', [False, True])
def test_statistics_of_a_lazy_image_are_computed_here_and_are_those_of_numpy(
    kind, sampled, no_cluster, monkeypatch
):
    if sampled:
        monkeypatch.setattr(module, 'ALL', 1000)
        monkeypatch.setattr(module, 'SIDE', {2: 16})
    transform = InputTransform(kind)
    lazy = read_array(da.from_array(VALUES, chunks=64))
    assert transform.statistics(lazy) == transform.statistics(read_array(VALUES))


@pytest.mark.parametrize('shape', [(20_000, 9_000), (900, 700, 500)])
def test_the_boxes_of_a_sample_lie_apart_and_inside(shape):
    boxes = sample_boxes(shape)
    assert 50 < len(boxes) < 300
    for box in boxes:
        for part, length in zip(box, shape, strict=True):
            assert 0 <= part.start < part.stop <= length
    for axis in range(len(shape)):
        parts = sorted({(box[axis].start, box[axis].stop) for box in boxes})
        assert all(one[1] <= other[0] for one, other in itertools.pairwise(parts))
