"""How well objects are found after learning from a few markers: one row for each set and setting.

    python benchmarks/accuracy.py [FOLDER ...] [--seeds 0 1 2] [--arch small] [--input auto]

Every folder holds images/, markers/ and masks/; see README.md for the split and the columns.
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
from napari_flim.delineation.objects import (
    above_threshold,
    class_map,
    separate_objects,
)
from napari_flim.engine.image import Image
from napari_flim.errors import FileError, FlimError
from napari_flim.evaluation.metrics import Scores, evaluate, summarise
from napari_flim.evaluation.overlap import dice
from napari_flim.io.images import list_images, read_image, stem
from napari_flim.io.markers import find_marker_file, read_markers
from napari_flim.io.results import read_labels
from napari_flim.model import FlimModel

UNRELATED = ('volumes',)
"""Sets whose images have nothing in common: each image is learned and tested on its own."""
SHOWN = ('f_beta', 'weighted_f', 's_measure', 'mae')


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is chosen before learning: a preset or arch.json, an input, a decoder."""

    architecture: str
    input: str = 'auto'
    decoder: str = 'mean'


@dataclass(frozen=True, eq=False)
class Example:
    """An image with its truth, and the file of its markers if it has any."""

    image: Image
    truth: NDArray[Any]
    markers: Path | None


@dataclass(frozen=True, eq=False)
class Task:
    """Examples to learn from, all with markers, and examples to test on, by name."""

    name: str
    train: dict[str, Example]
    test: dict[str, Example]


@dataclass(frozen=True, slots=True)
class Result:
    """What one model achieved.

    Attributes
    ----------
    seed : int
    seconds_to_learn, seconds_per_image : float
        From arrays in memory to a model, and to separate objects.
    scores : dict of str to Scores
        Of every test image: Otsu's mask of the saliency, and the saliency itself.
    objects : dict of str to float
        Dice of the cleaned-up objects that ``FlimModel.segment`` finds.
    """

    seed: int
    seconds_to_learn: float
    seconds_per_image: float
    scores: dict[str, Scores]
    objects: dict[str, float]


def main() -> None:
    """Learn and test every set with every configuration and seed."""
    parser = argparse.ArgumentParser(description='Accuracy after learning from a few markers.')
    parser.add_argument('folders', nargs='*', type=Path, metavar='FOLDER')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--arch', nargs='+', help='presets or arch.json files')
    parser.add_argument('--input', nargs='+', help='auto, multiscale, ...')
    parser.add_argument('--decoder', nargs='+', help='mean, label_balanced, ...')
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
        examples[name] = Example(read_image(path), _read_truth(folder / 'masks', path), markers)
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
    found = {name: _segment(model, example) for name, example in task.test.items()}
    seconds = (time.perf_counter() - learned) / len(found)
    scores, objects = {}, {}
    for name, (saliency, labels) in found.items():
        truth = task.test[name].truth
        scores[name] = evaluate(above_threshold(saliency), truth, saliency)
        objects[name] = dice(labels, truth)
    return Result(seed, learned - start, seconds, scores, objects)


def _segment(model: FlimModel, example: Example) -> tuple[NDArray[Any], NDArray[Any]]:
    """Highest saliency of any object class, and objects."""
    maps = model.class_saliency(example.image)
    return maps.max(axis=0), separate_objects(class_map(maps, model.object_classes, model.objects))


def _default_folders() -> list[Path]:
    if not DATA.is_dir():
        raise FileError(
            f'No folder was named and {DATA} does not exist; name folders that hold images/, '
            'markers/ and masks/.'
        )
    return sorted(path for path in DATA.iterdir() if (path / 'markers').is_dir())


def _configurations(folder: Path, options: argparse.Namespace) -> list[Configuration]:
    if options.arch or options.input or options.decoder:
        choices = (
            options.arch or ['small'],
            options.input or ['auto'],
            options.decoder or ['mean'],
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


def _row(task: Task, choice: Configuration, results: Sequence[Result]) -> dict[str, str]:
    summaries = [summarise(list(result.scores.values())) for result in results]
    everywhere = [summary.means['dice'] for summary in summaries]
    scores = [score for result in results for score in result.scores.values()]
    with_objects = [score for score in scores if score.object_voxels]
    spread = statistics.stdev(everywhere) if len(everywhere) > 1 else 0.0
    return {
        'set': task.name,
        'architecture': Path(choice.architecture).name,
        'input': choice.input,
        'decoder': choice.decoder,
        'train, test': f'{len(task.train)}, {len(task.test)}',
        'Dice': f'{statistics.mean(everywhere):.3f} ± {spread:.3f}',
        'worst': f'{min(score.dice for score in scores):.3f}',
        'Dice with objects': _mean([score.dice for score in with_objects]),
        'worst with objects': f'{min((s.dice for s in with_objects), default=1):.3f}',
        'Dice of objects': _mean([d for r in results for d in r.objects.values()]),
        **{
            title: _mean([getattr(score, name) for score in scores])
            for title, name in zip(('F-beta', 'weighted F', 'S', 'MAE'), SHOWN, strict=True)
        },
        'learn (s)': f'{statistics.median(r.seconds_to_learn for r in results):.2f}',
        'image (ms)': f'{1000 * statistics.median(r.seconds_per_image for r in results):.0f}',
    }


def _mean(values: Sequence[float]) -> str:
    return f'{statistics.mean(values):.3f}' if values else '-'


if __name__ == '__main__':
    main()
