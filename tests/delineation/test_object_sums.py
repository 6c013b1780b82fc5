import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.measure import regionprops

from napari_flim.delineation.object_sums import joined_sums, object_sums


@settings(max_examples=50, deadline=None)
@given(
    hnp.arrays(
        np.int32, st.tuples(*[st.integers(1, 7)] * 3), elements=st.sampled_from([0, 0, 1, 2, 5])
    ),
    st.integers(0, 7),
)
def test_sums_of_two_parts_add_up_to_those_of_regionprops(labels, cut):
    brightness = np.random.default_rng(0).random(labels.shape)
    parts = [
        object_sums(labels[:cut], [brightness[:cut]]),
        object_sums(labels[cut:], [brightness[cut:]], (min(cut, len(labels)), 0, 0)),
    ]
    sums = joined_sums(parts)
    known = regionprops(labels, brightness)
    assert sums.ids.tolist() == [one.label for one in known]
    for index, one in enumerate(known):
        assert sums.voxels[index] == one.area
        np.testing.assert_allclose(sums.places[index] / sums.voxels[index], one.centroid)
        assert (*sums.first[index], *(sums.last[index] + 1)) == one.bbox
        np.testing.assert_allclose(sums.means()[0, index], one.intensity_mean)


def test_values_that_are_not_finite_do_not_count():
    labels = np.array([[1, 1, 2]], dtype=np.int32)
    sums = object_sums(labels, [np.array([[4.0, np.nan, np.inf]])])
    np.testing.assert_array_equal(sums.means(), [[4.0, np.nan]])
