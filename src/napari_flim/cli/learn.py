"""``napari-flim learn``: from files to a model file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from napari_flim.api import open_candidates, resolve_architecture
from napari_flim.choosing import AUTO, learn_chosen
from napari_flim.cli.choice_table import show_choice
from napari_flim.cli.console import FAILED, complain, run_job, say, usage
from napari_flim.engine.decoder_settings import DecoderSettings
from napari_flim.engine.image import Image, check_axes
from napari_flim.engine.markers import MarkerSet
from napari_flim.engine.options import LearningOptions
from napari_flim.engine.preprocessing import parse_input
from napari_flim.errors import FileError, FlimError, LearningError, MarkerError
from napari_flim.io.images import list_images, read_images, stem
from napari_flim.io.markers import find_marker_file, read_marker_stack, read_markers
from napari_flim.training import learn_model, learn_sizes


def run(
    images: Sequence[Path],
    markers: Path,
    out: Path,
    arch: str,
    input_name: str,
    axes: str | None,
    decoder: str,
    block: int,
    seed: int,
    seconds: float,
    debug: bool,
) -> None:
    """Learn from every image that has a marker file, and save the model."""
    with usage():
        automatic = AUTO in (arch, decoder)
        if automatic and block:
            raise LearningError('With "auto" the block is chosen too; leave out --block.')
        if not automatic:
            architecture = resolve_architecture(arch)
            settings = DecoderSettings(decoder, block)
            architecture.check_block(block or len(architecture))
        tried = open_candidates(arch, input_name, decoder) if automatic else ()
        transform, fixed = parse_input(input_name)
        check_axes(axes)
        pairs = _pair(images, markers)
        if not out.parent.is_dir():
            raise FileError(f'The folder {out.parent} for {out.name} does not exist; create it.')
        if out.is_dir():
            raise FileError(f'{out} is a folder; give a file name, such as {out / "model.flim"}.')
    libift = transform.kind == 'libift'
    if libift:
        # LibIFT learns in the order of the sorted names of the marker files.
        pairs = sorted(pairs, key=lambda pair: pair[1].name)
    read, marked, failed = _read(pairs, axes, across_classes=libift, debug=debug)
    options = LearningOptions(seed=seed)
    if automatic:
        job = learn_chosen(
            read,
            marked,
            tried,
            transform=transform,
            fixed_ranges=fixed,
            options=options,
            seconds=seconds,
        )
    else:
        job = learn_model(
            read,
            marked,
            architecture,
            transform=transform,
            fixed_ranges=fixed,
            decoder=settings,
            options=options,
        )
    model = run_job(job, 'learning')
    model = run_job(learn_sizes(model, read, marked), 'measuring')
    model.save(out)
    if automatic:
        show_choice(model)
    kernels = ' + '.join(str(len(b.bank)) for b in model.blocks)
    field = ' x '.join(str(n) for n in model.architecture.receptive_field(model.ndim))
    say(f'{out}: {kernels} kernels from {len(read)} images; the last block sees {field} voxels.')
    if failed:
        raise typer.Exit(FAILED)


def _pair(images: Sequence[Path], markers: Path) -> list[tuple[Path, Path]]:
    paths = list_images(images)
    found = [(path, find_marker_file(markers, path)) for path in paths]
    pairs = [(path, marker) for path, marker in found if marker is not None]
    if not pairs:
        raise MarkerError(
            f'None of the {len(paths)} images has a marker file in {markers}; expected, for '
            f'example, {stem(paths[0])}.tif or {stem(paths[0])}-seeds.txt there.'
        )
    used = {marker.name for _, marker in pairs} | {path.name for path in paths}
    unused = sorted(p.name for p in markers.iterdir() if p.is_file() and p.name not in used)
    if unused:
        say(f'{len(unused)} files in {markers} belong to no image, such as {unused[0]}.')
    if len(pairs) < len(paths):
        say(f'{len(paths) - len(pairs)} of {len(paths)} images have no markers and are not used.')
    return pairs


def _read(
    pairs: Sequence[tuple[Path, Path]], axes: str | None, *, across_classes: bool, debug: bool
) -> tuple[list[Image], list[MarkerSet], int]:
    """Images with markers; a pair that cannot be read is named and left out."""
    images: list[Image] = []
    marked: list[MarkerSet] = []
    failed = 0
    for path, marker in pairs:
        try:
            read, found = read_pair(path, marker, axes, across_classes=across_classes)
        except FlimError as error:
            if debug:
                raise
            complain(str(error))
            failed += 1
            continue
        for image, markers in zip(read, found, strict=True):
            if len(markers):
                say(f'{image.name}: {image.describe()}; {_count(markers)}')
                images.append(image)
                marked.append(markers)
    if not images:
        raise MarkerError(f'None of the {len(pairs)} images with marker files has usable markers.')
    return images, marked, failed


def read_pair(
    path: Path, marker: Path, axes: str | None, *, across_classes: bool
) -> tuple[list[Image], list[MarkerSet]]:
    """Images of a file, with the markers of each."""
    images = read_images(path, axes)
    shape = images[0].shape
    if len(images) == 1:
        return images, [read_markers(marker, shape, across_classes=across_classes)]
    return images, read_marker_stack(marker, shape, len(images), across_classes=across_classes)


def _count(markers: MarkerSet) -> str:
    counts = ', '.join(
        f'{n} voxels of {"background" if c == 1 else f"class {c}"}'
        for c, n in markers.class_counts.items()
    )
    return f'{markers.count} marker{"s" * (markers.count != 1)}, {counts}'
