"""``napari-flim segment``: a model applied to files, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import typer

from napari_flim.cli.console import FAILED, bars, complain, say, usage
from napari_flim.cli.delineation_options import DelineationOptions
from napari_flim.cli.results import write_objects
from napari_flim.engine.image import check_axes
from napari_flim.errors import FileError, FlimError
from napari_flim.io.atomic import make_folder
from napari_flim.io.images import list_images, read_images, stem
from napari_flim.io.results import write_saliency
from napari_flim.model import FlimModel, load_model
from napari_flim.progress import finish


@dataclass(frozen=True, slots=True)
class Also:
    """What is written beside the label image: saliency, and a table of the objects."""

    saliency: bool = False
    table: bool = False


def run(
    model_file: Path,
    images: Sequence[Path],
    out: Path,
    also: Also,
    axes: str | None,
    decoder: str | None,
    block: int | None,
    options: DelineationOptions,
    debug: bool,
) -> None:
    """Write the results of every image; name the files that fail and go on."""
    with usage():
        if not model_file.exists():
            raise FileError(f'The model {model_file} does not exist; check the path.')
    model = load_model(model_file)
    with usage():
        check_axes(axes)
        paths = _without_results(list_images(images), out)
        model = model.with_decoder(decoder, **({} if block is None else {'block': block}))
        model = replace(model, delineation=options.applied_to(model.delineation))
    make_folder(out)
    failed, understood = 0, ''
    with bars() as shown:
        task = shown.add_task('segmenting', total=len(paths))
        for path in paths:
            shown.update(task, description=path.name)
            try:
                description, objects = _segment_file(model, path, out, also, axes)
            except (FlimError, RuntimeError, MemoryError) as error:
                if debug:
                    raise
                text = str(error)
                complain(text if path.name in text else f'{path}: {text}')
                failed += 1
            else:
                if description != understood:
                    say(f'{path.name} is read as {description}')
                    understood = description
                say(f'{path.name}: {objects} object{"s" * (objects != 1)}')
            shown.advance(task)
    say(f'{len(paths) - failed} of {len(paths)} files are segmented in {out}.')
    if failed:
        raise typer.Exit(FAILED)


def _without_results(paths: Sequence[Path], out: Path) -> list[Path]:
    """The images without earlier results, where these go to the folder of the images."""
    kept = []
    for path in paths:
        result = path.stem.endswith(('_labels', '_saliency', '_classes')) and path.suffix == '.tif'
        if not (result and out.is_dir() and path.parent.samefile(out)):
            kept.append(path)
    if len(kept) < len(paths):
        say(f'{len(paths) - len(kept)} results of earlier runs in {out} are not segmented.')
    return kept


def _segment_file(
    model: FlimModel, path: Path, out: Path, also: Also, axes: str | None
) -> tuple[str, int]:
    images = read_images(path, axes)
    count = 0
    for number, image in enumerate(images):
        name = stem(path) + (f'-{number:03d}' if len(images) > 1 else '')
        accepted = model.accept(replace(image, name=path.name))
        objects, maps = finish(model.delineating(accepted))
        count += len(objects.classes)
        write_objects(out, name, objects, image, maps, table=also.table)
        if also.saliency:
            several = maps if len(maps) > 1 else maps[0]
            write_saliency(out / f'{name}_saliency.tif', several, image.spacing)
    several = f'a stack of {len(images)}, each an ' if len(images) > 1 else ''
    return several + images[0].describe(), count
