"""The same work for every tile: one after the other, or wherever a mapper sends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

from napari_flim.inference.freed_memory import tidily
from napari_flim.inference.tiles import Tile
from napari_flim.progress import Job, Progress

Result = TypeVar('Result')

Mapper = Callable[[Callable[[Tile], Any], Sequence[Tile]], Iterator[tuple[Tile, Any]]]
"""Gives every tile with what a function makes of it, in any order. The function can be pickled."""


class Checkpoint(Protocol):
    """Results of tiles that outlive the process."""

    def finished(self, stage: str, kind: type[Result]) -> dict[int, Result]:
        """Results of a stage by the number of their tile; a dataclass of numbers and arrays."""
        ...

    def save(self, stage: str, number: int, result: Any) -> None:
        """Keep the result of a tile."""
        ...


def one_by_one(
    function: Callable[[Tile], Any], tiles: Sequence[Tile]
) -> Iterator[tuple[Tile, Any]]:
    """The mapper that does all work here and now."""
    for tile in tiles:
        yield tile, function(tile)


def each_tile(
    stage: str,
    function: Callable[[Tile], Result],
    tiles: Sequence[Tile],
    kind: type[Result],
    mapper: Mapper = one_by_one,
    checkpoint: Checkpoint | None = None,
) -> Job[list[Result]]:
    """What a function makes of every tile.

    Parameters
    ----------
    stage : str
        What is being done, for users and for the checkpoint.
    function : callable
        Called once for every tile that has no result yet.
    tiles : sequence of Tile
    kind : type
        Of the results: a dataclass of numbers and arrays.
    mapper : callable
        Who calls it.
    checkpoint : Checkpoint, optional
        Where results are kept and looked for.

    Yields
    ------
    Progress
        After every tile.

    Returns
    -------
    list
        Results in the order of the tiles.
    """
    done = {} if checkpoint is None else checkpoint.finished(stage, kind)
    left = [tile for tile in tiles if tile.number not in done]
    yield Progress(stage, len(tiles) - len(left), len(tiles))
    for tile, result in mapper(partial(tidily, function), left):
        done[tile.number] = result
        if checkpoint is not None:
            checkpoint.save(stage, tile.number, result)
        yield Progress(stage, len(done), len(tiles))
    return [done[tile.number] for tile in tiles]
