"""A random forest on local features: what scikit-image's gallery does with the same markers.

The peer that FLIM is compared with. It follows "Trainable segmentation using local features and
random forests" of scikit-image's gallery, with all of its features: intensity, edges and texture
at the scales 1, 2, 4, 8 and 16 voxels, for every channel; 50 trees of at most 10 levels, each
grown from 5 % of the marked voxels. Everything is kept in memory: 20 features a voxel of a grey
image, 25 of a grey volume.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_flim.errors import EvaluationError

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestClassifier

TREES, LEVELS, SHARE = 50, 10, 0.05
FEWEST = 100
"""Voxels below which a share would be too small for a tree; trees then see all marked voxels."""
SMALLEST_SCALE, LARGEST_SCALE = 1, 16
AT_ONCE = 2**17
"""Voxels whose classes are predicted together."""


@dataclass(frozen=True, eq=False)
class PixelForest:
    """A forest that tells the class of every voxel.

    Attributes
    ----------
    forest : RandomForestClassifier
        Of scikit-learn.
    channels : int
        Of the images it was learned from.
    """

    forest: RandomForestClassifier
    channels: int

    @property
    def numbers(self) -> tuple[int, ...]:
        """The classes it knows, ascending: 1 background, 2.. objects."""
        return tuple(int(number) for number in self.forest.classes_)

    def probabilities(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """Share of the trees' votes for every class.

        Parameters
        ----------
        image : (C, \\*S) array

        Returns
        -------
        (classes, \\*S) float32 array
            In the order of `numbers`, in [0, 1], with a sum of 1.

        Raises
        ------
        EvaluationError
            When the image has another number of channels.
        """
        if len(image) != self.channels:
            raise EvaluationError(
                f'The image has {len(image)} channels, but the forest was learned from images '
                f'with {self.channels}; give an image of the same kind.'
            )
        values = _features(image)
        voxels = values.reshape(-1, values.shape[-1])
        votes = np.empty((len(voxels), len(self.numbers)), dtype=np.float32)
        for start in range(0, len(voxels), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            votes[part] = self.forest.predict_proba(voxels[part])
        return votes.T.reshape(-1, *image.shape[1:])

    def classes(self, image: NDArray[Any]) -> NDArray[np.int32]:
        """Class of every voxel, 1 background, 2.. objects: (\\*S) int32; see `probabilities`."""
        numbers = np.array(self.numbers, dtype=np.int32)
        return np.asarray(numbers[self.probabilities(image).argmax(axis=0)])


def learn_forest(
    images: Sequence[NDArray[Any]], labels: Sequence[NDArray[Any]], seed: int = 0
) -> PixelForest:
    """Learn a forest from marked voxels of one or more images.

    Parameters
    ----------
    images : sequence of (C, \\*S) arrays
        Of any dtype; their values are compared as they are, without any scaling.
    labels : sequence of (\\*S) int arrays
        One for each image: 0 unmarked, 1 background, 2.. objects.
    seed : int
        The same seed gives the same forest.

    Raises
    ------
    EvaluationError
        When images and labels do not fit, or fewer than two classes are marked.

    Examples
    --------
    >>> image = np.zeros((1, 16, 16)); image[:, 4:12, 4:12] = 1
    >>> labels = np.zeros((16, 16), int); labels[0:2], labels[6:10, 6:10] = 1, 2
    >>> forest = learn_forest([image], [labels])
    >>> forest.numbers, forest.classes(image)[0, 0], forest.classes(image)[8, 8]
    ((1, 2), np.int32(1), np.int32(2))
    """
    from sklearn.ensemble import RandomForestClassifier

    _check(images, labels)
    marked = [_features(image)[known > 0] for image, known in zip(images, labels, strict=True)]
    values = np.concatenate(marked)
    numbers = np.concatenate([known[known > 0] for known in labels])
    forest = RandomForestClassifier(
        n_estimators=TREES,
        max_depth=LEVELS,
        max_samples=SHARE if SHARE * len(values) >= FEWEST else None,
        n_jobs=1,
        random_state=seed,
    )
    return PixelForest(forest.fit(values, numbers), len(images[0]))


def _check(images: Sequence[NDArray[Any]], labels: Sequence[NDArray[Any]]) -> None:
    shapes = [image.shape[1:] for image in images], [known.shape for known in labels]
    if shapes[0] != shapes[1]:
        raise EvaluationError(
            f'Images of shapes {shapes[0]} came with markers of shapes {shapes[1]}; give every '
            'image markers of its own shape.'
        )
    channels = sorted({len(image) for image in images})
    if len(channels) > 1:
        raise EvaluationError(
            f'Images with {channels} channels were given; expected the same number in all.'
        )
    marked = sorted({int(number) for known in labels for number in np.unique(known) if number})
    if len(marked) < 2:
        raise EvaluationError(
            f'Markers of the classes {marked} were given; a forest compares two or more. '
            'Mark the background (1) and an object (2).'
        )


def _features(image: NDArray[Any]) -> NDArray[np.float32]:
    """Local features of every voxel: (\\*S, features)."""
    from skimage.feature import multiscale_basic_features

    # As floats, since scikit-image would scale every integer type by a range of its own.
    values = image.astype(np.float32)
    finite = np.isfinite(values)
    if not finite.all():
        values = np.where(finite, values, values[finite].min() if finite.any() else 0)
    features: NDArray[np.float32] = multiscale_basic_features(
        values, sigma_min=SMALLEST_SCALE, sigma_max=LARGEST_SCALE, workers=1, channel_axis=0
    )
    return features
