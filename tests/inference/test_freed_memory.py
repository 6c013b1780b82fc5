"""What a tile has freed goes back to the system."""

from __future__ import annotations

import sys

import pytest

from napari_flim.inference.freed_memory import tidily
from napari_flim.inference.tiles import tiles

KEPT = """
import ctypes, re
import numpy as np
from napari_flim.inference.freed_memory import tidily
def held():
    return int(re.search(r'VmRSS:\\s+(\\d+)', open('/proc/self/status').read()).group(1))
def work(tile):
    # Many small arrays are freed below one that stays, so the heap cannot shrink from its end.
    parts = [np.ones(8000) for _ in range(2000)]
    return np.ones(8000)
before = held()
kept = [tidily(work, None) if {tidy} else work(None) for _ in range(3)]
print(held() - before)
"""


def test_the_result_of_a_tile_is_that_of_the_function() -> None:
    [tile] = tiles((4, 4), (4, 4), (0, 0), (1, 1))
    assert tidily(lambda one: one.core, tile) is tile.core


@pytest.mark.skipif(sys.platform != 'linux', reason='only glibc keeps what is freed')
def test_less_memory_is_held_after_tiles_than_without_giving_back() -> None:
    import subprocess

    tidy, kept = (
        int(
            subprocess.run(
                [sys.executable, '-c', KEPT.format(tidy=flag)],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        )
        for flag in (True, False)
    )
    assert tidy < kept / 2
