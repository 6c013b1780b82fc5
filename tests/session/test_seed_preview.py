"""What the dock says of saliency and seeds before objects are found."""

from __future__ import annotations

import numpy as np
import pytest

from napari_flim.delineation.area_range import AreaRange
from napari_flim.delineation.saliency_thresholds import image_threshold
from napari_flim.delineation.seed_settings import SeedSettings
from napari_flim.delineation.seeds import seeds_from_saliency
from napari_flim.progress import finish
from napari_flim.session.corrections import Corrections, Decisions, Edits
from napari_flim.session.delineating import Material
from napari_flim.session.jobs import Target
from napari_flim.session.seed_preview import BINS, accepted_sizes, saliency_numbers, seed_preview
from napari_flim.session.sources import ImageSource, Strokes


@pytest.fixture
def given() -> Material:
    """Two classes, an object of 100 and one of 36 voxels; a voxel is 0.5 x 2."""
    maps = np.zeros((2, 40, 40), np.float32)
    maps[0, 5:15, 5:15] = 0.9
    maps[1, 25:31, 25:31] = 0.8
    source = ImageSource('k', 'cells', maps[0], 'YX', (0.5, 2.0), 'um')
    return Material(None, Target(source), maps[:1], maps[:1], maps, (2, 5))  # type: ignore[arg-type]


def test_seeds_are_shown_by_class(given):
    preview = finish(seed_preview(given, SeedSettings(), None))
    seeds = seeds_from_saliency(
        given.saliency, SeedSettings(), spacing=(0.5, 2.0), classes=given.classes
    )
    assert preview.count == 2
    assert np.array_equal(preview.kinds > 0, seeds.labels > 0)
    assert np.array_equal(preview.kinds == 1, seeds.labels == 1)
    assert set(np.unique(preview.kinds)) == {0, 1, 2, 5}
    assert preview.shown == ()


def test_marked_objects_have_their_world_size_whatever_the_limits_are(given):
    marks = Strokes(np.array([[10, 10], [0, 0]]), np.array([2, 1]), (40, 40))
    limits = SeedSettings(sizes=AreaRange(1000, None), border=8)
    preview = finish(seed_preview(given, limits, marks))
    assert preview.shown == (100.0,)


def test_counts_cover_every_voxel_and_otsu_is_that_of_the_engine():
    saliency = np.random.default_rng(0).beta(0.5, 0.5, (30, 30)).astype(np.float32)
    numbers = saliency_numbers(saliency)
    assert len(numbers.counts) == BINS
    assert numbers.counts.sum() == saliency.size
    assert numbers.otsu == image_threshold(saliency)
    heights = numbers.heights()
    assert (min(heights) >= 0, max(heights)) == (True, 1.0)
    assert heights.index(1.0) == numbers.counts.argmax()


def test_constant_saliency_has_no_threshold():
    numbers = saliency_numbers(np.zeros((4, 4), np.float32))
    assert numbers.otsu is None
    assert numbers.counts[0] == 16


def test_sizes_of_accepted_objects_are_in_world_units():
    decisions = Decisions(accepted={3: np.arange(10), 5: np.arange(4)})
    assert accepted_sizes(Corrections(edits=Edits(decisions)), (2.0, 0.5, 3.0)) == (30.0, 12.0)
