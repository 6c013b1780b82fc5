"""``napari-flim evaluate``: predictions against truth, file by file and in the mean."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import typer
from rich.table import Table

from napari_flim.cli.console import FAILED, bars, complain, results, say, usage
from napari_flim.errors import EvaluationError, FlimError
from napari_flim.evaluation.metrics import Scores, Summary, evaluate, summarise
from napari_flim.io.atomic import write_atomically
from napari_flim.io.images import list_images, read_image, stem
from napari_flim.io.results import read_labels

COLUMNS = {
    'dice': 'Dice',
    'iou': 'IoU',
    'mae': 'MAE',
    'f_beta': 'F-beta',
    'weighted_f': 'weighted F',
    's_measure': 'S',
    'e_mean': 'E mean',
}


def run(truth: Path, predictions: Path, json_file: Path | None, debug: bool) -> None:
    """Print a table of all pairs, and write every measure to a file if asked."""
    with usage():
        pairs, missing = _pair(truth, predictions)
    scores: dict[str, Scores] = {}
    for name in missing:
        complain(f'{name}: no prediction in {predictions}; it is not part of the means.')
    failed = len(missing)
    with bars() as shown:
        task = shown.add_task('comparing', total=len(pairs))
        for name, (truth_file, prediction) in pairs.items():
            try:
                scores[name] = _compare(name, truth_file, prediction, predictions)
            except FlimError as error:
                if debug:
                    raise
                complain(f'{name}: {error}')
                failed += 1
            shown.advance(task)
    if not scores:
        raise EvaluationError(f'None of the {len(pairs)} pairs could be compared.')
    summary = summarise(list(scores.values()))
    results.print(_table(scores, summary))
    if json_file is not None:
        content = {
            'images': {name: asdict(score) for name, score in scores.items()},
            'all': summary.means,
            'with_objects': summary.means_with_objects,
        }
        text = json.dumps(content, indent=1)
        write_atomically(json_file, lambda temporary: temporary.write_text(text))
        say(f'All values are in {json_file}.')
    if failed:
        raise typer.Exit(FAILED)


def _pair(truth: Path, predictions: Path) -> tuple[dict[str, tuple[Path, Path]], list[str]]:
    truths = {stem(path): path for path in list_images([truth])}
    found = {stem(path): path for path in list_images([predictions])}
    pairs = {}
    for name, path in truths.items():
        prediction = found.get(f'{name}_labels') or found.get(name)
        if prediction is not None:
            pairs[name] = (path, prediction)
    if not pairs:
        raise EvaluationError(
            f'No file in {predictions} belongs to one in {truth}; expected, for example, '
            f'{next(iter(truths))}_labels.tif.'
        )
    return pairs, [name for name in truths if name not in pairs]


def _compare(name: str, truth: Path, prediction: Path, folder: Path) -> Scores:
    saliency_file = folder / f'{name}_saliency.tif'
    saliency = None
    if saliency_file.is_file():
        if saliency_file.stat().st_mtime < prediction.stat().st_mtime - 1:
            say(f'{saliency_file.name} is older than {prediction.name} and is not used.')
            return evaluate(read_labels(prediction) > 0, read_labels(truth) > 0)
        data = read_image(saliency_file).in_memory().data
        saliency = data.max(axis=0)
        if saliency.dtype.kind == 'f':
            saliency = np.clip(saliency, 0, 1)
    return evaluate(read_labels(prediction) > 0, read_labels(truth) > 0, saliency)


def _table(scores: dict[str, Scores], summary: Summary) -> Table:
    table = Table('image', *COLUMNS.values())
    for name, score in scores.items():
        table.add_row(name, *(f'{getattr(score, column):.3f}' for column in COLUMNS))
    table.add_section()
    rows = {f'mean of {summary.images}': summary.means}
    if summary.images_with_objects:
        title = f'mean of {summary.images_with_objects} with objects'
        rows[title] = summary.means_with_objects
    for title, means in rows.items():
        table.add_row(title, *(f'{means[column]:.3f}' for column in COLUMNS))
    return table
