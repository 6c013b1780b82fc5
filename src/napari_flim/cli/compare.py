"""``napari-flim compare``: our way and others, learned from the same markers, as one table."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from rich.table import Table

from napari_flim.cli.console import results, run_job, say, usage
from napari_flim.cli.learn import read_pair
from napari_flim.compared_methods import METHODS, PEERS, Method, Setup, finished, our_methods
from napari_flim.comparing import Row, compare, held_out_parts, images_to_test
from napari_flim.engine.image import Image, check_axes
from napari_flim.engine.markers import MarkerSet
from napari_flim.errors import EvaluationError, FileError, FlimWarning, MarkerError
from napari_flim.evaluation.held_out import Agreement
from napari_flim.io.images import list_images, read_images
from napari_flim.io.markers import find_marker_file
from napari_flim.io.results import read_labels
from napari_flim.model_loading import load_model

COLUMNS = (
    'method',
    'held-out agreement',
    'Dice',
    'worst Dice',
    'learn (s)',
    'apply (s / image)',
)


@dataclass(frozen=True, slots=True)
class Files:
    """An image file, and what belongs to it."""

    image: Path
    markers: Path | None
    truth: Path | None


@dataclass(frozen=True, eq=False)
class Known:
    """Images in memory, with the markers and the truth of each where there are any."""

    images: list[Image]
    markers: list[MarkerSet | None]
    truths: list[NDArray[Any] | None]


def run(
    images: Sequence[Path],
    markers: Path,
    truth: Path | None,
    model_file: Path | None,
    axes: str | None,
    seed: int,
) -> None:
    """Print a table with one row for each method, and say what it was measured on."""
    # Every method warns of the same images again and again.
    warnings.simplefilter('once', FlimWarning)
    with usage():
        check_axes(axes)
        files = _files(images, markers, truth)
        if model_file is not None and not model_file.exists():
            raise FileError(f'The model {model_file} does not exist; check the path.')
    known = _read(files, axes)
    rows = run_job(
        compare(known.images, known.markers, known.truths, _methods(model_file), seed), 'comparing'
    )
    results.print(_table(rows))
    for line in _measured_on(known):
        say(line)


def _files(images: Sequence[Path], markers: Path, truth: Path | None) -> list[Files]:
    """Images that are marked or whose truth is known."""
    found = [
        Files(path, find_marker_file(markers, path), truth and find_marker_file(truth, path))
        for path in list_images(images)
    ]
    if not any(one.markers for one in found):
        raise MarkerError(
            f'None of the {len(found)} images has a marker file in {markers}; expected files with '
            'the names of the images, as for napari-flim learn.'
        )
    if truth is not None and not any(one.truth for one in found):
        raise EvaluationError(
            f'None of the {len(found)} images has a mask in {truth}; expected files with the '
            'names of the images, such as STEM.png or STEM.tif.'
        )
    return [one for one in found if one.markers or one.truth]


def _read(files: Sequence[Files], axes: str | None) -> Known:
    known = Known([], [], [])
    for one in files:
        drawn: list[MarkerSet | None]
        if one.markers is None:
            images = read_images(one.image, axes)
            drawn = [None] * len(images)
        else:
            images, given = read_pair(one.image, one.markers, axes, across_classes=False)
            drawn = [marked if len(marked) else None for marked in given]
        truths: list[NDArray[Any] | None] = [None] * len(images)
        if one.truth is not None:
            labels = read_labels(one.truth)
            truths = [labels] if len(images) == 1 else list(labels)
            if len(truths) != len(images):
                raise EvaluationError(
                    f'{one.image} holds {len(images)} images, but {one.truth} {len(truths)} masks; '
                    'expected a mask for each image.'
                )
        known.images.extend(images)
        known.markers.extend(drawn)
        known.truths.extend(truths)
    return known


def _methods(model_file: Path | None) -> Sequence[Method]:
    """All of them; with a model, ours are learned as it was, and it is shown as it is."""
    if model_file is None:
        return METHODS
    model = load_model(model_file)
    return (finished(model_file.name, model), *our_methods(Setup.of(model)), *PEERS)


def _table(rows: Sequence[Row]) -> Table:
    table = Table(COLUMNS[0])
    for title in COLUMNS[1:]:
        table.add_column(title, justify='right')
    for row in rows:
        table.add_row(
            row.method,
            _share(row.agreement),
            *(_number(value, 3) for value in (row.dice, row.worst_dice)),
            _number(row.seconds_to_learn, 2),
            _number(row.seconds_to_apply, 3),
        )
    return table


def _share(agreement: Agreement | None) -> str:
    if agreement is None:
        return '-'
    error = '' if agreement.error is None else f' ± {agreement.error:.3f}'
    return f'{agreement.share:.3f}{error}'


def _number(value: float | None, digits: int) -> str:
    return '-' if value is None else f'{value:.{digits}f}'


def _measured_on(known: Known) -> list[str]:
    """What was left out, and which images were tested, in words."""
    held = held_out_parts(known.markers)
    marked = sum(one is not None for one in known.markers)
    what = 'whole images' if held.whole_images else 'markers'
    judged = (
        f'Held-out agreement: {what} of {marked} marked image{"s" * (marked != 1)} left out in '
        f'{held.count} parts; share of their marked voxels that get their class, the mean over '
        'classes, ± standard error over markers.'
    )
    lines = [judged if held.complete else 'Held-out agreement needs two markers of every class.']
    indices = images_to_test(known.markers, known.truths)
    if indices:
        seen = known.markers[indices[0]] is not None
        where = 'that taught the methods, since no other has a truth' if seen else 'without markers'
        plural = 's' * (len(indices) != 1)
        lines.append(f'Dice: of {len(indices)} image{plural} {where}.')
    return lines
