"""Preferences: what the manifest offers, what is read, and what the engine gets."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

import napari_flim
from napari_flim.bridge.preferences import (
    Preferences,
    memory_budget,
    read_preferences,
    torch_device,
    use_threads,
)
from napari_flim.errors import FlimError

MANIFEST = Path(napari_flim.__file__).with_name('napari.yaml')


@pytest.fixture
def registered(npe2pm: Any, plugin_settings: None) -> Iterator[None]:
    with npe2pm.tmp_plugin(manifest=str(MANIFEST)):
        yield


@pytest.mark.usefixtures('registered')
def test_the_defaults_of_the_manifest_are_those_of_the_code() -> None:
    from napari.settings import get_plugin_settings

    assert get_plugin_settings('napari-flim').compute.memory_gb == 0
    assert read_preferences() == Preferences()


@pytest.mark.usefixtures('registered')
def test_what_the_user_sets_is_read_at_once() -> None:
    from napari.settings import get_plugin_settings

    settings = get_plugin_settings('napari-flim')
    settings.compute.device = 'cpu'
    settings.compute.threads = 3
    settings.compute.memory_gb = 1.5
    settings.live.delay_ms = 400
    assert read_preferences() == Preferences('cpu', 3, 1.5, 400)


@pytest.mark.usefixtures('registered')
@pytest.mark.parametrize(
    ('page', 'name', 'value'),
    [
        ('compute', 'device', 'tpu'),
        ('compute', 'threads', -1),
        ('compute', 'threads', 65),
        ('compute', 'memory_gb', -0.5),
        ('live', 'delay_ms', 49),
        ('live', 'delay_ms', 5001),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(page: str, name: str, value: object) -> None:
    from napari.settings import get_plugin_settings

    with pytest.raises(ValueError, match=name):
        setattr(getattr(get_plugin_settings('napari-flim'), page), name, value)
    assert read_preferences() == Preferences()


def test_without_the_plugin_in_napari_the_defaults_hold(npe2pm: Any, plugin_settings: None) -> None:
    assert 'napari-flim' not in npe2pm
    assert read_preferences() == Preferences()


def test_memory_is_what_the_user_names_or_a_quarter_of_what_is_free() -> None:
    assert memory_budget(Preferences(memory_gb=2)) == 2 * 1024**3
    free = psutil.virtual_memory().available
    assert memory_budget(Preferences()) == pytest.approx(free / 4, rel=0.2)


@pytest.mark.parametrize(
    ('cuda', 'mps', 'chosen'),
    [(True, False, 'cuda'), (False, True, 'mps'), (True, True, 'cuda'), (False, False, 'cpu')],
)
def test_the_automatic_device_is_the_fastest_there_is(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, chosen: str
) -> None:
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, 'is_available', lambda: mps)
    assert torch_device(Preferences()) == chosen
    assert torch_device(Preferences(device='cpu')) == 'cpu'


def test_a_device_that_is_not_there_is_refused_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(torch.backends.mps, 'is_available', lambda: False)
    with pytest.raises(FlimError, match='\'cuda\' is set .* only cpu here; choose "auto"'):
        torch_device(Preferences(device='cuda'))


def test_threads_can_be_set_and_given_back_to_torch() -> None:
    def number_of_threads(preferences: Preferences) -> int:
        use_threads(preferences)
        return torch.get_num_threads()

    chosen_by_torch = torch.get_num_threads()
    with ThreadPoolExecutor(max_workers=1) as worker:
        asked = [Preferences(threads=3), Preferences(threads=1), Preferences()]
        assert list(worker.map(number_of_threads, asked)) == [3, 1, chosen_by_torch]
