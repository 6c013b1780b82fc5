"""Images larger than memory: peak memory and time, beside their targets.

    python benchmarks/memory.py [--quick] [--sides 512 ...] [--json FILE] [--markdown FILE]

Volumes and slides are generated in a temporary folder (about 2 GB), every measurement is taken in
a process of its own, `large.py`. This process imports nothing heavy: on Linux a new process
inherits the peak memory of the one that started it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from common import add_output_options, markdown, publish

LARGE = Path(__file__).with_name('large.py')
THREADS = '2'
GB = 10**9


@dataclass(frozen=True, slots=True)
class Case:
    """One image.

    Attributes
    ----------
    kind : str
        volume or slide.
    side : int
        Voxels along an axis.
    memory : int
        Budget in bytes, for the whole process.
    """

    kind: str
    side: int
    memory: int

    @property
    def name(self) -> str:
        """The image in words."""
        return f'{self.side}^3 uint16' if self.kind == 'volume' else f'{self.side}^2 RGB'


CASES = [
    Case('volume', 128, GB),
    Case('volume', 192, GB),
    Case('volume', 256, GB),
    Case('volume', 384, 2 * GB),
    Case('volume', 512, 2 * GB),
    Case('slide', 2500, GB),
    Case('slide', 5000, GB),
    Case('slide', 10000, GB),
    Case('slide', 20000, 3 * GB // 2),
]
QUICK = 256, 5000
"""Largest sides that are measured with ``--quick``."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One row of the table.

    Attributes
    ----------
    case : Case
    ours, bare : dict
        What `large.py` measured of the whole segmentation, and of torch's own operations.
    """

    case: Case
    ours: dict[str, float]
    bare: dict[str, float]

    @property
    def ratio(self) -> float:
        """Seconds for saliency over those of torch's own operations on the same tiles."""
        return self.ours['saliency'] / self.bare['seconds']

    @property
    def met(self) -> bool:
        """Whether the budget was kept and saliency was fast enough."""
        return self.ours['peak'] <= self.case.memory and self.ratio <= 0.6


def main() -> None:
    """Take every measurement and show one table."""
    parser = argparse.ArgumentParser(description='Images larger than memory.')
    parser.add_argument('--quick', action='store_true', help='only the smaller ones')
    parser.add_argument('--sides', nargs='+', type=int, help='only images with these sides')
    add_output_options(parser)
    options = parser.parse_args()
    chosen = [one for one in CASES if not options.quick or one.side in small(one.kind)]
    measured: list[Measured] = []
    for case in chosen:
        if options.sides and case.side not in options.sides:
            continue
        measured.append(measure(case))
        values = [{**asdict(one), 'ratio': one.ratio, 'met': one.met} for one in measured]
        # The largest take many minutes: what is known is told before.
        publish(markdown([row(one) for one in measured]), values, options)


def small(kind: str) -> range:
    """Sides that are measured with ``--quick``."""
    return range(QUICK[kind == 'slide'] + 1)


def measure(case: Case) -> Measured:
    """Make an image, segment it, and compare."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / 'image.zarr'
        _run('make', case.kind, str(case.side), str(file))
        ours = _run('segment', case.kind, str(file), str(case.memory))
        bare = _run('bare', case.kind, str(file), str(case.memory))
    return Measured(case, ours, bare)


def row(one: Measured) -> dict[str, str]:
    """A row of the table."""
    ours = one.ours
    return {
        'image': one.case.name,
        'tiles': f'{ours["tiles"]:.0f}',
        'peak': f'{ours["peak"] / GB:.2f} GB',
        'budget': f'{one.case.memory / GB:g} GB',
        'saliency': f'{ours["saliency"]:.0f} s',
        'bare torch': f'{one.bare["seconds"]:.0f} s',
        'ratio (<= 0.6)': f'{one.ratio:.2f}x',
        'all': f'{ours["seconds"]:.0f} s',
        'per million voxels': f'{1e9 * ours["seconds"] / ours["voxels"]:.0f} ms',
        'objects': f'{ours["objects"]:.0f}',
        'met': 'yes' if one.met else 'NO',
    }


def _run(*arguments: str) -> Any:
    environment = {**os.environ, 'OMP_NUM_THREADS': THREADS, 'OPENBLAS_NUM_THREADS': THREADS}
    done = subprocess.run(
        [sys.executable, str(LARGE), *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == '__main__':
    main()
