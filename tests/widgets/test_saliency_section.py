"""Decoder, block and opacity."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from napari_flim.widgets.saliency_section import SaliencySection


@pytest.fixture
def section(qtbot: QtBot, desk: Any, scene: Any) -> SaliencySection:
    desk.open(scene)
    widget = SaliencySection(desk.controller)
    qtbot.addWidget(widget)
    widget.show()
    return widget


def choose(section: SaliencySection, name: str) -> None:
    place = section.decoder.findData(name)
    section.decoder.setCurrentIndex(place)
    section._on_decoder_activated(place)


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
    section._on_block_activated(1)
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
    assert section.decoder.currentData() == 'mean'


def test_the_slider_sets_the_opacity_of_the_saliency(section: SaliencySection, desk: Any) -> None:
    section.opacity.setValue(25)
    assert desk.viewer.layers['cells saliency'].opacity == 0.25
