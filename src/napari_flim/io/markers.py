"""Finding and reading the markers of an image, whether painted labels or LIDS seeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_flim.engine.markers import MarkerSet
from napari_flim.errors import FileError, MarkerError
from napari_flim.io.results import read_labels
from napari_flim.io.seeds import read_seeds, seeds_to_markers

ENDINGS = ('.tif', '.tiff', '.png', '.npy', '.nii.gz', '-seeds.txt')


def find_marker_file(folder: Path | str, image_stem: str) -> Path | None:
    """The marker file of an image, by its exact stem; None if there is none.

    Parameters
    ----------
    folder : path
    image_stem : str
        See `napari_flim.io.images.stem`.

    Raises
    ------
    FileError
        When the folder does not exist, or holds several marker files for the image.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileError(f'{folder} is not a folder; expected the folder that holds the markers.')
    found = [path for path in (folder / f'{image_stem}{end}' for end in ENDINGS) if path.is_file()]
    if len(found) > 1:
        raise FileError(
            f'{" and ".join(path.name for path in found)} in {folder} are both for {image_stem}; '
            'keep one of them.'
        )
    return found[0] if found else None


def read_markers(
    path: Path | str,
    shape: Sequence[int],
    *,
    across_classes: bool = False,
    background: int = 0,
    orientation: str | None = None,
) -> MarkerSet:
    """Read the markers of an image.

    Parameters
    ----------
    path : path
        A label image (0 unmarked, 1 background, 2.. objects) or a LIDS ``-seeds.txt`` file.
    shape : sequence of int
        Shape of the image.
    across_classes, background, orientation
        See `seeds_to_markers`; the last two apply to seed files only.

    Raises
    ------
    MarkerError
        When the markers do not fit the image; names both shapes.
    FileError
        When the file cannot be read.
    """
    if Path(path).suffix.lower() == '.txt':
        return seeds_to_markers(
            read_seeds(path),
            shape,
            across_classes=across_classes,
            background=background,
            orientation=orientation,
        )
    labels = read_labels(path)
    if labels.shape != tuple(shape):
        raise MarkerError(
            f'The markers in {path} have shape {labels.shape}, the image has shape '
            f'{tuple(shape)}; were they drawn on another image?'
        )
    return MarkerSet.from_labels(labels, across_classes=across_classes)
