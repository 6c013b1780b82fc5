"""How well objects are found after learning from a few markers: one row for each set and setting.

    python benchmarks/accuracy.py [FOLDER ...] [--seeds 0 1 2] [--arch small] [--input auto]

Every folder holds images/, markers/ and masks/, some also instances/; see README.md for the split
and the columns.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from common import DATA, add_output_options, markdown, publish
from numpy.typing import NDArray

from napari_flim.api import learn, resolve_architecture
from napari_flim.delineation.objects import above_threshold
from napari_flim.engine.image import Image
from napari_flim.errors import FileError, FlimError
from napari_flim.evaluation.metrics import Scores, evaluate
from napari_flim.evaluation.overlap import dice, instance_f1
from napari_flim.io.images import list_images, read_image, stem
from napari_flim.io.markers import find_marker_file, read_markers
from napari_flim.io.results import read_labels

UNRELATED = ('volumes',)
"""Sets whose images have nothing in common: each image is learned and tested on its own."""
SHOWN = ('f_beta', 'weighted_f', 's_measure', 'mae')


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is chosen: a preset or arch.json, an input, a decoder; the usual method if none is."""

    architecture: str
    input: str = 'auto'
    decoder: str = 'mean'
    method: str | None = None


@dataclass(frozen=True, eq=False)
class Example:
    """An image with its truth, every object of it if known, and the file of its markers if any."""

    image: Image
    truth: NDArray[Any]
    instances: NDArray[Any] | None
    markers: Path | None


@dataclass(frozen=True, eq=False)
class Task:
    """Examples to learn from, all with markers, and examples to test on, by name."""

    name: str
    train: dict[str, Example]
    test: dict[str, Example]


@dataclass(frozen=True, slots=True)
class Found:
    """How well the objects of one image were found.

    Attributes
    ----------
    dice : float
    f1 : float, optional
        Of single objects, at an intersection over union of 0.5; None where they are not known.
    """

    dice: float
    f1: float | None


@dataclass(frozen=True, slots=True)
class Result:
    """What one model achieved.

    Attributes
    ----------
    seed : int
    method : str
        By which objects were found.
    seconds_to_learn, seconds_to_apply, seconds_to_delineate : float
        From arrays in memory to a model; for each image, to saliency, and from there to objects.
    scores : dict of str to Scores
        Of every test image: Otsu's mask of the saliency, and the saliency itself.
    plain : dict of str to Found
        Objects without delineation: above the threshold, cleaned up.
    objects : dict of str to Found
        Objects that ``FlimModel.segment`` finds.
    """

    seed: int
    method: str
    seconds_to_learn: float
    seconds_to_apply: float
    seconds_to_delineate: float
    scores: dict[str, Scores]
    plain: dict[str, Found]
    objects: dict[str, Found]


def main() -> None:
    """Learn and test every set with every configuration and seed."""
    parser = argparse.ArgumentParser(description='Accuracy after learning from a few markers.')
    parser.add_argument('folders', nargs='*', type=Path, metavar='FOLDER')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--arch', nargs='+', help='presets or arch.json files')
    parser.add_argument('--input', nargs='+', help='auto, multiscale, ...')
    parser.add_argument('--decoder', nargs='+', help='mean, label_balanced, ...')
    parser.add_argument('--method', nargs='+', help='dynamic_trees, watershed, ...')
    add_output_options(parser)
    options = parser.parse_args()
    rows, values = [], []
    try:
        for folder in options.folders or _default_folders():
            chosen = _configurations(folder, options)
            for task, choice in itertools.product(list(read_tasks(folder)), chosen):
                results = [run(task, choice, seed) for seed in options.seeds]
                rows.append(_row(task, choice, results))
                runs = [asdict(result) for result in results]
                values.append({'set': task.name, **asdict(choice), 'runs': runs})
    except FlimError as error:
        parser.error(str(error))
    publish(markdown(rows), values, options)


def read_tasks(folder: Path) -> Iterator[Task]:
    """What a folder asks to learn and to test."""
    training, testing = _split(folder)
    examples = {}
    for path in list_images([folder / 'images']):
        name = stem(path)
        markers = find_marker_file(folder / 'markers', path)
        instances = _read_instances(folder / 'instances', path)
        truth = _read_truth(folder / 'masks', path)
        examples[name] = Example(read_image(path), truth, instances, markers)
    marked = {name: e for name, e in examples.items() if e.markers is not None}
    if folder.name in UNRELATED:
        for name, example in marked.items():
            yield Task(f'{name} (tested on itself)', {name: example}, {name: example})
        return
    if training is None:
        training = set(marked) - (testing or set())
    if testing is None:
        testing = set(examples) - training
    train = {name: e for name, e in marked.items() if name in training}
    if not train:
        raise FileError(f'No training image in {folder} has markers; expected one or more.')
    test = {name: e for name, e in examples.items() if name in testing}
    name = folder.name if test else f'{folder.name} (tested on all)'
    yield Task(name, train, test or examples)


