import json
from dataclasses import asdict

import numpy as np
import pytest

from napari_flim.engine.options import LearningOptions
from napari_flim.errors import LearningError

DEFAULTS = LearningOptions()


@pytest.mark.parametrize(
    ('name', 'value'),
    [('method', 'svm'), ('statistics', 'voxel'), ('representative', 'x'), ('consensus', 'libift')],
)
def test_an_unknown_option_lists_those_allowed(name, value):
    expected = f"{name} is '{value}'; allowed: .*{getattr(DEFAULTS, name)}"
    with pytest.raises(LearningError, match=expected):
        LearningOptions(**{name: value})


def test_principal_axes_and_statistics_of_each_image_exclude_each_other():
    with pytest.raises(LearningError, match="use statistics='coordinate', or another consensus"):
        LearningOptions(statistics='image', consensus='pca')
    assert LearningOptions(statistics='coordinate', consensus='pca').consensus == 'pca'


@pytest.mark.parametrize('seed', [-1, 1.5, 2**63])
def test_an_impossible_seed_gives_a_clear_error(seed):
    with pytest.raises(LearningError, match='expected a whole number from 0 up'):
        LearningOptions(seed=seed)


@pytest.mark.parametrize('share', [0, 1, -0.5, float('nan')])
def test_an_impossible_share_gives_a_clear_error(share):
    with pytest.raises(LearningError, match='between 0 and 1'):
        LearningOptions(object_share=share)


def test_numbers_of_numpy_become_numbers_that_json_can_hold():
    options = LearningOptions(seed=np.int64(3), object_share=np.float32(0.25))
    assert json.loads(json.dumps(asdict(options)))['seed'] == 3
    assert (type(options.seed), type(options.object_share)) == (int, float)
    assert options == LearningOptions(seed=3, object_share=0.25)
