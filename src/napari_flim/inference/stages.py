"""Work on a large image as a row of stages, each done for every tile, with one progress."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from napari_flim.inference.mapping import Checkpoint, Mapper, each_tile, one_by_one
from napari_flim.inference.tiles import Tile
from napari_flim.progress import Job, share_of

Result = TypeVar('Result')


@dataclass
class Stages:
    """Runs stages one after the other.

    Attributes
    ----------
    expected : int
        How many stages there will be at most.
    mapper : callable
        Who does the work.
    checkpoint : Checkpoint, optional
        Where results are kept and looked for.
    """

    expected: int
    mapper: Mapper = one_by_one
    checkpoint: Checkpoint | None = None
    _done: int = field(default=0, init=False)

    def run(
        self,
        stage: str,
        function: Callable[..., Result],
        tiles: Sequence[Tile],
        kind: type[Result],
        *,
        alone: bool = False,
    ) -> Job[list[Result]]:
        """Results of a function, in the order of the tiles.

        Parameters
        ----------
        stage : str
            What is being done, for users; differs from every other stage.
        function : callable
            From a tile to a dataclass of numbers and arrays; can be pickled.
        tiles : sequence of Tile
        kind : type
            Of the results.
        alone : bool
            One tile after the other here, since they write to the same places.
        """
        mapper = one_by_one if alone else self.mapper
        job = each_tile(stage, function, tiles, kind, mapper, self.checkpoint)
        results = yield from share_of(job, min(self._done, self.expected - 1), self.expected)
        self._done += 1
        return results
