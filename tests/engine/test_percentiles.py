import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_flim.engine.percentiles import exact_percentiles

values = st.sampled_from([np.uint8, np.uint16, np.int16, np.float32]).flatmap(
    lambda dtype: hnp.arrays(
        dtype,
        hnp.array_shapes(min_dims=1, max_dims=3, max_side=12),
        elements=st.floats(-100, 100, width=16)
        if dtype is np.float32
        else st.integers(np.iinfo(dtype).min // 2, np.iinfo(dtype).max // 2),
    )
)


@given(values, st.lists(st.floats(0, 100), min_size=1, max_size=4))
def test_percentiles_are_those_of_numpy_to_the_last_bit(array, percentiles):
    assert exact_percentiles(array, percentiles) == np.percentile(array, percentiles).tolist()


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_percentiles_of_a_large_image_are_those_of_numpy(dtype):
    image = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (300, 301), dtype)
    wanted = (0.0, 0.1, 33.3, 50.0, 99.9, 100.0)
    assert exact_percentiles(image, wanted) == np.percentile(image, wanted).tolist()
    assert exact_percentiles(image[::2, ::3], wanted) == (
        np.percentile(image[::2, ::3], wanted).tolist()
    )
