"""How fast a folder is segmented, beside the bare inference of the same images in memory.

    python benchmarks/batch.py [--data FOLDER] [--images 200] [--json FILE] [--markdown FILE]

Every measurement runs in a process of its own. Images are those of FOLDER/images, repeated under
other names; the model is learned from FOLDER as ``speed.py`` does.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from common import DATA, add_output_options, markdown, publish

LIMIT = 0.15
"""Most that reading, writing and reporting may add to the bare inference."""
REPEATS = 3
WARM = 10
"""Files before the clock starts, so that every worker has loaded what it needs."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One row of the table.

    Attributes
    ----------
    what : str
    images : int
    seconds : list of float
        One for each repetition, for all images at the pace after the first `WARM`.
    bare : list of float
        Seconds of the bare inference in the same repetitions.
    limit : float, optional
        Most by which ``seconds`` may be longer.
    """

    what: str
    images: int
    seconds: list[float]
    bare: list[float]
    limit: float | None = None

    @property
    def overhead(self) -> float:
        """Median over repetitions of what is added to the bare inference, as a share of it."""
        pairs = zip(self.seconds, self.bare, strict=True)
        return statistics.median(own / bare - 1 for own, bare in pairs)

    @property
    def met(self) -> bool:
        """Whether the target is met."""
        return self.limit is None or self.overhead < self.limit


def main() -> None:
    """Segment a folder with one and two workers, and show one table."""
    parser = argparse.ArgumentParser(description='Segmenting a folder, beside bare inference.')
    parser.add_argument('--data', type=Path, default=DATA / 'parasites', help='(%(default)s)')
    parser.add_argument('--images', type=int, default=200)
    parser.add_argument('--measure', choices=['bare', '1', '2'], help=argparse.SUPPRESS)
    parser.add_argument('--folder', type=Path, help=argparse.SUPPRESS)
    add_output_options(parser)
    options = parser.parse_args()
    if options.measure is not None:
        print(json.dumps(measure(options.measure, options.folder)))
        return
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        prepare(options.data, options.images, folder)
        rounds = [
            {what: _measured(what, folder) for what in ['bare', '1', '2']} for _ in range(REPEATS)
        ]
    bare, one, two = ([each[what] for each in rounds] for what in ['bare', '1', '2'])
    count = options.images
    measured = [
        Measured('bare inference, arrays in memory', count, bare, bare),
        Measured('run, 1 worker', count, one, bare, LIMIT),
        Measured('run, 2 workers', count, two, bare),
    ]
    title = f'{os.cpu_count()} cores, Python {sys.version.split()[0]}; {count} images.'
    values = [{**asdict(each), 'met': each.met} for each in measured]
    publish(f'{title}\n\n{markdown([_row(each) for each in measured])}', values, options)


def prepare(data: Path, count: int, folder: Path) -> None:
    """Write a model and so many images."""
    from measurements import read_examples

    from napari_flim.io.images import list_images

    examples = read_examples(data)
    examples.learn().save(folder / 'model.flim')
    (folder / 'images').mkdir()
    if data.is_dir():
        sources = list_images([data / 'images'])
        for number in range(count):
            source = sources[number % len(sources)]
            shutil.copy(source, folder / 'images' / f'{number:04d}{source.suffix}')
        return
    import imageio.v3 as imageio
    import numpy as np

    unseen = np.moveaxis(examples.unseen.data, 0, -1).squeeze()
    for number in range(count):
        imageio.imwrite(folder / 'images' / f'{number:04d}.png', np.roll(unseen, number, axis=0))


def measure(what: str, folder: Path) -> float:
    """Seconds of one measurement."""
    from napari_flim.batch import Done, carried, plan, run
    from napari_flim.io.images import list_images, read_image
    from napari_flim.model_loading import load_model

    model = load_model(folder / 'model.flim')
    files = list_images([folder / 'images'])
    model.delineate(read_image(files[0]))
    if what == 'bare':
        images = [read_image(file) for file in files]
        start = time.perf_counter()
        for image in images:
            model.delineate(image)
        return time.perf_counter() - start
    planned = plan(carried(model), files, folder / f'out{what}', earlier='overwrite')
    ends = [
        time.perf_counter() for event in run(planned, workers=int(what)) if isinstance(event, Done)
    ]
    return (ends[-1] - ends[WARM - 1]) * len(files) / (len(files) - WARM)


def _measured(what: str, folder: Path) -> float:
    command = [sys.executable, __file__, '--measure', what, '--folder', str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout))


def _row(one: Measured) -> dict[str, str]:
    middle = statistics.median(one.seconds)
    return {
        'what': one.what,
        'seconds': f'{middle:.1f}',
        'images per second': f'{one.images / middle:.1f}',
        'over the bare inference': f'{100 * one.overhead:+.0f}%',
        'target': '' if one.limit is None else f'< {100 * one.limit:.0f}%',
        'met': '' if one.limit is None else ('yes' if one.met else 'no'),
    }


if __name__ == '__main__':
    main()
