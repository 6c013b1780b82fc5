import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_flim.engine.decoder_functions import FUNCTIONS
from napari_flim.engine.decoder_settings import (
    DECODERS,
    LEFT_OUT,
    DecoderSettings,
    check_decoder,
    counted_classes,
)
from napari_flim.engine.decoders import decode
from napari_flim.errors import DecoderError

WITH_LABELS = [name for name, kind in DECODERS.items() if kind.needs_labels]
WITHOUT_LABELS = [name for name in FUNCTIONS if name not in WITH_LABELS]
CLASSES = np.array([2, 1, 2, 1, 2, 1])
MANUAL = (0.5, -1.0, 2.0, -0.5, 1.0, 0.25)
MOVED = ((2, -0.3), (4, -9.0), (5, 5.0))


def chosen(name, overrides=()):
    return DecoderSettings(name, weights=MANUAL, overrides=tuple(overrides))


def channels(seed=0, shape=(9, 10)):
    """Channels with means far apart, so that decoders by mean have something to tell apart."""
    powers = np.array([1, 1, 1, 1, 1, 40]).reshape(6, 1, 1)
    noise = np.random.default_rng(seed).random((6, *shape)) ** powers
    return torch.from_numpy(noise.astype(np.float32))


def saliency(name, overrides=(), classes=CLASSES, objects=(2,)):
    return decode(channels(), classes, chosen(name, overrides), objects).saliency


def test_every_adaptive_decoder_of_the_table_has_its_function():
    assert list(FUNCTIONS) == [name for name in DECODERS if name != 'linear']


@pytest.mark.parametrize('name', FUNCTIONS)
@settings(max_examples=20, deadline=None)
@given(
    activations=hnp.arrays(
        np.float32, (6, 4, 5), elements=st.integers(0, 16).map(lambda n: n / 16)
    ),
    left_out=st.sets(st.sampled_from([0, 1, 2, 3]), max_size=4),
)
def test_weight_0_is_the_same_as_dropping_the_kernel(name, activations, left_out):
    kept = [i for i in range(6) if i not in left_out]
    found = decode(
        torch.from_numpy(activations), CLASSES, chosen(name, ((i, 0) for i in left_out)), [2]
    )
    expected = decode(
        torch.from_numpy(activations[kept]),
        CLASSES[kept],
        DecoderSettings(name, weights=tuple(MANUAL[i] for i in kept)),
        [2],
    )
    assert torch.equal(found.saliency, expected.saliency)
    if expected.weights is not None:
        assert torch.equal(found.weights[:, kept], expected.weights)
        assert not found.weights[:, sorted(left_out)].any()


@settings(max_examples=30, deadline=None)
@given(
    activations=hnp.arrays(np.float32, (6, 4, 5), elements=st.floats(0, 2.0**10, width=32)),
    classes=hnp.arrays(np.int64, 6, elements=st.integers(0, 3)).filter(
        lambda c: 0 < (c == 2).sum() < 6
    ),
    size=st.floats(0.1, 9),
)
def test_the_automatic_signs_set_by_hand_change_nothing_in_label(activations, classes, size):
    by_hand = tuple((i, size if number == 2 else -size) for i, number in enumerate(classes))
    found, automatic = (
        decode(torch.from_numpy(activations), classes, DecoderSettings('label', overrides=o), [2])
        for o in (by_hand, ())
    )
    assert torch.equal(found.saliency, automatic.saliency)
    assert torch.equal(found.weights, automatic.weights)


@pytest.mark.parametrize('name', WITH_LABELS)
def test_a_sign_moves_a_kernel_to_the_other_side(name):
    assert torch.equal(saliency(name, MOVED), saliency(name, classes=[2, 1, 1, 1, 1, 2]))
    assert not torch.equal(saliency(name, MOVED), saliency(name))


@pytest.mark.parametrize('name', WITHOUT_LABELS)
def test_a_weight_takes_the_place_of_the_automatic_one(name):
    automatic = decode(channels(), CLASSES, chosen(name), [2])
    found = decode(channels(), CLASSES, chosen(name, [(1, 0.75), (4, -2)]), [2])
    expected = automatic.weights[0].clone()
    expected[1], expected[4] = 0.75, -2
    torch.testing.assert_close(found.weights[0], expected)
    manual = DecoderSettings('manual', weights=tuple(expected.tolist()))
    assert torch.equal(found.saliency, decode(channels(), CLASSES, manual, [2]).saliency)


def test_weights_set_by_hand_follow_their_kernel_when_others_are_left_out():
    found = decode(channels(), CLASSES, chosen('manual', [(4, 3.0), (0, 0)]), [2])
    assert found.weights[0].tolist() == [0, -1.0, 2.0, -0.5, 3.0, 0.25]


def test_a_positive_weight_counts_for_the_own_or_the_first_object_class():
    by_hand = DecoderSettings(overrides=((0, 1), (1, 1), (2, -1), (3, 0)))
    counted = counted_classes(by_hand, np.array([4, 1, 3, 3, 3, 0]), [3, 4])
    assert counted.tolist() == [4, 3, 1, LEFT_OUT, 3, 0]


def test_several_classes_of_objects_are_decoded_with_what_their_kernels_count_for():
    classes, objects = np.array([2, 3, 1, 1, 2, 3]), (2, 3)
    found = saliency('mean', [(2, 1), (1, -1)], classes, objects)
    assert torch.equal(found, saliency('mean', (), np.array([2, 1, 2, 1, 2, 3]), objects))


@pytest.mark.parametrize(
    ('overrides', 'words'),
    [
        (((0, 0), (2, 0), (4, -1)), 'no kernel of this block counts for class 2 .*Change these'),
        (((1, 1), (3, 0), (5, 2)), 'every kernel of this block counts for class 2'),
        (((6, 1),), 'Kernel 6 was given a weight by hand, but .* 6 kernels, 0 to 5'),
        (tuple((i, 0) for i in range(6)), 'All 6 kernels .* weight 0'),
    ],
)
def test_weights_that_no_decoder_can_use_give_a_clear_error(overrides, words):
    with pytest.raises(DecoderError, match=words):
        check_decoder(chosen('mean', overrides), CLASSES, [2])


@pytest.mark.parametrize(
    ('overrides', 'words'),
    [
        (((0, 1), (0, 2)), 'Kernel 0 was given two weights'),
        (((-1, 1),), 'pairs of a kernel, from 0'),
        (((True, 1),), 'pairs of a kernel, from 0'),
        (((1, 2, 3),), 'pairs of a kernel, from 0'),
        ((5,), 'pairs of a kernel, from 0'),
        (((2, float('nan')),), 'weight of kernel 2 is nan; expected a finite number'),
        (((2, 'much'),), "weight of kernel 2 is 'much'"),
    ],
)
def test_weights_by_hand_that_mean_nothing_are_refused(overrides, words):
    with pytest.raises(DecoderError, match=words):
        DecoderSettings(overrides=overrides)


def test_numbers_of_numpy_become_plain_numbers():
    by_hand = DecoderSettings(overrides=[[np.int64(3), np.float32(0.5)]])
    assert by_hand == DecoderSettings(overrides=((3, 0.5),))
    assert {type(value) for value in by_hand.overrides[0]} == {int, float}
