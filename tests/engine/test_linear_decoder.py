"""A linear decoder: numbers by hand, edits that keep its meaning, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_flim.engine.decoder_fitting import fit, linear_decoder
from napari_flim.engine.linear_decoder import LinearDecoder
from napari_flim.errors import DecoderError, LearningError

DECODER = LinearDecoder(
    classes=(1, 2),
    blocks=(1, 2),
    counts=(2, 1),
    scales=(),
    weights=((0.0, 0.0, 0.0), (1.0, -2.0, 0.5)),
    bias=(0.0, 0.25),
    means=(1.0, 2.0, 3.0),
    deviations=(0.5, 1.0, 2.0),
)


def channels(seed: int = 0) -> list[torch.Tensor]:
    stream = torch.Generator().manual_seed(seed)
    return [torch.rand(count, 4, 5, generator=stream) for count in (2, 1)]


def salient(decoder: LinearDecoder, maps: list[torch.Tensor]) -> np.ndarray:
    base, strides = torch.zeros(1, 4, 5), [(1, 1), (1, 1)]
    return decoder.saliency(base, maps, strides, (1, 1), (2,))[0].numpy()


def test_saliency_is_the_logistic_function_of_the_weighted_sum() -> None:
    first, second = (one.numpy() for one in channels())
    odds = 0.25 + first[0] - 2 * first[1] + 0.5 * second[0]
    np.testing.assert_allclose(salient(DECODER, channels()), 1 / (1 + np.exp(-odds)), rtol=1e-6)


def test_a_kernel_that_is_dropped_counts_as_if_its_channel_were_at_its_mean() -> None:
    at_mean = channels()
    at_mean[0][1] = 2.0
    dropped = [at_mean[0][:1], at_mean[1]]
    np.testing.assert_allclose(
        salient(DECODER.without(1, [1]), dropped), salient(DECODER, at_mean), rtol=1e-6
    )


def test_a_weight_set_by_hand_is_per_deviation_and_neutral_at_the_mean() -> None:
    changed = DECODER.with_weights(2, [(0, 3.0)])
    assert changed.weights[1] == (1.0, -2.0, 1.5)
    at_mean = channels()
    at_mean[1][0] = 3.0
    np.testing.assert_allclose(salient(changed, at_mean), salient(DECODER, at_mean), rtol=1e-6)


def test_a_block_that_is_not_read_has_no_columns_and_no_weights_by_hand() -> None:
    assert len(DECODER.columns(3)) == 0
    assert DECODER.with_weights(3, [(0, 1.0)]) is DECODER


def test_a_class_that_was_not_marked_is_nowhere_salient() -> None:
    maps = DECODER.saliency(torch.zeros(1, 4, 5), channels(), [(1, 1)] * 2, (1, 1), (2, 3))
    assert maps[0].all()
    assert not maps[1].any()


def test_other_channels_than_were_learned_are_refused() -> None:
    maps = [torch.zeros(3, 4, 5), torch.zeros(1, 4, 5)]
    with pytest.raises(DecoderError, match=r'learned for \(0, 2, 1\) channels .* are \(0, 3, 1\)'):
        salient(DECODER, maps)


def test_numbers_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(DecoderError, match='learn the model again'):
        LinearDecoder((1, 2), (1,), (1,), (), ((0.0,), (1.0,)), (0.0,), (0.0,), (1.0,))


def test_a_weight_by_hand_for_a_kernel_that_does_not_exist_is_refused() -> None:
    with pytest.raises(DecoderError, match='Kernel 2 was given a weight by hand, but block 1 has'):
        DECODER.with_weights(1, [(2, 1.0)])


def test_fitting_finds_the_weights_that_drew_the_classes() -> None:
    stream = np.random.default_rng(0)
    values = stream.normal(size=(4000, 3)).astype(np.float32)
    odds = 1.5 * values[:, 0] - values[:, 1] + 0.5
    classes = np.where(stream.random(4000) < 1 / (1 + np.exp(-odds)), 2, 1)
    fitted = fit(values, classes, np.ones(4000), 1e3)
    np.testing.assert_allclose(fitted.weights[1], [1.5, -1.0, 0.0], atol=0.12)
    # Classes count alike, whatever their share of the voxels.
    share = (classes == 2).mean()
    np.testing.assert_allclose(fitted.bias[1], 0.5 - np.log(share / (1 - share)), atol=0.12)
    decoder = linear_decoder(fitted, (1,), (3,), ())
    maps = torch.from_numpy(values.T.reshape(3, 40, 100).copy())
    shown = decoder.saliency(torch.zeros(1, 40, 100), [maps], [(1, 1)], (1, 1), (2,))
    np.testing.assert_allclose(shown[0].ravel(), fitted.probabilities(values)[:, 1], atol=1e-5)


def test_a_channel_that_is_constant_on_the_markers_gets_no_weight() -> None:
    values = np.array([[0.0, 7.0], [1.0, 7.0], [2.0, 7.0], [3.0, 7.0]], dtype=np.float32)
    fitted = fit(values, np.array([1, 1, 2, 2]), np.ones(4), 1.0)
    assert fitted.weights[1][1] == 0
    assert fitted.weights[1][0] > 0


def test_three_classes_share_a_probability_of_one() -> None:
    values = np.array([[0.0], [1.0], [5.0], [6.0], [10.0], [11.0]], dtype=np.float32)
    fitted = fit(values, np.array([1, 1, 2, 2, 4, 4]), np.ones(6), 10.0)
    shares = fitted.probabilities(values)
    assert fitted.classes == (1, 2, 4)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert shares.argmax(axis=1).tolist() == [0, 0, 1, 1, 2, 2]


def test_one_class_alone_is_refused() -> None:
    with pytest.raises(LearningError, match='only class 2 is marked'):
        fit(np.zeros((3, 1), np.float32), np.full(3, 2), np.ones(3), 1.0)
