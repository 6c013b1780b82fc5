from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_flim.engine.channel_statistics import channel_contents, channel_ranges
from napari_flim.engine.decoder_functions import FUNCTIONS, Whole
from napari_flim.engine.decoder_settings import (
    DECODERS,
    DecoderSettings,
    check_decoder,
)
from napari_flim.engine.decoders import decode, scale_channels
from napari_flim.errors import DecoderError

GOLDEN = Path(__file__).parents[1] / 'golden' / 'decoders'
BY_CHANNEL = {
    'original': 'mean_otsu',
    'tristate': 'tristate',
    'label': 'label_fixed',
    'hybrid': 'label_tristate',
    'attention': 'attention',
}
BY_VOXEL = {'mean': 'mean_based', 'probability': 'probability'}
BY_LIBIFT = {
    'mean': DecoderSettings('mean'),
    'probability': DecoderSettings('probability', full_disk=True),
}
WITH_LABELS = [name for name, decoder in DECODERS.items() if decoder.needs_labels]


def load(name):
    with np.load(GOLDEN / f'{name}.npz') as content:
        golden = dict(content)
    return golden, torch.from_numpy(golden['activations']), golden['labels'].astype(np.int64) + 1


@pytest.mark.parametrize('case', ['decoders2d', 'decoders3d'])
@pytest.mark.parametrize('name', BY_CHANNEL)
def test_decoders_per_channel_agree_with_their_formula(case, name):
    golden, activations, classes = load(case)
    result = decode(activations, classes, DecoderSettings(name), [2])
    np.testing.assert_array_equal(result.weights[0], golden[f'{BY_CHANNEL[name]}_weights'])
    np.testing.assert_allclose(
        result.saliency[0], golden[f'{BY_CHANNEL[name]}_saliency'], atol=1e-4
    )


@pytest.mark.parametrize('case', ['decoders2d', 'decoders3d', 'offset_and_dead2d'])
@pytest.mark.parametrize('name', BY_VOXEL)
def test_decoders_per_voxel_agree_with_their_formula(case, name):
    golden, activations, classes = load(case)
    result = decode(activations, classes, BY_LIBIFT[name], [2]).saliency[0].numpy()
    safe = golden['float32_safe']
    np.testing.assert_allclose(result[safe], golden[f'{BY_VOXEL[name]}_saliency'][safe], atol=1e-4)


@pytest.mark.parametrize('case', ['decoders2d', 'decoders3d'])
def test_the_weights_of_every_voxel_agree(case):
    golden, activations, classes = load(case)
    result = decode(activations, classes, BY_LIBIFT['probability'], [2]).weights[0].numpy()
    safe = golden['float32_safe']
    np.testing.assert_array_equal(result[:, safe], golden['probability_weights'][:, safe])


@pytest.mark.parametrize('scaling', ['max', 'minmax'])
@pytest.mark.parametrize('name', BY_CHANNEL)
def test_offsets_and_dead_channels_are_decoded_by_formula(name, scaling):
    golden, activations, classes = load('offset_and_dead2d')
    scaled = scale_channels(activations, scaling == 'minmax', channel_ranges(activations))
    contents = channel_contents(scaled, histogram=True, likeness=True)
    whole = Whole(scaled.flatten(1).amax(dim=1) > 0, contents)
    is_object = torch.from_numpy(classes == 2)
    result = FUNCTIONS[name](scaled, is_object, DecoderSettings(name), whole)
    expected = f'{scaling}_{BY_CHANNEL[name]}'
    np.testing.assert_allclose(result.saliency[0], golden[f'{expected}_saliency'], atol=1e-4)
    alive = activations.flatten(1).amax(dim=1).numpy() > 0
    assert not alive.all()
    np.testing.assert_array_equal(result.weights[alive], golden[f'{expected}_weights'][alive])
    assert not result.weights[~alive].any()


@pytest.mark.parametrize('name', BY_CHANNEL)
def test_decoders_per_channel_stretch_channels_from_their_minimum(name):
    golden, activations, classes = load('offset_and_dead2d')
    result = decode(activations, classes, DecoderSettings(name), [2]).saliency[0]
    expected = golden[f'minmax_{BY_CHANNEL[name]}_saliency']
    np.testing.assert_allclose(result, expected, atol=1e-4)


@pytest.mark.parametrize('name', BY_VOXEL)
def test_each_object_is_decoded_against_all_other_classes(name):
    golden, activations, classes = load('multiclass2d')
    result = decode(activations, classes, BY_LIBIFT[name], [2, 3, 4]).saliency.numpy()
    assert result.shape == (3, 22, 26)
    safe = golden['float32_safe']
    np.testing.assert_allclose(result[safe], golden[f'{BY_VOXEL[name]}_saliency'][safe], atol=1e-4)


