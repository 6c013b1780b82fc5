"""Outputs: what a run writes of every image, and how the files are called."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_flim.errors import BatchError
from napari_flim.io.results import RESULT_FORMATS

ENDINGS = ('_labels', '_classes', '_saliency', '_objects', '_outlines')
"""What follows the stem of an image in the names of its results."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a run writes of every image.

    Attributes
    ----------
    labels : bool
        ``STEM_labels``; with several object classes ``STEM_classes`` too.
    saliency : bool
        ``STEM_saliency``: one map for each object class.
    table : bool
        ``STEM_objects.csv``: a row for each object; of all files together ``objects.csv``.
    outlines : bool
        ``STEM_outlines.png``: the image with the outlines of its objects, to look at.
    format : str
        Of label images and saliency: a name from `napari_flim.io.results.RESULT_FORMATS`.

    Raises
    ------
    BatchError
        When there is no such format, or nothing is to be written.
    """

    labels: bool = True
    saliency: bool = False
    table: bool = False
    outlines: bool = False
    format: str = 'tif'

    def __post_init__(self) -> None:
        if self.format not in RESULT_FORMATS:
            raise BatchError(
                f'There is no format {self.format!r}; choose one of {", ".join(RESULT_FORMATS)}.'
            )
        if not (self.labels or self.saliency or self.table or self.outlines):
            raise BatchError(
                'Nothing is to be written; choose label images, saliency, tables or outlines.'
            )


LABELS = Outputs()


@dataclass(frozen=True, slots=True)
class ResultPaths:
    """Where the results of one image go; None for those that are not wanted.

    Attributes
    ----------
    labels, classes, saliency, table, outlines : Path, optional
        Classes are only written where there are several.
    """

    labels: Path | None = None
    classes: Path | None = None
    saliency: Path | None = None
    table: Path | None = None
    outlines: Path | None = None


def result_paths(folder: Path, name: str, outputs: Outputs) -> ResultPaths:
    """Where the results of the image called ``name`` go.

    Examples
    --------
    >>> result_paths(Path('out'), 'egg', Outputs(table=True)).table.as_posix()
    'out/egg_objects.csv'
    """
    suffix = RESULT_FORMATS[outputs.format]

    def named(wanted: bool, kind: str, ending: str = suffix) -> Path | None:
        return folder / f'{name}_{kind}{ending}' if wanted else None

    return ResultPaths(
        labels=named(outputs.labels, 'labels'),
        classes=named(outputs.labels, 'classes'),
        saliency=named(outputs.saliency, 'saliency'),
        table=named(outputs.table, 'objects', '.csv'),
        outlines=named(outputs.outlines, 'outlines', '.png'),
    )
