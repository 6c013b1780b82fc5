"""The program: its commands and options; what they do is in the module of each command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import napari_flim
from napari_flim.cli.console import guarded

app = typer.Typer(
    name='napari-flim',
    help='Feature Learning from Image Markers (not fluorescence lifetime): '
    'learn a small encoder from painted markers, and segment images and volumes with it.',
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={'help_option_names': ['-h', '--help']},
)

Images = Annotated[
    list[Path],
    typer.Argument(
        help='Files or folders: png, jpg, tif, OME-TIFF, npy, nii.gz.', show_default=False
    ),
]
Axes = Annotated[
    str | None,
    typer.Option(help='One letter an axis: T stack, C channels, Z Y X space, S RGB samples.'),
]
DecoderName = Annotated[
    str | None,
    typer.Option(
        help='mean, probability, label, label_balanced, hybrid, tristate, original or attention.'
    ),
]
BlockNumber = Annotated[int | None, typer.Option(help='Block to decode, from 1; 0 for the last.')]
InputName = Annotated[
    str,
    typer.Option(
        help='auto, lab, scaled, multiscale, window:LO,HI or libift; '
        'scaled:fixed and multiscale:fixed keep the ranges of the training images.'
    ),
]
Method = Annotated[
    str | None, typer.Option(help='dynamic_trees, watershed, random_walker or none.')
]
Threshold = Annotated[
    float | None, typer.Option(help='Saliency, 0 to 1, above which an object is seen.')
]
Smallest = Annotated[
    float | None,
    typer.Option(help='Smallest area or volume of an object, in world units; 0 for no limit.'),
]
Largest = Annotated[
    float | None,
    typer.Option(help='Largest area or volume of an object, in world units; inf for no limit.'),
]
Border = Annotated[
    int | None,
    typer.Option(
        help='Drop objects within so many voxels of the border of the image; 0 for none.', min=0
    ),
]
Erosion = Annotated[
    float | None,
    typer.Option(help='How far inner seeds stay from the border of their object, world units.'),
]
Dilation = Annotated[
    float | None, typer.Option(help='How far outer seeds stay from objects, world units.')
]
Table = Annotated[
    bool, typer.Option('--objects', help='Also write STEM_objects.csv, one row for each object.')
]
Debug = Annotated[bool, typer.Option('--debug', help='Show the traceback of an error.')]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f'napari-flim {napari_flim.__version__}')
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option('--version', callback=_version, is_eager=True, help='Show the version.')
    ] = False,
) -> None:
    pass


@app.command()
def learn(
    images: Images,
    markers: Annotated[
        Path,
        typer.Option(
            help='Folder with a marker file for each image to learn from: STEM.tif, .png, '
            '.npy, .nii.gz (0 none, 1 background, 2.. objects) or STEM-seeds.txt.'
        ),
    ],
    out: Annotated[Path, typer.Option(help='Model file to write, such as eggs.flim.')],
    arch: Annotated[
        str, typer.Option(help='auto, small, wide, deep, flyweight, or an arch.json file.')
    ] = 'small',
    input: InputName = 'auto',  # noqa: A002 - the word of the command line
    axes: Axes = None,
    decoder: DecoderName = None,
    block: BlockNumber = None,
    seed: Annotated[int, typer.Option(help='The same seed gives the same model.', min=0)] = 0,
    seconds: Annotated[
        float, typer.Option(help='With auto: time after which nothing further is tried.', min=0)
    ] = 10.0,
    debug: Debug = False,
) -> None:
    """Learn a model from images and painted markers."""
    from napari_flim.cli.learn import run as learn_files

    with guarded(debug):
        learn_files(
            images,
            markers,
            out,
            arch,
            input,
            axes,
            decoder or ('auto' if arch == 'auto' else 'mean'),
            block or 0,
            seed,
            seconds,
            debug,
        )


@app.command()
def segment(
    model: Annotated[Path, typer.Argument(help='A .flim file.', show_default=False)],
    images: Images,
    out: Annotated[Path, typer.Option(help='Folder for results, report.csv and run.json.')],
    saliency: Annotated[
        bool, typer.Option('--saliency', help='Also write STEM_saliency, a map for each class.')
    ] = False,
    objects: Annotated[
        bool,
        typer.Option(
            '--objects',
            help='Also write STEM_objects.csv, a row for each object, and objects.csv of all.',
        ),
    ] = False,
    outlines: Annotated[
        bool, typer.Option('--outlines', help='Also write STEM_outlines.png, to look at.')
    ] = False,
    format: Annotated[  # noqa: A002 - the word of the command line
        str, typer.Option(help='Of label images and saliency: tif, ome-zarr or nii.gz.')
    ] = 'tif',
    pattern: Annotated[
        str | None, typer.Option(help="Which images of a folder, such as '*.tif' or '**/*.tif'.")
    ] = None,
    resume: Annotated[
        bool, typer.Option('--resume', help='Do what an earlier run in --out has not done.')
    ] = False,
    overwrite: Annotated[
        bool, typer.Option('--overwrite', help='Remove the results of an earlier run in --out.')
    ] = False,
    workers: Annotated[int, typer.Option(help='Processes that share the cores.', min=1)] = 1,
    scheduler: Annotated[
        str | None, typer.Option(help='Workers of this dask scheduler: tcp://host:8786.')
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(help='What the run may take, such as 2GB; a quarter of the free memory.'),
    ] = None,
    axes: Axes = None,
    decoder: DecoderName = None,
    block: BlockNumber = None,
    method: Method = None,
    threshold: Threshold = None,
    smallest: Smallest = None,
    largest: Largest = None,
    border: Border = None,
    erosion: Erosion = None,
    dilation: Dilation = None,
    debug: Debug = False,
) -> None:
    """Find the objects in images or volumes."""
    if resume and overwrite:
        raise typer.BadParameter('--resume and --overwrite are opposites; give one of them.')
    with guarded(debug):
        from napari_flim.cli.delineation_options import DelineationOptions
        from napari_flim.cli.segment import Chosen, Crew, outputs_of
        from napari_flim.cli.segment import run as segment_files

        options = DelineationOptions(
            method, threshold, smallest, largest, border, erosion, dilation
        )
        segment_files(
            model,
            images,
            out,
            outputs_of(saliency, objects, outlines, format),
            Chosen(axes, pattern, decoder, block, options),
            Crew(workers, scheduler, memory),
            'resume' if resume else 'overwrite' if overwrite else 'refuse',
            debug,
        )


@app.command()
def delineate(
    saliency: Annotated[
        Path,
        typer.Argument(help='STEM_saliency.tif, or another map from 0 to 1.', show_default=False),
    ],
    image: Annotated[
        Path, typer.Argument(help='The image or volume it belongs to.', show_default=False)
    ],
    out: Annotated[Path, typer.Option(help='Folder for STEM_labels.tif.')],
    markers: Annotated[
        Path | None,
        typer.Option(help='File with markers: 0 none, 1 background, 2.. objects; or -seeds.txt.'),
    ] = None,
    objects: Table = False,
    input: InputName = 'auto',  # noqa: A002 - the word of the command line
    axes: Axes = None,
    method: Method = None,
    threshold: Threshold = None,
    smallest: Smallest = None,
    largest: Largest = None,
    border: Border = None,
    erosion: Erosion = None,
    dilation: Dilation = None,
    debug: Debug = False,
) -> None:
    """Find the objects in one image from its saliency, without a model."""
    from napari_flim.cli.delineate import run as delineate_file
    from napari_flim.cli.delineation_options import DelineationOptions

    options = DelineationOptions(method, threshold, smallest, largest, border, erosion, dilation)
    with guarded(debug):
        delineate_file(saliency, image, out, markers, input, axes, objects, options)


@app.command()
def evaluate(
    truth: Annotated[Path, typer.Option(help='Folder with masks or label images.')],
    predictions: Annotated[Path, typer.Option(help='Folder with STEM_labels.tif or STEM.*.')],
    json: Annotated[Path | None, typer.Option(help='Also write all values to this file.')] = None,
    debug: Debug = False,
) -> None:
    """Compare results with a truth: Dice, IoU, MAE, F, weighted F, S- and E-measure."""
    from napari_flim.cli.evaluate import run as evaluate_folders

    with guarded(debug):
        evaluate_folders(truth, predictions, json, debug)


@app.command()
def compare(
    images: Images,
    markers: Annotated[Path, typer.Option(help='Folder with marker files, as for learn.')],
    truth: Annotated[
        Path | None, typer.Option(help='Folder with masks or label images; they give Dice.')
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            help='A .flim file: a row of its own, and ours are learned with its architecture, '
            'input and delineation.'
        ),
    ] = None,
    axes: Axes = None,
    seed: Annotated[
        int, typer.Option(help='The same seed gives the same agreement and Dice.', min=0)
    ] = 0,
    debug: Debug = False,
) -> None:
    """Compare FLIM with a random forest of scikit-image, learned from the same markers.

    Held-out agreement judges every method by markers that it has not learned from. All methods run
    offline, on this machine. napari-convpaint is not among them: it downloads its networks.
    """
    from napari_flim.cli.compare import run as compare_files

    with guarded(debug):
        compare_files(images, markers, truth, model, axes, seed)


@app.command()
def info(
    model: Annotated[Path, typer.Argument(help='A .flim file.', show_default=False)],
    debug: Debug = False,
) -> None:
    """Say what a model reads, how it was learned, and what its blocks hold."""
    from napari_flim.cli.info import run as describe

    with guarded(debug):
        describe(model)


@app.command()
def convert(
    source: Annotated[
        Path,
        typer.Argument(
            help='A .flim file, a LIDS model folder, an arch.json, a preset, STEM-seeds.txt, '
            'or a label image.',
            show_default=False,
        ),
    ],
    target: Annotated[
        Path,
        typer.Argument(
            help='A .flim file, a new folder, a .json file, STEM-seeds.txt, or a .tif file.',
            show_default=False,
        ),
    ],
    tap_order: Annotated[
        str,
        typer.Option(help='Order of kernel taps in LIDS folders: auto, raster, or centre_first.'),
    ] = 'auto',
    columns: Annotated[
        int, typer.Option(help='Columns of 2D seed files: 4, or 5 for LibIFT of 2025.')
    ] = 4,
    debug: Debug = False,
) -> None:
    """Exchange models, architectures and markers with the LIDS tools."""
    from napari_flim.cli.convert import run as convert_files

    with guarded(debug):
        convert_files(source, target, tap_order, columns)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help='Folder for pictures and tables.')] = Path('demo'),
    window: Annotated[
        bool, typer.Option(help='Open napari when there is a display and napari is installed.')
    ] = True,
    debug: Debug = False,
) -> None:
    """Learn from bundled samples and show the result."""
    from napari_flim.cli.demo import run as demonstrate

    with guarded(debug):
        demonstrate(out, window)


def run() -> None:
    """Run the program with the arguments of the process."""
    app()
