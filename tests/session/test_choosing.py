"""Choosing for a session: what is tried, what follows for the settings, and how it is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from napari_flim.choosing import Candidate, Choice, Tried
from napari_flim.delineation.changes import with_changes
from napari_flim.engine.architecture import preset
from napari_flim.engine.decoder_settings import DecoderSettings
from napari_flim.engine.preprocessing import InputTransform
from napari_flim.session.choosing import Chosen, plain_input, with_choice
from napari_flim.session.session import Session
from napari_flim.session.settings import Settings

PLAIN = Candidate('wide', preset('wide'), False, 'linear')
SCALES = Candidate('small', preset('small'), True, 'mean')


def tried(candidate: Candidate, error: float | None) -> Tried:
    return Tried(
        candidate=candidate,
        agreement=0.934,
        error=error,
        surprise=0.04123,
        of_markers=np.zeros(2),
        classes=np.array([1, 2]),
        confusion=np.eye(2),
        seconds=1.0,
    )


def choice(winner: Candidate, *of: Tried) -> Choice:
    return Choice(of, winner, 'It was best.', (1, 2), 'markers')


def test_the_winner_brings_its_blocks_its_input_and_its_decoder() -> None:
    before = Settings(decoder=DecoderSettings('hybrid', block=2, band=2.0))
    after = with_choice(before, choice(SCALES))
    assert after.architecture == preset('small')
    assert after.transform == InputTransform(kind='multiscale')
    assert after.decoder == DecoderSettings('mean')


@pytest.mark.parametrize(('kind', 'then'), [('multiscale', 'auto'), ('scaled', 'scaled')])
def test_a_plain_winner_reads_the_input_that_was_chosen(kind: Any, then: str) -> None:
    before = Settings(transform=InputTransform(kind=kind))
    assert with_choice(before, choice(PLAIN)).transform.kind == then


def test_other_settings_stay() -> None:
    before = Settings(fixed_ranges=True, sizes_from='chosen')
    before = replace(before, delineation=with_changes(before.delineation, method='watershed'))
    after = with_choice(before, choice(PLAIN))
    assert (after.fixed_ranges, after.sizes_from, after.options) == (True, 'chosen', before.options)
    assert after.delineation.method == 'watershed'


def test_the_threshold_is_that_of_probabilities_for_linear_decoders_alone() -> None:
    linear = with_choice(Settings(decoder=DecoderSettings('mean')), choice(PLAIN))
    assert linear.delineation.seeds.threshold == 0.5
    mean = with_choice(linear, choice(SCALES))
    assert mean.delineation.seeds.threshold is None


def test_a_threshold_of_the_user_stays() -> None:
    mean = Settings(decoder=DecoderSettings('mean'))
    before = replace(mean, delineation=with_changes(mean.delineation, threshold=0.8))
    assert with_choice(before, choice(PLAIN)).delineation.seeds.threshold == 0.8


def test_a_table_gives_agreement_with_its_error_and_names_the_winner() -> None:
    chosen = Chosen(choice(SCALES, tried(PLAIN, None), tried(SCALES, 0.021)), '')
    first, second = chosen.rows()
    assert (first.configuration, first.agreement, first.is_winner) == (
        'wide, linear', '0.934', False
    )  # fmt: skip
    assert (second.agreement, second.error, second.is_winner) == ('0.934 ± 0.021', '0.0412', True)
    assert chosen.words() == 'Chosen of 2 that were tried: small, multi-scale input, mean.'


def test_where_nothing_was_compared_the_reason_is_said() -> None:
    assert Chosen(choice(PLAIN), '').words() == 'Chosen: wide, linear. It was best.'


def test_a_choice_is_as_old_as_its_markers() -> None:
    assert Chosen(choice(PLAIN), 'other markers').markers_changed(Session())
    assert not Chosen(choice(PLAIN), '').markers_changed(Session())


def test_inputs_that_show_no_scales_are_read_as_they_are() -> None:
    window = InputTransform(kind='window', window=(0.0, 9.0))
    assert plain_input(window) is window
