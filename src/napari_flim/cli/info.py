"""``napari-flim info``: a model in words."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape
from rich.table import Table

from napari_flim.cli.choice_table import show_choice
from napari_flim.cli.console import results
from napari_flim.delineation.area_range import AreaRange
from napari_flim.delineation.delineation_settings import DESCRIPTIONS, DelineationSettings
from napari_flim.delineation.seed_settings import SeedSettings
from napari_flim.engine.decoder_settings import DECODERS
from napari_flim.model import FlimModel
from napari_flim.model_loading import load_model


def run(model_file: Path) -> None:
    """Print what a model reads, decodes and holds."""
    model = load_model(model_file)
    for line in describe(model):
        results.print(escape(line))
    results.print(_block_table(model))
    show_choice(model)


def describe(model: FlimModel) -> list[str]:
    """Lines about input, decoder and origin."""
    made, decoder = model.provenance, model.decoder.name
    lines = [
        f'reads    {model.reads()}; input {_input(model)}',
        f'decodes  block {model.decoded_block} with {decoder}: {DECODERS[decoder].description}',
        f'classes  {", ".join(str(c) for c in model.object_classes)} (1 is background)',
        *delineation_lines(model.delineation, model.ndim),
    ]
    learning = made.get('learning')
    if isinstance(learning, dict):
        settings = ', '.join(f'{k} {v}' for k, v in learning.items() if v is not None)
        lines.append(f'learned  by napari-flim {made.get("version")}: {settings}')
    for image in made.get('images', []):
        marked = ', '.join(f'class {c}: {n} voxels' for c, n in image['marked'].items())
        lines.append(f'from     {image["name"]}: {image["markers"]} markers; {marked}')
    return lines


def delineation_lines(settings: DelineationSettings, ndim: int) -> list[str]:
    """How objects are found, in words.

    Examples
    --------
    >>> for line in delineation_lines(DelineationSettings('none'), 2):
    ...     print(line)
    objects  none: what lies above the threshold, as it is
    cut      saliency above Otsu's threshold of each image, at least 9 voxels, holes filled
    """
    growth = f'{settings.method}: {DESCRIPTIONS[settings.method]}'
    cut = [
        _threshold(settings.seeds),
        *_clean_up(settings.seeds, 'area' if ndim == 2 else 'volume'),
    ]
    if settings.compares_learned:
        growth += f', comparing {settings.learned_share:.0%} what block 1 has learned'
    if settings.method == 'dynamic_trees':
        growth += f', mean {settings.mean}'
    if settings.method != 'none':
        cut += _places(settings.seeds)
    growth += ', saliency smoothed first' * settings.smoothing
    growth += ', borders relaxed at last' * settings.relaxation
    return [f'objects  {growth}', f'cut      {", ".join(cut)}']


def _threshold(seeds: SeedSettings) -> str:
    if seeds.threshold is not None:
        return f'saliency above {seeds.threshold:g}'
    found = {
        'otsu': "Otsu's threshold of each image",
        'component_otsu': "Otsu's threshold of each component",
        'percentile': f'{seeds.percentile:g} % of the voxels of each image',
    }
    return f'saliency above {found[seeds.rule]}' + f' times {seeds.scale:g}' * (seeds.scale != 1)


def _clean_up(seeds: SeedSettings, size: str) -> list[str]:
    words = [f'at least {seeds.smallest} voxels'] * (seeds.smallest > 1)
    limits = seeds.sizes or AreaRange()
    ends = ('from', limits.smallest), ('to', limits.largest)
    limited = [f'{name} {end:g}' for name, end in ends if end is not None]
    words += [' '.join([size, *limited])] * bool(limited)
    if seeds.border is not None:
        words.append(f'none within {seeds.border} voxels of the border')
    for name in ('opening', 'closing'):
        if radius := getattr(seeds, name):
            words.append(f'{name} {radius:g}')
    return words + ['holes filled'] * seeds.fill_holes


def _places(seeds: SeedSettings) -> list[str]:
    named = {'inner seeds': seeds.erosion, 'outer seeds': seeds.dilation}
    return [f'{name} {far:g} away' for name, far in named.items() if far is not None]


def _input(model: FlimModel) -> str:
    transform = model.transform
    if transform.kind == 'window':
        return f'window {transform.window[0]:g} to {transform.window[1]:g}'
    return transform.kind + (' with fixed ranges' if transform.ranges else '')


def _block_table(model: FlimModel) -> Table:
    table = Table('block', 'kernel', 'dilation', 'kernels', 'of each class', 'pooling', 'sees')
    for number, block in enumerate(model.blocks, start=1):
        spec, ndim = block.spec, model.ndim
        classes = block.bank.classes.tolist()
        counts = ', '.join(f'{c}: {classes.count(c)}' for c in sorted(set(classes)))
        pooling: str = spec.pooling
        if pooling != 'none':
            pooling += f' {_times(spec.axes("pool_size", ndim))}'
            pooling += f', stride {_times(spec.axes("stride", ndim))}'
        table.add_row(
            str(number),
            _times(spec.axes('kernel_size', ndim)) + (' separable' * (spec.kind == 'separable')),
            _times(spec.axes('dilation', ndim)) + ''.join(f' + {d}' for d in spec.extra_dilations),
            str(len(block.bank)),
            counts,
            pooling,
            _times(model.architecture.receptive_field(ndim, number)),
        )
    return table


def _times(values: tuple[int, ...]) -> str:
    return ' x '.join(str(v) for v in values)
