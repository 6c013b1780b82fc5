"""Kernels switched off, weights set by hand, and the model they lead to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_flim.engine.decoder_settings import DecoderSettings
from napari_flim.engine.image import read_array
from napari_flim.engine.kernels import drop_kernels
from napari_flim.engine.markers import MarkerSet
from napari_flim.errors import KernelError
from napari_flim.linear_training import with_linear
from napari_flim.session.kernel_edits import (
    KernelEdits,
    edited_model,
    kept_places,
    next_weight,
    seen_model,
)

LABEL = DecoderSettings('label')


def assert_same_blocks(some, others) -> None:
    for one, other in zip(some, others, strict=True):
        assert one.spec == other.spec
        np.testing.assert_array_equal(one.bank.weights, other.bank.weights)
        np.testing.assert_array_equal(one.bank.classes, other.bank.classes)
        np.testing.assert_array_equal(one.normalization.mean, other.normalization.mean)


kernels = st.sets(st.tuples(st.integers(1, 3), st.integers(0, 5)), max_size=8)


@given(kernels, kernels)
def test_switching_off_and_on_again_leaves_the_others_as_they_were(some, others) -> None:
    edits = KernelEdits().switched(some, False)
    assert edits.off == some
    assert edits.switched(others, False).switched(others, True).off == some - others
    assert edits.last_block == max((block for block, _ in some), default=0)
    assert bool(edits) == bool(some)
    assert sorted((b, k) for b in (1, 2, 3) for k in edits.off_in(b)) == sorted(some)


@given(kernels, kernels, st.sampled_from([1.0, 0.0, -1.0]))
def test_weights_are_set_and_left_to_the_decoder_again(some, others, weight: float) -> None:
    edits = KernelEdits().weighted(some, weight)
    assert edits.weights == dict.fromkeys(some, weight)
    assert edits.weighted(others, None).weights == dict.fromkeys(some - others, weight)


def test_four_clicks_lead_through_every_weight() -> None:
    weights = [None]
    for _ in range(4):
        weights.append(next_weight(weights[-1]))
    assert weights == [None, 1.0, 0.0, -1.0, None]


@given(st.integers(1, 12), st.sets(st.integers(0, 11)))
def test_kernels_that_stay_close_up(count: int, off: set[int]) -> None:
    places = kept_places(count, off)
    assert set(places) == set(range(count)) - off
    assert [places[kernel] for kernel in sorted(places)] == list(range(len(places)))


@pytest.mark.parametrize('block', [1, 2, 3])
def test_a_kernel_that_is_off_is_a_kernel_that_was_dropped(learned, block: int) -> None:
    model = learned.model
    off = KernelEdits(off=frozenset({(block, 0), (block, 2)}))
    edited = edited_model(model, off, LABEL)
    assert_same_blocks(edited.blocks, drop_kernels(model.blocks, block, [0, 2]))
    assert len(edited.encoder.blocks) == 3
    for number in range(block - 1):
        assert edited.blocks[number] is model.blocks[number]


def test_kernels_can_be_off_in_every_block_at_once(learned) -> None:
    off = KernelEdits(off=frozenset({(1, 1), (2, 0), (2, 3), (3, 2)}))
    expected = learned.model.blocks
    for block, gone in ((1, [1]), (2, [0, 3]), (3, [2])):
        expected = drop_kernels(expected, block, gone)
    assert_same_blocks(edited_model(learned.model, off, LABEL).blocks, expected)


def test_without_edits_the_blocks_stay_the_same_objects(learned) -> None:
    assert edited_model(learned.model, KernelEdits(), LABEL).blocks is learned.model.blocks


def test_a_block_without_kernels_is_refused(learned) -> None:
    every = KernelEdits().switched(((2, kernel) for kernel in range(5)), False)
    with pytest.raises(KernelError, match='No kernel would be left; keep at least one'):
        edited_model(learned.model, every, LABEL)


def test_weights_follow_their_kernels_and_only_those_of_the_decoded_block_count(learned) -> None:
    edits = KernelEdits(
        off=frozenset({(3, 1), (2, 0)}),
        weights={(3, 0): 1.0, (3, 1): -1.0, (3, 3): 0.0, (2, 4): -1.0, (1, 0): 1.0},
    )
    last = edited_model(learned.model, edits, LABEL).decoder
    assert (last.block, last.overrides) == (0, ((0, 1.0), (2, 0.0)))
    second = edited_model(learned.model, edits, replace(LABEL, block=2)).decoder
    assert (second.block, second.overrides) == (2, ((3, -1.0),))


def test_a_decoder_of_a_block_that_was_not_learned_reads_the_last_one(learned) -> None:
    for block in (0, 3, 7):
        decoder = edited_model(learned.model, KernelEdits(), replace(LABEL, block=block)).decoder
        assert decoder == LABEL


@pytest.mark.parametrize('decoder', ['mean', 'label', 'tristate', 'attention', 'probability'])
@pytest.mark.parametrize('block', [1, 2])
def test_what_is_seen_has_the_saliency_of_what_is_saved(learned, scene, decoder, block) -> None:
    model = learned.model
    classes = model.blocks[block - 1].bank.classes
    commonest = int(np.flatnonzero(classes == np.bincount(classes).argmax())[0])
    edits = KernelEdits(off=frozenset({(block, commonest)})).weighted([(block, 2)], -1.0)
    chosen = DecoderSettings(decoder, block)
    seen, saved = (made(model, edits, chosen) for made in (seen_model, edited_model))
    # A convolution with one kernel less may add in another order.
    np.testing.assert_allclose(seen.saliency(scene.image), saved.saliency(scene.image), atol=1e-6)
    assert seen.blocks[block - 1] is model.blocks[block - 1]


@pytest.mark.parametrize('block', [1, 2])
def test_a_linear_decoder_does_without_kernels_that_are_off(learned, scene, block: int) -> None:
    markers = MarkerSet.from_labels(scene.markers)
    model = with_linear(learned.model, [read_array(scene.image)], [markers])
    edits = KernelEdits(off=frozenset({(block, 1)})).weighted([(2, 0)], -1.0)
    seen, saved = (made(model, edits, model.decoder) for made in (seen_model, edited_model))
    np.testing.assert_allclose(seen.saliency(scene.image), saved.saliency(scene.image), atol=1e-6)
    assert abs(seen.saliency(scene.image) - model.saliency(scene.image)).max() > 1e-4
