"""How fast, and in how much memory: every measurement in a process of its own, beside its target.

    python benchmarks/speed.py [--data FOLDER] [--json FILE] [--markdown FILE]

This process imports nothing heavy: on Linux a new process inherits the peak memory of the one that
started it, which would hide its own.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from common import DATA, add_output_options, markdown, publish

MEASUREMENTS = Path(__file__).with_name('measurements.py')
HELP = 'from napari_flim.cli import main; main()'
THREADS = '2'


@dataclass(frozen=True, slots=True)
class Measured:
    """One row of the table.

    Attributes
    ----------
    what : str
    values : list of float
        Seconds or bytes, one for each repetition.
    bare : list of float
        Seconds of torch's own operations in the same run; empty where there is no such thing.
    limit, limit_ratio : float, optional
        Targets for the median, and for the median divided by that of ``bare``.
    memory : bool
        Whether values are bytes.
    equal : bool, optional
        Whether the result is the same as torch's own.
    """

    what: str
    values: list[float]
    bare: list[float]
    limit: float | None = None
    limit_ratio: float | None = None
    memory: bool = False
    equal: bool | None = None

    @property
    def met(self) -> bool:
        """Whether all targets are met."""
        within = self.limit is None or statistics.median(self.values) < self.limit
        ratio = self.limit_ratio is None or self.ratio <= self.limit_ratio
        return within and ratio and self.equal is not False

    @property
    def ratio(self) -> float:
        """Median divided by the median of torch's own operations."""
        return statistics.median(self.values) / statistics.median(self.bare)


def main() -> None:
    """Take every measurement and show one table."""
    parser = argparse.ArgumentParser(description='Speed and memory, beside their targets.')
    parser.add_argument(
        '--data',
        type=Path,
        default=DATA / 'parasites',
        help='folder with images/, markers/, train.txt, val.txt and arch.json (%(default)s)',
    )
    add_output_options(parser)
    options = parser.parse_args()
    measured = [*_starting(), *_learning(options.data), *_applying(options.data)]
    source = str(options.data)
    if not options.data.is_dir():
        source = f'the bundled tissue sample, since {options.data} does not exist'
    title = f'{THREADS} threads, Python {sys.version.split()[0]}; learning on {source}.'
    table = markdown([_row(one) for one in measured])
    values = [{**asdict(one), 'met': one.met} for one in measured]
    publish(f'{title}\n\n{table}', values, options)


def _starting() -> list[Measured]:
    """Import and help, in a new process each time."""
    imports = [_run('import napari_flim') - _run('pass') for _ in range(5)]
    helps = [_run(HELP, '--help') for _ in range(5)]
    return [
        Measured('import napari_flim', imports, [], limit=0.05),
        Measured('napari-flim --help', helps, [], limit=0.5),
    ]


def _learning(folder: Path) -> list[Measured]:
    timed = [_measure('learning', folder) for _ in range(3)]
    peaks = [_measure('memory', folder)['bytes'][0] for _ in range(3)]
    cold = [one['cold'][0] for one in timed]
    warm = [seconds for one in timed for seconds in one['warm']]
    return [
        Measured('learning, first time in a process', cold, [], limit=0.5),
        Measured('learning, later times', warm, [], limit=0.5),
        Measured('learning, peak memory over the imports', peaks, [], limit=400e6, memory=True),
    ]


def _applying(folder: Path) -> list[Measured]:
    image, volume = _measure('image', folder), _measure('volume', folder)
    pooled = _measure('pooling', folder)
    return [
        Measured('saliency, 400 x 400', image['ours'], image['bare'], 0.035, 0.4),
        Measured('saliency, 128^3', volume['ours'], volume['bare'], limit_ratio=0.35),
        *(
            Measured(f'pooling, {name}', one['ours'], one['bare'], equal=one['equal'])
            for name, one in pooled.items()
        ),
    ]


def _run(code: str, *arguments: str) -> float:
    """Seconds for a new interpreter to run some code."""
    start = time.perf_counter()
    _python('-c', code, *arguments)
    return time.perf_counter() - start


def _measure(name: str, folder: Path) -> Any:
    return json.loads(_python(str(MEASUREMENTS), name, str(folder)))


def _python(*arguments: str) -> str:
    # k-means and BLAS read their number of threads from the environment, when they are imported.
    environment = {**os.environ, 'OMP_NUM_THREADS': THREADS, 'OPENBLAS_NUM_THREADS': THREADS}
    done = subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def _row(one: Measured) -> dict[str, str]:
    targets = []
    if one.limit is not None:
        targets.append(f'< {_amount(one.limit, one.memory)}')
    if one.limit_ratio is not None:
        targets.append(f'<= {one.limit_ratio:g}x')
    if one.equal is not None:
        targets.append('same numbers')
    return {
        'what': one.what,
        'median': _amount(statistics.median(one.values), one.memory),
        'minimum': _amount(min(one.values), one.memory),
        'bare torch': _amount(statistics.median(one.bare)) if one.bare else '',
        'ratio': f'{one.ratio:.2f}x' if one.bare else '',
        'of minima': f'{min(one.values) / min(one.bare):.2f}x' if one.bare else '',
        'target': ', '.join(targets),
        'met': 'yes' if one.met else 'NO',
    }


def _amount(value: float, memory: bool = False) -> str:
    if memory:
        return f'{value / 1e6:.0f} MB'
    return f'{value:.2f} s' if value >= 1 else f'{1000 * value:.3g} ms'


if __name__ == '__main__':
    main()