def mean_based_by_loops(activations, is_object):
    """The rule per voxel, with a weight for every channel."""
    scaled = (
        activations
        / np.maximum(activations.reshape(len(activations), -1).max(axis=1), 1e-30)[
            (slice(None), *(None,) * (activations.ndim - 1))
        ]
    )
    result = np.zeros(activations.shape[1:])
    for voxel in np.ndindex(result.shape):
        window = (slice(None), *(slice(max(0, v - 1), v + 2) for v in voxel))
        sums = scaled[window].reshape(len(scaled), -1).sum(axis=1)
        own, other = sums[is_object].mean(), sums[~is_object].mean()
        if abs(own - other) < 1e-6:
            result[voxel] = np.nan
            continue
        weights = np.where(is_object, own > other, -1.0 * (own < other))
        result[voxel] = max(0, (weights * scaled[(slice(None), *voxel)]).sum())
    return result


@settings(max_examples=30, deadline=None)
@given(
    st.integers(2, 3).flatmap(
        lambda ndim: hnp.arrays(
            np.float32,
            st.tuples(st.just(5), *[st.integers(1, 7 if ndim == 2 else 4)] * ndim),
            elements=st.integers(0, 16).map(lambda n: n / 16),
        )
    ),
    st.integers(1, 4),
)
def test_the_closed_form_of_the_mean_decoder_equals_its_rule(activations, objects):
    is_object = np.arange(5) < objects
    result = decode(
        torch.from_numpy(activations), is_object + 1, DecoderSettings('mean'), [2]
    ).saliency[0]
    expected = mean_based_by_loops(activations.astype(np.float64), is_object)
    decided = ~np.isnan(expected)
    np.testing.assert_allclose(result.numpy()[decided], expected[decided], atol=1e-5)


def test_the_balanced_decoder_compares_class_means():
    activations = torch.eye(4).reshape(4, 2, 2)
    classes = np.array([2, 1, 1, 1])
    weights = decode(
        activations, classes, DecoderSettings('label_balanced', ratio=0.5), [2]
    ).weights[0]
    torch.testing.assert_close(weights, torch.tensor([1, -0.5 / 3, -0.5 / 3, -0.5 / 3]))


def test_manual_weights_are_used_as_given():
    activations = torch.tensor([[[0.0, 2.0]], [[4.0, 0.0]], [[0.0, 0.0]]])
    chosen = DecoderSettings('manual', weights=(0.5, -1, 7))
    result = decode(activations, np.array([0, 0, 0]), chosen, [2])
    assert result.saliency.tolist() == [[[0, 0.5]]]
    assert result.weights.tolist() == [[0.5, -1, 0]]


@pytest.mark.parametrize('weights', [(1.0,), (1.0, 2.0, 3.0)])
def test_manual_weights_must_match_the_channels(weights):
    with pytest.raises(DecoderError, match=f'{len(weights)} weights .* for 2 channels'):
        decode(torch.ones(2, 3, 3), [1, 2], DecoderSettings('manual', weights=weights), [2])


@pytest.mark.parametrize('name', WITH_LABELS)
@pytest.mark.parametrize(('classes', 'word'), [([1, 1], 'no'), ([2, 2], 'every')])
def test_a_class_without_kernels_gives_a_clear_error(name, classes, word):
    with pytest.raises(DecoderError, match=f'{word} kernel .* class 2.*use the decoder tristate'):
        decode(torch.ones(2, 3, 3), np.array(classes), DecoderSettings(name), [2])


@pytest.mark.parametrize('name', sorted(set(FUNCTIONS) - set(WITH_LABELS)))
def test_decoders_without_labels_need_no_class(name):
    chosen = DecoderSettings(name, weights=(1.0, 0.5))
    result = decode(torch.rand(2, 5, 5), np.array([0, 0]), chosen, [2])
    assert result.saliency.shape == (1, 5, 5)


channels = st.integers(2, 3).flatmap(
    lambda ndim: hnp.arrays(
        np.float32,
        st.tuples(st.integers(2, 6), *[st.integers(1, 6)] * ndim),
        elements=st.one_of(st.sampled_from([0.0, 0.0, 1.0]), st.floats(0, 2.0**20, width=32)),
    )
)


@pytest.mark.parametrize('name', FUNCTIONS)
@settings(max_examples=25, deadline=None)
@given(activations=channels)
def test_saliency_is_finite_and_not_negative(name, activations):
    count = len(activations)
    chosen = DecoderSettings(name, weights=tuple(np.linspace(-1, 1, count)))
    classes = np.arange(count) % 2 + 1
    result = decode(torch.from_numpy(activations), classes, chosen, [2])
    assert result.saliency.shape == (1, *activations.shape[1:])
    assert result.saliency.dtype == torch.float32
    assert torch.isfinite(result.saliency).all()
    assert (result.saliency >= 0).all()
    if result.weights is not None:
        assert torch.isfinite(result.weights.double()).all()


@pytest.mark.parametrize('name', FUNCTIONS)
def test_channels_that_are_all_zero_give_no_saliency(name):
    chosen = DecoderSettings(name, weights=(1, 1, 1, 1))
    result = decode(torch.zeros(4, 5, 6), np.array([1, 2, 1, 2]), chosen, [2])
    assert not result.saliency.any()


