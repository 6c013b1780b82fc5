import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_flim.delineation.objects import ObjectSettings, above_threshold
from napari_flim.delineation.saliency_thresholds import image_threshold
from napari_flim.errors import DelineationError
from napari_flim.inference.stages import Stages
from napari_flim.inference.streamed_thresholds import OneMap, streamed_cut
from napari_flim.inference.tiles import tiles
from napari_flim.progress import finish


def cut_of(saliency, choice, size=(5, 7)):
    parts = tiles(saliency.shape, size, (0, 0), (1, 1))
    job = streamed_cut(OneMap(saliency[None], 0, 2), parts, choice, Stages(6))
    return finish(job)


@pytest.mark.parametrize('dtype', [np.float16, np.float32, np.float64])
@pytest.mark.parametrize('percentile', [0, 3.7, 50, 95, 99.99, 100])
def test_percentiles_in_tiles_are_those_of_the_whole_to_the_last_bit(dtype, percentile):
    saliency = np.random.default_rng(0).random((23, 31)).astype(dtype)
    saliency[:2] = 0
    choice = ObjectSettings(rule='percentile', percentile=percentile)
    assert cut_of(saliency, choice) == image_threshold(saliency, 'percentile', percentile)
    wanted = np.percentile(saliency.astype(float), percentile)
    assert cut_of(saliency, choice) == pytest.approx(wanted, rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 12), st.integers(1, 12)),
        elements=st.floats(0, 1, width=32),
    ),
    st.sampled_from([None, 0.4]),
    st.sampled_from(['otsu', 'percentile']),
    st.sampled_from([1.0, 0.8]),
)
def test_what_is_salient_in_tiles_is_what_is_salient_in_the_whole(saliency, threshold, rule, scale):
    choice = ObjectSettings(threshold=threshold, rule=rule, scale=scale)
    found = saliency > cut_of(saliency, choice)
    np.testing.assert_array_equal(found, above_threshold(saliency, choice))


def test_values_that_are_not_finite_are_refused_wherever_they_are():
    saliency = np.random.default_rng(0).random((9, 9))
    saliency[8, 8] = np.nan
    with pytest.raises(DelineationError, match='1 values of the saliency are not finite'):
        cut_of(saliency, ObjectSettings())
