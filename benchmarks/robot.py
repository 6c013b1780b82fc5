"""Markers as a careful person would draw them, from the truth of an image: small disks and balls.

Every disk lies wholly within its class. Objects are visited one after the other, a typical one
first, then the largest and the smallest, then sizes between; the first disk of each lies where it
is deepest, the next touches its border from inside. On the background, disks that hug an object
take turns with disks farther away, which are spread over the intensities found there. A larger
budget holds the disks of a smaller one, and the same seed draws the same disks.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import label, regionprops

BACKGROUND = 0
FAR = 6
"""Radii beyond which a disk is far from every object; one that hugs an object stays within 3."""
SAMPLE = 4000
"""Places on the background whose intensities are looked at."""


def draw_markers(
    image: NDArray[Any], truth: NDArray[Any], disks: int, seed: int = 0
) -> NDArray[np.uint8]:
    """Draw so many disks for every class of an image.

    Parameters
    ----------
    image : (C, \\*S) array
    truth : (\\*S) int or bool array
        0 background, 1.. objects.
    disks : int
        For each class; fewer where no more fit without touching others.
    seed : int

    Returns
    -------
    (\\*S) uint8 array
        0 unmarked, 1 background, 2.. objects.
    """
    markers = np.zeros(truth.shape, dtype=np.uint8)
    radius = max(2, round(min(truth.shape) / 80)) if truth.ndim == 2 else 2
    for number in np.unique(truth).tolist():
        rng = np.random.default_rng((seed, int(number)))
        if number == BACKGROUND:
            centres = _on_background(image, truth, radius, rng, markers)
        else:
            centres = _on_objects(truth == number, int(number) + 1, radius, rng, markers)
        for centre, reach in itertools.islice(centres, disks):
            _stamp(markers, centre, reach, int(number) + 1)
    return markers


Disk = tuple[NDArray[np.int64], int]
"""Centre and radius in voxels."""


def _on_objects(
    own: NDArray[np.bool_],
    marked: int,
    radius: int,
    rng: np.random.Generator,
    markers: NDArray[np.uint8],
) -> Iterator[Disk]:
    """Disks on the components of one class; looks at the markers that are drawn meanwhile."""
    components = sorted(regionprops(label(own, connectivity=own.ndim)), key=lambda one: one.area)
    typical = float(np.median([one.area for one in components]))
    visited = [one for one in components if one.area >= typical / 4]
    order = _spread(len(visited))
    while True:
        drawn = 0
        for index in order:
            box = _around(visited[index].slice, own.shape)
            inside, start = own[box], np.array([part.start for part in box])
            for places in (_deepest, _at_the_border):
                # One disk away from those that are there, which keeps them apart as markers.
                free = inside & ~ndimage.binary_dilation(markers[box] == marked, iterations=2)
                found = places(_component(inside, free, visited[index], start), inside, radius)
                if found is not None:
                    centres, reach = found
                    drawn += 1
                    yield centres[rng.integers(len(centres))] + start, reach
        if not drawn:
            return


def _component(
    inside: NDArray[np.bool_], free: NDArray[np.bool_], region: Any, start: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Free voxels of one component within its box."""
    own = np.zeros_like(inside)
    own[tuple((region.coords - start).T)] = True
    return own & free


def _deepest(
    free: NDArray[np.bool_], inside: NDArray[np.bool_], radius: int
) -> tuple[NDArray[np.int64], int] | None:
    """Where most room is left, with the largest disk that fits there."""
    if not free.any():
        return None
    room = _room(free)
    # A disk of radius r lies within when the next voxel outside is farther away than r.
    reach = min(radius, int(np.ceil(room.max())) - 1)
    return np.argwhere(room == room.max())[:1], reach


def _at_the_border(
    free: NDArray[np.bool_], inside: NDArray[np.bool_], radius: int
) -> tuple[NDArray[np.int64], int] | None:
    """Where a disk fits in and touches the border of the class, if there is such a place."""
    depth = _room(inside)
    touching = (depth > radius) & (depth <= radius + 1) & (_room(free) > radius)
    return (np.argwhere(touching), radius) if touching.any() else None


def _on_background(
    image: NDArray[Any],
    truth: NDArray[Any],
    radius: int,
    rng: np.random.Generator,
    markers: NDArray[np.uint8],
) -> Iterator[Disk]:
    """Disks that hug objects and disks far away in turns; any place where one kind has none."""
    away = _room(truth == BACKGROUND)
    near = (away > radius) & (away <= 3 * radius)
    far = away > FAR * radius
    if not far.any():
        far = away > radius
    grey = image.astype(np.float64).mean(axis=0)
    grey = ndimage.uniform_filter(grey, 2 * radius + 1)
    shares = _fractions()
    for hugging in itertools.cycle((True, False)):
        # Markers of objects lie within them: only those of the background are in the way.
        taken = ndimage.binary_dilation(markers == BACKGROUND + 1, iterations=2)
        room = ndimage.distance_transform_edt(~taken) > radius if taken.any() else ~taken
        near, far = near & room, far & room
        if not near.any() and not far.any():
            return
        if (hugging and near.any()) or not far.any():
            places = np.argwhere(near)
            yield places[rng.integers(len(places))], radius
        else:
            places = np.argwhere(far)
            places = places[rng.permutation(len(places))[:SAMPLE]]
            values = grey[tuple(places.T)]
            wanted = np.quantile(values, 0.02 + 0.96 * next(shares))
            yield places[np.abs(values - wanted).argmin()], radius


def _room(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Distance to the next voxel outside; beyond the border of the image there is none."""
    if mask.all():
        return np.full(mask.shape, float(max(mask.shape)))
    distances: NDArray[np.float64] = ndimage.distance_transform_edt(mask)
    return distances


def _around(box: Sequence[slice], shape: Sequence[int]) -> tuple[slice, ...]:
    """A box with one more voxel on each side, as far as the image goes."""
    return tuple(
        slice(max(0, part.start - 1), min(size, part.stop + 1))
        for part, size in zip(box, shape, strict=True)
    )


def _stamp(markers: NDArray[np.uint8], centre: NDArray[np.int64], radius: int, number: int) -> None:
    """Draw one disk or ball; what lies beyond the border of the image is cut off."""
    box = tuple(
        slice(max(0, at - radius), min(size, at + radius + 1))
        for at, size in zip(centre.tolist(), markers.shape, strict=True)
    )
    offsets = np.ogrid[box]
    squares = sum((axis - at) ** 2 for axis, at in zip(offsets, centre.tolist(), strict=True))
    markers[box][squares <= radius**2] = number


def _fractions() -> Iterator[float]:
    """1/2, 1, 0, 1/4, 3/4, 1/8, 3/8, ...: any first few of them are spread out."""
    yield from (0.5, 1.0, 0.0)
    for level in itertools.count(2):
        for numerator in range(1, 2**level, 2):
            yield numerator / 2**level


def _spread(count: int) -> list[int]:
    """The numbers below a count, the middle first, then the last and the first."""
    if not count:
        return []
    found = dict.fromkeys(
        round(share * (count - 1)) for share in itertools.islice(_fractions(), 4 * count + 8)
    )
    return list(found)
