"""Connected components of images that are seen tile by tile.

Every tile finds its own components and reports those that reach its seams with other tiles; these
are joined where they touch. What lies within a tile can be decided there, by the same rule.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from napari_flim.inference.stages import Stages
from napari_flim.inference.tile_components import Facts, Finding, Report, seam_places
from napari_flim.inference.tiles import Tile
from napari_flim.progress import Job


@dataclass(frozen=True, eq=False)
class Components:
    """Components of an image, in the order of their first voxels.

    Attributes
    ----------
    facts : Facts
        In the whole image.
    owners : list of (k,) int64 array
        For every tile, the component, from 0, that each reported one belongs to.
    """

    facts: Facts
    owners: list[NDArray[np.int64]]


@dataclass(frozen=True)
class KnownTile(Tile):
    """A tile with what was decided of its components in view of the whole image.

    Attributes
    ----------
    labels : (k,) int64 array
        Numbers of components within the tile.
    verdicts : (k,) array
        What becomes of them.
    """

    labels: NDArray[np.int64]
    verdicts: NDArray[Any]


def find_components(
    stage: str,
    finding: Finding,
    tiles: Sequence[Tile],
    stages: Stages,
) -> Job[tuple[list[Report], Components]]:
    """Reports of all tiles, and the components they make up.

    Parameters
    ----------
    stage : str
        What is being done, for users and for the checkpoint.
    finding : Finding
    tiles : sequence of Tile
        All tiles of the image.
    stages : Stages
    """
    reports = yield from stages.run(stage, finding.report, tiles, Report)
    return reports, joined(tiles, reports, finding.shape, finding.connectivity)


def joined(
    tiles: Sequence[Tile], reports: Sequence[Report], shape: Sequence[int], connectivity: int
) -> Components:
    """The components of an image from the reports of its tiles."""
    counts = np.array([len(report) for report in reports])
    starts = np.concatenate([[0], np.cumsum(counts)])
    total = int(starts[-1])
    pairs = np.concatenate(
        [np.zeros((0, 2), dtype=np.int64), *_touching(tiles, reports, starts, shape, connectivity)]
    )
    graph = coo_array((np.ones(len(pairs), dtype=np.int8), tuple(pairs.T)), shape=(total, total))
    count, owner = connected_components(graph, directed=False) if total else (0, np.zeros(0, int))
    first = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(first, owner, np.concatenate([report.first for report in reports]))
    order = np.argsort(first)
    rank = np.empty(count, dtype=np.int64)
    rank[order] = np.arange(count)
    owner = rank[owner]
    facts = Facts(
        np.zeros(count, dtype=np.int64),
        first[order],
        np.full((count, len(shape)), np.iinfo(np.int64).max),
        np.zeros((count, len(shape)), dtype=np.int64),
        np.zeros(count, dtype=np.int64),
        np.zeros(count, dtype=bool),
    )
    owners = np.split(owner, starts[1:-1])
    for report, own in zip(reports, owners, strict=True):
        np.add.at(facts.voxels, own, report.voxels)
        np.minimum.at(facts.low, own, report.low)
        np.maximum.at(facts.high, own, report.high)
        facts.kinds[own] = report.kinds
        np.logical_or.at(facts.in_frame, own, report.in_frame)
    return Components(facts, owners)


def known_tiles(
    tiles: Sequence[Tile],
    reports: Sequence[Report],
    components: Components,
    verdicts: NDArray[Any],
) -> list[KnownTile]:
    """The tiles, each with the verdicts on its reported components."""
    return [
        KnownTile(tile.number, tile.core, tile.read, tile.inside, report.labels, verdicts[owner])
        for tile, report, owner in zip(tiles, reports, components.owners, strict=True)
    ]


def decided(
    finding: Finding, tile: KnownTile, rule: Callable[[Facts], NDArray[Any]]
) -> NDArray[Any]:
    """What a rule makes of every voxel of a tile; its verdict on 0 is 0 or false.

    Components that reach a seam have been decided with all of their parts.
    """
    labels, facts = finding.found(tile)
    verdicts = rule(facts)
    table = np.concatenate([np.zeros(1, dtype=verdicts.dtype), verdicts])
    table[tile.labels] = tile.verdicts
    return np.asarray(table[labels])


def _unpacked(
    tile: Tile, report: Report, shape: Sequence[int]
) -> dict[tuple[int, int], NDArray[np.int32]]:
    """Reported components on the seams of a tile, by axis and place, with all axes."""
    packed = np.frombuffer(zlib.decompress(report.seams.tobytes()), dtype=np.int32)
    size = [side.stop - side.start for side in tile.core]
    seams, start = {}, 0
    for place in seam_places(tile, shape):
        axis = next(axis for axis, index in enumerate(place) if not isinstance(index, slice))
        layer = (*size[:axis], 1, *size[axis + 1 :])
        stop = start + int(np.prod(layer))
        seams[axis, int(place[axis])] = packed[start:stop].reshape(layer)  # type: ignore[arg-type]
        start = stop
    return seams


def _touching(
    tiles: Sequence[Tile],
    reports: Sequence[Report],
    starts: NDArray[np.int64],
    shape: Sequence[int],
    connectivity: int,
) -> Iterator[NDArray[np.int64]]:
    """Pairs of reported components, counted over all tiles, that touch across a seam."""
    ndim = len(shape)
    counts = [len({tile.core[axis].start for tile in tiles}) for axis in range(ndim)]
    steps = [
        step
        for step in product((-1, 0, 1), repeat=ndim)
        if step > (0,) * ndim and np.abs(step).sum() <= connectivity
    ]
    seams: dict[int, dict[tuple[int, int], NDArray[np.int32]]] = {}
    for number, place in enumerate(product(*map(range, counts))):
        for step in steps:
            beside = tuple(np.add(place, step).tolist())
            if not all(0 <= at < most for at, most in zip(beside, counts, strict=True)):
                continue
            other = int(np.ravel_multi_index(beside, counts))
            for known in (number, other):
                if known not in seams:
                    seams[known] = _unpacked(tiles[known], reports[known], shape)
            here, there = (
                _layer(seams[number], step),
                _layer(seams[other], tuple(np.negative(step))),
            )
            if here.any() and there.any():
                near = _neighbours(here, there, step, connectivity)
                alike = (
                    reports[number].kinds[near[:, 0] - 1] == reports[other].kinds[near[:, 1] - 1]
                )
                yield near[alike] - 1 + (starts[number], starts[other])
        seams.pop(number, None)


def _layer(
    seams: dict[tuple[int, int], NDArray[np.int32]], step: Sequence[int]
) -> NDArray[np.int32]:
    """The part of the seams that touches the tile at a step."""
    axis = next(axis for axis, length in enumerate(step) if length)
    layer = seams[axis, -1 if step[axis] > 0 else 0]
    for other in range(axis + 1, len(step)):
        if step[other]:
            index = layer.shape[other] - 1 if step[other] > 0 else 0
            layer = layer.take([index], axis=other)
    return layer


def _neighbours(
    here: NDArray[np.int32], there: NDArray[np.int32], step: Sequence[int], connectivity: int
) -> NDArray[np.int64]:
    """Pairs of labels of neighbouring voxels in two layers that face each other."""
    found = [np.zeros((0, 2), dtype=np.int64)]
    ways = [(0,) if length else (-1, 0, 1) for length in step]
    for shift in product(*ways):
        if np.abs(step).sum() + np.abs(shift).sum() > connectivity:
            continue
        one = here[
            tuple(slice(max(-s, 0), n - max(s, 0)) for s, n in zip(shift, here.shape, strict=True))
        ]
        two = there[
            tuple(slice(max(s, 0), n - max(-s, 0)) for s, n in zip(shift, there.shape, strict=True))
        ]
        both = (one > 0) & (two > 0)
        found.append(np.stack([one[both], two[both]], axis=1).astype(np.int64))
    return np.unique(np.concatenate(found), axis=0)
