"""How well objects are found after learning from a few markers: one row for each set and setting.

    python benchmarks/accuracy.py [FOLDER ...] [--seeds 0 1 2] [--arch small] [--input auto]
        [--forest] [--budgets 1 2 4 8 16] [--memory] [--plot FILE.png]

Every folder holds images/, markers/ and masks/, some also instances/; see README.md for the split
and the columns.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from accuracy_runs import Configuration, Result, forest, run_row
from accuracy_sets import Task, read_tasks
from common import DATA, add_output_options, markdown, publish

from napari_flim.errors import FileError, FlimError

SHOWN = ('f_beta', 'weighted_f', 's_measure', 'mae')
MB = 10**6


@dataclass(frozen=True, eq=False)
class Row:
    """Results of one configuration on one set, a result for each seed."""

    task: Task
    choice: Configuration
    results: list[Result]
    memory: int | None


def main() -> None:
    """Learn and test every set with every configuration and seed."""
    options = _options()
    rows: list[Row] = []
    try:
        for folder in options.folders or _default_folders():
            tasks = list(read_tasks(folder, options.most_test))
            for task, choice in itertools.product(tasks, _configurations(folder, options)):
                results, memory = run_row(task, choice, options.seeds, options.memory)
                rows.append(Row(task, choice, results, memory))
    except FlimError as error:
        raise SystemExit(f'error: {error}') from error
    values = [
        {
            'set': row.task.name,
            **asdict(row.choice),
            'peak_memory': row.memory,
            'runs': [asdict(result) for result in row.results],
        }
        for row in rows
    ]
    publish(markdown([_shown(row) for row in rows]), values, options)
    if options.plot is not None:
        from accuracy_plot import plot

        plot([(row.task.name, row.choice, row.results) for row in rows], options.plot)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Accuracy after learning from a few markers.')
    parser.add_argument('folders', nargs='*', type=Path, metavar='FOLDER')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--arch', nargs='+', help='presets or arch.json files')
    parser.add_argument('--input', nargs='+', help='auto, multiscale, ...')
    parser.add_argument('--decoder', nargs='+', help='mean, linear, label_balanced, ...')
    parser.add_argument('--method', nargs='+', help='dynamic_trees, watershed, ...')
    parser.add_argument(
        '--forest', action='store_true', help='also the random forest of scikit-image'
    )
    parser.add_argument(
        '--budgets',
        nargs='+',
        type=int,
        metavar='N',
        help='learn from N disks for each class and image, drawn by a robot from the truth',
    )
    parser.add_argument(
        '--most-test', type=int, metavar='N', help='test no more images of a set than N'
    )
    parser.add_argument(
        '--memory', action='store_true', help='peak memory too; a process for each row'
    )
    parser.add_argument(
        '--plot', type=Path, metavar='FILE.png', help='draw Dice against the budget'
    )
    add_output_options(parser)
    options = parser.parse_args()
    if options.plot is not None and not options.budgets:
        parser.error('--plot draws Dice against the budget; name some, as in --budgets 1 2 4 8 16.')
    if min(options.budgets or [1]) < 1 or (options.most_test or 1) < 1:
        parser.error('--budgets and --most-test are numbers from 1 up.')
    return options


def _default_folders() -> list[Path]:
    if not DATA.is_dir():
        raise FileError(
            f'No folder was named and {DATA} does not exist; name folders that hold images/, '
            'markers/ and masks/.'
        )
    return sorted(path for path in DATA.iterdir() if (path / 'markers').is_dir())


def _configurations(folder: Path, options: argparse.Namespace) -> list[Configuration]:
    """Ours, then the forest, with every budget."""
    budgets: Sequence[int | None] = options.budgets or [None]
    ours = _ours(folder, options)
    chosen = [Configuration(*one, disks) for one in ours for disks in budgets]
    return chosen + [forest(disks) for disks in budgets if options.forest]


def _ours(folder: Path, options: argparse.Namespace) -> list[tuple[str, str, str, str | None]]:
    """Architectures, inputs, decoders and methods that go together."""
    if options.arch or options.input or options.decoder or options.method:
        choices = (
            options.arch or ['small'],
            options.input or ['auto'],
            options.decoder or ['mean'],
            options.method or [None],
        )
        return list(itertools.product(*choices))
    own = folder / 'arch.json'
    usual = [(str(own), 'auto')] if own.is_file() else []
    usual += [('small', 'auto'), ('small', 'multiscale')]
    return [(architecture, kind, 'mean', None) for architecture, kind in usual]


def _shown(row: Row) -> dict[str, str]:
    """A row as it is printed."""
    choice, results = row.choice, row.results
    scores = [score for result in results for score in result.scores.values()]
    with_objects = [score for score in scores if score.object_voxels]
    plain = [one for result in results for one in result.plain.values()]
    delineated = [result.objects for result in results if result.objects is not None]
    objects = [one for found in delineated for one in found.values()]
    to_objects = [r.seconds_to_delineate for r in results if r.seconds_to_delineate is not None]
    return {
        'set': row.task.name,
        'architecture': Path(choice.architecture).name,
        'input': choice.input,
        'decoder': choice.decoder,
        'method': results[0].method,
        'markers': 'given' if choice.disks is None else f'{choice.disks} a class',
        'train, test': f'{len(row.task.train)}, {len(row.task.test)}',
        'Dice': _mean_of_runs([[s.dice for s in r.scores.values()] for r in results]),
        'worst': _lowest([score.dice for score in scores]),
        'with objects': _mean([score.dice for score in with_objects]),
        'cleaned up': _mean([one.dice for one in plain]),
        'delineated': _mean_of_runs([[o.dice for o in found.values()] for found in delineated]),
        'worst delineated': _lowest([one.dice for one in objects]),
        'F1 cleaned up': _mean([one.f1 for one in plain if one.f1 is not None]),
        'F1 delineated': _mean([one.f1 for one in objects if one.f1 is not None]),
        **{
            title: _mean([getattr(score, name) for score in scores])
            for title, name in zip(('F-beta', 'weighted F', 'S', 'MAE'), SHOWN, strict=True)
        },
        'learn (s)': f'{statistics.median(r.seconds_to_learn for r in results):.2f}',
        'apply (s)': f'{statistics.median(r.seconds for r in results):.3f}',
        'saliency (ms)': f'{1000 * statistics.median(r.seconds_to_apply for r in results):.0f}',
        'objects (ms)': f'{1000 * statistics.median(to_objects):.0f}' if to_objects else '-',
        **({} if row.memory is None else {'peak (MB)': f'{row.memory / MB:.0f}'}),
    }


def _mean(values: Sequence[float]) -> str:
    return f'{statistics.mean(values):.3f}' if values else '-'


def _lowest(values: Sequence[float]) -> str:
    return f'{min(values):.3f}' if values else '-'


def _mean_of_runs(runs: Sequence[Sequence[float]]) -> str:
    """Mean over images and seeds, ± deviation of the mean between seeds."""
    if not runs:
        return '-'
    means = [statistics.mean(run) for run in runs]
    spread = statistics.stdev(means) if len(means) > 1 else 0.0
    return f'{statistics.mean(means):.3f} ± {spread:.3f}'


if __name__ == '__main__':
    main()