def run(task: Task, choice: Configuration, seed: int) -> Result:
    """Learn one model and test it."""
    images = [example.image for example in task.train.values()]
    markers = [
        read_markers(example.markers, example.image.shape, across_classes=choice.input == 'libift')
        for example in task.train.values()
        if example.markers is not None
    ]
    start = time.perf_counter()
    model = learn(
        images,
        markers,
        resolve_architecture(choice.architecture),
        choice.decoder,
        input=choice.input,
        seed=seed,
    )
    learned = time.perf_counter()
    if choice.method is not None:
        model = model.with_delineation(method=choice.method)
    # The first call of a process loads compiled code.
    model.segment(images[0])
    ready = time.perf_counter()
    saliency = {name: model.class_saliency(one.image) for name, one in task.test.items()}
    applied = time.perf_counter()
    objects = {
        name: model.delineate(one.image, saliency=saliency[name]).labels
        for name, one in task.test.items()
    }
    delineated = time.perf_counter()
    scores, plain, found = {}, {}, {}
    for name, one in task.test.items():
        maps = saliency[name]
        highest = maps.max(axis=0)
        regions = model.with_delineation(method='none', sizes=None).delineate(
            one.image, saliency=maps
        )
        scores[name] = evaluate(above_threshold(highest), one.truth, highest)
        plain[name] = _compared(regions.labels, one)
        found[name] = _compared(objects[name], one)
    each = len(task.test)
    return Result(
        seed,
        model.delineation.method,
        learned - start,
        (applied - ready) / each,
        (delineated - applied) / each,
        scores,
        plain,
        found,
    )


def _compared(labels: NDArray[Any], example: Example) -> Found:
    known = example.instances
    return Found(dice(labels, example.truth), None if known is None else instance_f1(labels, known))


def _default_folders() -> list[Path]:
    if not DATA.is_dir():
        raise FileError(
            f'No folder was named and {DATA} does not exist; name folders that hold images/, '
            'markers/ and masks/.'
        )
    return sorted(path for path in DATA.iterdir() if (path / 'markers').is_dir())


def _configurations(folder: Path, options: argparse.Namespace) -> list[Configuration]:
    if options.arch or options.input or options.decoder or options.method:
        choices = (
            options.arch or ['small'],
            options.input or ['auto'],
            options.decoder or ['mean'],
            options.method or [None],
        )
        return list(itertools.starmap(Configuration, itertools.product(*choices)))
    own = folder / 'arch.json'
    presets = [Configuration('small'), Configuration('small', 'multiscale')]
    return [Configuration(str(own)), *presets] if own.is_file() else presets


def _split(folder: Path) -> tuple[set[str] | None, set[str] | None]:
    """Names of training and test images; None where nothing says so."""
    table, lists = folder / 'index.csv', [folder / 'train.txt', folder / 'val.txt']
    if table.is_file() and not lists[0].is_file():
        with table.open(newline='', encoding='utf-8') as file:
            entries = list(csv.DictReader(file))
        train, test = ({e['stem'] for e in entries if e['split'] == s} for s in ('train', 'test'))
        return train, test
    named = [{stem(n) for n in p.read_text().split()} if p.is_file() else None for p in lists]
    return named[0], named[1]


def _read_truth(folder: Path, image: Path) -> NDArray[Any]:
    """Mask of an image, whatever its format; every value above 0 is object."""
    file = find_marker_file(folder, image)
    if file is None:
        raise FileError(
            f'{folder} holds no mask for {image.name}; expected {stem(image)}.png or .tif.'
        )
    truth: NDArray[Any] = read_labels(file) > 0
    return truth


def _read_instances(folder: Path, image: Path) -> NDArray[Any] | None:
    """Label image of the single objects; None where they are not known."""
    file = find_marker_file(folder, image) if folder.is_dir() else None
    return None if file is None else read_labels(file)


def _row(task: Task, choice: Configuration, results: Sequence[Result]) -> dict[str, str]:
    everywhere = [[score.dice for score in result.scores.values()] for result in results]
    scores = [score for result in results for score in result.scores.values()]
    with_objects = [score for score in scores if score.object_voxels]
    plain = [one for result in results for one in result.plain.values()]
    objects = [one for result in results for one in result.objects.values()]
    return {
        'set': task.name,
        'architecture': Path(choice.architecture).name,
        'input': choice.input,
        'decoder': choice.decoder,
        'method': results[0].method,
        'train, test': f'{len(task.train)}, {len(task.test)}',
        'Dice': _mean_of_runs(everywhere),
        'worst': f'{min(score.dice for score in scores):.3f}',
        'with objects': _mean([score.dice for score in with_objects]),
        'cleaned up': _mean([one.dice for one in plain]),
        'delineated': _mean_of_runs([[o.dice for o in r.objects.values()] for r in results]),
        'worst delineated': f'{min(one.dice for one in objects):.3f}',
        'F1 cleaned up': _mean([one.f1 for one in plain if one.f1 is not None]),
        'F1 delineated': _mean([one.f1 for one in objects if one.f1 is not None]),
        **{
            title: _mean([getattr(score, name) for score in scores])
            for title, name in zip(('F-beta', 'weighted F', 'S', 'MAE'), SHOWN, strict=True)
        },
        'learn (s)': f'{statistics.median(r.seconds_to_learn for r in results):.2f}',
        'saliency (ms)': f'{1000 * statistics.median(r.seconds_to_apply for r in results):.0f}',
        'objects (ms)': f'{1000 * statistics.median(r.seconds_to_delineate for r in results):.0f}',
    }


def _mean(values: Sequence[float]) -> str:
    return f'{statistics.mean(values):.3f}' if values else '-'


def _mean_of_runs(runs: Sequence[Sequence[float]]) -> str:
    """Mean over images and seeds, ± deviation of the mean between seeds."""
    means = [statistics.mean(run) for run in runs]
    spread = statistics.stdev(means) if len(means) > 1 else 0.0
    return f'{statistics.mean(means):.3f} ± {spread:.3f}'


if __name__ == '__main__':
    main()
