"""FileTask: one file of a run; which files a run is asked to take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_flim.batch.outputs import ENDINGS
from napari_flim.errors import BatchError, FileError
from napari_flim.io.images import SUFFIXES, list_images, natural, stem
from napari_flim.io.ome_zarr import is_zarr


@dataclass(frozen=True, slots=True)
class FileTask:
    """One file to segment.

    Attributes
    ----------
    number : int
        Its place in the run, from 0.
    source : Path
        The file, or the folder of an OME-Zarr image or a DICOM series.
    stem : str
        What the names of its results begin with; no other file of the run has it.
    size : int
        Bytes; 0 for a folder.
    modified : int
        When it was changed last, in nanoseconds.
    """

    number: int
    source: Path
    stem: str
    size: int
    modified: int


def find_tasks(
    inputs: Sequence[Path | str], out: Path, pattern: str | None = None
) -> tuple[list[FileTask], list[Path]]:
    """The files of a run.

    Parameters
    ----------
    inputs : sequence of path
        A file stands for itself; a folder for the images in it.
    out : path
        Where results go; those of earlier runs that lie there are left out.
    pattern : str, optional
        Which images of a folder are meant, such as ``'*.tif'``; ``'**/*.tif'`` looks into its
        folders too.

    Returns
    -------
    list of FileTask
    list of Path
        Results of earlier runs, which are left out.

    Raises
    ------
    FileError
        For a missing path, a file of an unsupported kind, or a folder without fitting images.
    BatchError
        When two files would write the same results, a name holds a line break, or only results of
        earlier runs are there.
    """
    found = list_images(_matching(inputs, pattern))
    images = [path for path in found if not _is_result(path, out)]
    if not images:
        raise BatchError(
            f'{out} holds only results of earlier runs; name the images to segment, or write '
            'results to another folder.'
        )
    broken = [path for path in images if len(str(path.resolve()).splitlines()) > 1]
    if broken:
        raise BatchError(f'The name {str(broken[0])!r} has a line break in it; rename the file.')
    seen: dict[str, Path] = {}
    for path in images:
        # Some file systems take upper and lower case for the same.
        other = seen.setdefault(stem(path).lower(), path)
        if other != path:
            raise BatchError(
                f'{other} and {path} would have results of the same names; rename one of them.'
            )
    tasks = [_task(number, path) for number, path in enumerate(images)]
    return tasks, [path for path in found if path not in images]


def _matching(inputs: Sequence[Path | str], pattern: str | None) -> list[Path]:
    """The inputs, with the fitting images of a folder instead of the folder."""
    paths = [Path(path) for path in inputs]
    if pattern is None:
        return paths
    named: list[Path] = []
    for path in paths:
        if not path.is_dir():
            named.append(path)
            continue
        try:
            fitting = [
                p for p in path.glob(pattern) if p.name.lower().endswith(SUFFIXES) or is_zarr(p)
            ]
        except (ValueError, NotImplementedError) as error:
            raise BatchError(
                f'{pattern!r} is no pattern for names of files ({error}); give one like "*.tif".'
            ) from error
        visible = [p for p in fitting if not p.name.startswith('.')]
        if not visible:
            raise FileError(f'The folder {path} holds no image that fits {pattern!r}.')
        named.extend(sorted(visible, key=natural))
    return named


def _is_result(path: Path, out: Path) -> bool:
    return stem(path).endswith(ENDINGS) and out.is_dir() and path.parent.samefile(out)


def _task(number: int, path: Path) -> FileTask:
    status = path.stat()
    size = 0 if path.is_dir() else status.st_size
    return FileTask(number, path.resolve(), stem(path), size, status.st_mtime_ns)
