"""One way of learning, from markers to scores: FLIM in many settings, or a random forest."""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from accuracy_sets import Example, Task
from numpy.typing import NDArray
from robot import draw_markers

from napari_flim.api import learn
from napari_flim.delineation.objects import (
    ObjectSettings,
    above_threshold,
    class_map,
    separate_objects,
)
from napari_flim.engine.image import Image, read_array
from napari_flim.engine.markers import MarkerSet
from napari_flim.evaluation.metrics import Scores, evaluate
from napari_flim.evaluation.overlap import dice, instance_f1
from napari_flim.evaluation.pixel_forest import learn_forest
from napari_flim.io.markers import read_markers

ANY_VOTE = ObjectSettings(threshold=0.0)


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is chosen.

    Attributes
    ----------
    architecture : str
        A preset or an arch.json.
    input, decoder : str
    method : str, optional
        How objects are found; the usual one if none is named.
    disks : int, optional
        Markers that the robot draws for each class and image; by default those of the folder.
    """

    architecture: str = 'small'
    input: str = 'auto'
    decoder: str = 'mean'
    method: str | None = None
    disks: int | None = None

    @property
    def is_forest(self) -> bool:
        """Whether this is the peer, see `forest`."""
        return self.decoder == 'random forest'


def forest(disks: int | None = None) -> Configuration:
    """The forest of scikit-image's gallery."""
    return Configuration('-', 'basic features', 'random forest', '-', disks)


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
        By which objects were found; - for the forest, whose classes are taken as they are.
    seconds_to_learn, seconds_to_apply, seconds_to_delineate : float
        From arrays in memory to a model; for each image, to saliency, and from there to objects,
        which the forest does not find.
    scores : dict of str to Scores
        Of every test image: Otsu's mask of the saliency, and the saliency itself. Of the forest,
        the voxels whose class of most votes is an object, and the votes.
    plain : dict of str to Found
        Objects without delineation: above the threshold, cleaned up.
    objects : dict of str to Found
        Objects that ``FlimModel.segment`` finds; None of the forest.
    """

    seed: int
    method: str
    seconds_to_learn: float
    seconds_to_apply: float
    seconds_to_delineate: float | None
    scores: dict[str, Scores]
    plain: dict[str, Found]
    objects: dict[str, Found] | None

    @property
    def seconds(self) -> float:
        """For each image, from an array in memory to the end."""
        return self.seconds_to_apply + (self.seconds_to_delineate or 0)

    @property
    def final(self) -> dict[str, Found]:
        """The best that the method gives: delineated objects, else those cleaned up."""
        return self.plain if self.objects is None else self.objects


def run_row(
    task: Task, choice: Configuration, seeds: Sequence[int], apart: bool
) -> tuple[list[Result], int | None]:
    """Results for every seed; in a process of its own also the memory that it took, in bytes."""
    if not apart:
        return [run(task, choice, seed) for seed in seeds], None
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_measured_row, task, choice, seeds).result()


def run(task: Task, choice: Configuration, seed: int) -> Result:
    """Learn one model and test it."""
    images = [example.image for example in task.train.values()]
    markers = [_markers(example, choice, seed) for example in task.train.values()]
    if choice.is_forest:
        return _run_forest(task, images, markers, seed)
    return _run_flim(task, images, markers, choice, seed)


def _markers(example: Example, choice: Configuration, seed: int) -> MarkerSet:
    """Those of the file, or what the robot draws; another seed draws others."""
    across = choice.input == 'libift'
    if choice.disks is not None:
        drawn = draw_markers(example.image.data, example.truth, choice.disks, seed)
        return MarkerSet.from_labels(drawn, across_classes=across)
    assert example.markers is not None, 'images to learn from have markers'
    return read_markers(example.markers, example.image.shape, across_classes=across)


def _run_flim(
    task: Task,
    images: Sequence[Image],
    markers: Sequence[MarkerSet],
    choice: Configuration,
    seed: int,
) -> Result:
    start = time.perf_counter()
    model = learn(
        images,
        markers,
        choice.architecture,
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


def _run_forest(
    task: Task, images: Sequence[Image], markers: Sequence[MarkerSet], seed: int
) -> Result:
    labels = [_labels(marked) for marked in markers]
    start = time.perf_counter()
    learned_forest = learn_forest([image.data for image in images], labels, seed)
    learned = time.perf_counter()
    learned_forest.classes(images[0].data)
    ready = time.perf_counter()
    votes = {name: learned_forest.probabilities(one.image.data) for name, one in task.test.items()}
    applied = time.perf_counter()
    scores, plain = {}, {}
    numbers = learned_forest.numbers
    for name, one in task.test.items():
        objects = votes[name][1:]
        mask = votes[name].argmax(axis=0) > 0
        scores[name] = evaluate(mask, one.truth, np.clip(objects.sum(axis=0), 0, 1))
        # What the mask leaves out gets no say in the clean-up, which is that of saliency.
        maps = np.where(mask, objects, 0)
        plain[name] = _compared(separate_objects(class_map(maps, numbers[1:], ANY_VOTE)), one)
    seconds = (applied - ready) / len(task.test)
    return Result(seed, '-', learned - start, seconds, None, scores, plain, None)


def _labels(marked: MarkerSet) -> NDArray[np.int64]:
    labels = np.zeros(marked.shape, dtype=np.int64)
    labels[tuple(marked.coordinates.T)] = marked.classes
    return labels


def _compared(labels: NDArray[Any], example: Example) -> Found:
    known = example.instances
    return Found(dice(labels, example.truth), None if known is None else instance_f1(labels, known))


def _measured_row(
    task: Task, choice: Configuration, seeds: Sequence[int]
) -> tuple[list[Result], int]:
    """Results, and by how many bytes the peak rose over that of the images and loaded code."""
    _rehearse(choice, next(iter(task.train.values())).image.ndim)
    before = _peak()
    results = [run(task, choice, seed) for seed in seeds]
    return results, _peak() - before


def _rehearse(choice: Configuration, ndim: int) -> None:
    """Learn and test on a tiny image, so that all code is loaded."""
    truth = np.zeros((24,) * ndim, dtype=bool)
    truth[(slice(6, 16),) * ndim] = True
    example = Example(read_array(truth.astype(np.float32)), truth, None, None)
    tiny = replace(choice, architecture='small', input='auto', disks=1)
    task = Task('tiny', {'tiny': example}, {'tiny': example})
    run(task, tiny, 0)


def _peak() -> int:
    """Largest memory of this process so far, in bytes."""
    if sys.platform == 'linux':
        # What getrusage tells includes the peak of the process that started this one.
        status = Path('/proc/self/status').read_text()
        return 1024 * int(status.split('VmHWM:')[1].split()[0])
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
