import pickle
from dataclasses import replace

import numpy as np
import pytest
import zarr

from napari_flim.engine.architecture import preset
from napari_flim.engine.decoder_settings import DECODERS
from napari_flim.inference.streamed_saliency import stream_saliency
from napari_flim.inference.tiles import tiles
from napari_flim.io.checkpoints import FolderCheckpoint
from napari_flim.progress import finish

ARCHITECTURES = ['plain', 'strided', 'uneven']
DECODED = [name for name in DECODERS if name != 'manual']


def streamed(model, image, size):
    applying = model.applying(image)
    plan = tiles(image.shape, size, applying.halo, applying.stride)
    raw = np.full((len(applying.object_classes), *image.shape), np.nan, dtype=np.float32)
    return finish(stream_saliency(applying, raw, plan)), plan


@pytest.mark.parametrize('decoder', DECODED)
@pytest.mark.parametrize('architecture', ARCHITECTURES)
@pytest.mark.parametrize(('shape', 'size'), [((57, 46), (12, 12)), ((19, 23, 21), (6, 12, 9))])
def test_tiles_give_the_saliency_of_the_whole_image(shape, size, architecture, decoder, learned):
    model, image = learned(shape, architecture, decoder)
    result, plan = streamed(model, image, size)
    assert len(plan) > 4
    np.testing.assert_allclose(result[:], model.class_saliency(image), atol=1e-5)


def test_tiles_smaller_than_their_halo_give_the_same_saliency(learned):
    model, image = learned((50, 41), preset('small'))
    result, plan = streamed(model, image, (1, 1))
    assert model.applying(image).halo[0] > plan[0].core[0].stop
    np.testing.assert_allclose(result[:], model.class_saliency(image), atol=1e-5)


@pytest.mark.parametrize('text', ['multiscale', 'window:0,1'])
def test_the_halo_covers_what_the_input_transform_sees(text, learned):
    model, image = learned((57, 46), 'strided', text=text)
    result, _ = streamed(model, image, (12, 12))
    np.testing.assert_allclose(result[:], model.class_saliency(image), atol=1e-5)


def test_maps_of_several_classes_share_their_scale_across_tiles(learned):
    model, image = learned((57, 46), 'plain', classes=2)
    result, _ = streamed(model, image, (12, 12))
    whole = model.class_saliency(image)
    assert whole.shape[0] == 2
    np.testing.assert_allclose(result[:], whole, atol=1e-5)


@pytest.mark.parametrize('decoder', ['mean', 'tristate', 'attention'])
def test_kernels_that_are_switched_off_do_not_count_in_tiles(decoder, learned):
    model, image = learned((57, 46), 'plain', decoder)
    model = replace(model, decoder=replace(model.decoder, overrides=((0, 0.0),)))
    result, _ = streamed(model, image, (12, 12))
    np.testing.assert_allclose(result[:], model.class_saliency(image), atol=1e-5)


def test_a_halo_that_is_too_small_would_be_noticed(learned):
    model, image = learned((57, 46), 'plain')
    applying = model.applying(image)
    plan = tiles(image.shape, (12, 12), (1, 1), applying.stride)
    raw = np.zeros((1, *image.shape), dtype=np.float32)
    result = finish(stream_saliency(applying, raw, plan))
    assert abs(result[:] - model.class_saliency(image)).max() > 1e-3


def test_a_run_goes_on_after_the_last_finished_tile(tmp_path, learned):
    model, image = learned((57, 46), 'plain', 'tristate')
    applying = model.applying(image)
    plan = tiles(image.shape, (12, 12), applying.halo, applying.stride)
    raw = np.zeros((1, *image.shape), dtype=np.float32)
    for steps in range(8, 200, 8):
        job = stream_saliency(applying, raw, plan, checkpoint=FolderCheckpoint(tmp_path))
        before = len(list(tmp_path.rglob('*.npz')))
        result = finished_within(job, steps)
        if result is not None:
            break
        assert len(list(tmp_path.rglob('*.npz'))) > before
    assert steps > 8
    np.testing.assert_allclose(result[:], model.class_saliency(image), atol=1e-5)


def finished_within(job, steps):
    """The result of a job, or None if it is stopped after so many steps."""
    for _ in range(steps):
        try:
            next(job)
        except StopIteration as end:
            return end.value
    job.close()
    return None


def test_the_order_of_tiles_does_not_matter(learned):
    def backwards(function, tiles):
        return ((tile, function(tile)) for tile in reversed(tiles))

    model, image = learned((57, 46), 'plain', 'attention')
    applying = model.applying(image)
    plan = tiles(image.shape, (12, 12), applying.halo, applying.stride)
    raw = np.zeros((1, *image.shape), dtype=np.float32)
    result = finish(stream_saliency(applying, raw, plan, mapper=backwards))
    forwards, _ = streamed(model, image, (12, 12))
    np.testing.assert_array_equal(result[:], forwards[:])


def test_the_work_for_a_tile_can_be_sent_to_another_process(tmp_path, learned):
    def posted(function, tiles):
        sent = pickle.loads(pickle.dumps(function))
        for tile in tiles:
            yield tile, pickle.loads(pickle.dumps(sent(tile)))

    model, image = learned((57, 46), 'plain')
    applying = model.applying(image)
    plan = tiles(image.shape, (12, 12), applying.halo, applying.stride)
    raw = zarr.create_array(
        tmp_path / 'raw.zarr', shape=(1, *image.shape), chunks=(1, 12, 12), dtype='float32'
    )
    result = finish(stream_saliency(applying, raw, plan, mapper=posted))
    forwards, _ = streamed(model, image, (12, 12))
    np.testing.assert_array_equal(result[:], forwards[:])


def test_what_forests_compare_is_the_same_for_every_part(monkeypatch, learned):
    model, image = learned((57, 46), 'strided')
    applying = model.applying(image)
    whole = (slice(0, 57), slice(0, 46))
    features, channels = applying.features(whole), applying.learned(whole)
    monkeypatch.setattr('napari_flim.inference.applying.SLAB', 200)
    for box in (whole, (slice(11, 40), slice(3, 17)), (slice(56, 57), slice(45, 46))):
        part = (slice(None), *box)
        np.testing.assert_allclose(applying.features(box), features[part], atol=1e-6)
        np.testing.assert_allclose(applying.learned(box), channels[part], atol=1e-5)
