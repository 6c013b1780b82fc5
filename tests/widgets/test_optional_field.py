"""A number that may be left to the program, in the unit of an image."""

from __future__ import annotations

import pytest

from napari_flim.widgets.optional_field import OptionalField


@pytest.fixture
def field(qtbot):
    made = OptionalField('smallest', 'smallest size', 'any')
    qtbot.addWidget(made)
    return made


def test_small_voxels_have_decimals_of_their_own(field):
    field.show_unit('px²', 1)
    field.show_optional(0.000123)
    assert field.text() == '0 px²'
    heard = []
    field.edited.connect(lambda name, value: heard.append(value))
    field.show_unit('mm²', 1e-6)
    field.show_optional(0.000123)
    assert field.text() == '0.000123 mm²'
    field.show_unit('nm²', 250_000)
    field.show_optional(0.25)
    assert field.text() == '0.25 nm²'
    assert heard == []


def test_a_step_from_zero_is_part_of_a_voxel(field):
    field.show_unit('mm', 0.001)
    field.setValue(0)
    field.stepBy(1)
    assert field.value() == pytest.approx(0.0001)
