"""Decoder, block and opacity."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt

from napari_flim.engine.decoder_settings import DECODERS, DecoderSettings
from napari_flim.widgets.saliency_section import BY_HAND, TITLES, SaliencySection


@pytest.fixture
def section(qtbot: QtBot, desk: Any, scene: Any) -> SaliencySection:
    desk.open(scene)
    widget = SaliencySection(desk.controller)
    qtbot.addWidget(widget)
    widget.show()
    return widget


def choose(section: SaliencySection, name: str) -> None:
    place = list(TITLES).index(name)
    section.decoder.setCurrentIndex(place)
    section.decoder.activated.emit(place)


def test_another_decoder_changes_the_saliency_at_once(section: SaliencySection, desk: Any) -> None:
    before = desk.saliency()
    choose(section, 'label')
    assert desk.session.settings.decoder.name == 'label'
    model = desk.session.learned.model.with_decoder('label')
    np.testing.assert_array_equal(desk.saliency(), model.saliency(desk.viewer.layers[0].data))
    assert (desk.saliency() != before).any()


def test_another_block_is_decoded_without_learning_again(
    section: SaliencySection, desk: Any
) -> None:
    learned = desk.session.learned
    section.block.setCurrentIndex(1)
    section.block.activated.emit(1)
    assert desk.session.learned is learned
    model = learned.model.with_decoder(block=1)
    np.testing.assert_array_equal(desk.saliency(), model.saliency(desk.viewer.layers[0].data))


def test_only_parameters_of_the_chosen_decoder_are_shown(section: SaliencySection) -> None:
    choose(section, 'label_balanced')
    assert section.ratio.isVisible()
    assert not section.band.isVisible()
    choose(section, 'tristate')
    assert section.band.isVisible()
    assert not section.ratio.isVisible()


def test_a_changed_parameter_changes_the_saliency(section: SaliencySection, desk: Any) -> None:
    choose(section, 'label_balanced')
    before = desk.saliency()
    section.ratio.setValue(3.0)
    assert desk.session.settings.decoder.ratio == 3.0
    assert (desk.saliency() != before).any()


def test_undo_brings_the_decoder_back_in_the_dock(section: SaliencySection, desk: Any) -> None:
    choose(section, 'label')
    desk.session.undo()
    assert section.decoder.currentText() == 'mean per pixel'


def test_the_slider_sets_the_opacity_of_the_saliency(section: SaliencySection, desk: Any) -> None:
    section.opacity.setValue(25)
    assert desk.viewer.layers['cells saliency'].opacity == 0.25


def test_every_decoder_has_a_title_and_a_description() -> None:
    assert set(TITLES) == set(DECODERS)


def test_a_model_with_weights_by_hand_says_so_and_nobody_else_can_choose_them(
    section: SaliencySection, desk: Any
) -> None:
    by_hand = section.decoder.model().item(list(TITLES).index('manual'))
    assert not by_hand.isEnabled() and by_hand.toolTip() == BY_HAND
    count = len(desk.session.learned.model.blocks[-1].bank)
    decoder = DecoderSettings('manual', weights=(1.0,) * count)
    state = desk.session.state
    desk.session.change(
        'a model', replace(state, settings=replace(state.settings, decoder=decoder))
    )
    assert section.decoder.currentText() == 'weights by hand'
    assert by_hand.isEnabled()


def test_a_number_being_typed_counts_when_it_is_done(
    qtbot: QtBot, section: SaliencySection, desk: Any
) -> None:
    choose(section, 'label_balanced')
    section.ratio.setFocus()
    section.ratio.selectAll()
    qtbot.keyClicks(section.ratio, '2.5')
    assert desk.session.settings.decoder.ratio == 1.0
    qtbot.keyClick(section.ratio, Qt.Key.Key_Return)
    assert desk.session.settings.decoder.ratio == 2.5


def test_a_linear_decoder_is_asked_for_and_then_learned_with_the_kernels(
    section: SaliencySection, desk: Any
) -> None:
    choose(section, 'linear')
    assert 'learn the model again' in desk.session.message.text
    assert desk.session.settings.delineation.seeds.threshold == 0.5
    desk.controller.learner.learn_all()
    model = desk.session.learned.model
    assert model.linear is not None
    np.testing.assert_array_equal(desk.saliency(), model.saliency(desk.viewer.layers[0].data))
    choose(section, 'mean')
    assert desk.session.settings.delineation.seeds.threshold is None
