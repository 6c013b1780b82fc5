"""What the user has set for the whole plugin, on the page that napari makes of the manifest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import psutil

from napari_flim.errors import FlimError
from napari_flim.progress import Job, Progress, Result
from napari_flim.session.words import GIGABYTE

PLUGIN = 'napari-flim'
AUTOMATIC_SHARE = 0.25
"""Part of the free memory that is used when the user names no amount."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """Settings of the computer and of the live preview; the defaults are those of the manifest.

    Attributes
    ----------
    device : {'auto', 'cpu', 'cuda', 'mps'}
        Where to compute.
    threads : int
        Processor threads of one job; 0 leaves it to torch.
    memory_gb : float
        Memory for features in gigabytes of 1024**3 bytes; 0 is a quarter of what is free.
    live_delay_ms : int
        Milliseconds without painting after which the preview is computed.
    """

    device: str = 'auto'
    threads: int = 0
    memory_gb: float = 0.0
    live_delay_ms: int = 250


def read_preferences() -> Preferences:
    """The preferences as they are now; the defaults where napari does not know the plugin."""
    from napari.settings import get_plugin_settings

    try:
        settings = get_plugin_settings(PLUGIN)
    except KeyError:
        return Preferences()
    return Preferences(
        device=settings.compute.device,
        threads=settings.compute.threads,
        memory_gb=settings.compute.memory_gb,
        live_delay_ms=settings.live.delay_ms,
    )


def memory_budget(preferences: Preferences) -> int:
    """Bytes that features may take.

    Examples
    --------
    >>> memory_budget(Preferences(memory_gb=0.5))
    536870912
    """
    if preferences.memory_gb > 0:
        return int(preferences.memory_gb * GIGABYTE)
    return int(AUTOMATIC_SHARE * psutil.virtual_memory().available)


def torch_device(preferences: Preferences) -> str:
    """Name of the device to compute on, as torch calls it.

    'auto' takes a CUDA graphics card, else that of an Apple computer, else the processor.

    Raises
    ------
    FlimError
        If this computer, or its torch, does not have the device.
    """
    import torch

    present = {
        'cuda': torch.cuda.is_available(),
        'mps': torch.backends.mps.is_available(),
        'cpu': True,
    }
    usable = [name for name, is_present in present.items() if is_present]
    if preferences.device == 'auto':
        return usable[0]
    if preferences.device not in usable:
        raise FlimError(
            f'The device {preferences.device!r} is set in the preferences, but torch finds only '
            f'{", ".join(usable)} here; choose "auto" there, or install a torch that supports it.'
        )
    return preferences.device


def use_threads(preferences: Preferences) -> None:
    """Let torch use as many threads as set; call it in the worker, at the start of a job.

    OpenMP keeps the number for every thread apart, so it does not reach from one to another.
    """
    import torch

    automatic = _automatic_threads()
    threads = preferences.threads or automatic
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


@cache
def _automatic_threads() -> int:
    """What torch chose by itself: asked once, before anything is set."""
    import torch

    return torch.get_num_threads()


def on_device(preferences: Preferences, make: Callable[[str], Job[Result]]) -> Job[Result]:
    """A job with torch set up as preferred, all of it in the worker, where importing torch is slow.

    Parameters
    ----------
    preferences : Preferences
    make : callable
        Takes the name of the device and gives the job.
    """
    yield Progress('starting the engine', 0, 1)
    use_threads(preferences)
    return (yield from make(torch_device(preferences)))
