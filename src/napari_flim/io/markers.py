"""Finding and reading the markers of an image, whether painted labels or LIDS seeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_flim.engine.markers import MarkerSet
from napari_flim.errors import FileError, MarkerError
from napari_flim.io.images import stem
from napari_flim.io.results import read_labels
from napari_flim.io.seeds import read_seeds, seeds_to_markers

ENDINGS = ('.tif', '.tiff', '.png', '.npy', '.nii.gz', '-seeds.txt')


def find_marker_file(folder: Path | str, image: Path | str) -> Path | None:
    """The marker file of an image, by its exact stem; None if there is none.

    Parameters
    ----------
    folder : path
    image : path
        The image file, which may lie in the same folder; it is not taken for its own markers.

    Raises
    ------
    FileError
        When the folder does not exist, or holds several marker files for the image.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileError(f'{folder} is not a folder; expected the folder that holds the markers.')
    candidates = (folder / f'{stem(image)}{ending}' for ending in ENDINGS)
    found = [path for path in candidates if path.is_file() and not _same(path, Path(image))]
    if len(found) > 1:
        raise FileError(
            f'{" and ".join(path.name for path in found)} in {folder} are both for {image}; '
            'keep one of them.'
        )
    return found[0] if found else None


def _same(path: Path, image: Path) -> bool:
    return image.exists() and path.samefile(image)


def read_marker_stack(
    path: Path | str, shape: Sequence[int], count: int, *, across_classes: bool = False
) -> list[MarkerSet]:
    """Markers of all images of a stack, from a label image with a leading axis.

    Parameters
    ----------
    path : path
    shape : sequence of int
        Shape of one image.
    count : int
        Number of images.
    across_classes : bool
        See `napari_flim.engine.markers.MarkerSet.from_points`.

    Raises
    ------
    MarkerError
        When the label image has another shape.
    """
    labels = read_labels(path)
    if labels.shape != (count, *shape):
        raise MarkerError(
            f'The markers in {path} have shape {labels.shape}; a stack of {count} images of shape '
            f'{tuple(shape)} needs markers of shape {(count, *shape)}.'
        )
    return MarkerSet.from_stack(labels, len(shape), across_classes=across_classes)


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
            f'{tuple(shape)}; were they drawn on another image? '
            'If the image has channels or is a stack, name its axes (CYX, TYX, ...).'
        )
    try:
        return MarkerSet.from_labels(labels, across_classes=across_classes)
    except MarkerError as error:
        raise MarkerError(f'{path}: {error}') from error
