"""Items: images with what is painted on them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from napari_flim.engine.image import Image
from napari_flim.engine.markers import MarkerSet
from napari_flim.session.classes import Classes
from napari_flim.session.corrections import Corrections
from napari_flim.session.sources import ImageSource, Strokes


@dataclass(frozen=True, eq=False)
class Item:
    """One image source, its strokes, and whether it takes part in learning.

    Attributes
    ----------
    source : ImageSource
    strokes : dict of int to Strokes
        By place along T; images without strokes are absent. They are kept when the marker layer is
        deleted, so that it can be brought back.
    markers : str, optional
        Name of the marker layer; None while there is none.
    included : bool
        Ticked by the user.
    opened : bool
        Whether the image layer is open.
    problem : str
        Why the markers cannot be read as they are now; the strokes are those read before.
    corrections : dict of int to Corrections
        What the user has decided about objects, by place along T.
    """

    source: ImageSource
    strokes: Mapping[int, Strokes] = field(default_factory=dict)
    markers: str | None = None
    included: bool = True
    opened: bool = True
    problem: str = ''
    corrections: Mapping[int, Corrections] = field(default_factory=dict)

    @property
    def takes_part(self) -> bool:
        """Whether its strokes are learned from."""
        return self.included and self.opened and self.markers is not None and not self.problem

    @property
    def counts(self) -> dict[int, int]:
        """Marked voxels of each label in all its images."""
        total: dict[int, int] = {}
        for strokes in self.strokes.values():
            for label, count in strokes.counts.items():
                total[label] = total.get(label, 0) + count
        return dict(sorted(total.items()))


@dataclass(frozen=True, eq=False)
class TrainingImage:
    """One marked image as learning needs it; a worker reads it.

    Attributes
    ----------
    source : ImageSource
    frame : int
        Place along T.
    strokes : Strokes
        With the numbers that the engine learns: 1 for every background.
    """

    source: ImageSource
    frame: int
    strokes: Strokes

    @property
    def large(self) -> bool:
        """Whether only crops around its markers are to be read."""
        return self.source.large

    def read(self, *, across_classes: bool = False, whole: bool = True) -> tuple[Image, MarkerSet]:
        """The image and its markers as connected regions.

        Parameters
        ----------
        across_classes : bool
            Whether markers of two classes that touch are one region.
        whole : bool
            Read an image that is not large into memory; else it stays where it is.
        """
        image = self.source.frame(self.frame)
        image = image.in_memory() if whole and not self.large else image
        marked = MarkerSet.from_points(
            self.strokes.coordinates,
            self.strokes.labels,
            image.shape,
            across_classes=across_classes,
        )
        return image, marked


def training_images(items: Iterable[Item], classes: Classes) -> tuple[TrainingImage, ...]:
    """Every marked image of the items that take part."""
    return tuple(
        TrainingImage(item.source, frame, as_learned(strokes, classes))
        for item in items
        if item.takes_part
        for frame, strokes in sorted(item.strokes.items())
    )


def as_learned(strokes: Strokes, classes: Classes) -> Strokes:
    """Strokes with the numbers that the engine knows: 1 for every background."""
    learned_as = {one.label: one.learned_as for one in classes}
    labels = np.array([learned_as.get(n, n) for n in range(int(strokes.labels.max()) + 1)])
    return Strokes(strokes.coordinates, labels[strokes.labels], strokes.shape)


def digest_of(images: Iterable[TrainingImage]) -> str:
    """Short text that changes with any stroke, image or class; empty without images."""
    content = hashlib.blake2b(digest_size=12)
    count = 0
    for image in images:
        count += 1
        content.update(repr((image.source.content, image.frame, image.strokes.digest)).encode())
    return content.hexdigest() if count else ''
