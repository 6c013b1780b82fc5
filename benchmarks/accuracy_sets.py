"""What is learned and tested: images of a folder with their truth, their markers, and the split."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from napari_flim.engine.image import Image
from napari_flim.errors import FileError
from napari_flim.io.images import list_images, read_image, stem
from napari_flim.io.markers import find_marker_file
from napari_flim.io.results import read_labels

UNRELATED = ('volumes',)
"""Sets whose images have nothing in common: each image is learned and tested on its own."""


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


def read_tasks(folder: Path, most_test: int | None = None) -> Iterator[Task]:
    """What a folder asks to learn and to test; on no more images than named, evenly chosen."""
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
    yield Task(name, train, _some(test or examples, most_test))


def _some(examples: dict[str, Example], most: int | None) -> dict[str, Example]:
    """So many of the examples, evenly spread over their order."""
    if most is None or most >= len(examples):
        return examples
    names = list(examples)
    chosen = [names[index * len(names) // most] for index in range(most)]
    return {name: examples[name] for name in chosen}


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
