"""One image: from voxels to written results."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_flim.batch.outputs import ResultPaths
from napari_flim.batch.result_files import write_objects
from napari_flim.batch.segment_in_parts import segment_in_parts
from napari_flim.engine.image import Image
from napari_flim.inference.mapping import Mapper, one_by_one
from napari_flim.io.results import write_saliency
from napari_flim.progress import Job

if TYPE_CHECKING:
    from napari_flim.model import FlimModel


@dataclass(frozen=True, slots=True)
class Written:
    """What was found in one image.

    Attributes
    ----------
    objects : int
    files : tuple of Path
        What was written.
    """

    objects: int
    files: tuple[Path, ...]


def segment_image(
    model: FlimModel,
    image: Image,
    paths: ResultPaths,
    memory: int | None = None,
    mapper: Mapper = one_by_one,
) -> Job[Written]:
    """Find the objects of an image and write what is wanted of them.

    An image that does not fit into the budget is segmented in parts, with the same result.

    Parameters
    ----------
    model : FlimModel
    image : Image
    paths : ResultPaths
    memory : int, optional
        Bytes that this process may take; a quarter of the free memory by default.
    mapper : callable
        Who does the work for the tiles of an image that does not fit.

    Raises
    ------
    ImageError
        When the model does not read such images.
    FileError
        When a result cannot be written.
    """
    accepted = model.accept(image)
    if not model.fits(accepted, memory):
        model.warn_of_voxel_size(accepted)
        count, files = yield from segment_in_parts(
            model.applying(accepted), model.delineation, paths, memory, mapper
        )
        return Written(count, tuple(files))
    accepted = accepted.in_memory()
    # What was read, without the copies of a grey image that a model of colours is given.
    image = replace(image, data=accepted.data[: image.channels])
    objects, maps = yield from model.delineating(accepted)
    files = write_objects(paths, objects, image, maps)
    if paths.saliency is not None:
        write_saliency(paths.saliency, maps if len(maps) > 1 else maps[0], image)
        files.append(paths.saliency)
    return Written(len(objects.classes), tuple(files))