@pytest.mark.parametrize('name', FUNCTIONS)
def test_negative_activations_count_as_zero(name):
    _, activations, classes = load('decoders2d')
    signed = activations - 0.1 * activations.flatten(1).amax(dim=1)[:, None, None]
    chosen = DecoderSettings(name, weights=tuple(np.linspace(-1, 1, len(classes))))
    expected = decode(signed.clamp(min=0), classes, chosen, [2]).saliency
    torch.testing.assert_close(decode(signed, classes, chosen, [2]).saliency, expected)


@pytest.mark.parametrize('name', FUNCTIONS)
def test_decoding_leaves_the_activations_as_they_are(name):
    activations = torch.rand(4, 6, 6)
    before = activations.clone()
    decode(activations, [1, 2, 1, 2], DecoderSettings(name, weights=(1, 1, 1, 1)), [2])
    assert torch.equal(activations, before)


@pytest.mark.parametrize('stretched', [False, True])
def test_channels_are_scaled_to_one(stretched):
    activations = torch.tensor([[[2.0, 8.0]], [[0.0, 0.0]], [[5.0, 5.0]]])
    result = scale_channels(activations, stretched, channel_ranges(activations))[:, 0].tolist()
    assert result[0] == ([0, 1] if stretched else [0.25, 1])
    assert result[1] == [0, 0]
    assert result[2] == ([0, 0] if stretched else [1, 1])


def test_an_unknown_decoder_lists_those_there_are():
    with pytest.raises(DecoderError, match=', '.join(DECODERS)):
        DecoderSettings('median')


@pytest.mark.parametrize('block', [-1, 1.5, '2'])
def test_an_impossible_block_gives_a_clear_error(block):
    with pytest.raises(DecoderError, match='or 0 for the last'):
        DecoderSettings(block=block)


def test_channels_and_classes_must_match():
    with pytest.raises(DecoderError, match='3 channels came with 2 classes'):
        decode(torch.ones(3, 4, 4), np.array([1, 2]), DecoderSettings(), [2])


def test_sums_and_means_of_channels_are_compared_as_asked():
    # Two object kernels of 0.4 each against one of 0.6: more in the sum, less in the mean.
    activations = torch.zeros(3, 3, 9)
    activations[:2, :, :4], activations[2, :, :4] = 0.4, 0.6
    activations[:, 1, 8] = 1.0
    classes = np.array([2, 2, 1])
    by_mean, by_sum = (
        decode(activations, classes, DecoderSettings(by_sum=chosen), [2]).saliency[0, 1, 1]
        for chosen in (False, True)
    )
    assert by_mean == 0
    assert by_sum == pytest.approx(0.8)


def probability_by_loops(activations, is_object, full_disk):
    """Mean and variance of each class around a voxel; a channel counts in its own class."""
    scaled = activations / activations.reshape(len(activations), -1).max(axis=1)[:, None, None]
    weights = np.zeros(scaled.shape)
    for y, x in np.ndindex(scaled.shape[1:]):
        window = scaled[:, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].reshape(len(scaled), -1)
        distances = []
        for member in (is_object, ~is_object):
            count = member.sum() * (9 if full_disk else window.shape[1])
            mean = window[member].sum() / count
            variance = ((window[member] - mean) ** 2).sum() / count
            distances.append((scaled[:, y, x] - mean) ** 2 / variance)
        nearer = distances[0] < distances[1]
        weights[:, y, x] = np.where(is_object, nearer, -1.0 * (distances[1] < distances[0]))
    return weights


@pytest.mark.parametrize('full_disk', [False, True])
def test_the_disk_of_the_probability_decoder_ends_at_the_border_or_not(full_disk):
    activations = np.random.default_rng(0).random((5, 7, 8))
    is_object = np.arange(5) < 2
    chosen = DecoderSettings('probability', full_disk=full_disk)
    result = decode(torch.from_numpy(activations), is_object + 1, chosen, [2]).weights[0]
    expected = probability_by_loops(activations, is_object, full_disk)
    np.testing.assert_array_equal(result, expected)
    other = probability_by_loops(activations, is_object, not full_disk)
    assert (other != expected).any()
    np.testing.assert_array_equal(other[:, 1:-1, 1:-1], expected[:, 1:-1, 1:-1])


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        ({'ratio': float('nan')}, 'ratio is nan; expected a finite number'),
        ({'band': 'x'}, "band is 'x'; expected a finite number"),
        ({'name': 'manual', 'weights': (1.0, float('inf'))}, 'weights is inf'),
        ({'name': 'manual'}, 'has no weights; give one for each kernel'),
    ],
)
def test_settings_that_are_no_finite_numbers_are_refused(options, words):
    with pytest.raises(DecoderError, match=words):
        DecoderSettings(**options)


@pytest.mark.parametrize('name', sorted(set(FUNCTIONS) - set(WITH_LABELS)))
def test_decoders_without_labels_refuse_several_classes_of_objects(name):
    chosen = DecoderSettings(name, weights=(1.0, 1.0, 1.0))
    with pytest.raises(DecoderError, match='cannot tell the object classes .2, 3. apart'):
        check_decoder(chosen, np.array([1, 2, 3]), [2, 3])
